//! What must hold whatever dies: the hub at any moment, the leader that slept, a member's API
//! server. Each test has a fleet of its own, one at a time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::disallowed_methods,
    reason = "test code: a failure is a panic with its reason, against the wall clock"
)]

mod audit;
mod common;
mod kill;
mod masked;
mod member;
mod pause;
mod readme;
mod story;
mod telemetry;
