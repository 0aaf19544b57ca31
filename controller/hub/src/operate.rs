//! The loop: one task that owns the world, decides in batches, and starts what must be written.
//!
//! ```text
//! watches ─┐
//! members ─┼─► world ─► settle quotas ─► look at what changed ─► schedule (a batch) ─► chains
//! finished ┘                                                                            │
//!    ▲──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A Workload has at most one chain under way; what changes meanwhile is looked at when it ends.
//! What a chain is about to reserve is held from the moment it starts until it is known to have
//! failed.

mod answer;
mod batch;
mod conclude;
mod facts;
mod follow;
mod holdings;
mod images;
mod look;
mod orphaned;
mod platform;
mod preempt;
mod queue;
mod refused;
mod replant;
mod returns;
mod rotate;
mod round;
mod secrets;
mod sleepers;
mod state;
mod status;
mod uphold;
mod wake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use heyun_ledger::Entry as LedgerEntry;
use heyun_member::clock::Clock;
use heyun_plan::observe::scene::Scene;
use heyun_scheduler::preempt::Reservation;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::{Config, Resources};
use heyun_telemetry::Metrics;
use kube::Client;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::ask::Question;
use crate::commit::{Finished, Writer};
use crate::events::Events;
use crate::images::Registries;
use crate::leader::{self, Standing, Term};
use crate::members::Fleet;
use crate::seeded::{self, Bug};
use crate::serve::admin::Readiness;
use crate::watch as watches;
use crate::watch::Seen;
use crate::world::{Dirty, World};
use state::{Assumed, May, Retries};

/// Messages of the watches that are taken in before the loop looks at anything.
const DRAIN: usize = 1024;
/// Reports of members that are taken in before it does.
const REPORTS: usize = 256;
/// Workloads that are decided in one batch.
const BATCH: usize = 64;

/// What the loop needs from outside.
pub struct Surroundings {
    /// Client of the hub with the server-side deadline on writes.
    pub client: Client,
    /// Client without it, for watches.
    pub watch_client: Client,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// Instruments.
    pub metrics: Metrics,
    /// What the scheduler may be tuned with.
    pub config: Config,
    /// Registries that images are asked from; `None`: none is asked.
    pub registries: Option<Arc<Registries>>,
    /// To the ledger's outbox.
    pub outbox: mpsc::Sender<Vec<LedgerEntry>>,
    /// Questions of the aggregated API.
    pub questions: mpsc::Receiver<Question>,
    /// Whether this process leads.
    pub standing: watch::Receiver<Standing>,
    /// Highest epoch in any decision or Work, told to the election.
    pub highest: Arc<AtomicI64>,
    /// Told once the world was read.
    pub readiness: Readiness,
    /// Writes under way at once.
    pub write_concurrency: usize,
    /// Workloads that go back to an earlier affinity term at once.
    pub returns_at_once: usize,
    /// The server-side deadline of each of them.
    pub write_deadline: Duration,
}

/// The loop and all it knows.
pub struct Operator {
    around: Surroundings,
    /// What the watches saw, and the end that they tell it to.
    seen: mpsc::Receiver<Seen>,
    tell: mpsc::Sender<Seen>,
    world: World,
    dirty: Dirty,
    events: Events,
    fleet: Fleet,
    /// The term, once its fence is in force.
    term: Option<Term>,
    permits: Arc<Semaphore>,
    running: JoinSet<Ended>,
    /// Chains under way, with what they reserve.
    assumed: BTreeMap<WorkloadKey, Assumed>,
    /// What every Workload holds.
    holdings: holdings::Holdings,
    /// What is decided on, kept up with the world.
    scene: Scene,
    /// Workloads to look at.
    candidates: BTreeSet<WorkloadKey>,
    /// The last one that was looked at: the next turn begins after it, so that each has its turn.
    cursor: Option<WorkloadKey>,
    /// Workloads without a decision for their generation, looked at again when what they wait for
    /// happens.
    unplaced: sleepers::Sleepers,
    /// Those of them that are woken and whose turn is still to come.
    round: round::Round,
    /// Emergencies among those to look at.
    urgent: BTreeSet<WorkloadKey>,
    /// What is kept for those that wait for others to go.
    reservations: BTreeMap<WorkloadKey, Reservation>,
    /// Objects that failed, with when to look again.
    retries: Retries,
    /// Verdicts of late, for `why`.
    verdicts: state::Verdicts,
    platform: platform::Applied,
    /// When those that are woken are looked at next.
    unblock_at: Option<Duration>,
    /// How often it was asked who makes room.
    asked: u64,
    /// Up to which second it is known what the time alone changes.
    turned_at: i64,
    /// Workloads that are decided again though a decision stands: their Placement changed.
    again: BTreeSet<WorkloadKey>,
    /// Workloads that could go back to an earlier affinity term.
    returns: returns::Windows,
    /// What is known of Secrets that go along with work.
    secrets: secrets::Secrets,
    /// What is known of images.
    images: images::Images,
    /// Watches that tell when they change.
    secret_watches: rotate::Watches,
    default_requests: Resources,
    /// Members that do not answer: what is known of their work is old.
    unreachable: BTreeSet<String>,
    restated: bool,
    relist: bool,
}

/// Something that ran beside the loop has ended.
enum Ended {
    /// A chain of one Workload.
    Chain(Box<Finished>),
    /// Something of the platform's: a tenant, a quota, a flavor, a member.
    Platform(Box<platform::Outcome>),
    /// The fence of this term is in force.
    Fenced(Term),
    /// A Secret was read.
    Secret(secrets::Answer),
    /// A registry was asked about an image.
    Image(Box<images::Told>),
    /// An Event was published.
    Noted,
}

impl Operator {
    /// A loop that knows nothing yet.
    pub fn new(around: Surroundings) -> Self {
        let permits = Arc::new(Semaphore::new(around.write_concurrency));
        let (tell, seen) = mpsc::channel(DRAIN);
        let events = Events::new(around.client.clone());
        let fleet = Fleet::new(
            around.client.clone(),
            Arc::clone(&around.clock),
            around.metrics.clone(),
        );
        Self {
            around,
            seen,
            tell,
            world: World::default(),
            dirty: Dirty::default(),
            events,
            fleet,
            term: None,
            permits,
            running: JoinSet::new(),
            assumed: BTreeMap::new(),
            holdings: holdings::Holdings::default(),
            scene: Scene::default(),
            candidates: BTreeSet::new(),
            cursor: None,
            unplaced: sleepers::Sleepers::default(),
            round: round::Round::default(),
            urgent: BTreeSet::new(),
            reservations: BTreeMap::new(),
            retries: Retries::default(),
            verdicts: state::Verdicts::default(),
            platform: platform::Applied::default(),
            unblock_at: None,
            asked: 0,
            turned_at: 0,
            again: BTreeSet::new(),
            returns: returns::Windows::default(),
            secrets: secrets::Secrets::default(),
            images: images::Images::default(),
            secret_watches: rotate::Watches::default(),
            default_requests: batch::default_requests(),
            unreachable: BTreeSet::new(),
            restated: false,
            relist: false,
        }
    }

    /// Runs until `stop`, then waits for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut watching = watches::start(&self.around.watch_client, &self.tell);
        let mut standing = self.around.standing.clone();
        loop {
            let due = self.next_due();
            tokio::select! {
                // In one order, so that the same happens each time. It starves nobody: whatever
                // wakes the loop, a turn then takes in what else has come.
                biased;
                () = stop.cancelled() => break,
                changed = standing.changed() => {
                    if changed.is_err() { break; }
                    let now = standing.borrow_and_update().clone();
                    self.turn(now);
                }
                Some(ended) = self.running.join_next() => self.end(ended),
                Some(first) = self.seen.recv() => self.see(first),
                Some(report) = self.fleet.report() => self.hear(report),
                Some(question) = self.around.questions.recv() => self.answer(question),
                () = tokio::time::sleep(due) => {}
            }
            self.take_in();
            if std::mem::take(&mut self.relist) {
                // What was read before the fence was raised may be older than what the last
                // leader wrote: everything is listed again.
                watching.shutdown().await;
                while self.seen.try_recv().is_ok() {}
                self.world = World::default();
                self.unplaced.forget();
                self.round = round::Round::default();
                self.holdings.touch_all();
                watching = watches::start(&self.around.watch_client, &self.tell);
            }
            self.advance();
        }
        watching.shutdown().await;
        self.fleet.stop_all().await;
        while let Some(ended) = self.running.join_next().await {
            drop(ended);
        }
        info!("the loop has ended");
    }

    /// Takes in what has come by now from every source, each within a bound, so that all of it
    /// shares one batch.
    fn take_in(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.end(ended);
        }
        for _ in 0..DRAIN {
            match self.seen.try_recv() {
                Ok(next) => self.see(next),
                Err(_) => break,
            }
        }
        for _ in 0..REPORTS {
            match self.fleet.report().now_or_never().flatten() {
                Some(report) => self.hear(report),
                None => break,
            }
        }
        if let Ok(question) = self.around.questions.try_recv() {
            self.answer(question);
        }
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Secrets { namespace, noticed } => self.notice_secrets(&namespace, noticed),
            seen => self.world.see(seen, &mut self.dirty),
        }
    }

    /// Takes in a change of standing.
    fn turn(&mut self, standing: Standing) {
        self.term = None;
        self.restated = false;
        self.drop_secrets();
        self.platform.forget_failures();
        self.returns.break_off(self.around.clock.monotonic());
        match standing {
            Standing::Following => {
                let dropped = std::mem::take(&mut self.assumed);
                let anew = dropped.into_iter().filter(|(_, assumed)| assumed.again);
                self.again.extend(anew.map(|(key, _)| key));
                self.holdings.touch_all();
                self.fleet.stop_soon();
                self.around.metrics.set_leader(false);
            }
            Standing::Leading(term) => {
                let client = self.around.client.clone();
                self.running.spawn(async move {
                    leader::wait_for_fence(&client, &term).await;
                    Ended::Fenced(term)
                });
            }
        }
    }

    fn end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended::Chain(finished)) => self.finish(*finished),
            Ok(Ended::Platform(outcome)) => self.finish_platform(*outcome),
            Ok(Ended::Fenced(term)) => self.fenced(term),
            Ok(Ended::Secret(answer)) => self.take_secret(answer),
            Ok(Ended::Image(told)) => self.take_image(*told),
            Ok(Ended::Noted) => {}
            Err(error) => error!(%error, "a task of the loop ended badly"),
        }
    }

    fn fenced(&mut self, term: Term) {
        if term.ended.is_cancelled() {
            return;
        }
        info!(epoch = term.epoch, "the fence is in force: deciding");
        self.around.metrics.set_leader(true);
        self.term = Some(term);
        self.relist = !seeded::is(Bug::Relist);
    }

    /// Does what there is to do now, without waiting for anything.
    fn advance(&mut self) {
        if !self.world.is_complete() {
            return;
        }
        self.around.readiness.set();
        self.around
            .highest
            .store(self.world.highest_epoch(), Ordering::Release);
        self.collect();
        self.tend_secrets();
        let Some(term) = self.term.clone().filter(Term::may_write) else {
            return;
        };
        if self.world.highest_epoch() > term.epoch {
            error!(
                epoch = term.epoch,
                found = self.world.highest_epoch(),
                "a decision of a later epoch exists: giving the lease back to acquire a higher one"
            );
            term.ended.cancel();
            self.term = None;
            return;
        }
        self.advance_platform(&term);
        self.restate(&term);
        self.advance_workloads(&term);
        self.advance_returns(&term);
    }

    /// Sorts what changed into what is looked at.
    fn collect(&mut self) {
        for key in std::mem::take(&mut self.dirty.workloads) {
            self.note_return(&key);
            if self.is_urgent(&key) {
                self.urgent.insert(key.clone());
            }
            self.candidates.insert(key);
        }
        if !self.dirty.placements.is_empty() {
            let changed = std::mem::take(&mut self.dirty.placements);
            let using = self.world.workloads.values().filter(|entry| {
                entry.spec.placement_ref.as_ref().is_some_and(|r| {
                    changed.contains(&WorkloadKey::new(&entry.key.namespace, &r.name))
                })
            });
            let using: Vec<_> = using.map(|entry| entry.key.clone()).collect();
            for key in using {
                // Looked at now, and not when those that wait are.
                self.unplaced.rouse(&key);
                self.again.insert(key.clone());
                self.note_return(&key);
                self.candidates.insert(key);
            }
        }
        self.take_events();
        let now = self.around.clock.monotonic();
        if self.next_round().is_some_and(|at| at <= now) {
            self.unblock_at = None;
            let woken = self.wake();
            self.round = self.new_round(woken);
            self.returns.wake(now);
        }
        self.candidates.extend(self.retries.take_due(now));
        self.candidates.extend(self.images.take_due(now));
    }

    /// Whether there is an emergency that is not decided on.
    fn is_urgent(&self, key: &WorkloadKey) -> bool {
        self.world.workloads.get(key).is_some_and(|entry| {
            entry.decided().is_none() && self.world.class_of(entry).emergency.is_some()
        })
    }

    /// When the next look at those that are woken begins: not before the last one has ended, so that
    /// each that waits has its turn.
    fn next_round(&self) -> Option<Duration> {
        self.unblock_at.filter(|_| self.round.is_empty())
    }

    fn next_due(&self) -> Duration {
        let may = match &self.term {
            _ if !self.world.is_complete() => May::Read,
            None => May::Follow,
            Some(term) if term.may_write() => May::Write,
            Some(_) => May::Hold,
        };
        let always = [self.next_round(), self.retries.next(), self.images.next()];
        let writing = [
            self.has_more().then_some(Duration::ZERO),
            self.platform.next_due(),
            self.next_turn_of_calendar(),
            self.next_sync(),
            self.next_return(),
            self.fleet.next_due(),
            self.secret_watches.next_due(),
        ];
        may.sleep(self.around.clock.monotonic(), &always, &writing)
    }

    fn writer(&self, term: &Term) -> Writer {
        Writer {
            client: self.around.client.clone(),
            term: term.clone(),
            clock: Arc::clone(&self.around.clock),
            deadline: self.around.write_deadline,
            permits: Arc::clone(&self.permits),
        }
    }
}
