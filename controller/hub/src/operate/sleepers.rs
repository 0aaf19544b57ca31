//! Those that wait, each with what wakes it; and what happened since.
//!
//! ```text
//! world ─► events ─┐ each with the turn in which it was taken in
//!                  ├─► who of those that decided before it waits for it ─► the next round
//! verdicts ─► waits┘
//! ```
//!
//! A verdict of a turn has seen all that was taken in until then, so an older event wakes nobody
//! twice.

use std::collections::{BTreeMap, BTreeSet};

use heyun_scheduler::Verdict;
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::verdict::EventKind;
use heyun_scheduler::wake::{About, Event, Pool, Wait};

use crate::world::Happened;

/// Events that are remembered between two rounds; with more, all that wait are woken.
const EVENTS: usize = 4096;

/// One that waits.
#[derive(Debug)]
struct Sleeper {
    /// What wakes it; none: anything.
    wait: Option<Wait>,
    /// The turn of its verdict.
    since: u64,
    /// It had its turn, and there is no verdict of that yet.
    roused: bool,
}

/// All that wait, by name.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    all: BTreeMap<WorkloadKey, Sleeper>,
    pool: Pool,
    turn: u64,
    /// What happened, with the turn in which it did last.
    events: BTreeMap<Event, u64>,
}

impl Sleepers {
    /// A turn begins with what happened before it.
    pub(super) fn begin_turn(&mut self, happened: Happened) {
        self.turn = self.turn.saturating_add(1);
        for event in happened {
            if self.events.len() >= EVENTS {
                self.events.clear();
                self.events.insert(Event::Anything, self.turn);
            }
            self.events.insert(event, self.turn);
        }
    }

    /// Forgets all who wait, and what happened: each is looked at once.
    pub(super) fn forget(&mut self) {
        self.all.clear();
        self.events.clear();
    }

    /// It waits from this turn on for what its verdict says; without one, for anything.
    pub(super) fn sleep(&mut self, key: WorkloadKey, wait: Option<Wait>) {
        let sleeper = Sleeper {
            wait,
            since: self.turn,
            roused: false,
        };
        self.all.insert(key, sleeper);
    }

    /// What those of a batch wait for that are not placed.
    pub(super) fn waits(
        &mut self,
        of: Vec<(&Request, &Verdict, About)>,
    ) -> BTreeMap<WorkloadKey, Wait> {
        let pool = &mut self.pool;
        let wait = |(request, verdict, about): (&Request, &Verdict, About)| {
            let wait = Wait::of(request, verdict, about, pool);
            (verdict.key.clone(), wait)
        };
        of.into_iter().map(wait).collect()
    }

    /// It has its turn: until there is a verdict it is decided whenever it is looked at.
    pub(super) fn rouse(&mut self, key: &WorkloadKey) {
        if let Some(sleeper) = self.all.get_mut(key) {
            sleeper.roused = true;
        }
    }

    /// Whether it waits, and its turn is still to come.
    pub(super) fn sleeps(&self, key: &WorkloadKey) -> bool {
        self.all.get(key).is_some_and(|of| !of.roused)
    }

    /// Whether it waits.
    pub(super) fn contains(&self, key: &WorkloadKey) -> bool {
        self.all.contains_key(key)
    }

    /// It does not wait any more.
    pub(super) fn remove(&mut self, key: &WorkloadKey) {
        self.all.remove(key);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All that wait, by name.
    pub(super) fn keys(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.all.keys()
    }

    /// What one waits for; none where it waits for anything.
    pub(super) fn of(&self, key: &WorkloadKey) -> Option<&Wait> {
        self.all.get(key)?.wait.as_ref()
    }

    /// Whether what happened can entitle anyone to what others have.
    pub(super) fn speaks_of_claims(&self) -> bool {
        let mut events = self.events.keys();
        events.any(|event| event.kind() == Some(EventKind::ClaimChanged))
    }

    /// Those whom what happened wakes, with the kind of what did; it is forgotten with that. Of a
    /// claim counts which tenants `borrowing` are charged above their nominal.
    pub(super) fn wake(
        &mut self,
        borrowing: &BTreeSet<String>,
    ) -> Vec<(WorkloadKey, Option<EventKind>)> {
        let events = std::mem::take(&mut self.events).into_iter();
        let events: Vec<(Event, u64)> = events
            .filter_map(|(event, at)| Some((settled(event, borrowing)?, at)))
            .collect();
        if events.is_empty() {
            return Vec::new();
        }
        let woken = |of: &Sleeper| {
            let mut later = events.iter().filter(|(_, at)| *at > of.since);
            later.find(|(event, _)| of.wait.as_ref().is_none_or(|wait| wait.is_woken_by(event)))
        };
        let all = self.all.iter();
        all.filter_map(|(key, of)| Some((key.clone(), woken(of)?.0.kind())))
            .collect()
    }
}

/// A claim with what is known of who borrows; none where nobody has anything that could be taken back.
fn settled(event: Event, borrowing: &BTreeSet<String>) -> Option<Event> {
    match event {
        Event::Stands {
            tenants, priority, ..
        } => Some(Event::Stands {
            borrows: tenants.is_empty() || tenants.iter().any(|of| borrowing.contains(of)),
            tenants,
            priority,
        }),
        Event::Entitled { .. } if borrowing.is_empty() => None,
        event => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::new("ns", name)
    }

    fn happened(events: impl IntoIterator<Item = Event>) -> Happened {
        let mut all = Happened::default();
        all.extend(events);
        all
    }

    fn woken(sleepers: &mut Sleepers) -> Vec<String> {
        let woken = sleepers.wake(&BTreeSet::new());
        woken.into_iter().map(|(key, _)| key.name).collect()
    }

    #[test]
    fn what_happened_before_a_verdict_wakes_it_not() {
        let mut sleepers = Sleepers::default();
        sleepers.begin_turn(happened([Event::FlavorChanged]));
        sleepers.sleep(key("early"), None);
        sleepers.begin_turn(happened([Event::TenantChanged]));
        sleepers.sleep(key("late"), None);
        assert_eq!(woken(&mut sleepers), ["early"]);
        assert!(woken(&mut sleepers).is_empty(), "it is forgotten");
        sleepers.begin_turn(happened([Event::TenantChanged]));
        assert_eq!(woken(&mut sleepers), ["early", "late"]);
        sleepers.remove(&key("early"));
        sleepers.begin_turn(happened([Event::TenantChanged]));
        assert_eq!(woken(&mut sleepers), ["late"]);
    }

    #[test]
    fn one_that_had_its_turn_does_not_sleep_until_there_is_a_verdict() {
        let mut sleepers = Sleepers::default();
        sleepers.sleep(key("a"), None);
        assert!(sleepers.sleeps(&key("a")));
        sleepers.rouse(&key("a"));
        assert!(!sleepers.sleeps(&key("a")) && sleepers.contains(&key("a")));
        sleepers.sleep(key("a"), None);
        assert!(sleepers.sleeps(&key("a")));
        assert!(!sleepers.sleeps(&key("b")));
    }

    #[test]
    fn too_many_events_are_any() {
        let mut sleepers = Sleepers::default();
        sleepers.sleep(key("a"), None);
        let of = |member: usize| Event::MemberReady {
            member: format!("m{member}"),
        };
        let all = happened((0..9000).map(of));
        assert!(all.iter().any(|event| *event == Event::Anything));
        assert!(all.iter().count() <= EVENTS);
        sleepers.begin_turn(happened([Event::Anything]));
        for first in 0..3 {
            let some = (0..2000).map(|member| of(first * 2000 + member));
            sleepers.begin_turn(happened(some));
        }
        assert!(sleepers.events.len() <= EVENTS);
        assert!(sleepers.events.contains_key(&Event::Anything));
    }

    /// Where nobody borrows there is nothing to take back.
    #[test]
    fn a_claim_counts_where_somebody_borrows() {
        let tenants = vec!["gz".to_owned(), "gd".to_owned()];
        let entitled = Event::Entitled {
            tenants: tenants.clone(),
        };
        assert_eq!(settled(entitled.clone(), &BTreeSet::new()), None);
        let borrowing = BTreeSet::from(["gd".to_owned()]);
        assert_eq!(settled(entitled.clone(), &borrowing), Some(entitled));
        let stands = |borrows| Event::Stands {
            tenants: tenants.clone(),
            priority: 1,
            borrows,
        };
        assert_eq!(settled(stands(true), &BTreeSet::new()), Some(stands(false)));
        assert_eq!(settled(stands(false), &borrowing), Some(stands(true)));
    }
}
