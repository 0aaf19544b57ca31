//! Small memories of the loop, each with a bound.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// What the ledger is told of it once it is committed.
    pub row: Option<heyun_ledger::Entry>,
    /// What was decided before, of whom: the ledger is told the difference.
    pub before: Option<Before>,
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
    /// Look on: another leads.
    Follow,
    /// Nothing until its lease is confirmed again.
    Hold,
    /// Write.
    Write,
}

impl May {
    /// How long the loop sleeps if nothing happens. What is only done by writing wakes nobody who
    /// may not write: it would stay due, and the loop would turn without end.
    pub(super) fn sleep(
        self,
        now: Duration,
        always: &[Option<Duration>],
        writing: &[Option<Duration>],
    ) -> Duration {
        let (writing, longest) = match self {
            Self::Follow => (&[][..], SLEEP_MAX),
            Self::Hold => (&[][..], HOLD),
            Self::Write => (writing, SLEEP_MAX),
        };
        let next = always.iter().chain(writing).flatten().min();
        next.map_or(longest, |at| at.saturating_sub(now))
            .clamp(Duration::from_millis(1), longest)
    }
}

/// The latest verdicts, so that `why` answers with what was decided.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    by_key: BTreeMap<WorkloadKey, (String, Verdict)>,
    order: VecDeque<WorkloadKey>,
}

/// Verdicts kept in memory; older ones are in the ledger.
const VERDICTS_MAX: usize = 512;

impl Verdicts {
    /// Keeps a verdict with the id of its decision (empty where nothing was decided).
    pub(super) fn keep(&mut self, decision: String, verdict: Verdict) {
        let key = verdict.key.clone();
        if self
            .by_key
            .insert(key.clone(), (decision, verdict))
            .is_none()
        {
            self.order.push_back(key);
        }
        while self.order.len() > VERDICTS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
    }

    /// How many of these wait for which reason, as far as it is still known.
    pub(super) fn reasons(&self, waiting: &BTreeSet<WorkloadKey>) -> BTreeMap<&'static str, u32> {
        let mut counts = BTreeMap::new();
        for key in waiting {
            let reason = self
                .by_key
                .get(key)
                .and_then(|(_, verdict)| verdict.outcome.reason());
            *counts.entry(reason.map_or("", |r| r.code())).or_insert(0) += 1;
        }
        counts
    }

    /// The verdict of that decision, if it is still kept.
    pub(super) fn get(&self, key: &WorkloadKey, decision: &str) -> Option<&Verdict> {
        self.by_key
            .get(key)
            .filter(|(id, _)| id == decision)
            .map(|(_, verdict)| verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_writer_does_wakes_nobody_else() {
        let (now, past) = (Duration::from_secs(9), Some(Duration::from_secs(3)));
        let soon = Some(Duration::from_secs(10));
        let least = Duration::from_millis(1);
        assert_eq!(May::Write.sleep(now, &[None], &[past]), least);
        assert_eq!(May::Follow.sleep(now, &[None], &[past]), SLEEP_MAX);
        assert_eq!(May::Hold.sleep(now, &[None], &[past]), HOLD);
        assert_eq!(
            May::Follow.sleep(now, &[soon], &[past]),
            Duration::from_secs(1)
        );
        assert_eq!(May::Hold.sleep(now, &[soon], &[]), HOLD);
        assert_eq!(May::Write.sleep(now, &[], &[]), SLEEP_MAX);
    }
}
