//! The clock of a simulation: tokio's, which stands still while anything can run.

use std::time::Duration;

use heyun_member::clock::Clock;
use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time since the simulation began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimClock(Instant);

impl SimClock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The moment as Kubernetes writes it.
    pub(crate) fn text(&self) -> String {
        let now = self.now();
        Timestamp::from_second(now.as_second()).unwrap().to_string()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        start.checked_add(self.monotonic()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}
