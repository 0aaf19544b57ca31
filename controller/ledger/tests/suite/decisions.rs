//! Connection, schema and decisions.

use heyun_ledger::{
    DECISIONS_AGE_US, DECISIONS_KEPT, DecisionRow, Entry, EntryError, LedgerError, Recorded,
};

use crate::bed::{Bed, decision, step};

pub(crate) async fn ping_answers(bed: Bed) {
    bed.fresh().await.ping().await.unwrap();
}

pub(crate) async fn migrating_again_changes_nothing(bed: Bed) {
    let url = bed.fresh_url();
    let first = heyun_ledger::Ledger::connect(&url).await.unwrap();
    first.migrate().await.unwrap();
    first
        .record(&[Entry::Decision(decision("d-1", 1))])
        .await
        .unwrap();
    first.close().await;
    let second = heyun_ledger::Ledger::connect(&url).await.unwrap();
    second.migrate().await.unwrap();
    second.migrate().await.unwrap();
    let rows = second
        .decisions_of("gz-civil-affairs", "assistance", 10)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
}

pub(crate) async fn rows_come_back_as_they_went_in(bed: Bed) {
    let ledger = bed.fresh().await;
    let mut row = decision("d-1", 1_795_424_400_123_456);
    row.generation = i64::MAX;
    row.epoch = i64::MAX;
    row.reason = "quote ' double \" back \\ 中文 \u{1F600} \u{7f} ; DROP TABLE decisions".into();
    ledger
        .record(&[Entry::Decision(row.clone())])
        .await
        .unwrap();
    let rows = ledger
        .decisions_of("gz-civil-affairs", "assistance", 10)
        .await
        .unwrap();
    assert_eq!(rows, [row]);
    assert_eq!(
        ledger
            .decisions_of("gz-civil-affairs", "other", 10)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        ledger
            .decisions_of("other", "assistance", 10)
            .await
            .unwrap(),
        []
    );
}

pub(crate) async fn the_newest_come_first_and_limited(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries: Vec<Entry> = (0..20)
        .map(|n| Entry::Decision(decision(&format!("d-{n:02}"), n)))
        .collect();
    ledger.record(&entries).await.unwrap();
    let rows = ledger
        .decisions_of("gz-civil-affairs", "assistance", 3)
        .await
        .unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.decision_id.as_str()).collect();
    assert_eq!(ids, ["d-19", "d-18", "d-17"]);
}

pub(crate) async fn what_comes_twice_is_there_once(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries = [
        Entry::Decision(decision("d-1", 1)),
        Entry::Decision(decision("d-1", 1)),
        Entry::Usage(step("a", 1, 5)),
        Entry::Usage(step("a", 1, 5)),
    ];
    let new = ledger.record(&entries).await.unwrap();
    assert_eq!(
        new,
        Recorded {
            decisions: 1,
            usage: 1
        }
    );
    let new = ledger.record(&entries).await.unwrap();
    assert_eq!(new, Recorded::default());
    // Another Workload may have a decision of the same id.
    let mut other = decision("d-1", 1);
    other.workload_uid = "uid-2".into();
    let new = ledger.record(&[Entry::Decision(other)]).await.unwrap();
    assert_eq!(
        new,
        Recorded {
            decisions: 1,
            usage: 0
        }
    );
    // History is not rewritten.
    let mut changed = decision("d-1", 1);
    changed.outcome = "rejected".into();
    ledger.record(&[Entry::Decision(changed)]).await.unwrap();
    let rows = ledger
        .decisions_of("gz-civil-affairs", "assistance", 10)
        .await
        .unwrap();
    assert!(rows.iter().all(|row| row.outcome == "placed"));
}

pub(crate) async fn a_batch_with_an_unfit_entry_writes_nothing(bed: Bed) {
    let ledger = bed.fresh().await;
    let mut unfit = decision("d-2", 1);
    unfit.reason = "a\0b".into();
    let entries = [Entry::Decision(decision("d-1", 1)), Entry::Decision(unfit)];
    let error = ledger.record(&entries).await.unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Entry(EntryError::Nul { field: "reason" })
        ),
        "{error}"
    );
    assert_eq!(
        ledger
            .decisions_of("gz-civil-affairs", "assistance", 10)
            .await
            .unwrap(),
        []
    );
}

/// An index of PostgreSQL takes rows of a third of a page; random text, so that it cannot be
/// compressed below that.
pub(crate) async fn the_longest_keys_are_taken(bed: Bed) {
    let ledger = bed.fresh().await;
    let mut state = 1_u64;
    let mut longest = || -> String {
        (0..320)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
            })
            .collect()
    };
    let mut row = decision("", 1);
    (row.workload_uid, row.decision_id) = (longest(), longest());
    (row.namespace, row.name, row.tenant) = (longest(), longest(), longest());
    row.verdict = format!("[\"{}\"]", "x".repeat(250 * 1_024)).into();
    let mut used = step("a", 1, 5);
    (used.workload_uid, used.member, used.flavor) = (longest(), longest(), longest());
    (used.resource, used.tenant) = (longest(), longest());
    let new = ledger
        .record(&[Entry::Decision(row), Entry::Usage(used)])
        .await
        .unwrap();
    assert_eq!(
        new,
        Recorded {
            decisions: 1,
            usage: 1
        }
    );
    let closed = ledger.close_hours(4_000_000_000).await.unwrap().unwrap();
    assert_eq!(closed.rows, 1);
}

async fn known(ledger: &heyun_ledger::Ledger, name: &str) -> Vec<(String, i64)> {
    let rows = ledger
        .decisions_of("gz-civil-affairs", name, 5_000)
        .await
        .unwrap();
    rows.into_iter()
        .map(|row| (row.decision_id, row.decided_at_us))
        .collect()
}

pub(crate) async fn one_that_is_made_again_is_a_row_of_its_own(bed: Bed) {
    let ledger = bed.fresh().await;
    let made = [("d-a", 1), ("d-b", 2), ("d-a", 3)];
    let entries = made.map(|(id, at)| Entry::Decision(decision(id, at)));
    ledger.record(&entries).await.unwrap();
    let again = ledger.record(&entries).await.unwrap();
    assert_eq!(again, Recorded::default(), "delivered twice");
    let expected = made.map(|(id, at)| (id.to_owned(), at));
    let mut rows = known(&ledger, "assistance").await;
    rows.reverse();
    assert_eq!(rows, expected);
}

pub(crate) async fn what_is_only_stated_adds_nothing_to_what_is_known(bed: Bed) {
    let ledger = bed.fresh().await;
    let stated = |id: &str, at| DecisionRow {
        verdict: "null".into(),
        ..decision(id, at)
    };
    // In one batch with the row itself, and again when it is there.
    let both = [stated("d-a", 1), decision("d-a", 2)].map(Entry::Decision);
    ledger.record(&both).await.unwrap();
    let later = [stated("d-a", 9), stated("d-b", 8), stated("d-b", 9)].map(Entry::Decision);
    let new = ledger.record(&later).await.unwrap();
    assert_eq!(new.decisions, 1);
    let rows = known(&ledger, "assistance").await;
    assert_eq!(rows, [("d-b".to_owned(), 9), ("d-a".to_owned(), 2)]);
}

pub(crate) async fn the_newest_of_a_workload_are_kept(bed: Bed) {
    let ledger = bed.fresh().await;
    let kept = usize::try_from(DECISIONS_KEPT).unwrap();
    let surplus = i64::from(DECISIONS_KEPT) + 20;
    let named = |name: &str, at| {
        Entry::Decision(DecisionRow {
            name: name.into(),
            ..decision(&format!("d-{at}"), at)
        })
    };
    let entries: Vec<Entry> = (0..surplus).map(|at| named("assistance", at)).collect();
    for batch in entries.chunks(30) {
        ledger.record(batch).await.unwrap();
    }
    ledger.record(&[named("other", 1)]).await.unwrap();
    let rows = known(&ledger, "assistance").await;
    assert_eq!(rows.len(), kept);
    assert_eq!(rows[0].1, surplus - 1, "the newest are those that stay");
    assert_eq!(rows[kept - 1].1, 20);
    assert_eq!(known(&ledger, "other").await.len(), 1, "of each Workload");
}

pub(crate) async fn old_ones_are_forgotten_by_the_batch(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries: Vec<Entry> = (0..1_100)
        .map(|n: i64| {
            Entry::Decision(DecisionRow {
                name: format!("w-{n}"),
                ..decision(&format!("d-{n}"), n)
            })
        })
        .collect();
    ledger.record(&entries).await.unwrap();
    let now = DECISIONS_AGE_US + 1_050;
    assert_eq!(ledger.forget_decisions(now).await.unwrap(), 1_000);
    assert!(known(&ledger, "w-999").await.is_empty());
    assert_eq!(known(&ledger, "w-1000").await.len(), 1, "the oldest first");
    assert_eq!(ledger.forget_decisions(now).await.unwrap(), 50);
    assert_eq!(ledger.forget_decisions(now).await.unwrap(), 0);
    assert_eq!(known(&ledger, "w-1050").await.len(), 1);
}
