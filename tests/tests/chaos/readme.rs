//! The first session of the README, command by command, as a reader would type it.

use std::path::Path;
use std::process::Command;

use heyun_sandbox::built_binary;

use crate::common::alone;

/// The commands of the section "A first session", in order, without the one that builds.
fn session(readme: &str) -> Vec<String> {
    let section = readme
        .split("## A first session")
        .nth(1)
        .expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let mut commands = Vec::new();
    for block in section.split("```sh\n").skip(1) {
        let block = block.split("```").next().expect("the end of a block");
        commands.extend(block.lines().map(str::to_owned));
    }
    commands.retain(|line| !line.trim().is_empty() && !line.starts_with("cargo build"));
    commands
}

#[test]
fn the_first_session_of_the_readme_runs_as_it_is_written() {
    let _alone = alone();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let commands = session(&readme);
    assert!(
        commands.len() > 20,
        "only {} commands: {commands:?}",
        commands.len()
    );
    let hub = built_binary("heyun-hub").expect("heyun-hub is built");
    let bin = hub.parent().expect("a folder").display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = folder.path().join("sandbox");
    // kubectl is the sandbox's own, so that no other is needed.
    let mut script = format!(
        "set -euxo pipefail\nexport PATH={}/bin:$PATH\n",
        sandbox.display()
    );
    for line in &commands {
        let line = line.replace(
            "\"$PWD/target/sandbox/hub.kubeconfig\"",
            &format!("{}/hub.kubeconfig", sandbox.display()),
        );
        let line = line.replace("target/sandbox", &sandbox.display().to_string());
        let line = line.replace("$PWD/target/debug", &bin);
        script.push_str(&line);
        script.push('\n');
    }
    let output = Command::new("timeout")
        .args(["300", "bash", "-c", &script])
        .current_dir(root)
        .env("NO_COLOR", "1")
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let heyun = built_binary("heyun").expect("heyun is built");
        let dir = sandbox.display().to_string();
        let _ = Command::new(heyun)
            .args(["sandbox", "down", "--dir", &dir])
            .output();
    }
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(!sandbox.join("fleet.json").exists(), "the sandbox is down");
}
