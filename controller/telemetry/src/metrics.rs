//! The instruments, as typed methods: a caller cannot misspell a name or invent an attribute.

mod board;
mod resources;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use self::board::{Board, Description};
pub use self::resources::{CapacityRow, QuotaRow};
use self::resources::{Resources, tenant_prefix};
use crate::labels::{LedgerKind, Outcome, Queue, ReconcileResult, Stage, State, Verb, WriteResult};
use crate::names::{self, attribute};

/// Seconds, for what happens inside the hub.
const FAST: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Seconds, for what waits for members.
const SLOW: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0,
];

/// The instruments of this process. A clone records into the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    scheduler: Scheduler,
    controller: Controller,
    member: Member,
    resources: Resources,
    quota_denials: Counter<u64>,
    ledger: Ledger,
    leader: Board,
}

#[derive(Clone, Debug)]
struct Scheduler {
    decision_duration: Histogram<f64>,
    decisions: Counter<u64>,
    rejections: Counter<u64>,
    preemptions: Counter<u64>,
    wakes: Counter<u64>,
    registry_questions: Counter<u64>,
    queue_size: Board,
    unscheduled: Board,
}

#[derive(Clone, Debug)]
struct Controller {
    reconcile_duration: Histogram<f64>,
    reconciles: Counter<u64>,
}

#[derive(Clone, Debug)]
struct Member {
    propagation: Histogram<f64>,
    writes: Counter<u64>,
    drift: Counter<u64>,
    status: Board,
    heartbeat_age: Board,
}

#[derive(Clone, Debug)]
struct Ledger {
    entries: Counter<u64>,
    commit_duration: Histogram<f64>,
    outbox_depth: Board,
    outbox_refused: Counter<u64>,
}

impl Scheduler {
    fn new(meter: &Meter) -> Self {
        let help = "Time to decide on one Workload";
        let refused = "Members refused by a filter";
        let asked = "Questions to registries about images";
        let queued = "Workloads in the scheduling queue";
        let unplaced = "Workloads without a placement";
        let woken = "Waiting Workloads that are looked at again";
        let made_room = "Workloads that made room for others";
        Self {
            decision_duration: histogram(meter, names::SCHEDULER_DECISION_DURATION, help, FAST),
            decisions: counter(meter, names::SCHEDULER_DECISIONS, "{decision}", "Decisions"),
            rejections: counter(
                meter,
                names::SCHEDULER_CLUSTER_REJECTIONS,
                "{cluster}",
                refused,
            ),
            preemptions: counter(meter, names::SCHEDULER_PREEMPTIONS, "{workload}", made_room),
            wakes: counter(meter, names::SCHEDULER_WAKES, "{workload}", woken),
            registry_questions: counter(meter, names::REGISTRY_QUESTIONS, "{question}", asked),
            queue_size: board(
                meter,
                names::SCHEDULER_QUEUE_SIZE,
                "{workload}",
                queued,
                &[attribute::QUEUE],
            ),
            unscheduled: board(
                meter,
                names::PLACEMENT_UNSCHEDULED,
                "{workload}",
                unplaced,
                &[attribute::REASON],
            ),
        }
    }
}

impl Controller {
    fn new(meter: &Meter) -> Self {
        let help = "Time of one pass of a reconciler";
        let passes = "Passes of reconcilers";
        Self {
            reconcile_duration: histogram(meter, names::CONTROLLER_RECONCILE_DURATION, help, FAST),
            reconciles: counter(meter, names::CONTROLLER_RECONCILES, "{pass}", passes),
        }
    }
}

impl Member {
    fn new(meter: &Meter) -> Self {
        let help = "Time from first sight of a generation to a stage on a member";
        let changed = "Objects on members that others changed";
        let status = "1 for the state that a condition of a member is in";
        let age = "Time since a member was last known to be well";
        Self {
            propagation: histogram(meter, names::PROPAGATION_DURATION, help, SLOW),
            writes: counter(meter, names::WORK_WRITES, "{write}", "Writes to members"),
            drift: counter(meter, names::WORK_DRIFT, "{object}", changed),
            status: board(
                meter,
                names::CLUSTER_STATUS,
                "{cluster}",
                status,
                &[attribute::CLUSTER, attribute::CONDITION, attribute::STATE],
            ),
            heartbeat_age: gauge(
                meter,
                names::CLUSTER_HEARTBEAT_AGE,
                "s",
                age,
                &[attribute::CLUSTER],
            ),
        }
    }
}

impl Ledger {
    fn new(meter: &Meter) -> Self {
        let taken = "Entries committed to the ledger";
        let help = "Time of one batch from the outbox to the ledger";
        let waiting = "Entries that wait in the outbox";
        let refused = "Entries that the full outbox refused";
        Self {
            entries: counter(meter, names::LEDGER_ENTRIES, "{entry}", taken),
            commit_duration: histogram(meter, names::LEDGER_COMMIT_DURATION, help, FAST),
            outbox_depth: board(meter, names::LEDGER_OUTBOX_DEPTH, "{entry}", waiting, &[]),
            outbox_refused: counter(meter, names::LEDGER_OUTBOX_REFUSED, "{entry}", refused),
        }
    }
}

impl Metrics {
    /// Instruments that nobody reads: for who runs the loop without telemetry.
    pub fn unheard() -> Self {
        let provider = opentelemetry::metrics::noop::NoopMeterProvider::new();
        Self::new(&opentelemetry::metrics::MeterProvider::meter(
            &provider, "unheard",
        ))
    }

    /// The instruments on `meter`. [`crate::Telemetry`] makes one; a second on the same meter
    /// would show each board twice.
    pub(crate) fn new(meter: &Meter) -> Self {
        let denied = "Requests for quota that were refused";
        let metrics = Self {
            scheduler: Scheduler::new(meter),
            controller: Controller::new(meter),
            member: Member::new(meter),
            resources: Resources::new(meter),
            quota_denials: counter(meter, names::QUOTA_DENIALS, "{request}", denied),
            ledger: Ledger::new(meter),
            leader: gauge(meter, names::LEADER, "", "1 while this process leads", &[]),
        };
        let build = gauge(
            meter,
            names::BUILD_INFO,
            "",
            "1, with the version",
            &[attribute::VERSION],
        );
        build.set(vec![env!("CARGO_PKG_VERSION").to_owned()], 1.0);
        show_dropped(meter, metrics.boards());
        metrics
    }

    fn boards(&self) -> Vec<(&'static str, Board)> {
        let mut boards: Vec<_> = self.resources.named().collect();
        boards.extend([
            (
                names::SCHEDULER_QUEUE_SIZE,
                self.scheduler.queue_size.clone(),
            ),
            (
                names::PLACEMENT_UNSCHEDULED,
                self.scheduler.unscheduled.clone(),
            ),
            (names::CLUSTER_STATUS, self.member.status.clone()),
            (
                names::CLUSTER_HEARTBEAT_AGE,
                self.member.heartbeat_age.clone(),
            ),
        ]);
        boards
    }

    /// Counts one decision, which took `seconds`; `reason` is of the scheduler's closed enum,
    /// empty where it is placed.
    pub fn decision(&self, outcome: Outcome, reason: &'static str, seconds: f64) {
        let outcome = KeyValue::new(attribute::OUTCOME, outcome.as_str());
        self.scheduler
            .decision_duration
            .record(seconds, std::slice::from_ref(&outcome));
        self.scheduler
            .decisions
            .add(1, &[outcome, KeyValue::new(attribute::REASON, reason)]);
    }

    /// Counts members that one filter refused for one reason.
    pub fn rejections(&self, filter: &'static str, reason: &'static str, clusters: u64) {
        self.scheduler.rejections.add(
            clusters,
            &[
                KeyValue::new(attribute::FILTER, filter),
                KeyValue::new(attribute::REASON, reason),
            ],
        );
    }

    /// Counts a Workload that made room for another, and by what right.
    pub fn preempted(&self, claim: &'static str) {
        let claim = KeyValue::new(attribute::CLAIM, claim);
        self.scheduler.preemptions.add(1, &[claim]);
    }

    /// Counts Workloads that are looked at again, and the kind of event that woke them.
    pub fn woken(&self, event: &'static str, workloads: u64) {
        let event = KeyValue::new(attribute::EVENT, event);
        self.scheduler.wakes.add(workloads, &[event]);
    }

    /// Counts a question about an image; `error_type` is empty where a registry told.
    pub fn registry_question(&self, error_type: &'static str) {
        let error_type = KeyValue::new(attribute::ERROR_TYPE, error_type);
        self.scheduler.registry_questions.add(1, &[error_type]);
    }

    /// Sets how many Workloads are in one part of the scheduling queue.
    pub fn set_queue_size(&self, queue: Queue, workloads: u32) {
        self.scheduler
            .queue_size
            .set(vec![queue.as_str().to_owned()], f64::from(workloads));
    }

    /// Replaces how many Workloads have no placement, by reason.
    pub fn set_unscheduled(&self, reasons: impl IntoIterator<Item = (&'static str, u32)>) {
        let rows = reasons
            .into_iter()
            .map(|(reason, n)| (vec![reason.to_owned()], f64::from(n)));
        self.scheduler.unscheduled.replace(rows);
    }

    /// Counts one pass of a reconciler; `error_type` is empty where there was none.
    pub fn reconcile(
        &self,
        controller: &'static str,
        result: ReconcileResult,
        error_type: &'static str,
        seconds: f64,
    ) {
        let controller = KeyValue::new(attribute::CONTROLLER, controller);
        self.controller
            .reconcile_duration
            .record(seconds, std::slice::from_ref(&controller));
        self.controller.reconciles.add(
            1,
            &[
                controller,
                KeyValue::new(attribute::RESULT, result.as_str()),
                KeyValue::new(attribute::ERROR_TYPE, error_type),
            ],
        );
    }

    /// Records that objects of `kind` came to `stage` on a member `seconds` after the hub first
    /// saw the generation.
    pub fn propagation(&self, cluster: &str, kind: &str, stage: Stage, seconds: f64) {
        self.member.propagation.record(
            seconds,
            &[
                KeyValue::new(attribute::CLUSTER, cluster.to_owned()),
                KeyValue::new(attribute::KIND, kind.to_owned()),
                KeyValue::new(attribute::STAGE, stage.as_str()),
            ],
        );
    }

    /// Counts one write to a member; `error_type` is empty where there was none.
    pub fn work_write(
        &self,
        cluster: &str,
        verb: Verb,
        result: WriteResult,
        error_type: &'static str,
    ) {
        self.member.writes.add(
            1,
            &[
                KeyValue::new(attribute::CLUSTER, cluster.to_owned()),
                KeyValue::new(attribute::VERB, verb.as_str()),
                KeyValue::new(attribute::RESULT, result.as_str()),
                KeyValue::new(attribute::ERROR_TYPE, error_type),
            ],
        );
    }

    /// Counts one object on a member that `field_manager` changed.
    pub fn drift(&self, cluster: &str, field_manager: &str) {
        self.member.drift.add(
            1,
            &[
                KeyValue::new(attribute::CLUSTER, cluster.to_owned()),
                KeyValue::new(attribute::FIELD_MANAGER, field_manager.to_owned()),
            ],
        );
    }

    /// Sets the state that a condition of a member is in.
    pub fn set_cluster_status(&self, cluster: &str, condition: &'static str, state: State) {
        for &each in State::ALL {
            let holds = if each == state { 1.0 } else { 0.0 };
            let values = vec![
                cluster.to_owned(),
                condition.to_owned(),
                each.as_str().to_owned(),
            ];
            self.member.status.set(values, holds);
        }
    }

    /// Sets how long ago, in seconds, a member was last known to be well.
    pub fn set_heartbeat_age(&self, cluster: &str, seconds: f64) {
        self.member
            .heartbeat_age
            .set(vec![cluster.to_owned()], seconds);
    }

    /// Replaces the capacity of one member; rows of others are passed over.
    pub fn set_capacity(&self, cluster: &str, rows: &[CapacityRow]) {
        self.resources.set_capacity(cluster, rows);
    }

    /// Takes a member that left out of every board.
    pub fn forget_cluster(&self, cluster: &str) {
        self.member.status.remove(0, cluster);
        self.member.heartbeat_age.remove(0, cluster);
        self.resources.forget_cluster(cluster);
    }

    /// Replaces the quota figures of all tenants.
    pub fn set_quota(&self, rows: &[QuotaRow]) {
        self.resources.set_quota(rows);
    }

    /// Counts one refusal of quota, under the first three levels of the tenant's path.
    pub fn quota_denial(&self, tenant_path: &str, resource: &str, reason: &'static str) {
        self.quota_denials.add(
            1,
            &[
                KeyValue::new(attribute::TENANT, tenant_prefix(tenant_path).to_owned()),
                KeyValue::new(attribute::RESOURCE, resource.to_owned()),
                KeyValue::new(attribute::REASON, reason),
            ],
        );
    }

    /// Counts entries that the ledger took for the first time.
    pub fn ledger_entries(&self, kind: LedgerKind, entries: u64) {
        self.ledger.entries.add(
            entries,
            &[KeyValue::new(attribute::LEDGER_KIND, kind.as_str())],
        );
    }

    /// Sets how many entries wait in the outbox.
    pub fn set_outbox_depth(&self, entries: u32) {
        self.ledger.outbox_depth.set(Vec::new(), f64::from(entries));
    }

    /// Counts entries that the full outbox refused.
    pub fn outbox_refused(&self, entries: u64) {
        self.ledger.outbox_refused.add(entries, &[]);
    }

    /// Records how long one batch took from the outbox to the ledger, or until it failed.
    pub fn ledger_commit(&self, result: WriteResult, seconds: f64) {
        self.ledger.commit_duration.record(
            seconds,
            &[KeyValue::new(attribute::RESULT, result.as_str())],
        );
    }

    /// Sets whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.leader.set(Vec::new(), if leads { 1.0 } else { 0.0 });
    }
}

fn histogram(
    meter: &Meter,
    name: &'static str,
    help: &'static str,
    seconds: &[f64],
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(help)
        .with_boundaries(seconds.to_vec())
        .build()
}

fn counter(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
) -> Counter<u64> {
    meter
        .u64_counter(name)
        .with_unit(unit)
        .with_description(help)
        .build()
}

fn board(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    attributes: &'static [&'static str],
) -> Board {
    Board::summed(meter, Description { name, unit, help }, attributes)
}

fn gauge(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    attributes: &'static [&'static str],
) -> Board {
    Board::gauge(meter, Description { name, unit, help }, attributes)
}

fn show_dropped(meter: &Meter, boards: Vec<(&'static str, Board)>) {
    let _ = meter
        .u64_observable_counter(names::TELEMETRY_SERIES_DROPPED)
        .with_unit("{series}")
        .with_description("Series left out because an instrument holds its most already")
        .with_callback(move |observer| {
            for (name, board) in &boards {
                let dropped = board.dropped();
                if dropped > 0 {
                    observer.observe(dropped, &[KeyValue::new(attribute::INSTRUMENT, *name)]);
                }
            }
        })
        .build();
}
