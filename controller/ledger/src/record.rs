//! Writing entries, and forgetting what is old.

use std::collections::BTreeMap;

use crate::database::{Bind, Ledger, Mode};
use crate::error::LedgerError;
use crate::hours::SECOND_US;
use crate::rows::{DecisionRow, Entry, UsageStep, VERDICT_UNKNOWN};
use crate::sql;

/// The most decisions that are kept of one Workload, the newest; of a name that several had one
/// after the other, together.
pub const DECISIONS_KEPT: u32 = 50;

/// How long a decision is kept, in microseconds: 400 days.
pub const DECISIONS_AGE_US: i64 = 400 * 24 * 3_600 * SECOND_US;

/// The most decisions that one statement forgets for their age.
const FORGET_BATCH: i64 = 1_000;

/// What was new in a batch; the rest was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Decisions that the ledger did not have.
    pub decisions: u64,
    /// Steps of usage that the ledger did not have.
    pub usage: u64,
}

impl Ledger {
    /// Writes entries, all or none. What is there already stays as it is. The hub writes through
    /// [`crate::Outbox`]; this is what that calls.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Entry`] if one is not fit, or as for any operation.
    pub async fn record(&self, entries: &[Entry]) -> Result<Recorded, LedgerError> {
        let mut decisions: Vec<&DecisionRow> = Vec::new();
        let mut stated: BTreeMap<(&str, &str), &DecisionRow> = BTreeMap::new();
        let mut steps: Vec<&UsageStep> = Vec::new();
        for entry in entries {
            entry.check()?;
            match entry {
                Entry::Decision(row) if row.verdict.as_ref() == VERDICT_UNKNOWN => {
                    stated.insert((&row.workload_uid, &row.decision_id), row);
                }
                Entry::Decision(row) => decisions.push(row),
                Entry::Usage(step) => steps.push(step),
            }
        }
        let of = decisions.iter().chain(stated.values());
        let mut of: Vec<Named<'_>> = of.map(|row| Named::of(row)).collect();
        of.sort_unstable();
        of.dedup();
        let workloads = json(&of)?;
        let decisions = json(&decisions)?;
        let stated = json(&stated.into_values().collect::<Vec<_>>())?;
        let steps = json(&steps)?;
        self.transaction("record entries", Mode::Write, async |tx| {
            let made = [Bind::Text(&decisions)];
            let made = tx.execute(sql::INSERT_DECISIONS, &made).await?;
            let stated = [Bind::Text(&stated)];
            let stated = tx.execute(sql::STATE_DECISIONS, &stated).await?;
            let decisions = made.saturating_add(stated);
            if decisions > 0 {
                let binds = [Bind::Text(&workloads), Bind::Int(DECISIONS_KEPT.into())];
                tx.execute(sql::FORGET_SURPLUS, &binds).await?;
            }
            Ok(Recorded {
                decisions,
                usage: tx.execute(sql::INSERT_STEPS, &[Bind::Text(&steps)]).await?,
            })
        })
        .await
    }

    /// Forgets decisions that are older than [`DECISIONS_AGE_US`] at `now_us`, 1,000 at most, and
    /// says how many those were. Usage is kept.
    ///
    /// # Errors
    ///
    /// As for any operation.
    pub async fn forget_decisions(&self, now_us: i64) -> Result<u64, LedgerError> {
        let before = now_us.saturating_sub(DECISIONS_AGE_US);
        self.transaction("forget decisions", Mode::Write, async |tx| {
            let binds = [Bind::Int(before), Bind::Int(FORGET_BATCH)];
            tx.execute(sql::FORGET_OLD, &binds).await
        })
        .await
    }
}

/// A Workload by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
struct Named<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Named<'a> {
    fn of(row: &'a DecisionRow) -> Self {
        Self {
            namespace: &row.namespace,
            name: &row.name,
        }
    }
}

pub(crate) fn json(rows: &[impl serde::Serialize]) -> Result<String, LedgerError> {
    serde_json::to_string(rows).map_err(|error| LedgerError::Corrupt(error.to_string()))
}
