//! What a Workload holds: the maximum of what its decision and its Works say.

use std::collections::BTreeMap;

use heyun_crds::workload::{Assignment, Decision};
use heyun_crds::{Work, Workload};
use heyun_scheduler::resources::Resources;
use heyun_scheduler::snapshot::{Held, HeldEntry};

use super::amounts;
use crate::finished;

/// What a member, a component and a flavor name.
pub(crate) type Place = (String, String, String);

/// What is held at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) replicas: i64,
    pub(crate) requests: Resources,
    pub(crate) charge: Resources,
}

/// Amounts by place.
pub(crate) type Places = BTreeMap<Place, Amount>;

/// What a Workload holds: of its decision, what is released and not yet confirmed included, and
/// of its Works, the larger.
pub fn of(workload: &Workload, works: &[Work]) -> Held {
    max(&held(workload), &held_from_works(works))
}

/// What a Workload holds by its decision, with what is released and not yet confirmed as gone.
pub fn held(workload: &Workload) -> Held {
    let decision = workload
        .status
        .as_ref()
        .and_then(|status| status.decision.as_ref());
    decision
        .map(|decision| to_held(places(decision)))
        .unwrap_or_default()
}

/// What of that it may stay on where it is decided anew: `None`, all of it, unless its decision gave up
/// something for another.
pub fn keeps(decision: Option<&Decision>) -> Option<Held> {
    let decision = decision.filter(|decision| decision.preempted.is_some())?;
    let kept = Decision {
        releasing: Vec::new(),
        ..decision.clone()
    };
    Some(to_held(places(&kept)))
}

/// What a Workload holds by its Works, those that are retired included: they are there until
/// they are gone. What has finished holds nothing here as soon as its member reports it: that it is
/// charged no more is said by the decision alone.
pub fn held_from_works(works: &[Work]) -> Held {
    let mut sum = Places::new();
    for work in works {
        let running = |of: &&Assignment| finished::reported(work, &of.component).is_none();
        for assignment in work.spec.assignments.iter().filter(running) {
            add(&mut sum, assignment);
        }
    }
    to_held(sum)
}

/// The larger of two at each place.
pub fn max(one: &Held, other: &Held) -> Held {
    let mut both = BTreeMap::new();
    for entry in one.entries.iter().chain(&other.entries) {
        let place = (
            entry.member.as_str(),
            entry.component.as_str(),
            entry.flavor.as_str(),
        );
        both.entry(place)
            .and_modify(|held: &mut HeldEntry| {
                held.replicas = held.replicas.max(entry.replicas);
                held.per_replica = larger(&held.per_replica, &entry.per_replica);
                held.charge = larger(&held.charge, &entry.charge);
            })
            .or_insert_with(|| entry.clone());
    }
    Held {
        entries: both.into_values().collect(),
    }
}

/// The larger amount of each resource.
fn larger(one: &Resources, other: &Resources) -> Resources {
    let mut larger = one.clone();
    for (name, amount) in other.iter() {
        larger.set(name, amount.max(one.get(name)));
    }
    larger
}

/// A decision's amounts by place: assigned and not yet confirmed as gone, together. What has finished
/// holds nothing.
pub(crate) fn places(decision: &Decision) -> Places {
    let mut sum = Places::new();
    for assignment in decision.assignments.iter().chain(&decision.releasing) {
        add(&mut sum, assignment);
    }
    sum
}

fn add(sum: &mut Places, assignment: &Assignment) {
    if assignment.finished.is_some() {
        return;
    }
    let (member, component) = (assignment.member.clone(), assignment.component.clone());
    let at = sum
        .entry((member, component, assignment.flavor.clone()))
        .or_default();
    at.replicas = at
        .replicas
        .saturating_add(i64::from(assignment.replicas.max(0)));
    at.requests = larger(&at.requests, &amounts::taken(&assignment.requests));
    at.charge
        .saturating_add_assign(&amounts::taken(&assignment.charge));
}

fn to_held(places: Places) -> Held {
    let entry = |((member, component, flavor), at): (Place, Amount)| HeldEntry {
        member,
        component,
        flavor,
        replicas: at.replicas,
        per_replica: at.requests,
        charge: at.charge,
    };
    Held {
        entries: places.into_iter().map(entry).collect(),
    }
}
