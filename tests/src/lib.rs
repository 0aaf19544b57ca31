//! End-to-end tests, demo and benchmarks: what the shipped binaries do on real control planes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "test code: a failure is a panic with its reason, against the wall clock"
)]

pub mod bench;
pub mod demo;
pub mod fleet;
pub mod registry;
