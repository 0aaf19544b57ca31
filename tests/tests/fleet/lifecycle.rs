//! No pod restarts when what the hub remembers is taken from it.

use heyun_tests::fleet::{TestTenant, deployment, fleet, workload};

const DIVIDED: &str = "placement: {division: {type: ByCapacity}}";

#[test]
fn a_wiped_status_comes_back_and_no_pod_restarts() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-wiped", 100);
    let ns = tenant.name.as_str();
    shared
        .hub()
        .apply(&workload(
            ns,
            "web",
            &[deployment("web", 6, "200m")],
            DIVIDED,
        ))
        .unwrap();
    let before = shared.ready(ns, "web");
    let pods = shared.pods(ns);
    assert_eq!(pods.len(), 6);
    let wipe = [
        "patch",
        "workload",
        "web",
        "-n",
        ns,
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":null}"#,
    ];
    shared.hub().run(&wipe).unwrap();
    let after = shared.ready(ns, "web");
    let assignments = |w: &serde_json::Value| w["status"]["decision"]["assignments"].clone();
    assert_eq!(assignments(&after), assignments(&before));
    assert_eq!(shared.pods(ns), pods);
}

#[test]
fn orphaned_and_created_again_no_pod_restarts() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-orphaned", 100);
    let ns = tenant.name.as_str();
    let yaml = workload(
        ns,
        "web",
        &[deployment("web", 6, "200m")],
        &format!("deletionPolicy: Orphan\n{DIVIDED}"),
    );
    shared.hub().apply(&yaml).unwrap();
    let before = shared.ready(ns, "web");
    let pods = shared.pods(ns);
    assert_eq!(pods.len(), 6);
    shared
        .hub()
        .run(&["delete", "workload", "web", "-n", ns, "--timeout=90s"])
        .unwrap();
    assert_eq!(
        shared.pods(ns),
        pods,
        "the objects of an orphaned Workload stay"
    );
    shared.hub().apply(&yaml).unwrap();
    let after = shared.ready(ns, "web");
    let assignments = |w: &serde_json::Value| w["status"]["decision"]["assignments"].clone();
    assert_eq!(assignments(&after), assignments(&before));
    assert_eq!(shared.pods(ns), pods);
}

/// Without `Orphan` everything goes, and the charge with it.
#[test]
fn deleted_means_gone_everywhere() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-deleted", 100);
    let ns = tenant.name.as_str();
    shared
        .hub()
        .apply(&workload(
            ns,
            "web",
            &[deployment("web", 3, "200m")],
            DIVIDED,
        ))
        .unwrap();
    shared.ready(ns, "web");
    shared
        .hub()
        .run(&["delete", "workload", "web", "-n", ns, "--timeout=90s"])
        .unwrap();
    shared.eventually("no pod of it on any member", || match shared.pods(ns) {
        pods if pods.is_empty() => Ok(()),
        pods => Err(format!("{pods:?}")),
    });
    shared.eventually("nothing charged", || {
        let quota = shared.get("quota", "", ns)?;
        let used = |r: &serde_json::Value| r["used"] == "0" && r["charged"] == "0";
        let lines = quota["status"]["resources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !lines.is_empty() && lines.iter().all(used) {
            Ok(())
        } else {
            Err(quota["status"].to_string())
        }
    });
}
