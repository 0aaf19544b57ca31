//! Workloads by the batch: what changed is looked at, what needs a decision is scheduled together,
//! and every answer becomes a chain of writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use heyun_crds::conditions::Reason;
use heyun_plan::observe;
use heyun_scheduler::config::{Config, Explained};
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::schedule::decide_all;
use heyun_scheduler::wake::About;
use heyun_scheduler::{Engine, Resources, Verdict, check};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::runtime::RuntimeFlavor;
use tracing::{debug, error};

use super::look::{Candidate, Look, Refusal, Sight};
use super::state;
use super::{BATCH, Operator};
use crate::leader::Term;
use crate::seeded::{self, Bug};
use crate::world::WorkEntry;

/// Workloads looked at before the loop takes in new messages.
const LOOKS: usize = 1024;
/// Chains under way for each write that may be under way: beyond it no more are started.
const CHAINS_PER_WRITE: usize = 4;

impl Operator {
    /// Looks at what changed, decides what is to be decided, and starts the writes.
    pub(super) fn advance_workloads(&mut self, term: &Term) {
        if self.platform.settles_quotas() {
            // What counts of a quota is about to change: nothing is decided by the old numbers.
            return;
        }
        let mut batch = Vec::new();
        for (key, of_round) in self.next_keys() {
            self.candidates.remove(&key);
            self.urgent.remove(&key);
            if self.round.remove(&key) {
                self.unplaced.rouse(&key);
            }
            if !of_round {
                self.cursor = Some(key.clone());
            }
            let anew = self.again.contains(&key) || self.gave_way(&key);
            let again = state::decides_again(anew, self.unplaced.sleeps(&key));
            let look = self.sight(term).look(&key, again);
            if matches!(look, Look::Nothing | Look::Write(_)) && again == anew {
                self.unplaced.remove(&key);
            }
            match look {
                Look::Nothing => {
                    if !self.world.workloads.contains_key(&key) {
                        self.again.remove(&key);
                    }
                }
                Look::Write(chain) => {
                    let row = self.world.workloads.get(&key);
                    let row = row.and_then(|e| self.refusal_row(e, &chain, None, term.epoch));
                    self.start(term, *chain, None, row);
                }
                Look::Secrets(names) => self.read_secrets(&key, names),
                Look::Images(asks) => self.ask_images(&key, asks),
                Look::Decide(candidate) => batch.push(*candidate),
            }
            if batch.len() >= BATCH {
                break;
            }
        }
        if !batch.is_empty() {
            self.decide(term, batch);
        }
    }

    /// What is looked at in this turn, with whether it waited: first a part of those that wait,
    /// then those that changed.
    fn next_keys(&self) -> Vec<(WorkloadKey, bool)> {
        let most = LOOKS.min(self.room());
        let is_free = |key: &WorkloadKey| !self.assumed.contains_key(key);
        let urgent = self.urgent.iter().filter(|key| is_free(key)).take(most);
        let mut changed: Vec<WorkloadKey> = urgent.cloned().collect();
        let is_next = |key: &WorkloadKey| is_free(key) && !self.urgent.contains(key);
        let rest = most.saturating_sub(changed.len());
        changed.extend(state::turn(
            &self.candidates,
            self.cursor.as_ref(),
            is_next,
            rest,
        ));
        let share = state::share(BATCH, most, !changed.is_empty());
        // One that changed as well is looked at for that.
        let waits = |key: &WorkloadKey| is_free(key) && !self.candidates.contains(key);
        let waiting = self.round.next(waits, share);
        changed.truncate(most.saturating_sub(waiting.len()));
        let waiting = waiting.into_iter().map(|key| (key, true));
        waiting
            .chain(changed.into_iter().map(|key| (key, false)))
            .collect()
    }

    /// Whether there is something to look at and room for it.
    pub(super) fn has_more(&self) -> bool {
        self.term.is_some()
            && !self.platform.settles_quotas()
            && self.room() > 0
            && self
                .candidates
                .iter()
                .chain(self.round.left())
                .any(|key| !self.assumed.contains_key(key))
    }

    /// Chains that may be started now.
    ///
    /// A batch costs a look at everything, however small it is. So with more to do than there
    /// is room for, none is begun until half of all chains are free: the other half keeps the
    /// writers busy meanwhile, and the end of each is looked at.
    pub(super) fn room(&self) -> usize {
        let chains = self.around.write_concurrency * CHAINS_PER_WRITE;
        let room = chains.saturating_sub(self.assumed.len());
        if room < chains / 2 && self.candidates.len() + self.round.len() > room {
            return 0;
        }
        room
    }

    pub(super) fn sight(&self, term: &Term) -> Sight<'_> {
        self.sight_at(term.epoch)
    }

    pub(super) fn sight_at(&self, epoch: i64) -> Sight<'_> {
        Sight {
            world: &self.world,
            secrets: &self.secrets,
            images: &self.images,
            registries: self.around.registries.as_deref(),
            default_requests: &self.default_requests,
            weights: self.around.config.weights,
            unreachable: &self.unreachable,
            epoch,
            now: Time(self.around.clock.now()),
        }
    }

    /// Schedules a batch and starts what follows from it.
    pub(super) fn decide(&mut self, term: &Term, batch: Vec<Candidate>) {
        let clock = Arc::clone(&self.around.clock);
        let started = clock.monotonic();
        let asked = batch.iter().map(|c| c.request.key.clone()).collect();
        let engine = self.bring_up(&asked);
        let seen = clock.monotonic();
        let requests: Vec<Request> = batch.iter().map(|c| c.request.clone()).collect();
        let span = tracing::info_span!(heyun_telemetry::spans::SCHEDULE_BATCH, size = batch.len());
        let mut verdicts = span.in_scope(|| aside(|| decide_all(engine, &requests)));
        let scheduled = clock.monotonic();
        let abouts = abouts(engine, &requests, &verdicts);
        let violations = check::check(engine.snapshot(), &requests, &verdicts, engine.config());
        for violation in &violations {
            error!(%violation, "the checker refuses a batch: nothing of it is committed");
        }
        // What they wait for is known before others are asked to make room.
        let mut waits = self.unplaced.waits(abouts);
        let (preemptions, unasked) = if violations.is_empty() {
            aside(|| self.make_room(&requests, &mut verdicts))
        } else {
            Default::default()
        };
        let took = clock.monotonic().saturating_sub(started);
        let micros = |from: Duration, to: Duration| to.saturating_sub(from).as_micros();
        debug!(
            size = requests.len(),
            snapshot_us = micros(started, seen),
            schedule_us = micros(seen, scheduled),
            check_us = micros(scheduled, started + took),
            "batch decided"
        );
        let each = took.as_secs_f64() / f64::from(u32::try_from(batch.len().max(1)).unwrap_or(1));
        let mut by_key: BTreeMap<WorkloadKey, Verdict> =
            verdicts.into_iter().map(|v| (v.key.clone(), v)).collect();
        let victims = preemptions.iter().flat_map(|of| &of.victims);
        let victims: BTreeSet<WorkloadKey> = victims.map(|victim| victim.key.clone()).collect();
        for candidate in batch {
            let key = candidate.request.key.clone();
            let Some(verdict) = by_key.remove(&key).filter(|_| violations.is_empty()) else {
                self.retries
                    .failed(&key, heyun_member::error::Class::Bug, started);
                continue;
            };
            if candidate.request.returning && !verdict.returned {
                // Its decision stands.
                self.returns.holds_no_longer(&key);
                continue;
            }
            self.measure(&verdict, each);
            if victims.contains(&key) && verdict.outcome.placed().is_none() {
                // It makes room first, and is decided once it has: a chain that says that it waits would
                // keep it from that.
                continue;
            }
            let wait = waits.remove(&key);
            self.conclude(term, candidate, verdict, wait);
        }
        for key in unasked {
            // Nothing that happens would tell that its turn to ask others has come.
            self.unplaced.rouse(&key);
            self.candidates.insert(key);
        }
        for of in preemptions {
            for victim in &of.victims {
                self.give_way(term, victim, &of.key);
            }
        }
    }

    /// The engine that these are decided with, as things are now: with what chains under way reserve.
    pub(super) fn bring_up(&mut self, asked: &BTreeSet<WorkloadKey>) -> &mut Engine {
        self.refresh_held();
        self.tidy_reservations();
        let members: Vec<_> = self
            .world
            .members
            .iter()
            .map(|(name, member)| (member, self.world.sketches.get(name)))
            .collect();
        let flavors: Vec<_> = self.world.flavors.values().collect();
        let quotas: Vec<_> = self.world.quotas.values().collect();
        let prices: Vec<_> = self.world.prices.values().collect();
        let inputs = observe::Inputs {
            members: &members,
            flavors: &flavors,
            tenants: &self.world.tree,
            quotas: &quotas,
            prices: &prices,
            held: self.holdings.all(),
            asked: Some(asked),
            now: self.around.clock.now().as_second(),
        };
        let (engine, problems) = self.scene.bring_up(&inputs, &self.around.config);
        for problem in problems {
            tracing::debug!(%problem, "a quota has no place in the tree");
        }
        if !seeded::is(Bug::Reserve) {
            engine.set_reservations(self.reservations.clone());
        }
        engine
    }

    /// Whether its decision made room for another: it waits for the rest.
    fn gave_way(&self, key: &WorkloadKey) -> bool {
        let entry = self.world.workloads.get(key);
        let decision = entry.and_then(|entry| entry.status.decision.as_ref());
        decision.is_some_and(|decision| decision.preempted.is_some())
    }

    pub(super) fn tenant_of(&self, key: &WorkloadKey, works: &[&WorkEntry]) -> String {
        if seeded::is(Bug::Tenant) {
            return self.parent_of(key);
        }
        let by_namespace = self
            .world
            .tree
            .tenant_of(&key.namespace)
            .map(|n| n.name.clone());
        by_namespace
            .or_else(|| works.first().map(|held| held.tenant.clone()))
            .unwrap_or_default()
    }

    /// The tenant above the one that a Workload is charged to: a bug that is sown.
    fn parent_of(&self, key: &WorkloadKey) -> String {
        let own = self.world.tree.tenant_of(&key.namespace);
        own.and_then(|node| node.parent.clone()).unwrap_or_default()
    }

    /// The verdict on one Workload alone, as things stand now, with every member.
    pub(super) fn judge_alone(&mut self, key: &WorkloadKey) -> Result<Verdict, Refusal> {
        let engine = self.bring_up(&BTreeSet::from([key.clone()]));
        let snapshot = engine.snapshot().clone();
        let Some(entry) = self.world.workloads.get(key) else {
            return Err(Refusal {
                reason: Reason::NotFound,
                message: format!("{key} is gone"),
            });
        };
        let sight = self.sight_at(0);
        let mut facts = sight.facts(entry)?;
        sight.known_platforms(entry, &mut facts)?;
        let candidate = sight.candidate(entry, facts);
        let config = Config {
            explained: Explained::ALL,
            ..self.around.config.clone()
        };
        let mut alone = Engine::new(snapshot, config);
        let mut verdicts = decide_all(&mut alone, &[candidate.request]);
        verdicts.pop().ok_or_else(|| Refusal {
            reason: Reason::Pending,
            message: "the scheduler gave no answer".to_owned(),
        })
    }
}

/// What is known besides of those of a batch that are not placed.
fn abouts<'b>(
    engine: &mut Engine,
    requests: &'b [Request],
    verdicts: &'b [Verdict],
) -> Vec<(&'b Request, &'b Verdict, About)> {
    let unplaced = verdicts.iter().filter(|of| of.outcome.placed().is_none());
    let unplaced: BTreeMap<&WorkloadKey, &Verdict> = unplaced.map(|of| (&of.key, of)).collect();
    let both = requests.iter();
    let both = both.filter_map(|request| Some((request, *unplaced.get(&request.key)?)));
    both.map(|(request, verdict)| (request, verdict, engine.about(request)))
        .collect()
}

/// Computes for a while. Where other threads could run tasks, they take over those of this one.
pub(super) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

/// Amounts that a container is charged which asks for nothing: small, and the same that members
/// get as LimitRange.
pub(super) fn default_requests() -> Resources {
    Resources::new().with("cpu", 100).with("memory", 128 << 20)
}
