//! The workspace's own executables, for tests, demo and benchmarks.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::cache::workspace;
use crate::{Error, KeeperCommand, Result};

/// An executable of this workspace, up to date.
///
/// The first call of a process builds all of them and takes their paths from Cargo's messages: a
/// path guessed under `target/` may be an old one's. When nothing changed that takes some 20 ms,
/// and it does not block inside a running `cargo test`. In release if the caller is.
///
/// # Errors
/// [`Error::Command`] if the build fails, [`Error::Missing`] for a name that is none of them.
pub fn built_binary(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<BTreeMap<String, PathBuf>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| error.to_string()));
    match built {
        Err(error) => Err(Error::Missing(format!(
            "{name} could not be built: {error}"
        ))),
        Ok(all) => all.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            Error::Missing(format!(
                "the workspace has no binary {name:?}, but {}",
                names.join(", ")
            ))
        }),
    }
}

/// [`built_binary`] of the keeper.
///
/// # Errors
/// As those of [`built_binary`].
pub fn built_keeper() -> Result<KeeperCommand> {
    built_binary("heyun-keeper").map(KeeperCommand::binary)
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

fn build() -> Result<BTreeMap<String, PathBuf>> {
    let workspace = workspace()
        .ok_or_else(|| Error::Missing("no workspace around this executable".to_owned()))?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--workspace", "--bins"]);
    command
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What Cargo sets for a program it runs would make it rebuild what depends on these.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    // Its standard error is ours: a build that takes minutes shows it.
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|source| Error::Io {
        what: "starting cargo".to_owned(),
        source,
    })?;
    if !output.status.success() {
        return Err(Error::Command {
            command: "cargo build --workspace --bins".to_owned(),
            status: output.status.to_string(),
            stderr: "see above".to_owned(),
        });
    }
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let binary = |message: Message| {
        let target = message
            .target
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"))?;
        (message.reason == "compiler-artifact").then_some((target.name, message.executable?))
    };
    messages
        .lines()
        .filter_map(|line| binary(serde_json::from_str(line).ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"b"},"executable":"/t/b"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        let found = executables(messages);
        assert_eq!(
            found,
            BTreeMap::from([("b".to_owned(), PathBuf::from("/t/b"))])
        );
    }
}
