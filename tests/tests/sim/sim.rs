//! All that one simulation shares: the API server's state, who watches, what goes wrong.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::clock::SimClock;
use super::fence;
use super::member::Member;
use super::oracle::Oracle;
use super::random::Random;
use super::store::{Key, Refused, Store, Write};

/// How often what goes wrong, of a thousand requests or events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Refused without being looked at: 409, 429, 500, 503, 504.
    pub(crate) refused: u64,
    /// Done, and the answer is 500, 504 or a broken connection.
    pub(crate) lost: u64,
    /// The connection breaks; the request lands later, within its deadline.
    pub(crate) late: u64,
    /// A request or an answer takes up to three seconds.
    pub(crate) slow: u64,
    /// A watch is far behind for a while.
    pub(crate) stalled: u64,
    /// A watch ends within seconds.
    pub(crate) cut: u64,
    /// A watch is to begin anew: what it asks for is compacted.
    pub(crate) expired: u64,
}

/// One watch of a process.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) res: String,
    pub(crate) process: usize,
    pub(crate) due: Instant,
    pub(crate) send: mpsc::UnboundedSender<(Instant, Bytes)>,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A process of the hub, by number.
    Hub(usize),
    /// A member's executor and watcher.
    Member,
    /// A user or an administrator.
    User,
}

/// The state that all tasks of one simulation share.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) clock: SimClock,
    pub(crate) random: Random,
    pub(crate) store: Store,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) faults: Faults,
    pub(crate) members: Vec<Member>,
    pub(crate) oracle: Oracle,
    /// What happened, a line each; `None` where nobody reads it.
    pub(crate) trace: Option<String>,
    /// Epochs of the Lease, with when the policies learn of each.
    pub(crate) epochs: Vec<(Instant, i64)>,
    /// Until when the watches of a process show nothing.
    pub(crate) stalls: Vec<Instant>,
    pub(crate) requests: u64,
    /// When the hub last changed anything.
    pub(crate) wrote: Instant,
    /// Told of every change.
    pub(crate) changed: Arc<Notify>,
}

/// How all tasks hold it. One thread runs them, so nobody ever waits for it.
pub(crate) type Shared = Arc<Mutex<Sim>>;

pub(crate) fn lock(sim: &Shared) -> MutexGuard<'_, Sim> {
    sim.lock().expect("nobody panics while holding it")
}

impl Sim {
    /// Nothing is there.
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        Self {
            clock: SimClock::start(),
            random: Random::new(seed),
            store: Store::default(),
            feeds: Vec::new(),
            faults: Faults::default(),
            members: Vec::new(),
            oracle: Oracle::default(),
            trace: traced.then(String::new),
            epochs: Vec::new(),
            stalls: Vec::new(),
            requests: 0,
            wrote: Instant::now(),
            changed: Arc::new(Notify::new()),
        }
    }

    /// One line of what happened.
    pub(crate) fn note(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            let at = heyun_member::clock::Clock::monotonic(&self.clock).as_millis();
            let _ = writeln!(trace, "{at:>8} {text}");
        }
    }

    /// The epoch in the Lease.
    pub(crate) fn epoch(&self) -> i64 {
        self.epochs.last().map_or(0, |(_, epoch)| *epoch)
    }

    /// The epoch that the policies compare with.
    pub(crate) fn in_force(&self) -> i64 {
        let now = Instant::now();
        let known = self.epochs.iter().rev().find(|(from, _)| *from <= now);
        known.map_or(0, |(_, epoch)| *epoch)
    }

    /// A new holder of the Lease; the policies learn of it within two seconds.
    pub(crate) fn raise(&mut self) -> i64 {
        let epoch = self.epoch() + 1;
        let lag = if self.faults.slow > 0 {
            self.random.between(0, 2000)
        } else {
            0
        };
        let from = Instant::now() + Duration::from_millis(lag);
        self.epochs.push((from, epoch));
        epoch
    }

    /// Writes, as the API server does: admission, the log, the watches. The oracle sees it all.
    pub(crate) fn write(
        &mut self,
        who: Who,
        key: &Key,
        write: Write,
        dry: bool,
    ) -> Result<Bytes, Refused> {
        let now = self.clock.text();
        let status = matches!(write, Write::Merge(_, true));
        let mut intent = self.store.intend(key, write, &now)?;
        if let Who::Hub(_) = who
            && let Err(refused) = fence::admit(&intent, status, self.in_force())
        {
            if !dry {
                self.note(format_args!("{who:?} {key} refused: {}", refused.message));
            }
            return Err(refused);
        }
        if dry {
            return Ok(serde_json::to_vec(&intent.new.as_deref()).unwrap().into());
        }
        let (shown, changed) = self.store.commit(&mut intent, &now);
        if !changed {
            return Ok(shown);
        }
        if let Who::Hub(_) = who {
            self.wrote = Instant::now();
        }
        let version = self.store.version;
        if self.trace.is_some() {
            let new = intent.new.as_deref();
            let told = new.map_or_else(|| "is gone".to_owned(), told);
            self.note(format_args!("{who:?} {key} @{version} {told}"));
        }
        for said in self.oracle.see(who, &intent, &self.store, &self.members) {
            self.note(format_args!("VIOLATION {said}"));
        }
        self.feed();
        self.changed.notify_waiters();
        Ok(shown)
    }

    /// A write of a user or a member, which nothing refuses; false where the object is gone or has
    /// changed.
    pub(crate) fn put(&mut self, who: Who, key: &Key, write: Write) -> bool {
        self.write(who, key, write, false).is_ok()
    }

    /// Sends the last change to whoever watches its kind, each with a lag of its own.
    fn feed(&mut self) {
        let Some(change) = self.store.log.last().cloned() else {
            return;
        };
        let now = Instant::now();
        self.feeds.retain(|feed| !feed.send.is_closed());
        for at in 0..self.feeds.len() {
            if self.feeds[at].res != change.res {
                continue;
            }
            let lag = self.lag();
            let feed = &mut self.feeds[at];
            let stalled = self.stalls.get(feed.process).copied().unwrap_or(now);
            feed.due = feed.due.max(now + lag).max(stalled);
            let _ = feed.send.send((feed.due, change.line.clone()));
        }
    }

    /// How long an event takes to a process.
    fn lag(&mut self) -> Duration {
        let stalled = self.faults.stalled;
        let lag = if stalled > 0 && self.random.permille(stalled) {
            self.random.between(500, 8000)
        } else {
            self.random.between(0, 5)
        };
        Duration::from_millis(lag)
    }

    /// A status of an object, merged.
    pub(crate) fn merge_status(&mut self, who: Who, key: &Key, status: Value) -> bool {
        self.put(who, key, Write::Merge(json!({"status": status}), true))
    }
}

/// What matters of an object, for the trace.
fn told(object: &Value) -> String {
    let decision = &object["status"]["decision"];
    let mut text = String::new();
    if !object["metadata"]["deletionTimestamp"].is_null() {
        text.push_str("going ");
    }
    let assigned = |list: &Value| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let each = list.iter().map(|a| {
            format!(
                "{}={}",
                a["member"].as_str().unwrap_or_default(),
                a["replicas"]
            )
        });
        each.collect::<Vec<_>>().join(",")
    };
    if decision.is_object() {
        let id = decision["id"].as_str().unwrap_or_default();
        let _ = write!(
            text,
            "g{} decision {id} g{} e{} [{}] releasing [{}]",
            object["metadata"]["generation"],
            decision["generation"],
            decision["epoch"],
            assigned(&decision["assignments"]),
            assigned(&decision["releasing"]),
        );
    }
    if let Some(epoch) = object["spec"]["epoch"].as_i64() {
        let spec = &object["spec"];
        let _ = write!(
            text,
            "decision {} e{epoch} [{}] retire {}",
            spec["decision"].as_str().unwrap_or_default(),
            assigned(&spec["assignments"]),
            spec["retire"],
        );
    }
    if let Some(effective) = object["status"].get("effective") {
        let _ = write!(text, "effective {effective}");
    }
    text
}
