//! Usage: steps, closings and reports.

use std::collections::{BTreeMap, BTreeSet};

use heyun_ledger::{CLOSE_GRACE_US, Ledger, LedgerError, TenantFilter, UsageStep};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::bed::{Bed, HOUR_S, NINE_S, step, steps, us};

const FOREVER_US: i64 = us_const(NINE_S + 1_000 * HOUR_S);

const fn us_const(second: i64) -> i64 {
    second * 1_000_000
}

/// Hour after nine, tenant, amount-seconds: closed hours only.
async fn by_hour(ledger: &Ledger) -> Vec<(i64, String, i128)> {
    ledger
        .usage_by_hour(0, FOREVER_US, &TenantFilter::All)
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            (
                (row.hour_s - NINE_S) / HOUR_S,
                row.usage.tenant,
                row.usage.amount_seconds,
            )
        })
        .collect()
}

async fn total(ledger: &Ledger, now_us: i64) -> i128 {
    let report = ledger
        .usage(0, FOREVER_US, now_us, &TenantFilter::All)
        .await
        .unwrap();
    report.rows.iter().map(|row| row.amount_seconds).sum()
}

fn row(hour: i64, workload: &str, amount: i128) -> (i64, String, i128) {
    (hour, format!("tenant-{workload}"), amount)
}

pub(crate) async fn an_hour_is_closed_once_and_after_its_grace(bed: Bed) {
    let ledger = bed.fresh().await;
    let end_us = us(NINE_S + HOUR_S);
    assert_eq!(
        ledger.close_hours(end_us + CLOSE_GRACE_US).await.unwrap(),
        None,
        "no steps"
    );
    ledger
        .record(&steps([step("a", us(NINE_S + 600), 2_000)]))
        .await
        .unwrap();
    for early in [0, us(NINE_S), end_us, end_us + CLOSE_GRACE_US - 1] {
        assert_eq!(ledger.close_hours(early).await.unwrap(), None, "at {early}");
    }
    let closed = ledger
        .close_hours(end_us + CLOSE_GRACE_US)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((closed.from_s, closed.since_s), (NINE_S, NINE_S));
    assert_eq!(
        (closed.until_s, closed.rows, closed.more),
        (NINE_S + HOUR_S, 1, false)
    );
    assert_eq!(
        ledger.close_hours(end_us + CLOSE_GRACE_US).await.unwrap(),
        None,
        "twice"
    );
    assert_eq!(by_hour(&ledger).await, [row(0, "a", 2_000 * 3_000)]);
}

pub(crate) async fn amounts_are_cut_at_full_hours(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries = steps([
        step("a", us(NINE_S + 3_599), 1_000),
        step("a", us(NINE_S + 2 * HOUR_S + 1), 0),
        // Begins and ends at full hours.
        step("b", us(NINE_S), 7),
        step("b", us(NINE_S + HOUR_S), 0),
        // Within one second: never counted.
        step("c", us(NINE_S + 5), 9),
        step("c", us(NINE_S + 5) + 999_999, 0),
    ]);
    ledger.record(&entries).await.unwrap();
    ledger
        .close_hours(us(NINE_S + 4 * HOUR_S))
        .await
        .unwrap()
        .unwrap();
    let expected = [
        row(0, "a", 1_000),
        row(0, "b", 7 * 3_600),
        row(1, "a", 3_600_000),
        row(2, "a", 1_000),
    ];
    assert_eq!(by_hour(&ledger).await, expected);
    assert_eq!(
        total(&ledger, us(NINE_S + 9 * HOUR_S)).await,
        3_602_000 + 7 * 3_600
    );
}

pub(crate) async fn late_steps_correct_closed_hours(bed: Bed) {
    let ledger = bed.fresh().await;
    ledger
        .record(&steps([step("a", us(NINE_S), 10)]))
        .await
        .unwrap();
    let now_us = us(NINE_S + 3 * HOUR_S) + CLOSE_GRACE_US;
    ledger.close_hours(now_us).await.unwrap().unwrap();
    assert_eq!(total(&ledger, us(NINE_S + 3 * HOUR_S)).await, 3 * 36_000);
    // Another outbox comes back: the release at half past nine, and a workload never heard of,
    // which began before the first hour that was closed.
    let late = steps([
        step("a", us(NINE_S + 1_800), 0),
        step("b", us(NINE_S - 2 * HOUR_S), 1),
        step("b", us(NINE_S - HOUR_S), 0),
    ]);
    ledger.record(&late).await.unwrap();
    let closed = ledger.close_hours(now_us).await.unwrap().unwrap();
    assert_eq!(
        (closed.from_s, closed.since_s),
        (NINE_S - 2 * HOUR_S, NINE_S + 3 * HOUR_S)
    );
    assert_eq!(closed.until_s, NINE_S + 3 * HOUR_S);
    // Two hours taken back whole, half an hour, and the new one.
    assert_eq!(closed.rows, 4);
    assert_eq!(
        by_hour(&ledger).await,
        [row(-2, "b", 3_600), row(0, "a", 18_000)]
    );
    assert_eq!(ledger.close_hours(now_us).await.unwrap(), None);
}

pub(crate) async fn order_and_repetition_do_not_matter(bed: Bed) {
    let mut mixed = vec![
        step("a", us(NINE_S), 4),
        step("a", us(NINE_S + 100), 9),
        // States again what holds.
        step("a", us(NINE_S + 200), 9),
        // A newer leader's word at the same microsecond, then the same leader's larger amount.
        UsageStep {
            epoch: 4,
            ..step("a", us(NINE_S + 300), 2)
        },
        step("a", us(NINE_S + 300), 8),
        step("a", us(NINE_S + 400), 3),
        step("a", us(NINE_S + 400), 5),
        step("a", us(NINE_S + 500), 0),
    ];
    let expected = [row(0, "a", 400 + 9 * 200 + 2 * 100 + 5 * 100)];
    for _ in 0..4 {
        let ledger = bed.fresh().await;
        mixed.rotate_left(3);
        for one in &mixed {
            ledger
                .record(&steps([one.clone(), one.clone()]))
                .await
                .unwrap();
        }
        ledger.record(&steps(mixed.clone())).await.unwrap();
        ledger
            .close_hours(us(NINE_S + 2 * HOUR_S))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(by_hour(&ledger).await, expected);
    }
}

pub(crate) async fn an_open_report_counts_up_to_now(bed: Bed) {
    let ledger = bed.fresh().await;
    let report = ledger
        .usage(0, FOREVER_US, us(NINE_S), &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!(
        (report.rows.len(), report.until_s),
        (0, NINE_S),
        "an empty ledger"
    );
    ledger
        .record(&steps([step("a", us(NINE_S), 2)]))
        .await
        .unwrap();
    // Nothing closed yet.
    assert_eq!(total(&ledger, us(NINE_S + 60)).await, 120);
    let now_us = us(NINE_S + HOUR_S + 400);
    ledger.close_hours(now_us).await.unwrap().unwrap();
    let report = ledger
        .usage(us(NINE_S), FOREVER_US, now_us, &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!(
        (report.from_s, report.until_s),
        (NINE_S, NINE_S + HOUR_S + 400)
    );
    assert_eq!(report.closed_until_s, NINE_S + HOUR_S);
    assert_eq!(report.rows[0].amount_seconds, 2 * (3_600 + 400));
    // The closed hour alone; its ends are rounded outwards.
    let (from, until) = (us(NINE_S + 10), us(NINE_S + 20));
    let report = ledger
        .usage(from, until, now_us, &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!((report.from_s, report.until_s), (NINE_S, NINE_S + HOUR_S));
    assert_eq!(report.rows[0].amount_seconds, 2 * 3_600);
    // Turned round: nothing, and no error.
    let report = ledger
        .usage(FOREVER_US, 0, now_us, &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!(report.rows, []);
}

pub(crate) async fn tenants_see_only_their_own(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries = steps(["a", "b", "c"].map(|workload| step(workload, us(NINE_S), 1)));
    ledger.record(&entries).await.unwrap();
    let now_us = us(NINE_S + HOUR_S + 400);
    let only = |names: &[&str]| {
        TenantFilter::Only(names.iter().map(|it| format!("tenant-{it}")).collect())
    };
    for closed in [false, true] {
        for (filter, expected) in [
            (only(&["b", "c", "nobody"]), vec!["tenant-b", "tenant-c"]),
            (only(&[]), vec![]),
            (TenantFilter::Only(vec!["tenant-b\"],[\"".into()]), vec![]),
            (TenantFilter::All, vec!["tenant-a", "tenant-b", "tenant-c"]),
        ] {
            let report = ledger.usage(0, FOREVER_US, now_us, &filter).await.unwrap();
            let seen: Vec<&str> = report.rows.iter().map(|row| row.tenant.as_str()).collect();
            assert_eq!(seen, expected, "{filter:?}, closed: {closed}");
            let hours = ledger.usage_by_hour(0, FOREVER_US, &filter).await.unwrap();
            assert_eq!(
                hours.len(),
                if closed { expected.len() } else { 0 },
                "{filter:?}"
            );
        }
        ledger.close_hours(now_us).await.unwrap();
    }
}

pub(crate) async fn the_largest_amounts_are_exact(bed: Bed) {
    let ledger = bed.fresh().await;
    let entries = steps((0..3).map(|n| UsageStep {
        workload_uid: format!("uid-{n}"),
        ..step("a", us(NINE_S), i64::MAX)
    }));
    ledger.record(&entries).await.unwrap();
    ledger
        .close_hours(us(NINE_S + 3 * HOUR_S))
        .await
        .unwrap()
        .unwrap();
    let hour = i128::from(i64::MAX) * 3_600 * 3;
    assert_eq!(
        by_hour(&ledger).await,
        [row(0, "a", hour), row(1, "a", hour)]
    );
    assert_eq!(total(&ledger, us(NINE_S + 2 * HOUR_S)).await, hour * 2);
}

pub(crate) async fn a_long_sleep_is_closed_in_portions(bed: Bed) {
    let ledger = bed.fresh().await;
    ledger
        .record(&steps([step("a", us(NINE_S), 1)]))
        .await
        .unwrap();
    let days = 40;
    let now_us = us(NINE_S + days * 24 * HOUR_S) + CLOSE_GRACE_US;
    let first = ledger.close_hours(now_us).await.unwrap().unwrap();
    assert_eq!((first.rows, first.more), (31 * 24, true));
    let second = ledger.close_hours(now_us).await.unwrap().unwrap();
    assert_eq!((second.rows, second.more), (9 * 24, false));
    assert_eq!(ledger.close_hours(now_us).await.unwrap(), None);
    let seconds = i128::from(days * 24 * HOUR_S);
    let until_us = us(NINE_S + days * 24 * HOUR_S);
    let report = ledger
        .usage(0, until_us, now_us, &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!(report.rows[0].amount_seconds, seconds);
}

pub(crate) async fn two_closings_at_once_count_once(bed: Bed) {
    let url = bed.fresh_url();
    let (one, other) = (
        Ledger::connect(&url).await.unwrap(),
        Ledger::connect(&url).await.unwrap(),
    );
    one.record(&steps([step("a", us(NINE_S), 1)]))
        .await
        .unwrap();
    for hours in 1..6 {
        let now_us = us(NINE_S + hours * HOUR_S) + CLOSE_GRACE_US;
        let results = tokio::join!(one.close_hours(now_us), other.close_hours(now_us));
        for result in [&results.0, &results.1] {
            assert!(
                result.as_ref().err().is_none_or(LedgerError::is_transient),
                "{result:?}"
            );
        }
        let closed = [results.0, results.1]
            .into_iter()
            .filter_map(|it| it.ok().flatten());
        assert_eq!(closed.count(), 1);
        assert_eq!(by_hour(&one).await.len(), usize::try_from(hours).unwrap());
    }
}

/// A step that is committed while a closing runs is counted by that one or by the next.
pub(crate) async fn closing_while_steps_come_misses_none(bed: Bed) {
    let ledger = bed.fresh().await;
    ledger
        .record(&steps([step("a", us(NINE_S), 1)]))
        .await
        .unwrap();
    let now_us = us(NINE_S + HOUR_S) + CLOSE_GRACE_US;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..3 {
        let ledger = ledger.clone();
        writers.spawn(async move {
            for n in 0..40 {
                let late = step(&format!("{writer}-{n}"), us(NINE_S), 1);
                ledger.record(&steps([late])).await.unwrap();
            }
        });
    }
    while !writers.is_empty() {
        ledger.close_hours(now_us).await.unwrap();
        while let Some(result) = writers.try_join_next() {
            result.unwrap();
        }
    }
    ledger.close_hours(now_us).await.unwrap();
    assert_eq!(total(&ledger, us(NINE_S + HOUR_S)).await, 121 * 3_600);
}

/// What happens to a ledger in a random history.
#[derive(Clone, Debug)]
enum Event {
    /// Steps come: (workload, resource, microsecond after nine, epoch, amount).
    Record(Vec<(u8, u8, i64, i64, i64)>),
    /// What came at that place in the history comes again.
    Again(usize),
    /// Hours are closed, at this microsecond after nine.
    Close(i64),
}

const HISTORY_US: i64 = us_const(4 * HOUR_S);

fn history() -> impl Strategy<Value = Vec<Event>> {
    let at = prop_oneof![
        0..HISTORY_US,
        // Full hours and their neighbours, where errors live.
        (0_i64..4, -1_i64..2).prop_map(|(hour, by)| (us(hour * HOUR_S) + by).max(0)),
    ];
    let amount = prop_oneof![Just(0), 0_i64..5, Just(1 << 40)];
    let one = (0_u8..3, 0_u8..2, at, 1_i64..3, amount);
    let event = prop_oneof![
        4 => prop::collection::vec(one, 1..6).prop_map(Event::Record),
        1 => (0_usize..8).prop_map(Event::Again),
        2 => (0..HISTORY_US + us(HOUR_S)).prop_map(Event::Close),
    ];
    prop::collection::vec(event, 1..10)
}

fn steps_of(event: &Event) -> Vec<UsageStep> {
    let Event::Record(raw) = event else {
        return Vec::new();
    };
    raw.iter()
        .map(|&(workload, resource, at, epoch, amount)| UsageStep {
            epoch,
            resource: ["cpu", "memory"][usize::from(resource)].into(),
            ..step(&workload.to_string(), us(NINE_S) + at, amount)
        })
        .collect()
}

/// The oracle: looks at each second alone and asks of each series which step stands then.
fn counted(known: &BTreeSet<(String, String, i64, i64, i64)>) -> BTreeMap<(i64, String), i128> {
    let series: BTreeSet<(&String, &String)> = known.iter().map(|it| (&it.0, &it.1)).collect();
    let mut sums = BTreeMap::new();
    for (workload, resource) in series {
        let mine: Vec<_> = known
            .iter()
            .filter(|it| (&it.0, &it.1) == (workload, resource))
            .collect();
        for second in NINE_S..NINE_S + 5 * HOUR_S {
            let stands = mine.iter().rev().find(|it| it.2 < us(second + 1));
            let amount = stands.map_or(0, |it| i128::from(it.4));
            if amount != 0 {
                *sums
                    .entry(((second - NINE_S) / HOUR_S, workload.clone()))
                    .or_default() += amount;
            }
        }
    }
    sums
}

pub(crate) async fn random_histories_equal_the_count_by_seconds(bed: Bed) {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    for _ in 0..24 {
        let events = history().new_tree(&mut runner).unwrap().current();
        let ledger = bed.fresh().await;
        let mut known = BTreeSet::new();
        for event in &events {
            let came = match event {
                Event::Close(at) => {
                    ledger.close_hours(us(NINE_S) + at).await.unwrap();
                    continue;
                }
                Event::Again(place) => events.get(*place).map(steps_of).unwrap_or_default(),
                Event::Record(_) => steps_of(event),
            };
            ledger.record(&steps(came.clone())).await.unwrap();
            known.extend(
                came.into_iter()
                    .map(|it| (it.tenant, it.resource, it.at_us, it.epoch, it.amount)),
            );
        }
        let end_us = us(NINE_S + 5 * HOUR_S);
        ledger.close_hours(end_us + CLOSE_GRACE_US).await.unwrap();
        let expected = counted(&known);
        let mut found: BTreeMap<(i64, String), i128> = BTreeMap::new();
        for (hour, tenant, amount) in by_hour(&ledger).await {
            *found.entry((hour, tenant)).or_default() += amount;
        }
        assert_eq!(found, expected, "{events:#?}");
        assert_eq!(
            total(&ledger, end_us).await,
            expected.values().sum::<i128>()
        );
    }
}
