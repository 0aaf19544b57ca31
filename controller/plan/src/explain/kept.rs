//! What is kept of a decision, and what is said of it later: from a verdict to a text of bounded
//! size, and back to `why`.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::query::{DecisionRecord, Why};
use heyun_scheduler::Verdict;
use heyun_scheduler::request::WorkloadKey;
use serde::{Deserialize, Serialize};

use super::{About, in_order, json_bytes, shorten, why};

/// Most bytes of a verdict that is kept. Beyond it the least telling members are left out.
pub const KEPT_BYTES_MAX: usize = 32 * 1024;
/// Most bytes of the sentence of a refusal that the scheduler was not asked about.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// A refusal without a verdict: the Workload was not understood, or a guardrail forbids it.
#[derive(Debug, Serialize, Deserialize)]
struct Refused {
    message: String,
}

/// A decision as it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept<'a> {
    /// Namespace of the Workload.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The tenant that it belonged to.
    pub tenant: &'a str,
    /// Id of the decision.
    pub decision: &'a str,
    /// When it was made, RFC 3339.
    pub decided_at: &'a str,
    /// Generation that was decided on.
    pub generation: i64,
    /// Epoch of the leader.
    pub epoch: i64,
    /// Hash of the scheduler's inputs; empty: it was not asked.
    pub inputs_hash: &'a str,
    /// `Placed`, `Rejected` or `Waiting`.
    pub outcome: &'a str,
    /// Reason code.
    pub reason: &'a str,
    /// What [`verdict`] or [`message`] made; `null` where it is not known.
    pub verdict: &'a str,
}

/// A verdict as JSON of at most [`KEPT_BYTES_MAX`].
pub fn verdict(verdict: &Verdict) -> String {
    let json = |value: &Verdict| serde_json::to_string(value).unwrap_or_else(|_| "null".into());
    let whole = json(verdict);
    if whole.len() <= KEPT_BYTES_MAX {
        return whole;
    }
    let bare = Verdict {
        members: Vec::new(),
        ..verdict.clone()
    };
    // One byte for the comma behind each.
    let mut size = json_bytes(&bare);
    let fits = |member: &&heyun_scheduler::verdict::MemberVerdict| {
        size = size.saturating_add(json_bytes(member)).saturating_add(1);
        size <= KEPT_BYTES_MAX
    };
    let told = in_order(verdict).into_iter().take_while(fits);
    let told: BTreeSet<&str> = told.map(|member| member.member.as_str()).collect();
    let mut shorter = verdict.clone();
    shorter
        .members
        .retain(|member| told.contains(member.member.as_str()));
    let shorter = json(&shorter);
    if shorter.len() <= KEPT_BYTES_MAX {
        return shorter;
    }
    // A decision over very many members: that it was made is kept, and how.
    message(&super::outcome(verdict).1)
}

/// A refusal that the scheduler was not asked about, as JSON.
pub fn message(text: &str) -> String {
    let mut message = text.to_owned();
    shorten(&mut message, MESSAGE_BYTES_MAX);
    serde_json::to_string(&Refused { message }).unwrap_or_else(|_| "null".into())
}

/// What was said of a Workload when a decision was made.
pub fn recall(kept: &Kept<'_>) -> Why {
    let about = About {
        decision: kept.decision,
        unchecked: &[],
    };
    let mut said = match serde_json::from_str::<Verdict>(kept.verdict) {
        Ok(verdict) => why(&verdict, &about),
        Err(_) => bare(kept),
    };
    kept.decided_at.clone_into(&mut said.decided_at);
    said
}

fn bare(kept: &Kept<'_>) -> Why {
    let message = serde_json::from_str::<Refused>(kept.verdict).map_or_else(
        |_| {
            "what was said of the members is not known any more: a later leader found the decision in \
             force"
                .to_owned()
        },
        |refused| refused.message,
    );
    let key = WorkloadKey::new(kept.namespace, kept.name);
    Why {
        tenant: kept.tenant.to_owned(),
        decision: kept.decision.to_owned(),
        inputs_hash: kept.inputs_hash.to_owned(),
        ..super::refused(
            &key,
            kept.generation,
            kept.outcome,
            kept.told_reason(),
            message,
        )
    }
}

impl Kept<'_> {
    /// The reason as it is told: what is placed has none.
    fn told_reason(&self) -> &str {
        if self.outcome == "Placed" {
            ""
        } else {
            self.reason
        }
    }
}

/// A decision as one line of a history.
pub fn record(kept: &Kept<'_>) -> DecisionRecord {
    let mut members: BTreeMap<String, u32> = BTreeMap::new();
    if let Ok(verdict) = serde_json::from_str::<Verdict>(kept.verdict)
        && let Some(placed) = verdict.outcome.placed()
    {
        for member in placed.members() {
            members.insert(member.to_owned(), 0);
        }
        for part in &placed.assignments {
            let sum = members.entry(part.member.clone()).or_default();
            *sum = sum.saturating_add(u32::try_from(part.replicas).unwrap_or_default());
        }
    }
    DecisionRecord {
        decision: kept.decision.to_owned(),
        decided_at: kept.decided_at.to_owned(),
        generation: kept.generation,
        epoch: kept.epoch,
        inputs_hash: kept.inputs_hash.to_owned(),
        outcome: kept.outcome.to_owned(),
        reason: kept.told_reason().to_owned(),
        members,
    }
}
