//! All that touches one member cluster: client, watches, sketch, executor.
//!
//! ```text
//! hub (push) or agent (pull)
//!   │ start(WorkerConfig)          reports: MemberReport
//!   ▼                                   ▲
//! worker ── queue ──► executor ──► TenantClient ──► member
//!   ├── probe, fence                                  │
//!   └── watch: book (nodes, pods), shelf (objects) ◄──┘
//! ```
//!
//! - The one place that reads time is [`clock`], the one table of delays [`error`], the one
//!   place that patches [`apply`].
//! - Tenant content goes through [`client::TenantClient`] only.
//! - Of what is watched facts are kept, no objects.

pub mod apply;
pub mod assess;
pub mod client;
pub mod clock;
pub mod credential;
pub mod error;
pub mod executor;
pub mod fence;
pub mod guard;
mod hash;
pub mod kinds;
mod owned;
pub mod pods;
pub mod probe;
pub mod queue;
pub mod seen;
pub mod watch;
pub mod worker;

pub use worker::{Duty, MemberEvent, MemberHandle, MemberReport, WorkerConfig, start};
