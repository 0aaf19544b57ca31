//! What to do about the Lease, decided from plain data.
//!
//! Time is a monotonic reading of this process: a lease is judged by how long *we* have seen it
//! unchanged, never by comparing another machine's wall clock with ours.

use std::time::Duration;

/// The Lease as this process last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeaseView {
    /// `spec.holderIdentity`; empty: released.
    pub holder: String,
    /// `spec.leaseTransitions`: the epoch in force.
    pub epoch: i64,
    /// `metadata.resourceVersion`: changes with each renewal.
    pub version: String,
    /// `spec.leaseDurationSeconds` of the holder.
    pub duration: Duration,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create the Lease with this epoch.
    Create {
        /// First epoch.
        epoch: i64,
    },
    /// Take the Lease over with this epoch, by resourceVersion.
    Acquire {
        /// New epoch.
        epoch: i64,
        /// How long to wait until nothing of the last holder can still arrive.
        settle: Duration,
    },
    /// Renew our own.
    Renew,
    /// Another holds it.
    Wait,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// The Lease; none if there is none.
    pub lease: Option<&'a LeaseView>,
    /// How long it has looked as it does now.
    pub unchanged: Duration,
    /// Highest epoch in any decision or Work.
    pub highest: i64,
    /// Whether this process has a term that has not ended.
    pub holds: bool,
}

/// Decides from what was seen.
///
/// The wait after taking over covers the holder's lease and the deadline of its last write; a
/// released Lease has neither. A Lease of our own without a term (it was not renewed in time, or
/// an answer was lost) is acquired anew: its epoch may have been given up on.
pub(super) fn step(me: &str, seen: &Seen<'_>, write_timeout: Duration) -> Step {
    let Some(lease) = seen.lease else {
        return Step::Create {
            epoch: seen.highest.saturating_add(1),
        };
    };
    let epoch = lease.epoch.max(seen.highest).saturating_add(1);
    if lease.holder == me {
        if seen.holds {
            return Step::Renew;
        }
        return Step::Acquire {
            epoch,
            settle: write_timeout,
        };
    }
    if lease.holder.is_empty() {
        return Step::Acquire {
            epoch,
            settle: Duration::ZERO,
        };
    }
    if seen.unchanged <= lease.duration {
        return Step::Wait;
    }
    let settle = (lease.duration + write_timeout).saturating_sub(seen.unchanged);
    Step::Acquire { epoch, settle }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Duration = Duration::from_secs(4);

    fn lease(holder: &str) -> LeaseView {
        LeaseView {
            holder: holder.into(),
            epoch: 4,
            version: "9".into(),
            duration: Duration::from_secs(15),
        }
    }

    fn seen(lease: Option<&LeaseView>, unchanged: u64, highest: i64, holds: bool) -> Seen<'_> {
        Seen {
            lease,
            unchanged: Duration::from_secs(unchanged),
            highest,
            holds,
        }
    }

    #[test]
    fn each_acquisition_raises_the_epoch_above_all_that_was_ever_written() {
        assert_eq!(
            step("a", &seen(None, 0, 6, false), WRITE),
            Step::Create { epoch: 7 }
        );
        let free = lease("");
        let acquire = |epoch| Step::Acquire {
            epoch,
            settle: Duration::ZERO,
        };
        assert_eq!(
            step("a", &seen(Some(&free), 0, 6, false), WRITE),
            acquire(7)
        );
        assert_eq!(
            step("a", &seen(Some(&free), 0, 2, false), WRITE),
            acquire(5)
        );
    }

    #[test]
    fn a_lease_that_still_changes_is_not_taken() {
        let held = lease("b");
        assert_eq!(
            step("a", &seen(Some(&held), 15, 0, false), WRITE),
            Step::Wait
        );
        assert_eq!(
            step("a", &seen(Some(&held), 16, 0, false), WRITE),
            Step::Acquire {
                epoch: 5,
                settle: Duration::from_secs(3)
            }
        );
    }

    #[test]
    fn a_lease_of_our_own_is_renewed_in_a_term_and_acquired_anew_without_one() {
        let ours = lease("b");
        assert_eq!(
            step("b", &seen(Some(&ours), 99, 0, true), WRITE),
            Step::Renew
        );
        assert_eq!(
            step("b", &seen(Some(&ours), 0, 0, false), WRITE),
            Step::Acquire {
                epoch: 5,
                settle: WRITE
            }
        );
    }
}
