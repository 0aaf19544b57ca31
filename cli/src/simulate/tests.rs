use super::*;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// The examples, with members that are ready and have reported what their nodes offer.
fn world() -> World {
    let mut documents = crate::input::load(EXAMPLES.as_ref(), true).unwrap();
    let shapes = [
        ("province-a", "general-amd64", "amd64"),
        ("guangzhou-1", "xinchuang-arm64", "arm64"),
        ("shenzhen-1", "general-amd64", "amd64"),
    ];
    for (member, flavor, arch) in shapes {
        let mine = |d: &&mut Value| d["kind"] == "MemberCluster" && d["metadata"]["name"] == member;
        let object = documents.iter_mut().find(mine).unwrap();
        object["status"] = serde_json::json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ok", "message": "",
                "lastTransitionTime": "2026-11-23T08:00:00Z"}],
            "apis": ["apps/v1/Deployment", "apps/v1/StatefulSet", "autoscaling/v2/HorizontalPodAutoscaler",
                "batch/v1/CronJob", "networking.k8s.io/v1/Ingress", "policy/v1/PodDisruptionBudget",
                "v1/ConfigMap", "v1/Secret", "v1/Service"],
        });
        documents.push(serde_json::json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "Sketch",
            "metadata": {"name": "sketch", "namespace": labels::member_namespace(member)},
            "spec": {},
            "status": {"nodes": 4, "labelKeys": ["kubernetes.io/arch"], "shapes": [{
                "count": 4, "flavor": flavor, "labels": {"kubernetes.io/arch": arch},
                "free": {"cpu": "16", "memory": "64Gi", "pods": "110"},
            }]},
        }));
    }
    let mut world = World::from_documents(documents).unwrap();
    // The examples' own are what the tests ask about.
    world.workloads.clear();
    world
}

fn workload(file: &str, namespace: &str, placement_ref: Option<&str>) -> Workload {
    let input = crate::args::workload::Input {
        filename: vec![format!("{EXAMPLES}/workloads/{file}").into()],
        name: None,
        placement_ref: placement_ref.map(str::to_owned),
    };
    let bundle = crate::input::bundle(&input, namespace, Some(namespace)).unwrap();
    serde_json::from_value(bundle.workloads[0].clone()).unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

#[test]
fn the_examples_are_placed_by_their_rules() {
    let world = world();
    let booking = workload("booking.yaml", "gd-health-booking", Some("three-clouds"));
    let why = simulate(&world, &booking, now());
    assert_eq!(why.outcome, "Placed", "{why:#?}");
    let chosen: Vec<&str> = why
        .members
        .iter()
        .filter(|member| member.verdict == "chosen")
        .map(|member| member.member.as_str())
        .collect();
    assert_eq!(chosen.len(), 3, "one in each of three clouds: {chosen:?}");
    let aid = workload("aid.yaml", "gz-civil-affairs-aid", None);
    let why = simulate(&world, &aid, now());
    assert_eq!(why.outcome, "Placed", "{why:#?}");
    assert_eq!(why.members[0].member, "guangzhou-1");
    let outside = why
        .members
        .iter()
        .find(|member| member.member == "shenzhen-1")
        .unwrap();
    assert!(
        outside
            .refusals
            .iter()
            .any(|refusal| refusal.reason == "Residency"),
        "{outside:#?}"
    );
}

#[test]
fn the_same_input_gives_the_same_answer_and_a_decision_keeps_its_place() {
    let mut world = world();
    let booking = workload("booking.yaml", "gd-health-booking", Some("three-clouds"));
    let first = simulate(&world, &booking, now());
    assert_eq!(simulate(&world, &booking, now()), first);
    // As the hub would have written it: the answer then speaks of that decision.
    let mut decided = booking.clone();
    decided.metadata.generation = Some(1);
    let assignments: Vec<Value> = first
        .members
        .iter()
        .flat_map(|member| member.replicas.iter().map(move |part| (member, part)))
        .map(|(member, part)| {
            serde_json::json!({"member": member.member, "flavor": part.flavor,
                "component": part.component, "replicas": part.replicas,
                "requests": {"cpu": "500m"}, "charge": {"cpu": "1"}})
        })
        .collect();
    decided.status = Some(
        serde_json::from_value(serde_json::json!({"decision": {"id": "d1", "generation": 1,
            "epoch": 1, "inputsHash": "h", "assignments": assignments}}))
        .unwrap(),
    );
    world.workloads.push(decided);
    let second = simulate(&world, &booking, now());
    assert_eq!(second.decision, "d1");
    let replicas = |why: &Why| -> Vec<(String, u32)> {
        let sum = |member: &heyun_crds::query::WhyMember| {
            member.replicas.iter().map(|r| r.replicas).sum()
        };
        let mut all: Vec<_> = why
            .members
            .iter()
            .map(|m| (m.member.clone(), sum(m)))
            .collect();
        all.sort();
        all
    };
    assert_eq!(replicas(&second), replicas(&first));
}

#[test]
fn what_the_hub_would_not_accept_is_said_in_its_words() {
    let world = world();
    let homeless = workload("aid.yaml", "nobodys", None);
    let why = simulate(&world, &homeless, now());
    assert_eq!(
        (why.outcome.as_str(), why.reason.as_str()),
        ("Rejected", "NoTenant")
    );
    let lost = workload("aid.yaml", "gz-civil-affairs-aid", Some("nowhere"));
    let why = simulate(&world, &lost, now());
    assert_eq!(why.reason, "NotFound");
    assert!(
        why.message.contains("gz-civil-affairs-aid/nowhere"),
        "{}",
        why.message
    );
    let mut huge = workload("booking.yaml", "gd-health-booking", Some("three-clouds"));
    // Its HPA would decide instead.
    huge.spec
        .manifests
        .retain(|manifest| manifest.0["kind"] != "HorizontalPodAutoscaler");
    huge.spec.replicas = Some(240);
    let why = simulate(&world, &huge, now());
    assert_eq!(why.reason, "QuotaExceeded", "{why:#?}");
}

fn rails(world: &mut World) -> &mut heyun_crds::tenant::Guardrails {
    let mut tenants = world.tenants.iter_mut();
    let agency = tenants.find(|tenant| tenant.name_any() == "gz-civil-affairs");
    &mut agency.unwrap().spec.guardrails
}

#[test]
fn what_a_guardrail_refuses_is_refused_here_as_on_the_hub() {
    let mut world = world();
    let mut aid = workload("aid.yaml", "gz-civil-affairs-aid", None);
    rails(&mut world).registries = Some(vec!["registry.gov.example/civil/".to_owned()]);
    rails(&mut world).storage_classes = Some(vec!["standard".to_owned()]);
    let why = simulate(&world, &aid, now());
    assert_eq!(why.outcome, "Placed", "{why:#?}");

    rails(&mut world).registries = Some(vec!["registry.gov.example/civil/aid-web".to_owned()]);
    let why = simulate(&world, &aid, now());
    assert_eq!(
        (why.outcome.as_str(), why.reason.as_str()),
        ("Rejected", "GuardrailViolated")
    );
    let said = "StatefulSet/aid-archive: container archive: image \
        \"registry.gov.example/civil/archive:5.1.0\" is in none of the registries allowed: \
        \"registry.gov.example/civil/aid-web\"; push it to one of them and name it there; \
        decided by: gz-civil-affairs security administrators";
    assert!(why.message.ends_with(said), "{}", why.message);

    rails(&mut world).registries = None;
    rails(&mut world).highest_priority = Some("business".to_owned());
    for (name, value) in [("business", 100), ("critical", 2000)] {
        let class = serde_json::json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": value});
        world.add(class).unwrap();
    }
    aid.spec.priority_class_name = Some("business".to_owned());
    let why = simulate(&world, &aid, now());
    assert_eq!(why.outcome, "Placed", "{why:#?}");
    aid.spec.priority_class_name = Some("critical".to_owned());
    let why = simulate(&world, &aid, now());
    assert_eq!(why.reason, "GuardrailViolated", "{why:#?}");
    let said = "spec.priorityClassName: \"critical\" (2000) is above \"business\" (100)";
    assert!(why.message.starts_with(said), "{}", why.message);
}

#[test]
fn files_that_are_no_objects_of_the_hub_decide_nothing_and_broken_ones_are_refused() {
    let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [pod]});
    assert!(
        World::from_documents(vec![list])
            .unwrap()
            .workloads
            .is_empty()
    );
    let broken = serde_json::json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant",
        "metadata": {"name": "t"}, "spec": {"kind": "Moon"}});
    let error = World::from_documents(vec![broken]).unwrap_err();
    assert!(
        error
            .message
            .starts_with("Tenant/t: unknown variant `Moon`"),
        "{error}"
    );
}
