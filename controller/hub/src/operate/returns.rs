//! Workloads that go back to an earlier affinity term, as their placement's `return` says.
//!
//! ```text
//! room is freed ──► judged (nothing is committed) ──► the window runs ──► over: decided and committed
//!                        │  ▲                            │                    at most so many at once
//!                        ▼  └───── judged again ◄────────┘
//!                   no term before holds all of it: the window ends
//! ```
//!
//! A window is of one decision: what is decided anew begins another, so a Workload goes back at most
//! once in each. Windows live in memory; a new leader begins them anew.

mod windows;

use std::collections::BTreeSet;
use std::time::Duration;

use heyun_crds::query::WhyReturn;
use heyun_plan::{explain, returns};
use heyun_scheduler::engine::taken;
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::schedule::decide_all;
use heyun_scheduler::{Engine, Verdict};
use tracing::info;

use super::look::Candidate;
use super::{Operator, refused};
use crate::leader::Term;
use crate::world::{Entry, World};
use windows::Could;
pub(super) use windows::{Held, Windows};

/// Workloads that are judged in one look.
const JUDGED: usize = 64;
/// Workloads that wait and are looked at before room counts as idle; with more, none is.
const WAITING_MAX: usize = 256;

impl Operator {
    /// Takes in what became of a Workload: whether it could go back, and whether it still does.
    pub(super) fn note_return(&mut self, key: &WorkloadKey) {
        let now = self.around.clock.monotonic();
        let entry = self.world.workloads.get(key).filter(|of| !of.deleting());
        let Some(entry) = entry else {
            self.returns.forget(key);
            return;
        };
        let is_away = |member: &str| self.unreachable.contains(member);
        if let Some(decision) = entry.status.decision.as_ref().filter(|of| of.returned) {
            let mut releasing = decision.releasing.iter();
            if returns::is_over(&entry.status, is_away) {
                self.returns.ended(key);
            } else if releasing.any(|part| !is_away(&part.member)) {
                self.returns.begun(key);
            }
        } else if !self.assumed.contains_key(key) {
            self.returns.ended(key);
        }
        self.returns.note(key, could(&self.world, entry), now);
    }

    /// Judges those that could go back, and lets go whose window is over.
    pub(super) fn advance_returns(&mut self, term: &Term) {
        let now = self.around.clock.monotonic();
        if self.next_return().is_none_or(|at| at > now) {
            return;
        }
        let mut ready = Vec::new();
        for (candidate, verdict) in self.judged(term, now) {
            let key = &candidate.request.key;
            if !verdict.returned {
                self.returns.holds_no_longer(key);
            } else if self.returns.holds(key, verdict.tier.as_deref(), now) {
                ready.push((candidate, verdict));
            }
        }
        let mut going = self.idle(ready, now);
        going.sort_by(|left, right| {
            let order =
                |of: &Candidate| (std::cmp::Reverse(of.request.priority), of.request.created);
            order(left)
                .cmp(&order(right))
                .then_with(|| left.request.key.cmp(&right.request.key))
        });
        let room = self.returns.room(self.around.returns_at_once);
        for held in going.drain(room.min(going.len())..) {
            self.returns.hold(&held.request.key, Held::Crowded, now);
        }
        if going.is_empty() {
            return;
        }
        let keys: Vec<WorkloadKey> = going.iter().map(|of| of.request.key.clone()).collect();
        self.decide(term, going);
        for key in keys {
            if self.assumed.contains_key(&key) {
                info!(workload = %key, "goes back to an earlier term");
                self.returns.begun(&key);
            } else {
                // It no longer fits beside the others, or something is to be read first.
                self.returns.later(&key, now);
            }
        }
    }

    /// When there is something to judge; those that wait have their turn before.
    pub(super) fn next_return(&self) -> Option<Duration> {
        let waits = !self.round.is_empty() || self.platform.settles_quotas() || self.room() == 0;
        self.returns.next().filter(|_| !waits)
    }

    /// Some of those whose turn it is, each judged as if it were alone. Nothing of it is committed.
    fn judged(&mut self, term: &Term, now: Duration) -> Vec<(Candidate, Verdict)> {
        let mut asked = Vec::new();
        for key in self.returns.turn(now, JUDGED) {
            let is_free = !self.assumed.contains_key(&key) && !self.again.contains(&key);
            match self.returning(term, &key).filter(|_| is_free) {
                Some(candidate) => asked.push(candidate),
                None => self.returns.later(&key, now),
            }
        }
        if asked.is_empty() {
            return Vec::new();
        }
        let keys = asked.iter().map(|of| of.request.key.clone()).collect();
        let engine = self.bring_up(&keys);
        let alone = |request: &Request| decide_all(engine, std::slice::from_ref(request)).pop();
        let verdicts: Vec<Option<Verdict>> =
            super::batch::aside(|| asked.iter().map(|of| &of.request).map(alone).collect());
        let both = asked.into_iter().zip(verdicts);
        both.filter_map(|(candidate, verdict)| Some((candidate, verdict?)))
            .collect()
    }

    /// A Workload whose decision stands, asked whether it goes back. Of its images counts what was
    /// known when that was made, where nothing newer is.
    fn returning(&self, term: &Term, key: &WorkloadKey) -> Option<Candidate> {
        let entry = self.world.workloads.get(key)?;
        if self.world.is_unread(key) {
            return None;
        }
        let sight = self.sight(term);
        let mut facts = sight.facts(entry).ok()?;
        sight.known_platforms(entry, &mut facts).ok()?;
        let mut candidate = sight.candidate(entry, facts);
        candidate.request.returning = true;
        Some(candidate)
    }

    /// Those that go back whoever waits, and those that take only what is idle. The others are held.
    fn idle(&mut self, ready: Vec<(Candidate, Verdict)>, now: Duration) -> Vec<Candidate> {
        let asks =
            |key: &WorkloadKey, all: &Windows| all.get(key).is_some_and(|of| of.wish.when_idle);
        let all = &self.returns;
        let (ask, mut going): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .partition(|(of, _)| asks(&of.request.key, all));
        if !ask.is_empty() {
            let waiting = self.waiting();
            let keys: BTreeSet<_> = ask.iter().map(|(of, _)| of.request.key.clone()).collect();
            let engine = self.bring_up(&keys);
            let (idle, busy): (Vec<_>, Vec<_>) = ask.into_iter().partition(|(of, verdict)| {
                is_idle(engine, &of.request, verdict, waiting.as_deref())
            });
            for (of, _) in &busy {
                self.returns.hold(&of.request.key, Held::NotIdle, now);
            }
            going.extend(idle);
        }
        going.into_iter().map(|(candidate, _)| candidate).collect()
    }

    /// What those that wait ask for; `None` where that is too much to look at, or not yet known.
    fn waiting(&self) -> Option<Vec<Request>> {
        let waits = |key: &&WorkloadKey| {
            let entry = self.world.workloads.get(*key);
            entry.is_some_and(|entry| !refused::is_rejected(&entry.status, entry.generation()))
        };
        let waiting: Vec<&WorkloadKey> = self.unplaced.keys().filter(waits).collect();
        if self.has_more() || waiting.len() > WAITING_MAX {
            return None;
        }
        let requests = waiting.into_iter().filter_map(|key| self.request_of(key));
        Some(requests.collect())
    }

    /// What going back waits for, for `why`; `None` where it stays in its term.
    pub(super) fn return_of(&mut self, key: &WorkloadKey) -> Option<WhyReturn> {
        let entry = self.world.workloads.get(key)?;
        could(&self.world, entry)?;
        let placement = self.world.placement_of(entry)?.clone();
        let (clock, known) = (&self.around.clock, self.returns.get(key));
        let window = known.and_then(Could::window).map(|(term, until)| {
            let left = until.saturating_sub(clock.monotonic());
            (term.to_owned(), clock.now().saturating_add(left).ok())
        });
        let held = known.and_then(|known| known.held).map(Held::as_str);
        let state = match (window, held) {
            (Some((term, _)), Some(held)) => explain::Back::Held { term, by: held },
            (Some((term, Some(at))), None) => explain::Back::From { term, at },
            _ => explain::Back::Lacks(self.first_term_alone(key).map(Box::new)),
        };
        explain::back(&placement, &state)
    }

    /// The verdict on it if there were its first term alone.
    fn first_term_alone(&mut self, key: &WorkloadKey) -> Option<Verdict> {
        let request = returns::in_first_term(&self.request_of(key)?);
        let engine = self.bring_up(&BTreeSet::from([key.clone()]));
        let mut alone = Engine::new(engine.snapshot().clone(), engine.config().clone());
        decide_all(&mut alone, &[request]).pop()
    }
}

/// Whether nobody who waits could use the room that it takes, and it is not borrowed.
fn is_idle(
    engine: &mut Engine,
    request: &Request,
    verdict: &Verdict,
    waiting: Option<&[Request]>,
) -> bool {
    let (Some(placed), Some(waiting)) = (verdict.outcome.placed(), waiting) else {
        return false;
    };
    let takes = taken(request, placed);
    !engine.borrows_more(&request.tenant, &placed.increase)
        && !waiting.iter().any(|other| engine.could_use(other, &takes))
}

/// Which decision of a Workload could be bettered by going back, and by which policy.
fn could(world: &World, entry: &Entry) -> Option<(String, returns::Wish)> {
    let placement = world.placement_of(entry).filter(|_| !entry.spec.suspend)?;
    let decision = entry.decided()?;
    // One that is refused for what it says here stays where it is.
    let wish = returns::wish(placement).ok()??;
    returns::could(placement, decision).then(|| (decision.id.clone(), wish))
}
