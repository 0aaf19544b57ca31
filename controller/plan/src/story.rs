//! The example province, from its files to Works and status, through every step of this crate and
//! the scheduler: what each step hands on is what the next one takes.

mod jobs;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::conditions::{ConditionType, set_condition};
use heyun_crds::member_cluster::MemberClusterStatus;
use heyun_crds::placement::PlacementSpec;
use heyun_crds::quantity::Quantity;
use heyun_crds::quota::QuotaStatus;
use heyun_crds::sketch::{Bound, Shape, SketchSpec, SketchStatus};
use heyun_crds::workload::{Decision, Manifest, WorkloadSpec, WorkloadStatus};
use heyun_crds::{Flavor, MemberCluster, Placement, Quota, Sketch, Tenant, Work, Workload};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::resources::Resources;
use heyun_scheduler::{Config, Verdict, schedule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::de::DeserializeOwned;

use crate::interpret::{Context, Interpreted, interpret};
use crate::member_names::work_name;
use crate::observe::{HeldBy, Inputs, held, quota, request, snapshot};
use crate::render::RenderedWork;
use crate::tenants::{TenantNode, TenantTree, tree};
use crate::{decide, diff, explain, render};

const FLAVORS: &str = include_str!("../../../examples/10-flavors.yaml");
const TENANTS: &str = include_str!("../../../examples/20-tenants.yaml");
const QUOTAS: &str = include_str!("../../../examples/30-quotas.yaml");
const PLACEMENTS: &str = include_str!("../../../examples/40-placements.yaml");
const MEMBERS: [&str; 3] = [
    include_str!("../../../examples/members/guangzhou-1.yaml"),
    include_str!("../../../examples/members/province-a.yaml"),
    include_str!("../../../examples/members/shenzhen-1.yaml"),
];
const BOOKING: &str = include_str!("../../../examples/workloads/booking.yaml");
const AID: &str = include_str!("../../../examples/workloads/aid.yaml");

fn documents<T: DeserializeOwned>(text: &str) -> Vec<T> {
    serde_yaml::Deserializer::from_str(text)
        .map(|one| T::deserialize(one).unwrap())
        .collect()
}

struct Province {
    flavors: Vec<Flavor>,
    tenants: TenantTree,
    quotas: Vec<Quota>,
    members: Vec<(MemberCluster, Sketch)>,
    held: BTreeMap<WorkloadKey, HeldBy>,
}

fn province() -> Province {
    let tenants = tree(&documents::<Tenant>(TENANTS));
    assert!(tenants.iter().all(TenantNode::accepted), "{tenants:#?}");
    let mut province = Province {
        flavors: documents(FLAVORS),
        tenants,
        quotas: documents(QUOTAS),
        members: MEMBERS
            .iter()
            .map(|text| member(&documents::<MemberCluster>(text)[0]))
            .collect(),
        held: BTreeMap::new(),
    };
    settle(&mut province);
    province
}

fn member(object: &MemberCluster) -> (MemberCluster, Sketch) {
    let mut object = object.clone();
    let mut status = MemberClusterStatus::default();
    let now = Time("2027-05-01T08:00:00Z".parse().unwrap());
    set_condition(
        &mut status.conditions,
        ConditionType::Ready,
        Some(true),
        "Healthy",
        "",
        None,
        &now,
    );
    let kinds = [
        "v1/ConfigMap",
        "v1/Service",
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
        "networking.k8s.io/v1/Ingress",
        "autoscaling/v2/HorizontalPodAutoscaler",
        "policy/v1/PodDisruptionBudget",
    ];
    status.apis = kinds.map(str::to_owned).into();
    object.status = Some(status);
    let flavors: &[&str] = match object.metadata.name.as_deref() {
        Some("guangzhou-1") => &["xinchuang-arm64"],
        Some("province-a") => &["general-amd64"],
        _ => &["general-amd64", "general-arm64"],
    };
    let mut sketch = Sketch::new("sketch", SketchSpec::default());
    let free = || {
        [("cpu", "8"), ("memory", "32Gi"), ("pods", "110")]
            .map(|(name, amount)| (name.to_owned(), Quantity::from(amount)))
    };
    let shapes = flavors.iter().map(|flavor| Shape {
        count: 3,
        flavor: Some((*flavor).to_owned()),
        free: free().into(),
        ..Shape::default()
    });
    sketch.status = Some(SketchStatus {
        label_keys: vec!["kubernetes.io/arch".to_owned()],
        shapes: shapes.collect(),
        ..SketchStatus::default()
    });
    (object, sketch)
}

/// Makes every Quota count, parents first.
fn settle(province: &mut Province) {
    let all: Vec<&Quota> = province.quotas.iter().collect();
    assert_eq!(
        quota::contradictions(&all, &province.tenants),
        BTreeMap::new()
    );
    let (mut tree, problems) = quota::tree(&all, &province.tenants, &BTreeMap::new());
    assert_eq!(problems, []);
    let tenants = &province.tenants;
    for quota in &mut province.quotas {
        let parent = tenants.get(&quota.spec.tenant).unwrap().parent.clone();
        let settled = quota::settle(quota, parent.as_deref(), &mut tree, 1, Vec::new(), None);
        assert_eq!(
            (&settled.refusal, settled.pending),
            (&None, false),
            "{}",
            quota.spec.tenant
        );
        quota.status = Some(QuotaStatus {
            effective: settled.effective,
            ..QuotaStatus::default()
        });
    }
}

struct Case {
    workload: Workload,
    placement: PlacementSpec,
    interpreted: Interpreted,
    tenant: String,
}

fn case(
    name: &str,
    tenant: &str,
    manifests: &str,
    placement: PlacementSpec,
    replicas: Option<i32>,
) -> Case {
    let spec = WorkloadSpec {
        manifests: documents(manifests).into_iter().map(Manifest).collect(),
        replicas,
        ..WorkloadSpec::default()
    };
    let mut workload = Workload::new(name, spec);
    workload.metadata.namespace = Some(tenant.to_owned());
    workload.metadata.uid = Some(format!("uid-{name}"));
    workload.metadata.generation = Some(1);
    let defaults = Resources::new();
    let context = Context {
        namespace: tenant,
        placement: &placement,
        default_requests: &defaults,
    };
    let interpreted = interpret(&workload.spec, &context).unwrap();
    Case {
        workload,
        placement,
        interpreted,
        tenant: tenant.to_owned(),
    }
}

fn booking(replicas: Option<i32>) -> Case {
    let placement = documents::<Placement>(PLACEMENTS)[0].spec.clone();
    case("booking", "gd-health-booking", BOOKING, placement, replicas)
}

impl Province {
    fn verdict(&self, case: &Case) -> Verdict {
        let members: Vec<_> = self.members.iter().map(|(m, s)| (m, Some(s))).collect();
        let quotas: Vec<&Quota> = self.quotas.iter().collect();
        let flavors: Vec<&Flavor> = self.flavors.iter().collect();
        let (snapshot, problems) = snapshot(&Inputs {
            members: &members,
            flavors: &flavors,
            tenants: &self.tenants,
            quotas: &quotas,
            prices: &[],
            held: &self.held,
            asked: None,
            now: 1_900_000_000,
        });
        assert_eq!(problems, []);
        let own = self
            .quotas
            .iter()
            .find(|q| q.spec.tenant == case.tenant)
            .unwrap();
        let status = case.workload.status.as_ref();
        let request = request::request(&request::Input {
            workload: &case.workload,
            interpreted: &case.interpreted,
            placement: &case.placement,
            tenant: &case.tenant,
            flavors: &self.flavor_specs(),
            quota_flavors: &quota::flavors(own),
            class: &crate::preempt::Class::NONE,
            previous: status.and_then(|status| status.decision.as_ref()),
            weights: Config::default().weights,
        });
        let verdicts = schedule(&snapshot, &[request], &Config::default());
        assert_eq!(verdicts.len(), 1);
        verdicts.into_iter().next().unwrap()
    }

    fn flavor_specs(&self) -> BTreeMap<String, heyun_crds::flavor::FlavorSpec> {
        let each = self.flavors.iter();
        each.map(|f| (f.metadata.name.clone().unwrap(), f.spec.clone()))
            .collect()
    }

    /// Decides and commits: the decision is in status and held.
    fn commit(&mut self, case: &mut Case) -> Decision {
        let verdict = self.verdict(case);
        let previous = case
            .workload
            .status
            .as_ref()
            .and_then(|s| s.decision.clone());
        let now = "2027-05-01T08:00:00Z".parse().unwrap();
        let decision = decide::decision(&verdict, &case.interpreted, previous.as_ref(), 1, now)
            .unwrap_or_else(|| panic!("{:?}", explain::condition(&verdict)));
        case.workload.status = Some(WorkloadStatus {
            decision: Some(decision.clone()),
            ..WorkloadStatus::default()
        });
        self.hold(case, &[]);
        decision
    }

    fn hold(&mut self, case: &Case, works: &[Work]) {
        let (namespace, name) = (
            &case.tenant,
            case.workload.metadata.name.as_deref().unwrap(),
        );
        let by = HeldBy {
            tenant: case.tenant.clone(),
            work: work_name(namespace, name),
            held: held::of(&case.workload, works),
            ..HeldBy::default()
        };
        self.held.insert(WorkloadKey::new(namespace, name), by);
    }

    fn render(&self, case: &Case, decision: &Decision) -> Vec<RenderedWork> {
        let members = self
            .members
            .iter()
            .map(|(m, _)| (m.metadata.name.clone().unwrap(), m.clone()));
        render::works(&render::Input {
            workload: &case.workload,
            interpreted: &case.interpreted,
            placement: &case.placement,
            decision,
            epoch: 1,
            tenant: self.tenants.get(&case.tenant).unwrap(),
            members: &members.collect(),
            flavors: &self.flavor_specs(),
            secrets: &BTreeMap::new(),
        })
        .unwrap()
    }
}

fn seen(rendered: &RenderedWork) -> Work {
    let mut work = Work::new(&rendered.name, rendered.spec.clone());
    work.metadata.namespace = Some(rendered.namespace.clone());
    work.metadata.labels = Some(rendered.labels.clone());
    work.metadata.annotations = Some(rendered.annotations.clone());
    work
}

fn sum(decision: &Decision) -> i32 {
    decision.assignments.iter().map(|a| a.replicas).sum()
}

#[test]
fn a_service_is_divided_rendered_and_then_left_alone() {
    let mut province = province();
    let mut case = booking(None);
    let first = province.commit(&mut case);
    let members: BTreeSet<&str> = first
        .assignments
        .iter()
        .map(|a| a.member.as_str())
        .collect();
    assert_eq!(
        (sum(&first), members.len()),
        (12, 3),
        "{:?}",
        first.assignments
    );
    let works = province.render(&case, &first);
    assert_eq!(works.len(), 3);
    let existing: Vec<Work> = works.iter().map(seen).collect();
    assert_eq!(diff::works(&works, &existing), []);

    // The same again: in flight, charged, and decided as it is.
    let again = decide::decision(
        &province.verdict(&case),
        &case.interpreted,
        Some(&first),
        1,
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert!(decide::same(&again.unwrap(), &first));

    // All of it bound: nothing is in flight any more, and nothing moves.
    for (object, sketch) in &mut province.members {
        let name = object.metadata.name.clone().unwrap();
        let here = first.assignments.iter().filter(|a| a.member == name);
        let bound = here.map(|a| Bound {
            work: works[0].name.clone(),
            component: crate::interpret::component_label(&a.component),
            replicas: u32::try_from(a.replicas).unwrap(),
            flavor: Some(a.flavor.clone()),
        });
        sketch.status.as_mut().unwrap().bound = bound.collect();
    }
    let settled = decide::decision(
        &province.verdict(&case),
        &case.interpreted,
        Some(&first),
        1,
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert!(decide::same(&settled.unwrap(), &first));

    // The status is wiped: the Works hold the same, and give the decision back.
    case.workload.status = None;
    province.hold(&case, &existing);
    let rebuilt = decide::adopted(&existing, 1, &case.interpreted, &case.placement, 2).unwrap();
    assert_eq!((rebuilt.generation, &rebuilt.id), (1, &first.id));
    assert_eq!(rebuilt.assignments, first.assignments);
    assert_eq!(rebuilt.reserved, first.reserved);
}

#[test]
fn scaling_up_moves_nothing_and_scaling_down_stays_charged() {
    let mut province = province();
    let mut case = booking(None);
    let first = province.commit(&mut case);
    let mut larger = booking(Some(18));
    larger.workload.status.clone_from(&case.workload.status);
    larger.workload.metadata.generation = Some(2);
    let second = province.commit(&mut larger);
    assert_eq!(
        (sum(&second), second.releasing.len()),
        (18, 0),
        "{second:#?}"
    );
    let mut smaller = booking(Some(12));
    smaller.workload.status.clone_from(&larger.workload.status);
    smaller.workload.metadata.generation = Some(3);
    let third = province.commit(&mut smaller);
    assert_eq!(sum(&third), 12);
    let released: i32 = third.releasing.iter().map(|a| a.replicas).sum();
    assert_eq!(released, 6, "still charged until the members confirm");
    assert_ne!(third.id, first.id, "another generation");
    let confirmed = decide::confirm_released(&third, &[], 1).unwrap();
    assert!(confirmed.releasing.is_empty());
}

#[test]
fn hard_rules_are_explained_with_who_decides() {
    let mut province = province();
    let mut case = case(
        "aid",
        "gz-civil-affairs-aid",
        AID,
        PlacementSpec::default(),
        None,
    );
    let verdict = province.verdict(&case);
    let why = explain::why(&verdict, &explain::About::default());
    assert_eq!(why.outcome, "Placed", "{}", why.message);
    let shenzhen = why
        .members
        .iter()
        .find(|m| m.member == "shenzhen-1")
        .unwrap();
    assert_eq!(shenzhen.verdict, "filtered");
    let codes: BTreeSet<&str> = shenzhen
        .refusals
        .iter()
        .map(|r| r.reason.as_str())
        .collect();
    for code in ["Residency", "MlpsLevel", "Zone"] {
        assert!(codes.contains(code), "{codes:?}");
    }
    let rule = shenzhen
        .refusals
        .iter()
        .find(|r| r.reason == "Residency")
        .unwrap();
    assert_eq!(rule.decided_by, "gz-civil-affairs security administrators");
    let decision = province.commit(&mut case);
    assert!(
        decision
            .assignments
            .iter()
            .all(|a| a.member == "guangzhou-1")
    );
    let works = province.render(&case, &decision);
    let template = works[0]
        .spec
        .manifests
        .iter()
        .find(|m| m.0["kind"] == "StatefulSet")
        .unwrap();
    let terms = template.0["spec"]["template"]["spec"]["affinity"]["nodeAffinity"].to_string();
    assert!(terms.contains("heyun.dev/xinchuang"), "{terms}");
}

#[test]
fn what_the_quota_does_not_cover_is_refused_with_numbers() {
    let mut province = province();
    for shape in province
        .members
        .iter_mut()
        .flat_map(|(_, s)| &mut s.status.as_mut().unwrap().shapes)
    {
        shape.count = 100;
    }
    let manifests = AID.replace("replicas: 4", "replicas: 60");
    let case = case(
        "aid",
        "gz-civil-affairs-aid",
        &manifests,
        PlacementSpec::default(),
        None,
    );
    let verdict = province.verdict(&case);
    let (reason, message) = explain::condition(&verdict);
    assert_eq!(reason, "QuotaExceeded", "{message}");
    for part in [
        "cpu of xinchuang-arm64",
        "30 left in gz-civil-affairs-aid",
        "lower the replicas",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let [quota, scheduled] = explain::conditions(&verdict);
    assert_eq!((quota.status, scheduled.status), (Some(false), Some(false)));
    assert_eq!(
        decide::decision(
            &verdict,
            &case.interpreted,
            None,
            1,
            jiff::Timestamp::UNIX_EPOCH
        ),
        None
    );
}
