//! Closing hours: each counted once, corrected by what came late.

use crate::database::{Bind, Ledger, Mode, Transaction};
use crate::error::LedgerError;
use crate::hours::{
    HOUR_S, HourKey, HourRow, Hours, SECOND_US, StepRow, hour_of, integrate, second_of, whole,
};
use crate::record::json;
use crate::sql;

/// How long after its end an hour is closed, in microseconds: outboxes have time to drain, so
/// that corrections are the exception.
pub const CLOSE_GRACE_US: i64 = 300 * SECOND_US;

/// The most new hours one closing takes; a ledger that slept for long needs several.
const HOURS_MAX: i64 = 24 * 31;

/// How many hours are in memory at a time.
const CHUNK_S: i64 = 24 * HOUR_S;

/// The most rows in one statement.
const ROWS_MAX: usize = 5_000;

/// What one closing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The first hour that it wrote to, in seconds since 1970-01-01 UTC; before `since_s` where
    /// it corrected closed hours.
    pub from_s: i64,
    /// Up to where hours were closed before.
    pub since_s: i64,
    /// Up to where hours are closed now.
    pub until_s: i64,
    /// Rows that it wrote.
    pub rows: u64,
    /// Whether more hours could be closed at once.
    pub more: bool,
}

impl Ledger {
    /// Closes the hours that ended [`CLOSE_GRACE_US`] before `now_us` or earlier, 31 days of them
    /// at most, and corrects closed ones by the steps that came late. `None` where there was
    /// nothing to do; nothing is written then.
    ///
    /// # Errors
    ///
    /// As for any operation. Two closings at the same time end in an error of one, which may be
    /// tried again.
    pub async fn close_hours(&self, now_us: i64) -> Result<Option<Closed>, LedgerError> {
        self.transaction("close hours", Mode::Snapshot, async |tx| {
            let Some(plan) = plan(tx, now_us).await? else {
                return Ok(None);
            };
            let binds = [
                Bind::Int(plan.id),
                Bind::Int(plan.from_s),
                Bind::Int(plan.until_s),
                Bind::Int(now_us),
            ];
            // First, so that a second closing stops at the key before it counts anything.
            tx.execute(sql::INSERT_CLOSING, &binds)
                .await
                .map_err(busy)?;
            let mut rows = 0;
            let mut from_s = plan.from_s;
            while from_s < plan.until_s {
                let until_s = from_s.saturating_add(CHUNK_S).min(plan.until_s);
                rows += write_chunk(tx, plan.id, from_s, until_s).await?;
                from_s = until_s;
            }
            let binds = [
                Bind::Int(plan.id),
                Bind::Int(plan.until_s.saturating_mul(SECOND_US)),
            ];
            tx.execute(sql::MARK_COUNTED, &binds).await?;
            Ok(Some(Closed {
                from_s: plan.from_s,
                since_s: plan.since_s,
                until_s: plan.until_s,
                rows,
                more: plan.more,
            }))
        })
        .await
    }
}

/// The key of a closing refuses one that another process wrote in the meantime.
fn busy(error: LedgerError) -> LedgerError {
    match error {
        LedgerError::Refused { what, .. } => LedgerError::Busy { what },
        other => other,
    }
}

/// Which hours to write.
struct Plan {
    id: i64,
    from_s: i64,
    since_s: i64,
    until_s: i64,
    more: bool,
}

async fn plan(tx: &mut Transaction, now_us: i64) -> Result<Option<Plan>, LedgerError> {
    let last = last_closing(tx).await?;
    let Some(since_s) = closed_until(tx, last).await? else {
        return Ok(None);
    };
    let due_s = hour_of(second_of(now_us.saturating_sub(CLOSE_GRACE_US)));
    let until_s = due_s
        .min(since_s.saturating_add(HOURS_MAX * HOUR_S))
        .max(since_s);
    let late = [Bind::Int(since_s.saturating_mul(SECOND_US))];
    let from_s = match first(tx, sql::FIRST_LATE_STEP, &late).await? {
        Some(at_us) => hour_of(second_of(at_us)),
        None => since_s,
    };
    if from_s >= until_s {
        return Ok(None);
    }
    let id = last.map_or(0, |it| it.0).saturating_add(1);
    Ok(Some(Plan {
        id,
        from_s,
        since_s,
        until_s,
        more: until_s < due_s,
    }))
}

/// The last closing: its id, and up to where hours are closed.
async fn last_closing(tx: &mut Transaction) -> Result<Option<(i64, i64)>, LedgerError> {
    Ok(tx.rows::<(i64, i64)>(sql::LAST_CLOSING, &[]).await?.pop())
}

/// Up to where hours are closed: at least up to the first step, before which nothing was held.
/// `None` where there is no step.
async fn closed_until(
    tx: &mut Transaction,
    last: Option<(i64, i64)>,
) -> Result<Option<i64>, LedgerError> {
    if let Some((_, until_s)) = last {
        return Ok(Some(until_s));
    }
    let first = first(tx, sql::FIRST_STEP, &[]).await?;
    Ok(first.map(|at_us| hour_of(second_of(at_us))))
}

/// Up to where a report may read closed hours; `None` where there is nothing to report.
pub(crate) async fn report_closed_until(tx: &mut Transaction) -> Result<Option<i64>, LedgerError> {
    let last = last_closing(tx).await?;
    closed_until(tx, last).await
}

async fn first(
    tx: &mut Transaction,
    statement: sql::Statement,
    binds: &[Bind<'_>],
) -> Result<Option<i64>, LedgerError> {
    let rows = tx.rows::<(Option<i64>,)>(statement, binds).await?;
    Ok(rows.into_iter().next().and_then(|row| row.0))
}

/// What the steps hold in these hours.
pub(crate) async fn held(
    tx: &mut Transaction,
    from_s: i64,
    until_s: i64,
) -> Result<Hours, LedgerError> {
    let binds = [
        Bind::Int(from_s.saturating_mul(SECOND_US)),
        Bind::Int(until_s.saturating_mul(SECOND_US)),
    ];
    let steps: Vec<StepRow> = tx.rows(sql::STEPS_BETWEEN, &binds).await?;
    Ok(integrate(&steps, from_s, until_s))
}

/// Writes the difference between what the steps hold and what is recorded.
async fn write_chunk(
    tx: &mut Transaction,
    id: i64,
    from_s: i64,
    until_s: i64,
) -> Result<u64, LedgerError> {
    let mut hours = held(tx, from_s, until_s).await?;
    type Recorded = (i64, String, String, String, String, i64, i64);
    let binds = [Bind::Int(from_s), Bind::Int(until_s)];
    for row in tx.rows::<Recorded>(sql::RECORDED_BETWEEN, &binds).await? {
        let (hour_s, tenant, flavor, member, resource, hi, lo) = row;
        let key = HourKey {
            hour_s,
            tenant,
            flavor,
            member,
            resource,
        };
        *hours.entry(key).or_default() -= whole(hi, lo);
    }
    let rows: Vec<HourRow<'_>> = hours
        .iter()
        .filter(|(_, amount)| **amount != 0)
        .map(|(key, amount)| HourRow::new(key, *amount))
        .collect::<Result<_, _>>()?;
    let mut written = 0;
    for batch in rows.chunks(ROWS_MAX) {
        let batch = json(batch)?;
        written += tx
            .execute(sql::INSERT_HOURS, &[Bind::Int(id), Bind::Text(&batch)])
            .await?;
    }
    Ok(written)
}
