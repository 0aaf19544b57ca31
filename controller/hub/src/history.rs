//! Earlier decisions, as the ledger keeps them: what was in force at a moment, or by its id.

use std::sync::Arc;

use heyun_crds::query::{DecisionHistory, QUERY_GROUP, QUERY_VERSION, Why};
use heyun_ledger::{DECISIONS_KEPT, DecisionRow, Ledger, LedgerError};
use heyun_plan::explain::kept::{self, Kept};
use heyun_scheduler::request::WorkloadKey;
use k8s_openapi::jiff::Timestamp;

/// The outcome of a row that is no refusal.
const PLACED: &str = "Placed";

/// Which decision is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that was in force at this moment.
    At(Timestamp),
    /// The newest whose id begins so.
    Id(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The question itself is wrong.
    #[error("{0}")]
    Question(String),
    /// Nothing is known that answers it.
    #[error("{0}")]
    Unknown(String),
    /// The ledger does not answer.
    #[error("the ledger does not answer; workloads are not affected")]
    Ledger(#[source] LedgerError),
}

impl Which {
    /// From the parameters of a request; `None` where the present is asked for.
    ///
    /// # Errors
    /// A time that cannot be read, an empty id, both at once.
    pub fn from_parameters(
        at: Option<&str>,
        decision: Option<&str>,
    ) -> Result<Option<Self>, HistoryError> {
        match (at, decision) {
            (None, None) => Ok(None),
            (Some(text), None) => text.parse().map(|at| Some(Self::At(at))).map_err(|_| {
                HistoryError::Question(format!(
                    "at={text} is no time: write it as RFC 3339, such as 2026-11-01T00:00:00Z"
                ))
            }),
            (None, Some("")) => Err(HistoryError::Question(
                "decision= is empty: give the beginning of an id, such as decision=7f3a9c"
                    .to_owned(),
            )),
            (None, Some(id)) => Ok(Some(Self::Id(id.to_owned()))),
            (Some(at), Some(id)) => Err(HistoryError::Question(format!(
                "at={at} and decision={id} contradict each other: give one of them"
            ))),
        }
    }
}

/// The decisions on a Workload that are known, the newest first. Those of another tenant that had
/// the namespace before are not told.
///
/// # Errors
/// If the ledger does not answer.
pub async fn rows(
    ledger: &Arc<Ledger>,
    key: &WorkloadKey,
    tenant: &str,
) -> Result<Vec<DecisionRow>, HistoryError> {
    let rows = ledger.decisions_of(&key.namespace, &key.name, DECISIONS_KEPT);
    let rows = rows.await.map_err(HistoryError::Ledger)?;
    Ok(of_tenant(rows, tenant))
}

fn of_tenant(mut rows: Vec<DecisionRow>, tenant: &str) -> Vec<DecisionRow> {
    rows.retain(|row| row.tenant == tenant);
    rows
}

/// What was said when the decision was made that is asked for.
///
/// # Errors
/// [`HistoryError::Unknown`] with the first that is known.
pub fn why(rows: &[DecisionRow], key: &WorkloadKey, which: &Which) -> Result<Why, HistoryError> {
    let is_meant = |row: &DecisionRow| match which {
        Which::At(at) => row.decided_at_us <= at.as_microsecond(),
        Which::Id(id) => row.decision_id.starts_with(id.as_str()),
    };
    let mut from = rows.iter().skip_while(|row| !is_meant(row));
    if let Some(row) = from.next() {
        let mut said = with(row, kept::recall);
        if row.outcome != PLACED {
            // A refusal leaves what is placed where it is.
            let before =
                |of: &&DecisionRow| of.outcome == PLACED && of.workload_uid == row.workload_uid;
            let before = from.find(before);
            said.in_force = before.map(|of| of.decision_id.clone()).unwrap_or_default();
        }
        return Ok(said);
    }
    let Some(first) = rows.last() else {
        return Err(HistoryError::Unknown(format!(
            "no decision on workload {key} is known: check the name and the namespace"
        )));
    };
    let (id, time) = (&first.decision_id, time(first));
    Err(HistoryError::Unknown(match which {
        Which::At(at) => {
            format!("no decision on workload {key} is known at {at}: the first is {id} of {time}")
        }
        Which::Id(wanted) => format!(
            "no decision {wanted} on workload {key} is known: {} are, the first of {time}; \
             heyun why {} -n {} --history lists them",
            rows.len(),
            key.name,
            key.namespace
        ),
    }))
}

/// A line for each decision.
pub fn history(rows: &[DecisionRow], key: &WorkloadKey) -> DecisionHistory {
    DecisionHistory {
        api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        kind: "DecisionHistory".to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        items: rows.iter().map(|row| with(row, kept::record)).collect(),
    }
}

fn with<T>(row: &DecisionRow, make: impl FnOnce(&Kept<'_>) -> T) -> T {
    let decided_at = time(row);
    make(&Kept {
        namespace: &row.namespace,
        name: &row.name,
        tenant: &row.tenant,
        decision: &row.decision_id,
        decided_at: &decided_at,
        generation: row.generation,
        epoch: row.epoch,
        inputs_hash: &row.inputs_hash,
        outcome: &row.outcome,
        reason: &row.reason,
        verdict: &row.verdict,
    })
}

fn time(row: &DecisionRow) -> String {
    Timestamp::from_microsecond(row.decided_at_us)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T09:00:00Z.
    const NINE: i64 = 1_795_424_400_000_000;

    fn row(id: &str, seconds: i64, outcome: &str) -> DecisionRow {
        DecisionRow {
            workload_uid: "u".to_owned(),
            decision_id: id.to_owned(),
            namespace: "civil".to_owned(),
            name: "web".to_owned(),
            tenant: "civil".to_owned(),
            generation: 1,
            epoch: 1,
            inputs_hash: String::new(),
            outcome: outcome.to_owned(),
            reason: "NoCapacity".to_owned(),
            verdict: kept::message("because").into(),
            decided_at_us: NINE + seconds * 1_000_000,
        }
    }

    fn rows() -> Vec<DecisionRow> {
        vec![
            row("cc01", 20, "Placed"),
            row("bb01", 10, "Waiting"),
            row("cc00", 0, "Placed"),
        ]
    }

    fn asked(at: &str) -> Result<Why, String> {
        let which = Which::from_parameters(Some(at), None).unwrap().unwrap();
        why(&rows(), &WorkloadKey::new("civil", "web"), &which).map_err(|e| e.to_string())
    }

    #[test]
    fn the_one_in_force_is_the_newest_that_is_not_later() {
        for (at, id) in [
            ("2026-11-23T09:00:00Z", "cc00"),
            ("2026-11-23T09:00:09.9Z", "cc00"),
            ("2026-11-23T17:00:10+08:00", "bb01"),
            ("2027-01-01T00:00:00Z", "cc01"),
        ] {
            assert_eq!(asked(at).unwrap().decision, id, "{at}");
        }
        let said = asked("2026-11-23T08:59:59Z").unwrap_err();
        assert!(
            said.ends_with("the first is cc00 of 2026-11-23T09:00:00Z"),
            "{said}"
        );
    }

    #[test]
    fn one_is_found_by_the_beginning_of_its_id() {
        let key = WorkloadKey::new("civil", "web");
        let by = |id: &str| why(&rows(), &key, &Which::Id(id.to_owned()));
        let refused = by("bb").unwrap();
        assert_eq!(refused.outcome, "Waiting");
        assert_eq!(refused.in_force, "cc00", "what was placed before it stayed");
        assert_eq!(by("cc").unwrap().in_force, "");
        assert_eq!(by("cc").unwrap().decision, "cc01", "the newest");
        let said = by("dd").unwrap_err().to_string();
        assert!(
            said.contains("no decision dd") && said.contains("3 are"),
            "{said}"
        );
        let said = why(&[], &key, &Which::Id("dd".to_owned())).unwrap_err();
        assert!(said.to_string().contains("check the name"), "{said}");
    }

    #[test]
    fn a_question_that_cannot_be_read_names_what_is_wrong() {
        let wrong = |at, id| Which::from_parameters(at, id).unwrap_err().to_string();
        assert!(wrong(Some("soon"), None).starts_with("at=soon"));
        assert!(wrong(None, Some("")).contains("empty"));
        assert!(wrong(Some("x"), Some("y")).contains("contradict"));
        assert_eq!(Which::from_parameters(None, None).unwrap(), None);
    }

    #[test]
    fn a_history_has_a_line_for_each() {
        let history = history(&rows(), &WorkloadKey::new("civil", "web"));
        let lines: Vec<_> = history
            .items
            .iter()
            .map(|item| item.outcome.as_str())
            .collect();
        assert_eq!(lines, ["Placed", "Waiting", "Placed"]);
    }

    #[test]
    fn what_another_tenant_did_under_the_same_name_is_not_told() {
        let mut all = rows();
        let mut theirs = row("dd00", -10, "Placed");
        theirs.tenant = "other".to_owned();
        all.push(theirs);
        assert_eq!(of_tenant(all.clone(), "civil"), rows());
        assert_eq!(of_tenant(all, "other").len(), 1);
    }
}
