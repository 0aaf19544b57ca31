//! A Secret's payload reaches the member and stands nowhere else; one that changes reaches it too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use heyun_sandbox::Kubectl;
use heyun_tests::fleet::{Shared, TestTenant, alone, fleet, list};
use serde_json::Value;

use crate::quiet;

const CANARY: &str = "canary-7f3a9c-never-shown";
/// The same as an API server shows it.
const CANARY_BASE64: &str = "Y2FuYXJ5LTdmM2E5Yy1uZXZlci1zaG93bg==";

#[test]
fn a_canary_is_on_the_member_and_nowhere_of_ours() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-secrets", 100);
    let ns = tenant.name.as_str();
    let yaml = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: db, namespace: {ns}}}\nstringData: {{password: {CANARY}}}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: db}}\nspec:\n  selector: {{matchLabels: {{app: db}}}}\n  \
         template:\n    metadata: {{labels: {{app: db}}}}\n    spec:\n      containers:\n      - name: main\n        \
         image: registry.gov.example/db:1\n        \
         env: [{{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: db, key: password}}}}}}]\n"
    );
    shared.deploy(ns, "db", &yaml, None);
    let found = shared.ready(ns, "db");
    let member = found["status"]["members"][0]["name"].as_str().unwrap();
    let secret = shared
        .member(member)
        .json(&["get", "secret", "db", "-n", ns])
        .unwrap();
    assert_eq!(secret["data"]["password"], CANARY_BASE64);

    // Where a Secret is native it may be; everything of ours is read as a whole.
    for args in [
        ["get", "heyun", "-A", "-o", "json"].as_slice(),
        &["get", "works", "-A", "-o", "json"],
        &["get", "events", "-A", "-o", "json"],
        &["get", "configmaps", "-A", "-o", "json"],
    ] {
        clean(&args.join(" "), shared.hub().run(args).unwrap().as_bytes());
    }
    let kinds = "deployments,replicasets,pods,configmaps,events";
    let objects = shared
        .member(member)
        .json(&["get", kinds, "-n", ns])
        .unwrap();
    assert!(!list(&objects).is_empty());
    clean("the objects on the member", objects.to_string().as_bytes());
    let hub = shared.sandbox.dir().join("hub").join("heyun-hub");
    assert!(files(&hub) > 0, "no ledger in {}", hub.display());
    assert!(files(&shared.sandbox.fleet().logs()) > 0);
}

fn clean(place: &str, bytes: &[u8]) {
    for needle in [CANARY, CANARY_BASE64] {
        let found = bytes
            .windows(needle.len())
            .any(|window| window == needle.as_bytes());
        assert!(!found, "{needle} stands in {place}");
    }
}

/// Checks every file below; answers how many there were.
fn files(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += files(&path);
        } else {
            clean(&path.display().to_string(), &fs::read(&path).unwrap());
            count += 1;
        }
    }
    count
}

/// A Deployment that needs the Secret `db` and takes `extra` where it is there.
const APP: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: main
        image: registry.gov.example/app:1
        env:
        - {name: NEEDED, valueFrom: {secretKeyRef: {name: db, key: value}}}
        - {name: OPTIONAL, valueFrom: {secretKeyRef: {name: extra, key: value, optional: true}}}
";
/// Values of Secrets as an API server shows them.
const ONE: &str = "b25l";
const TWO: &str = "dHdv";
const THREE: &str = "dGhyZWU=";

/// How long the hub is watched for a write that must not come.
const WATCHED: Duration = Duration::from_secs(10);

fn secret(ns: &str, name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {ns}}}\nstringData: {{value: {value}}}\n"
    )
}

/// Deploys [`APP`] with its Secret as an agency does.
fn deploy(shared: &Shared, ns: &str, value: &str) {
    let yaml = format!("{}---\n{APP}", secret(ns, "db", value));
    shared.deploy(ns, "app", &yaml, None);
}

#[test]
fn a_changed_secret_reaches_the_member_and_no_pod_restarts() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-rotated", 100);
    let ns = tenant.name.as_str();
    deploy(shared, ns, "one");
    let before = shared.ready(ns, "app");
    let member = before["status"]["members"][0]["name"].as_str().unwrap();
    arrives(shared.member(member), shared, ns, "db", ONE);
    let pods = shared.pods(ns);
    assert_eq!(pods.len(), 1);
    let first = carried(shared, member, ns, "db").unwrap();

    // The same manifests again, with another password: the Workload itself does not change.
    deploy(shared, ns, "two");
    arrives(shared.member(member), shared, ns, "db", TWO);
    let second = carried(shared, member, ns, "db").unwrap();
    assert_ne!(first["hash"], second["hash"]);
    let copies = format!("heyun-member-{member}");
    let copy = second["source"].as_str().unwrap();
    arrives(shared.hub(), shared, &copies, copy, TWO);

    // By any other hand.
    let patch = r#"{"stringData": {"value": "three"}}"#;
    shared
        .hub()
        .run(&[
            "patch",
            "secret",
            "db",
            "-n",
            ns,
            "--type=merge",
            "-p",
            patch,
        ])
        .unwrap();
    arrives(shared.member(member), shared, ns, "db", THREE);
    reported(shared, member, ns);
    let after = shared.ready(ns, "app");
    assert_eq!(
        after["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    assert_eq!(
        after["status"]["decision"]["id"],
        before["status"]["decision"]["id"]
    );
    assert_eq!(shared.pods(ns), pods);
}

#[test]
fn a_secret_that_comes_later_goes_along_and_one_that_goes_is_taken_away() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-late-secret", 100);
    let ns = tenant.name.as_str();
    deploy(shared, ns, "one");
    let ready = shared.ready(ns, "app");
    let member = ready["status"]["members"][0]["name"].as_str().unwrap();
    let pods = shared.pods(ns);
    assert!(carried(shared, member, ns, "extra").is_none());

    shared.hub().apply(&secret(ns, "extra", "one")).unwrap();
    arrives(shared.member(member), shared, ns, "extra", ONE);
    let there = carried(shared, member, ns, "extra").unwrap();
    let copies = format!("heyun-member-{member}");
    let copy = there["source"].as_str().unwrap();
    arrives(shared.hub(), shared, &copies, copy, ONE);

    let delete = ["delete", "secret", "extra", "-n", ns];
    shared.hub().run(&delete).unwrap();
    goes(shared.member(member), shared, ns, "extra");
    goes(shared.hub(), shared, &copies, copy);
    assert!(carried(shared, member, ns, "extra").is_none());

    // The same again, as the one that was taken away.
    shared.hub().apply(&secret(ns, "extra", "one")).unwrap();
    arrives(shared.member(member), shared, ns, "extra", ONE);
    reported(shared, member, ns);
    shared.ready(ns, "app");
    assert_eq!(shared.pods(ns), pods);
}

#[test]
fn a_secret_that_nobody_uses_and_one_that_says_the_same_cause_no_write() {
    let (shared, _turn) = alone();
    let tenant = TestTenant::new(shared, "fleet-unused-secret", 100);
    let ns = tenant.name.as_str();
    deploy(shared, ns, "one");
    let ready = shared.ready(ns, "app");
    let member = ready["status"]["members"][0]["name"].as_str().unwrap();
    quiet::settle(shared);
    let before = quiet::count(shared);
    shared.hub().apply(&secret(ns, "other", "one")).unwrap();
    shared.hub().apply(&secret(ns, "other", "two")).unwrap();
    let note = [
        "annotate",
        "secret",
        "db",
        "-n",
        ns,
        "tests.example/note=new",
    ];
    shared.hub().run(&note).unwrap();
    let writes = quiet::writes_since(shared, &before, WATCHED);
    assert!(writes.is_empty(), "for nothing: {writes:#?}");
    // And the watch was there all the time.
    deploy(shared, ns, "two");
    arrives(shared.member(member), shared, ns, "db", TWO);
}

/// [`APP`] under another name.
fn app(name: &str) -> String {
    let renamed = APP
        .replace("name: app}", &format!("name: {name}}}"))
        .replace("app: app", &format!("app: {name}"));
    format!("{renamed}---\n")
}

#[test]
fn workloads_share_a_secret_and_the_last_one_takes_it_away() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-shared-secret", 100);
    let ns = tenant.name.as_str();
    let member = shared.members().into_iter().next().unwrap();
    let placement = format!(
        "apiVersion: heyun.dev/v1alpha1\nkind: Placement\nmetadata: {{name: here, namespace: {ns}}}\n\
         spec: {{affinity: [{{name: here, members: [{member}]}}]}}\n"
    );
    shared.hub().apply(&placement).unwrap();
    shared.hub().apply(&secret(ns, "db", "one")).unwrap();
    for name in ["first", "second"] {
        shared.deploy(ns, name, &app(name), Some("here"));
        shared.ready(ns, name);
    }
    let on_member = shared.member(&member);
    let uid = |value: &str| {
        arrives(on_member, shared, ns, "db", value);
        let found = on_member.json(&["get", "secret", "db", "-n", ns]).unwrap();
        found["metadata"]["uid"].clone()
    };
    let before = uid(ONE);

    // The one that asserts it goes: it stays for the other, and changes reach it as before.
    let delete = |name: &str| {
        let args = ["delete", "workload", name, "-n", ns, "--timeout=60s"];
        shared.hub().run(&args).unwrap();
    };
    delete("first");
    assert_eq!(uid(ONE), before);
    shared.hub().apply(&secret(ns, "db", "two")).unwrap();
    assert_eq!(uid(TWO), before);
    shared.ready(ns, "second");

    delete("second");
    goes(on_member, shared, ns, "db");
}

/// What the Work on that member says of a Secret of this tenant.
fn carried(shared: &Shared, member: &str, ns: &str, name: &str) -> Option<Value> {
    let works = works(shared, member, ns);
    let mut secrets = works
        .iter()
        .flat_map(|work| work["spec"]["secrets"].as_array().into_iter().flatten());
    secrets.find(|secret| secret["name"] == name).cloned()
}

fn works(shared: &Shared, member: &str, ns: &str) -> Vec<Value> {
    let namespace = format!("heyun-member-{member}");
    let all = shared
        .hub()
        .json(&["get", "works", "-n", &namespace])
        .unwrap();
    let of_tenant = list(&all)
        .iter()
        .filter(|work| work["spec"]["workload"]["namespace"] == ns);
    of_tenant.cloned().collect()
}

/// Waits until the member has reported on its Works as they stand.
fn reported(shared: &Shared, member: &str, ns: &str) {
    shared.eventually(&format!("Works of {ns} on {member} to be reported"), || {
        let works = works(shared, member, ns);
        let behind = works
            .iter()
            .find(|work| work["status"]["observedGeneration"] != work["metadata"]["generation"]);
        behind.map_or(Ok(()), |work| Err(work["status"].to_string()))
    });
}

fn arrives(kubectl: &Kubectl, shared: &Shared, ns: &str, name: &str, value: &str) {
    shared.eventually(&format!("Secret {ns}/{name} to be {value}"), || {
        let secret = kubectl
            .json(&["get", "secret", name, "-n", ns])
            .map_err(|e| e.to_string())?;
        let found = secret["data"]["value"].to_string();
        if secret["data"]["value"] == value {
            Ok(())
        } else {
            Err(found)
        }
    });
}

fn goes(kubectl: &Kubectl, shared: &Shared, ns: &str, name: &str) {
    shared.eventually(&format!("Secret {ns}/{name} to go"), || {
        let args = [
            "get",
            "secret",
            name,
            "-n",
            ns,
            "--ignore-not-found",
            "-o",
            "name",
        ];
        let found = kubectl.run(&args).map_err(|e| e.to_string())?;
        if found.trim().is_empty() {
            Ok(())
        } else {
            Err(found)
        }
    });
}
