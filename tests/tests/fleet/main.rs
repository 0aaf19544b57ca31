//! What Heyun does on real control planes: one fleet for all tests of this binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::disallowed_methods,
    reason = "test code: a failure is a panic with its reason, against the wall clock"
)]

mod access;
mod admission;
mod admission_cases;
mod agreement;
mod application;
mod capacity;
mod dry_run;
mod images;
mod joining;
mod lifecycle;
mod matrix;
mod placement;
mod placement_cases;
mod placement_jobs;
mod quantities;
mod query;
mod quiet;
mod replay;
mod reported;
mod requests;
mod secrets;
mod subtree;
