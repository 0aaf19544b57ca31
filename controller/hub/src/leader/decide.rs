//! What to do about the Lease, decided from plain data.
//!
//! Time is a monotonic reading of this process: a lease is judged by how long *we* have seen it
//! unchanged, never by comparing another machine's wall clock with ours.

use std::time::Duration;

/// The Lease as this process last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
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
pub enum Step {
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

/// Decides from what was seen.
///
/// `unchanged` is how long the Lease has looked as it does now; `highest` is the highest epoch in
/// any decision or Work. The wait after taking over covers the holder's lease and the deadline of
/// its last write; a released Lease has neither.
pub fn step(
    me: &str,
    seen: Option<&LeaseView>,
    unchanged: Duration,
    highest: i64,
    write_timeout: Duration,
) -> Step {
    let Some(lease) = seen else {
        return Step::Create { epoch: highest.saturating_add(1) };
    };
    if lease.holder == me {
        return Step::Renew;
    }
    let epoch = lease.epoch.max(highest).saturating_add(1);
    if lease.holder.is_empty() {
        return Step::Acquire { epoch, settle: Duration::ZERO };
    }
    if unchanged <= lease.duration {
        return Step::Wait;
    }
    let settle = (lease.duration + write_timeout).saturating_sub(unchanged);
    Step::Acquire { epoch, settle }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str) -> LeaseView {
        LeaseView {
            holder: holder.into(),
            epoch: 4,
            version: "9".into(),
            duration: Duration::from_secs(15),
        }
    }

    #[test]
    fn each_acquisition_raises_the_epoch_above_all_that_was_ever_written() {
        let write = Duration::from_secs(4);
        assert_eq!(step("a", None, Duration::ZERO, 6, write), Step::Create { epoch: 7 });
        let released = lease("");
        assert_eq!(
            step("a", Some(&released), Duration::ZERO, 6, write),
            Step::Acquire { epoch: 7, settle: Duration::ZERO }
        );
        assert_eq!(
            step("a", Some(&released), Duration::ZERO, 2, write),
            Step::Acquire { epoch: 5, settle: Duration::ZERO }
        );
    }

    #[test]
    fn a_lease_that_still_changes_is_not_taken() {
        let held = lease("b");
        let write = Duration::from_secs(4);
        assert_eq!(step("a", Some(&held), Duration::from_secs(15), 0, write), Step::Wait);
        assert_eq!(
            step("a", Some(&held), Duration::from_secs(16), 0, write),
            Step::Acquire { epoch: 5, settle: Duration::from_secs(3) }
        );
        assert_eq!(step("b", Some(&held), Duration::from_secs(99), 0, write), Step::Renew);
    }
}
