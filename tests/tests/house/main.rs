//! Rules of the house that need no fleet: arrows between crates, sizes, purity, names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod arrows;
mod charts;
mod examples;
mod sizes;
