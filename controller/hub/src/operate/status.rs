//! What a Workload's status says of a verdict, and of a decision that stands. Pure.

use heyun_crds::conditions::{ConditionType, Reason, condition, set_condition};
use heyun_crds::workload::{Decision, Explanation, WorkloadStatus};
use heyun_plan::explain;
use heyun_scheduler::Verdict;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::world::Entry;

/// Conditions of a verdict.
pub(super) fn conditions(
    status: &mut WorkloadStatus,
    entry: &Entry,
    verdict: &Verdict,
    now: &Time,
) {
    let generation = entry.generation();
    status.observed_generation = generation;
    let accepted = (ConditionType::Accepted, Some(true), Reason::Ok.as_str(), "");
    tell(status, generation, now, [accepted]);
    for said in explain::conditions(verdict) {
        let said = (said.kind, said.status, &*said.reason, &*said.message);
        tell(status, generation, now, [said]);
    }
    // What a decision for this generation has placed stays, and is as ready as it is.
    if verdict.outcome.placed().is_none() && entry.decided().is_none() {
        let (reason, message) = explain::condition(verdict);
        let ready = (ConditionType::Ready, Some(false), &*reason, &*message);
        tell(status, generation, now, [ready]);
        status.summary.reason = format!("{reason}: {message}");
        if status.decision.is_none() {
            "-".clone_into(&mut status.summary.members);
        }
    }
}

/// The status of a Workload that is sound and whose decision stands. What a verdict said of it is
/// kept; where nothing says it, because the status was wiped, it is said again.
pub(super) fn standing(entry: &Entry, decision: &Decision, now: &Time) -> WorkloadStatus {
    let mut status = entry.status.clone();
    status.decision = Some(decision.clone());
    let said = |kind: ConditionType| condition(&entry.status.conditions, kind).is_some();
    let mut hold = |kind, reason: Reason, message: &str| {
        let (reason, observed) = (reason.as_str(), Some(entry.generation()));
        let conditions = &mut status.conditions;
        set_condition(conditions, kind, Some(true), reason, message, observed, now);
    };
    hold(ConditionType::Accepted, Reason::Ok, "");
    if decision.preempted.is_some() {
        let told = condition(&status.conditions, ConditionType::Scheduled);
        if told.is_none_or(|told| told.status == "True") {
            gave_way(&mut status, entry.generation(), now);
        }
        return status;
    }
    if !said(ConditionType::QuotaReserved) {
        let message = "the quota covers it";
        hold(ConditionType::QuotaReserved, Reason::Ok, message);
    }
    if !said(ConditionType::Scheduled) {
        let message = "the decision is taken from the Works that carry it";
        hold(ConditionType::Scheduled, Reason::Scheduled, message);
    }
    status
}

/// A condition with its status, reason and message.
pub(super) type Told<'t> = (ConditionType, Option<bool>, &'t str, &'t str);

/// Sets conditions of a generation.
pub(super) fn tell<'t>(
    status: &mut WorkloadStatus,
    generation: i64,
    now: &Time,
    told: impl IntoIterator<Item = Told<'t>>,
) {
    for (kind, ok, reason, message) in told {
        let observed = Some(generation);
        let conditions = &mut status.conditions;
        set_condition(conditions, kind, ok, reason, message, observed, now);
    }
}

/// The status of a Workload whose decision made room for another: it waits for the rest.
pub(super) fn gave_way(status: &mut WorkloadStatus, generation: i64, now: &Time) {
    let told = status
        .decision
        .as_ref()
        .and_then(|of| of.preempted.as_ref());
    let Some(message) = told.map(heyun_plan::preempt::sentence) else {
        return;
    };
    let reason = Reason::Preempted.as_str();
    let told = [
        (
            ConditionType::QuotaReserved,
            None,
            Reason::Pending.as_str(),
            "not all of it is reserved",
        ),
        (ConditionType::Scheduled, Some(false), reason, &message),
        (ConditionType::Ready, Some(false), reason, &message),
    ];
    tell(status, generation, now, told);
    status.summary.reason = format!("{reason}: {message}");
    status.explanation = Some(Explanation {
        outcome: "Waiting".to_owned(),
        reason: reason.to_owned(),
        message,
        ..Explanation::default()
    });
}

/// A refusal that says the same as before but for the details of members writes nothing.
pub(super) fn settled(before: &WorkloadStatus, after: WorkloadStatus) -> WorkloadStatus {
    let alike = match (&before.explanation, &after.explanation) {
        (Some(old), Some(new)) => {
            old.outcome == new.outcome
                && old.reason == new.reason
                && old.message == new.message
                && old.refused == new.refused
        }
        _ => false,
    };
    if alike {
        WorkloadStatus {
            explanation: before.explanation.clone(),
            ..after
        }
    } else {
        after
    }
}
