//! Desired state that is reached stays: with no new input there are no more writes.

use std::collections::BTreeMap;
use std::time::Duration;

use heyun_sandbox::{AuditEvent, eventually};
use heyun_tests::fleet::{HUB_USER, Shared, TestTenant, alone, deployment, workload};

/// Quiet that is taken for settled, longer than the hub holds back amounts for people, and quiet
/// that is measured. The audit log leaves out Leases and Events.
const SETTLED: Duration = Duration::from_secs(12);
const MEASURED: Duration = Duration::from_secs(30);

#[test]
fn a_settled_hub_writes_nothing_but_leases() {
    let (shared, _turn) = alone();
    let tenant = TestTenant::new(shared, "fleet-quiet", 10);
    shared
        .hub()
        .apply(&workload(
            &tenant.name,
            "web",
            &[deployment("web", 2, "100m")],
            "",
        ))
        .unwrap();
    shared.ready(&tenant.name, "web");
    settle(shared);
    let writes = writes_since(shared, &count(shared), MEASURED);
    assert!(
        writes.is_empty(),
        "written in {MEASURED:?} of quiet: {writes:#?}"
    );
}

/// Waits until the hub has written nothing for a while.
pub(crate) fn settle(shared: &Shared) {
    let writes = |shared: &Shared| writes_since(shared, &count(shared), SETTLED);
    assert!(
        (0..10).any(|_| writes(shared).is_empty()),
        "the hub goes on writing: {:?}",
        writes(shared)
    );
}

/// What the hub writes beyond `before`, on its own cluster and on members, until there is any or
/// the time is over.
pub(crate) fn writes_since(
    shared: &Shared,
    before: &BTreeMap<String, usize>,
    time: Duration,
) -> BTreeMap<String, usize> {
    let seen = eventually("a write of the hub", time, None, || {
        let now = count(shared);
        if now == *before {
            Err("none".to_owned())
        } else {
            Ok(now)
        }
    });
    let mut more = seen.unwrap_or_default();
    more.retain(|what, number| {
        *number -= before.get(what).copied().unwrap_or(0).min(*number);
        *number > 0
    });
    more
}

/// Writes of the hub so far, by what they were.
pub(crate) fn count(shared: &Shared) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for cluster in shared.sandbox.fleet().clusters() {
        for event in cluster
            .audit()
            .unwrap()
            .iter()
            .filter(|event| event.user.username == HUB_USER)
        {
            *found.entry(shown(cluster.name(), event)).or_default() += 1;
        }
    }
    found
}

fn shown(cluster: &str, event: &AuditEvent) -> String {
    let path = event.request_uri.split('?').next().unwrap_or_default();
    format!("{cluster}: {} {path}", event.verb)
}
