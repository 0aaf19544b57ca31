#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::collections::BTreeSet;

use heyun_crds::conditions::Reason;
use heyun_crds::placement::{DataPolicy, PlacementSpec};
use heyun_crds::workload::{ComponentSpec, Manifest, SecretUse, WorkloadSpec};
use heyun_scheduler::request::{Division, LabelOp, Surge, TolerationOp};
use heyun_scheduler::resources::Resources;
use serde_json::{Value, json};

use super::*;

fn defaults() -> Resources {
    Resources::new().with("cpu", 100).with("memory", 128 << 20)
}

fn with(spec: &WorkloadSpec, placement: &PlacementSpec) -> Result<Interpreted, Vec<ManifestError>> {
    let default_requests = defaults();
    let context = Context {
        namespace: "gz-civil-affairs",
        placement,
        default_requests: &default_requests,
    };
    interpret(spec, &context)
}

fn spec(manifests: Vec<Value>) -> WorkloadSpec {
    WorkloadSpec {
        manifests: manifests.into_iter().map(Manifest).collect(),
        ..WorkloadSpec::default()
    }
}

fn read(manifests: Vec<Value>) -> Interpreted {
    with(&spec(manifests), &PlacementSpec::default()).expect("valid")
}

fn faults(spec: &WorkloadSpec) -> Vec<String> {
    let errors = with(spec, &PlacementSpec::default()).expect_err("faulty");
    errors.iter().map(ToString::to_string).collect()
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{
            "name": "web", "image": "registry.gov.example/web:1",
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
        }]},
    })
}

fn object(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn deployment(name: &str) -> Value {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template(),
    });
    object("apps/v1", "Deployment", name, spec)
}

fn put(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let parent = value.pointer_mut(parent).expect("the parent is there");
    parent
        .as_object_mut()
        .expect("an object")
        .insert(field.to_owned(), new);
    value
}

/// The one component of one manifest.
fn one(manifest: Value) -> Component {
    let mut found = read(vec![manifest]);
    assert_eq!(found.components.len(), 1);
    found.components.remove(0)
}

#[test]
fn each_kind_has_its_replicas_surge_and_division() {
    let t = template();
    let sts = json!({"template": t});
    let claims = json!({"template": t, "volumeClaimTemplates": [{"metadata": {"name": "d"}}]});
    let job = json!({"parallelism": 4, "completions": 3, "template": t});
    let indexed = json!({"completions": 5, "completionMode": "Indexed", "template": t});
    let cron = |policy: Value| {
        json!({
            "concurrencyPolicy": policy,
            "jobTemplate": {"spec": {"parallelism": 2, "template": t}},
        })
    };
    let rolling = |surge: Value| {
        put(
            deployment("web"),
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": surge}}),
        )
    };
    let recreate = put(
        deployment("web"),
        "/spec/strategy",
        json!({"type": "Recreate"}),
    );
    let daemon = json!({"template": t});
    let daemon_surge =
        json!({"template": t, "updateStrategy": {"rollingUpdate": {"maxSurge": "10%"}}});
    let (absolute, percent) = (Surge::Absolute, Surge::Percent);
    let (divided, sticky) = (Division::Divided, Division::OneMember);
    let every = Division::EveryMatchingNode;
    let cases = [
        (deployment("web"), 3, percent(25), divided, false),
        (rolling(json!(2)), 3, absolute(2), divided, false),
        (rolling(json!("50%")), 3, percent(50), divided, false),
        (recreate, 3, absolute(0), divided, false),
        (
            object("apps/v1", "ReplicaSet", "w", json!({"template": t})),
            1,
            absolute(0),
            divided,
            false,
        ),
        (
            object("v1", "ReplicationController", "w", json!({"template": t})),
            1,
            absolute(0),
            divided,
            false,
        ),
        (
            object("apps/v1", "StatefulSet", "w", sts),
            1,
            absolute(0),
            sticky,
            false,
        ),
        (
            object("apps/v1", "StatefulSet", "w", claims),
            1,
            absolute(0),
            sticky,
            true,
        ),
        (
            object("apps/v1", "DaemonSet", "w", daemon),
            0,
            absolute(0),
            every,
            false,
        ),
        (
            object("apps/v1", "DaemonSet", "w", daemon_surge),
            0,
            percent(10),
            every,
            false,
        ),
        (
            object("batch/v1", "Job", "w", job),
            3,
            absolute(0),
            divided,
            false,
        ),
        (
            object("batch/v1", "Job", "w", indexed),
            1,
            absolute(0),
            sticky,
            false,
        ),
        (
            object("batch/v1", "CronJob", "w", cron(json!("Forbid"))),
            2,
            absolute(0),
            sticky,
            false,
        ),
        (
            object("batch/v1", "CronJob", "w", cron(json!("Replace"))),
            2,
            absolute(0),
            sticky,
            false,
        ),
        (
            object("batch/v1", "CronJob", "w", cron(Value::Null)),
            4,
            absolute(0),
            sticky,
            false,
        ),
        (
            object("v1", "Pod", "w", t["spec"].clone()),
            1,
            absolute(0),
            sticky,
            false,
        ),
    ];
    for (manifest, replicas, surge, division, pinned) in cases {
        let shown = manifest.to_string();
        let found = one(manifest).request;
        assert_eq!(found.replicas, replicas, "{shown}");
        assert_eq!(found.surge, surge, "{shown}");
        assert_eq!(found.division, division, "{shown}");
        assert_eq!(found.pinned_data, pinned, "{shown}");
        assert_eq!(found.per_replica.get("cpu"), 500, "{shown}");
        assert_eq!(found.per_replica.get("memory"), 1 << 30, "{shown}");
    }
}

#[test]
fn a_deployment_with_a_claim_stays_on_one_member_unless_its_data_may_move() {
    let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    let manifest = put(deployment("web"), "/spec/template/spec/volumes", volumes);
    let found = one(manifest.clone());
    assert_eq!(found.request.division, Division::OneMember);
    assert!(found.request.pinned_data);
    assert_eq!(found.unchecked, BTreeSet::from([Unchecked::VolumeTopology]));

    let placement = PlacementSpec {
        data: Some(DataPolicy::Replicated),
        ..PlacementSpec::default()
    };
    let found = with(&spec(vec![manifest]), &placement)
        .unwrap()
        .components
        .remove(0);
    assert_eq!(found.request.division, Division::Divided);
    assert!(!found.request.pinned_data);
}

#[test]
fn requests_follow_the_rules_of_kubernetes() {
    let c = |requests: Value, limits: Value| json!({"name": "c", "image": "i", "resources": {"requests": requests, "limits": limits}});
    let init = |cpu: &str, sidecar: bool| {
        let mut init = c(json!({"cpu": cpu, "memory": "0"}), json!({}));
        if sidecar {
            init["restartPolicy"] = json!("Always");
        }
        init
    };
    let full = c(json!({"cpu": "1", "memory": "1Gi"}), json!({}));
    // Name, pod spec, millicores, MiB.
    let cases = [
        (
            "sum of containers",
            json!({"containers": [full, full]}),
            2000,
            2048,
        ),
        (
            "limits are default requests",
            json!({"containers": [c(json!({"cpu": "100m"}), json!({"cpu": "1", "memory": "2Gi"}))]}),
            100,
            2048,
        ),
        (
            "the tenant's defaults",
            json!({"containers": [{"name": "c", "image": "i"}]}),
            100,
            128,
        ),
        (
            "defaults for what is missing",
            json!({"containers": [c(json!({"cpu": "1"}), json!({}))]}),
            1000,
            128,
        ),
        (
            "a large init container",
            json!({"containers": [full], "initContainers": [init("3", false)]}),
            3000,
            1024,
        ),
        (
            "a sidecar adds",
            json!({"containers": [full], "initContainers": [init("500m", true)]}),
            1500,
            1024,
        ),
        (
            "an init container runs beside earlier sidecars only",
            json!({"containers": [full], "initContainers": [init("1", true), init("3", false), init("2", true)]}),
            4000,
            1024,
        ),
        (
            "a late sidecar does not add to an early init container",
            json!({"containers": [full], "initContainers": [init("3", false), init("1", true)]}),
            3000,
            1024,
        ),
        (
            "overhead",
            json!({"containers": [full], "overhead": {"cpu": "250m", "memory": "128Mi"}}),
            1250,
            1152,
        ),
        (
            "pod-level requests replace",
            json!({"containers": [full], "resources": {"requests": {"cpu": "4"}}}),
            4000,
            1024,
        ),
        (
            "pod-level limits are default requests",
            json!({"containers": [{"name": "c", "image": "i"}], "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}),
            2000,
            1024,
        ),
        (
            "pod-level limits do not hide what containers request",
            json!({"containers": [full], "resources": {"limits": {"cpu": "2"}}}),
            1000,
            1024,
        ),
        (
            "numbers are quantities too",
            json!({"containers": [c(json!({"cpu": 2, "memory": 1_048_576}), json!({}))]}),
            2000,
            1,
        ),
    ];
    for (name, pod, cpu, mebibytes) in cases {
        let found = one(object("v1", "Pod", "p", pod)).request.per_replica;
        assert_eq!(found.get("cpu"), cpu, "{name}");
        assert_eq!(found.get("memory"), mebibytes << 20, "{name}");
    }
}

#[test]
fn extended_resources_and_huge_pages_are_requested() {
    let limits =
        json!({"huawei.com/Ascend910": 8, "hugepages-2Mi": "64Mi", "cpu": "1", "memory": "1Gi"});
    let pod = json!({"containers": [{"name": "c", "image": "i", "resources": {"limits": limits}}]});
    let found = one(object("v1", "Pod", "p", pod)).request.per_replica;
    assert_eq!(found.get("huawei.com/Ascend910"), 8);
    assert_eq!(found.get("hugepages-2Mi"), 64 << 20);
    assert!(!found.contains("pods"), "the scheduler counts pods itself");
}

#[test]
fn what_selects_nodes_is_read() {
    let manifest = put(
        deployment("web"),
        "/spec/template/spec/nodeSelector",
        json!({"kubernetes.io/arch": "arm64", "disk": "ssd"}),
    );
    let affinity = json!({
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "gen", "operator": "Gt", "values": ["3"]}]}, {},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        ]}},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]},
    });
    let manifest = put(manifest, "/spec/template/spec/affinity", affinity);
    let tolerations =
        json!([{"operator": "Exists"}, {"key": "gpu", "value": "a", "effect": "NoSchedule"}]);
    let manifest = put(manifest, "/spec/template/spec/tolerations", tolerations);
    let manifest = put(
        manifest,
        "/spec/template/spec/priorityClassName",
        json!("business"),
    );
    let found = read(vec![manifest]);
    let component = &found.components[0];
    let request = &component.request;
    assert_eq!(request.node_selector["disk"], "ssd");
    assert_eq!(request.architectures, BTreeSet::from(["arm64".to_owned()]));
    assert_eq!(
        request.node_affinity.len(),
        2,
        "the empty term matches no node"
    );
    assert_eq!(request.node_affinity[0][0].op, LabelOp::Gt);
    assert_eq!(request.tolerations[0].key, None);
    assert_eq!(request.tolerations[0].op, TolerationOp::Exists);
    assert_eq!(component.priority_class.as_deref(), Some("business"));
    assert_eq!(
        component.unchecked,
        BTreeSet::from([Unchecked::PodAntiAffinity, Unchecked::NodeFields])
    );
    assert_eq!(found.unchecked()[0], "Deployment/web: pod anti-affinity");
    let keys: Vec<&str> = found.label_keys.iter().map(String::as_str).collect();
    assert_eq!(keys, ["disk", "gen", "kubernetes.io/arch"]);
    assert!(found.required_classes.contains("priority/business"));
}

#[test]
fn architectures_are_narrowed_by_the_placement() {
    let placement = |arch: &[&str]| {
        let mut placement = PlacementSpec::default();
        placement.requirements.arch = arch.iter().map(|a| (*a).to_owned()).collect();
        placement
    };
    let arm = put(
        deployment("web"),
        "/spec/template/spec/nodeSelector",
        json!({"kubernetes.io/arch": "arm64"}),
    );
    let found = with(
        &spec(vec![deployment("web")]),
        &placement(&["amd64", "arm64"]),
    )
    .unwrap();
    assert_eq!(found.components[0].request.architectures.len(), 2);
    let found = with(&spec(vec![arm.clone()]), &placement(&["amd64", "arm64"])).unwrap();
    assert_eq!(found.components[0].request.architectures.len(), 1);
    let errors = with(&spec(vec![arm]), &placement(&["amd64"])).unwrap_err();
    assert!(
        errors[0].to_string().contains("make the two agree"),
        "{}",
        errors[0]
    );
}

fn hpa(target: &str, min: i64, max: i64) -> Value {
    let spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": min, "maxReplicas": max,
    });
    object("autoscaling/v2", "HorizontalPodAutoscaler", "hpa", spec)
}

#[test]
fn replicas_come_from_the_first_that_speaks_within_the_autoscalers_bounds() {
    let base = |hpa_bounds: Option<(i64, i64)>| {
        let mut manifests = vec![deployment("web"), deployment("api")];
        manifests.extend(hpa_bounds.map(|(min, max)| hpa("web", min, max)));
        spec(manifests)
    };
    let of = |spec: &WorkloadSpec| {
        with(spec, &PlacementSpec::default())
            .unwrap()
            .component("Deployment/web")
            .unwrap()
            .request
            .replicas
    };
    assert_eq!(of(&base(None)), 3);
    let mut said = base(None);
    said.replicas = Some(7);
    said.scale_target = Some("Deployment/web".to_owned());
    assert_eq!(of(&said), 7);
    said.components = vec![ComponentSpec {
        name: "Deployment/web".to_owned(),
        replicas: Some(9),
        divisible: None,
    }];
    assert_eq!(of(&said), 9);
    assert_eq!(of(&base(Some((5, 10)))), 5);
    assert_eq!(of(&base(Some((1, 10)))), 3);
    assert_eq!(of(&base(Some((1, 2)))), 2);
    let found = with(&base(Some((5, 10))), &PlacementSpec::default()).unwrap();
    assert!(found.is_hpa_target("Deployment/web"));
    assert!(!found.is_hpa_target("Deployment/api"));
    assert_eq!(
        found.component("Deployment/web").unwrap().hpa,
        Some(Hpa {
            manifest: 2,
            min: 5,
            max: 10,
            surge: Surge::Percent(25),
        })
    );
    assert_eq!(found.scale_target, None);
    assert_eq!(
        read(vec![deployment("web")]).scale_target.as_deref(),
        Some("Deployment/web")
    );
}

#[test]
fn all_that_an_autoscaler_may_make_is_charged() {
    let web = |strategy: Value| put(deployment("web"), "/spec/strategy", strategy);
    let divided = |strategy: Value, max: i64| {
        let found = read(vec![web(strategy), hpa("web", 1, max)]);
        let component = &found.components[0];
        assert_eq!(component.request.replicas, 3);
        (component.hpa.unwrap(), component.request.surge)
    };
    let one = json!({"rollingUpdate": {"maxSurge": 1}});
    let recreate = json!({"type": "Recreate"});
    for (strategy, max, surge) in [
        (json!({}), 3, Surge::Percent(25)),
        (one.clone(), 3, Surge::Absolute(1)),
        (json!({}), 24, Surge::Percent(900)),
        (one.clone(), 24, Surge::Percent(800)),
        (recreate.clone(), 24, Surge::Percent(700)),
        (recreate, 4, Surge::Percent(34)),
    ] {
        let (hpa, found) = divided(strategy.clone(), max);
        assert_eq!(found, surge, "{strategy} up to {max}");
        // However the three are divided, the part of each member is covered.
        for part in 1..=3 {
            let covered = hpa.covered(found.pods(part));
            assert!(covered >= part * max / 3, "{strategy}: {covered} of {part}");
            assert!(hpa.surge.pods(covered) <= found.pods(part));
        }
    }
    let mut whole = spec(vec![web(one), hpa("web", 1, 24)]);
    whole.components = vec![ComponentSpec {
        name: "Deployment/web".to_owned(),
        replicas: None,
        divisible: Some(false),
    }];
    let found = with(&whole, &PlacementSpec::default()).unwrap();
    let request = &found.components[0].request;
    assert_eq!(request.surge.pods(request.replicas), 25, "24 and one more");
}

#[test]
fn an_autoscaler_scales_what_its_workload_carries() {
    let wanted = "manifests[1] HorizontalPodAutoscaler/hpa: spec.scaleTargetRef: \
                  \"Deployment/other\" is not among the manifests; carry it in the same Workload: \
                  what an autoscaler makes is charged with it";
    let found = faults(&spec(vec![deployment("web"), hpa("other", 1, 3)]));
    assert_eq!(found, [wanted]);
    let rollout = object("argoproj.io/v1alpha1", "Rollout", "web", json!({}));
    let mut scaler = hpa("web", 1, 3);
    scaler["spec"]["scaleTargetRef"] =
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web"});
    assert_eq!(read(vec![rollout, scaler]).carried, [0, 1]);
    let nothing = put(deployment("web"), "/spec/replicas", json!(0));
    let found = read(vec![nothing, hpa("web", 0, 3)]);
    assert_eq!(found.components[0].request.replicas, 1);
}

#[test]
fn what_is_carried_is_listed_with_what_it_needs() {
    let ingress = object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        json!({"ingressClassName": "default", "tls": [{"hosts": ["a"], "secretName": "cert"}]}),
    );
    let claim = object(
        "v1",
        "PersistentVolumeClaim",
        "data",
        json!({"storageClassName": "standard"}),
    );
    let env = json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]);
    let web = put(
        deployment("web"),
        "/spec/template/spec/containers/0/env",
        env,
    );
    let custom = object("stable.example.com/v1", "CronTab", "c", json!({}));
    let mut spec = spec(vec![ingress, claim, web, custom]);
    spec.secrets = vec![SecretUse {
        name: "extra".to_owned(),
    }];
    let found = with(&spec, &PlacementSpec::default()).unwrap();
    assert_eq!(found.carried, [0, 1, 3]);
    let apis: Vec<&str> = found.required_apis.iter().map(String::as_str).collect();
    assert_eq!(
        apis,
        [
            "apps/v1/Deployment",
            "networking.k8s.io/v1/Ingress",
            "stable.example.com/v1/CronTab",
            "v1/PersistentVolumeClaim",
        ]
    );
    let classes: Vec<&str> = found.required_classes.iter().map(String::as_str).collect();
    assert_eq!(classes, ["ingress/default", "storage/standard"]);
    let need = |listed, required| SecretNeed { listed, required };
    assert_eq!(found.secrets["cert"], need(false, false));
    assert_eq!(found.secrets["db"], need(false, true));
    assert_eq!(found.secrets["extra"], need(true, true));
    assert_eq!(
        found.images.iter().next().unwrap(),
        "registry.gov.example/web:1"
    );
}

#[test]
fn a_claim_that_two_components_use_is_marked() {
    let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]);
    let one = |name| {
        put(
            deployment(name),
            "/spec/template/spec/volumes",
            volumes.clone(),
        )
    };
    let found = read(vec![one("a"), one("b"), deployment("c")]);
    let marked = |i: usize| {
        found.components[i]
            .unchecked
            .contains(&Unchecked::SharedClaim)
    };
    assert_eq!([marked(0), marked(1), marked(2)], [true, true, false]);
}

/// Every refusal, with the part of the message that tells it from the others.
#[test]
fn bad_manifests_are_refused_with_value_place_and_fix() {
    let named = |pointer: &str, new: Value| put(deployment("web"), pointer, new);
    let requests = |r: Value| {
        named(
            "/spec/template/spec/containers/0/resources",
            json!({"requests": r}),
        )
    };
    let cases = [
        (
            json!({"kind": "Service", "metadata": {"name": "a"}}),
            "manifests[0] Service/a: apiVersion: is missing; add it",
        ),
        (
            json!({"apiVersion": "v1", "metadata": {"name": "a"}}),
            "manifests[0]: kind: is missing; add it",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service"}),
            "manifests[0] Service: metadata: is missing; add it",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {}}),
            "manifests[0] Service: metadata.name: is missing; add it",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"generateName": "a-"}}),
            "metadata.generateName: is not allowed in a Workload; give it a fixed metadata.name",
        ),
        (json!("text"), "manifests[0]: is not an object"),
        (
            json!({"apiVersion": "a/b/c", "kind": "X", "metadata": {"name": "a"}}),
            "apiVersion: \"a/b/c\" is not a group and version",
        ),
        (
            object("v1", "Namespace", "a", json!({})),
            "v1 Namespace is cluster-scoped",
        ),
        (
            object(
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                "a",
                json!({}),
            ),
            "is cluster-scoped",
        ),
        (
            object("v1", "Secret", "a", json!({})),
            "create the Secret in this namespace and name it in spec.secrets",
        ),
        (
            object("v1", "ResourceQuota", "a", json!({})),
            "is a kind that the platform writes itself",
        ),
        (
            object("v1", "LimitRange", "a", json!({})),
            "is a kind that the platform writes itself",
        ),
        (
            object("coordination.k8s.io/v1", "Lease", "a", json!({})),
            "is a kind that the platform writes itself",
        ),
        (
            object("discovery.k8s.io/v1", "EndpointSlice", "a", json!({})),
            "is a kind that the platform writes itself",
        ),
        (
            object("heyun.dev/v1alpha1", "Workload", "a", json!({})),
            "is a kind that the platform writes itself",
        ),
        (
            object("policy/v1", "Eviction", "a", json!({})),
            "is a kind that no API server stores",
        ),
        (
            json!({"apiVersion": "v1", "kind": "List", "items": []}),
            "is a list of objects; put each of its items into manifests",
        ),
        (
            named("/metadata/namespace", json!("other")),
            "metadata.namespace: \"other\" is not the Workload's own namespace; write gz-civil-affairs",
        ),
        (
            named("/metadata/name", json!("heyun-hub")),
            "metadata.name: \"heyun-hub\" begins with heyun",
        ),
        (
            named("/metadata/name", json!("Web_1")),
            "metadata.name: \"Web_1\" is no name of a Deployment",
        ),
        (
            named("/metadata/labels", json!({"heyun.dev/work": "x"})),
            "metadata.labels[heyun.dev/work]: heyun.dev/ is the platform's prefix",
        ),
        (
            named("/metadata/annotations", json!({"a.heyun.dev/x": "x"})),
            "metadata.annotations[a.heyun.dev/x]",
        ),
        (
            named(
                "/spec/template/metadata",
                json!({"labels": {"heyun.dev/work": "x"}}),
            ),
            "spec.template.metadata.labels[heyun.dev/work]",
        ),
        (
            named("/metadata/uid", json!("x")),
            "metadata.uid: belongs to one cluster's own object",
        ),
        (
            named("/spec/template", Value::Null),
            "spec.template: is missing",
        ),
        (
            named("/spec/template", json!({})),
            "spec.template.spec: is missing",
        ),
        (
            named("/spec/template/spec/containers", json!([])),
            "spec.template.spec.containers: holds no container",
        ),
        (
            named("/spec/template/spec/containers", json!({})),
            "spec.template.spec.containers: {} is not a list",
        ),
        (
            named("/spec/template/spec/containers/0/image", json!("")),
            "containers[0].image: is missing",
        ),
        (
            named(
                "/spec/template/spec/serviceAccountName",
                json!("heyun-deployer"),
            ),
            "\"heyun-deployer\" is the platform's account",
        ),
        (
            named(
                "/spec/template/spec/priorityClassName",
                json!("system-node-critical"),
            ),
            "spec.template.spec.priorityClassName: \"system-node-critical\" is a class of the \
             member's own pods; name a PriorityClass of the platform, or remove it",
        ),
        (
            named("/spec/replicas", json!(-1)),
            "spec.replicas: -1 is not a whole number",
        ),
        (
            named("/spec/replicas", json!("3")),
            "spec.replicas: \"3\" is not a whole number",
        ),
        (
            named("/spec/replicas", json!(4_294_967_296_i64)),
            "spec.replicas: 4294967296 is not a whole number",
        ),
        (
            named(
                "/spec/strategy",
                json!({"rollingUpdate": {"maxSurge": "x"}}),
            ),
            "spec.strategy.rollingUpdate.maxSurge: \"x\" is no surge",
        ),
        (
            requests(json!({"cpu": "-1"})),
            "containers[0].resources.requests.cpu: \"-1\" is negative; write 0 or more",
        ),
        (
            requests(json!({"cpu": "1 core"})),
            "resources.requests.cpu: quantity \"1 core\" is malformed",
        ),
        (
            requests(json!({"cpu": "1e30"})),
            "resources.requests.cpu: quantity",
        ),
        (
            requests(json!({"memory": "8Ei", "cpu": "1"})),
            "request more than can be counted",
        ),
        (
            requests(json!({"cpu": {}})),
            "resources.requests.cpu: quantity {} is neither text nor a number",
        ),
        (
            named(
                "/spec/template/spec/containers/0/resources",
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            ),
            "requests.cpu: is more than the limit",
        ),
        (
            named("/spec/template/spec/nodeSelector", json!({"a": true})),
            "spec.template.spec.nodeSelector[a]: true is not text",
        ),
        (
            named(
                "/spec/template/spec/tolerations",
                json!([{"key": "a", "effect": "Never"}]),
            ),
            "tolerations[0].effect: \"Never\" is no effect",
        ),
        (
            hpa("web", 5, 2),
            "spec.maxReplicas: 2 is less than the least number of replicas (5)",
        ),
    ];
    for (manifest, wanted) in cases {
        let shown = manifest.to_string();
        let found = faults(&spec(vec![manifest]));
        assert!(
            found.iter().any(|f| f.contains(wanted)),
            "{shown}\nwanted: {wanted}\nfound: {found:#?}"
        );
    }
}

#[test]
fn refused_kinds_have_their_own_reason() {
    let errors = with(
        &spec(vec![object("v1", "Node", "a", json!({}))]),
        &PlacementSpec::default(),
    );
    assert_eq!(errors.unwrap_err()[0].reason, Reason::KindNotAllowed);
}

#[test]
fn a_list_as_a_whole_is_refused() {
    assert_eq!(
        faults(&spec(vec![])),
        ["spec.manifests: holds no manifest; add at least one Kubernetes manifest"]
    );
    let many = (0..201)
        .map(|i| object("v1", "ConfigMap", &format!("c{i}"), json!({})))
        .collect();
    assert!(faults(&spec(many))[0].contains("holds 201 manifests, and the most is 200; split"));
    let data = "x".repeat(600 * 1024);
    let big = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": data}});
    assert!(faults(&spec(vec![big]))[0].contains("bytes as JSON, and the most is 524288"));
    let twice = faults(&spec(vec![deployment("web"), deployment("web")]));
    assert_eq!(
        twice,
        [
            "manifests[1] Deployment/web: is there twice: manifests[0] is the same object; remove one of the two"
        ]
    );
}

#[test]
fn what_the_workload_says_of_components_must_name_one() {
    let two = || spec(vec![deployment("web"), deployment("api")]);
    let said = |name: &str, replicas, divisible| ComponentSpec {
        name: name.to_owned(),
        replicas,
        divisible,
    };
    let mut neither = two();
    neither.replicas = Some(4);
    let mut wrong = two();
    wrong.scale_target = Some("Deployment/db".to_owned());
    let mut absent = two();
    absent.components = vec![said("Deployment/db", Some(1), None)];
    let mut pod = spec(vec![object("v1", "Pod", "p", template()["spec"].clone())]);
    pod.replicas = Some(4);
    let mut pod_divided = spec(vec![object("v1", "Pod", "p", template()["spec"].clone())]);
    pod_divided.components = vec![said("Pod/p", Some(2), Some(true))];
    let claims =
        json!({"template": template(), "volumeClaimTemplates": [{"metadata": {"name": "d"}}]});
    let mut data = spec(vec![object("apps/v1", "StatefulSet", "db", claims)]);
    data.components = vec![said("StatefulSet/db", None, Some(true))];
    let mut negative = two();
    negative.components = vec![said("Deployment/web", Some(-3), None)];
    let cases = [
        (
            neither,
            "spec.replicas: 4 could mean each of: Deployment/web, Deployment/api; name one in spec.scaleTarget",
        ),
        (
            wrong,
            "spec.scaleTarget: \"Deployment/db\" names no component that can be scaled; write one of: Deployment/web",
        ),
        (
            absent,
            "spec.components[0].name: \"Deployment/db\" names no component",
        ),
        (
            pod,
            "spec.replicas: 4 means no component: none can be scaled; remove it",
        ),
        (
            pod_divided.clone(),
            "spec.components[0].replicas: a Pod has no replicas to set",
        ),
        (
            pod_divided,
            "spec.components[0].divisible: a Pod is never divided",
        ),
        (
            data,
            "spec.components[0].divisible: StatefulSet/db holds volume claims",
        ),
        (
            negative,
            "spec.components[0].replicas: -3 is no number of replicas",
        ),
    ];
    for (spec, wanted) in cases {
        let found = faults(&spec);
        assert!(
            found.iter().any(|f| f.contains(wanted)),
            "wanted: {wanted}\nfound: {found:#?}"
        );
    }
}

#[test]
fn every_fault_is_reported_and_the_summary_is_bounded() {
    let bad = |i: usize| put(deployment(&format!("web{i}")), "/spec/replicas", json!(-1));
    let errors = with(&spec((0..20).map(bad).collect()), &PlacementSpec::default()).unwrap_err();
    assert_eq!(errors.len(), 20);
    let summary = summarize(&errors);
    assert!(summary.ends_with("and 12 more"), "{summary}");
}

#[test]
fn divisible_changes_the_division() {
    let said = |name: &str, divisible| ComponentSpec {
        name: name.to_owned(),
        replicas: None,
        divisible: Some(divisible),
    };
    let mut spec = spec(vec![
        deployment("web"),
        object(
            "apps/v1",
            "StatefulSet",
            "q",
            json!({"template": template()}),
        ),
    ]);
    spec.components = vec![said("Deployment/web", false), said("StatefulSet/q", true)];
    let found = with(&spec, &PlacementSpec::default()).unwrap();
    assert_eq!(found.components[0].request.division, Division::OneMember);
    assert_eq!(found.components[1].request.division, Division::Divided);
}

#[test]
fn replicas_are_set_by_kind() {
    let share = Share {
        replicas: 2,
        before: 3,
        total: 5,
    };
    let set = |manifest: Value, share| {
        let key = object_key(&manifest).unwrap();
        let kind = ComponentKind::of(&key.api_version, &key.kind).unwrap();
        let mut manifest = manifest;
        set_replicas(&mut manifest, kind, share);
        manifest["spec"].clone()
    };
    assert_eq!(set(deployment("web"), share)["replicas"], 2);
    let sts = |spec| object("apps/v1", "StatefulSet", "q", spec);
    assert_eq!(
        set(sts(json!({})), share),
        json!({"replicas": 2, "ordinals": {"start": 3}})
    );
    assert_eq!(
        set(sts(json!({"ordinals": {"start": 10}})), share),
        json!({"replicas": 2, "ordinals": {"start": 13}})
    );
    assert_eq!(set(sts(json!({})), Share::whole(2)), json!({"replicas": 2}));
    let job = |spec| object("batch/v1", "Job", "j", spec);
    assert_eq!(
        set(job(json!({"completions": 10, "parallelism": 5})), share),
        json!({"completions": 10, "parallelism": 2})
    );
    assert_eq!(
        set(job(json!({"completions": 10})), Share::whole(1)),
        json!({"completions": 10})
    );
    for (api, kind) in [
        ("batch/v1", "CronJob"),
        ("v1", "Pod"),
        ("apps/v1", "DaemonSet"),
    ] {
        assert_eq!(
            set(object(api, kind, "x", json!({"a": 1})), share),
            json!({"a": 1})
        );
    }
    let mut scaler = hpa("web", 3, 10);
    set_hpa_bounds(&mut scaler, share);
    assert_eq!(
        (
            scaler["spec"]["minReplicas"].clone(),
            scaler["spec"]["maxReplicas"].clone()
        ),
        (json!(2), json!(4))
    );
}

#[test]
fn component_labels_are_labels() {
    assert_eq!(component_label("Deployment/web"), "deployment-web");
    let long = component_label(&format!("StatefulSet/{}", "a".repeat(200)));
    assert_eq!(long.len(), 63);
    assert_ne!(
        long,
        component_label(&format!("StatefulSet/{}", "a".repeat(201)))
    );
    assert!(is_component("deployment-web", "Deployment/web"));
    assert!(is_component("Deployment/web", "Deployment/web"));
    assert!(!is_component("deployment-web", "Deployment/api"));
}

#[test]
fn selectors_are_text() {
    let selector = json!({
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "DoesNotExist"}],
    });
    assert_eq!(
        label_selector(&put(deployment("w"), "/spec/selector", selector)),
        "app=web,tier in (a,b),!x"
    );
}

mod properties {
    use heyun_crds::placement::PlacementSpec;
    use heyun_scheduler::resources::Resources;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::requests::{Amounts, InitAmounts, PodAmounts};
    use super::super::{by_largest_remainder, shares};

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_stay_within_the_replicas(
            replicas in prop::collection::vec(0_i64..50, 1..8),
            amount in 0_i64..200,
        ) {
            let shares = shares(&replicas);
            let total: i64 = replicas.iter().sum();
            prop_assume!(total > 0);
            let parts: Vec<i64> = shares.iter().map(|s| s.part(amount)).collect();
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            for (share, part) in shares.iter().zip(&parts) {
                if amount <= total {
                    prop_assert!(*part <= share.replicas);
                } else {
                    prop_assert!(*part >= share.replicas);
                }
            }
        }

        /// By definition: each part is its exact share rounded up or down, and no one that is
        /// rounded down has a larger remainder than one that is rounded up.
        #[test]
        fn completions_divide_by_largest_remainder(
            replicas in prop::collection::vec(1_i64..50, 1..8),
            beyond in 0_i64..200,
        ) {
            let total: i64 = replicas.iter().sum();
            let amount = total + beyond;
            let parts = by_largest_remainder(amount, &replicas);
            prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            let exact = |index: usize| (amount * replicas[index] / total, amount * replicas[index] % total);
            let up = (0..parts.len()).filter(|index| parts[*index] > exact(*index).0);
            let least = up.clone().map(|index| exact(index).1).min();
            for (index, part) in parts.iter().enumerate() {
                let (floor, remainder) = exact(index);
                prop_assert!(*part >= replicas[index], "no member runs what it does not count");
                prop_assert!((floor..=floor + i64::from(remainder > 0)).contains(part));
                let down = *part == floor;
                prop_assert!(!down || least.is_none_or(|least| remainder <= least));
            }
        }

        /// A pod's request is the most that it ever runs at once: its start is played through.
        #[test]
        fn a_pod_requests_its_peak(
            containers in prop::collection::vec(0_i64..9, 1..4),
            init in prop::collection::vec((0_i64..9, any::<bool>()), 0..5),
        ) {
            let amounts = |cpu: i64| Amounts {
                requests: Resources::new().with("cpu", cpu),
                limits: Resources::new(),
            };
            let pod = PodAmounts {
                containers: containers.iter().map(|c| amounts(*c)).collect(),
                init_containers: init
                    .iter()
                    .map(|(cpu, restartable)| InitAmounts { amounts: amounts(*cpu), restartable: *restartable })
                    .collect(),
                ..PodAmounts::default()
            };
            let mut running: Vec<i64> = Vec::new();
            let mut peak = 0;
            for (cpu, restartable) in &init {
                peak = peak.max(running.iter().sum::<i64>() + cpu);
                if *restartable {
                    running.push(*cpu);
                }
            }
            running.extend(&containers);
            peak = peak.max(running.iter().sum());
            prop_assert_eq!(pod.requests(&Resources::new()).unwrap().get("cpu"), peak);
        }

        /// Whatever stands anywhere in a manifest: no panic, and every fault names its place.
        #[test]
        fn anything_anywhere_is_read_or_reported(
            which in 0_usize..6,
            place in any::<prop::sample::Index>(),
            new in value(),
        ) {
            let mut manifest = samples().swap_remove(which);
            let pointers = pointers(&manifest);
            let pointer = &pointers[place.index(pointers.len())];
            *manifest.pointer_mut(pointer).unwrap() = new;
            let told = crate::health::assess(&manifest);
            prop_assert!(!told.reason.is_empty());
            if let Err(errors) = super::with(&super::spec(vec![manifest]), &PlacementSpec::default()) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(!error.place.is_empty() && !error.problem.is_empty());
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-zA-Z0-9.%/\u{4e00}-]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..3)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn pointers(value: &Value) -> Vec<String> {
        let mut all = vec![String::new()];
        let inner: Vec<(String, &Value)> = match value {
            Value::Object(map) => map
                .iter()
                .map(|(k, v)| (k.replace('~', "~0").replace('/', "~1"), v))
                .collect(),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(i, v)| (i.to_string(), v))
                .collect(),
            _ => Vec::new(),
        };
        for (key, value) in inner {
            all.extend(
                pointers(value)
                    .into_iter()
                    .map(|rest| format!("/{key}{rest}")),
            );
        }
        all
    }

    fn samples() -> Vec<Value> {
        let mut rich = super::template();
        rich["spec"]["tolerations"] =
            json!([{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]);
        rich["spec"]["nodeSelector"] = json!({"kubernetes.io/arch": "arm64"});
        rich["spec"]["resources"] = json!({"limits": {"cpu": "2"}});
        rich["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}},
            {"name": "p", "persistentVolumeClaim": {"claimName": "c"}}]);
        rich["spec"]["affinity"] = json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}});
        let deployment = json!({"replicas": 2, "template": rich, "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}});
        let stateful = json!({"template": rich, "volumeClaimTemplates": [
            {"metadata": {"name": "d"}, "spec": {"storageClassName": "standard"}}]});
        let cron = json!({"concurrencyPolicy": "Allow",
            "jobTemplate": {"spec": {"parallelism": 2, "completions": 4, "template": rich}}});
        vec![
            super::object("apps/v1", "Deployment", "d", deployment),
            super::object("apps/v1", "StatefulSet", "s", stateful),
            super::object("batch/v1", "CronJob", "c", cron),
            super::object("v1", "Pod", "p", rich["spec"].clone()),
            super::hpa("web", 1, 3),
            super::object(
                "networking.k8s.io/v1",
                "Ingress",
                "i",
                json!({"ingressClassName": "default", "tls": [{"secretName": "cert"}]}),
            ),
        ]
    }
}
