//! What the ledger keeps. Field names are column names.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::EntryError;

/// The most bytes of a name, id or hash. Kubernetes' longest, the name of a resource, has 317; a
/// key of four of these stays below what an index of PostgreSQL takes.
const TEXT_MAX: usize = 320;

/// The most bytes of a verdict.
const VERDICT_MAX: usize = 256 * 1_024;

/// The last microsecond of the year 9999.
const TIME_MAX_US: i64 = 253_402_300_799_999_999;

/// The verdict of a decision that is stated again by a hub that starts and no longer knows it.
pub(crate) const VERDICT_UNKNOWN: &str = "null";

/// One decision of the scheduler, a refusal included. Known by `(workload_uid, decision_id,
/// decided_at_us)`; one whose verdict is `null` only states what may be known already, and is kept
/// where no other of its `(workload_uid, decision_id)` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The Workload's uid.
    pub workload_uid: String,
    /// The decision's id.
    pub decision_id: String,
    /// The Workload's namespace.
    pub namespace: String,
    /// The Workload's name.
    pub name: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The generation that was decided on.
    pub generation: i64,
    /// The epoch of the leader that decided.
    pub epoch: i64,
    /// Hash of everything the decision depends on.
    pub inputs_hash: String,
    /// How it ended: placed, rejected or waiting.
    pub outcome: String,
    /// The reason, of the scheduler's closed enum; empty where it is placed.
    pub reason: String,
    /// The verdict as JSON; `null` where it is not known any more. It is long, and its writer has it
    /// elsewhere too.
    #[serde(with = "shared")]
    pub verdict: Arc<str>,
    /// When it was decided, in microseconds since 1970-01-01 UTC.
    pub decided_at_us: i64,
}

/// A text that others hold too, as a string.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// From `at_us` on a Workload holds `amount` of a resource on a member and flavor, until its next
/// step there; 0 ends it.
///
/// The series is `(workload_uid, member, flavor, resource)`. Within it steps are ordered by
/// `at_us`, then `epoch`, then `amount`, so two steps of one leader on one series should differ
/// in time: the larger amount stands otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageStep {
    /// The Workload's uid.
    pub workload_uid: String,
    /// The member's name.
    pub member: String,
    /// The flavor's name; `-` for what is not on nodes.
    pub flavor: String,
    /// The resource's name as Kubernetes writes it.
    pub resource: String,
    /// Since when, in microseconds since 1970-01-01 UTC. Counts from the beginning of its second.
    pub at_us: i64,
    /// The epoch of the leader that says so.
    pub epoch: i64,
    /// Thousandths for `cpu`, base units (bytes, pieces) otherwise; not negative.
    pub amount: i64,
    /// The Workload's namespace.
    pub namespace: String,
    /// The Workload's name.
    pub name: String,
    /// The tenant that is charged.
    pub tenant: String,
    /// The decision it follows from.
    pub decision_id: String,
}

/// What goes through the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A decision.
    Decision(DecisionRow),
    /// A step of usage.
    Usage(UsageStep),
}

impl Entry {
    /// What makes an entry the same one when it comes again.
    pub fn key(&self) -> String {
        // As JSON, so that no separator inside a name can make two keys one.
        match self {
            Self::Decision(it) => {
                let at = it.decided_at_us;
                serde_json::json!(["decision", it.workload_uid, it.decision_id, at]).to_string()
            }
            Self::Usage(it) => serde_json::json!([
                "usage",
                it.workload_uid,
                it.member,
                it.flavor,
                it.resource,
                it.at_us,
                it.epoch,
                it.amount
            ])
            .to_string(),
        }
    }

    /// Whether both databases will take it.
    ///
    /// # Errors
    ///
    /// See [`EntryError`].
    pub fn check(&self) -> Result<(), EntryError> {
        match self {
            Self::Decision(it) => it.check(),
            Self::Usage(it) => it.check(),
        }
    }
}

impl DecisionRow {
    fn check(&self) -> Result<(), EntryError> {
        required("workload_uid", &self.workload_uid)?;
        required("decision_id", &self.decision_id)?;
        required("namespace", &self.namespace)?;
        required("name", &self.name)?;
        required("tenant", &self.tenant)?;
        text("inputs_hash", &self.inputs_hash, TEXT_MAX)?;
        required("outcome", &self.outcome)?;
        text("reason", &self.reason, TEXT_MAX)?;
        text("verdict", &self.verdict, VERDICT_MAX)?;
        range("generation", self.generation, i64::MAX)?;
        range("epoch", self.epoch, i64::MAX)?;
        range("decided_at_us", self.decided_at_us, TIME_MAX_US)?;
        serde_json::from_str::<IgnoredAny>(&self.verdict)
            .map(drop)
            .map_err(|error| EntryError::Verdict(error.to_string()))
    }
}

impl UsageStep {
    fn check(&self) -> Result<(), EntryError> {
        required("workload_uid", &self.workload_uid)?;
        required("member", &self.member)?;
        required("flavor", &self.flavor)?;
        required("resource", &self.resource)?;
        required("namespace", &self.namespace)?;
        required("name", &self.name)?;
        required("tenant", &self.tenant)?;
        required("decision_id", &self.decision_id)?;
        range("epoch", self.epoch, i64::MAX)?;
        range("amount", self.amount, i64::MAX)?;
        range("at_us", self.at_us, TIME_MAX_US)
    }
}

fn required(field: &'static str, value: &str) -> Result<(), EntryError> {
    if value.is_empty() {
        return Err(EntryError::Empty { field });
    }
    text(field, value, TEXT_MAX)
}

fn text(field: &'static str, value: &str, limit: usize) -> Result<(), EntryError> {
    if value.len() > limit {
        return Err(EntryError::TooLong {
            field,
            length: value.len(),
            limit,
        });
    }
    if value.contains('\0') {
        return Err(EntryError::Nul { field });
    }
    Ok(())
}

fn range(field: &'static str, value: i64, limit: i64) -> Result<(), EntryError> {
    if (0..=limit).contains(&value) {
        Ok(())
    } else {
        Err(EntryError::OutOfRange {
            field,
            value,
            limit,
        })
    }
}
