//! Rules of the house that need no fleet: arrows between crates, sizes, purity, names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    reason = "test code"
)]

mod arrows;
mod charts;
mod examples;
mod sizes;
