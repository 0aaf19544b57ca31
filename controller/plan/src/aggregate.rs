//! From the states of Works to the status of their Workload, and from the quota tree to the
//! status of a Quota.

mod members;
mod quota;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use heyun_crds::conditions::{ConditionType, Reason, condition, set_condition};
use heyun_crds::workload::{Decision, MemberState, STATUS_MEMBERS_MAX, Summary, WorkloadStatus};
use heyun_crds::{Work, Workload};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::explain::shorten;
use crate::finished;
use crate::interpret::{Interpreted, label_selector};

pub use quota::{quota_lines, quota_status};

/// Most members that the summary names.
const SUMMARY_MEMBERS: usize = 6;
/// Most bytes of the summary's reason: it is a column.
const SUMMARY_REASON_BYTES: usize = 160;
/// Most bytes of a message of a member or a condition.
const MESSAGE_BYTES: usize = 1024;

/// What [`status`] is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The Workload with its status as it stands; `Accepted`, `QuotaReserved` and `Scheduled`
    /// are taken from there.
    pub workload: &'a Workload,
    /// What its manifests mean; `None` when they mean nothing (not accepted).
    pub interpreted: Option<&'a Interpreted>,
    /// The decision in force.
    pub decision: Option<&'a Decision>,
    /// All its Works.
    pub works: &'a [Work],
    /// Members that do not answer: what is known of them is old.
    pub unreachable: &'a BTreeSet<String>,
    /// The moment.
    pub now: &'a Time,
}

/// A status and whether it is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// The whole status: what this module computes, and the rest as it was.
    pub status: WorkloadStatus,
    /// Whether it differs from the old one in more than times.
    pub changed: bool,
}

/// The status of a Workload: members, replicas, selector, summary, and the conditions `Applied`,
/// `Healthy` and `Ready`.
pub fn status(input: &Input<'_>) -> Aggregate {
    let old = input.workload.status.clone().unwrap_or_default();
    let mut status = old.clone();
    let states = members::states(input);
    let total = members::total(input, &states);
    status.replicas = members::replicas(input, &states);
    if let Some(interpreted) = input.interpreted {
        status.selector = selector(input.workload, interpreted);
    }
    let generation = input.workload.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    conditions(&mut status.conditions, &states, input, generation);
    let over = finish(&mut status.conditions, input, generation);
    status.summary = Summary {
        replicas: if total == (0, 0) {
            "-".to_owned()
        } else {
            format!("{}/{}", total.0, total.1)
        },
        members: members::listed(&states, SUMMARY_MEMBERS),
        reason: over.unwrap_or_else(|| reason(&status.conditions, generation)),
    };
    status.members = worst_first(states);
    let changed = status != old;
    Aggregate { status, changed }
}

fn worst_first(states: Vec<members::State>) -> Vec<MemberState> {
    let mut states: Vec<MemberState> = states.into_iter().map(|state| state.shown).collect();
    states.sort_by(|one, other| {
        let order =
            |state: &MemberState| (state.applied, state.healthy, state.ready >= state.desired);
        order(one)
            .cmp(&order(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    states.truncate(STATUS_MEMBERS_MAX);
    states
}

/// The pod selector of the component that the scale subresource means; with none of its own, the
/// label that all pods of the Workload carry.
fn selector(workload: &Workload, interpreted: &Interpreted) -> String {
    let target = interpreted
        .scale_target
        .as_deref()
        .and_then(|name| interpreted.component(name));
    let manifest = target.and_then(|component| workload.spec.manifests.get(component.manifest));
    manifest
        .map(|manifest| label_selector(&manifest.0))
        .unwrap_or_default()
}

/// What a condition is set to.
struct Said {
    status: Option<bool>,
    reason: String,
    message: String,
}

impl Said {
    fn of(status: Option<bool>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.as_str().to_owned(),
            message: message.into(),
        }
    }
}

fn conditions(
    conditions: &mut Vec<Condition>,
    states: &[members::State],
    input: &Input<'_>,
    generation: i64,
) {
    let wanted: Vec<&members::State> = states.iter().filter(|state| state.wanted).collect();
    let applied = applied(&wanted, input);
    let healthy = healthy(&wanted, applied.status);
    for (kind, said) in [
        (ConditionType::Applied, applied),
        (ConditionType::Healthy, healthy),
    ] {
        set(conditions, kind, said, generation, input.now);
    }
    let ready = ready(conditions, generation);
    set(
        conditions,
        ConditionType::Ready,
        ready,
        generation,
        input.now,
    );
}

/// Says that all of it ran to its end, where the decision of this generation records it; how it ended.
/// What was said so of an earlier generation is taken back.
fn finish(conditions: &mut Vec<Condition>, input: &Input<'_>, generation: i64) -> Option<String> {
    let decision = input.decision.filter(|of| of.generation == generation);
    let Some((reason, message)) = decision.and_then(finished::ending) else {
        conditions.retain(|said| said.type_ != ConditionType::Finished.as_str());
        return None;
    };
    let said = Said::of(Some(true), reason, message);
    set(
        conditions,
        ConditionType::Finished,
        said,
        generation,
        input.now,
    );
    Some(reason.as_str().to_owned())
}

fn set(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    said: Said,
    generation: i64,
    now: &Time,
) {
    let mut message = said.message;
    shorten(&mut message, MESSAGE_BYTES);
    set_condition(
        conditions,
        kind,
        said.status,
        &said.reason,
        &message,
        Some(generation),
        now,
    );
}

fn applied(states: &[&members::State], input: &Input<'_>) -> Said {
    if input.decision.is_none() {
        return Said::of(Some(false), Reason::Pending, "there is no decision yet");
    }
    let mut waiting: Vec<&members::State> = states
        .iter()
        .copied()
        .filter(|s| !s.shown.applied)
        .collect();
    if waiting.is_empty() {
        return Said::of(Some(true), Reason::Ok, "every object is applied");
    }
    // A failure tells more than a wait.
    waiting.sort_by_key(|state| (!state.failed, state.shown.name.clone()));
    Said {
        status: Some(false),
        reason: waiting[0].shown.reason.clone(),
        message: told(&waiting, states.len()),
    }
}

fn healthy(states: &[&members::State], applied: Option<bool>) -> Said {
    let mut ill: Vec<&members::State> = states
        .iter()
        .copied()
        .filter(|s| !s.shown.healthy)
        .collect();
    if states.is_empty() {
        return Said::of(None, Reason::Pending, "nothing is placed");
    }
    if ill.is_empty() && applied == Some(true) {
        return Said::of(Some(true), Reason::Healthy, "every object is healthy");
    }
    if ill.is_empty() {
        return Said::of(
            Some(false),
            Reason::Progressing,
            "not every object is applied",
        );
    }
    // Unreachable is unknown, not ill; one that is known to be ill is told first.
    ill.sort_by_key(|state| (state.unreachable, state.shown.name.clone()));
    let unknown = ill.iter().all(|state| state.unreachable);
    Said {
        status: if unknown { None } else { Some(false) },
        reason: ill[0].shown.reason.clone(),
        message: told(&ill, states.len()),
    }
}

/// The first members with their messages, and how many there are.
fn told(states: &[&members::State], all: usize) -> String {
    let mut each: Vec<String> = states
        .iter()
        .take(3)
        .map(|state| format!("{}: {}", state.shown.name, state.shown.message))
        .collect();
    let more = states.len().saturating_sub(each.len());
    if more > 0 {
        each.push(format!("and {more} more of {all} members"));
    }
    each.join("; ")
}

/// Ready when all of the others are true of this generation; else the first that is not.
fn ready(conditions: &[Condition], generation: i64) -> Said {
    let needed = [
        ConditionType::Accepted,
        ConditionType::QuotaReserved,
        ConditionType::Scheduled,
        ConditionType::Applied,
        ConditionType::Healthy,
    ];
    let Some((kind, found)) = first_missing(conditions, &needed, generation) else {
        return Said::of(Some(true), Reason::Healthy, "");
    };
    let Some(found) = found else {
        let message = format!("generation {generation} is not {kind} yet");
        return Said::of(Some(false), Reason::Pending, message);
    };
    Said {
        status: (found.status != "Unknown").then_some(false),
        reason: found.reason.clone(),
        message: found.message.clone(),
    }
}

/// The first condition that is not true of this generation, and it itself if it speaks of it.
fn first_missing<'c>(
    conditions: &'c [Condition],
    needed: &[ConditionType],
    generation: i64,
) -> Option<(ConditionType, Option<&'c Condition>)> {
    needed.iter().find_map(|kind| {
        let speaks = |c: &&Condition| c.observed_generation.is_none_or(|seen| seen == generation);
        match condition(conditions, *kind).filter(speaks) {
            Some(found) if found.status == "True" => None,
            found => Some((*kind, found)),
        }
    })
}

/// What the column says: `Healthy`, or what stands in the way.
fn reason(conditions: &[Condition], generation: i64) -> String {
    let Some((_, found)) = first_missing(conditions, &[ConditionType::Ready], generation) else {
        return Reason::Healthy.as_str().to_owned();
    };
    let mut text = match found {
        Some(found) if found.message.is_empty() => found.reason.clone(),
        Some(found) => format!("{}: {}", found.reason, found.message),
        None => Reason::Pending.as_str().to_owned(),
    };
    shorten(&mut text, SUMMARY_REASON_BYTES);
    text
}
