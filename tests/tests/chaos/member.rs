//! A member whose API server is killed: unknown, not empty.

use std::collections::BTreeSet;

use heyun_sandbox::Component;
use serde_json::json;

use crate::common::{Ground, condition, deployment, manifests};

const LOST: &str = "shenzhen-1";
const NAMESPACE: &str = "gd-health-booking";

#[test]
fn a_member_that_does_not_answer_is_unknown_keeps_its_work_and_gets_no_new() {
    let ground = Ground::with_province();
    let placement = json!({"placementRef": {"name": "three-clouds"}});
    ground.deploy(
        NAMESPACE,
        "booking",
        &manifests("workloads/booking.yaml"),
        &placement,
    );
    ground.ready(NAMESPACE, "booking", Some(12));
    let (works, pods) = (works(&ground), pods(&ground));
    assert!(
        !works.is_empty() && !pods.is_empty(),
        "booking is on {LOST}: {works:?} {pods:?}"
    );

    let cluster = ground.sandbox.fleet().cluster(LOST).expect("a member");
    let server = cluster
        .component(Component::ApiServer)
        .expect("its API server");
    server.kill().expect("it is killed");
    is_ready(&ground, "Unknown");

    // Anyone of the others would do, and only they: the lost one is as free as before.
    ground.deploy(
        NAMESPACE,
        "newcomer",
        &[deployment("newcomer", 6)],
        &json!({}),
    );
    let newcomer = ground.ready(NAMESPACE, "newcomer", Some(6));
    let placed = members(&newcomer);
    assert!(
        !placed.contains(LOST),
        "new work went to {LOST}, which does not answer: {placed:?}"
    );
    let only = json!({"placement": {"affinity": [{"name": "lost", "members": [LOST]}]}});
    ground.deploy(NAMESPACE, "insistent", &[deployment("insistent", 1)], &only);
    ground.eventually("the one that insists on it to be refused", || {
        let object = ground.get("workload", NAMESPACE, "insistent")?;
        match object["status"]["explanation"]["refused"]["Unreachable"].as_u64() {
            Some(_) if object["status"]["decision"].is_null() => Ok(()),
            _ => Err(object["status"].to_string()),
        }
    });
    assert_eq!(
        self::works(&ground),
        works,
        "its Works stay, the same objects"
    );
    let booking = ground
        .get("workload", NAMESPACE, "booking")
        .expect("booking");
    assert!(members(&booking).contains(LOST), "{}", booking["status"]);

    server.start().expect("it is started again");
    cluster.wait_ready().expect("it is ready");
    is_ready(&ground, "True");
    // What waited for it goes there now.
    let insistent = ground.ready(NAMESPACE, "insistent", Some(1));
    assert_eq!(members(&insistent), BTreeSet::from([LOST.to_owned()]));
    ground.ready(NAMESPACE, "booking", Some(12));
    assert_eq!(
        self::works(&ground).intersection(&works).count(),
        works.len(),
        "Works stayed"
    );
    assert_eq!(
        self::pods(&ground).intersection(&pods).count(),
        pods.len(),
        "no pod restarted"
    );
}

fn is_ready(ground: &Ground, wanted: &str) {
    ground.eventually(&format!("{LOST} to be Ready={wanted}"), || {
        let ready = condition(&ground.get("membercluster", "", LOST)?, "Ready");
        if ready["status"] == wanted {
            Ok(())
        } else {
            Err(ready.to_string())
        }
    });
}

/// uids of the Works of the lost member.
fn works(ground: &Ground) -> BTreeSet<String> {
    let namespace = format!("heyun-member-{LOST}");
    uids(ground, "hub", "works", &namespace)
}

/// uids of its pods.
fn pods(ground: &Ground) -> BTreeSet<String> {
    uids(ground, LOST, "pods", NAMESPACE)
}

fn uids(ground: &Ground, cluster: &str, kind: &str, namespace: &str) -> BTreeSet<String> {
    let list = ground
        .cluster(cluster)
        .json(&["get", kind, "-n", namespace])
        .expect("a list");
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .filter_map(|o| o["metadata"]["uid"].as_str().map(str::to_owned))
        .collect()
}

/// Members that a Workload's decision names.
fn members(workload: &serde_json::Value) -> BTreeSet<String> {
    let assignments = workload["status"]["decision"]["assignments"].as_array();
    let names = assignments
        .into_iter()
        .flatten()
        .filter_map(|a| a["member"].as_str());
    names.map(str::to_owned).collect()
}
