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
                take(&mut snapshot, request, placed);
            }
        }
        let going = standing.values().flat_map(|of| {
            let places = of.places.iter().filter(|place| place.going > 0);
            places.map(|place| (&*of.tenant, place))
        });
        let mut holes: BTreeMap<&str, Vec<Hole<'_>>> = BTreeMap::new();
        for (tenant, place) in going {
            let member = snapshot.members.get(&place.member);
            if member.is_none_or(|member| member.readiness != Readiness::Ready) {
                // Nothing is confirmed from there soon.
                continue;
            }
            release(&mut snapshot.quotas, tenant, place, &place.going_charge);
            let hole = (place, place.going);
            holes.entry(&place.member).or_default().push(hole);
        }
        for (name, holes) in holes {
            if let Some(member) = snapshot.member_mut(name) {
                dig(member, &holes);
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
        let mut holes: BTreeMap<&str, Vec<Hole<'_>>> = BTreeMap::new();
        for of in victims.iter().filter_map(|key| self.standing.get(*key)) {
            for place in of.places.iter().filter(|place| place.spare() > 0) {
                release(&mut quotas, &of.tenant, place, &place.freed());
                let hole = (place, place.spare());
                holes.entry(&place.member).or_default().push(hole);
            }
        }
        let mut changed: BTreeMap<String, Arc<Member>> = BTreeMap::new();
        for name in std::mem::take(&mut self.tried) {
            if let Some(member) = self.members.get(&name) {
                changed.insert(name, Arc::clone(member));
            }
        }
        for (name, holes) in holes {
            let Some(member) = self.members.get(name) else {
                continue;
            };
            let mut member = (**member).clone();
            dig(&mut member, &holes);
            self.tried.insert(name.to_owned());
            changed.insert(name.to_owned(), Arc::new(member));
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
        let mut after = self.engine.snapshot().clone();
        after.members = std::mem::take(&mut self.members);
        after.quotas = std::mem::take(&mut self.quotas);
        for victim in victims {
            let Some(of) = self.standing.get(&victim.key) else {
                continue;
            };
            for place in of.places.iter().filter(|place| place.spare() > 0) {
                release(&mut after.quotas, &of.tenant, place, &place.freed());
                release(&mut self.settled, &of.tenant, place, &place.freed());
                if let Some(member) = after.member_mut(&place.member) {
                    dig(member, &[(place, place.spare())]);
                }
                self.tried.insert(place.member.clone());
            }
            self.gone.insert(victim.key.clone());
        }
        let room = take(&mut after, request, placed);
        self.tried.extend(room.iter().map(|of| of.member.clone()));
        (self.members, self.quotas) = (after.members, after.quotas);
        room
    }
}

/// Replicas of a place that will be gone.
type Hole<'p> = (&'p Place, i64);

/// What a place was charged is charged no more.
fn release(quotas: &mut QuotaTree, tenant: &str, place: &Place, freed: &Resources) {
    let freed: Amounts = freed
        .iter()
        .map(|(resource, amount)| (Key::new(&*place.flavor, resource), amount))
        .collect();
    if let Some(node) = quotas.node(tenant) {
        // More than is charged is never released: then the charge stays, which is the safe side.
        let _ = quotas.release(node, &freed);
    }
}

/// What replicas leave behind when they go. On which nodes they run is not known; but each leaves at
/// least its own size on one of that flavor, with what all of these have in common. Of `pods` also
/// what each of these nodes has free: it is seldom short, and several small ones may follow a large.
fn dig(member: &mut Member, holes: &[Hole<'_>]) {
    for (name, line) in &mut member.red_lines {
        for (place, replicas) in holes {
            let gone = place.per_replica.get(name).saturating_mul(*replicas);
            line.requested = line.requested.saturating_sub(gone);
        }
    }
    let Some(sketch) = &mut member.sketch else {
        return;
    };
    for (place, replicas) in holes {
        let alike = sketch
            .shapes
            .iter()
            .filter(|shape| shape.flavor.as_deref() == Some(&*place.flavor));
        let Some(shape) = alike.cloned().reduce(common) else {
            continue;
        };
        let mut free = place.per_replica.clone();
        if shape.free.contains(PODS) {
            let own = free.get(PODS).max(1);
            free.set(PODS, own.saturating_add(shape.free.get(PODS).max(0)));
        }
        sketch.shapes.push(Shape {
            count: *replicas,
            free,
            ..shape
        });
    }
}

/// Labels that both have, taints that one has, and the fewer pods.
fn common(mut one: Shape, other: Shape) -> Shape {
    if other.free.contains(PODS) {
        let least = other.free.get(PODS).min(one.free.get(PODS));
        let fewer = if one.free.contains(PODS) {
            least
        } else {
            other.free.get(PODS)
        };
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

/// What is placed is in flight and charged.
fn take(snapshot: &mut Snapshot, request: &Request, placed: &Placed) -> Vec<Room> {
    let rooms = new_replicas(snapshot, request, placed);
    for room in &rooms {
        if let Some(member) = snapshot.member_mut(&room.member) {
            member.in_flight.push(room.replicas.clone());
        }
    }
    if let Some(node) = snapshot.quotas.node(&request.tenant) {
        // An overflow cannot be: the increase was within what is left.
        let _ = snapshot.quotas.charge(node, &placed.increase);
    }
    rooms
}

/// What is placed beyond what the workload holds there.
fn new_replicas(snapshot: &Snapshot, request: &Request, placed: &Placed) -> Vec<Room> {
    let held = snapshot.held.get(&request.key);
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
