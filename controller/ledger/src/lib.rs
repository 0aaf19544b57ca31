//! The ledger: usage, decisions and audit in SQL.
//!
//! ```text
//! hub ──append──► Outbox (local SQLite, fsync) ──drain──► Ledger (SQLite or PostgreSQL)
//!                                                           ├─ decisions
//!                                                           ├─ usage_steps ──close_hours──► usage_hourly
//!                                                           └─ reads: decisions_of, usage
//! ```
//!
//! The ledger is history, never the truth of a reservation: scheduling goes on while it is away.
//! It keeps plain rows of its own and knows no kind of the API. It reads no clock: each function
//! that needs the time takes it, in microseconds since 1970-01-01 UTC (`…_us`).
//!
//! # Nothing lost, nothing twice
//!
//! [`Outbox::append`] returns when the entries are on disk. [`Outbox::drain`] commits a batch to
//! the ledger first and forgets it afterwards; a crash in between delivers it again, and the
//! ledger knows each row by its key, so that it stays one row.
//!
//! # Usage
//!
//! Usage is a set of [`UsageStep`]s: "from this moment on, this workload holds this amount of
//! this resource on this member and flavor". A step holds until the next one of the same series
//! (workload, member, flavor, resource); amount 0 ends it. Steps may come twice and in any order,
//! and stating an amount that holds already changes nothing, so a hub that starts may simply
//! state everything again.
//!
//! Time counts in whole seconds: a step takes effect at the beginning of its second. Amounts
//! times seconds are integers then, and the hours add up exactly to the whole.
//!
//! [`Ledger::close_hours`] counts each full hour once. What comes late for a closed hour is
//! written as a correction by the next closing: rows are only ever added, and the sum over the
//! closings of an hour is what the steps say.
//!
//! # Retention
//!
//! Of a Workload the newest [`DECISIONS_KEPT`] decisions are kept, refusals among them, for
//! [`DECISIONS_AGE_US`] ([`Ledger::forget_decisions`]).

mod close;
mod database;
mod error;
mod hours;
mod outbox;
mod read;
mod record;
mod report;
mod rows;
mod sql;

pub use close::{CLOSE_GRACE_US, Closed};
pub use database::Ledger;
pub use error::{EntryError, LedgerError, OutboxError};
pub use outbox::{Appended, Drained, Outbox};
pub use record::{DECISIONS_AGE_US, DECISIONS_KEPT, Recorded};
pub use report::{HourlyRow, TenantFilter, UsageReport, UsageRow};
pub use rows::{DecisionRow, Entry, UsageStep};
