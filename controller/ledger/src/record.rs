//! Writing entries.

use crate::database::{Bind, Ledger, Mode};
use crate::error::LedgerError;
use crate::rows::{DecisionRow, Entry, UsageStep};
use crate::sql;

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
        let mut steps: Vec<&UsageStep> = Vec::new();
        for entry in entries {
            entry.check()?;
            match entry {
                Entry::Decision(row) => decisions.push(row),
                Entry::Usage(step) => steps.push(step),
            }
        }
        let decisions = json(&decisions)?;
        let steps = json(&steps)?;
        self.transaction("record entries", Mode::Write, async |tx| {
            Ok(Recorded {
                decisions: tx
                    .execute(sql::INSERT_DECISIONS, &[Bind::Text(&decisions)])
                    .await?,
                usage: tx.execute(sql::INSERT_STEPS, &[Bind::Text(&steps)]).await?,
            })
        })
        .await
    }
}

pub(crate) fn json(rows: &[impl serde::Serialize]) -> Result<String, LedgerError> {
    serde_json::to_string(rows).map_err(|error| LedgerError::Corrupt(error.to_string()))
}
