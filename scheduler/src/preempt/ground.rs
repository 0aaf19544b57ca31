//! The fleet as it would be with some gone: what a search tries its ideas on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Place, Room, Standing, Victim};
use crate::config::{Config, Explained};
use crate::engine::Engine;
use crate::quota::{Amounts, Key, QuotaTree};
use crate::request::{Request, WorkloadKey};
use crate::resources::{PODS, Resources};
use crate::schedule::decide_all;
use crate::snapshot::{Held, InFlight, Member, Readiness, Shape, Snapshot};
use crate::verdict::{Outcome, Placed, PlacedAssignment, Verdict};

/// The fleet with what is going gone, and what this batch placed there.
pub(super) struct Ground<'s> {
    engine: Engine,
    /// Members and quotas without any victim of the search under way.
    members: BTreeMap<String, Arc<Member>>,
    pub(super) quotas: QuotaTree,
    /// The same without what is not known to be in force: by this a branch borrows, or does not.
    pub(super) settled: QuotaTree,
    pub(super) standing: &'s BTreeMap<WorkloadKey, Standing>,
    /// Who makes room for someone before.
    gone: BTreeSet<WorkloadKey>,
    /// Members that the engine has otherwise than `members`.
    tried: BTreeSet<String>,
}

impl<'s> Ground<'s> {
    /// The ground after a batch.
    pub(super) fn new(
        snapshot: &Snapshot,
        requests: &[Request],
        verdicts: &[Verdict],
        standing: &'s BTreeMap<WorkloadKey, Standing>,
        config: &Config,
    ) -> Self {
        let mut snapshot = snapshot.clone();
        let by_key: BTreeMap<&WorkloadKey, &Request> =
            requests.iter().map(|one| (&one.key, one)).collect();
        for verdict in verdicts {
            if let (Outcome::Placed(placed), Some(request)) =
                (&verdict.outcome, by_key.get(&verdict.key))
            {
                let rooms = rooms(snapshot.held.get(&request.key), placed);
                let Snapshot {
                    members, quotas, ..
                } = &mut snapshot;
                take(members, quotas, request, placed, &rooms);
            }
        }
        for of in standing.values() {
            for place in of.places.iter().filter(|place| place.going > 0) {
                let Some(member) = snapshot.member_mut(&place.member) else {
                    continue;
                };
                if member.readiness != Readiness::Ready {
                    // Nothing is confirmed from there soon.
                    continue;
                }
                dig(member, place, place.going);
                release(
                    &mut snapshot.quotas,
                    &of.tenant,
                    &place.flavor,
                    &place.going_charge,
                );
            }
        }
        let config = Config {
            explained: Explained {
                whole_up_to: 0,
                nearest: 0,
            },
            ..config.clone()
        };
        let mut settled = snapshot.quotas.clone();
        for of in standing.values().filter(|of| !of.uncommitted.is_empty()) {
            if let Some(node) = settled.node(&of.tenant) {
                // More than is charged is never released: see below.
                let _ = settled.release(node, &of.uncommitted);
            }
        }
        Self {
            members: snapshot.members.clone(),
            quotas: snapshot.quotas.clone(),
            settled,
            engine: Engine::new(snapshot, config),
            standing,
            gone: BTreeSet::new(),
            tried: BTreeSet::new(),
        }
    }

    /// Those that may be asked to go at all, and were not yet.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'s WorkloadKey, &'s Standing)> {
        let standing: &'s BTreeMap<WorkloadKey, Standing> = self.standing;
        standing
            .iter()
            .filter(|(key, of)| !of.busy && !self.gone.contains(*key))
    }

    /// What a request holds already.
    pub(super) fn held(&self, request: &Request) -> Option<&Held> {
        self.engine.snapshot().held.get(&request.key)
    }

    /// What is decided on a request with these gone.
    pub(super) fn without(
        &mut self,
        request: &Request,
        victims: &[&WorkloadKey],
    ) -> Option<Placed> {
        let mut quotas = self.quotas.clone();
        let mut changed: BTreeMap<String, Arc<Member>> = BTreeMap::new();
        for name in std::mem::take(&mut self.tried) {
            if let Some(member) = self.members.get(&name) {
                changed.insert(name, Arc::clone(member));
            }
        }
        for of in victims.iter().filter_map(|key| self.standing.get(*key)) {
            for place in of.spare_places() {
                release(&mut quotas, &of.tenant, &place.flavor, &place.freed());
                let Some(member) = self.members.get(&place.member) else {
                    continue;
                };
                let name = place.member.clone();
                self.tried.insert(name.clone());
                let member = changed.entry(name).or_insert_with(|| Arc::clone(member));
                dig(Arc::make_mut(member), place, place.spare());
            }
        }
        self.engine.set_members(changed.into_values(), []);
        self.engine.set_quotas(quotas);
        let verdict = decide_all(&mut self.engine, std::slice::from_ref(request)).pop()?;
        match verdict.outcome {
            Outcome::Placed(placed) => Some(placed),
            Outcome::Rejected(_) | Outcome::Waiting(_) => None,
        }
    }

    /// The victims are going, and the request has what it will have: the room it takes besides what
    /// it holds.
    pub(super) fn settle(
        &mut self,
        request: &Request,
        victims: &[Victim],
        placed: &Placed,
    ) -> Vec<Room> {
        for victim in victims {
            let Some(of) = self.standing.get(&victim.key) else {
                continue;
            };
            for place in of.spare_places() {
                for quotas in [&mut self.quotas, &mut self.settled] {
                    release(quotas, &of.tenant, &place.flavor, &place.freed());
                }
                if let Some(member) = self.members.get_mut(&place.member) {
                    dig(Arc::make_mut(member), place, place.spare());
                }
                self.tried.insert(place.member.clone());
            }
            self.gone.insert(victim.key.clone());
        }
        let rooms = rooms(self.held(request), placed);
        let Self {
            members, quotas, ..
        } = self;
        take(members, quotas, request, placed, &rooms);
        self.tried.extend(rooms.iter().map(|of| of.member.clone()));
        rooms
    }
}

/// What a tenant was charged of a flavor is charged no more.
pub(super) fn release(quotas: &mut QuotaTree, tenant: &str, flavor: &str, freed: &Resources) {
    let freed: Amounts = freed
        .iter()
        .map(|(resource, amount)| (Key::new(flavor, resource), amount))
        .collect();
    if let Some(node) = quotas.node(tenant) {
        // More than is charged is never released: then the charge stays, which is the safe side.
        let _ = quotas.release(node, &freed);
    }
}

/// What so many replicas of a place leave behind when they go. On which nodes they run is not known; but
/// each leaves at least its own size on one of that flavor, with what all of these have in common. Of
/// `pods` also what each of these nodes has free: it is seldom short, and several small ones may follow
/// a large.
fn dig(member: &mut Member, place: &Place, replicas: i64) {
    for (name, line) in &mut member.red_lines {
        let gone = place.per_replica.get(name).saturating_mul(replicas);
        line.requested = line.requested.saturating_sub(gone);
    }
    let Some(sketch) = &mut member.sketch else {
        return;
    };
    let alike = sketch
        .shapes
        .iter()
        .filter(|shape| shape.flavor.as_deref() == Some(&*place.flavor));
    let Some(shape) = alike.cloned().reduce(common) else {
        return;
    };
    let mut free = place.per_replica.clone();
    if shape.free.contains(PODS) {
        let own = free.get(PODS).max(1);
        free.set(PODS, own.saturating_add(shape.free.get(PODS).max(0)));
    }
    sketch.shapes.push(Shape {
        count: replicas,
        free,
        ..shape
    });
}

/// Labels that both have, taints that one has, and the fewer pods.
fn common(mut one: Shape, other: Shape) -> Shape {
    let both = [&one.free, &other.free].into_iter();
    let known = both.filter(|free| free.contains(PODS));
    if let Some(fewer) = known.map(|free| free.get(PODS)).min() {
        one.free.set(PODS, fewer);
    }
    let has = |key: &String, value: &String| other.labels.get(key) == Some(value);
    one.labels.retain(|key, value| has(key, value));
    for taint in other.taints {
        if !one.taints.contains(&taint) {
            one.taints.push(taint);
        }
    }
    one
}

/// What is placed is charged, and these rooms are in flight.
fn take(
    members: &mut BTreeMap<String, Arc<Member>>,
    quotas: &mut QuotaTree,
    request: &Request,
    placed: &Placed,
    rooms: &[Room],
) {
    for room in rooms {
        if let Some(member) = members.get_mut(&room.member) {
            Arc::make_mut(member).in_flight.push(room.replicas.clone());
        }
    }
    if let Some(node) = quotas.node(&request.tenant) {
        // An overflow cannot be: the increase was within what is left.
        let _ = quotas.charge(node, &placed.increase);
    }
}

/// The room that is taken beyond what the workload holds.
fn rooms(held: Option<&Held>, placed: &Placed) -> Vec<Room> {
    let at = |assignment: &PlacedAssignment| {
        let mut entries = held.into_iter().flat_map(|held| &held.entries);
        let entry = entries.find(|entry| {
            entry.member == assignment.member
                && entry.component == assignment.component
                && entry.flavor == assignment.flavor
        });
        entry.map_or(0, |entry| entry.replicas)
    };
    let rooms = placed.assignments.iter().map(|assignment| Room {
        member: assignment.member.clone(),
        replicas: InFlight {
            flavor: assignment.flavor.clone(),
            per_replica: assignment.requests.clone(),
            replicas: assignment.replicas.saturating_sub(at(assignment)),
        },
    });
    rooms.filter(|room| room.replicas.replicas > 0).collect()
}
