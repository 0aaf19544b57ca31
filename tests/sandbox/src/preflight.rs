//! What the machine must have, checked before anything is started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Cache, Error, Result};

const GIB: u64 = 1 << 30;
/// Free disk that a cold build needs: Go's module and build caches and the binaries.
const DISK: u64 = 15 * GIB;
/// Memory for a hub and three members. Machines sold as 6 GB show a little less.
const MEMORY: u64 = 6 * 1_000_000_000 * 95 / 100;
/// The least Go minor version, 1.26.
const GO_MINOR: u32 = 26;

/// Checks what a fleet needs to run: Linux, `setpriv`, memory.
///
/// # Errors
/// [`Error::Preflight`] with everything that is missing.
pub fn run() -> Result<()> {
    answer(run_problems())
}

/// Checks what building the control planes needs beside that: Go, a C compiler, disk.
///
/// # Errors
/// [`Error::Preflight`] with everything that is missing.
pub fn build(cache: &Cache) -> Result<()> {
    let mut problems = run_problems();
    problems.extend(go_problem());
    if ["cc", "gcc", "clang"]
        .iter()
        .all(|name| find(name).is_none())
    {
        problems.push("a C compiler is needed to build Heyun: apt-get install gcc".to_owned());
    }
    problems.extend(disk_problem(cache.root()));
    answer(problems)
}

/// `HEYUN_PREFLIGHT=off` lets a machine try that these checks refuse.
fn answer(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() || env::var("HEYUN_PREFLIGHT").is_ok_and(|value| value == "off") {
        return Ok(());
    }
    Err(Error::Preflight(problems))
}

fn run_problems() -> Vec<String> {
    let mut problems = Vec::new();
    if env::consts::OS != "linux" {
        problems.push(format!(
            "the sandbox needs Linux (all of 127.0.0.0/8 is loopback, parent-death signals); this is {}",
            env::consts::OS
        ));
    }
    if find("setpriv").is_none() {
        problems.push("setpriv is not on PATH: apt-get install util-linux".to_owned());
    }
    if let Some(total) = memory().filter(|&total| total < MEMORY) {
        problems.push(format!(
            "6 GB of memory are needed for a hub and three members, this machine has {:.1}",
            gib(total)
        ));
    }
    problems
}

fn go_problem() -> Option<String> {
    let fix = "install it from https://go.dev/dl/ and put it on PATH";
    match go_version() {
        None => Some(format!(
            "Go 1.{GO_MINOR} or newer is needed, and `go` is not on PATH: {fix}"
        )),
        Some(version) if go_minor(&version).is_none_or(|minor| minor < GO_MINOR) => Some(format!(
            "Go 1.{GO_MINOR} or newer is needed, `go` on PATH is {version}: {fix}"
        )),
        Some(_) => None,
    }
}

/// What `go env GOVERSION` says, for example `go1.26.8`.
pub(crate) fn go_version() -> Option<String> {
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// 26 of `go1.26.8`; a development build counts as new enough.
fn go_minor(version: &str) -> Option<u32> {
    if version.starts_with("devel") {
        return Some(u32::MAX);
    }
    let rest = version.strip_prefix("go1.")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn disk_problem(wanted: &Path) -> Option<String> {
    let existing = wanted.ancestors().find(|folder| folder.is_dir())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (free < DISK).then(|| {
        format!(
            "15 GB of free disk are needed to build the control planes, {} has {:.1}; \
             HEYUN_CACHE puts them elsewhere",
            existing.display(),
            gib(free)
        )
    })
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "one decimal for people")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

/// An executable of PATH, by absolute path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

/// Whether this is a file that may be run.
pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_compare_by_number() {
        assert_eq!(go_minor("go1.9.2"), Some(9));
        assert_eq!(go_minor("go1.26.8"), Some(26));
        assert_eq!(go_minor("go1.26rc1"), Some(26));
        assert_eq!(go_minor("go1.100"), Some(100));
        assert_eq!(go_minor("devel go1.27-abc"), Some(u32::MAX));
        assert_eq!(go_minor("gccgo"), None);
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory().unwrap() > GIB / 2);
    }
}
