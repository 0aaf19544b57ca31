//! The sandbox's own kubectl.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::IoContext;
use crate::{Error, Result};

/// kubectl by absolute path, for one cluster as its administrator. Another may be on PATH.
#[derive(Clone, Debug)]
pub struct Kubectl {
    path: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(path: PathBuf, kubeconfig: PathBuf, cache: PathBuf) -> Self {
        Self {
            path,
            kubeconfig,
            cache,
        }
    }

    /// A command to be run by the caller. The user's own settings do not reach it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        // Its default is by address, and the next fleet may have the same.
        command.arg("--cache-dir").arg(&self.cache);
        command
            .env("KUBERC", "off")
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it and answers its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command();
        command.args(args);
        output(command, args, None)
    }

    /// Runs it with this on standard input.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub fn run_with(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped());
        output(command, args, Some(input))
    }

    /// Server-side apply of YAML or JSON.
    ///
    /// # Errors
    /// [`Error::Command`] with what it said.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.run_with(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            manifests,
        )
    }

    /// Runs it with `-o json` and parses the answer.
    ///
    /// # Errors
    /// [`Error::Command`], [`Error::Json`].
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(&[args, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).map_err(|source| Error::Json {
            what: format!("kubectl {}", args.join(" ")),
            source,
        })
    }

    /// The kubeconfig that it uses.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }
}

fn output(mut command: Command, args: &[&str], input: Option<&str>) -> Result<String> {
    let name = || format!("kubectl {}", args.join(" "));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .io(|| format!("starting {}", name()))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // Beside the reading, or two full pipes would wait for each other.
        scope.spawn(move || {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // If it ends early, its status says why.
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        child.wait_with_output()
    })
    .io(|| format!("waiting for {}", name()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Command {
        command: name(),
        status: output.status.to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
