//! The operator of Heyun: watches, reconcilers, scheduling loop, serving.
//!
//! ```text
//! watch ──► world (plain, synchronous) ──► loop: observe → validate → plan ──► commit, Works
//!                                           ▲                                     │
//!                                           └────────── what was written ◄────────┘
//! leader: who may write; fence: who is believed; members: one worker each, behind a bulkhead
//! serve: metrics, health, the aggregated API; outbox: what the ledger is told
//! ```
//!
//! One task owns the world and decides; everything that waits for the network runs beside it and
//! reports back as a message. So there is no lock, and one order of what was known when.

pub mod args;
pub mod ask;
pub mod client;
pub mod commit;
pub mod events;
pub mod fence;
pub mod history;
pub mod images;
pub mod leader;
pub mod measure;
pub mod members;
pub mod operate;
pub mod outbox;
pub mod quotas;
pub mod run;
pub mod seeded;
pub mod serve;
pub mod shown;
pub mod tenancy;
pub mod usage;
pub mod watch;
pub mod world;
