//! The bulkhead of one member: its own queue, concurrency, timeouts and backoff, so that a member
//! that is slow or gone costs no other member anything.
//!
//! ```text
//! hub: Works ──watch──► queue ──► executor ──► member
//!                         ▲                      │
//!                         └─── touched Works ◄───┤ watches
//! hub: Sketch, MemberReport ◄── book, prober ◄───┘
//! ```
//!
//! Nothing is written to the member before its fence is raised to this leader's number, and
//! nothing while it does not answer.

mod gate;
mod lists;
mod publish;
mod works;

use std::sync::Arc;
use std::time::Duration;

use heyun_crds::labels;
use heyun_telemetry::Metrics;
use kube::Client;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info_span};

use crate::clock::Clock;
use crate::executor::{Executor, Parts, Scope};
use crate::kinds::{InUse, Kinds};
use crate::pods::PodIndex;
use crate::probe::{Probe, ProbeFailure};
use crate::queue::Queue;
use crate::seen::Shelf;
use crate::watch::{Book, SketchInputs, Summary};
use gate::Gate;
use works::WorkShelf;

/// Works that one member's executor has in hand at a time.
pub const CONCURRENCY: usize = 4;
/// How often a member is probed.
pub const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long a change waits for others before a sketch is counted.
pub const SKETCH_DEBOUNCE: Duration = Duration::from_millis(200);
/// How long a touched Work waits for other touches.
pub const TOUCH_DEBOUNCE: Duration = Duration::from_millis(100);
/// How often a Work that is well is looked at again.
pub const RESYNC: Duration = Duration::from_mins(10);
/// How long a worker may take to end.
pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

/// What a worker may do on its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Look only: health and inventory. Nothing is written there.
    Observe,
    /// Look, and bring it to what its Works say.
    Act,
}

/// What a worker is started with.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Whose it is: member, epoch of the leader, base of the fence.
    pub scope: Scope,
    /// What it may do.
    pub duty: Duty,
    /// The hub.
    pub hub: Client,
    /// The member, with the hub's own account there ([`crate::client::connect`]).
    pub member: Client,
    /// Where it reports.
    pub reports: mpsc::Sender<MemberReport>,
    /// Flavors, label keys, reserve; [`MemberHandle::set_inputs`] changes them.
    pub inputs: SketchInputs,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it counts.
    pub metrics: Option<Metrics>,
    /// How often it probes ([`PROBE_EVERY`]).
    pub probe_every: Duration,
}

/// A report of one member.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberReport {
    /// Name of the member.
    pub member: String,
    /// Epoch of the leader that the worker runs for: a report of an earlier worker is old.
    pub epoch: i64,
    /// What happened.
    pub event: MemberEvent,
}

/// What happened at a member.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberEvent {
    /// It was probed; once at the start and then at each interval.
    Probed(Result<Probe, ProbeFailure>),
    /// Its nodes or capacity changed.
    Counted(Summary),
    /// Its fence is raised: this leader may write there.
    FenceRaised {
        /// The number it shows.
        number: i64,
    },
    /// Its fence is higher than this leader's number, or refused a write: nothing is written
    /// there by this worker any more until that changes.
    FenceRefused {
        /// One line for the condition.
        message: String,
    },
    /// The fence is ahead and an object there was written by a higher number: the hub has lost
    /// what another hub, or a later state of this one, did there.
    Recovering {
        /// One line for the condition.
        message: String,
    },
}

/// A worker that runs.
#[derive(Debug)]
pub struct MemberHandle {
    member: String,
    queue: Arc<Queue>,
    inputs: watch::Sender<SketchInputs>,
    probe_now: Arc<Notify>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the tasks of a worker share.
struct Shared {
    config: WorkerConfig,
    executor: Executor,
    works: WorkShelf,
    queue: Arc<Queue>,
    gate: Gate,
    probe_now: Arc<Notify>,
    kinds: Arc<Kinds>,
    in_use: Arc<InUse>,
    shelf: Arc<Shelf>,
    pods: Arc<PodIndex>,
    book: Arc<Book>,
    attempts: std::sync::Mutex<crate::error::Attempts>,
}

/// Starts the worker of one member. Must be called within a tokio runtime.
pub fn start(config: WorkerConfig) -> MemberHandle {
    let queue = Arc::new(Queue::new(config.clock.clone()));
    let (inputs, changed_inputs) = watch::channel(config.inputs.clone());
    let probe_now = Arc::new(Notify::new());
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let member = config.scope.member.clone();
    let shared = Arc::new(share(config, queue.clone(), probe_now.clone()));
    let span = info_span!(
        "member",
        { heyun_telemetry::names::attribute::CLUSTER } = member
    );
    for task in lists::tasks(&shared, changed_inputs) {
        let stop = stop.clone();
        let run = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        };
        tasks.spawn(run.instrument(span.clone()));
    }
    tasks.close();
    MemberHandle {
        member,
        queue,
        inputs,
        probe_now,
        stop,
        tasks,
    }
}

fn share(config: WorkerConfig, queue: Arc<Queue>, probe_now: Arc<Notify>) -> Shared {
    let clock = config.clock.clone();
    let kinds = Arc::new(Kinds::new(clock.clone()));
    let (in_use, shelf, pods) = (
        Arc::<InUse>::default(),
        Arc::<Shelf>::default(),
        Arc::<PodIndex>::default(),
    );
    let executor = Executor::new(Parts {
        scope: config.scope.clone(),
        hub: config.hub.clone(),
        member: config.member.clone(),
        kinds: kinds.clone(),
        in_use: in_use.clone(),
        shelf: shelf.clone(),
        pods: pods.clone(),
        clock,
        metrics: config.metrics.clone(),
    });
    Shared {
        executor,
        works: WorkShelf::default(),
        queue,
        gate: Gate::new(),
        probe_now,
        kinds,
        in_use,
        shelf,
        pods,
        book: Arc::default(),
        attempts: std::sync::Mutex::default(),
        config,
    }
}

impl MemberHandle {
    /// Name of the member.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// Works on a Work soon, whatever was seen of it.
    pub fn enqueue(&self, work: &str) {
        self.queue.push(work);
    }

    /// Flavors, label keys or the reserve changed: the sketch is counted anew where it matters.
    pub fn set_inputs(&self, inputs: SketchInputs) {
        self.inputs.send_if_modified(|held| {
            let changed = *held != inputs;
            *held = inputs;
            changed
        });
    }

    /// Probes now instead of at the next interval.
    pub fn probe_now(&self) {
        self.probe_now.notify_one();
    }

    /// Ends the worker at once: a request that is under way may or may not take effect, and
    /// whoever comes next finds out.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends the worker and waits for its tasks, at most [`SHUTDOWN_LIMIT`]. Says whether all
    /// ended in time.
    pub async fn shutdown(self) -> bool {
        self.stop.cancel();
        tokio::time::timeout(SHUTDOWN_LIMIT, self.tasks.wait())
            .await
            .is_ok()
    }
}

impl Drop for MemberHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn member(&self) -> &str {
        &self.config.scope.member
    }

    /// The member's namespace on the hub.
    fn namespace(&self) -> String {
        labels::member_namespace(self.member())
    }

    async fn report(&self, event: MemberEvent) {
        let report = MemberReport {
            member: self.member().to_owned(),
            epoch: self.config.scope.epoch,
            event,
        };
        // The hub is shutting down when nobody listens.
        let _ = self.config.reports.send(report).await;
    }

    /// A Work's objects or pods changed.
    fn touched(&self, work: &str) {
        if self.works.contains(work) {
            self.queue.push_after(work, TOUCH_DEBOUNCE);
        }
    }
}
