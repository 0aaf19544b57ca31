//! The pure scheduler of Heyun: quantities, quota tree, filters, scores, division, spread,
//! verdicts, checks.
//!
//! One function decides: [`schedule`](schedule()). It takes a [`Snapshot`] (what the hub knows), the
//! [`Request`]s to decide and a [`Config`], and answers one [`Verdict`] per request. It is total,
//! deterministic and bounded: the same input gives the same bytes, in whatever order the requests
//! come. Nothing here reads a clock, the environment, a file or a socket: `now` is a field of the
//! snapshot.
//!
//! How a request becomes a verdict:
//!
//! 1. `filter` judges every member by its rules, all of them, once for all requests that are alike
//!    to them (`fleet/policy`), and `case` by its nodes: what each component may keep there and how
//!    many more fit, in which flavor. `neighbours` adds where other workloads of the tenant are.
//! 2. `score` rates what is left with whole numbers.
//! 3. `decide` tries the affinity terms in order; `attempt` places the whole workload or nothing,
//!    with `divide` and `spread` for the shares, first by capacity alone and then, if quota does
//!    not cover that, within what quota leaves.
//! 4. `decide/table` tells of the members: how many each reason refuses, and the nearest in full.
//! 5. What a verdict takes is in flight and charged for the requests after it.
//! 6. [`preempt`] finds who makes room for one that waits, where someone has to.
//! 7. [`wake`] says what each that waits waits for, and whom what happens wakes.
//!
//! [`check::check`] verifies a batch from scratch; [`text`] and [`explain`] say what a verdict means.

mod attempt;
mod capacity;
mod case;
pub mod check;
pub mod config;
mod decide;
mod divide;
pub mod engine;
pub mod explain;
mod filter;
#[cfg(test)]
mod fixtures;
mod fleet;
mod hash;
mod labels;
mod neighbours;
pub mod preempt;
pub mod quantity;
pub mod quota;
pub mod request;
pub mod resources;
mod rules;
pub mod schedule;
mod score;
pub mod snapshot;
mod spread;
pub mod text;
pub mod verdict;
pub mod wake;

pub use config::Config;
pub use divide::largest_remainder;
pub use engine::Engine;
pub use request::{Component, Request, WorkloadKey};
pub use resources::Resources;
pub use schedule::schedule;
pub use snapshot::{Member, Snapshot};
pub use verdict::{Outcome, Verdict};
