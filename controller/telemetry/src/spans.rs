//! Names of spans: few, constant, the object's name in an attribute and never in the name.
//!
//! Usable where `tracing` wants a name: `tracing::info_span!(spans::SCHEDULE_WORKLOAD, …)`.

/// The hub sees a generation of a Workload for the first time: the root of its trace.
pub const OBSERVE_WORKLOAD: &str = "observe workload";
/// One pass of a reconciler over one object.
pub const RECONCILE: &str = "reconcile";
/// One batch of the scheduling loop.
pub const SCHEDULE_BATCH: &str = "schedule batch";
/// The decision on one Workload.
pub const SCHEDULE_WORKLOAD: &str = "schedule workload";
/// A decision is written to the hub's API.
pub const COMMIT_DECISION: &str = "commit decision";
/// A decision is rendered into Works.
pub const RENDER_WORKS: &str = "render works";
/// One Work is written to the hub's API.
pub const DISPATCH_WORK: &str = "dispatch work";
/// The executor brings one member to what one Work says.
pub const SYNC_WORK: &str = "sync work";
/// One object is written to a member.
pub const APPLY_OBJECT: &str = "apply object";
/// One object is deleted from a member.
pub const PRUNE_OBJECT: &str = "prune object";
/// The state of a Work's objects is read from a member.
pub const OBSERVE_STATUS: &str = "observe status";
/// The statuses of Works become the status of a Workload.
pub const AGGREGATE_STATUS: &str = "aggregate status";
/// A member is asked whether it is well.
pub const PROBE_MEMBER: &str = "probe member";
/// A batch of entries is committed to the ledger.
pub const LEDGER_COMMIT: &str = "ledger commit";
/// Hours of usage are closed.
pub const LEDGER_CLOSE_HOURS: &str = "ledger close hours";
