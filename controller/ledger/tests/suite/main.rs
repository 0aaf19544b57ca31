//! The same checks on SQLite and on PostgreSQL, so that every statement runs on both; then what
//! only an outbox does, and what only a server that goes away shows.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a check fails by panicking, in functions that are no tests of their own too"
)]

mod bed;
mod crash;
mod decisions;
mod outage;
mod outbox;
mod postgres;
mod races;
mod usage;

/// Runs each check on a fresh SQLite file, and on a fresh PostgreSQL database where there is one.
macro_rules! on_both {
    ($($module:ident::$check:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $check() {
                crate::bed::on_sqlite(crate::$module::$check).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $check() {
                crate::bed::on_postgres(crate::$module::$check).await;
            })+
        }
    };
}

on_both! {
    decisions::ping_answers,
    decisions::migrating_again_changes_nothing,
    decisions::rows_come_back_as_they_went_in,
    decisions::the_newest_come_first_and_limited,
    decisions::what_comes_twice_is_there_once,
    decisions::a_batch_with_an_unfit_entry_writes_nothing,
    decisions::the_longest_keys_are_taken,
    decisions::one_that_is_made_again_is_a_row_of_its_own,
    decisions::what_is_only_stated_adds_nothing_to_what_is_known,
    decisions::the_newest_of_a_workload_are_kept,
    decisions::old_ones_are_forgotten_by_the_batch,
    usage::an_hour_is_closed_once_and_after_its_grace,
    usage::amounts_are_cut_at_full_hours,
    usage::late_steps_correct_closed_hours,
    usage::order_and_repetition_do_not_matter,
    usage::an_open_report_counts_up_to_now,
    usage::tenants_see_only_their_own,
    usage::the_largest_amounts_are_exact,
    usage::a_long_sleep_is_closed_in_portions,
    usage::two_closings_at_once_count_once,
    usage::closing_while_steps_come_misses_none,
    usage::random_histories_equal_the_count_by_seconds,
    outbox::drained_entries_are_there_once_after_a_crash_in_between,
    outbox::an_entry_that_is_refused_holds_up_no_other,
    outbox::concurrent_appends_and_drains_lose_nothing,
}
