//! What lives across batches: the fleet made ready, and all that was judged of it.

mod idle;
mod open;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::case::Memory;
use crate::config::Config;
use crate::decide::decide;
use crate::fleet::Fleet;
use crate::fleet::policy::Policy;
use crate::hash::Inputs;
use crate::preempt::Reservation;
use crate::quota::{Mark, QuotaTree};
use crate::request::{Request, WorkloadKey};
use crate::rules::Rules;
use crate::snapshot::{Flavor, Held, Member, Neighbour, Snapshot, Tenant};
use crate::verdict::{Outcome, Verdict};

pub use idle::{Taken, taken};

/// The most numbers that were ever given besides those of a fresh fleet: with more, all that is
/// remembered is made anew.
const NUMBERS: usize = 100_000;
/// The last stamp of a lot that a batch may begin with; after it, the same.
const STAMPS: u32 = u32::MAX / 2;
/// The most changes of members that policies read later; with more, the same.
const CHANGES: usize = 1_000_000;

/// A snapshot that is decided on again and again.
///
/// It says what a fresh one says of the same snapshot. What it remembers of rules and nodes stays
/// while they do: one member's change costs what that member has, not what all have.
pub struct Engine {
    config: Config,
    fleet: Fleet,
    memory: Memory,
    inputs: Inputs,
}

impl Engine {
    /// An engine of a snapshot.
    pub fn new(snapshot: Snapshot, config: Config) -> Self {
        let inputs = Inputs::new(&snapshot, &config);
        Self {
            fleet: Fleet::new(snapshot, config.tolerated_not_ready_seconds),
            config,
            memory: Memory::default(),
            inputs,
        }
    }

    /// What the rules say of every member to a request.
    fn policy(&mut self, request: &Request) -> Arc<Policy> {
        let tolerated = self.config.tolerated_not_ready_seconds;
        let rules = Rules::new(&self.fleet, request, tolerated);
        self.memory.policies.of(&self.fleet, request, &rules)
    }

    /// What is decided on.
    pub fn snapshot(&self) -> &Snapshot {
        &self.fleet.snapshot
    }

    /// How it decides.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The moment of the decisions, in seconds since 1970-01-01T00:00:00Z.
    pub fn set_now(&mut self, now: i64) {
        self.fleet.set_now(now);
    }

    /// What these members are now, and the names of those that have left: all who join or leave
    /// together cost as much as one new engine.
    pub fn set_members(
        &mut self,
        members: impl IntoIterator<Item = Arc<Member>>,
        left: impl IntoIterator<Item = String>,
    ) {
        let mut anew = false;
        for name in left {
            if let Some(before) = self.fleet.snapshot.members.remove(&name) {
                self.inputs.exchange(&name, Some(&before), None);
                anew = true;
            }
        }
        for member in members {
            anew |= self.set_member(member);
        }
        if anew {
            self.make_anew();
        }
    }

    /// Returns whether all is to be made anew.
    fn set_member(&mut self, member: Arc<Member>) -> bool {
        let name = member.name.clone();
        let before = self.fleet.snapshot.members.get(&name).map(Arc::clone);
        if before.as_ref().is_some_and(|before| **before == *member) {
            return false;
        }
        self.inputs
            .exchange(&name, before.as_deref(), Some(&member));
        self.fleet.set_member(&name, member).is_err()
    }

    /// Flavors and tenants. Others than before cost as much as a new engine.
    pub fn set_rules(
        &mut self,
        flavors: BTreeMap<String, Flavor>,
        tenants: BTreeMap<String, Tenant>,
    ) {
        let snapshot = &mut self.fleet.snapshot;
        if snapshot.flavors == flavors && snapshot.tenants == tenants {
            return;
        }
        (snapshot.flavors, snapshot.tenants) = (flavors, tenants);
        self.make_anew();
    }

    /// The effective quota of every tenant, with what is charged to it.
    pub fn set_quotas(&mut self, quotas: QuotaTree) {
        self.fleet.snapshot.quotas = quotas;
    }

    /// What workloads hold. Those that are asked for are enough.
    pub fn set_held(&mut self, held: BTreeMap<WorkloadKey, Held>) {
        self.fleet.snapshot.held = held;
    }

    /// What is kept for workloads that wait for others to go.
    pub fn set_reservations(&mut self, reservations: BTreeMap<WorkloadKey, Reservation>) {
        self.fleet.snapshot.reservations = reservations;
    }

    /// What others of their tenants see of workloads now: the tenant and the workload, and `None` for
    /// one that holds nothing there any more.
    pub fn set_neighbours(
        &mut self,
        changed: impl IntoIterator<Item = (String, WorkloadKey, Option<Neighbour>)>,
    ) {
        let Fleet {
            snapshot,
            neighbours,
            ..
        } = &mut self.fleet;
        for (tenant, key, of) in changed {
            neighbours.note(&tenant, &key, of.as_ref());
            let mut all = snapshot.neighbours.remove(&tenant).unwrap_or_default();
            match of {
                Some(of) => drop(all.insert(key, of)),
                None => drop(all.remove(&key)),
            }
            if !all.is_empty() {
                snapshot.neighbours.insert(tenant, all);
            }
        }
    }

    fn make_anew(&mut self) {
        let snapshot = self.fleet.snapshot.clone();
        *self = Self::new(snapshot, self.config.clone());
    }

    /// A batch in which nothing is decided yet.
    pub fn batch(&mut self) -> Batch<'_> {
        let fleet = &self.fleet;
        let many = fleet.numbers() > NUMBERS || fleet.changed.len() > CHANGES;
        if many || fleet.stamped > STAMPS {
            self.make_anew();
        }
        let inputs = self.inputs.at(self.fleet.snapshot.now);
        let mark = self.fleet.snapshot.quotas.begin();
        Batch {
            engine: self,
            inputs,
            mark: Some(mark),
            remembers: true,
        }
    }
}

/// A batch under way. What its decisions have taken is taken for those after them, and forgotten
/// when it ends: whoever commits a decision tells the engine what the members and quotas are then.
///
/// [`crate::schedule()`] is this with the requests in their order; who decides one by one keeps to
/// that order, or others are placed first.
pub struct Batch<'e> {
    engine: &'e mut Engine,
    inputs: crate::hash::Running,
    mark: Option<Mark>,
    /// Who was placed where is remembered for rules between workloads.
    remembers: bool,
}

impl Batch<'_> {
    /// The quota tree with what was taken so far.
    pub(crate) fn quotas(&self) -> &QuotaTree {
        &self.engine.fleet.snapshot.quotas
    }

    /// What is kept for workloads that wait for others to go.
    pub(crate) fn reservations(&self) -> &BTreeMap<WorkloadKey, Reservation> {
        &self.engine.fleet.snapshot.reservations
    }

    /// Keeps what is reserved from those after it; the workload itself is decided before.
    pub(crate) fn reserve(&mut self, key: &WorkloadKey) {
        let fleet = &mut self.engine.fleet;
        let Some(reserved) = fleet.snapshot.reservations.get(key).cloned() else {
            return;
        };
        self.inputs.keep(key, &reserved);
        for room in &reserved.room {
            let flavor = fleet.flavor(&room.replicas.flavor);
            let place = fleet.site(&room.member).zip(flavor);
            if let Some(lot) = place.and_then(|(site, flavor)| fleet.lot_of(site, flavor)) {
                let each = fleet.each(&room.replicas.per_replica);
                fleet.assume(lot, each, room.replicas.replicas);
            }
        }
        let quotas = &mut fleet.snapshot.quotas;
        if let Some(node) = quotas.node(&reserved.tenant) {
            // Beyond what is left, as long as those that go are charged: nobody else gets that.
            let _ = quotas.charge(node, &reserved.increase);
        }
    }

    /// Says that these alone are decided: where no rule between workloads is about, who was placed
    /// where need not be remembered.
    pub fn expects(&mut self, requests: &[Request]) {
        let mut rules = requests.iter().map(|of| &of.placement.neighbours);
        let nobody = self.engine.fleet.neighbours.keeps_nobody_out();
        self.remembers = !nobody || rules.any(|rules| !rules.is_empty());
    }

    /// Decides on one request; what the verdict takes is taken for those after it.
    pub fn decide(&mut self, request: &Request) -> Verdict {
        let Engine {
            config,
            fleet,
            memory,
            ..
        } = &mut *self.engine;
        let around = fleet.neighbours.of(&fleet.snapshot, request);
        let mut decided = decide(fleet, memory, request, config, &around);
        decided.verdict.inputs_hash = self.inputs.hash(&fleet.snapshot, request, &around);
        self.inputs.follow(&decided.verdict);
        if let Outcome::Placed(placed) = &decided.verdict.outcome
            && self.remembers
        {
            fleet.neighbours.follow(&fleet.snapshot, request, placed);
        }
        for (lot, each, replicas) in decided.taken {
            fleet.assume(lot, each, replicas);
        }
        let quotas = &mut fleet.snapshot.quotas;
        if let Outcome::Placed(placed) = &decided.verdict.outcome
            && let Some(node) = quotas.node(&request.tenant)
            && !placed.increase.is_empty()
        {
            // An overflow cannot be: the increase was within what is left.
            let _ = quotas.charge(node, &placed.increase);
        }
        decided.verdict
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.engine.fleet.forget();
        if let Some(mark) = self.mark.take() {
            self.engine.fleet.snapshot.quotas.rollback(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::Engine;
    use crate::config::Config;
    use crate::fixtures::{NOW, commit, component, member, request, with, world};
    use crate::schedule::properties::{fleets, members, requests};
    use crate::schedule::{decide_all, schedule};
    use crate::snapshot::{Neighbour, Readiness};

    /// What happens to an engine between two batches.
    #[derive(Clone, Debug)]
    enum Event {
        /// A member becomes what another one is.
        Becomes(usize, crate::Member),
        /// One that it did not know, with a resource that none had.
        Joins(crate::Member),
        Leaves(usize),
        /// The time is so many seconds later or earlier.
        Passes(i64),
        /// What was decided last is committed.
        Commits,
        /// One that holds something is relabelled, is charged to another tenant, or holds nothing.
        Changes(usize),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let one = (0_u8..12, 0_usize..6, members(), -1500_i64..1500);
        let one = one.prop_map(|(kind, which, mut members, seconds)| {
            let mut one = members.remove(0);
            match kind {
                0..=5 => {
                    if kind == 0 {
                        one.readiness = Readiness::NotReady {
                            since: NOW + seconds,
                        };
                    }
                    Event::Becomes(which, one)
                }
                6 => {
                    one.name = format!("n{which}");
                    for shape in one.sketch.iter_mut().flat_map(|of| &mut of.shapes) {
                        shape.free.set(format!("example.com/device-{which}"), 2);
                    }
                    Event::Joins(one)
                }
                7 => Event::Leaves(which),
                8 => Event::Passes(seconds),
                9 => Event::Changes(which),
                _ => Event::Commits,
            }
        });
        prop::collection::vec(one, 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// An engine that has seen everything happen says what a fresh one says, to the byte.
        #[test]
        fn it_says_what_a_fresh_one_says(
            snapshot in fleets(),
            mut all in requests(),
            events in events(),
        ) {
            let config = Config::default();
            let mut engine = Engine::new(snapshot, config.clone());
            for (step, event) in std::iter::once(Event::Passes(0)).chain(events).enumerate() {
                // What comes later meets members that have changed since.
                let asked = all.len().min(step + 1);
                let asked = &mut all[..asked];
                let names: Vec<String> = engine.snapshot().members.keys().cloned().collect();
                match event {
                    Event::Becomes(which, mut other) => {
                        let Some(name) = names.get(which % names.len().max(1)) else { continue };
                        other.name.clone_from(name);
                        engine.set_members([Arc::new(other)], []);
                    }
                    Event::Joins(other) => engine.set_members([Arc::new(other)], []),
                    Event::Leaves(which) => {
                        let Some(name) = names.get(which % names.len().max(1)) else { continue };
                        engine.set_members([], [name.clone()]);
                    }
                    Event::Changes(which) => {
                        let all = engine.snapshot().neighbours.iter();
                        let all = all.flat_map(|(tenant, all)| all.iter().map(move |of| (tenant, of)));
                        let all: Vec<_> = all.collect();
                        let Some((tenant, (key, of))) = all.get(which % all.len().max(1)) else {
                            continue;
                        };
                        let (tenant, key) = ((*tenant).clone(), (*key).clone());
                        let mut changed = Neighbour::clone(of);
                        changed.labels = [("app".to_owned(), "a".to_owned())].into();
                        let told = match which % 3 {
                            0 => vec![(tenant, key, Some(changed))],
                            1 => vec![(tenant, key.clone(), None), ("guangzhou".to_owned(), key, Some(changed))],
                            _ => vec![(tenant, key, None)],
                        };
                        engine.set_neighbours(told);
                    }
                    Event::Passes(seconds) => engine.set_now(engine.snapshot().now + seconds),
                    Event::Commits => {
                        let mut after = engine.snapshot().clone();
                        for verdict in schedule(&after.clone(), asked, &config) {
                            let of = asked.iter_mut().find(|of| of.key == verdict.key).unwrap();
                            commit(&mut after, of, &verdict);
                        }
                        engine.set_members(after.members.values().cloned(), []);
                        engine.set_quotas(after.quotas.clone());
                        engine.set_held(after.held.clone());
                        for (tenant, all) in &after.neighbours {
                            let all = all.iter();
                            let told = all.map(|(key, of)| {
                                (tenant.clone(), key.clone(), Some(of.clone()))
                            });
                            engine.set_neighbours(told);
                        }
                    }
                }
                let before = serde_json::to_value(engine.snapshot()).unwrap();
                let verdicts = decide_all(&mut engine, asked);
                prop_assert_eq!(&verdicts, &schedule(engine.snapshot(), asked, &config));
                // What a batch took is forgotten with it.
                prop_assert_eq!(&before, &serde_json::to_value(engine.snapshot()).unwrap());
            }
        }
    }

    #[test]
    fn rules_of_others_make_it_anew() {
        let snapshot = with(
            world(),
            [member("a", "arm", 2, 8), member("b", "arm", 2, 8)],
        );
        let mut engine = Engine::new(snapshot, Config::default());
        let asked = [request("app", vec![component("web", 3, 1000)])];
        let first = decide_all(&mut engine, &asked);
        assert!(first[0].outcome.placed().is_some());
        let mut tenants = engine.snapshot().tenants.clone();
        let rails = &mut tenants.get_mut(&asked[0].tenant).unwrap().guardrails;
        rails.zones = Some(["internet".to_owned()].into());
        engine.set_rules(engine.snapshot().flavors.clone(), tenants);
        let second = decide_all(&mut engine, &asked);
        assert!(second[0].outcome.placed().is_none());
        assert_eq!(second, schedule(engine.snapshot(), &asked, engine.config()));
    }
}
