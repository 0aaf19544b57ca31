//! Bugs sown on purpose, behind the feature `seeded-bugs`: they show that a test of a wall fails
//! when the wall is taken away. Never compiled into a release.

/// Whether the leader's own check of its lease is off, so that the fence alone refuses.
#[cfg(feature = "seeded-bugs")]
pub fn lease_check_is_off() -> bool {
    std::env::var("HEYUN_SEEDED_BUG").is_ok_and(|bugs| bugs.contains("lease-check"))
}

/// Without the feature nothing is sown.
#[cfg(not(feature = "seeded-bugs"))]
pub const fn lease_check_is_off() -> bool {
    false
}
