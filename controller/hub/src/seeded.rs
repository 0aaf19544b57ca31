//! Bugs sown on purpose, behind the feature `seeded-bugs`: they show that a test of a wall fails
//! when the wall is taken away. Never compiled into a release, and off unless asked for.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A leader does not check its lease before it writes.
    LeaseCheck,
    /// A new leader does not wait until the fence is in force.
    Fence,
    /// A new leader decides by what it knew before it led, and lists nothing anew.
    Relist,
    /// A status is written on whatever version is there.
    Precondition,
    /// A write whose answer was lost is taken for one that was refused.
    Lost,
    /// What a chain under way will reserve is not held.
    Assumed,
    /// What is decided and what its Works say is added up, where the larger counts.
    Twice,
    /// What a decision frees is free before its member confirms it.
    Releasing,
    /// The tenant above is charged.
    Tenant,
    /// Works are written before the decision that they carry.
    Order,
    /// A Work is deleted without having been retired.
    Retire,
    /// A copy is removed before what replaces it is healthy.
    LastCopy,
    /// What counts of a quota changes while decisions made by the numbers of before are on their way.
    Quota,
    /// What waits is not looked at when a decision frees something.
    Unblock,
    /// What is released is told to its own tenant alone, and to none above.
    Above,
    /// What was kept for one that waits no more is told to nobody.
    Unkept,
    /// A status whose answer was lost counts as written where its decision is there already.
    Said,
    /// A decision of a past generation is left as it is while a newer one waits.
    Uphold,
    /// What is kept for one that waits for others to go is anybody's.
    Reserve,
    /// Who makes room for another gives up what its budgets keep too.
    Budget,
    /// That a Job has finished is never recorded.
    Finished,
    /// What has finished is decided on and made again.
    Anew,
}

#[cfg(feature = "seeded-bugs")]
mod sown {
    use std::cell::Cell;
    use std::sync::LazyLock;

    use super::Bug;

    thread_local! {
        static SOWN: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether the environment of the process names the check of the lease.
    static NAMED: LazyLock<bool> = LazyLock::new(|| {
        std::env::var("HEYUN_SEEDED_BUG").is_ok_and(|bugs| bugs.contains("lease-check"))
    });

    /// Sows a bug in all that this thread runs from now on; none: all is as it should be.
    pub fn sow(bug: Option<Bug>) {
        SOWN.set(bug);
    }

    /// Whether this bug is sown: in this thread, or in the process by its environment.
    pub fn is(bug: Bug) -> bool {
        SOWN.get() == Some(bug) || (bug == Bug::LeaseCheck && *NAMED)
    }
}

#[cfg(feature = "seeded-bugs")]
pub use sown::{is, sow};

/// Without the feature nothing is sown.
#[cfg(not(feature = "seeded-bugs"))]
pub const fn is(_: Bug) -> bool {
    false
}
