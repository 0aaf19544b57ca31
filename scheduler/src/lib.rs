//! The pure scheduler of Heyun: quantities, quota tree, filters, scores, division, spread,
//! verdicts, checks.
//!
//! One function decides: [`schedule`]. It takes a [`Snapshot`] (what the hub knows), the
//! [`Request`]s to decide and a [`Config`], and answers one [`Verdict`] per request. It is total,
//! deterministic and bounded: the same input gives the same bytes, in whatever order the requests
//! come. Nothing here reads a clock, the environment, a file or a socket: `now` is a field of the
//! snapshot.

mod attempt;
mod capacity;
mod case;
pub mod check;
pub mod config;
mod decide;
mod divide;
pub mod explain;
mod filter;
#[cfg(test)]
mod fixtures;
mod fleet;
mod hash;
mod labels;
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

pub use config::Config;
pub use request::{Component, Request, WorkloadKey};
pub use resources::Resources;
pub use schedule::schedule;
pub use snapshot::{Member, Snapshot};
pub use verdict::{Outcome, Verdict};
