//! Removing what a fleet leaves.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::{Error, Result};

/// Lists, one a line, what of the folder is the fleet's; `*` is all of it.
pub(crate) const OWNED: &str = ".owned";
/// If this file is there, the logs stay.
pub(crate) const KEEP_LOGS: &str = ".keep-logs";
/// The folder that stays then.
const LOGS: &str = "logs";

/// Waits until the keeper is gone, then removes what it left.
pub(super) fn wait_and_sweep(dir: PathBuf, session: &OsString) -> Result<()> {
    let session: i32 = session
        .to_string_lossy()
        .parse()
        .map_err(|_| Error::Keeper(format!("not a session: {}", session.display())))?;
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    // The signals are on their way already: what is found here was between fork and prctl, or
    // takes its time to die.
    for _ in 0..100 {
        if !kill_session(session) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    sweep(&dir);
    Ok(())
}

/// Kills every process of the keeper's session but this; whether there was one.
fn kill_session(session: i32) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return false;
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw);
    let mut found = false;
    for pid in pids.filter(|&pid| pid != getpid() && is_alive_in(session, pid)) {
        found |= kill_process(pid, Signal::KILL).is_ok();
    }
    found
}

fn is_alive_in(session: i32, pid: Pid) -> bool {
    u32::try_from(pid.as_raw_nonzero().get())
        .ok()
        .and_then(session_of)
        == Some(session)
}

/// The session of a process that is not dead. The dead ones that nobody asked how they ended, in a
/// container perhaps for ever, do not count.
pub(super) fn session_of(pid: u32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // PID (NAME) STATE PARENT GROUP SESSION …, where the name may hold anything.
    let mut fields = stat.rsplit(") ").next()?.split(' ');
    if fields.next()? == "Z" {
        None
    } else {
        fields.nth(2)?.parse().ok()
    }
}

/// Removes what [`OWNED`] lists, and the folder if it is empty then.
pub(crate) fn sweep(dir: &Path) {
    let Ok(owned) = fs::read_to_string(dir.join(OWNED)) else {
        return;
    };
    let keep = dir.join(KEEP_LOGS).exists();
    let everything;
    let names: Vec<&str> = if owned.lines().any(|line| line == "*") {
        everything = entries(dir);
        everything.iter().map(String::as_str).collect()
    } else {
        owned.lines().collect()
    };
    let last = [OWNED, KEEP_LOGS];
    let wanted = names.into_iter().filter(|name| !last.contains(name));
    for name in wanted.filter(|&name| !(keep && name == LOGS)) {
        // A name, never a path out of the folder.
        if Path::new(name).components().count() == 1 && name != ".." {
            remove(&dir.join(name));
        }
    }
    for name in last {
        remove(&dir.join(name));
    }
    let _ = fs::remove_dir(dir);
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn remove(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let _ = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// In a session of its own: that of this process may be led by one that this machine's process
    /// numbers do not reach (a container entered from outside), and then has the number 0.
    #[test]
    fn a_process_is_found_by_its_session_until_it_is_dead() {
        let mut child = Command::new("setsid")
            .arg("cat")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let session = i32::try_from(pid).unwrap();
        wait_for("a session of its own", || session_of(pid) == Some(session));
        let pid = Pid::from_raw(session).unwrap();
        assert!(is_alive_in(session, pid));
        assert!(!is_alive_in(session + 1, pid));
        assert!(kill_session(session));
        wait_for("the process to be dead", || !is_alive_in(session, pid));
        child.wait().unwrap();
        assert!(!kill_session(session));
    }

    fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
        let check = || is_so().then_some(()).ok_or_else(|| "not yet".to_owned());
        crate::eventually(what, Duration::from_secs(20), None, check).unwrap();
    }

    #[test]
    fn only_what_is_owned_goes() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("fleet");
        fs::create_dir_all(dir.join("logs/hub")).unwrap();
        fs::write(dir.join("mine.yaml"), "").unwrap();
        fs::write(dir.join("hub.kubeconfig"), "").unwrap();
        fs::write(home.path().join("outside"), "").unwrap();
        fs::write(dir.join(OWNED), "logs\nhub.kubeconfig\n../outside\n..\n").unwrap();
        sweep(&dir);
        assert!(dir.join("mine.yaml").exists());
        assert!(home.path().join("outside").exists());
        assert!(!dir.join("logs").exists() && !dir.join("hub.kubeconfig").exists());
        fs::write(dir.join(OWNED), "*\n").unwrap();
        sweep(&dir);
        assert!(!dir.exists());
    }

    #[test]
    fn logs_stay_where_they_are_wanted() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("fleet");
        fs::create_dir_all(dir.join("logs/hub")).unwrap();
        fs::create_dir_all(dir.join("hub/etcd")).unwrap();
        fs::write(dir.join(OWNED), "*\n").unwrap();
        fs::write(dir.join(KEEP_LOGS), "").unwrap();
        sweep(&dir);
        assert!(dir.join("logs/hub").exists());
        assert!(!dir.join("hub").exists());
        assert_eq!(entries(&dir), ["logs"]);
    }
}
