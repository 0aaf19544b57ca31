//! Names, units and attributes of the instruments.
//!
//! The name in Prometheus follows mechanically: dots become `_`, a unit that is a real one is
//! appended (`s` → `_seconds`, `By` → `_bytes`), `{…}` units are dropped, counters end in
//! `_total`. A gauge's unit is never `1`: that would append `_ratio`.

/// Declares constants whose value is their documentation too.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+
    };
}

names! {
    /// Histogram, s: how long the decision on one Workload took.
    SCHEDULER_DECISION_DURATION = "heyun.scheduler.decision.duration";
    /// Counter: decisions by outcome and reason.
    SCHEDULER_DECISIONS = "heyun.scheduler.decisions";
    /// Counter: members refused, by filter and reason.
    SCHEDULER_CLUSTER_REJECTIONS = "heyun.scheduler.cluster.rejections";
    /// Up-down counter: Workloads in the scheduling queue.
    SCHEDULER_QUEUE_SIZE = "heyun.scheduler.queue.size";
    /// Up-down counter: Workloads without a placement, by reason.
    PLACEMENT_UNSCHEDULED = "heyun.placement.unscheduled";
    /// Counter: Workloads that made room for others, by what right.
    SCHEDULER_PREEMPTIONS = "heyun.scheduler.preemptions";
    /// Counter: waiting Workloads that are looked at again, by the kind of event that woke them.
    SCHEDULER_WAKES = "heyun.scheduler.wakes";
    /// Counter: questions about images, by what kept registries from telling.
    REGISTRY_QUESTIONS = "heyun.registry.questions";
    /// Histogram, s: one pass of a reconciler.
    CONTROLLER_RECONCILE_DURATION = "heyun.controller.reconcile.duration";
    /// Counter: passes of reconcilers by result.
    CONTROLLER_RECONCILES = "heyun.controller.reconciles";
    /// Histogram, s: from the hub's first sight of a generation to a stage on a member.
    PROPAGATION_DURATION = "heyun.propagation.duration";
    /// Counter: writes to members.
    WORK_WRITES = "heyun.work.writes";
    /// Counter: objects on members that others changed.
    WORK_DRIFT = "heyun.work.drift";
    /// Up-down counter: 1 for the state that a condition of a member is in.
    CLUSTER_STATUS = "heyun.cluster.status";
    /// Gauge, s: since a member was last known to be well.
    CLUSTER_HEARTBEAT_AGE = "heyun.cluster.heartbeat.age";
    /// Gauge: 1 while this process leads.
    LEADER = "heyun.leader";
    /// Gauge: 1, with the version.
    BUILD_INFO = "heyun.build.info";
    /// Counter: requests for quota that were refused.
    QUOTA_DENIALS = "heyun.quota.denials";
    /// Counter: entries committed to the ledger, by kind.
    LEDGER_ENTRIES = "heyun.ledger.entries";
    /// Up-down counter: entries that wait in the outbox.
    LEDGER_OUTBOX_DEPTH = "heyun.ledger.outbox.depth";
    /// Counter: entries that the full outbox refused.
    LEDGER_OUTBOX_REFUSED = "heyun.ledger.outbox.refused";
    /// Histogram, s: one batch from the outbox to the ledger.
    LEDGER_COMMIT_DURATION = "heyun.ledger.commit.duration";
    /// Counter: series left out because an instrument holds its most already.
    TELEMETRY_SERIES_DROPPED = "heyun.telemetry.series.dropped";
}

/// Per resource: how much of it a member can give, has promised, and so on.
pub mod capacity {
    names! {
        /// Up-down counter, {cpu}.
        CPU_ALLOCATABLE = "heyun.cluster.capacity.cpu.allocatable";
        /// Up-down counter, {cpu}.
        CPU_REQUESTED = "heyun.cluster.capacity.cpu.requested";
        /// Up-down counter, By.
        MEMORY_ALLOCATABLE = "heyun.cluster.capacity.memory.allocatable";
        /// Up-down counter, By.
        MEMORY_REQUESTED = "heyun.cluster.capacity.memory.requested";
        /// Up-down counter, By.
        STORAGE_ALLOCATABLE = "heyun.cluster.capacity.storage.allocatable";
        /// Up-down counter, By.
        STORAGE_REQUESTED = "heyun.cluster.capacity.storage.requested";
        /// Up-down counter: resources that are counted in pieces, pods and accelerators.
        COUNT_ALLOCATABLE = "heyun.cluster.capacity.count.allocatable";
        /// Up-down counter: resources that are counted in pieces, pods and accelerators.
        COUNT_REQUESTED = "heyun.cluster.capacity.count.requested";
    }
}

/// Per resource and tenant: the ceiling, what is used, reserved, borrowed and lent.
pub mod quota {
    names! {
        /// Up-down counter, {cpu}.
        CPU_HARD = "heyun.quota.cpu.request.hard";
        /// Up-down counter, {cpu}.
        CPU_USED = "heyun.quota.cpu.request.used";
        /// Up-down counter, {cpu}.
        CPU_RESERVED = "heyun.quota.cpu.request.reserved";
        /// Up-down counter, {cpu}.
        CPU_BORROWED = "heyun.quota.cpu.request.borrowed";
        /// Up-down counter, {cpu}.
        CPU_LENT = "heyun.quota.cpu.request.lent";
        /// Up-down counter, By.
        MEMORY_HARD = "heyun.quota.memory.request.hard";
        /// Up-down counter, By.
        MEMORY_USED = "heyun.quota.memory.request.used";
        /// Up-down counter, By.
        MEMORY_RESERVED = "heyun.quota.memory.request.reserved";
        /// Up-down counter, By.
        MEMORY_BORROWED = "heyun.quota.memory.request.borrowed";
        /// Up-down counter, By.
        MEMORY_LENT = "heyun.quota.memory.request.lent";
        /// Up-down counter, By.
        STORAGE_HARD = "heyun.quota.storage.request.hard";
        /// Up-down counter, By.
        STORAGE_USED = "heyun.quota.storage.request.used";
        /// Up-down counter, By.
        STORAGE_RESERVED = "heyun.quota.storage.request.reserved";
        /// Up-down counter, By.
        STORAGE_BORROWED = "heyun.quota.storage.request.borrowed";
        /// Up-down counter, By.
        STORAGE_LENT = "heyun.quota.storage.request.lent";
        /// Up-down counter: resources that are counted in pieces.
        COUNT_HARD = "heyun.quota.count.request.hard";
        /// Up-down counter: resources that are counted in pieces.
        COUNT_USED = "heyun.quota.count.request.used";
        /// Up-down counter: resources that are counted in pieces.
        COUNT_RESERVED = "heyun.quota.count.request.reserved";
        /// Up-down counter: resources that are counted in pieces.
        COUNT_BORROWED = "heyun.quota.count.request.borrowed";
        /// Up-down counter: resources that are counted in pieces.
        COUNT_LENT = "heyun.quota.count.request.lent";
    }
}

/// Keys of attributes, of metrics, spans and log fields alike.
pub mod attribute {
    names! {
        /// A member's name.
        CLUSTER = "k8s.cluster.name";
        /// A namespace.
        NAMESPACE = "k8s.namespace.name";
        /// The kind of an object.
        KIND = "k8s.object.kind";
        /// The name of an object; on spans and log lines only.
        NAME = "k8s.object.name";
        /// The uid of an object; on spans and log lines only.
        UID = "k8s.object.uid";
        /// The generation of an object; on spans and log lines only.
        GENERATION = "k8s.object.generation";
        /// The id of a decision; on spans and log lines only.
        DECISION = "heyun.decision.id";
        /// How a decision ended: [`crate::labels::Outcome`].
        OUTCOME = "heyun.decision.outcome";
        /// The path of a tenant, three levels at most in metrics.
        TENANT = "heyun.tenant.path";
        /// A flavor's name.
        FLAVOR = "heyun.flavor";
        /// A resource's name as Kubernetes writes it.
        RESOURCE = "heyun.resource";
        /// A network zone.
        ZONE = "heyun.zone";
        /// A level of graded protection, 1 to 5.
        MLPS_LEVEL = "heyun.security.level";
        /// A filter of the scheduler.
        FILTER = "heyun.filter";
        /// A reason of a closed enum.
        REASON = "reason";
        /// The class of an error, of a closed set.
        ERROR_TYPE = "error.type";
        /// By what right a Workload made room for another.
        CLAIM = "heyun.claim";
        /// The kind of event that woke a Workload.
        EVENT = "heyun.event";
        /// Part of the scheduling queue: [`crate::labels::Queue`].
        QUEUE = "heyun.queue";
        /// A reconciler's name.
        CONTROLLER = "controller.name";
        /// How something ended.
        RESULT = "result";
        /// What was written: [`crate::labels::Verb`].
        VERB = "verb";
        /// A stage of propagation: [`crate::labels::Stage`].
        STAGE = "heyun.stage";
        /// The manager that changed a field.
        FIELD_MANAGER = "field_manager";
        /// The type of a condition.
        CONDITION = "heyun.cluster.condition";
        /// The status of a condition: [`crate::labels::State`].
        STATE = "state";
        /// What a ledger entry records: [`crate::labels::LedgerKind`].
        LEDGER_KIND = "heyun.ledger.kind";
        /// The version of a program.
        VERSION = "version";
        /// The name of an instrument.
        INSTRUMENT = "instrument";
    }
}
