//! The arrows of docs/architecture.md: declared dependencies equal the table, and pure crates
//! pull in nothing that does I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Who may depend on whom among our crates; `heyun-tests` depends on all and is left out.
const ARROWS: &[(&str, &[&str])] = &[
    ("heyun-crds", &[]),
    ("heyun-scheduler", &[]),
    ("heyun-telemetry", &[]),
    ("heyun-sandbox", &[]),
    ("heyun-plan", &["heyun-crds", "heyun-scheduler"]),
    (
        "heyun-member",
        &["heyun-plan", "heyun-crds", "heyun-telemetry"],
    ),
    ("heyun-ledger", &["heyun-telemetry"]),
    (
        "heyun-hub",
        &[
            "heyun-plan",
            "heyun-scheduler",
            "heyun-crds",
            "heyun-member",
            "heyun-ledger",
            "heyun-telemetry",
        ],
    ),
    (
        "heyun",
        &[
            "heyun-plan",
            "heyun-scheduler",
            "heyun-crds",
            "heyun-member",
            "heyun-ledger",
            "heyun-sandbox",
        ],
    ),
];

/// What no pure crate may pull in, directly or not.
const IMPURE: &[&str] = &[
    "kube-client",
    "kube",
    "tokio",
    "hyper",
    "sqlx",
    "rand",
    "reqwest",
    "axum",
    "tonic",
];

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let text = cargo(&[
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--locked",
        "--offline",
    ]);
    let metadata: serde_json::Value = serde_json::from_str(&text).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let ours = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .map(|d| d["name"].as_str().expect("a name").to_owned())
                .filter(|name| name == "heyun" || name.starts_with("heyun-"))
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), ours)
        })
        .collect()
}

#[test]
fn declared_arrows_are_those_of_the_design() {
    let mut declared = declared();
    declared
        .remove("heyun-tests")
        .expect("heyun-tests is in the workspace");
    let wanted: BTreeMap<String, BTreeSet<String>> = ARROWS
        .iter()
        .map(|(name, to)| {
            (
                (*name).to_owned(),
                to.iter().map(|t| (*t).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(
        declared, wanted,
        "left: declared in Cargo.toml; right: the design"
    );
}

#[test]
fn pure_crates_pull_in_nothing_that_does_io() {
    for crate_name in ["heyun-scheduler", "heyun-plan", "heyun-crds"] {
        let tree = cargo(&[
            "tree",
            "-p",
            crate_name,
            "-e",
            "normal",
            "--prefix",
            "none",
            "--locked",
            "--offline",
        ]);
        let names: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(
            names.contains(crate_name),
            "the tree of {crate_name} was read"
        );
        let found: Vec<_> = IMPURE
            .iter()
            .filter(|name| names.contains(**name))
            .collect();
        assert!(found.is_empty(), "{crate_name} pulls in {found:?}");
    }
}

#[test]
fn versions_and_features_stand_in_the_workspace_alone() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let mut seen = 0;
    for dir in crate_dirs(root) {
        let text = std::fs::read_to_string(dir.join("Cargo.toml")).expect("a manifest");
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies && line.contains('=') {
                seen += 1;
                assert!(
                    line.trim().ends_with(".workspace = true"),
                    "{}: `{line}`: write `NAME.workspace = true` and the version in the root",
                    dir.display()
                );
            }
        }
    }
    assert!(seen > 50, "only {seen} dependencies were looked at");
}

fn crate_dirs(root: &std::path::Path) -> Vec<std::path::PathBuf> {
    [
        "crds",
        "scheduler",
        "controller/plan",
        "controller/member",
        "controller/ledger",
        "controller/telemetry",
        "controller/hub",
        "cli",
        "tests",
        "tests/sandbox",
    ]
    .iter()
    .map(|d| root.join(d))
    .collect()
}
