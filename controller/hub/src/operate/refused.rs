//! What the ledger is told of a refusal: once for each that is new, and only when its status is
//! written.

use std::sync::Arc;

use heyun_crds::conditions::{ConditionType, condition};
use heyun_crds::workload::WorkloadStatus;
use heyun_plan::explain::kept;
use heyun_scheduler::Verdict;

use super::Operator;
use crate::commit::Chain;
use crate::outbox::{self, Subject};
use crate::world::Entry;

/// What a status says of a refusal: a new one differs in one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    outcome: &'a str,
    reason: &'a str,
    generation: i64,
}

/// The refusal that a status tells of; none where it is placed, suspended or not looked at yet.
pub(super) fn said(status: &WorkloadStatus) -> Option<Said<'_>> {
    let generation = status.observed_generation;
    let refused = |kind| condition(&status.conditions, kind).filter(|c| c.status == "False");
    if let Some(accepted) = refused(ConditionType::Accepted) {
        return Some(Said {
            outcome: "Rejected",
            reason: &accepted.reason,
            generation,
        });
    }
    let scheduled = refused(ConditionType::Scheduled)?;
    let told = status.explanation.as_ref()?;
    (told.reason == scheduled.reason).then_some(Said {
        outcome: &told.outcome,
        reason: &told.reason,
        generation,
    })
}

/// Whether a status says that this generation waits.
pub(super) fn waits(status: &WorkloadStatus, generation: i64) -> bool {
    said(status).is_some_and(|said| said.outcome == "Waiting" && said.generation == generation)
}

/// Whether a status says that this generation is rejected: somebody has to change something.
pub(super) fn is_rejected(status: &WorkloadStatus, generation: i64) -> bool {
    said(status).is_some_and(|said| said.outcome == "Rejected" && said.generation == generation)
}

/// Whether a status that was written says what a row tells of.
pub(super) fn is_told(row: &heyun_ledger::Entry, status: &WorkloadStatus) -> bool {
    let (heyun_ledger::Entry::Decision(row), Some(said)) = (row, said(status)) else {
        return false;
    };
    said == Said {
        outcome: &row.outcome,
        reason: &row.reason,
        generation: row.generation,
    }
}

impl Operator {
    /// The row of the refusal that a chain is about to write, if the ledger is to be told of it: of the
    /// verdict with what the ledger has of it.
    pub(super) fn refusal_row(
        &self,
        entry: &Entry,
        chain: &Chain,
        verdict: Option<(&Verdict, &Arc<str>)>,
        epoch: i64,
    ) -> Option<heyun_ledger::Entry> {
        let after = &chain.status.as_ref()?.after;
        let said = said(after).filter(|now| Some(*now) != self::said(&entry.status))?;
        let tenant = self.tenant_of(&entry.key, &[]);
        if tenant.is_empty() {
            // Nobody could be told: a namespace of no tenant has no readers.
            return None;
        }
        let of = Subject {
            key: &entry.key,
            uid: entry.uid(),
            tenant: &tenant,
        };
        let refusal = outbox::Refusal {
            generation: said.generation,
            epoch,
            inputs_hash: verdict.map_or("", |(verdict, _)| verdict.inputs_hash.as_str()),
            outcome: said.outcome,
            reason: said.reason,
            verdict: verdict.map_or_else(
                || kept::message(sentence(after)).into(),
                |(_, json)| Arc::clone(json),
            ),
        };
        let now_us = self.around.clock.now().as_microsecond();
        Some(outbox::refusal(&of, refusal, now_us))
    }
}

/// Why it is not accepted, as its condition says it.
fn sentence(status: &WorkloadStatus) -> &str {
    condition(&status.conditions, ConditionType::Accepted).map_or("", |c| c.message.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(conditions: &[(&str, &str, &str)], told: Option<(&str, &str)>) -> WorkloadStatus {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason)| {
                serde_json::json!({"type": kind, "status": status, "reason": reason,
                    "message": format!("because of {reason}"),
                    "lastTransitionTime": "2026-11-23T09:00:00Z"})
            })
            .collect();
        let mut status = serde_json::json!({"conditions": conditions, "observedGeneration": 2});
        if let Some((outcome, reason)) = told {
            status["explanation"] = serde_json::json!({"outcome": outcome, "reason": reason});
        }
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_refusal_is_told_of_by_its_outcome_reason_and_generation() {
        let waits = status(
            &[
                ("Accepted", "True", "Ok"),
                ("Scheduled", "False", "NoCapacity"),
            ],
            Some(("Waiting", "NoCapacity")),
        );
        let told = said(&waits).unwrap();
        assert_eq!(
            (told.outcome, told.reason, told.generation),
            ("Waiting", "NoCapacity", 2)
        );
        let invalid = status(
            &[
                ("Accepted", "False", "Invalid"),
                ("Scheduled", "False", "NoCapacity"),
            ],
            Some(("Waiting", "NoCapacity")),
        );
        let told = said(&invalid).unwrap();
        assert_eq!((told.outcome, told.reason), ("Rejected", "Invalid"));
        assert_eq!(sentence(&invalid), "because of Invalid");
        assert!(super::waits(&waits, 2));
        assert!(!super::waits(&waits, 3), "not looked at yet");
        assert!(!super::waits(&invalid, 2), "it is rejected");
        let mut newer = waits.clone();
        newer.observed_generation = 3;
        assert_ne!(
            said(&newer),
            said(&waits),
            "another generation is another refusal"
        );
    }

    #[test]
    fn what_is_placed_or_suspended_is_no_refusal() {
        let placed = status(&[("Scheduled", "True", "Scheduled")], Some(("Placed", "")));
        assert_eq!(said(&placed), None);
        // The explanation is still that of the refusal before.
        let suspended = status(
            &[("Scheduled", "False", "Suspended")],
            Some(("Waiting", "NoCapacity")),
        );
        assert_eq!(said(&suspended), None);
        assert_eq!(said(&WorkloadStatus::default()), None);
    }
}
