//! How a Workload fares on each member.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Work;
use heyun_crds::common::Finished;
use heyun_crds::conditions::{ConditionType, Reason, condition};
use heyun_crds::labels;
use heyun_crds::work::ObjectState;
use heyun_crds::workload::{Assignment, Decision, MemberState};

use super::{Input, MESSAGE_BYTES};
use crate::explain::shorten;
use crate::member_names::member_of_namespace;

/// A member's state, with what ordering and conditions need.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) shown: MemberState,
    /// Something failed, and is not merely under way.
    pub(super) failed: bool,
    /// The member does not answer.
    pub(super) unreachable: bool,
    /// The decision names it. What is being removed elsewhere is shown and holds up nothing.
    pub(super) wanted: bool,
    /// Replicas that are decided for it.
    decided: i32,
}

/// The state of every member that the decision names or that has a Work, by name.
pub(super) fn states(input: &Input<'_>) -> Vec<State> {
    let mut works: BTreeMap<&str, &Work> = BTreeMap::new();
    for work in input.works {
        let namespace = work.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(member) = member_of_namespace(namespace) {
            works.insert(member, work);
        }
    }
    let mut names: BTreeSet<&str> = works.keys().copied().collect();
    if let Some(decision) = input.decision {
        names.extend(decision.assignments.iter().map(|a| a.member.as_str()));
        names.extend(decision.carried_to.iter().map(String::as_str));
    }
    let each = names
        .into_iter()
        .map(|name| state(name, works.get(name).copied(), input));
    each.collect()
}

fn state(name: &str, work: Option<&Work>, input: &Input<'_>) -> State {
    let parts: Vec<&Assignment> = input
        .decision
        .iter()
        .flat_map(|decision| &decision.assignments)
        .filter(|assignment| assignment.member == name)
        .collect();
    let objects = work
        .and_then(|w| w.status.as_ref())
        .map_or(&[][..], |status| &status.objects);
    let (mut desired, mut ready, mut decided) = (0_i32, 0_i32, 0_i32);
    for part in &parts {
        let (wanted, there) = replicas_of(part, objects);
        desired = desired.saturating_add(wanted);
        ready = ready.saturating_add(there);
        decided = decided.saturating_add(part.replicas);
    }
    let mut state = State {
        shown: MemberState {
            name: name.to_owned(),
            desired,
            ready,
            ..MemberState::default()
        },
        failed: false,
        unreachable: input.unreachable.contains(name),
        wanted: !parts.is_empty()
            || input
                .decision
                .is_some_and(|d| d.carried_to.iter().any(|member| member == name)),
        decided,
    };
    judge(&mut state, work, input.decision, &parts);
    shorten(&mut state.shown.message, MESSAGE_BYTES);
    state
}

/// What is said until the executor reports on the decision in force.
const NOT_APPLIED: &str = "the decision is not applied yet";

/// Sets applied, healthy, reason and message.
fn judge(
    state: &mut State,
    work: Option<&Work>,
    decision: Option<&Decision>,
    parts: &[&Assignment],
) {
    judge_running(state, work, decision);
    let ends: Option<Vec<&Finished>> = parts.iter().map(|part| part.finished.as_ref()).collect();
    let Some(ends) = ends.filter(|ends| !ends.is_empty()) else {
        return;
    };
    // What a member that can be heard says of the rest of the objects is said.
    let told = state.failed && !state.unreachable;
    if told {
        return;
    }
    let ill = ends.iter().position(|of| !of.is_well());
    let which = ill.unwrap_or(0);
    state.failed = ill.is_some();
    state.unreachable = false;
    state.shown.applied = true;
    state.shown.healthy = ill.is_none();
    state.shown.reason.clone_from(&ends[which].state);
    state.shown.message = format!("{}: {}", parts[which].component, ends[which].sentence());
}

/// The same as if nothing of it had finished.
fn judge_running(state: &mut State, work: Option<&Work>, decision: Option<&Decision>) {
    let Some(work) = work else {
        // The words of a Work that nobody has taken up: that it is written is no news.
        tell(state, Reason::Applying, NOT_APPLIED);
        return;
    };
    let status = work.status.clone().unwrap_or_default();
    let current = status.observed_generation >= work.metadata.generation.unwrap_or_default()
        && decision.is_none_or(|decision| work.spec.decision == decision.id);
    let applied = condition(&status.conditions, ConditionType::Applied);
    let healthy = condition(&status.conditions, ConditionType::Healthy);
    state.shown.applied = current && applied.is_some_and(|c| c.status == "True");
    state.shown.healthy = current && healthy.is_some_and(|c| c.status == "True");
    if state.unreachable {
        // What was applied stays applied; how it fares is not known.
        state.shown.healthy = false;
        let (ready, desired) = (state.shown.ready, state.shown.desired);
        let message = format!("does not answer; last seen {ready} of {desired} ready");
        tell(state, Reason::Unreachable, &message);
    } else if work.spec.retire.is_some() || work.metadata.deletion_timestamp.is_some() {
        tell(state, Reason::Terminating, "its objects are being removed");
    } else if !current {
        tell(state, Reason::Applying, NOT_APPLIED);
    } else if let Some(found) = [applied, healthy]
        .into_iter()
        .flatten()
        .find(|c| c.status != "True")
    {
        state.failed = found.status == "False"
            && ![Reason::Applying.as_str(), Reason::Progressing.as_str()].contains(&&*found.reason);
        state.shown.reason.clone_from(&found.reason);
        state.shown.message.clone_from(&found.message);
    } else if !state.shown.applied || !state.shown.healthy {
        tell(state, Reason::Progressing, "its state is not reported yet");
    }
}

fn tell(state: &mut State, reason: Reason, message: &str) {
    reason.as_str().clone_into(&mut state.shown.reason);
    message.clone_into(&mut state.shown.message);
}

/// Desired and ready replicas of a component on a member: as its object shows them, else as
/// decided. What has no replicas (CronJob, a Job before it starts) shows none.
fn replicas_of(part: &Assignment, objects: &[ObjectState]) -> (i32, i32) {
    let (kind, name) = part.component.split_once('/').unwrap_or_default();
    let object = objects
        .iter()
        .find(|object| object.kind == kind && object.name == name);
    match object {
        Some(object) => (object.desired.unwrap_or(0), object.ready.unwrap_or(0)),
        None if part.finished.as_ref().is_some_and(Finished::is_well) => {
            (part.replicas, part.replicas)
        }
        None if matches!(kind, "CronJob" | "Job") => (0, 0),
        None => (part.replicas, 0),
    }
}

/// Ready and desired replicas on all members; while nothing is decided, what is asked for.
pub(super) fn total(input: &Input<'_>, states: &[State]) -> (i32, i32) {
    if let (None, Some(interpreted)) = (input.decision, input.interpreted) {
        let counted = interpreted
            .components
            .iter()
            .filter(|c| c.kind.is_scalable());
        let wanted = counted.map(|c| i32::try_from(c.request.replicas).unwrap_or(i32::MAX));
        return (0, wanted.fold(0, i32::saturating_add));
    }
    states.iter().fold((0, 0), |(ready, desired), state| {
        (
            ready.saturating_add(state.shown.ready),
            desired.saturating_add(state.shown.desired),
        )
    })
}

/// Replicas for the scale subresource: of the component that it means.
pub(super) fn replicas(input: &Input<'_>, states: &[State]) -> i32 {
    let Some(target) = input
        .interpreted
        .and_then(|found| found.scale_target.as_deref())
    else {
        return states
            .iter()
            .fold(0, |sum, state| sum.saturating_add(state.shown.desired));
    };
    let assignments = input
        .decision
        .iter()
        .flat_map(|decision| &decision.assignments);
    let parts = assignments.filter(|assignment| assignment.component == target);
    let shown = parts.map(|part| {
        let namespace = labels::member_namespace(&part.member);
        let work = input
            .works
            .iter()
            .find(|work| work.metadata.namespace.as_deref() == Some(&namespace));
        let status = work.and_then(|work| work.status.as_ref());
        replicas_of(part, status.map_or(&[], |status| &status.objects)).0
    });
    shown.fold(0, i32::saturating_add)
}

/// `guangzhou-1:8,province-a:4`; `-` without any.
pub(super) fn listed(states: &[State], most: usize) -> String {
    let mut states: Vec<&State> = states.iter().filter(|state| state.wanted).collect();
    states.sort_by_key(|state| (std::cmp::Reverse(state.decided), state.shown.name.clone()));
    if states.is_empty() {
        return "-".to_owned();
    }
    let mut shown: Vec<String> = states
        .iter()
        .take(most)
        .map(|state| format!("{}:{}", state.shown.name, state.decided))
        .collect();
    let more = states.len().saturating_sub(shown.len());
    if more > 0 {
        shown.push(format!("+{more}"));
    }
    shown.join(",")
}
