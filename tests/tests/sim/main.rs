//! The scheduling loop, simulated: the hub's own `Operator` against an API server in memory, in a
//! time that stands still while anything can run. Each seed is a small fleet and a bad half minute:
//! lost answers, late writes, stale watches, leaders that die or do not know that another leads,
//! users who change their minds. An oracle judges every write that the server accepts.
//!
//! A seed that fails says how to replay it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::semicolon_if_nothing_returned,
    clippy::disallowed_methods,
    reason = "test code: a failure is a panic with its reason; tasks end with their runtime"
)]

mod bugs;
mod clock;
mod fence;
mod fresh;
mod member;
mod net;
mod objects;
mod oracle;
mod random;
mod run;
mod scenario;
mod seeds;
mod sim;
mod store;

/// As the hub's own: a seed is a million small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
