//! The examples say the same in both forms: plain manifests for `heyun deploy`, Workloads for
//! kubectl.

use std::path::Path;
use std::process::Command;

use heyun_sandbox::built_binary;
use serde::Deserialize;
use serde_json::Value;

/// A plain file with what `heyun deploy` is told beside it.
const DEPLOYED: &[(&str, &[&str])] = &[
    (
        "booking",
        &["-n", "gd-health-booking", "--placement-ref", "three-clouds"],
    ),
    ("aid", &["-n", "gz-civil-affairs-aid"]),
    ("bus-report", &["-n", "sz-transport-bus"]),
];

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

#[test]
fn workloads_for_kubectl_are_what_deploy_prints() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let examples = examples.join("examples");
    let text = std::fs::read_to_string(examples.join("50-workloads.yaml")).expect("a file");
    let committed: Vec<Value> = documents(&text)
        .into_iter()
        .filter(|o| o["kind"] == "Workload")
        .collect();
    let heyun = built_binary("heyun").expect("heyun is built");
    let mut printed = Vec::new();
    for (name, more) in DEPLOYED {
        let file = examples.join(format!("workloads/{name}.yaml"));
        let output = Command::new(&heyun)
            .args(["deploy", "-f", file.to_str().expect("UTF-8")])
            .args(*more)
            .args(["--dry-run=client", "-o", "yaml"])
            .output()
            .expect("heyun runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        printed.extend(
            documents(&text)
                .into_iter()
                .filter(|o| o["kind"] == "Workload"),
        );
    }
    assert_eq!(
        committed, printed,
        "examples/50-workloads.yaml: write it anew with heyun deploy --dry-run=client -o yaml"
    );
}
