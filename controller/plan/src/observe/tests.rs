use super::*;
use crate::interpret::{Context, interpret};
use crate::preempt::Class;
use crate::tenants::tree;
use heyun_crds::common::{LabelEquals, LabelExpression, LabelOperator};
use heyun_crds::conditions::{Reason, set_condition};
use heyun_crds::flavor::FlavorSpec;
use heyun_crds::member_cluster::{
    ClassMap, Location, MemberClusterSpec, MemberClusterStatus, NetworkZone,
};
use heyun_crds::placement::{
    AffinityTerm, Components, ComponentsType, PlacementSpec, ScoreWeights, SpreadConstraint,
    WorkloadTerm, WorkloadTermType,
};
use heyun_crds::quantity::Quantity;
use heyun_crds::quota::{EffectiveQuota, QuotaLine, QuotaSpec, QuotaStatus};
use heyun_crds::sketch::{Shape, SketchSpec, SketchStatus};
use heyun_crds::tenant::{Guardrails, TenantSpec};
use heyun_crds::workload::{Assignment, Decision, Manifest, WorkloadSpec};
use heyun_crds::{Quota, Tenant, Workload};
use heyun_scheduler::quota::{Key, Line, Purpose};
use heyun_scheduler::request::ComponentKind;
use heyun_scheduler::resources::Resources;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A member of which no price is known.
fn member(
    object: &MemberCluster,
    sketch: Option<&Sketch>,
    charged: &[(&str, &HeldEntry)],
) -> Member {
    super::member(object, sketch, charged, BTreeMap::new())
}

fn at(second: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
}

fn cluster() -> MemberCluster {
    let pair = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
    let mut member = MemberCluster::new(
        "gz",
        MemberClusterSpec {
            provider: "huawei".to_owned(),
            owner: "guangzhou".to_owned(),
            operator: "ops".to_owned(),
            location: Location {
                region: "guangzhou".to_owned(),
            },
            zone: NetworkZone::CegnDedicated,
            mlps: Mlps {
                level: 3,
                ..Mlps::default()
            },
            class_map: ClassMap {
                storage: pair("standard", "csi-disk"),
                ingress: pair("default", "nginx"),
                ..ClassMap::default()
            },
            ..MemberClusterSpec::default()
        },
    );
    let mut status = MemberClusterStatus {
        apis: vec!["apps/v1/Deployment".to_owned()],
        ..Default::default()
    };
    let conditions = &mut status.conditions;
    set_condition(
        conditions,
        ConditionType::Ready,
        Some(true),
        "Healthy",
        "",
        None,
        &at(50),
    );
    member.status = Some(status);
    member
}

fn sketch(bound: &[(&str, &str, u32)]) -> Sketch {
    let mut sketch = Sketch::new("sketch", SketchSpec::default());
    let bound = bound.iter().map(|&(work, component, replicas)| Bound {
        work: work.to_owned(),
        component: component.to_owned(),
        replicas,
        flavor: None,
    });
    let free = [("cpu", "31"), ("memory", "bad"), ("pods", "98")];
    sketch.status = Some(SketchStatus {
        label_keys: vec!["disk".to_owned()],
        shapes: vec![Shape {
            count: 12,
            flavor: Some("x".to_owned()),
            free: free.map(|(k, v)| (k.to_owned(), Quantity::from(v))).into(),
            ..Shape::default()
        }],
        bound: bound.collect(),
        ..SketchStatus::default()
    });
    sketch
}

fn entry(component: &str, flavor: &str, replicas: i64) -> HeldEntry {
    HeldEntry {
        member: "gz".to_owned(),
        component: component.to_owned(),
        flavor: flavor.to_owned(),
        replicas,
        per_replica: Resources::new().with("cpu", 500),
        charge: Resources::new().with("cpu", 500 * replicas),
    }
}

#[test]
fn a_member_keeps_its_meaning() {
    let seen = member(&cluster(), Some(&sketch(&[])), &[]);
    assert_eq!(seen.readiness, Readiness::Ready);
    assert!(!seen.unschedulable);
    assert_eq!(
        (seen.zone.as_str(), seen.region.as_str()),
        ("cegn-dedicated", "guangzhou")
    );
    assert_eq!(
        seen.mlps,
        Some(snapshot::Mlps {
            level: 3,
            valid_until: None
        })
    );
    let classes: Vec<&str> = seen.classes.iter().map(String::as_str).collect();
    assert_eq!(classes, ["ingress/default", "storage/standard"]);
    let sketch = seen.sketch.unwrap();
    assert_eq!(sketch.shapes[0].free.get("cpu"), 31_000);
    assert_eq!(
        sketch.shapes[0].free.get("memory"),
        0,
        "what cannot be read is not free"
    );
    assert!(seen.apis.unwrap().contains("apps/v1/Deployment"));
}

#[test]
fn what_is_not_known_is_unknown() {
    let mut object = cluster();
    object.status = None;
    let seen = member(&object, None, &[]);
    assert_eq!(seen.readiness, Readiness::NeverSeen);
    assert_eq!((seen.apis, seen.sketch), (None, None));
    let empty = Sketch::new("sketch", SketchSpec::default());
    assert_eq!(
        member(&object, Some(&empty), &[]).sketch,
        None,
        "not reported is not empty"
    );
}

#[test]
fn readiness_tells_since_when() {
    for (status, expected) in [
        (Some(false), Readiness::NotReady { since: 70 }),
        (None, Readiness::Unknown { since: 70 }),
    ] {
        let mut object = cluster();
        let conditions = &mut object.status.as_mut().unwrap().conditions;
        set_condition(
            conditions,
            ConditionType::Ready,
            status,
            "Unreachable",
            "",
            None,
            &at(70),
        );
        assert_eq!(member(&object, None, &[]).readiness, expected);
    }
}

#[test]
fn members_that_take_nothing_new_are_closed() {
    let closed = |change: fn(&mut MemberCluster)| {
        let mut object = cluster();
        change(&mut object);
        member(&object, None, &[]).unschedulable
    };
    assert!(!closed(|_| {}));
    assert!(closed(|m| m.spec.unschedulable = true));
    assert!(closed(|m| m.spec.mode = MemberMode::Observe));
    assert!(closed(|m| m.metadata.deletion_timestamp = Some(at(1))));
    assert!(closed(|m| {
        let conditions = &mut m.status.as_mut().unwrap().conditions;
        let reason = Reason::DuplicateEndpoint.as_str();
        set_condition(
            conditions,
            ConditionType::Accepted,
            Some(false),
            reason,
            "",
            None,
            &at(1),
        );
    }));
}

#[test]
fn a_filing_is_valid_to_the_end_of_its_day_in_china() {
    let cases = [
        (3, None, Some((3, None))),
        (0, None, None),
        (
            3,
            Some("2027-06-30"),
            Some((3, Some("2027-06-30T15:59:59Z"))),
        ),
        (
            3,
            Some("2027-06-30T10:00:00+08:00"),
            Some((3, Some("2027-06-30T02:00:00Z"))),
        ),
        (3, Some("next year"), None),
    ];
    for (level, valid_until, expected) in cases {
        let written = Mlps {
            level,
            valid_until: valid_until.map(str::to_owned),
            ..Mlps::default()
        };
        let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let expected = expected.map(|(level, until)| snapshot::Mlps {
            level,
            valid_until: until.map(second),
        });
        assert_eq!(mlps(&written), expected, "{valid_until:?}");
    }
}

#[test]
fn in_flight_is_what_is_charged_and_not_bound() {
    let (web, db) = (
        entry("Deployment/web", "x", 8),
        entry("StatefulSet/db", "x", 2),
    );
    let charged: Vec<(&str, &HeldEntry)> = vec![("w1", &web), ("w1", &db), ("w2", &web)];
    let flying = |bound: &[(&str, &str, u32)]| -> Vec<(String, i64)> {
        let seen = member(&cluster(), Some(&sketch(bound)), &charged);
        seen.in_flight
            .into_iter()
            .map(|f| (f.flavor, f.replicas))
            .collect()
    };
    let x = |n| ("x".to_owned(), n);
    assert_eq!(flying(&[]), [x(8), x(2), x(8)]);
    assert_eq!(flying(&[("w1", "Deployment/web", 5)]), [x(3), x(2), x(8)]);
    let label = crate::interpret::component_label("Deployment/web");
    assert_eq!(
        flying(&[("w1", &label, 8)]),
        [x(2), x(8)],
        "by the label too"
    );
    assert_eq!(
        flying(&[("w1", "Deployment/web", 10), ("w2", "Deployment/web", 8)]),
        [x(2)]
    );
    assert_eq!(
        flying(&[("other", "Deployment/web", 8)]),
        [x(8), x(2), x(8)]
    );
    let none = member(&cluster(), None, &charged);
    assert_eq!(none.in_flight.len(), 3, "without a sketch all is in flight");
}

#[test]
fn pods_of_a_component_between_two_flavors_count_once() {
    let (old, new) = (
        entry("Deployment/web", "x", 8),
        entry("Deployment/web", "y", 8),
    );
    let charged: Vec<(&str, &HeldEntry)> = vec![("w1", &old), ("w1", &new)];
    let seen = member(
        &cluster(),
        Some(&sketch(&[("w1", "Deployment/web", 10)])),
        &charged,
    );
    let flying: Vec<(&str, i64)> = seen
        .in_flight
        .iter()
        .map(|f| (f.flavor.as_str(), f.replicas))
        .collect();
    assert_eq!(flying, [("y", 6)]);
}

#[test]
fn pods_count_only_in_the_flavor_of_their_nodes() {
    let bound = |component: &str, flavor: &str, replicas| Bound {
        work: "w1".to_owned(),
        component: component.to_owned(),
        replicas,
        flavor: Some(flavor.to_owned()),
    };
    let flying = |charged: &[(&str, &HeldEntry)], bound: Vec<Bound>| -> Vec<(String, i64)> {
        let mut sketch = sketch(&[]);
        sketch.status.as_mut().unwrap().bound = bound;
        let seen = member(&cluster(), Some(&sketch), charged);
        let each = seen.in_flight.into_iter();
        each.map(|f| (f.flavor, f.replicas)).collect()
    };
    let web = "Deployment/web";
    let (old, new) = (entry(web, "x", 8), entry(web, "y", 8));
    let of = |flavor: &str, replicas| (flavor.to_owned(), replicas);
    // It moves from x to y: five are there already, three of x go on.
    let moving = vec![bound(web, "x", 3), bound("deployment-web", "y", 5)];
    assert_eq!(
        flying(&[("w1", &old), ("w1", &new)], moving),
        [of("x", 5), of("y", 3)]
    );
    // Pods that are still on x are none of those that come to y.
    assert_eq!(
        flying(&[("w1", &new)], vec![bound(web, "x", 8)]),
        [of("y", 8)]
    );
    // What asks for no node is wherever it is.
    let light = entry(web, "-", 8);
    assert!(flying(&[("w1", &light)], vec![bound(web, "x", 8)]).is_empty());
}

fn tenants() -> TenantTree {
    let tenant = |name: &str, parent: Option<&str>, kind: TenantKind| {
        let guardrails = Guardrails {
            mlps_level: (name == "civil").then_some(3),
            residency: (name == "guangzhou").then(|| vec!["guangzhou".to_owned()]),
            ..Guardrails::default()
        };
        let parent = parent.map(str::to_owned);
        Tenant::new(
            name,
            TenantSpec {
                parent,
                kind,
                guardrails,
                ..TenantSpec::default()
            },
        )
    };
    tree(&[
        tenant("guangzhou", None, TenantKind::Region),
        tenant("civil", Some("guangzhou"), TenantKind::Agency),
        tenant("health", Some("guangzhou"), TenantKind::Agency),
    ])
}

#[test]
fn a_tenant_has_its_own_rules_alone() {
    let tenants = tenants();
    let civil = tenant(tenants.get("civil").unwrap());
    assert_eq!(civil.parent.as_deref(), Some("guangzhou"));
    assert_eq!(civil.guardrails.mlps_level, Some(3));
    assert_eq!(
        civil.guardrails.residency, None,
        "the parent's rule is the parent's"
    );
}

fn quota(tenant: &str, lines: &[(&str, &str, &str)]) -> Quota {
    let line = |&(guaranteed, nominal, ceiling): &(&str, &str, &str)| QuotaLine {
        flavor: "x".to_owned(),
        resource: "cpu".to_owned(),
        guaranteed: Quantity::from(guaranteed),
        nominal: Quantity::from(nominal),
        ceiling: (!ceiling.is_empty()).then(|| Quantity::from(ceiling)),
    };
    let resources = lines.iter().map(line).collect();
    let spec = QuotaSpec {
        tenant: tenant.to_owned(),
        resources,
        ..QuotaSpec::default()
    };
    let mut quota = Quota::new(tenant, spec);
    quota.metadata.generation = Some(2);
    quota
}

fn cpu() -> Key {
    Key::new("x", "cpu")
}

fn effective_of(mut quota: Quota, settlement: &quota::Settlement) -> Quota {
    let effective: Option<EffectiveQuota> = settlement.effective.clone();
    quota.status = Some(QuotaStatus {
        effective,
        ..QuotaStatus::default()
    });
    quota
}

#[test]
fn a_quota_counts_when_it_is_settled_and_a_raise_as_far_as_it_is_covered() {
    let tenants = tenants();
    let held = HeldBy {
        tenant: "health".to_owned(),
        held: Held {
            entries: vec![entry("Deployment/web", "x", 160)],
        },
        ..HeldBy::default()
    };
    let charges = quota::charges([&held]);
    assert_eq!(charges["health"][&cpu()], 80_000);
    let (root, civil) = (
        quota("guangzhou", &[("0", "100", "")]),
        quota("civil", &[("50", "60", "100")]),
    );
    let health = quota("health", &[("0", "90", "")]);
    let (mut tree, problems) = quota::tree(&[&root, &civil, &health], &tenants, &charges);
    assert_eq!(problems, []);
    let node = tree.node("civil").unwrap();
    assert_eq!(
        tree.line(node, &cpu()),
        Line::default(),
        "nothing counts before it is settled"
    );

    let one = quota::settle(&root, None, &mut tree, 3, Vec::new(), None);
    let two = quota::settle(&health, Some("guangzhou"), &mut tree, 3, Vec::new(), None);
    let three = quota::settle(&civil, Some("guangzhou"), &mut tree, 3, Vec::new(), None);
    assert!(one.changed && two.changed && three.changed);
    let effective = three.effective.clone().unwrap();
    assert_eq!(
        effective.resources[0].guaranteed.0, "20",
        "100 less 80 in use"
    );
    assert_eq!(effective.resources[0].nominal.0, "60");
    assert_eq!((effective.generation, effective.epoch), (2, 3));
    assert_eq!(effective.parent.as_deref(), Some("guangzhou"));
    assert!(three.pending && three.refusal.is_none());

    // A new leader reads it back and has nothing to write.
    let (root, health, civil) = (
        effective_of(root, &one),
        effective_of(health, &two),
        effective_of(civil, &three),
    );
    let all = [&root, &civil, &health];
    let (mut again, _) = quota::tree(&all, &tenants, &charges);
    let node = again.node("civil").unwrap();
    assert_eq!(again.line(node, &cpu()).guaranteed, 20_000);
    assert_eq!(again.figures(node, &cpu()).pending, 30_000);
    for quota in all {
        let parent = tenants.get(&quota.spec.tenant).unwrap().parent.clone();
        let settled = quota::settle(quota, parent.as_deref(), &mut again, 9, Vec::new(), None);
        assert!(!settled.changed, "{settled:?}");
    }
    let (of_specs, _) = quota::tree_of_specs(&all, &tenants, &charges);
    let node = of_specs.node("civil").unwrap();
    assert_eq!(of_specs.avail(node, &cpu(), Purpose::Ordinary), 20_000);
}

#[test]
fn what_contradicts_itself_keeps_what_counted() {
    let tenants = tenants();
    let sound = quota("civil", &[("0", "10", "")]);
    let (mut tree, _) = quota::tree(&[&sound], &tenants, &BTreeMap::new());
    let before = quota::settle(&sound, Some("guangzhou"), &mut tree, 3, Vec::new(), None);
    let cases = [
        ("20", "10", "", "guaranteed"),
        ("0", "10", "5", "ceiling"),
        ("0", "-3", "", "spec.resources[x/cpu].nominal"),
        ("0", "1x", "", "spec.resources[x/cpu].nominal"),
        ("0", "1e40", "", "spec.resources[x/cpu].nominal"),
    ];
    for (guaranteed, nominal, ceiling, part) in cases {
        let mut broken = quota("civil", &[(guaranteed, nominal, ceiling)]);
        broken.status = effective_of(sound.clone(), &before).status;
        let settled = quota::settle(&broken, Some("guangzhou"), &mut tree, 3, Vec::new(), None);
        assert_eq!(settled.effective, before.effective);
        assert!(!settled.changed);
        let refusal = settled.refusal.unwrap();
        assert_eq!(refusal.reason, Reason::QuotaInvalid);
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    let stray = quota("nobody", &[("0", "10", "")]);
    let refusal = quota::settle(&stray, None, &mut tree, 3, Vec::new(), None)
        .refusal
        .unwrap();
    assert_eq!(refusal.reason, Reason::NotFound);
}

#[test]
fn a_quota_over_its_parents_is_told_to_the_youngest() {
    let tenants = tenants();
    let mut civil = quota("civil", &[("60", "60", "")]);
    civil.metadata.creation_timestamp = Some(at(1));
    let mut health = quota("health", &[("60", "60", "")]);
    health.metadata.creation_timestamp = Some(at(2));
    let root = quota("guangzhou", &[("0", "100", "")]);
    let told = quota::contradictions(&[&root, &civil, &health], &tenants);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["health"]);
    assert_eq!(told["health"].len(), 2, "{told:?}");
    let mut generous = root.clone();
    generous.spec.overcommit_percent = Some(120);
    let told = quota::contradictions(&[&generous, &civil, &health], &tenants);
    assert_eq!(
        told["health"].len(),
        1,
        "the nominals fit by overcommit: {told:?}"
    );
}

const WEB: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 12
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i}]}
";

fn request_of(placement: &PlacementSpec, quota_flavors: &[&str]) -> scheduler_request::Request {
    request_with(placement, quota_flavors, &[], &[])
}

/// With images that differ on these architectures, and these flavors that select one.
fn request_with(
    placement: &PlacementSpec,
    quota_flavors: &[&str],
    images_on: &[&str],
    selecting: &[&str],
) -> scheduler_request::Request {
    let manifests = vec![Manifest(serde_yaml::from_str(WEB).unwrap())];
    let mut workload = Workload::new(
        "web",
        WorkloadSpec {
            manifests,
            ..WorkloadSpec::default()
        },
    );
    workload.metadata.namespace = Some("civil".to_owned());
    workload.metadata.generation = Some(4);
    workload.metadata.creation_timestamp = Some(at(33));
    workload.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    let defaults = Resources::new();
    let context = Context {
        namespace: "civil",
        placement,
        default_requests: &defaults,
    };
    let mut interpreted = interpret(&workload.spec, &context).unwrap();
    for arch in images_on {
        let there = std::collections::BTreeMap::new();
        interpreted.components[0]
            .images_on
            .insert((*arch).to_owned(), there);
    }
    let flavors = [("general", 0), ("xinchuang", 20), ("gpu", 10)].map(|(name, precedence)| {
        let mut node_selector = LabelEquals::default();
        if selecting.contains(&name) {
            let (key, arch) = ("kubernetes.io/arch".to_owned(), "arm64".to_owned());
            node_selector.match_labels.insert(key, arch);
        }
        (
            name.to_owned(),
            FlavorSpec {
                node_selector,
                precedence,
                tolerations: vec![],
            },
        )
    });
    let previous = Decision {
        assignments: vec![Assignment {
            member: "gz".to_owned(),
            flavor: "general".to_owned(),
            component: "Deployment/web".to_owned(),
            replicas: 12,
            ..Assignment::default()
        }],
        ..Decision::default()
    };
    request::request(&request::Input {
        workload: &workload,
        interpreted: &interpreted,
        placement,
        tenant: "civil",
        flavors: &flavors.into(),
        quota_flavors: &quota_flavors.iter().map(|&f| f.to_owned()).collect(),
        class: &Class {
            value: 7,
            ..Class::NONE
        },
        previous: Some(&previous),
        weights: heyun_scheduler::config::ScoreWeights::default(),
    })
}

fn apart_from(app: &str) -> WorkloadTerm {
    WorkloadTerm {
        type_: WorkloadTermType::AntiAffinity,
        match_labels: [("app".to_owned(), app.to_owned())].into(),
        match_expressions: vec![LabelExpression {
            key: "tier".to_owned(),
            operator: LabelOperator::NotIn,
            values: vec!["a".to_owned(), "b".to_owned()],
        }],
        ..WorkloadTerm::default()
    }
}

/// What is not where its decision is, is leaving; one that goes is nowhere any more.
#[test]
fn others_see_where_a_workload_is_and_what_it_leaves() {
    let mut workload = Workload::new("web", WorkloadSpec::default());
    let label = |app: &str| BTreeMap::from([("app".to_owned(), app.to_owned())]);
    workload.metadata.labels = Some(label("web"));
    let mut wish = apart_from("b");
    wish.when_unsatisfiable = heyun_crds::placement::WhenUnsatisfiable::ScheduleAnyway;
    let near = WorkloadTerm {
        type_: WorkloadTermType::Affinity,
        ..apart_from("c")
    };
    let placement = PlacementSpec {
        workloads: vec![apart_from("a"), wish, near],
        ..PlacementSpec::default()
    };
    let on = |member: &str, replicas| Assignment {
        member: member.to_owned(),
        replicas,
        ..Assignment::default()
    };
    let decision = Decision {
        assignments: vec![on("gz", 1), on("sz", 0)],
        ..Decision::default()
    };
    let there = |member: &str, replicas| HeldEntry {
        member: member.to_owned(),
        ..entry("Deployment/web", "x", replicas)
    };
    let held = Held {
        entries: vec![there("gz", 1), there("sz", 0), there("fs", 2)],
    };
    let used = neighbours::members(&decision);
    let seen = neighbours::neighbour(&workload.metadata, Some(&placement), used, &held);
    assert_eq!(seen.labels, label("web"));
    assert_eq!(seen.on, ["gz".to_owned()].into());
    assert_eq!(seen.leaving, ["fs".to_owned()].into());
    let rules: Vec<_> = seen.keeps_out.iter().map(|of| &of.selector[0]).collect();
    assert_eq!(
        rules,
        [&equals("app", "a")],
        "neither a wish nor to be near"
    );
    let going = neighbours::neighbour(&workload.metadata, None, BTreeSet::new(), &held);
    assert_eq!(going.leaving, ["gz".to_owned(), "fs".to_owned()].into());
}

#[test]
fn a_request_says_what_the_workload_says() {
    let placement = PlacementSpec {
        affinity: vec![AffinityTerm {
            name: "home".to_owned(),
            match_labels: [("tier".to_owned(), "city".to_owned())].into(),
            zones: vec![NetworkZone::CegnCommon],
            ..AffinityTerm::default()
        }],
        weights: Some(ScoreWeights {
            cost: Some(90),
            ..ScoreWeights::default()
        }),
        spread: vec![SpreadConstraint {
            topology_key: "region/prefectural".to_owned(),
            within: Some("region/provincial".to_owned()),
            min_groups: Some(2),
            ..SpreadConstraint::default()
        }],
        components: Components {
            type_: ComponentsType::Apart,
            topology_key: None,
        },
        workloads: vec![apart_from("db")],
        ..PlacementSpec::default()
    };
    let request = request_of(&placement, &[]);
    assert_eq!(request.key.to_string(), "civil/web");
    assert_eq!(request.labels["app"], "web");
    let [rule] = request.placement.neighbours.as_slice() else {
        panic!("{:?}", request.placement.neighbours)
    };
    assert!(rule.keeps_out());
    assert_eq!(rule.topology_key, "member");
    let selector = heyun_scheduler::text::selector(&rule.selector);
    assert_eq!(selector, "app=db,tier notin (a,b)");
    let apart = request.placement.components.as_ref().unwrap();
    assert_eq!(apart.kind, ComponentKind::Apart);
    assert_eq!(apart.topology_key, "member");
    let any = request_of(&PlacementSpec::default(), &[]);
    assert_eq!(any.placement.components, None);
    assert_eq!(
        (request.generation, request.created, request.priority),
        (4, 33, 7)
    );
    assert_eq!(request.components[0].replicas, 12);
    assert_eq!(request.previous[0].replicas, 12);
    let term = &request.placement.affinity[0];
    assert_eq!(term.labels, [equals("tier", "city")]);
    assert!(term.zones.contains("cegn-common"));
    let spread = &request.placement.spread[0];
    assert_eq!(spread.within.as_deref(), Some("region/provincial"));
    assert_eq!((spread.min_groups, spread.max_skew), (Some(2), None));
    let weights = request.placement.weights.unwrap();
    assert_eq!((weights.cost, weights.balance), (90, 40));
    assert!(request.required_apis.contains("apps/v1/Deployment"));
}

#[test]
fn where_images_differ_by_architecture_a_flavor_selects_one() {
    let placement = PlacementSpec::default();
    let flavors = |images_on: &[&str], selecting: &[&str]| {
        let quota = ["general", "xinchuang"];
        request_with(&placement, &quota, images_on, selecting)
            .placement
            .flavors
    };
    assert_eq!(flavors(&[], &["gpu"]), ["xinchuang", "general"]);
    assert_eq!(flavors(&["arm64"], &["general", "gpu"]), ["general"]);
    // None is left: that means none, and not every one.
    let none = flavors(&["arm64"], &[]);
    assert!(
        none.len() == 1 && none[0].contains("kubernetes.io/arch"),
        "{none:?}"
    );
}

#[test]
fn flavors_are_those_that_exist_and_that_there_is_quota_for() {
    // (named by the placement, with a quota line, expected)
    let cases: [(&[&str], &[&str], &[&str]); 5] = [
        (&["general", "gone", "gpu"], &[], &["general", "gpu"]),
        (&["gone"], &["general"], &["gone"]),
        (&[], &["general", "gpu"], &["gpu", "general"]),
        (&[], &[], &["xinchuang", "gpu", "general"]),
        (&[], &["gone"], &["xinchuang", "gpu", "general"]),
    ];
    for (named, quota, expected) in cases {
        let flavors = named.iter().map(|&f| f.to_owned()).collect();
        let placement = PlacementSpec {
            flavors,
            ..PlacementSpec::default()
        };
        assert_eq!(
            request_of(&placement, quota).placement.flavors,
            expected,
            "{named:?} {quota:?}"
        );
    }
}

#[test]
fn a_snapshot_charges_what_is_held_once() {
    let tenants = tenants();
    let root = quota("guangzhou", &[("0", "100", "")]);
    let by = HeldBy {
        tenant: "civil".to_owned(),
        work: "w1".to_owned(),
        held: Held {
            entries: vec![entry("Deployment/web", "x", 8)],
        },
        ..HeldBy::default()
    };
    let key = WorkloadKey::new("civil", "web");
    let member = cluster();
    let held = [(key.clone(), by)].into();
    let seen = |asked: Option<&BTreeSet<WorkloadKey>>| {
        snapshot(&Inputs {
            members: &[(&member, None)],
            flavors: &[],
            prices: &[],
            tenants: &tenants,
            quotas: &[&root],
            held: &held,
            asked,
            now: 99,
        })
    };
    // Of one that nobody asks about, what it takes is the same.
    let (mut of_others, _) = seen(Some(&BTreeSet::new()));
    assert!(of_others.held.is_empty());
    let (snapshot, problems) = seen(None);
    of_others.held.clone_from(&snapshot.held);
    assert_eq!(
        serde_json::to_value(&of_others).unwrap(),
        serde_json::to_value(&snapshot).unwrap()
    );
    assert_eq!(problems, []);
    assert_eq!(snapshot.now, 99);
    assert_eq!(snapshot.held[&key].entries.len(), 1);
    assert_eq!(snapshot.members["gz"].in_flight[0].replicas, 8);
    let node = snapshot.quotas.node("civil").unwrap();
    assert_eq!(snapshot.quotas.own_charge(node, &cpu()), 4000);
    assert_eq!(snapshot.tenants.len(), 3);
}

#[test]
fn a_member_that_is_ahead_of_the_hub_is_closed() {
    for (reason, closed) in [
        (Reason::FenceAhead, true),
        (Reason::Recovering, true),
        (Reason::Unreachable, false),
    ] {
        let mut object = cluster();
        let conditions = &mut object.status.as_mut().unwrap().conditions;
        set_condition(
            conditions,
            ConditionType::Schedulable,
            Some(false),
            reason.as_str(),
            "",
            None,
            &at(60),
        );
        let seen = member(&object, None, &[]);
        assert_eq!(seen.unschedulable, closed, "{}", reason.as_str());
    }
}

/// The general book: a price of cpu from the first day on, and others later.
fn priced(version: &str, first: &str, later: &[(&str, &str)]) -> PriceBook {
    use heyun_crds::price_book::{Price, PriceBookSpec};
    let each = [(first, "1970-01-01")].into_iter();
    let prices = each
        .chain(later.iter().copied())
        .map(|(price, from)| Price {
            flavor: "x".to_owned(),
            resource: "cpu".to_owned(),
            price: price.to_owned(),
            from: from.to_owned(),
        });
    let spec = PriceBookSpec {
        prices: prices.collect(),
        ..PriceBookSpec::default()
    };
    let mut book = PriceBook::new("general", spec);
    book.metadata.resource_version = Some(version.to_owned());
    book
}

#[test]
fn a_snapshot_has_the_prices_of_its_moment() {
    let (object, book) = (cluster(), priced("1", "0.1", &[("0.25", "1970-01-02")]));
    let cpu = |now| {
        let (snapshot, _) = snapshot(&Inputs {
            members: &[(&object, None)],
            flavors: &[],
            prices: &[&book],
            tenants: &tenants(),
            quotas: &[],
            held: &BTreeMap::new(),
            asked: None,
            now,
        });
        snapshot.members["gz"].prices["x"]["cpu"]
    };
    assert_eq!(
        (cpu(99), cpu(57_599), cpu(57_600)),
        (100_000, 100_000, 250_000)
    );
}

#[test]
fn red_lines_are_measured_by_what_the_sketch_sums() {
    let mut object = cluster();
    for (resource, share) in [("cpu", "85%"), ("memory", "90 %"), ("gpu", "50%")] {
        let lines = &mut object.spec.max_utilization;
        lines.insert(resource.to_owned(), share.to_owned());
    }
    let mut seen = sketch(&[]);
    let lines = |seen: &Sketch, resource: &str| {
        member(&object, Some(seen), &[])
            .red_lines
            .remove(resource)
            .unwrap()
    };
    // An older watcher sums nothing: what there is is not known.
    assert_eq!(lines(&seen, "cpu").allocatable, None);
    let totals = &mut seen.status.as_mut().unwrap().totals;
    *totals = [("cpu", "16", "10500m"), ("memory", "64Gi", "1Gi")]
        .map(|(resource, allocatable, requested)| ResourceCapacity {
            resource: resource.to_owned(),
            allocatable: Quantity::from(allocatable),
            requested: Quantity::from(requested),
        })
        .into();
    let cpu = RedLine {
        percent: 85,
        allocatable: Some(16_000),
        requested: 10_500,
    };
    assert_eq!(lines(&seen, "cpu"), cpu);
    assert_eq!(lines(&seen, "memory").percent, 0, "it cannot be read");
    assert_eq!(lines(&seen, "gpu").allocatable, Some(0));
    assert!(member(&cluster(), Some(&seen), &[]).red_lines.is_empty());
}

fn versioned(version: &str) -> MemberCluster {
    let mut member = cluster();
    member.metadata.resource_version = Some(version.to_owned());
    member
}

/// Whatever happens to the objects, the scene says what a snapshot of them says.
#[test]
fn a_scene_follows_the_objects() {
    use super::scene::Scene;
    let mut tenants = tenants();
    let root = quota("guangzhou", &[("0", "100", "")]);
    let reported = |version: &str, bound: &[(&str, &str, u32)]| {
        let mut sketch = sketch(bound);
        sketch.metadata.resource_version = Some(version.to_owned());
        sketch
    };
    let by = |replicas| HeldBy {
        tenant: "civil".to_owned(),
        work: "w1".to_owned(),
        held: Held {
            entries: vec![entry("Deployment/web", "x", replicas)],
        },
        ..HeldBy::default()
    };
    let key = WorkloadKey::new("civil", "web");
    let config = heyun_scheduler::Config::default();
    let mut scene = Scene::default();
    let mut held: BTreeMap<WorkloadKey, HeldBy> = BTreeMap::new();
    let mut member = Some(versioned("1"));
    let mut sketch: Option<Sketch> = None;
    let mut books: Vec<PriceBook> = Vec::new();
    let mut now = 99;
    for step in 0..12 {
        now += 1;
        match step {
            1 => sketch = Some(reported("2", &[])),
            2 => {
                scene.hold(&key, None, Some(&by(8)));
                held.insert(key.clone(), by(8));
            }
            3 => sketch = Some(reported("3", &[("w1", "x", 5)])),
            4 => {
                let mut closed = versioned("4");
                closed.spec.unschedulable = true;
                member = Some(closed);
            }
            5 => tenants = TenantTree::default(),
            6 => {
                scene.hold(&key, held.get(&key), Some(&by(3)));
                held.insert(key.clone(), by(3));
            }
            7 => books.push(priced("1", "0.1", &[("0.2", "1970-01-02")])),
            // The second price begins, and nothing else happens.
            8 => now += 86_400,
            9 => books = vec![priced("2", "0.1", &[("0.3", "1970-01-02")])],
            10 => books.clear(),
            11 => member = None,
            _ => {}
        }
        let members: Vec<_> = member.iter().map(|of| (of, sketch.as_ref())).collect();
        let prices: Vec<&PriceBook> = books.iter().collect();
        let inputs = Inputs {
            members: &members,
            flavors: &[],
            prices: &prices,
            tenants: &tenants,
            quotas: &[&root],
            held: &held,
            asked: None,
            now,
        };
        let json = |of: &heyun_scheduler::Snapshot| serde_json::to_value(of).unwrap();
        let (fresh, expected) = snapshot(&inputs);
        let (engine, problems) = scene.bring_up(&inputs, &config);
        assert_eq!(json(engine.snapshot()), json(&fresh), "step {step}");
        assert_eq!(problems, expected);
    }
}

#[test]
fn what_was_given_up_for_another_is_no_credit() {
    let assignment = |replicas: i32| heyun_crds::workload::Assignment {
        member: "m".to_owned(),
        flavor: "f".to_owned(),
        component: "Deployment/web".to_owned(),
        replicas,
        requests: amounts::to_map(&Resources::new().with("cpu", 1000)),
        charge: amounts::to_map(&Resources::new().with("cpu", 1000 * i64::from(replicas))),
        ..Default::default()
    };
    let mut decision = heyun_crds::workload::Decision {
        assignments: vec![assignment(1)],
        releasing: vec![assignment(4)],
        ..Default::default()
    };
    assert_eq!(held::keeps(Some(&decision)), None);
    decision.preempted = Some(heyun_crds::workload::Preempted::default());
    let keeps = held::keeps(Some(&decision)).unwrap();
    assert_eq!(keeps.entries[0].replicas, 1);
    let key = WorkloadKey::new("ns", "web");
    let by = HeldBy {
        held: Held {
            entries: vec![HeldEntry {
                replicas: 5,
                ..keeps.entries[0].clone()
            }],
        },
        keeps: Some(keeps.clone()),
        ..HeldBy::default()
    };
    let all = BTreeMap::from([(key.clone(), by)]);
    let inputs = Inputs {
        members: &[],
        flavors: &[],
        tenants: &TenantTree::default(),
        quotas: &[],
        prices: &[],
        held: &all,
        asked: None,
        now: 0,
    };
    assert_eq!(snapshot(&inputs).0.held[&key], keeps);
}

/// What others see of a Workload is told as it changes: twice between two looks, under another tenant,
/// and to nobody any more.
#[test]
fn a_scene_follows_what_others_see() {
    use super::scene::Scene;
    let tenants = tenants();
    let by = |tenant: &str, on: Option<&str>| HeldBy {
        tenant: tenant.to_owned(),
        work: "w1".to_owned(),
        held: Held {
            entries: vec![entry("Deployment/web", "x", 1)],
        },
        neighbour: on.map(|on| Neighbour {
            on: [on.to_owned()].into(),
            ..Neighbour::default()
        }),
        ..HeldBy::default()
    };
    let key = WorkloadKey::new("civil", "web");
    let mut scene = Scene::default();
    let mut held: BTreeMap<WorkloadKey, HeldBy> = BTreeMap::new();
    let steps = [
        vec![],
        vec![by("civil", Some("a"))],
        vec![by("civil", Some("b")), by("civil", Some("c"))],
        vec![by("guangzhou", Some("c"))],
        vec![by("guangzhou", None)],
        vec![by("civil", Some("a")), by("civil", None)],
    ];
    for (step, all) in steps.into_iter().enumerate() {
        for next in all {
            scene.hold(&key, held.get(&key), Some(&next));
            held.insert(key.clone(), next);
        }
        let inputs = Inputs {
            members: &[],
            flavors: &[],
            tenants: &tenants,
            quotas: &[],
            prices: &[],
            held: &held,
            asked: None,
            now: 99,
        };
        let (fresh, _) = snapshot(&inputs);
        let (engine, _) = scene.bring_up(&inputs, &heyun_scheduler::Config::default());
        let told = &engine.snapshot().neighbours;
        assert_eq!(*told, fresh.neighbours, "step {step}");
        assert_eq!(told.len(), usize::from((1..4).contains(&step)));
    }
}
