//! Where a check runs, and what it is fed.

use std::future::Future;
use std::time::Duration;

use heyun_ledger::{DecisionRow, Entry, Ledger, UsageStep};
use tempfile::TempDir;

use crate::postgres::Server;

/// The longest a check takes on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// 2026-11-23 09:00 UTC, a full hour.
pub(crate) const NINE_S: i64 = 1_795_424_400;

/// One hour.
pub(crate) const HOUR_S: i64 = 3_600;

/// Gives out fresh databases.
pub(crate) enum Bed {
    /// Files in a folder.
    Sqlite(TempDir),
    /// Databases of one server.
    Postgres(&'static Server),
}

impl Bed {
    /// The URL of a new, empty database.
    pub(crate) fn fresh_url(&self) -> String {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Sqlite(dir) => dir
                .path()
                .join(format!("ledger-{number}.db"))
                .display()
                .to_string(),
            Self::Postgres(server) => server.create_database(&format!("ledger_{number}")),
        }
    }

    /// The ledger in a new, empty database.
    pub(crate) async fn fresh(&self) -> Ledger {
        Ledger::connect(&self.fresh_url()).await.unwrap()
    }
}

pub(crate) async fn on_sqlite<F: Future<Output = ()>>(check: impl FnOnce(Bed) -> F) {
    let bed = Bed::Sqlite(TempDir::new().unwrap());
    within_deadline(check(bed)).await;
}

pub(crate) async fn on_postgres<F: Future<Output = ()>>(check: impl FnOnce(Bed) -> F) {
    if let Some(server) = Server::shared() {
        within_deadline(check(Bed::Postgres(server))).await;
    }
}

/// Fails a check that hangs, with its name in libtest's output.
pub(crate) async fn within_deadline(check: impl Future<Output = ()>) {
    tokio::time::timeout(DEADLINE, check)
        .await
        .expect("the check must end");
}

pub(crate) fn us(second: i64) -> i64 {
    second * 1_000_000
}

pub(crate) fn decision(id: &str, decided_at_us: i64) -> DecisionRow {
    DecisionRow {
        workload_uid: "uid-1".into(),
        decision_id: id.into(),
        namespace: "gz-civil-affairs".into(),
        name: "assistance".into(),
        tenant: "gz-civil-affairs".into(),
        generation: 4,
        epoch: 3,
        inputs_hash: "7f3a9c".into(),
        outcome: "placed".into(),
        reason: String::new(),
        verdict: r#"{"placed":{"说明":"按容量"}}"#.into(),
        decided_at_us,
    }
}

/// As [`decision`], of one of many Workloads: of each only so many decisions are kept.
pub(crate) fn numbered(id: &str, number: i64) -> DecisionRow {
    DecisionRow {
        name: one_of_many(number / 4),
        ..decision(id, number)
    }
}

fn one_of_many(index: i64) -> String {
    match index {
        0 => "assistance".into(),
        more => format!("assistance-{more}"),
    }
}

/// All decisions of those Workloads.
pub(crate) async fn all_numbered(ledger: &Ledger) -> Vec<DecisionRow> {
    let (mut all, mut empty) = (Vec::new(), 0);
    for index in 0.. {
        let name = one_of_many(index);
        let rows = ledger.decisions_of("gz-civil-affairs", &name, 1_000);
        let rows = rows.await.unwrap();
        empty = if rows.is_empty() { empty + 1 } else { 0 };
        all.extend(rows);
        if empty > 300 {
            break;
        }
    }
    all
}

/// A step of the series that is known by `workload`; its tenant is `tenant-WORKLOAD`.
pub(crate) fn step(workload: &str, at_us: i64, amount: i64) -> UsageStep {
    UsageStep {
        workload_uid: format!("uid-{workload}"),
        member: "guangzhou-1".into(),
        flavor: "general-amd64".into(),
        resource: "cpu".into(),
        at_us,
        epoch: 3,
        amount,
        namespace: "gz-civil-affairs".into(),
        name: workload.into(),
        tenant: format!("tenant-{workload}"),
        decision_id: "d-1".into(),
    }
}

pub(crate) fn steps(steps: impl IntoIterator<Item = UsageStep>) -> Vec<Entry> {
    steps.into_iter().map(Entry::Usage).collect()
}
