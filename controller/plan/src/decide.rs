//! From a verdict to the decision that is committed, and what becomes of it.
//!
//! The decision is the reservation: what it assigns is charged, and so is what an earlier one
//! assigned until the member confirms that it is gone (`releasing`).
//!
//! A Workload that runs no pods has no assignments; the scheduler then names the members that get
//! its objects (`carriedTo`): every one that passes with `Duplicated`, else the best one.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Work;
use heyun_crds::common::FlavorAmount;
use heyun_crds::labels;
use heyun_crds::placement::{DivisionType, PlacementSpec};
use heyun_crds::workload::{Assignment, Decision};
use heyun_scheduler::Verdict;
use heyun_scheduler::request::Division;
use heyun_scheduler::resources::Resources;
use heyun_scheduler::verdict::PlacedAssignment;

use crate::finished;
use crate::interpret::Interpreted;
use crate::member_names::short_hash;
use crate::observe::amounts;
use crate::observe::held::{Amount, Place, Places, places};

/// The decision that a verdict amounts to; `None` when nothing is placed, and then what the
/// previous decision assigns stays. `interpreted` is what was decided on; `now` is when.
///
/// The same Workload, generation and assignments give the same id. Compare with [`same`] before
/// writing: a decision that says the same is not written again.
pub fn decision(
    verdict: &Verdict,
    interpreted: &Interpreted,
    previous: Option<&Decision>,
    epoch: i64,
    now: jiff::Timestamp,
) -> Option<Decision> {
    let placed = verdict.outcome.placed()?;
    let mut assignments: Vec<Assignment> = placed.assignments.iter().map(assignment).collect();
    for assignment in &mut assignments {
        let component = interpreted.component(&assignment.component);
        let runs_on = component.map(|c| c.request.architectures.iter().cloned().collect());
        assignment.architectures = runs_on.unwrap_or_default();
        let keeps = component.map_or(0, |c| c.keeps(i64::from(assignment.replicas)));
        assignment.keeps = i32::try_from(keeps).unwrap_or(i32::MAX);
    }
    finished::keep(&mut assignments, previous, verdict.generation);
    assignments.sort_by(|one, other| order(one).cmp(&order(other)));
    let mut carried_to = placed.carried_to.clone();
    carried_to.sort();
    let mut decision = Decision {
        generation: verdict.generation,
        epoch,
        inputs_hash: verdict.inputs_hash.clone(),
        decided_at: rfc3339(now),
        assignments,
        tier: verdict.tier.clone().unwrap_or_default(),
        returned: verdict.returned,
        carried_to,
        ..Decision::default()
    };
    replace(&mut decision, &verdict.uid, previous);
    Some(decision)
}

/// Gives a decision that replaces another its id, what it releases and what it reserves.
pub(crate) fn replace(decision: &mut Decision, uid: &str, previous: Option<&Decision>) {
    decision.id = id(
        uid,
        decision.generation,
        &decision.assignments,
        &decision.carried_to,
    );
    decision.releasing = previous.map(|p| releasing(p, decision)).unwrap_or_default();
    decision.reserved = reserved(decision);
}

/// The moment as RFC 3339 without fractions of a second.
pub(crate) fn rfc3339(now: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

fn assignment(placed: &PlacedAssignment) -> Assignment {
    Assignment {
        member: placed.member.clone(),
        flavor: placed.flavor.clone(),
        component: placed.component.clone(),
        replicas: i32::try_from(placed.replicas).unwrap_or(i32::MAX),
        requests: amounts::to_map(&placed.requests),
        charge: amounts::to_map(&placed.charge),
        ..Assignment::default()
    }
}

fn order(assignment: &Assignment) -> (&str, &str, &str) {
    (
        &assignment.component,
        &assignment.member,
        &assignment.flavor,
    )
}

fn id(uid: &str, generation: i64, assignments: &[Assignment], carried_to: &[String]) -> String {
    let generation = generation.to_string();
    // Maps of ordered keys and plain texts: these always have a JSON form, and one alone.
    let assignments = serde_json::to_string(assignments).unwrap_or_default();
    let carried_to = carried_to.join(",");
    short_hash(&[uid, &generation, &assignments, &carried_to])
}

/// What the previous decision holds beyond the new one, by component, member and flavor.
fn releasing(previous: &Decision, new: &Decision) -> Vec<Assignment> {
    let kept = places(&Decision {
        releasing: Vec::new(),
        ..new.clone()
    });
    let nothing = Amount::default();
    let beyond = places(previous).into_iter().filter_map(|(place, had)| {
        let has = kept.get(&place).unwrap_or(&nothing);
        let replicas = had.replicas.saturating_sub(has.replicas).max(0);
        let charge = beyond(&had.charge, &has.charge);
        let goes = replicas > 0 || !charge.is_zero();
        let amount = Amount {
            replicas,
            charge,
            ..had
        };
        goes.then_some((place, amount))
    });
    to_assignments(beyond.collect())
}

fn beyond(had: &Resources, has: &Resources) -> Resources {
    let each = had
        .iter()
        .map(|(name, amount)| (name.to_owned(), amount.saturating_sub(has.get(name)).max(0)));
    each.filter(|(_, amount)| *amount > 0).collect()
}

fn to_assignments(places: Places) -> Vec<Assignment> {
    let each = |((member, component, flavor), at): (Place, Amount)| Assignment {
        member,
        flavor,
        component,
        replicas: i32::try_from(at.replicas).unwrap_or(i32::MAX),
        requests: amounts::to_map(&at.requests),
        charge: amounts::to_map(&at.charge),
        ..Assignment::default()
    };
    let mut assignments: Vec<Assignment> = places.into_iter().map(each).collect();
    assignments.sort_by(|one, other| order(one).cmp(&order(other)));
    assignments
}

/// What the tenant is charged for a decision: assigned and not yet confirmed as gone.
pub(crate) fn reserved(decision: &Decision) -> Vec<FlavorAmount> {
    let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
    for ((_, _, flavor), at) in places(decision) {
        for (resource, amount) in at.charge.iter().filter(|(_, amount)| *amount != 0) {
            let sum = sums
                .entry((flavor.clone(), resource.to_owned()))
                .or_default();
            *sum = sum.saturating_add(amount);
        }
    }
    let line = |((flavor, resource), amount): ((String, String), i64)| FlavorAmount {
        amount: amounts::quantity(&resource, amount),
        flavor,
        resource,
    };
    sums.into_iter().map(line).collect()
}

/// Whether two decisions say the same of the same generation: id, epoch, time, the hash of the
/// inputs and whether it went back aside.
pub fn same(one: &Decision, other: &Decision) -> bool {
    one.generation == other.generation
        && one.assignments == other.assignments
        && one.tier == other.tier
        && one.carried_to == other.carried_to
        && one.releasing == other.releasing
        && one.reserved == other.reserved
        && one.preempted == other.preempted
}

/// The decision without what its members confirmed as gone; `None` when nothing new is.
///
/// A member confirms by a Work status that applied this decision in full, or by the Work being
/// gone. `works` are all Works of the Workload; the caller vouches that none of its own writes is
/// missing from them. `epoch` is of the leader that will write.
pub fn confirm_released(decision: &Decision, works: &[Work], epoch: i64) -> Option<Decision> {
    let confirmed = |member: &str| on(works, member).all(|work| has_applied(work, &decision.id));
    let members: BTreeSet<&str> = decision
        .releasing
        .iter()
        .map(|a| a.member.as_str())
        .collect();
    let gone: BTreeSet<&str> = members
        .into_iter()
        .filter(|member| confirmed(member))
        .collect();
    if gone.is_empty() {
        return None;
    }
    let still = decision
        .releasing
        .iter()
        .filter(|a| !gone.contains(a.member.as_str()));
    let releasing = still.cloned().collect();
    let mut settled = Decision {
        releasing,
        epoch,
        ..decision.clone()
    };
    settled.reserved = reserved(&settled);
    Some(settled)
}

/// The decision as far as it came about: without what it assigns where no Work is, and with what runs
/// where the Work is of an earlier decision that its member applied in full. Where nothing of it came
/// about nothing was given up either. `None` where all of it was begun. For a decision that is no longer
/// rendered; `works` and `epoch` as for [`confirm_released`].
pub fn begun(decision: &Decision, works: &[Work], epoch: i64) -> Option<Decision> {
    let members: BTreeSet<&str> = decision
        .assignments
        .iter()
        .map(|assignment| assignment.member.as_str())
        .collect();
    let mut begun = Decision {
        epoch,
        ..decision.clone()
    };
    for member in members {
        let mut here = on(works, member);
        let Some(work) = here.next() else {
            // What has finished came about, and holds nothing: that it did is kept.
            begun
                .assignments
                .retain(|of| of.member != member || of.finished.is_some());
            continue;
        };
        let earlier = &work.spec.decision;
        if here.next().is_none() && *earlier != decision.id && has_applied(work, earlier) {
            begun.assignments.retain(|of| of.member != member);
            begun.releasing.retain(|of| of.member != member);
            begun
                .assignments
                .extend(work.spec.assignments.iter().cloned());
        }
    }
    // It is the one of before where nothing of the later one came about: what runs is not released, or
    // the Works of that very decision would confirm that it is gone. What made room is given up
    // whatever comes.
    let runs = |of: &Assignment| on(works, &of.member).next().is_some();
    let made_room = decision.preempted.is_some() && begun.releasing.iter().any(runs);
    if let Some(first) = works.first().map(|work| &work.spec.decision)
        && *first != decision.id
        && !made_room
        && works.iter().all(|work| has_applied(work, first))
    {
        begun.id.clone_from(first);
        let given_up = begun.releasing.iter().map(|of| &of.member);
        let given_up: BTreeSet<String> = given_up.cloned().collect();
        for work in given_up.iter().flat_map(|member| on(works, member)) {
            begun
                .assignments
                .extend(work.spec.assignments.iter().cloned());
        }
        begun.releasing.retain(|of| !runs(of));
    }
    begun
        .assignments
        .sort_by(|one, other| order(one).cmp(&order(other)));
    begun.reserved = reserved(&begun);
    let same = begun.id == decision.id
        && begun.assignments == decision.assignments
        && begun.releasing == decision.releasing;
    (!same).then_some(begun)
}

/// The Works on a member.
pub(crate) fn on<'w>(works: &'w [Work], member: &str) -> impl Iterator<Item = &'w Work> {
    let namespace = labels::member_namespace(member);
    works
        .iter()
        .filter(move |work| work.metadata.namespace.as_deref() == Some(&namespace))
}

/// Whether the Work says that this decision is applied in full, of the spec as it now stands. A
/// retired Work confirms only by being gone.
fn has_applied(work: &Work, decision: &str) -> bool {
    let Some(status) = &work.status else {
        return false;
    };
    work.spec.retire.is_none()
        && work.spec.decision == decision
        && status.applied_decision == decision
        && status.observed_generation >= work.metadata.generation.unwrap_or_default()
}

/// The decision of a Workload that has none while its Works exist: rebuilt from them, so that
/// nothing is placed again. `None` without Works.
///
/// Works of more than one decision (the leader died between their writes) are taken together.
/// `generation` is the Workload's; the rebuilt decision is of that generation only if it
/// [`covers`] what the manifests mean now, all Works are of one decision, and what has finished did so
/// for this generation. Else it is of
/// generation 0, and the Workload is decided again with this as its previous decision.
pub fn adopted(
    works: &[Work],
    generation: i64,
    interpreted: &Interpreted,
    placement: &PlacementSpec,
    epoch: i64,
) -> Option<Decision> {
    let standing: Vec<&Work> = works
        .iter()
        .filter(|work| work.spec.retire.is_none())
        .collect();
    let newest = standing
        .iter()
        .max_by_key(|work| (work.spec.epoch, &work.spec.decision))?;
    let mut assignments: Vec<Assignment> = standing
        .iter()
        .flat_map(|work| work.spec.assignments.iter().cloned())
        .collect();
    assignments.sort_by(|one, other| order(one).cmp(&order(other)));
    let carried = standing
        .iter()
        .filter(|work| work.spec.assignments.is_empty());
    let carried = carried.filter_map(|work| {
        let namespace = work.metadata.namespace.as_deref()?;
        crate::member_names::member_of_namespace(namespace).map(str::to_owned)
    });
    let retired = works.iter().filter(|work| work.spec.retire.is_some());
    let mut decision = Decision {
        id: newest.spec.decision.clone(),
        epoch,
        carried_to: carried.collect::<BTreeSet<_>>().into_iter().collect(),
        releasing: retired
            .flat_map(|work| work.spec.assignments.iter().cloned())
            .collect(),
        assignments,
        ..Decision::default()
    };
    let one = standing
        .iter()
        .all(|work| work.spec.decision == decision.id);
    let finished = decision
        .assignments
        .iter()
        .filter_map(|of| of.finished.as_ref());
    let is_of_it = finished.map(|of| of.generation).all(|of| of == generation);
    if one && is_of_it && covers(&decision, interpreted, placement) {
        decision.generation = generation;
    }
    decision.reserved = reserved(&decision);
    Some(decision)
}

/// Whether a decision places what the manifests mean: every component and no other, with its
/// replicas and requests.
pub fn covers(decision: &Decision, interpreted: &Interpreted, placement: &PlacementSpec) -> bool {
    let mut parts: BTreeMap<&str, Vec<&Assignment>> = BTreeMap::new();
    for assignment in &decision.assignments {
        parts
            .entry(&assignment.component)
            .or_default()
            .push(assignment);
    }
    let known = parts
        .keys()
        .all(|name| interpreted.component(name).is_some());
    let each = interpreted.components.iter().all(|component| {
        let request = &component.request;
        let Some(parts) = parts.get(request.name.as_str()) else {
            return false;
        };
        let replicas = || parts.iter().map(|part| i64::from(part.replicas));
        let duplicated = placement.division.type_ == DivisionType::Duplicated;
        let whole = match request.division {
            Division::EveryMatchingNode => true,
            Division::Divided if duplicated => replicas().all(|part| part == request.replicas),
            Division::Divided | Division::OneMember => replicas().sum::<i64>() == request.replicas,
        };
        whole
            && parts
                .iter()
                .all(|part| amounts::taken(&part.requests) == request.per_replica)
    });
    let has_a_place = !decision.assignments.is_empty() || !decision.carried_to.is_empty();
    known && each && has_a_place
}

#[cfg(test)]
pub(crate) mod tests;
