//! Whatever happens, nobody sleeps who would be placed now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Event, Pool, Wait, of_member};
use crate::config::Config;
use crate::engine::Engine;
use crate::fixtures::{NOW, commit};
use crate::quota::{Amounts, Key, QuotaNode, QuotaTree};
use crate::request::{Request, WorkloadKey};
use crate::schedule::decide_all;
use crate::schedule::properties::{fleets, members, requests};
use crate::snapshot::{Flavor, Held, Member, Neighbour, Readiness, Snapshot, Tenant};
use crate::verdict::{EventKind, Outcome, Verdict};

/// Tenants that requests are dealt to: one with one above it that others are below, too.
const TENANTS: [&str; 4] = ["civil-affairs", "panyu", "guangzhou", "shenzhen"];

/// What happens to a world.
#[derive(Clone, Debug)]
enum Act {
    /// A member becomes what another is.
    Becomes(usize, Member),
    /// A member says otherwise of its health.
    Health(usize, bool),
    /// A member's nodes have so much more or less.
    Nodes(usize, i64),
    Joins(usize, Member),
    Leaves(usize),
    /// What one holds on one member is gone.
    Releases(usize),
    /// Nominal and ceiling of a tenant for the one flavor.
    Quota(usize, i64),
    /// A tenant allows one zone alone, or any.
    Rails(usize, bool),
    /// A flavor of other precedence.
    Flavor(i64),
    /// Another label.
    Relabels(usize),
    /// One that is placed has to be placed anew with more or fewer.
    Scales(usize, i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = (0_u8..18, 0_usize..8, members(), 0_i64..9, any::<bool>());
    let one = one.prop_map(|(kind, which, mut members, much, yes)| {
        let one = members.remove(0);
        match kind {
            0 => Act::Becomes(which, one),
            1 | 2 => Act::Health(which, yes),
            3 | 4 => Act::Nodes(which, much - 4),
            5 => Act::Joins(which, one),
            6 => Act::Leaves(which),
            7 | 8 => Act::Releases(which),
            9 | 10 => Act::Quota(which, much * 2000),
            // Mostly one tenant, which narrows and widens in turn.
            11 | 14 | 15 => Act::Rails(which / 3, yes),
            12 if much == 0 => Act::Flavor(if yes { 5 } else { 15 }),
            12 => Act::Relabels(which),
            _ => Act::Scales(which, much),
        }
    });
    prop::collection::vec(one, 1..16)
}

/// The world, those that stand, and those that wait.
struct Stage {
    snapshot: Snapshot,
    requests: BTreeMap<WorkloadKey, Request>,
    waiting: BTreeMap<WorkloadKey, Wait>,
    pool: Pool,
    events: Vec<Event>,
    /// A kind that nobody is told of: the mutants.
    deaf: Option<EventKind>,
}

impl Stage {
    fn new(snapshot: Snapshot, requests: Vec<Request>) -> Self {
        let requests: BTreeMap<_, _> = requests
            .into_iter()
            .map(|of| (of.key.clone(), of))
            .collect();
        let mut stage = Self {
            snapshot,
            waiting: BTreeMap::new(),
            pool: Pool::default(),
            events: Vec::new(),
            deaf: None,
            requests,
        };
        let all: Vec<_> = stage.requests.keys().cloned().collect();
        stage.look(all);
        stage
    }

    fn lineage(&self, tenant: &str) -> Vec<String> {
        let quotas = &self.snapshot.quotas;
        let path = quotas.node(tenant).map(|node| quotas.path(node));
        let path = path.into_iter().flatten().rev();
        path.map(|node| quotas.name(node).to_owned()).collect()
    }

    /// Looks at some: those that are placed are committed, of the others it is noted what they wait for.
    fn look(&mut self, keys: Vec<WorkloadKey>) {
        for key in keys {
            let Some(mut request) = self.requests.remove(&key) else {
                continue;
            };
            let (verdict, wait) = self.decided(&request);
            self.waiting.remove(&key);
            if verdict.outcome.placed().is_some() {
                let before = self.snapshot.held.get(&key).cloned().unwrap_or_default();
                commit(&mut self.snapshot, &mut request, &verdict);
                self.tell_taken(&request.tenant, &before, &key);
            } else {
                self.waiting.insert(key.clone(), wait);
            }
            self.requests.insert(key, request);
        }
    }

    fn decided(&mut self, request: &Request) -> (Verdict, Wait) {
        let mut engine = Engine::new(self.snapshot.clone(), Config::default());
        let verdict = decide_all(&mut engine, std::slice::from_ref(request)).remove(0);
        let about = engine.about(request);
        let wait = Wait::of(request, &verdict, about, &mut self.pool);
        (verdict, wait)
    }

    fn tell_taken(&mut self, tenant: &str, before: &Held, key: &WorkloadKey) {
        let held = self.snapshot.held.get(key).cloned().unwrap_or_default();
        for entry in held
            .entries
            .iter()
            .filter(|of| !before.entries.contains(of))
        {
            let member = entry.member.clone();
            self.events.push(Event::CapacityTaken {
                flavor: self.shared(&member, &entry.flavor),
                member,
            });
        }
        let tenant = Some(tenant.to_owned());
        self.events.push(Event::NeighbourChanged { tenant });
    }

    fn shared(&self, member: &str, flavor: &str) -> Option<String> {
        let lined = self.snapshot.members.get(member);
        let lined = lined.is_some_and(|of| !of.red_lines.is_empty());
        (!lined).then(|| flavor.to_owned())
    }

    fn act(&mut self, act: Act) {
        let names: Vec<String> = self.snapshot.members.keys().cloned().collect();
        let named = |which: usize| names.get(which % names.len().max(1)).cloned();
        match act {
            Act::Becomes(which, mut other) => {
                let Some(name) = named(which) else { return };
                other.name.clone_from(&name);
                self.becomes(&name, Some(other));
            }
            Act::Health(which, ready) => {
                let Some(name) = named(which) else { return };
                let mut of = Member::clone(&self.snapshot.members[&name]);
                of.readiness = if ready {
                    Readiness::Ready
                } else {
                    Readiness::Unknown { since: NOW - 900 }
                };
                self.becomes(&name, Some(of));
            }
            Act::Nodes(which, more) => {
                let Some(name) = named(which) else { return };
                self.renode(&name, more);
            }
            Act::Joins(which, mut other) => {
                other.name = format!("n{which}");
                let name = other.name.clone();
                self.becomes(&name, Some(other));
            }
            Act::Leaves(which) => {
                let Some(name) = named(which) else { return };
                self.becomes(&name, None);
            }
            Act::Releases(which) => self.release(which),
            Act::Quota(which, much) => self.requota(TENANTS[which % TENANTS.len()], much),
            Act::Rails(which, narrow) => {
                let of = self
                    .snapshot
                    .tenants
                    .get_mut(TENANTS[which % TENANTS.len()]);
                let rails = &mut of.unwrap().guardrails;
                rails.zones = narrow.then(|| ["internet".to_owned()].into());
                self.events.push(Event::TenantChanged);
            }
            Act::Flavor(precedence) => {
                let flavor = Flavor {
                    precedence,
                    ..Flavor::default()
                };
                self.snapshot.flavors.insert("amd".to_owned(), flavor);
                self.events.push(Event::FlavorChanged);
            }
            Act::Relabels(which) => self.relabel(which),
            Act::Scales(which, replicas) => {
                // It is looked at because it changed itself, whatever happens to others.
                let key = self
                    .requests
                    .keys()
                    .nth(which % self.requests.len())
                    .cloned()
                    .unwrap();
                let request = self.requests.get_mut(&key).unwrap();
                for component in &mut request.components {
                    component.replicas = replicas;
                }
                self.look(vec![key]);
            }
        }
    }

    /// All nodes of a member have so many more cores free.
    fn renode(&mut self, name: &str, more: i64) {
        let mut of = Member::clone(&self.snapshot.members[name]);
        for shape in of.sketch.iter_mut().flat_map(|of| &mut of.shapes) {
            let cpu = shape.free.get("cpu");
            shape.free.set("cpu", (cpu + more * 1000).max(0));
        }
        self.becomes(name, Some(of));
    }

    fn relabel(&mut self, which: usize) {
        let all = self.snapshot.neighbours.iter_mut();
        let mut all = all.flat_map(|(tenant, of)| of.values_mut().map(move |of| (tenant, of)));
        let Some((tenant, of)) = all.nth(which) else {
            return;
        };
        let of: &mut Neighbour = of;
        of.labels = [("app".to_owned(), "b".to_owned())].into();
        let tenant = Some(tenant.clone());
        self.events.push(Event::NeighbourChanged { tenant });
    }

    fn becomes(&mut self, name: &str, other: Option<Member>) {
        let other = other.map(Arc::new);
        let before = self.snapshot.members.remove(name);
        self.events
            .extend(of_member(before.as_deref(), other.as_deref()));
        if let Some(other) = other {
            self.snapshot.members.insert(name.to_owned(), other);
        }
    }

    /// One that holds something on a member gives it up there.
    fn release(&mut self, which: usize) {
        let held = self.snapshot.held.iter();
        let holds =
            held.flat_map(|(key, of)| (0..of.entries.len()).map(move |at| (key.clone(), at)));
        let Some((key, at)) = holds.clone().nth(which % holds.count().max(1)) else {
            return;
        };
        let entry = self.snapshot.held.get_mut(&key).unwrap().entries.remove(at);
        let request = self.requests.get_mut(&key).unwrap();
        request.previous.retain(|of| {
            of.member != entry.member
                || of.component != entry.component
                || of.flavor != entry.flavor
        });
        let tenant = request.tenant.clone();
        let charge = entry.charge.iter();
        let charge: Amounts = charge
            .map(|(resource, amount)| (Key::new(&*entry.flavor, resource), amount))
            .collect();
        let quotas = &mut self.snapshot.quotas;
        let node = quotas.node(&tenant).unwrap();
        quotas.release(node, &charge).unwrap();
        if let Some(member) = self.snapshot.member_mut(&entry.member) {
            let own = |of: &crate::snapshot::InFlight| {
                of.flavor == entry.flavor && of.per_replica == entry.per_replica
            };
            if let Some(at) = member.in_flight.iter().position(own) {
                member.in_flight.remove(at);
            }
        }
        let neighbours = self.snapshot.neighbours.get_mut(&tenant);
        if let Some(of) = neighbours.and_then(|all| all.get_mut(&key)) {
            of.on.remove(&entry.member);
            of.leaving.remove(&entry.member);
        }
        let tenants = self.lineage(&tenant);
        self.events
            .extend(charge.into_keys().map(|key| Event::QuotaReleased {
                tenants: tenants.clone(),
                key,
            }));
        self.events.push(Event::CapacityFreed {
            flavor: self.shared(&entry.member, &entry.flavor),
            member: entry.member,
        });
        let tenant = Some(tenant);
        self.events.push(Event::NeighbourChanged { tenant });
    }

    fn requota(&mut self, tenant: &str, much: i64) {
        let mut nodes: Vec<QuotaNode> = self.snapshot.quotas.export();
        let of = nodes.iter_mut().find(|of| of.name == tenant).unwrap();
        let line = of.lines.entry(Key::new("arm", "cpu")).or_default();
        (line.guaranteed, line.nominal, line.ceiling) = (much / 4, much / 2, much);
        self.snapshot.quotas = QuotaTree::build(&nodes).0;
        let tenants = self.lineage(tenant);
        self.events.push(Event::QuotaChanged { tenants });
    }

    /// Wakes whom what happened wakes, until nothing happens any more; says who sleeps on that would
    /// be placed.
    fn rest(&mut self) -> Option<(WorkloadKey, Wait, Verdict)> {
        for _ in 0..20 {
            let mut events = std::mem::take(&mut self.events);
            events.retain(|event| event.kind().is_none_or(|kind| Some(kind) != self.deaf));
            let woken = |wait: &Wait| events.iter().any(|event| wait.is_woken_by(event));
            let waiting = self.waiting.iter();
            let woken: Vec<_> = waiting
                .filter(|(_, wait)| woken(wait))
                .map(|(key, _)| key.clone())
                .collect();
            if woken.is_empty() {
                break;
            }
            self.look(woken);
        }
        let mut engine = Engine::new(self.snapshot.clone(), Config::default());
        self.waiting.iter().find_map(|(key, wait)| {
            let request = std::slice::from_ref(&self.requests[key]);
            let verdict = decide_all(&mut engine, request).remove(0);
            let placed = matches!(verdict.outcome, Outcome::Placed(_));
            placed.then(|| (key.clone(), wait.clone(), verdict))
        })
    }
}

fn dealt(mut requests: Vec<Request>, deal: &[(usize, u8)]) -> Vec<Request> {
    for (request, (tenant, flavors)) in requests.iter_mut().zip(deal.iter().cycle()) {
        TENANTS[tenant % TENANTS.len()].clone_into(&mut request.tenant);
        let flavors: &[&str] = match flavors {
            0 | 1 => &["arm"],
            2 => &["amd"],
            3 => &["arm", "amd"],
            _ => &[],
        };
        request.placement.flavors = flavors.iter().map(|&of| of.to_owned()).collect();
        if flavors.len() == 1 && request.components.len() > 1 {
            // Most are of one component, as most are.
            request.components.truncate(1);
            request.components[0].surge = crate::request::Surge::Absolute(0);
        }
    }
    requests
}

fn deals() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((0_usize..4, 0_u8..6), 8)
}

/// Quotas that bind: each tenant its own of the one flavor, and less than all of them above.
fn tight(mut snapshot: Snapshot, much: &[i64]) -> Snapshot {
    let panyu = Tenant {
        parent: Some("guangzhou".to_owned()),
        ..Tenant::default()
    };
    snapshot.tenants.insert("panyu".to_owned(), panyu);
    let mut nodes = snapshot.quotas.export();
    for (of, much) in nodes.iter_mut().zip(much.iter().cycle()) {
        let line = of.lines.entry(Key::new("arm", "cpu")).or_default();
        (line.guaranteed, line.nominal, line.ceiling) = (much / 4, much / 2, *much);
    }
    snapshot.quotas = QuotaTree::build(&nodes).0;
    snapshot
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_sleeps_who_would_be_placed(
        snapshot in fleets(),
        requests in requests(),
        deal in deals(),
        much in prop::option::of(prop::collection::vec(1000_i64..30_000, 5)),
        acts in acts(),
    ) {
        let snapshot = much.map_or(snapshot.clone(), |much| tight(snapshot, &much));
        let mut stage = Stage::new(snapshot, dealt(requests, &deal));
        for act in acts {
            stage.act(act.clone());
            if let Some((key, wait, verdict)) = stage.rest() {
                return Err(TestCaseError::fail(format!(
                    "after {act:#?}\n{key} sleeps, waits for {wait:?}\n{:#?}\nand would be {:?}",
                    stage.requests[&key], verdict.outcome
                )));
            }
        }
    }
}

fn found_by_some_case(deaf: EventKind) -> bool {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config as Cases, TestRunner};
    let mut runner = TestRunner::new_with_rng(
        Cases::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let all = (
        fleets(),
        requests(),
        deals(),
        prop::collection::vec(1000_i64..30_000, 5),
        acts(),
    );
    (0..2000).any(|_| {
        let (snapshot, requests, deal, much, acts) = all.new_tree(&mut runner).unwrap().current();
        let mut stage = Stage::new(tight(snapshot, &much), dealt(requests, &deal));
        stage.deaf = Some(deaf);
        acts.into_iter().any(|act| {
            stage.act(act);
            stage.rest().is_some()
        })
    })
}

/// Without any one of these kinds somebody sleeps who would be placed: the property above can fail.
/// What chance seldom finds has its own case in `counts`.
#[test]
fn each_kind_is_needed() {
    let kinds = [
        EventKind::MemberReady,
        EventKind::MemberChanged,
        EventKind::SketchChanged,
        EventKind::CapacityFreed,
        EventKind::QuotaChanged,
        EventKind::NeighbourChanged,
    ];
    let missed: BTreeSet<EventKind> = kinds
        .into_iter()
        .filter(|kind| !found_by_some_case(*kind))
        .collect();
    assert_eq!(missed, BTreeSet::new(), "nobody misses these");
}
