//! Who could go back, since when an earlier term holds all of each, and who is under way. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use heyun_plan::returns::Wish;
use heyun_scheduler::request::WorkloadKey;

use crate::operate::state;

/// Least time between two looks at those that could go back.
const PAUSE: Duration = Duration::from_millis(500);
/// Until one that could not be judged, or is held, is looked at again without an event.
const LATER: Duration = Duration::from_secs(10);

/// Why one whose window is over does not go back yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operate) enum Held {
    /// As many as may are under way.
    Crowded,
    /// What it would take is not idle.
    NotIdle,
}

impl Held {
    /// As it is told to people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Crowded => "others that go back before it",
            Self::NotIdle => "what it takes to be idle: others wait for it, or it is borrowed",
        }
    }
}

/// What is known of one that could go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operate) struct Could {
    /// The decision that could be bettered.
    decision: String,
    /// When it goes back.
    pub(super) wish: Wish,
    /// The earlier term that holds all of it, and since when one has without a break.
    window: Option<(String, Duration)>,
    /// When it is judged without an event.
    due: Option<Duration>,
    /// Why it does not go back though its window is over.
    pub(super) held: Option<Held>,
}

impl Could {
    /// The term that holds all of it, and when its window is over.
    pub(super) fn window(&self) -> Option<(&str, Duration)> {
        let (term, since) = self.window.as_ref()?;
        Some((term, *since + self.wish.after))
    }
}

/// All that could go back, and those that do.
#[derive(Debug, Default)]
pub(in crate::operate) struct Windows {
    could: BTreeMap<WorkloadKey, Could>,
    /// Those to be judged, from when on, and the last one that was.
    round: BTreeSet<WorkloadKey>,
    at: Option<Duration>,
    cursor: Option<WorkloadKey>,
    under_way: BTreeSet<WorkloadKey>,
}

impl Windows {
    /// Takes in the decision of one that could go back, and how it wishes to; `None`: it could not.
    /// Another decision or wish than before begins anew.
    pub(super) fn note(&mut self, key: &WorkloadKey, could: Option<(String, Wish)>, now: Duration) {
        let Some((decision, wish)) = could else {
            self.could.remove(key);
            self.round.remove(key);
            return;
        };
        let known = self.could.get(key);
        if known.is_some_and(|known| known.decision == decision && known.wish == wish) {
            return;
        }
        let anew = Could {
            decision,
            wish,
            window: None,
            due: None,
            held: None,
        };
        self.could.insert(key.clone(), anew);
        self.round.insert(key.clone());
        self.at.get_or_insert(now + PAUSE);
    }

    /// One that is gone.
    pub(super) fn forget(&mut self, key: &WorkloadKey) {
        self.could.remove(key);
        self.round.remove(key);
        self.under_way.remove(key);
    }

    /// Room may have been freed: all are judged.
    pub(in crate::operate) fn wake(&mut self, now: Duration) {
        if !self.could.is_empty() {
            self.round.extend(self.could.keys().cloned());
            self.at.get_or_insert(now);
        }
    }

    /// Another leads, or this one anew: what was seen before is no window without a break.
    pub(in crate::operate) fn break_off(&mut self, now: Duration) {
        for could in self.could.values_mut() {
            (could.window, could.due, could.held) = (None, None, None);
        }
        self.wake(now);
    }

    /// Some of those whose turn it is; the others have theirs after a pause.
    pub(super) fn turn(&mut self, now: Duration, most: usize) -> Vec<WorkloadKey> {
        let due = self.could.iter();
        let due = due.filter(|(_, could)| could.due.is_some_and(|at| at <= now));
        let due: Vec<WorkloadKey> = due.map(|(key, _)| key.clone()).collect();
        self.round.extend(due);
        let turn = state::turn(&self.round, self.cursor.as_ref(), |_| true, most);
        for key in &turn {
            self.round.remove(key);
            if let Some(could) = self.could.get_mut(key) {
                could.due = None;
            }
        }
        self.cursor = turn.last().cloned();
        self.at = (!self.round.is_empty()).then_some(now + PAUSE);
        turn
    }

    /// An earlier term holds all of it; true where it has for as long as it must.
    pub(super) fn holds(&mut self, key: &WorkloadKey, term: Option<&str>, now: Duration) -> bool {
        let Some(could) = self.could.get_mut(key) else {
            return false;
        };
        let since = could.window.as_ref().map_or(now, |(_, since)| *since);
        could.window = Some((term.unwrap_or_default().to_owned(), since));
        could.held = None;
        let over = since + could.wish.after;
        could.due = (over > now).then_some(over);
        over <= now
    }

    /// None does: its window has a break.
    pub(in crate::operate) fn holds_no_longer(&mut self, key: &WorkloadKey) {
        if let Some(could) = self.could.get_mut(key) {
            (could.window, could.due, could.held) = (None, None, None);
        }
    }

    /// Its window is over, and something keeps it.
    pub(super) fn hold(&mut self, key: &WorkloadKey, held: Held, now: Duration) {
        if let Some(could) = self.could.get_mut(key) {
            (could.held, could.due) = (Some(held), Some(now + LATER));
        }
    }

    /// It cannot be judged now.
    pub(super) fn later(&mut self, key: &WorkloadKey, now: Duration) {
        if let Some(could) = self.could.get_mut(key) {
            could.due = Some(now + LATER);
        }
    }

    /// It goes back.
    pub(super) fn begun(&mut self, key: &WorkloadKey) {
        self.under_way.insert(key.clone());
        self.holds_no_longer(key);
    }

    /// It has gone back, or does not.
    pub(super) fn ended(&mut self, key: &WorkloadKey) {
        if !self.under_way.remove(key) {
            return;
        }
        // Those that waited for it, and itself where it did not get there.
        let crowded = self.could.iter();
        let crowded = crowded.filter(|(of, could)| could.held == Some(Held::Crowded) || *of == key);
        self.round.extend(crowded.map(|(key, _)| key.clone()));
        self.at.get_or_insert(Duration::ZERO);
    }

    /// How many more may be under way.
    pub(super) fn room(&self, at_once: usize) -> usize {
        at_once.saturating_sub(self.under_way.len())
    }

    /// What is known of one.
    pub(super) fn get(&self, key: &WorkloadKey) -> Option<&Could> {
        self.could.get(key)
    }

    /// When the next is to be judged.
    pub(super) fn next(&self) -> Option<Duration> {
        let due = self.could.values().filter_map(|could| could.due).min();
        let at = self.at.filter(|_| !self.round.is_empty());
        at.into_iter().chain(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_mins(1);

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::new("ns", name)
    }

    fn wish() -> Wish {
        Wish {
            when_idle: false,
            after: AFTER,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn noted(names: &[&str]) -> Windows {
        let mut windows = Windows::default();
        for name in names {
            windows.note(&key(name), Some(("d1".to_owned(), wish())), at(0));
        }
        windows
    }

    #[test]
    fn a_window_runs_without_a_break_and_wakes_at_its_end() {
        let (mut windows, a) = (noted(&["a"]), key("a"));
        let one = [key("a")];
        assert_eq!(windows.next(), Some(PAUSE), "who is new is judged");
        assert_eq!(windows.turn(at(1), 9), one);
        assert!(!windows.holds(&a, Some("home"), at(1)));
        assert_eq!(windows.next(), Some(at(61)));
        assert_eq!(windows.get(&a).unwrap().window(), Some(("home", at(61))));
        // Judged again on an event, it goes on.
        windows.wake(at(30));
        assert_eq!(windows.turn(at(30), 9), one);
        assert!(!windows.holds(&a, Some("home"), at(30)));
        // A break begins it anew.
        windows.holds_no_longer(&a);
        assert_eq!(windows.next(), None);
        assert!(!windows.holds(&a, Some("home"), at(40)));
        assert_eq!(windows.turn(at(99), 9), []);
        assert_eq!(windows.turn(at(100), 9), one);
        assert!(windows.holds(&a, Some("home"), at(100)));
    }

    #[test]
    fn another_decision_or_wish_begins_anew() {
        let (mut windows, a) = (noted(&["a"]), key("a"));
        windows.holds(&a, Some("home"), at(0));
        windows.note(&a, Some(("d1".to_owned(), wish())), at(10));
        assert!(windows.holds(&a, Some("home"), at(60)), "the same goes on");
        windows.note(&a, Some(("d2".to_owned(), wish())), at(60));
        assert!(!windows.holds(&a, Some("home"), at(61)));
        let sooner = Wish {
            after: at(1),
            ..wish()
        };
        windows.note(&a, Some(("d2".to_owned(), sooner)), at(90));
        assert!(!windows.holds(&a, Some("home"), at(90)));
        windows.note(&a, None, at(90));
        assert_eq!((windows.next(), windows.get(&a)), (None, None));
        assert!(!windows.holds(&a, Some("home"), at(999)), "it could not");
    }

    #[test]
    fn a_new_leader_begins_anew() {
        let (mut windows, a) = (noted(&["a"]), key("a"));
        windows.turn(at(1), 9);
        windows.holds(&a, Some("home"), at(1));
        windows.break_off(at(50));
        assert_eq!(windows.next(), Some(at(50)));
        assert!(!windows.holds(&a, Some("home"), at(70)));
    }

    #[test]
    fn only_so_many_are_under_way_and_one_that_ends_lets_others_go() {
        let mut windows = noted(&["a", "b", "c"]);
        windows.turn(at(1), 9);
        for name in ["a", "b", "c"] {
            windows.holds(&key(name), Some("home"), at(1));
        }
        assert_eq!(windows.room(2), 2);
        windows.begun(&key("a"));
        windows.begun(&key("b"));
        assert_eq!((windows.room(2), windows.room(1)), (0, 0));
        windows.hold(&key("c"), Held::Crowded, at(61));
        assert_eq!(windows.next(), Some(at(61) + LATER));
        windows.ended(&key("a"));
        assert_eq!(windows.room(2), 1);
        assert_eq!(windows.turn(at(62), 9), [key("a"), key("c")]);
        // One that did not get there begins its window anew.
        assert!(!windows.holds(&key("a"), Some("home"), at(62)));
        windows.forget(&key("b"));
        assert_eq!(windows.room(2), 2);
    }

    #[test]
    fn a_look_is_at_some_and_each_has_its_turn() {
        let mut windows = noted(&["a", "b", "c"]);
        assert_eq!(windows.turn(at(1), 2), [key("a"), key("b")]);
        assert_eq!(windows.next(), Some(at(1) + PAUSE));
        windows.wake(at(1));
        assert_eq!(windows.turn(at(2), 2), [key("c"), key("a")]);
        assert_eq!(windows.turn(at(3), 2), [key("b")]);
        assert_eq!(windows.next(), None);
    }
}
