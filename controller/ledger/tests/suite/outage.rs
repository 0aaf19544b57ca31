//! A database that goes away in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use heyun_ledger::{Entry, Ledger, Outbox, OutboxError};
use tempfile::TempDir;

use crate::bed::{all_numbered, decision, numbered, step, us, within_deadline};
use crate::postgres::Server;

/// Appends until told to stop; how much it appended.
async fn append(outbox: Arc<Outbox>, appended: Arc<AtomicU64>, stop: Arc<AtomicU64>) {
    while stop.load(Ordering::Relaxed) == 0 {
        let number = appended.load(Ordering::Relaxed);
        let at = i64::try_from(number).unwrap();
        let amount = at % 2;
        let entries = [
            Entry::Decision(numbered(&format!("d-{number}"), at)),
            Entry::Usage(step("a", us(at), amount)),
        ];
        outbox.append(&entries).await.unwrap();
        appended.store(number + 1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

/// Drains without end; how often the database was away.
async fn drain(outbox: Arc<Outbox>, ledger: Ledger, away: Arc<AtomicU64>, done: Arc<AtomicU64>) {
    loop {
        match outbox.drain(&ledger, 7).await {
            Ok(drained) => {
                assert_eq!(drained.refused, 0);
                done.fetch_add(drained.delivered, Ordering::Relaxed);
                if drained.waiting == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Err(OutboxError::Ledger(error)) => {
                assert!(error.is_transient(), "{error}");
                away.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn eventually(what: &str, value: &AtomicU64, at_least: u64) {
    let reached = async {
        while value.load(Ordering::Relaxed) < at_least {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_mins(1), reached).await;
    let last = value.load(Ordering::Relaxed);
    assert!(
        in_time.is_ok(),
        "waited for {what} to reach {at_least}, it is {last}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_loses_nothing_and_doubles_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    within_deadline(async move {
        let ledger = Ledger::connect(&server.create_database("ledger"))
            .await
            .unwrap();
        let dir = TempDir::new().unwrap();
        let outbox = Arc::new(Outbox::open(dir.path()).await.unwrap());
        let [appended, stop, away, done] = [(); 4].map(|()| Arc::new(AtomicU64::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        let appending = tasks.spawn(append(outbox.clone(), appended.clone(), stop.clone()));
        let draining = tasks.spawn(drain(
            outbox.clone(),
            ledger.clone(),
            away.clone(),
            done.clone(),
        ));
        for _ in 0..3 {
            let before = done.load(Ordering::Relaxed);
            eventually("deliveries", &done, before + 50).await;
            server.down();
            let (failed, there) = (
                away.load(Ordering::Relaxed),
                appended.load(Ordering::Relaxed),
            );
            eventually("failed drains", &away, failed + 1).await;
            eventually("appends during the outage", &appended, there + 20).await;
            server.up();
        }
        stop.store(1, Ordering::Relaxed);
        while !appending.is_finished() {
            tokio::task::yield_now().await;
        }
        draining.abort();
        while tasks.join_next().await.is_some() {}
        while outbox.drain(&ledger, 1_000).await.unwrap().waiting > 0 {}
        check(&ledger, appended.load(Ordering::Relaxed)).await;
    })
    .await;
}

async fn check(ledger: &Ledger, appended: u64) {
    let rows = all_numbered(ledger).await;
    assert_eq!(rows.len() as u64, appended);
    // Every other second an amount of 1 is held; the last step's stands until the report.
    let now_us = us(i64::try_from(appended).unwrap());
    let filter = heyun_ledger::TenantFilter::All;
    let report = ledger.usage(0, now_us, now_us, &filter).await.unwrap();
    let total: i128 = report.rows.iter().map(|row| row.amount_seconds).sum();
    assert_eq!(total, i128::from(appended / 2));
}

/// The hub starts while its ledger is away: nothing fails but what needs it.
#[tokio::test]
async fn a_ledger_may_be_away_from_the_start() {
    let Some(mut server) = Server::start() else {
        return;
    };
    within_deadline(async move {
        let url = server.create_database("ledger");
        server.down();
        let ledger = Ledger::connect(&url).await.unwrap();
        let error = ledger.ping().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let dir = TempDir::new().unwrap();
        let outbox = Outbox::open(dir.path()).await.unwrap();
        outbox
            .append(&[Entry::Decision(decision("d-1", 1))])
            .await
            .unwrap();
        let error = outbox.drain(&ledger, 10).await.unwrap_err();
        assert!(
            matches!(&error, OutboxError::Ledger(it) if it.is_transient()),
            "{error}"
        );
        server.up();
        let drained = outbox.drain(&ledger, 10).await.unwrap();
        assert_eq!((drained.delivered, drained.waiting), (1, 0));
    })
    .await;
}
