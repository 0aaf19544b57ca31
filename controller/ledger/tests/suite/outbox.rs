//! The outbox: durable, bounded, exactly once.

use std::sync::Arc;

use heyun_ledger::{Appended, Drained, Entry, EntryError, Ledger, Outbox, OutboxError, Recorded};
use heyun_telemetry::{Telemetry, TelemetryConfig};
use tempfile::TempDir;

use crate::bed::{Bed, all_numbered, decision, numbered, step, steps};

fn decisions(ids: std::ops::Range<i64>) -> Vec<Entry> {
    ids.map(|n| Entry::Decision(numbered(&format!("d-{n:04}"), n)))
        .collect()
}

async fn count(ledger: &Ledger) -> usize {
    all_numbered(ledger).await.len()
}

#[tokio::test]
async fn long_verdicts_go_in_smaller_batches() {
    let dir = TempDir::new().unwrap();
    let outbox = Outbox::open(dir.path()).await.unwrap();
    let file = dir.path().join("ledger.db");
    let ledger = Ledger::connect(file.to_str().unwrap()).await.unwrap();
    let long = |n: i64| {
        let mut row = numbered(&format!("d-{n:04}"), n);
        row.verdict = format!("\"{}\"", "x".repeat(60_000)).into();
        Entry::Decision(row)
    };
    let long: Vec<Entry> = (0..40).map(long).collect();
    outbox.append(&long).await.unwrap();
    // Half a megabyte is reached within the first sixteen, which are read at once.
    let drained = outbox.drain(&ledger, 500).await.unwrap();
    assert_eq!((drained.delivered, drained.full), (16, true));
    let drained = outbox.drain(&ledger, 500).await.unwrap();
    assert_eq!((drained.delivered, drained.full), (16, true));
    let drained = outbox.drain(&ledger, 500).await.unwrap();
    assert_eq!((drained.delivered, drained.full), (8, false));
    assert_eq!(count(&ledger).await, 40);
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_in_order() {
    let dir = TempDir::new().unwrap();
    let outbox = Outbox::open(dir.path().join("made/on/demand"))
        .await
        .unwrap();
    let appended = outbox.append(&decisions(0..7)).await.unwrap();
    assert_eq!(appended, Appended { new: 7, waiting: 7 });
    let appended = outbox.append(&decisions(5..9)).await.unwrap();
    assert_eq!(appended, Appended { new: 2, waiting: 9 });
    outbox.close().await.unwrap();
    let outbox = Outbox::open(dir.path().join("made/on/demand"))
        .await
        .unwrap();
    assert_eq!(outbox.waiting().await.unwrap(), 9);
    let ledger = Ledger::connect(dir.path().join("ledger.db").to_str().unwrap())
        .await
        .unwrap();
    let drained = outbox.drain(&ledger, 4).await.unwrap();
    let new = Recorded {
        decisions: 4,
        usage: 0,
    };
    assert_eq!(
        drained,
        Drained {
            delivered: 4,
            new,
            refused: 0,
            waiting: 5,
            full: true
        }
    );
    let rows = ledger
        .decisions_of("gz-civil-affairs", "assistance", 100)
        .await
        .unwrap();
    assert_eq!(rows[0].decision_id, "d-0003", "the oldest go first");
    assert_eq!(outbox.drain(&ledger, 100).await.unwrap().waiting, 0);
    assert_eq!(
        outbox.drain(&ledger, 100).await.unwrap(),
        Drained::default(),
        "an empty one"
    );
    assert_eq!(count(&ledger).await, 9);
}

#[tokio::test]
async fn a_second_owner_is_refused_and_the_first_goes_on() {
    let dir = TempDir::new().unwrap();
    let first = Outbox::open(dir.path()).await.unwrap();
    first.append(&decisions(0..1)).await.unwrap();
    let error = Outbox::open(dir.path()).await.unwrap_err();
    assert!(error.to_string().contains("outbox.db"), "{error}");
    first.append(&decisions(1..2)).await.unwrap();
    first.close().await.unwrap();
    let second = Outbox::open(dir.path()).await.unwrap();
    assert_eq!(second.waiting().await.unwrap(), 2);
}

#[tokio::test]
async fn a_full_outbox_says_so_in_an_error_and_a_metric() {
    let telemetry = Telemetry::without_subscriber(&TelemetryConfig::default()).unwrap();
    let dir = TempDir::new().unwrap();
    let outbox = Outbox::open(dir.path())
        .await
        .unwrap()
        .with_capacity(10)
        .with_metrics(telemetry.metrics().clone());
    outbox.append(&decisions(0..8)).await.unwrap();
    let error = outbox.append(&decisions(8..11)).await.unwrap_err();
    let OutboxError::Full {
        waiting,
        asked,
        capacity,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((waiting, asked, capacity), (8, 3, 10));
    assert_eq!(outbox.waiting().await.unwrap(), 8, "all or none");
    outbox.append(&decisions(8..10)).await.unwrap();
    let text = telemetry.prometheus_text().unwrap();
    assert!(
        text.contains("heyun_ledger_outbox_refused_total 3"),
        "{text}"
    );
    assert!(text.contains("heyun_ledger_outbox_depth 10"), "{text}");
    let ledger = Ledger::connect(dir.path().join("ledger.db").to_str().unwrap())
        .await
        .unwrap();
    outbox.drain(&ledger, 6).await.unwrap();
    outbox.append(&decisions(10..13)).await.unwrap();
    let text = telemetry.prometheus_text().unwrap();
    assert!(text.contains("heyun_ledger_outbox_depth 7"), "{text}");
    assert!(text.contains(r#"heyun_ledger_entries_total{heyun_ledger_kind="decision"} 6"#));
}

#[tokio::test]
async fn unfit_entries_are_refused_before_they_are_on_disk() {
    let dir = TempDir::new().unwrap();
    let outbox = Outbox::open(dir.path()).await.unwrap();
    let mut cases = Vec::new();
    let mut row = decision("d-1", 1);
    row.verdict = "{not json".into();
    cases.push((Entry::Decision(row), "verdict is not JSON"));
    let mut row = decision("d-1", 1);
    row.verdict = format!("\"{}\"", "x".repeat(300_000)).into();
    cases.push((Entry::Decision(row), "verdict is 300002 bytes long"));
    cases.push((Entry::Decision(decision("", 1)), "decision_id is empty"));
    cases.push((Entry::Decision(decision("d-1", -1)), "decided_at_us is -1"));
    cases.push((Entry::Usage(step("a", 1, -5)), "amount is -5"));
    cases.push((
        Entry::Usage(step("a", i64::MAX, 5)),
        "at_us is 9223372036854775807",
    ));
    cases.push((Entry::Usage(step("a\0", 1, 5)), "workload_uid holds a NUL"));
    for (unfit, message) in cases {
        let fit = Entry::Decision(decision("d-0", 1));
        let error = outbox.append(&[fit, unfit]).await.unwrap_err();
        assert!(matches!(error, OutboxError::Entry(_)), "{error}");
        assert!(
            error.to_string().contains(message),
            "{error} does not say {message}"
        );
    }
    assert_eq!(outbox.waiting().await.unwrap(), 0);
    assert_eq!(
        Entry::Usage(step("a", 1, -5)).check(),
        Err(EntryError::OutOfRange {
            field: "amount",
            value: -5,
            limit: i64::MAX
        })
    );
}

#[test]
fn keys_do_not_run_into_each_other() {
    let mut a = step("a", 1, 5);
    let mut b = step("a", 1, 5);
    (a.member, a.flavor) = ("x\",\"y".into(), "z".into());
    (b.member, b.flavor) = ("x".into(), "y\",\"z".into());
    assert_ne!(Entry::Usage(a).key(), Entry::Usage(b).key());
}

/// The hub spawns tasks, which must be `Send`.
#[test]
fn the_futures_are_send() {
    fn send<T: Send>(_: impl FnOnce(&'static Outbox, &'static Ledger) -> T) {}
    send(|outbox, _| outbox.append(&[]));
    send(|outbox, ledger| outbox.drain(ledger, 1));
    send(|_, ledger| ledger.record(&[]));
    send(|_, ledger| ledger.ping());
    send(|_, ledger| ledger.migrate());
    send(|_, ledger| ledger.close_hours(0));
    send(|_, ledger| ledger.decisions_of("", "", 1));
    send(|_, ledger| ledger.usage(0, 0, 0, &heyun_ledger::TenantFilter::All));
    send(|_, ledger| ledger.usage_by_hour(0, 0, &heyun_ledger::TenantFilter::All));
}

/// The ledger has the batch, and the process dies before the outbox forgets it.
pub(crate) async fn drained_entries_are_there_once_after_a_crash_in_between(bed: Bed) {
    let ledger = bed.fresh().await;
    let dir = TempDir::new().unwrap();
    let outbox = Outbox::open(dir.path()).await.unwrap();
    let mut entries = decisions(0..5);
    entries.extend(steps([step("a", 1, 5), step("a", 2_000_000, 0)]));
    outbox.append(&entries).await.unwrap();
    ledger.record(&entries[..4]).await.unwrap();
    drop(outbox);
    let outbox = reopened(&dir).await;
    let drained = outbox.drain(&ledger, 100).await.unwrap();
    assert_eq!((drained.delivered, drained.waiting), (7, 0));
    assert_eq!(
        drained.new,
        Recorded {
            decisions: 1,
            usage: 2
        }
    );
    assert_eq!(count(&ledger).await, 5);
    // What is delivered a second time from elsewhere changes nothing.
    outbox.append(&entries).await.unwrap();
    let drained = outbox.drain(&ledger, 100).await.unwrap();
    assert_eq!((drained.delivered, drained.new), (7, Recorded::default()));
    assert_eq!(count(&ledger).await, 5);
}

/// A file is let go of shortly after its owner was dropped.
async fn reopened(dir: &TempDir) -> Outbox {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match Outbox::open(dir.path()).await {
            Ok(outbox) => return outbox,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
    }
}

/// A row that an older version let through, as the database sees it: one that breaks its rules.
pub(crate) async fn an_entry_that_is_refused_holds_up_no_other(bed: Bed) {
    let ledger = bed.fresh().await;
    let dir = TempDir::new().unwrap();
    Outbox::open(dir.path())
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let mut unfit = decision("d-bad", 1);
    unfit.reason = "a\0b".into();
    let unfit = Entry::Decision(unfit);
    plant(&dir, "first", &serde_json::to_string(&unfit).unwrap()).await;
    plant(&dir, "second", "{\"from\": \"a later version\"}").await;
    let outbox = Outbox::open(dir.path()).await.unwrap().with_capacity(5);
    outbox.append(&decisions(0..3)).await.unwrap();
    let drained = outbox.drain(&ledger, 100).await.unwrap();
    assert_eq!(
        (drained.delivered, drained.refused, drained.waiting),
        (3, 2, 0)
    );
    assert_eq!(
        drained.new,
        Recorded {
            decisions: 3,
            usage: 0
        }
    );
    assert_eq!(count(&ledger).await, 3);
    // What was kept aside takes room: it does not grow without bound.
    assert!(matches!(
        outbox.append(&decisions(3..7)).await,
        Err(OutboxError::Full { .. })
    ));
    outbox.append(&decisions(3..6)).await.unwrap();
}

async fn plant(dir: &TempDir, key: &'static str, entry: &str) {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", dir.path().join("outbox.db").display());
    let mut file = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO outbox (key, entry) VALUES ($1, $2)")
        .bind(key)
        .bind(entry)
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
}

pub(crate) async fn concurrent_appends_and_drains_lose_nothing(bed: Bed) {
    let ledger = bed.fresh().await;
    let dir = TempDir::new().unwrap();
    let outbox = Arc::new(Outbox::open(dir.path()).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let outbox = outbox.clone();
        tasks.spawn(async move {
            for n in 0..25 {
                let id = writer * 1_000 + n * 4;
                outbox.append(&decisions(id..id + 4)).await.unwrap();
            }
        });
    }
    for _ in 0..2 {
        let (outbox, ledger) = (outbox.clone(), ledger.clone());
        tasks.spawn(async move {
            let mut delivered = 0;
            while delivered < 100 {
                delivered += outbox.drain(&ledger, 30).await.unwrap().delivered;
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    while outbox.drain(&ledger, 50).await.unwrap().waiting > 0 {}
    assert_eq!(count(&ledger).await, 400);
}
