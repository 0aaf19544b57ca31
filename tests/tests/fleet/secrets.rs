//! A Secret's payload reaches the member and stands nowhere else.

use std::fs;
use std::path::Path;

use heyun_tests::fleet::{TestTenant, fleet, list};

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
