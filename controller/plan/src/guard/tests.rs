use heyun_crds::Tenant;
use heyun_crds::tenant::TenantSpec;
use heyun_crds::workload::Manifest;
use serde_json::json;

use super::*;
use crate::interpret::summarize;
use crate::tenants;

/// A city, an agency below it, and what each of them rules.
fn tree(city: Guardrails, agency: Guardrails) -> TenantTree {
    let tenant = |name: &str, parent: Option<&str>, guardrails: Guardrails| {
        let spec = TenantSpec {
            parent: parent.map(str::to_owned),
            guardrails,
            ..TenantSpec::default()
        };
        Tenant::new(name, spec)
    };
    let around = tenants::Surroundings {
        priorities: ["business", "critical", "spare"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), value(name)?)))
            .collect(),
        ..tenants::Surroundings::default()
    };
    let city = tenant("guangzhou", None, city);
    let agency = tenant("civil", Some("guangzhou"), agency);
    tenants::tree_in(&[city, agency], &around)
}

fn value(name: &str) -> Option<i32> {
    match name {
        "business" => Some(100),
        "critical" => Some(1000),
        "spare" => Some(-10),
        _ => None,
    }
}

fn spec(manifests: Vec<Value>) -> WorkloadSpec {
    WorkloadSpec {
        manifests: manifests.into_iter().map(Manifest).collect(),
        ..WorkloadSpec::default()
    }
}

fn judged(tree: &TenantTree, spec: &WorkloadSpec) -> Vec<ManifestError> {
    let context = Context {
        tree,
        tenant: tree.get("civil").unwrap(),
        priority: &value,
    };
    refusals(spec, &context)
}

/// What is said where only the city rules.
fn said(rails: Guardrails, manifests: Vec<Value>) -> Vec<String> {
    let found = judged(&tree(rails, Guardrails::default()), &spec(manifests));
    found.iter().map(ToString::to_string).collect()
}

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|&entry| entry.to_owned()).collect()
}

fn registries(entries: &[&str]) -> Guardrails {
    Guardrails {
        registries: Some(list(entries)),
        ..Guardrails::default()
    }
}

fn classes(entries: &[&str]) -> Guardrails {
    Guardrails {
        storage_classes: Some(list(entries)),
        ..Guardrails::default()
    }
}

fn hosts(entries: &[&str]) -> Guardrails {
    Guardrails {
        ingress_hosts: Some(list(entries)),
        ..Guardrails::default()
    }
}

fn kinds(entries: &[&str]) -> Guardrails {
    Guardrails {
        allowed_kinds: Some(list(entries)),
        ..Guardrails::default()
    }
}

fn highest(class: &str) -> Guardrails {
    Guardrails {
        highest_priority: Some(class.to_owned()),
        ..Guardrails::default()
    }
}

fn object(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, "spec": spec})
}

fn deployment(pod: Value) -> Value {
    object("apps/v1", "Deployment", json!({"template": {"spec": pod}}))
}

fn running(image: &str) -> Value {
    deployment(json!({"containers": [{"name": "main", "image": image}]}))
}

const DECIDED: &str = "decided by: guangzhou security administrators";

#[test]
fn what_is_not_set_restricts_nothing_and_an_empty_list_allows_nothing() {
    let manifests = vec![
        running("nginx"),
        object("v1", "PersistentVolumeClaim", json!({})),
        object("networking.k8s.io/v1", "Ingress", json!({})),
    ];
    assert_eq!(said(Guardrails::default(), manifests), [""; 0]);
    let node = TenantNode {
        name: "civil".to_owned(),
        guardrails: registries(&[]),
        ..TenantNode::default()
    };
    let context = Context {
        tree: &TenantTree::default(),
        tenant: &node,
        priority: &value,
    };
    let found = refusals(&spec(vec![running("nginx")]), &context);
    assert_eq!(found.len(), 1, "{found:?}");
    let wanted = "is in none of the registries allowed: none";
    assert!(found[0].problem.ends_with(wanted), "{found:?}");
}

#[test]
fn images_come_from_the_registries_allowed() {
    let gov = || registries(&["registry.gov.example/"]);
    for image in [
        "registry.gov.example/web:1",
        "registry.gov.example/civil/web@sha256:ff",
    ] {
        assert_eq!(said(gov(), vec![running(image)]), [""; 0], "{image}");
    }
    assert_eq!(
        said(gov(), vec![running("nginx:1.27")]),
        [format!(
            "manifests[0] Deployment/web: container main: image \"nginx:1.27\", that is \
             \"docker.io/library/nginx:1.27\", is in none of the registries allowed: \
             \"registry.gov.example/\"; push it to one of them and name it there; {DECIDED}"
        )]
    );
    assert_eq!(
        said(gov(), vec![running("registry.gov.example.evil.com/web:1")]),
        [format!(
            "manifests[0] Deployment/web: container main: image \
             \"registry.gov.example.evil.com/web:1\" is in none of the registries allowed: \
             \"registry.gov.example/\"; push it to one of them and name it there; {DECIDED}"
        )]
    );
    let hub = registries(&["docker.io/library/"]);
    assert_eq!(said(hub, vec![running("nginx")]), [""; 0]);
    let found = judged(
        &tree(gov(), Guardrails::default()),
        &spec(vec![running("nginx")]),
    );
    assert_eq!(found[0].reason, Reason::GuardrailViolated);
}

#[test]
fn an_override_names_no_image_that_a_manifest_may_not() {
    let image = heyun_crds::workload::ImageOverride {
        container: "main".to_owned(),
        image: "evil.com/web:1".to_owned(),
        ..Default::default()
    };
    let mut spec = spec(vec![]);
    spec.overrides = vec![heyun_crds::workload::Override {
        architectures: vec!["arm64".to_owned()],
        images: vec![image],
    }];
    let rails = registries(&["registry.gov.example/"]);
    let found = judged(&tree(rails, Guardrails::default()), &spec);
    let said = summarize(&found);
    let words = "spec.overrides[0].images[0].image: image \"evil.com/web:1\" is in none";
    assert!(said.starts_with(words), "{said}");
}

#[test]
fn images_are_found_wherever_a_pod_may_name_them() {
    let pod = json!({
        "initContainers": [{"name": "a", "image": "evil/a"}],
        "containers": [{"name": "b", "image": "evil/b"}],
        "ephemeralContainers": [{"name": "c", "image": "evil/c"}],
        "volumes": [{"name": "d", "image": {"reference": "evil/d"}}, {"name": "e", "emptyDir": {}}],
    });
    let job = json!({"template": {"spec": pod}});
    let manifests = vec![
        object("v1", "Pod", pod.clone()),
        object("apps/v1", "StatefulSet", job.clone()),
        object("batch/v1", "Job", job.clone()),
        object("batch/v1", "CronJob", json!({"jobTemplate": {"spec": job}})),
        json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web"},
            "template": {"spec": pod}}),
        object(
            "example.com/v1",
            "Fleet",
            json!({"parts": [{"podTemplate": {"spec": pod}}]}),
        ),
    ];
    for manifest in manifests {
        let kind = manifest["kind"].as_str().unwrap().to_owned();
        let found = said(registries(&["registry.gov.example"]), vec![manifest]);
        assert_eq!(found.len(), 4, "{kind}: {found:#?}");
        let starts = [
            "container b: image \"evil/b\"",
            "init container a: image \"evil/a\"",
            "ephemeral container c: image \"evil/c\"",
            "volume d: image \"evil/d\"",
        ];
        for (message, start) in found.iter().zip(starts) {
            let start = format!("manifests[0] {kind}/web: {start}");
            assert!(message.starts_with(&start), "{start}: {message}");
        }
    }
    // Text that only looks like it is nobody's image.
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"},
        "data": {"image": "nginx", "containers": "[{image: nginx}]"}});
    assert_eq!(said(registries(&["a.example"]), vec![config]), [""; 0]);
}

/// A claim template that names a class.
fn claim(class: &str) -> Value {
    json!({"spec": {"storageClassName": class}})
}

fn pvc(spec: Value) -> Value {
    object("v1", "PersistentVolumeClaim", spec)
}

fn set(template: Value) -> Value {
    let spec = json!({"volumeClaimTemplates": [template]});
    object("apps/v1", "StatefulSet", spec)
}

fn scratch(template: Value) -> Value {
    deployment(json!({
        "containers": [{"name": "main", "image": "nginx"}],
        "volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}],
    }))
}

#[test]
fn claims_name_a_storage_class_that_is_allowed() {
    let standard = || classes(&["standard"]);
    let good = vec![
        pvc(json!({"storageClassName": "standard"})),
        set(claim("standard")),
        scratch(claim("standard")),
    ];
    assert_eq!(said(standard(), good), [""; 0]);
    let annotated = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "web", "annotations": {
            "volume.beta.kubernetes.io/storage-class": "fast",
        }},
        "spec": {"storageClassName": "standard"},
    });
    let cases = [
        (
            pvc(json!({"storageClassName": "fast"})),
            "PersistentVolumeClaim/web: spec.storageClassName",
        ),
        (
            set(claim("fast")),
            "StatefulSet/web: spec.volumeClaimTemplates[0].spec.storageClassName",
        ),
        (
            scratch(claim("fast")),
            "Deployment/web: spec.template.spec.volumes[0].ephemeral.volumeClaimTemplate.spec.storageClassName",
        ),
        (
            annotated,
            "PersistentVolumeClaim/web: metadata.annotations[volume.beta.kubernetes.io/storage-class]",
        ),
    ];
    for (manifest, place) in cases {
        assert_eq!(
            said(standard(), vec![manifest]),
            [format!(
                "manifests[0] {place}: \"fast\" is none of the storage classes allowed: \
                 \"standard\"; name one of them; {DECIDED}"
            )]
        );
    }
}

#[test]
fn a_claim_without_a_class_is_refused_for_what_the_member_would_choose() {
    let standard = || classes(&["standard"]);
    let absent = [
        pvc(json!({})),
        pvc(json!({"storageClassName": null})),
        set(json!({"spec": {}})),
        scratch(json!({"spec": {}})),
    ];
    for manifest in absent {
        let found = said(standard(), vec![manifest]);
        assert_eq!(found.len(), 1, "{found:#?}");
        let wanted = format!(
            "spec.storageClassName: is missing, which means the default of each member, and the \
             storage classes allowed are: \"standard\"; name one of them; {DECIDED}"
        );
        assert!(found[0].ends_with(&wanted), "{}", found[0]);
    }
    // The empty name, for volumes that were made by hand, is allowed where it is listed.
    let by_hand = || vec![pvc(json!({"storageClassName": ""}))];
    assert_eq!(said(standard(), by_hand()).len(), 1);
    assert_eq!(said(classes(&[""]), by_hand()), [""; 0]);
}

#[test]
fn an_ingress_names_hosts_that_are_allowed() {
    let gz = || hosts(&["gz.gov.example"]);
    let ingress = |spec: Value| object("networking.k8s.io/v1", "Ingress", spec);
    let rules = |host: Value| ingress(json!({"rules": [{"host": host}]}));
    let good = vec![
        rules(json!("gz.gov.example")),
        rules(json!("app.gz.gov.example")),
        rules(json!("*.gz.gov.example")),
        ingress(json!({
            "rules": [{"host": "app.gz.gov.example"}],
            "tls": [{"hosts": ["app.gz.gov.example"]}, {"secretName": "cert"}],
        })),
    ];
    assert_eq!(said(gz(), good), [""; 0]);
    let outside = |host: &str| {
        format!(
            "\"{host}\" is neither of nor below the hosts allowed: \"gz.gov.example\"; name a host \
             below one of them; {DECIDED}"
        )
    };
    let every = format!(
        "stands for every host, and the hosts allowed are: \"gz.gov.example\"; write rules with \
         hosts below these; {DECIDED}"
    );
    let one = json!([{"host": "app.gz.gov.example"}]);
    let cases = [
        (
            rules(json!("notgz.gov.example")),
            "spec.rules[0].host",
            outside("notgz.gov.example"),
        ),
        (
            rules(json!("*.gov.example")),
            "spec.rules[0].host",
            outside("*.gov.example"),
        ),
        (
            ingress(json!({"rules": one, "tls": [{"hosts": ["a.example"]}]})),
            "spec.tls[0].hosts[0]",
            outside("a.example"),
        ),
        (rules(Value::Null), "spec.rules[0].host", every.clone()),
        (rules(json!("")), "spec.rules[0].host", every.clone()),
        (
            ingress(json!({"rules": one, "defaultBackend": {}})),
            "spec.defaultBackend",
            every.clone(),
        ),
        (ingress(json!({})), "spec.rules", every),
    ];
    for (manifest, place, wanted) in cases {
        assert_eq!(
            said(gz(), vec![manifest]),
            [format!("manifests[0] Ingress/web: {place}: {wanted}")]
        );
    }
    let below = hosts(&["*.gz.gov.example"]);
    assert_eq!(
        said(below, vec![rules(json!("gz.gov.example"))]).len(),
        1,
        "the wildcard allows what is below it"
    );
    // Another kind of that name is not one of Kubernetes' own.
    let other = object("example.com/v1", "Ingress", json!({}));
    assert_eq!(said(gz(), vec![other]), [""; 0]);
}

#[test]
fn kinds_are_those_allowed() {
    let some = || kinds(&["Deployment.apps", "Service"]);
    let good = vec![running("nginx"), object("v1", "Service", json!({}))];
    assert_eq!(said(some(), good), [""; 0]);
    let job = object("batch/v1", "Job", json!({}));
    assert_eq!(
        said(some(), vec![running("nginx"), job.clone()]),
        [format!(
            "manifests[1] Job/web: \"Job.batch\" is none of the kinds allowed: \
             \"Deployment.apps\", \"Service\"; remove it; {DECIDED}"
        )]
    );
    let found = judged(&tree(some(), Guardrails::default()), &spec(vec![job]));
    assert_eq!(found[0].reason, Reason::KindNotAllowed);
    let other = object("example.com/v1", "Deployment", json!({}));
    assert_eq!(said(some(), vec![other]).len(), 1);
}

#[test]
fn priorities_are_compared_by_the_values_of_the_hub() {
    let of_workload = |class: &str| WorkloadSpec {
        priority_class_name: Some(class.to_owned()),
        ..spec(vec![running("nginx")])
    };
    let of_pods = |class: &str| {
        spec(vec![deployment(json!({
            "priorityClassName": class,
            "containers": [{"name": "main", "image": "nginx"}],
        }))])
    };
    let says = |most: &str, spec: &WorkloadSpec| -> Vec<String> {
        let found = judged(&tree(highest(most), Guardrails::default()), spec);
        found.iter().map(ToString::to_string).collect()
    };
    for class in ["business", "spare"] {
        assert_eq!(says("business", &of_workload(class)), [""; 0], "{class}");
        assert_eq!(says("business", &of_pods(class)), [""; 0], "{class}");
    }
    assert_eq!(
        says("business", &spec(vec![running("nginx")])),
        [""; 0],
        "none is 0"
    );
    let in_pods = "manifests[0] Deployment/web: spec.template.spec.priorityClassName";
    for (found, place) in [
        (
            says("business", &of_workload("critical")),
            "spec.priorityClassName",
        ),
        (says("business", &of_pods("critical")), in_pods),
    ] {
        assert_eq!(
            found,
            [format!(
                "{place}: \"critical\" (1000) is above \"business\" (100), the highest priority \
                 class allowed; name \"business\" or a PriorityClass of the hub below it; {DECIDED}"
            )]
        );
    }
    for class in ["aaa", "system-cluster-critical"] {
        assert_eq!(
            says("business", &of_workload(class)),
            [format!(
                "spec.priorityClassName: \"{class}\" is no PriorityClass of the hub, and the \
                 highest allowed is \"business\"; name \"business\" or a PriorityClass of the hub \
                 below it; {DECIDED}"
            )]
        );
    }
    assert_eq!(
        says("gone", &of_pods("gone")),
        [format!(
            "{in_pods}: \"gone\" cannot be judged: \"gone\", the highest priority class allowed, is \
             no PriorityClass of the hub; have a platform administrator create the PriorityClass \
             \"gone\" on the hub; {DECIDED}"
        )],
        "of the same name, and unknown"
    );
    let found = says("spare", &spec(vec![running("nginx")]));
    assert_eq!(
        found,
        ["spec.priorityClassName", in_pods].map(|place| format!(
            "{place}: is missing, which counts as 0 and is above \"spare\" (-10), the highest \
             priority class allowed; name \"spare\" or a PriorityClass of the hub below it; {DECIDED}"
        )),
        "who names none is not above the others for that"
    );
}

#[test]
fn who_may_decide_is_who_has_the_rule() {
    let image = spec(vec![running("mirror.example/dev/web")]);
    let decides = |city: &[&str], agency: &[&str]| {
        let found = judged(&tree(registries(city), registries(agency)), &image);
        let fix = found.first().unwrap().fix.clone();
        fix.rsplit("decided by: ").next().unwrap().to_owned()
    };
    assert_eq!(
        decides(&["mirror.example"], &["mirror.example/gov"]),
        "civil security administrators"
    );
    assert_eq!(
        decides(&["mirror.example/gov"], &["mirror.example"]),
        "guangzhou security administrators"
    );
    assert_eq!(
        decides(&["mirror.example/gov"], &["mirror.example/gov/civil"]),
        "civil and guangzhou security administrators"
    );
}

#[test]
fn a_child_does_not_widen_by_a_lookalike_of_its_parents_registry() {
    let own = registries(&[
        "registry.gov.example.evil.com/",
        "registry.gov.example/civil/",
    ]);
    let tree = tree(registries(&["registry.gov.example"]), own);
    let allowed = &tree.get("civil").unwrap().guardrails.registries;
    assert_eq!(allowed, &Some(list(&["registry.gov.example/civil/"])));
    let lookalike = spec(vec![running("registry.gov.example.evil.com/web")]);
    assert_eq!(judged(&tree, &lookalike).len(), 1);
    let own = spec(vec![running("registry.gov.example/civil/web")]);
    assert!(judged(&tree, &own).is_empty());
}

#[test]
fn all_that_is_refused_is_said_at_once_and_bounded() {
    let rails = Guardrails {
        registries: Some(list(&[
            "a.example",
            "b.example",
            "c.example",
            "d.example",
            "e.example",
            "f.example",
            "g.example",
        ])),
        ingress_hosts: Some(list(&["gz.gov.example"])),
        storage_classes: Some(list(&["standard"])),
        ..highest("business")
    };
    let long = "x".repeat(10_000);
    let manifests = vec![
        deployment(json!({
            "priorityClassName": long,
            "containers": [{"name": long, "image": long}],
        })),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"rules": [{"host": long}]}),
        ),
        object(
            "v1",
            "PersistentVolumeClaim",
            json!({"storageClassName": long}),
        ),
    ];
    let found = judged(&tree(rails, Guardrails::default()), &spec(manifests));
    assert_eq!(found.len(), 4, "{found:#?}");
    let message = summarize(&found);
    assert!(message.contains("\"f.example\", and 1 more;"), "{message}");
    assert!(message.len() < 4096, "{} bytes", message.len());
}
