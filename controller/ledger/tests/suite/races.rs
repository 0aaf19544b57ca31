//! What happens between two statements of one transaction, held open by a lock. SQLite has one
//! writer at a time, so this is PostgreSQL's alone.

use std::time::Duration;

use heyun_ledger::{CLOSE_GRACE_US, Ledger, TenantFilter};
use sqlx::{Connection as _, PgConnection};

use crate::bed::{Bed, HOUR_S, NINE_S, on_postgres, step, steps, us};

#[tokio::test]
async fn a_step_that_comes_between_counting_and_marking_is_not_marked() {
    on_postgres(between_counting_and_marking).await;
}

async fn between_counting_and_marking(bed: Bed) {
    let url = bed.fresh_url();
    let ledger = Ledger::connect(&url).await.unwrap();
    ledger
        .record(&steps([step("a", us(NINE_S), 1)]))
        .await
        .unwrap();
    let now_us = us(NINE_S + HOUR_S) + CLOSE_GRACE_US;

    // The closing reads the steps, and cannot write the hours while this lock is held.
    let mut holder = PgConnection::connect(&url).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE usage_hourly IN SHARE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let closing = {
        let ledger = ledger.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { ledger.close_hours(now_us).await });
        tasks
    };
    until_someone_waits(&url).await;
    ledger
        .record(&steps([step("b", us(NINE_S), 1)]))
        .await
        .unwrap();
    lock.commit().await.unwrap();
    let closed = closing.join_all().await.pop().unwrap().unwrap().unwrap();
    assert_eq!(closed.rows, 1, "it counted what was there when it began");

    let corrected = ledger
        .close_hours(now_us)
        .await
        .unwrap()
        .expect("the step is late now");
    assert_eq!(corrected.rows, 1);
    let report = ledger
        .usage(0, now_us, now_us, &TenantFilter::All)
        .await
        .unwrap();
    assert_eq!(report.rows.len(), 2);
}

async fn until_someone_waits(url: &str) {
    let mut watcher = PgConnection::connect(url).await.unwrap();
    let waits = async {
        loop {
            let (waiting,): (i64,) = sqlx::query_as(
                "SELECT COUNT(*) FROM pg_locks
                 WHERE NOT granted AND relation = 'usage_hourly'::regclass",
            )
            .fetch_one(&mut watcher)
            .await
            .unwrap();
            if waiting > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waits = tokio::time::timeout(Duration::from_secs(30), waits).await;
    waits.expect("waited for the closing to reach the lock on usage_hourly");
}
