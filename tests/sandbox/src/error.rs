//! What can go wrong, said so that the reader knows what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the sandbox. Its text names the value, the place and, where there is one, the fix.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something. Every check that failed is in the list.
    #[error("this machine cannot run the sandbox:\n  - {}", .0.join("\n  - "))]
    Preflight(Vec<String>),
    /// A specification that cannot be started.
    #[error("the fleet's specification is refused: {0}")]
    Spec(String),
    /// A tool could not be built.
    #[error("building {what} failed ({status}); the last lines of {}:\n{tail}", log.display())]
    Build {
        /// What was being built.
        what: String,
        /// How the build ended.
        status: String,
        /// The whole output.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// An executable that is nowhere.
    #[error("{0}")]
    Missing(String),
    /// The keeper refused or died.
    #[error("keeper: {0}")]
    Keeper(String),
    /// A command that ended badly.
    #[error("{command} failed ({status}): {stderr}")]
    Command {
        /// What ran.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// A process of the fleet ended when it should run.
    #[error("{name} ended ({status}); the last lines of {}:\n{tail}", log.display())]
    Ended {
        /// The process, for example `hub/apiserver`.
        name: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// A wait that ran out.
    #[error("waited {waited:.1?} for {what} in vain; last: {last}{}", logs_hint(logs.as_deref()))]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What the last check said.
        last: String,
        /// Where to look.
        logs: Option<PathBuf>,
    },
    /// A certificate could not be made.
    #[error("making the certificate of {who}: {source}")]
    Certificate {
        /// Its subject.
        who: String,
        /// Why not.
        source: rcgen::Error,
    },
    /// A file or a process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The operation and its place.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// JSON that does not parse.
    #[error("{what}: {source}")]
    Json {
        /// Where it came from.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
}

fn logs_hint(logs: Option<&Path>) -> String {
    logs.map_or_else(String::new, |path| {
        format!("; logs are in {}", path.display())
    })
}

/// Names the operation of an [`io::Error`].
pub(crate) trait IoContext<T> {
    /// `what` is the operation and its place, as in `reading /etc/passwd`.
    fn io(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn io(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io {
            what: what(),
            source,
        })
    }
}

impl<T> IoContext<T> for std::result::Result<T, rustix::io::Errno> {
    fn io(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::Io {
            what: what(),
            source: errno.into(),
        })
    }
}

/// The last `lines` lines of a file; of an unreadable one, why it is.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Err(error) => format!("({}: {error})", path.display()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
    }
}
