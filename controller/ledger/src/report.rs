//! Reading usage.

use std::collections::BTreeMap;

use crate::close::{held, report_closed_until};
use crate::database::{Bind, Ledger, Mode, Transaction};
use crate::error::LedgerError;
use crate::hours::{HOUR_S, hour_of, second_of, whole};
use crate::record::json;
use crate::sql;

/// The longest part of a report that is not closed yet, in seconds, which is counted from the
/// steps each time: beyond it the ledger was not closed for days, and the report says so.
const OPEN_MAX_S: i64 = 31 * 24 * HOUR_S;

/// Whose usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantFilter {
    /// Everyone's.
    All,
    /// These tenants' own, not their children's; nobody's if there are none.
    Only(Vec<String>),
}

impl TenantFilter {
    fn admits(&self, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|it| it == tenant),
        }
    }
}

/// What one tenant held of one resource on one member and flavor, over the time of a report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageRow {
    /// The tenant's name.
    pub tenant: String,
    /// The flavor's name.
    pub flavor: String,
    /// The member's name.
    pub member: String,
    /// The resource's name.
    pub resource: String,
    /// Amount times seconds: thousandths of `cpu`, base units otherwise.
    pub amount_seconds: i128,
}

/// As [`UsageRow`], in one closed hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourlyRow {
    /// The beginning of the hour, in seconds since 1970-01-01 UTC.
    pub hour_s: i64,
    /// What was held in it.
    pub usage: UsageRow,
}

/// Usage over a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// The beginning, a full hour, in seconds since 1970-01-01 UTC.
    pub from_s: i64,
    /// The end: a full hour, or the moment of the report.
    pub until_s: i64,
    /// Up to where it is closed; what is later may still change a little. At most `until_s`.
    pub closed_until_s: i64,
    /// By tenant, flavor, member and resource; what is 0 is left out.
    pub rows: Vec<UsageRow>,
}

type Totals = BTreeMap<(String, String, String, String), i128>;

impl Ledger {
    /// Usage from `from_us` (rounded down to a full hour) to `until_us` (rounded up), not beyond
    /// `now_us`. Closed hours are read, the rest is counted from the steps.
    ///
    /// # Errors
    ///
    /// As for any operation.
    pub async fn usage(
        &self,
        from_us: i64,
        until_us: i64,
        now_us: i64,
        tenants: &TenantFilter,
    ) -> Result<UsageReport, LedgerError> {
        let from_s = hour_of(second_of(from_us));
        let until_s = hour_of(second_of(until_us.saturating_sub(1))).saturating_add(HOUR_S);
        let until_s = until_s.min(second_of(now_us)).max(from_s);
        self.transaction("report usage", Mode::Read, async |tx| {
            let closed = report_closed_until(tx).await?.unwrap_or(until_s);
            let closed_until_s = closed.clamp(from_s, until_s);
            let mut totals = closed_totals(tx, from_s, closed_until_s, tenants).await?;
            let until_s = until_s.min(closed_until_s.saturating_add(OPEN_MAX_S));
            for (key, amount) in held(tx, closed_until_s, until_s).await? {
                if tenants.admits(&key.tenant) {
                    let key = (key.tenant, key.flavor, key.member, key.resource);
                    *totals.entry(key).or_default() += amount;
                }
            }
            Ok(UsageReport {
                from_s,
                until_s,
                closed_until_s,
                rows: rows(totals),
            })
        })
        .await
    }

    /// The closed hours that begin from `from_us` (rounded down to a full hour) on and before
    /// `until_us`, in the order of their beginnings.
    ///
    /// # Errors
    ///
    /// As for any operation.
    pub async fn usage_by_hour(
        &self,
        from_us: i64,
        until_us: i64,
        tenants: &TenantFilter,
    ) -> Result<Vec<HourlyRow>, LedgerError> {
        let from_s = hour_of(second_of(from_us));
        let until_s = second_of(until_us.saturating_sub(1)).saturating_add(1);
        self.transaction("report usage by hour", Mode::Read, async |tx| {
            type Row = (i64, String, String, String, String, i64, i64);
            let names = names(tenants)?;
            let binds = binds(from_s, until_s, tenants, &names);
            let rows = tx.rows::<Row>(sql::HOURS_OF, &binds).await?;
            Ok(rows
                .into_iter()
                .map(
                    |(hour_s, tenant, flavor, member, resource, hi, lo)| HourlyRow {
                        hour_s,
                        usage: UsageRow {
                            tenant,
                            flavor,
                            member,
                            resource,
                            amount_seconds: whole(hi, lo),
                        },
                    },
                )
                .filter(|row| row.usage.amount_seconds != 0)
                .collect())
        })
        .await
    }
}

async fn closed_totals(
    tx: &mut Transaction,
    from_s: i64,
    until_s: i64,
    tenants: &TenantFilter,
) -> Result<Totals, LedgerError> {
    type Row = (String, String, String, String, i64, i64);
    let names = names(tenants)?;
    let binds = binds(from_s, until_s, tenants, &names);
    let rows = tx.rows::<Row>(sql::TOTALS_OF, &binds).await?;
    Ok(rows
        .into_iter()
        .map(|(tenant, flavor, member, resource, hi, lo)| {
            ((tenant, flavor, member, resource), whole(hi, lo))
        })
        .collect())
}

fn names(tenants: &TenantFilter) -> Result<String, LedgerError> {
    match tenants {
        TenantFilter::All => Ok("[]".into()),
        TenantFilter::Only(names) => json(names),
    }
}

fn binds<'a>(from_s: i64, until_s: i64, tenants: &TenantFilter, names: &'a str) -> [Bind<'a>; 4] {
    let all = i64::from(*tenants == TenantFilter::All);
    [
        Bind::Int(from_s),
        Bind::Int(until_s),
        Bind::Int(all),
        Bind::Text(names),
    ]
}

fn rows(totals: Totals) -> Vec<UsageRow> {
    totals
        .into_iter()
        .filter(|(_, amount_seconds)| *amount_seconds != 0)
        .map(
            |((tenant, flavor, member, resource), amount_seconds)| UsageRow {
                tenant,
                flavor,
                member,
                resource,
                amount_seconds,
            },
        )
        .collect()
}
