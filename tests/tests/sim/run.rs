//! One seed, from an empty API server to rest.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heyun_hub::client::with_write_deadline;
use heyun_hub::leader::{Standing, Term};
use heyun_hub::operate::{Operator, Surroundings};
use heyun_hub::seeded::{self, Bug};
use heyun_hub::serve::admin::Readiness;
use heyun_member::clock::Clock;
use heyun_scheduler::Config;
use heyun_telemetry::Metrics;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fresh;
use super::member;
use super::net::{self, DEADLINE};
use super::random::Random;
use super::scenario::{Act, Scenario};
use super::sim::{Faults, Shared, Sim, lock};

/// How long nothing may be written before it counts as rest.
const REST: Duration = Duration::from_secs(150);
/// How long it may take to come to rest once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_mins(40);

/// Which runs a seed is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything may happen.
    Free,
    /// The case of the issue.
    Burst,
    /// One takes over that has not seen the last of it.
    Takeover,
    /// A quota is lowered.
    Shrink,
    /// Some make room for others.
    Preempt,
    /// Room comes back in a better term.
    Return,
    /// Jobs end.
    Jobs,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What happened; empty where nobody reads it.
    pub(crate) trace: String,
    pub(crate) violations: Vec<String>,
    pub(crate) requests: u64,
    pub(crate) sim: Shared,
}

/// A process of the hub.
struct Process {
    number: usize,
    standing: watch::Sender<Standing>,
    task: JoinHandle<()>,
    _ask: mpsc::Sender<heyun_hub::ask::Question>,
}

impl Process {
    fn start(sim: &Shared) -> Self {
        let (number, clock) = {
            let mut sim = lock(sim);
            sim.stalls.push(Instant::now());
            (sim.stalls.len() - 1, sim.clock)
        };
        let watch_client = net::client(sim, number);
        let (standing, told) = watch::channel(Standing::Following);
        let (ask, questions) = mpsc::channel(1);
        let operator = Operator::new(Surroundings {
            client: with_write_deadline(&watch_client, DEADLINE),
            watch_client,
            clock: Arc::new(clock),
            metrics: METRICS.with(Clone::clone),
            config: Config::default(),
            outbox: mpsc::channel(1).0,
            questions,
            registries: None,
            standing: told,
            highest: Arc::new(AtomicI64::new(0)),
            readiness: Readiness::default(),
            write_concurrency: 4,
            returns_at_once: 1,
            write_deadline: DEADLINE,
        });
        Self {
            number,
            standing,
            task: tokio::spawn(operator.run(CancellationToken::new())),
            _ask: ask,
        }
    }

    /// It leads from now on, with a new epoch; who led before does not know.
    fn lead(&self, sim: &Shared) {
        let mut sim = lock(sim);
        let epoch = sim.raise();
        sim.note(format_args!("process {} leads, epoch {epoch}", self.number));
        let clock: Arc<dyn Clock> = Arc::new(sim.clock);
        let term = Term::unelected(epoch, clock);
        self.standing.send_replace(Standing::Leading(term));
    }

    /// It dies; what it sent is still on its way.
    fn kill(self, sim: &Shared) {
        lock(sim).note(format_args!("process {} dies", self.number));
        self.task.abort();
    }
}

thread_local! {
    static METRICS: Metrics = Metrics::unheard();
}

/// Runs a seed.
pub(crate) fn simulate(kind: Kind, seed: u64, bug: Option<Bug>) -> Ran {
    start(kind, seed, bug, false)
}

/// Runs a seed, and tells all that happens; the same seed gives the same trace.
pub(crate) fn trace(kind: Kind, seed: u64, bug: Option<Bug>) -> Ran {
    start(kind, seed, bug, true)
}

fn start(kind: Kind, seed: u64, bug: Option<Bug>, traced: bool) -> Ran {
    seeded::sow(bug);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let sim = runtime.block_on(run(kind, seed, traced));
    drop(runtime);
    seeded::sow(None);
    let (trace, violations, requests) = {
        let mut locked = lock(&sim);
        let violations = std::mem::take(&mut locked.oracle.violations);
        (
            locked.trace.take().unwrap_or_default(),
            violations,
            locked.requests,
        )
    };
    Ran {
        trace,
        violations,
        requests,
        sim,
    }
}

async fn run(kind: Kind, seed: u64, traced: bool) -> Shared {
    let mut random = Random::new(seed);
    let scenario = match kind {
        Kind::Free => Scenario::of(&mut random),
        Kind::Takeover => Scenario::takeover(&mut random),
        Kind::Shrink => Scenario::shrink(&mut random),
        Kind::Preempt => Scenario::preempt(&mut random),
        Kind::Return => Scenario::returns(&mut random),
        Kind::Jobs => Scenario::jobs(&mut random),
        Kind::Burst => Scenario::burst(&mut random, seed.is_multiple_of(4)),
    };
    let sim: Shared = Arc::new(Mutex::new(Sim::new(seed ^ 0x5EED, traced)));
    {
        let mut sim = lock(&sim);
        sim.found(&scenario);
        sim.faults = scenario.faults;
        sim.note(format_args!("{scenario:?}"));
    }
    for number in 0..scenario.members.len() {
        tokio::spawn(member::agent(Arc::clone(&sim), number));
    }
    let mut leader = Process::start(&sim);
    leader.lead(&sim);
    let mut standby = scenario.standby.then(|| Process::start(&sim));
    let mut old = None;
    let start = Instant::now();
    for (at, act) in &scenario.acts {
        tokio::time::sleep_until(start + *at).await;
        if lock(&sim).act(&scenario, act) {
            continue;
        }
        let next = match (standby.take(), act) {
            (Some(standby), Act::Kill(_) | Act::Takeover(true)) => standby,
            (none, _) => {
                standby = none;
                Process::start(&sim)
            }
        };
        let last = std::mem::replace(&mut leader, next);
        if let Act::Kill(after) = act {
            last.kill(&sim);
            tokio::time::sleep(Duration::from_millis(*after)).await;
        } else if let Some(older) = old.replace(last) {
            older.kill(&sim);
        }
        leader.lead(&sim);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    if let Some(old) = old.take() {
        old.kill(&sim);
    }
    lock(&sim).faults = Faults::default();
    rest(&sim).await;
    leader.kill(&sim);
    // Who could go back to a better term is found out anew by each leader.
    if kind != Kind::Return && lock(&sim).oracle.violations.is_empty() {
        let before = fresh::decided(&sim);
        let fresh = Process::start(&sim);
        fresh.lead(&sim);
        rest(&sim).await;
        fresh::judge(&sim, &before);
        fresh.kill(&sim);
    }
    sim
}

/// Waits until all has come to rest.
async fn rest(sim: &Shared) {
    let start = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut sim = lock(sim);
        let quiet = sim.wrote.elapsed().min(start.elapsed()) >= REST;
        let left = if quiet {
            sim.oracle.rest(&sim.store, &sim.members)
        } else {
            Vec::new()
        };
        if (quiet && left.is_empty()) || !sim.oracle.violations.is_empty() {
            return;
        }
        if start.elapsed() >= PATIENCE {
            let since = sim.wrote.elapsed();
            sim.note(format_args!(
                "not at rest, last write {since:?} ago: {left:?}"
            ));
            sim.oracle.violations.push(format!("not at rest: {left:?}"));
            sim.oracle.violations.extend(left);
            return;
        }
    }
}
