//! What owner and keeper say to each other: one JSON object a line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A signal that the keeper may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// Ends it at once.
    Kill,
    /// Asks it to end.
    Term,
    /// As Ctrl-C.
    Int,
    /// As a closed terminal.
    Hup,
    /// Freezes it.
    Stop,
    /// Thaws it.
    Cont,
    /// For its own use.
    Usr1,
}

impl Signal {
    pub(super) fn raw(self) -> rustix::process::Signal {
        use rustix::process::Signal as Raw;
        match self {
            Self::Kill => Raw::KILL,
            Self::Term => Raw::TERM,
            Self::Int => Raw::INT,
            Self::Hup => Raw::HUP,
            Self::Stop => Raw::STOP,
            Self::Cont => Raw::CONT,
            Self::Usr1 => Raw::USR1,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// Exit code, if it ended by itself.
    pub code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
}

impl fmt::Display for ExitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

/// A process that the keeper owns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its name, for example `hub/apiserver`.
    pub name: String,
    /// Its id while it runs.
    pub pid: Option<u32>,
    /// How the last run ended, if it does not run.
    pub exit: Option<ExitInfo>,
    /// How often it was started.
    pub starts: u32,
    /// Its standard output and error.
    pub log: PathBuf,
}

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) name: String,
    /// The executable by absolute path, and its arguments.
    pub(crate) argv: Vec<String>,
    /// Set beside PATH and HOME; nothing else of the owner's environment is passed on.
    pub(crate) env: BTreeMap<String, String>,
    /// Standard output and error are appended here.
    pub(crate) log: PathBuf,
    /// Options of `setpriv` before `--`, as in `--reuid`.
    pub(crate) setpriv: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(super) enum Request {
    /// Starts a process; the name must be free or its process have ended.
    Spawn(Launch),
    /// Starts it again, as it was.
    Start {
        name: String,
    },
    Signal {
        name: String,
        signal: Signal,
    },
    /// SIGTERM, after the grace SIGKILL; answered when it has ended.
    Stop {
        name: String,
        grace_ms: u64,
    },
    /// Answered when it has ended or the time is over.
    Wait {
        name: String,
        timeout_ms: u64,
    },
    List,
    /// From now on the end of standard input means nothing.
    Detach,
    /// Kill all, remove the folder, end.
    Shutdown,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// The first line of every connection: who the keeper is.
    Hello {
        address: String,
        pid: u32,
    },
    Done,
    Started {
        pid: u32,
    },
    /// `None`: it still runs.
    Exit(Option<ExitInfo>),
    Processes(Vec<ProcessInfo>),
    Refused(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) reply: Reply,
}
