use super::*;
use crate::interpret::{Context, interpret};
use heyun_crds::common::{LabelEquals, Toleration};
use heyun_crds::member_cluster::{ClassMap, MemberClusterSpec};
use heyun_crds::quantity::Quantity;
use heyun_crds::workload::{ImageOverride, Override, WorkloadSpec};
use heyun_scheduler::resources::Resources;
use serde_json::{Value, json};

const MANIFESTS: &str = r#"
- apiVersion: networking.k8s.io/v1
  kind: Ingress
  metadata: {name: web}
  spec: {ingressClassName: default}
- apiVersion: autoscaling/v2
  kind: HorizontalPodAutoscaler
  metadata: {name: web}
  spec:
    scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
    minReplicas: 3
    maxReplicas: 24
- apiVersion: policy/v1
  kind: PodDisruptionBudget
  metadata: {name: web}
  spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, labels: {app.kubernetes.io/managed-by: helm}, annotations: {note: keep}}
  spec:
    replicas: 12
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec:
        runtimeClassName: kata
        tolerations: [{key: mine, operator: Exists}]
        affinity:
          nodeAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              nodeSelectorTerms:
              - matchExpressions: [{key: disk, operator: In, values: [ssd]}]
              - matchFields: [{key: metadata.name, operator: In, values: [n1]}]
        containers: [{name: c, image: i, resources: {requests: {cpu: "1"}}}]
- apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: db}
  spec:
    replicas: 1
    selector: {matchLabels: {app: db}}
    serviceName: db
    template:
      metadata: {labels: {app: db}}
      spec: {containers: [{name: c, image: i}]}
    volumeClaimTemplates:
    - metadata: {name: data}
      spec: {storageClassName: standard, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: civil}
  spec: {selector: {app: web}, ports: [{port: 80}]}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings, creationTimestamp: null}
  data: {a: b}
  status: {}
"#;

struct World {
    workload: Workload,
    placement: PlacementSpec,
    decision: Decision,
    tenant: TenantNode,
    members: BTreeMap<String, MemberCluster>,
    flavors: BTreeMap<String, FlavorSpec>,
    secrets: BTreeMap<String, String>,
}

fn flavor(labels: &[(&str, &str)], precedence: i32) -> FlavorSpec {
    let match_labels = labels
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    FlavorSpec {
        node_selector: LabelEquals { match_labels },
        precedence,
        tolerations: vec![],
    }
}

fn assigned(member: &str, flavor: &str, component: &str, replicas: i32) -> Assignment {
    Assignment {
        member: member.to_owned(),
        flavor: flavor.to_owned(),
        component: component.to_owned(),
        replicas,
        ..Assignment::default()
    }
}

fn member(name: &str) -> MemberCluster {
    let pair = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
    let class_map = ClassMap {
        storage: pair("standard", "csi-disk"),
        ingress: pair("default", "nginx"),
        runtime: pair("kata", "kata-qemu"),
        priority: BTreeMap::new(),
    };
    MemberCluster::new(
        name,
        MemberClusterSpec {
            class_map,
            ..MemberClusterSpec::default()
        },
    )
}

fn world() -> World {
    let manifests: Vec<Value> = serde_yaml::from_str(MANIFESTS).unwrap();
    let spec = WorkloadSpec {
        manifests: manifests.into_iter().map(Manifest).collect(),
        ..WorkloadSpec::default()
    };
    let mut workload = Workload::new("assistance", spec);
    workload.metadata.namespace = Some("civil".to_owned());
    workload.metadata.uid = Some("uid-w".to_owned());
    workload.metadata.generation = Some(4);
    let mut xinchuang = flavor(
        &[
            ("kubernetes.io/arch", "arm64"),
            ("heyun.dev/xinchuang", "true"),
        ],
        20,
    );
    xinchuang.tolerations = vec![Toleration {
        key: "xinchuang".to_owned(),
        value: "true".to_owned(),
        ..Toleration::default()
    }];
    World {
        workload,
        placement: PlacementSpec::default(),
        decision: Decision {
            id: "d1".to_owned(),
            generation: 4,
            epoch: 3,
            assignments: vec![
                assigned("gz", "xinchuang", "Deployment/web", 8),
                assigned("province", "general", "Deployment/web", 4),
                assigned("gz", "xinchuang", "StatefulSet/db", 1),
            ],
            ..Decision::default()
        },
        tenant: TenantNode {
            name: "civil".to_owned(),
            uid: "uid-t".to_owned(),
            path: "gd/civil".to_owned(),
            ..TenantNode::default()
        },
        members: ["gz", "province", "other"]
            .map(|n| (n.to_owned(), member(n)))
            .into(),
        flavors: [
            ("xinchuang".to_owned(), xinchuang),
            ("general".to_owned(), flavor(&[], 0)),
            (
                "arm".to_owned(),
                flavor(&[("kubernetes.io/arch", "arm64")], 10),
            ),
        ]
        .into(),
        secrets: [("tls".to_owned(), "abc".to_owned())].into(),
    }
}

fn render(world: &World) -> Result<Vec<RenderedWork>, RenderError> {
    let defaults = Resources::new();
    let context = Context {
        namespace: "civil",
        placement: &world.placement,
        default_requests: &defaults,
    };
    let interpreted = interpret(&world.workload.spec, &context).unwrap();
    works(&Input {
        workload: &world.workload,
        interpreted: &interpreted,
        placement: &world.placement,
        decision: &world.decision,
        epoch: 5,
        tenant: &world.tenant,
        members: &world.members,
        flavors: &world.flavors,
        secrets: &world.secrets,
    })
}

fn object<'a>(work: &'a RenderedWork, kind: &str) -> &'a Value {
    &work
        .spec
        .manifests
        .iter()
        .find(|m| m.0["kind"] == kind)
        .unwrap()
        .0
}

fn kinds(work: &RenderedWork) -> Vec<&str> {
    work.spec
        .manifests
        .iter()
        .map(|m| m.0["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn each_member_of_the_decision_gets_one_work() {
    let works = render(&world()).unwrap();
    let names: Vec<_> = works
        .iter()
        .map(|w| (w.namespace.as_str(), w.name.as_str()))
        .collect();
    let name = work_name("civil", "assistance");
    assert_eq!(
        names,
        [
            ("heyun-member-gz", name.as_str()),
            ("heyun-member-province", name.as_str())
        ]
    );
    let gz = &works[0];
    assert_eq!(gz.labels[labels::WORKLOAD], "assistance");
    assert_eq!(gz.annotations[labels::TENANT_PATH], "gd/civil");
    assert_eq!(
        (gz.spec.decision.as_str(), gz.spec.epoch, gz.spec.retire),
        ("d1", 5, None)
    );
    assert_eq!(gz.spec.assignments.len(), 2, "its own alone");
    assert_eq!(gz.spec.workload.generation, 4);
    assert_eq!(gz.spec.secrets[0].source, secret_copy_name(&name, "tls"));
}

/// Of a Job of seven completions, three at once: what the members count sums to what is asked for, and
/// each counts no fewer than it runs.
#[test]
fn a_divided_job_divides_its_completions() {
    let mut world = world();
    let job = |completions: Value| {
        let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
        let spec = json!({"parallelism": 3, "completions": completions, "template": template});
        Manifest(
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}),
        )
    };
    let specs = |world: &World| {
        let works = render(world).unwrap();
        let each = works.iter().map(|work| {
            let spec = &object(work, "Job")["spec"];
            (spec["parallelism"].clone(), spec["completions"].clone())
        });
        each.collect::<Vec<_>>()
    };
    let on = |member: &str, replicas| assigned(member, "general", "Job/j", replicas);
    world.workload.spec.manifests = vec![job(json!(7))];
    world.decision.assignments = vec![on("gz", 1), on("other", 1), on("province", 1)];
    let one = json!(1);
    let three = [
        (one.clone(), json!(3)),
        (one.clone(), json!(2)),
        (one.clone(), json!(2)),
    ];
    assert_eq!(specs(&world), three);
    world.decision.assignments = vec![on("gz", 1), on("province", 2)];
    // 2.33 and 4.67: the larger remainder is the second's.
    assert_eq!(
        specs(&world),
        [(one.clone(), json!(2)), (json!(2), json!(5))]
    );
    world.workload.spec.manifests = vec![job(Value::Null)];
    let unnumbered = [(one, Value::Null), (json!(2), Value::Null)];
    assert_eq!(specs(&world), unnumbered, "a queue of work is whoever's");
    world.workload.spec.manifests = vec![job(json!(7))];
    world.decision.assignments = vec![on("gz", 3)];
    assert_eq!(specs(&world), [(json!(3), json!(7))]);
}

#[test]
fn objects_come_in_order_and_only_where_their_component_is() {
    let mut world = world();
    let works = render(&world).unwrap();
    assert_eq!(
        kinds(&works[0]),
        [
            "ConfigMap",
            "Service",
            "Deployment",
            "StatefulSet",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
            "Ingress"
        ]
    );
    assert!(!kinds(&works[1]).contains(&"StatefulSet"));
    world
        .decision
        .assignments
        .retain(|a| a.component == "StatefulSet/db");
    let works = render(&world).unwrap();
    assert_eq!(
        kinds(&works[0]),
        ["ConfigMap", "Service", "StatefulSet", "Ingress"]
    );
}

#[test]
fn replicas_and_autoscalers_are_divided() {
    let works = render(&world()).unwrap();
    let of = |at: usize, kind: &str, field: &str| object(&works[at], kind)["spec"][field].clone();
    assert_eq!(
        (
            of(0, "Deployment", "replicas"),
            of(1, "Deployment", "replicas")
        ),
        (8.into(), 4.into())
    );
    let hpa = "HorizontalPodAutoscaler";
    assert_eq!(
        (of(0, hpa, "minReplicas"), of(0, hpa, "maxReplicas")),
        (2.into(), 16.into())
    );
    assert_eq!(
        (of(1, hpa, "minReplicas"), of(1, hpa, "maxReplicas")),
        (1.into(), 8.into())
    );
}

#[test]
fn an_autoscaler_makes_no_more_than_is_charged() {
    let amount = |cpu: &str| BTreeMap::from([("cpu".to_owned(), Quantity::from(cpu))]);
    let mut world = world();
    world.decision.assignments[0].requests = amount("1");
    // Replicas and surge alone, as an older hub charged them.
    world.decision.assignments[0].charge = amount("10");
    world.decision.assignments[1].requests = amount("1");
    world.decision.assignments[1].charge = amount("9");
    let hpa = "HorizontalPodAutoscaler";
    let works = render(&world).unwrap();
    let most = |at: usize| object(&works[at], hpa)["spec"]["maxReplicas"].clone();
    assert_eq!(most(0), 8, "10 pods hold 8 and their surge");
    assert_eq!(most(1), 7, "of 8, the part by its replicas");

    world.decision.assignments[1].replicas = 0;
    let works = render(&world).unwrap();
    assert_eq!(object(&works[1], "Deployment")["spec"]["replicas"], 0);
    assert!(!kinds(&works[1]).contains(&hpa));
}

#[test]
fn duplicated_replicas_leave_bounds_whole() {
    let mut world = world();
    world.placement.division.type_ = DivisionType::Duplicated;
    for assignment in &mut world.decision.assignments {
        assignment.replicas = 12;
    }
    let works = render(&world).unwrap();
    for work in &works {
        assert_eq!(object(work, "Deployment")["spec"]["replicas"], 12);
        assert_eq!(
            object(work, "HorizontalPodAutoscaler")["spec"]["maxReplicas"],
            24
        );
    }
}

#[test]
fn a_flavor_narrows_every_written_term() {
    let works = render(&world()).unwrap();
    let pod = |at: usize| &object(&works[at], "Deployment")["spec"]["template"]["spec"];
    let terms = |at: usize| {
        pod(at)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].clone()
    };
    let xinchuang = json!([
        {"key": "heyun.dev/xinchuang", "operator": "In", "values": ["true"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
    ]);
    let [one, two] = [xinchuang[0].clone(), xinchuang[1].clone()];
    assert_eq!(
        terms(0),
        json!([
            {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}, one, two]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
             "matchExpressions": xinchuang},
        ])
    );
    // general: not arm (arch), and not xinchuang (one of two labels is missing): two ways each.
    let rendered = terms(1);
    assert_eq!(rendered.as_array().unwrap().len(), 4, "{rendered}");
    for term in rendered.as_array().unwrap() {
        let not_arm =
            json!({"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["arm64"]});
        assert!(
            term["matchExpressions"]
                .as_array()
                .unwrap()
                .contains(&not_arm)
        );
    }
    assert_eq!(
        pod(0)["tolerations"],
        json!([
            {"key": "mine", "operator": "Exists"},
            {"key": "xinchuang", "operator": "Equal", "value": "true"},
        ])
    );
    let stateful = &object(&works[0], "StatefulSet")["spec"]["template"]["spec"]["affinity"];
    assert_eq!(
        stateful["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"],
        json!([{"matchExpressions": xinchuang}])
    );
}

#[test]
fn pods_stay_on_the_architectures_of_the_decision_where_a_flavor_spans_others() {
    let mut world = world();
    world.flavors.remove("arm");
    for assignment in &mut world.decision.assignments {
        assignment.architectures = vec!["amd64".to_owned(), "loong64".to_owned()];
    }
    let works = render(&world).unwrap();
    let spec = |at: usize| object(&works[at], "Deployment")["spec"]["template"]["spec"].clone();
    let node = |arch: &'static str| BTreeMap::from([("kubernetes.io/arch", arch), ("disk", "ssd")]);
    for (arch, runs) in [("amd64", true), ("loong64", true), ("arm64", false)] {
        let affinity = &spec(1)["affinity"]["nodeAffinity"];
        let terms =
            affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"].clone();
        // The first term as it is written; the second names a field of the node.
        let expressions = terms[0]["matchExpressions"].as_array().unwrap();
        let on = |e: &Value| {
            let found = node(arch).get(e["key"].as_str().unwrap()).copied();
            let values = e["values"].as_array().unwrap();
            let among = values.iter().any(|v| v.as_str() == found);
            if e["operator"] == "In" { among } else { !among }
        };
        assert_eq!(expressions.iter().all(on), runs, "{arch}: {terms}");
    }
    // A flavor that selects the architecture needs no second word of it.
    let terms = spec(0)["affinity"].to_string();
    assert_eq!(terms.matches("kubernetes.io/arch").count(), 2, "{terms}");
    assert!(!terms.contains("loong64"), "{terms}");
}

#[test]
fn containers_have_the_image_of_their_flavors_architecture() {
    let mut world = world();
    world.workload.spec.overrides = vec![Override {
        architectures: vec!["arm64".to_owned()],
        images: vec![ImageOverride {
            component: Some("Deployment/web".to_owned()),
            container: "c".to_owned(),
            image: "i-arm".to_owned(),
        }],
    }];
    let error = render(&world).unwrap_err();
    assert!(
        matches!(error, RenderError::NoArchitecture { .. }),
        "{error}"
    );
    let amd64 = flavor(&[("kubernetes.io/arch", "amd64")], 0);
    world.flavors.insert("general".to_owned(), amd64);
    let works = render(&world).unwrap();
    let image = |at: usize, kind: &str| {
        let pod = &object(&works[at], kind)["spec"]["template"]["spec"];
        pod["containers"][0]["image"].clone()
    };
    assert_eq!(image(0, "Deployment"), "i-arm");
    assert_eq!(
        image(0, "StatefulSet"),
        "i",
        "the override names another component"
    );
    assert_eq!(image(1, "Deployment"), "i");
}

#[test]
fn a_node_is_matched_by_the_terms_of_its_own_flavor_alone() {
    let flavors: BTreeMap<String, FlavorSpec> = [
        ("any", flavor(&[], 0)),
        ("a", flavor(&[("a", "1")], 10)),
        ("ab", flavor(&[("a", "1"), ("b", "1")], 20)),
        ("bc", flavor(&[("b", "1"), ("c", "1")], 30)),
        ("a2", flavor(&[("a", "2")], 40)),
    ]
    .map(|(name, flavor)| (name.to_owned(), flavor))
    .into();
    for a in [None, Some("1"), Some("2")] {
        for (b, c) in [
            (None, None),
            (Some("1"), None),
            (None, Some("1")),
            (Some("1"), Some("1")),
        ] {
            let pairs = [("a", a), ("b", b), ("c", c)];
            let node: BTreeMap<&str, &str> = pairs
                .into_iter()
                .filter_map(|(k, v)| Some((k, v?)))
                .collect();
            let own = flavors
                .iter()
                .filter(|(_, f)| {
                    let labels = &f.node_selector.match_labels;
                    labels
                        .iter()
                        .all(|(k, v)| node.get(k.as_str()) == Some(&v.as_str()))
                })
                .max_by_key(|(_, f)| f.precedence)
                .unwrap()
                .0;
            for name in flavors.keys() {
                let mut spec = json!({}).as_object().cloned().unwrap();
                super::flavors::require(&mut spec, &super::flavors::terms(name, &flavors).unwrap());
                assert_eq!(
                    matches(&Value::Object(spec), &node),
                    name == own,
                    "{name} {node:?}"
                );
            }
        }
    }
}

/// Kubernetes' rule: one of the terms, all of its expressions; `NotIn` also where the key is absent.
fn matches(spec: &Value, node: &BTreeMap<&str, &str>) -> bool {
    let pointer =
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let Some(terms) = spec.pointer(pointer).and_then(Value::as_array) else {
        return true;
    };
    terms.iter().any(|term| {
        term["matchExpressions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|e| {
                let found = node.get(e["key"].as_str().unwrap()).copied();
                let among = found == e["values"][0].as_str();
                if e["operator"] == "In" { among } else { !among }
            })
    })
}

#[test]
fn every_object_equals_its_manifest_but_for_the_documented_fields() {
    let world = world();
    let works = render(&world).unwrap();
    for work in &works {
        for rendered in &work.spec.manifests {
            let same = |m: &&Manifest| {
                m.0["kind"] == rendered.0["kind"]
                    && m.0["metadata"]["name"] == rendered.0["metadata"]["name"]
            };
            let written = world.workload.spec.manifests.iter().find(same).unwrap();
            let mut changed = Vec::new();
            differences("", &written.0, &rendered.0, &mut changed);
            for path in changed {
                assert!(
                    documented(&path),
                    "{path} of {} is not documented",
                    rendered.0["kind"]
                );
            }
        }
    }
}

fn documented(path: &str) -> bool {
    [
        "/metadata/namespace",
        "/metadata/creationTimestamp",
        "/metadata/labels/heyun.dev",
        "/metadata/annotations/heyun.dev",
        "/metadata/labels/app.kubernetes.io/managed-by",
        "/spec/template/metadata/labels/heyun.dev",
        "/spec/template/spec/affinity/nodeAffinity/required",
        "/spec/template/spec/tolerations",
        "/spec/template/spec/runtimeClassName",
        "/spec/volumeClaimTemplates/0/spec/storageClassName",
        "/spec/ingressClassName",
        "/spec/replicas",
        "/spec/minReplicas",
        "/spec/maxReplicas",
        "/status",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

fn differences(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    let null = Value::Null;
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                differences(&format!("{path}/{key}"), a, b, found);
            }
        }
        (Value::Null, Value::Object(b)) => {
            for (key, b) in b {
                differences(&format!("{path}/{key}"), &null, b, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{at}"), a, b, found);
            }
        }
        _ if one != other => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn marks_are_on_objects_and_pods_and_keep_what_was_there() {
    let works = render(&world()).unwrap();
    let deployment = object(&works[0], "Deployment");
    let name = work_name("civil", "assistance");
    assert_eq!(deployment["metadata"]["labels"][labels::MANAGED_BY], "helm");
    assert_eq!(deployment["metadata"]["labels"][labels::WORK], name);
    assert_eq!(deployment["metadata"]["annotations"]["note"], "keep");
    assert_eq!(deployment["metadata"]["annotations"][labels::EPOCH], "5");
    assert_eq!(
        deployment["metadata"]["annotations"][labels::COMPONENT],
        "Deployment/web"
    );
    let charge = deployment["metadata"]["annotations"][labels::CHARGE]
        .as_str()
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(charge).unwrap()["replicas"],
        8
    );
    let pods = &deployment["spec"]["template"]["metadata"];
    assert_eq!(pods["labels"][labels::WORK], name);
    assert_eq!(
        pods["labels"][labels::COMPONENT],
        crate::interpret::component_label("Deployment/web")
    );
    assert!(
        pods.get("annotations").is_none(),
        "a decision restarts no pod"
    );
    let settings = object(&works[0], "ConfigMap");
    assert_eq!(
        settings["metadata"]["labels"][labels::MANAGED_BY],
        labels::MANAGER
    );
    assert_eq!(settings["metadata"]["namespace"], "civil");
    assert!(settings.get("status").is_none());
    assert_eq!(
        settings["metadata"]["annotations"].get(labels::COMPONENT),
        None
    );
}

#[test]
fn classes_are_the_members_own() {
    let works = render(&world()).unwrap();
    let claims = &object(&works[0], "StatefulSet")["spec"]["volumeClaimTemplates"];
    assert_eq!(claims[0]["spec"]["storageClassName"], "csi-disk");
    assert_eq!(
        object(&works[0], "Ingress")["spec"]["ingressClassName"],
        "nginx"
    );
    assert_eq!(
        object(&works[0], "Deployment")["spec"]["template"]["spec"]["runtimeClassName"],
        "kata-qemu"
    );
}

#[test]
fn a_new_decision_of_the_same_shape_changes_no_pod_template() {
    let mut world = world();
    let before = render(&world).unwrap();
    world.decision.id = "d2".to_owned();
    world.decision.epoch = 9;
    let after = render(&world).unwrap();
    for (before, after) in before.iter().zip(&after) {
        for (one, other) in before.spec.manifests.iter().zip(&after.spec.manifests) {
            assert_eq!(one.0["spec"], other.0["spec"]);
        }
    }
}

#[test]
fn what_is_gone_is_an_error_or_left_out() {
    let mut world = world();
    world.members.remove("province");
    assert_eq!(
        render(&world).unwrap().len(),
        1,
        "a member that left gets no Work"
    );
    world.flavors.remove("xinchuang");
    let error = render(&world).unwrap_err().to_string();
    assert!(
        error.contains("with flavor xinchuang, and there is no Flavor"),
        "{error}"
    );
    let mut world = self::world();
    world
        .decision
        .assignments
        .push(assigned("gz", "general", "Deployment/gone", 1));
    assert!(matches!(
        render(&world),
        Err(RenderError::UnknownComponent { .. })
    ));
}

#[test]
fn carried_members_get_the_objects_without_components() {
    let mut world = world();
    world.decision.assignments.clear();
    world.decision.carried_to = vec!["other".to_owned()];
    let works = render(&world).unwrap();
    assert_eq!(works[0].namespace, "heyun-member-other");
    assert_eq!(kinds(&works[0]), ["ConfigMap", "Service", "Ingress"]);
}
