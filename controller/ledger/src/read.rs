//! Reading decisions.

use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::database::{Bind, Ledger, Mode};
use crate::error::LedgerError;
use crate::rows::DecisionRow;
use crate::sql;

impl<'r, R: Row> sqlx::FromRow<'r, R> for DecisionRow
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            workload_uid: row.try_get("workload_uid")?,
            decision_id: row.try_get("decision_id")?,
            namespace: row.try_get("namespace")?,
            name: row.try_get("name")?,
            tenant: row.try_get("tenant")?,
            generation: row.try_get("generation")?,
            epoch: row.try_get("epoch")?,
            inputs_hash: row.try_get("inputs_hash")?,
            outcome: row.try_get("outcome")?,
            reason: row.try_get("reason")?,
            verdict: row.try_get::<String, _>("verdict")?.into(),
            decided_at_us: row.try_get("decided_at_us")?,
        })
    }
}

impl Ledger {
    /// The decisions on the Workload `namespace/name`, newest first, `limit` at most. A Workload
    /// that was created again has rows of several uids.
    ///
    /// # Errors
    ///
    /// As for any operation.
    pub async fn decisions_of(
        &self,
        namespace: &str,
        name: &str,
        limit: u32,
    ) -> Result<Vec<DecisionRow>, LedgerError> {
        self.transaction("read decisions", Mode::Read, async |tx| {
            let binds = [
                Bind::Text(namespace),
                Bind::Text(name),
                Bind::Int(limit.into()),
            ];
            tx.rows(sql::DECISIONS_OF, &binds).await
        })
        .await
    }
}
