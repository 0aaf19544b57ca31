//! Small memories of the loop, each with a bound.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use heyun_crds::workload::Decision;
use heyun_member::error::{Attempts, Class};
use heyun_scheduler::Verdict;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::Held;

/// What a chain under way will have decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Assumed {
    /// What the decision holds that it commits; nothing if it commits none.
    pub held: Held,
    /// The members that it uses; `None` if it commits none.
    pub on: Option<BTreeSet<String>>,
    /// Epoch of the term that started it.
    pub epoch: i64,
    /// A decision stood and was made anew: asked for once more if this one is not committed.
    pub again: bool,
    /// What the ledger is told of it once it is committed.
    pub row: Option<heyun_ledger::Entry>,
    /// What the ledger is told of a refusal once the status that says it is written.
    pub refused: Option<heyun_ledger::Entry>,
    /// What was decided before, of whom: the ledger is told the difference.
    pub before: Option<Before>,
    /// How often it had been asked who makes room when it began.
    pub asked: u64,
}

impl Assumed {
    /// Whether the decision that was to be made anew is still to be made: this one is not in force.
    pub(super) fn is_undone(&self, now: Option<&Decision>) -> bool {
        let Some(heyun_ledger::Entry::Decision(row)) = &self.row else {
            return self.again;
        };
        self.again && now.is_none_or(|decision| decision.id != row.decision_id)
    }
}

/// A Workload as it was when its chain started.
#[derive(Clone, Debug)]
pub(super) struct Before {
    /// Its uid.
    pub uid: String,
    /// Its generation.
    pub generation: Option<i64>,
    /// Its tenant.
    pub tenant: String,
    /// Its decision.
    pub decision: Option<Decision>,
}

/// When to look again at what failed; how long to wait is the one table's to say.
#[derive(Debug, Default)]
pub(super) struct Retries {
    attempts: Attempts,
    due: BTreeMap<WorkloadKey, Duration>,
}

impl Retries {
    /// Notes a failure.
    pub(super) fn failed(&mut self, key: &WorkloadKey, class: Class, now: Duration) {
        match self.attempts.failed(&key.to_string(), class) {
            Some(delay) => self.due.insert(key.clone(), now + delay),
            None => self.due.remove(key),
        };
    }

    /// Forgets a Workload whose chain succeeded.
    pub(super) fn succeeded(&mut self, key: &WorkloadKey) {
        self.attempts.succeeded(&key.to_string());
        self.due.remove(key);
    }

    /// Those that are due.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<WorkloadKey> {
        let due: Vec<_> = self
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &due {
            self.due.remove(key);
        }
        due
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due.values().min().copied()
    }
}

/// Longest sleep of the loop. A look once a minute finds what no message told of; with nothing to
/// do it writes nothing.
const SLEEP_MAX: Duration = Duration::from_mins(1);
/// Sleep of a leader whose lease is not confirmed: it is renewed or lost within moments.
const HOLD: Duration = Duration::from_millis(100);

/// What the loop may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// Nothing until all has been read.
    Read,
    /// Look on: another leads.
    Follow,
    /// Nothing until its lease is confirmed again.
    Hold,
    /// Write.
    Write,
}

impl May {
    /// How long the loop sleeps if nothing happens. What is only done by writing wakes nobody who
    /// may not write, and nothing who has not read all: it would stay due, and the loop would turn
    /// without end.
    pub(super) fn sleep(
        self,
        now: Duration,
        always: &[Option<Duration>],
        writing: &[Option<Duration>],
    ) -> Duration {
        let (always, writing, longest) = match self {
            Self::Read => (&[][..], &[][..], SLEEP_MAX),
            Self::Follow => (always, &[][..], SLEEP_MAX),
            Self::Hold => (always, &[][..], HOLD),
            Self::Write => (always, writing, SLEEP_MAX),
        };
        let next = always.iter().chain(writing).flatten().min();
        next.map_or(longest, |at| at.saturating_sub(now))
            .clamp(Duration::from_millis(1), longest)
    }
}

/// Those whose turn it is: the first after `cursor`, and round again. Without it, names that come
/// early in the alphabet would keep all others waiting.
pub(super) fn turn(
    candidates: &BTreeSet<WorkloadKey>,
    cursor: Option<&WorkloadKey>,
    is_free: impl Fn(&WorkloadKey) -> bool,
    most: usize,
) -> Vec<WorkloadKey> {
    let (after, before) = match cursor {
        Some(last) => (
            candidates.range::<WorkloadKey, _>((Bound::Excluded(last), Bound::Unbounded)),
            candidates.range::<WorkloadKey, _>((Bound::Unbounded, Bound::Included(last))),
        ),
        // Nothing comes before the empty name.
        None => (
            candidates.range::<WorkloadKey, _>(..),
            candidates.range::<WorkloadKey, _>(..&WorkloadKey::default()),
        ),
    };
    let turn = after.chain(before).filter(|key| is_free(key));
    turn.take(most).cloned().collect()
}

/// How many of those that wait are looked at in one turn. While something changed wants to be
/// looked at as well, they leave it at least half of the room and of a batch.
pub(super) fn share(batch: usize, room: usize, others: bool) -> usize {
    if others {
        (batch / 2).min(room.div_ceil(2))
    } else {
        batch.min(room)
    }
}

/// Whether a Workload whose decision is to be made anew is decided at this look. One that `sleeps`
/// is decided when its turn has come; until then its decision in force is followed.
pub(super) fn decides_again(again: bool, sleeps: bool) -> bool {
    again && !sleeps
}

/// Objects of one kind that could not be written, with when to try again by the one table. Until
/// then they are left alone, unless they change.
#[derive(Debug, Default)]
pub(super) struct Later {
    attempts: Attempts,
    held: BTreeMap<String, Failed>,
}

/// A write that failed.
#[derive(Debug)]
struct Failed {
    /// Version of the object that it was made from.
    version: u64,
    /// When to try again; never where only a change helps.
    at: Option<Duration>,
}

impl Later {
    /// Notes a failure.
    pub(super) fn failed(&mut self, name: &str, version: u64, class: Class, now: Duration) {
        let at = self.attempts.failed(name, class).map(|delay| now + delay);
        self.held.insert(name.to_owned(), Failed { version, at });
    }

    /// Forgets the failures of an object that was written.
    pub(super) fn succeeded(&mut self, name: &str) {
        self.attempts.succeeded(name);
        self.held.remove(name);
    }

    /// Tries an object again at once: what it depends on changed.
    pub(super) fn lift(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Whether an object of this version is left alone for now.
    pub(super) fn waits(&self, name: &str, version: u64) -> bool {
        self.held
            .get(name)
            .is_some_and(|failed| failed.version == version)
    }

    /// Frees those that are due; true where there were any.
    pub(super) fn take_due(&mut self, now: Duration) -> bool {
        let before = self.held.len();
        self.held
            .retain(|_, failed| failed.at.is_none_or(|at| at > now));
        self.held.len() < before
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.held.values().filter_map(|failed| failed.at).min()
    }

    /// Forgets those that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.held.retain(|name, _| is_there(name));
    }
}

/// The latest verdicts, so that `why` answers with what was decided.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    by_key: BTreeMap<WorkloadKey, Told>,
    order: VecDeque<WorkloadKey>,
}

/// A verdict as the ledger has it: a tenth of what it is as a structure.
#[derive(Debug)]
struct Told {
    /// Id of its decision; empty where nothing was decided.
    decision: String,
    /// Code of the reason; empty where it is placed.
    reason: &'static str,
    /// What [`heyun_plan::explain::kept::verdict`] made of it.
    json: Arc<str>,
}

/// Verdicts kept in memory; older ones are in the ledger.
const VERDICTS_MAX: usize = 256;

impl Verdicts {
    /// Keeps a verdict, as the ledger has it, with the id of its decision (empty where nothing was
    /// decided).
    pub(super) fn keep(&mut self, decision: String, verdict: &Verdict, json: Arc<str>) {
        let key = verdict.key.clone();
        let told = Told {
            decision,
            reason: verdict.outcome.reason().map_or("", |reason| reason.code()),
            json,
        };
        if self.by_key.insert(key.clone(), told).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > VERDICTS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
    }

    /// How many of these wait for which reason, as far as it is still known.
    pub(super) fn reasons<'k>(
        &self,
        waiting: impl Iterator<Item = &'k WorkloadKey>,
    ) -> BTreeMap<&'static str, u32> {
        let mut counts = BTreeMap::new();
        for key in waiting {
            let reason = self.by_key.get(key).map_or("", |told| told.reason);
            *counts.entry(reason).or_insert(0) += 1;
        }
        counts
    }

    /// The verdict of that decision, if it is still kept.
    pub(super) fn get(&self, key: &WorkloadKey, decision: &str) -> Option<Verdict> {
        let told = self.by_key.get(key)?;
        let told = Some(told).filter(|told| told.decision == decision)?;
        // One of so many members that the ledger has its sentence alone is no verdict.
        serde_json::from_str(&told.json).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sleepers::Sleepers;
    use super::*;

    #[test]
    fn each_has_its_turn() {
        let key = |name: &str| WorkloadKey::new("ns", name);
        let all: BTreeSet<WorkloadKey> = ["a", "b", "c", "d"].map(key).into();
        let next = |cursor: Option<&WorkloadKey>, most| {
            let turn = turn(&all, cursor, |k| k.name != "c", most);
            turn.into_iter().map(|k| k.name).collect::<Vec<_>>()
        };
        assert_eq!(next(None, 2), ["a", "b"]);
        assert_eq!(next(Some(&key("b")), 2), ["d", "a"]);
        assert_eq!(next(Some(&key("d")), 9), ["a", "b", "d"]);
        assert_eq!(next(Some(&key("z")), 1), ["a"]);
    }

    #[test]
    fn those_that_wait_leave_half_to_those_that_changed() {
        assert_eq!(share(256, 256, true), 128);
        assert_eq!(share(256, 256, false), 256);
        assert_eq!(share(256, 100, true), 50);
        assert_eq!(share(256, 100, false), 100);
        // Room for one alone goes to one of them, and no room to none.
        assert_eq!(share(256, 1, true), 1);
        assert_eq!(share(256, 0, true), 0);
    }

    #[test]
    fn what_is_decided_anew_and_waits_is_followed_until_its_turn() {
        assert!(!decides_again(false, false));
        assert!(decides_again(true, false));
        assert!(!decides_again(true, true));
        // Its turn has come.
        let key = WorkloadKey::new("ns", "a");
        let mut sleepers = Sleepers::default();
        sleepers.sleep(key.clone(), None);
        assert!(!decides_again(true, sleepers.sleeps(&key)));
        sleepers.rouse(&key);
        assert!(decides_again(true, sleepers.sleeps(&key)));
    }

    #[test]
    fn a_decision_made_anew_is_asked_for_until_it_is_in_force() {
        let assumed = |again| Assumed {
            again,
            ..Assumed::default()
        };
        assert!(assumed(true).is_undone(None));
        assert!(!assumed(false).is_undone(None));
    }

    #[test]
    fn what_failed_is_left_alone_until_it_is_due_or_changes() {
        let second = Duration::from_secs;
        let mut later = Later::default();
        later.failed("a", 7, Class::Transient, second(10));
        assert!(later.waits("a", 7));
        assert!(!later.waits("a", 8), "it changed");
        assert!(!later.waits("b", 7));
        let due = later.next().unwrap();
        assert!(due >= second(11));
        assert!(!later.take_due(second(10)));
        assert!(later.take_due(due));
        assert!(!later.waits("a", 7));
        assert_eq!(later.next(), None, "what is due wakes the loop once");
        later.failed("a", 7, Class::Transient, due);
        assert!(later.next().unwrap() >= due + second(2), "it waits longer");
        later.succeeded("a");
        later.failed("b", 1, Class::Invalid, due);
        assert_eq!(later.next(), None);
        assert!(!later.take_due(due + Duration::from_hours(1)));
        assert!(later.waits("b", 1));
        later.lift("b");
        assert!(!later.waits("b", 1));
    }

    #[test]
    fn what_only_a_writer_does_wakes_nobody_else_and_nothing_who_still_reads() {
        let (now, past) = (Duration::from_secs(9), Some(Duration::from_secs(3)));
        let soon = Some(Duration::from_secs(10));
        let least = Duration::from_millis(1);
        assert_eq!(May::Write.sleep(now, &[None], &[past]), least);
        assert_eq!(May::Follow.sleep(now, &[None], &[past]), SLEEP_MAX);
        assert_eq!(May::Read.sleep(now, &[past], &[past]), SLEEP_MAX);
        assert_eq!(May::Hold.sleep(now, &[None], &[past]), HOLD);
        assert_eq!(
            May::Follow.sleep(now, &[soon], &[past]),
            Duration::from_secs(1)
        );
        assert_eq!(May::Hold.sleep(now, &[soon], &[]), HOLD);
        assert_eq!(May::Write.sleep(now, &[], &[]), SLEEP_MAX);
    }
}
