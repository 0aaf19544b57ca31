//! Earlier decisions are told as they were made, and a snapshot of the hub decides as the hub did.

use std::collections::BTreeMap;

use heyun_tests::fleet::{Shared, TestTenant, deployment, fleet, simulated, workload};
use serde_json::Value;

/// Members of this test alone, with two nodes of so many cores.
const OWN: [(&str, &str); 2] = [("replay-a", "8"), ("replay-b", "8")];

const PLACEMENT: &str = "placement: {division: {type: ByCapacity}, \
     tolerations: [{key: heyun-tests/simulated, operator: Exists}], \
     affinity: [{name: own, matchLabels: {heyun-tests/fleet: replay}}]}";

#[test]
fn earlier_decisions_are_told_and_a_snapshot_decides_as_the_hub_did() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-replay", 20);
    let ns = tenant.name.as_str();
    for (name, cpu) in OWN {
        simulated(shared, name, "replay", 2, cpu);
    }
    let first = placed(shared, ns, 2);
    let huge = workload(ns, "huge", &[deployment("huge", 1, "100")], PLACEMENT);
    shared.hub().apply(&huge).unwrap();
    shared.condition("workload", ns, "huge", ["Scheduled", "False", ""]);
    let second = placed(shared, ns, 6);
    assert_ne!(first["id"], second["id"]);

    let kept = shared.eventually("both decisions to be in the ledger", || {
        let history = said(shared, &["why", "web", "-n", ns, "--history"])?;
        let items = history["items"].as_array().cloned().unwrap_or_default();
        let ids: Vec<&Value> = items.iter().map(|item| &item["decision"]).collect();
        if ids == [&second["id"], &first["id"]] {
            return Ok(items);
        }
        Err(history.to_string())
    });
    assert_eq!(sum(&kept[0]["members"]), 6, "{kept:?}");
    assert_eq!(sum(&kept[1]["members"]), 2, "{kept:?}");

    // What was in force then, by time and by id, with the members of then.
    let then = kept[1]["decidedAt"].as_str().unwrap();
    let id = first["id"].as_str().unwrap();
    for earlier in [["--at", then], ["--decision", id]] {
        let args = [&["why", "web", "-n", ns], &earlier[..]].concat();
        let why = said(shared, &args).unwrap();
        assert_eq!(
            (&why["decision"], &why["outcome"]),
            (&first["id"], &"Placed".into())
        );
        assert_eq!(why["inputsHash"], first["inputsHash"], "{why}");
        assert_eq!(sum(&Value::from_iter(chosen(&why))), 2, "{why}");
    }
    let now = said(shared, &["why", "web", "-n", ns]).unwrap();
    assert_eq!(now["decision"], second["id"]);
    let before = shared.heyun(&["why", "web", "-n", ns, "--at", "2020-01-01T00:00:00Z"]);
    let error = String::from_utf8_lossy(&before.stderr).into_owned();
    assert_eq!(before.status.code(), Some(3), "{error}");
    assert!(
        error.contains("the first is") && error.contains(id),
        "{error}"
    );
    let one = shared.heyun_ok(&["why", "web", "-n", ns, "--cluster", "replay-a"]);
    assert!(one.contains("\nreplay-a: chosen\n"), "{one}");
    assert!(!one.contains("replay-b: "), "{one}");

    refusals_are_kept_and_have_a_place(shared, ns);
    a_snapshot(shared, ns, &second);
    who_may_make_one(shared, ns);
    what_is_placed_stays_in_force(shared, ns, &second);
}

/// A generation that is refused leaves the decision before it in force, and `why` says so then and
/// later.
fn what_is_placed_stays_in_force(shared: &Shared, ns: &str, decision: &Value) {
    let yaml = workload(ns, "web", &[deployment("web", 6, "100")], PLACEMENT);
    shared.hub().apply(&yaml).unwrap();
    shared.condition("workload", ns, "web", ["Scheduled", "False", ""]);
    let refused = shared.eventually("the refusal to be in the ledger", || {
        let history = said(shared, &["why", "web", "-n", ns, "--history"])?;
        let newest = history["items"][0].clone();
        if newest["outcome"] == "Waiting" {
            return Ok(newest);
        }
        Err(history.to_string())
    });
    let id = refused["decision"].as_str().unwrap();
    for which in [&["--decision", id][..], &[]] {
        let args = [&["why", "web", "-n", ns], which].concat();
        let why = said(shared, &args).unwrap();
        assert_eq!(why["inForce"], decision["id"], "{which:?}: {why}");
    }
}

/// The platform's administrators may, and the owners of a tenant may not.
fn who_may_make_one(shared: &Shared, ns: &str) {
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\n\
        metadata: {name: fleet-replay-admin}\n\
        roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: heyun-platform-admin}\n\
        subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: replay-admin}]\n";
    shared.hub().apply(binding).unwrap();
    let made = shared.eventually("a platform administrator to make a snapshot", || {
        let output = shared.heyun(&["snapshot", "--as", "replay-admin"]);
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    });
    let made: Value = serde_json::from_slice(&made).unwrap();
    assert_eq!(made["kind"], "Snapshot");
    let admins = format!("{ns}:admins");
    let owner = ["snapshot", "--as", "owner", "--as-group", &admins];
    let output = shared.heyun(&owner);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{error}");
    assert!(
        error.contains("only who may read the whole platform"),
        "{error}"
    );
}

/// Makes `web` of so many replicas, and answers its decision.
fn placed(shared: &Shared, ns: &str, replicas: u32) -> Value {
    let yaml = workload(ns, "web", &[deployment("web", replicas, "1")], PLACEMENT);
    shared.hub().apply(&yaml).unwrap();
    shared.condition("workload", ns, "web", ["Scheduled", "True", ""]);
    let object = shared.get("workload", ns, "web").unwrap();
    object["status"]["decision"].clone()
}

fn refusals_are_kept_and_have_a_place(shared: &Shared, ns: &str) {
    let kept = shared.eventually("the refusal to be in the ledger", || {
        let history = said(shared, &["why", "huge", "-n", ns, "--history"])?;
        let first = history["items"][0].clone();
        if first.is_null() {
            return Err(history.to_string());
        }
        Ok(first)
    });
    let found = (kept["outcome"].as_str(), kept["reason"].as_str());
    assert_eq!(found, (Some("Waiting"), Some("NoMemberFits")), "{kept}");
    let id = kept["decision"].as_str().unwrap();
    let why = said(shared, &["why", "huge", "-n", ns, "--decision", id]).unwrap();
    assert!(why["members"].to_string().contains("replay-a"), "{why}");
    let now = said(shared, &["why", "huge", "-n", ns]).unwrap();
    let queue = &now["queue"];
    assert!(queue["position"].as_u64() >= Some(1), "{now}");
    assert!(
        queue["waiting"].as_u64() >= queue["position"].as_u64(),
        "{now}"
    );
    let events = queue["unblockedBy"].to_string();
    assert!(events.contains("CapacityFreed"), "{now}");
}

fn a_snapshot(shared: &Shared, ns: &str, decision: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json").display().to_string();
    shared.heyun_ok(&["snapshot", "--out", &file]);
    let (web, huge) = (format!("{ns}/web"), format!("{ns}/huge"));
    let mut args = vec!["simulate", "--snapshot", &file, "-o", "json"];
    args.extend(["--workload", &web, "--workload", &huge]);
    let text = shared.heyun_ok(&args);
    assert_eq!(shared.heyun_ok(&args), text, "the same bytes");
    let said: Value = serde_json::from_str(&text).unwrap();
    let of = |said: &Value, name: &str| {
        let items = said["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().find(|why| why["name"] == name).unwrap()
    };
    assert_eq!(chosen(&of(&said, "web")), assigned(decision), "{said}");
    assert_eq!(of(&said, "huge")["reason"], "NoMemberFits", "{said}");

    let scaled = format!("workload/{web}.replicas=9");
    args.extend([
        "--set",
        &scaled,
        "--set",
        "member/replay-a.unschedulable=true",
    ]);
    let said: Value = serde_json::from_str(&shared.heyun_ok(&args)).unwrap();
    let after = chosen(&of(&said, "web"));
    let before = assigned(decision);
    assert_eq!(after["replay-a"], before["replay-a"], "cordoned: {said}");
    assert_eq!(after["replay-b"], before["replay-b"] + 3, "{said}");
    assert_eq!(said["changed"][0]["workload"], web.as_str(), "{said}");
}

/// What a command says as JSON.
fn said(shared: &Shared, args: &[&str]) -> Result<Value, String> {
    let args = [args, &["-o", "json"]].concat();
    let output = shared.heyun(&args);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn sum(members: &Value) -> u64 {
    let members = members.as_object().unwrap();
    members.values().filter_map(Value::as_u64).sum()
}

/// Replicas by member that are told.
fn chosen(why: &Value) -> BTreeMap<String, u64> {
    let members = why["members"].as_array().unwrap();
    let chosen = members.iter().filter(|of| of["verdict"] == "chosen");
    chosen
        .map(|of| {
            let parts = of["replicas"].as_array().unwrap();
            let replicas = parts.iter().filter_map(|part| part["replicas"].as_u64());
            (of["member"].as_str().unwrap().to_owned(), replicas.sum())
        })
        .collect()
}

/// Replicas by member that are decided.
fn assigned(decision: &Value) -> BTreeMap<String, u64> {
    let all = decision["assignments"].as_array().unwrap();
    all.iter()
        .map(|of| {
            let member = of["member"].as_str().unwrap();
            (member.to_owned(), of["replicas"].as_u64().unwrap())
        })
        .collect()
}
