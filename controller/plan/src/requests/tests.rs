use heyun_crds::Tenant;
use heyun_crds::approval::ApprovalVerdict as V;
use heyun_crds::approval_policy::{ApprovalRule, ApprovalStage, ApprovalWhen};
use heyun_crds::common::FlavorAmount;
use heyun_crds::conditions::condition;
use heyun_crds::quota::{QuotaLine, QuotaSpec, QuotaStatus};
use heyun_crds::resource_request::{RequestDocument, ResourceRequestSpec};
use heyun_crds::tenant::{TenantKind, TenantSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_core::ResourceExt as _;

use super::*;
use crate::observe::quota as observe;
use crate::tenants::{Surroundings, tree_in};

/// A small world: a city of 100 cores with two agencies of 30, and a policy of two stages.
struct World {
    requests: BTreeMap<String, ResourceRequest>,
    approvals: BTreeMap<String, Approval>,
    policies: BTreeMap<String, ApprovalPolicy>,
    quotas: BTreeMap<String, Quota>,
    tenants: TenantTree,
    now: Timestamp,
    next_change: Option<Timestamp>,
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
}

fn cores(cores: &str) -> Vec<FlavorAmount> {
    vec![FlavorAmount {
        flavor: "amd".into(),
        resource: "cpu".into(),
        amount: cores.into(),
    }]
}

fn tenants() -> TenantTree {
    let tenant = |name: &str, parent: Option<&str>, namespaces: &[&str]| {
        let spec = TenantSpec {
            parent: parent.map(str::to_owned),
            kind: TenantKind::Agency,
            namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
            ..TenantSpec::default()
        };
        let mut tenant = Tenant::new(name, spec);
        tenant.metadata.uid = Some(format!("uid-{name}"));
        tenant
    };
    let around = Surroundings::default();
    let all = [
        tenant("city", None, &["city"]),
        tenant("civil", Some("city"), &["civil"]),
        tenant("health", Some("city"), &["health"]),
    ];
    tree_in(&all, &around)
}

impl World {
    fn new() -> Self {
        let quota = |name: &str, nominal: &str| {
            let line = QuotaLine {
                flavor: "amd".into(),
                resource: "cpu".into(),
                nominal: nominal.into(),
                ..QuotaLine::default()
            };
            let spec = QuotaSpec {
                tenant: name.into(),
                resources: vec![line],
                ..QuotaSpec::default()
            };
            let mut quota = Quota::new(name, spec);
            quota.metadata.generation = Some(1);
            (name.to_owned(), quota)
        };
        let rule = |name: &str, at_most: Vec<FlavorAmount>, stages: &[&str]| ApprovalRule {
            name: name.into(),
            when: ApprovalWhen {
                at_most,
                ..ApprovalWhen::default()
            },
            automatic: stages.is_empty(),
            stages: stages.iter().map(|s| (*s).to_owned()).collect(),
        };
        let stage = |name: &str| ApprovalStage {
            name: name.into(),
            ..ApprovalStage::default()
        };
        let policy = heyun_crds::approval_policy::ApprovalPolicySpec {
            tenant: None,
            stages: vec![stage("bureau"), stage("city")],
            rules: vec![
                rule("small", cores("2"), &[]),
                rule("large", Vec::new(), &["bureau", "city"]),
            ],
        };
        let mut world = Self {
            requests: BTreeMap::new(),
            approvals: BTreeMap::new(),
            policies: [("p".to_owned(), ApprovalPolicy::new("p", policy))].into(),
            quotas: [
                quota("city", "100"),
                quota("civil", "30"),
                quota("health", "30"),
            ]
            .into(),
            tenants: tenants(),
            now: at(0),
            next_change: None,
        };
        world.turn();
        world
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            requests: &self.requests,
            approvals: &self.approvals,
            policies: &self.policies,
            quotas: &self.quotas,
            tenants: &self.tenants,
            now: self.now,
        }
    }

    fn ask(&mut self, tenant: &str, name: &str, amount: &str, from: i64, until: i64) {
        let spec = ResourceRequestSpec {
            tenant: tenant.into(),
            applicant: "li".into(),
            resources: cores(amount),
            from: Some(at(from).to_string()),
            until: at(until).to_string(),
            reason: "flood".into(),
            document: Some(RequestDocument {
                number: "d-12".into(),
            }),
        };
        let mut request = ResourceRequest::new(name, spec);
        request.metadata.namespace = Some(tenant.into());
        request.metadata.uid = Some(format!("uid-{name}-{}", self.approvals.len()));
        request.metadata.generation = Some(1);
        request.metadata.creation_timestamp = Some(Time(self.now));
        self.requests.insert(format!("{tenant}/{name}"), request);
    }

    fn act(&mut self, of: &str, stage: &str, verdict: V, approver: &str) {
        let request = &self.requests[of];
        let spec = heyun_crds::approval::ApprovalSpec {
            request: request.name_any(),
            request_uid: request.uid().unwrap(),
            request_hash: approve::hash(&request.spec),
            stage: stage.into(),
            verdict,
            approver: approver.into(),
            comment: String::new(),
        };
        let name = format!("a-{}", self.approvals.len());
        let mut approval = Approval::new(&name, spec);
        approval.metadata.namespace = request.namespace();
        self.approvals.insert(name, approval);
    }

    fn approve(&mut self, of: &str) {
        self.act(of, "bureau", V::Approve, "wang");
        self.act(of, "city", V::Approve, "chen");
    }

    /// What the loop does: quotas first, then what is shown of requests.
    fn turn(&mut self) {
        let scene = self.scene();
        let judged = judge(&scene);
        let mut booking = book(&scene, &judged);
        let next_change = booking.next_change;
        let all: Vec<&Quota> = self.quotas.values().collect();
        let (mut tree, _) = observe::tree(&all, &self.tenants, &BTreeMap::new());
        let mut settled = BTreeMap::new();
        for name in ["city", "civil", "health"] {
            let parent = self.tenants.get(name).and_then(|n| n.parent.as_deref());
            let grants = booking.grants.remove(name).unwrap_or_default();
            let quota = &self.quotas[name];
            let one = observe::settle(quota, parent, &mut tree, 1, grants, None);
            settled.insert(name, one.effective);
        }
        self.next_change = next_change;
        for (name, effective) in settled {
            self.quotas.get_mut(name).unwrap().status = Some(QuotaStatus {
                effective,
                ..QuotaStatus::default()
            });
        }
        self.show();
    }

    fn show(&mut self) {
        let scene = self.scene();
        let judged = judge(&scene);
        let booking = book(&scene, &judged);
        let now = Time(self.now);
        let shown: Vec<_> = judged
            .iter()
            .map(|one| {
                let name = format!(
                    "{}/{}",
                    one.request.namespace().unwrap(),
                    one.request.name_any()
                );
                (name, status(one, &booking, &scene, &now))
            })
            .collect();
        for (name, status) in shown {
            self.requests.get_mut(&name).unwrap().status = Some(status);
        }
    }

    fn nominal(&self, tenant: &str) -> String {
        let effective = self.quotas[tenant].effective().unwrap();
        effective.resources[0].nominal.0.clone()
    }

    fn is(&self, of: &str, kind: ConditionType) -> (String, String) {
        let status = self.requests[of].status.as_ref().unwrap();
        let found = condition(&status.conditions, kind).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    fn stage(&self, of: &str) -> &str {
        &self.requests[of].status.as_ref().unwrap().stage
    }
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.into(), reason.into())
}

#[test]
fn a_request_lives_from_application_to_its_end() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 2, 9);
    let of = "civil/flood";
    world.turn();
    assert_eq!(world.is(of, ConditionType::Accepted), pair("True", "Ok"));
    assert_eq!(
        world.is(of, ConditionType::Approved),
        pair("False", "AwaitingApproval")
    );
    assert_eq!(world.stage(of), "bureau");
    world.act(of, "bureau", V::Approve, "wang");
    world.turn();
    assert_eq!(world.stage(of), "city");
    assert_eq!(world.nominal("civil"), "30");
    world.act(of, "city", V::Approve, "chen");
    world.turn();
    assert_eq!(
        world.is(of, ConditionType::Approved),
        pair("True", "Approved")
    );
    assert_eq!(
        world.is(of, ConditionType::Active),
        pair("False", "NotBegun")
    );
    assert_eq!(world.nominal("civil"), "30", "it has not begun");
    assert_eq!(world.next_change, Some(at(2)));
    let grants = &world.quotas["civil"].effective().unwrap().grants;
    assert_eq!(grants[0].approved_by, ["bureau: wang", "city: chen"]);
    assert_eq!(grants[0].document, "d-12");
    world.now = at(2);
    world.turn();
    assert_eq!(world.nominal("civil"), "70");
    assert_eq!(world.is(of, ConditionType::Active), pair("True", "Granted"));
    assert_eq!(world.next_change, Some(at(9)));
    world.now = at(9);
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(world.quotas["civil"].effective().unwrap().grants, []);
    assert_eq!(world.is(of, ConditionType::Ended), pair("True", "Expired"));
    assert_eq!(
        world.is(of, ConditionType::Active),
        pair("False", "Expired")
    );
    assert_eq!(
        world.is(of, ConditionType::Approved),
        pair("True", "Approved")
    );
    // It stays so, and nothing is left to wait for.
    world.now = at(0);
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(world.next_change, None);
}

#[test]
fn what_is_small_is_granted_at_once_and_given_back_early() {
    let mut world = World::new();
    world.ask("civil", "small", "2", 0, 9);
    world.turn();
    let of = "civil/small";
    assert_eq!(
        world.is(of, ConditionType::Approved),
        pair("True", "Automatic")
    );
    assert_eq!(world.nominal("civil"), "32");
    world.act(of, "", V::Release, "li");
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(world.is(of, ConditionType::Ended), pair("True", "Released"));
    assert_eq!(
        world.is(of, ConditionType::Approved),
        pair("True", "Automatic")
    );
}

#[test]
fn what_was_granted_stays_though_policy_and_approvals_go() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 0, 9);
    world.approve("civil/flood");
    world.turn();
    assert_eq!(world.nominal("civil"), "70");
    world.policies.clear();
    world.approvals.clear();
    world.turn();
    assert_eq!(world.nominal("civil"), "70");
    let by = ["bureau: wang", "city: chen"];
    let grants = |world: &World| world.quotas["civil"].effective().unwrap().grants.clone();
    assert_eq!(grants(&world)[0].approved_by, by);
    // Even where what counts was lost: the request remembers that it was approved, and by whom.
    world.quotas.get_mut("civil").unwrap().status = None;
    world.turn();
    world.turn();
    assert_eq!(world.nominal("civil"), "70");
    assert_eq!(grants(&world)[0].approved_by, by);
    world.act("civil/flood", "city", V::Revoke, "chen");
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(
        world.is("civil/flood", ConditionType::Ended),
        pair("True", "Revoked")
    );
    // A request that is deleted grants nothing any more.
    world.ask("health", "two", "2", 0, 9);
    world.policies = World::new().policies;
    world.turn();
    assert_eq!(world.nominal("health"), "32");
    world.requests.remove("health/two");
    world.turn();
    assert_eq!(world.nominal("health"), "30");
}

#[test]
fn what_there_is_no_room_for_waits_and_is_never_half_granted() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 2, 9);
    world.approve("civil/flood");
    world.turn();
    world.now = at(1);
    world.ask("health", "flood", "1", 4, 20);
    world.turn();
    let of = "health/flood";
    assert_eq!(
        world.is(of, ConditionType::Accepted),
        pair("False", "NoRoom")
    );
    world.ask("health", "much", "5", 4, 20);
    world.approve("health/much");
    world.turn();
    assert_eq!(
        world.is("health/much", ConditionType::Approved),
        pair("True", "Approved")
    );
    assert_eq!(
        world.is("health/much", ConditionType::Active),
        pair("False", "NoRoom")
    );
    assert_eq!(world.quotas["health"].effective().unwrap().grants, []);
    // Once there is room it is granted, and counts from its beginning on.
    world.act("civil/flood", "", V::Release, "li");
    world.now = at(5);
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(world.nominal("health"), "30", "not before that is written");
    world.turn();
    assert_eq!(world.nominal("health"), "36");
    world.act("health/much", "", V::Withdraw, "li");
    world.turn();
    assert_eq!(
        world.nominal("health"),
        "36",
        "what is granted is released, not withdrawn"
    );
}

#[test]
fn a_request_made_again_under_the_name_is_another() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 0, 9);
    world.approve("civil/flood");
    world.requests.remove("civil/flood");
    world.ask("civil", "flood", "40", 0, 9);
    world.turn();
    assert_eq!(world.nominal("civil"), "30");
    assert_eq!(world.stage("civil/flood"), "bureau");
    // The same uid with another spec is what nobody approved: the API server refuses the edit, and
    // this does not rely on it.
    world.approve("civil/flood");
    let change = |world: &mut World, amount: &str| {
        let request = world.requests.get_mut("civil/flood").unwrap();
        request.spec.resources = cores(amount);
        world.turn();
        world.nominal("civil")
    };
    assert_eq!(change(&mut world, "41"), "30");
    // Not even once it was granted as it was.
    assert_eq!(change(&mut world, "40"), "70");
    assert_eq!(change(&mut world, "41"), "30");
}

#[test]
fn what_is_told_does_not_change_with_time_alone() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 2, 9);
    world.approve("civil/flood");
    world.turn();
    world.ask("health", "now", "5", 0, 20);
    world.ask("health", "then", "5", 4, 20);
    world.turn();
    world.turn();
    let before: Vec<_> = world.requests.values().map(|r| r.status.clone()).collect();
    world.now += jiff::SignedDuration::from_secs(90);
    world.turn();
    let after: Vec<_> = world.requests.values().map(|r| r.status.clone()).collect();
    assert_eq!(before, after);
    // Also of one whose beginning has passed.
    world.now = at(5);
    world.turn();
    let before: Vec<_> = world.requests.values().map(|r| r.status.clone()).collect();
    world.now += jiff::SignedDuration::from_secs(90);
    world.turn();
    let after: Vec<_> = world.requests.values().map(|r| r.status.clone()).collect();
    assert_eq!(before, after);
}

#[test]
fn what_is_wrong_is_told() {
    let mut world = World::new();
    world.ask("civil", "stray", "4", 0, 9);
    let request = world.requests.get_mut("civil/stray").unwrap();
    request.spec.tenant = "health".into();
    world.ask("city", "root", "4", 0, 9);
    world.ask("civil", "late", "4", -9, -1);
    world.ask("civil", "back", "4", 9, 2);
    world.turn();
    let said = |of: &str| world.is(of, ConditionType::Accepted);
    assert_eq!(said("civil/stray"), pair("False", "NoTenant"));
    assert_eq!(said("city/root"), pair("False", "NoRoom"));
    assert_eq!(said("civil/back"), pair("False", "Invalid"));
    assert_eq!(
        world.is("civil/late", ConditionType::Ended),
        pair("True", "Expired")
    );
    world.policies.clear();
    world.ask("civil", "none", "4", 0, 9);
    world.turn();
    assert_eq!(
        world.is("civil/none", ConditionType::Approved),
        pair("False", "NoPolicy")
    );
    assert_eq!(
        world.is("civil/stray", ConditionType::Approved),
        pair("False", "Pending")
    );
    world.act("civil/none", "", V::Withdraw, "li");
    world.turn();
    assert_eq!(
        world.is("civil/none", ConditionType::Ended),
        pair("True", "Withdrawn")
    );
}

#[test]
fn a_spec_that_does_not_count_holds_up_no_grant() {
    let mut world = World::new();
    world.ask("civil", "flood", "40", 0, 9);
    world.approve("civil/flood");
    let quota = world.quotas.get_mut("civil").unwrap();
    quota.metadata.generation = Some(2);
    quota.spec.resources[0].guaranteed = "50".into();
    world.turn();
    assert_eq!(world.nominal("civil"), "70");
    let effective = world.quotas["civil"].effective().unwrap();
    assert_eq!(effective.generation, 1);
    assert_eq!(effective.resources[0].guaranteed.0, "0");
    world.now = at(9);
    world.turn();
    let effective = world.quotas["civil"].effective().unwrap();
    assert_eq!(effective.resources[0].nominal.0, "30");
    assert_eq!(effective.resources[0].ceiling.as_ref().unwrap().0, "30");
}
