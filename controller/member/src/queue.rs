//! The queue of one member: each key once, now or later, never worked on by two at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;

/// Most keys that wait; what comes beyond is refused and found again by the next resync.
pub const QUEUE_MAX: usize = 50_000;

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<String>,
    /// What is in `ready`.
    queued: BTreeSet<String>,
    running: BTreeSet<String>,
    /// Running, and to be worked on again when it is done.
    again: BTreeSet<String>,
    /// When each delayed key is due; the earliest counts.
    due: BTreeMap<String, Duration>,
    refused: u64,
}

/// A queue of keys.
#[derive(Debug)]
pub struct Queue {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    /// An empty queue.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be worked on as soon as possible. Says whether it was taken.
    pub fn push(&self, key: &str) -> bool {
        let mut state = self.lock();
        state.due.remove(key);
        let taken = make_ready(&mut state, key.to_owned());
        drop(state);
        self.changed.notify_one();
        taken
    }

    /// To be worked on after `delay`, unless it is to be sooner already.
    pub fn push_after(&self, key: &str, delay: Duration) {
        let at = self.clock.monotonic().saturating_add(delay);
        let mut state = self.lock();
        if state.queued.contains(key) {
            return;
        }
        if state.due.len() >= QUEUE_MAX && !state.due.contains_key(key) {
            state.refused += 1;
            return;
        }
        let due = state.due.entry(key.to_owned()).or_insert(at);
        *due = (*due).min(at);
        drop(state);
        self.changed.notify_one();
    }

    /// The next key; it is running until [`Queue::done`].
    pub async fn pop(&self) -> String {
        loop {
            let wait = {
                let mut state = self.lock();
                self.ripen(&mut state);
                if let Some(key) = take(&mut state) {
                    if !state.queued.is_empty() {
                        self.changed.notify_one();
                    }
                    return key;
                }
                state
                    .due
                    .values()
                    .min()
                    .map(|at| at.saturating_sub(self.clock.monotonic()))
            };
            match wait {
                Some(wait) => {
                    // A later push may be due sooner.
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// The key is no longer worked on.
    pub fn done(&self, key: &str) {
        let mut state = self.lock();
        state.running.remove(key);
        if state.again.remove(key) {
            make_ready(&mut state, key.to_owned());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The key is nobody's any more.
    pub fn forget(&self, key: &str) {
        let mut state = self.lock();
        state.due.remove(key);
        state.again.remove(key);
    }

    /// Keys that are ready, and keys that were refused since the start.
    pub fn depth(&self) -> (usize, u64) {
        let state = self.lock();
        (state.ready.len(), state.refused)
    }

    fn ripen(&self, state: &mut State) {
        let now = self.clock.monotonic();
        let ripe: Vec<String> = state
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in ripe {
            state.due.remove(&key);
            make_ready(state, key);
        }
    }
}

fn make_ready(state: &mut State, key: String) -> bool {
    if state.queued.contains(&key) {
        return true;
    }
    if state.running.contains(&key) {
        state.again.insert(key);
        return true;
    }
    if state.ready.len() >= QUEUE_MAX {
        state.refused += 1;
        return false;
    }
    state.queued.insert(key.clone());
    state.ready.push_back(key);
    true
}

fn take(state: &mut State) -> Option<String> {
    let key = state.ready.pop_front()?;
    state.queued.remove(&key);
    state.running.insert(key.clone());
    Some(key)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::clock::{ManualClock, SystemClock};

    #[tokio::test]
    async fn a_key_is_queued_once_and_again_after_it_was_worked_on() {
        let queue = Queue::new(Arc::new(SystemClock::new()));
        queue.push("a");
        queue.push("a");
        queue.push("b");
        assert_eq!(queue.pop().await, "a");
        queue.push("a");
        assert_eq!(queue.pop().await, "b");
        assert_eq!(queue.depth().0, 0, "a runs: nobody else may have it");
        queue.done("a");
        assert_eq!(queue.pop().await, "a");
        queue.done("a");
        assert_eq!(queue.depth().0, 0);
    }

    #[tokio::test]
    async fn the_earliest_delay_counts_and_a_push_overtakes_it() {
        let clock = Arc::new(ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
        let queue = Queue::new(clock.clone());
        queue.push_after("a", Duration::from_mins(1));
        queue.push_after("a", Duration::from_secs(5));
        queue.push_after("a", Duration::from_secs(30));
        assert!(queue.pop().now_or_never().is_none());
        clock.advance(Duration::from_secs(5));
        assert_eq!(queue.pop().await, "a");
        queue.done("a");
        queue.push_after("b", Duration::from_mins(1));
        queue.push("b");
        assert_eq!(queue.pop().await, "b");
        queue.done("b");
        queue.push_after("c", Duration::from_secs(1));
        queue.forget("c");
        clock.advance(Duration::from_secs(100));
        assert!(queue.pop().now_or_never().is_none());
    }
}
