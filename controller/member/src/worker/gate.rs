//! When the executor may write: the member answers, its fence is raised, and what is there is
//! known.

use tokio::sync::watch;

/// What must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holds {
    answers: bool,
    fenced: bool,
    known: bool,
    listed: bool,
}

impl Holds {
    fn all(self) -> bool {
        self.answers && self.fenced && self.known && self.listed
    }
}

/// Open only while all of it holds.
#[derive(Debug)]
pub(super) struct Gate {
    holds: watch::Sender<Holds>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            holds: watch::Sender::new(Holds::default()),
        }
    }

    /// Whether the member answers.
    pub(super) fn set_answers(&self, answers: bool) {
        self.set(|holds| &mut holds.answers, answers);
    }

    /// Whether the fence is raised to our number.
    pub(super) fn set_fenced(&self, fenced: bool) {
        self.set(|holds| &mut holds.fenced, fenced);
    }

    /// Whether the first look at the applied objects is complete.
    pub(super) fn set_known(&self, known: bool) {
        self.set(|holds| &mut holds.known, known);
    }

    /// The list of Works is complete.
    pub(super) fn set_listed(&self) {
        self.set(|holds| &mut holds.listed, true);
    }

    fn set(&self, which: impl Fn(&mut Holds) -> &mut bool, value: bool) {
        self.holds.send_if_modified(|holds| {
            let slot = which(holds);
            let changed = *slot != value;
            *slot = value;
            changed
        });
    }

    /// Waits until the member answers.
    pub(super) async fn answers(&self) {
        self.wait(|holds| holds.answers).await;
    }

    /// Waits until the list of Works is complete.
    pub(super) async fn listed(&self) {
        self.wait(|holds| holds.listed).await;
    }

    /// Waits until the fence is no longer known to be raised.
    pub(super) async fn unfenced(&self) {
        self.wait(|holds| !holds.fenced).await;
    }

    /// Waits until the executor may write.
    pub(super) async fn open(&self) {
        self.wait(Holds::all).await;
    }

    async fn wait(&self, until: impl Fn(Holds) -> bool) {
        let mut seen = self.holds.subscribe();
        // The sender is ours: the channel cannot close.
        let _ = seen.wait_for(|holds| until(*holds)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn the_gate_opens_only_when_all_holds_and_closes_again() {
        let gate = Gate::new();
        gate.set_answers(true);
        gate.set_known(true);
        gate.set_listed();
        assert!(gate.open().now_or_never().is_none());
        gate.set_fenced(true);
        assert!(gate.open().now_or_never().is_some());
        gate.set_answers(false);
        assert!(gate.open().now_or_never().is_none());
    }
}
