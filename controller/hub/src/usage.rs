//! The usage report: from the ledger's rows to the type of the aggregated API.

use std::sync::Arc;

use heyun_crds::query::{QUERY_GROUP, QUERY_VERSION, UsageReport, UsageRow};
use heyun_ledger::{Ledger, LedgerError, TenantFilter};
use heyun_member::clock::Clock;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::Date;
use k8s_openapi::jiff::tz::TimeZone;

/// Where reports are read from.
#[derive(Clone)]
pub struct Source {
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A time cannot be read.
    #[error(
        "{field}={value} is neither a date (2026-11-01) nor a time (2026-11-01T00:00:00+08:00)"
    )]
    Time {
        /// `from` or `until`.
        field: &'static str,
        /// What was given.
        value: String,
    },
    /// The ledger does not answer.
    #[error("the ledger does not answer; workloads are not affected")]
    Ledger(#[source] LedgerError),
}

impl Source {
    /// Usage of these tenants; by default since the first of the month (UTC), until now.
    pub async fn report(
        &self,
        from: Option<&str>,
        until: Option<&str>,
        tenants: &[String],
    ) -> Result<UsageReport, UsageError> {
        let now = self.clock.now();
        let from = match from {
            Some(text) => time("from", text, false)?,
            None => month(now),
        };
        let until = until.map_or(Ok(now), |text| time("until", text, true))?;
        self.ledger.migrate().await.map_err(UsageError::Ledger)?;
        let filter = TenantFilter::Only(tenants.to_vec());
        let report = self
            .ledger
            .usage(
                from.as_microsecond(),
                until.as_microsecond(),
                now.as_microsecond(),
                &filter,
            )
            .await
            .map_err(UsageError::Ledger)?;
        Ok(UsageReport {
            api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
            kind: "UsageReport".to_owned(),
            from: second(report.from_s),
            until: second(report.until_s),
            rows: report.rows.into_iter().map(row).collect(),
        })
    }
}

fn row(row: heyun_ledger::UsageRow) -> UsageRow {
    let per_hour = if row.resource == "cpu" {
        3_600_000
    } else {
        3_600
    };
    UsageRow {
        amount_hours: decimal(row.amount_seconds, per_hour),
        tenant: row.tenant,
        flavor: row.flavor,
        member: row.member,
        resource: row.resource,
    }
}

/// `value / unit` with three decimals, rounded down: an integer division shown as a number.
fn decimal(value: i128, unit: i128) -> String {
    let thousandths = value.saturating_mul(1000) / unit;
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

fn month(now: Timestamp) -> Timestamp {
    let date = now.to_zoned(TimeZone::UTC).date().first_of_month();
    date.to_zoned(TimeZone::UTC)
        .map_or(now, |zoned| zoned.timestamp())
}

fn second(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map(|t| t.to_string())
        .unwrap_or_default()
}

/// A time, or a day: its beginning, or its end where the day is inclusive.
fn time(field: &'static str, text: &str, inclusive: bool) -> Result<Timestamp, UsageError> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || UsageError::Time {
        field,
        value: text.to_owned(),
    };
    let mut date: Date = text.parse().map_err(|_| wrong())?;
    if inclusive {
        date = date.tomorrow().map_err(|_| wrong())?;
    }
    Ok(date
        .to_zoned(TimeZone::UTC)
        .map_err(|_| wrong())?
        .timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_until_day_is_inclusive() {
        assert_eq!(
            time("until", "2026-11-30", true).unwrap().to_string(),
            "2026-12-01T00:00:00Z"
        );
        assert_eq!(
            time("from", "2026-11-01", false).unwrap().to_string(),
            "2026-11-01T00:00:00Z"
        );
        let error = time("from", "soon", false).unwrap_err().to_string();
        assert!(error.contains("from=soon"), "{error}");
    }

    #[test]
    fn core_hours_are_shown_exactly() {
        assert_eq!(decimal(5_400_000, 3_600_000), "1.500");
        assert_eq!(decimal(1, 3_600), "0.000");
    }
}
