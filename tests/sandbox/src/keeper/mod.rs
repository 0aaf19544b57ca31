//! The keeper: the process that owns a fleet's processes.
//!
//! A parent-death signal fires when the *thread* that spawned a child ends, so children spawned
//! from a test thread or from a runtime's blocking thread die at random. The keeper spawns all of
//! them from its main thread, through `setpriv --pdeathsig KILL --`, which makes three nets:
//!
//! 1. The owner's end of the keeper's standard input closes, however the owner ends: the keeper
//!    kills everything, removes the folder and ends.
//! 2. The keeper itself is killed: the kernel kills its children.
//! 3. Beside it runs the sweeper, whose standard input the keeper holds. When that closes, it
//!    kills what is left of the keeper's session (a child caught between fork and `prctl`) and
//!    removes the folder.

mod client;
mod protocol;
mod server;
mod sweep;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub use client::{Keeper, Process};
pub(crate) use protocol::Launch;
pub use protocol::{ExitInfo, ProcessInfo, Signal};
pub(crate) use sweep::{KEEP_LOGS, OWNED, sweep};

/// How to start a keeper.
#[derive(Clone, Debug)]
pub struct KeeperCommand {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before the keeper's own, for example a hidden subcommand.
    pub args: Vec<OsString>,
}

impl KeeperCommand {
    /// The binary `heyun-keeper`, at this path.
    pub fn binary(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
        }
    }

    /// This very executable with a hidden subcommand that calls [`keeper_main`].
    ///
    /// # Errors
    /// If the path of this executable is not known.
    pub fn current_exe(subcommand: &str) -> crate::Result<Self> {
        use crate::error::IoContext;
        let path = std::env::current_exe().io(|| "finding this executable".to_owned())?;
        Ok(Self {
            path,
            args: vec![subcommand.into()],
        })
    }
}

/// The keeper's `main`. `args` are the arguments after the program and [`KeeperCommand::args`].
///
/// Call it on the main thread and before any runtime or other thread is started: its children live
/// as long as the thread that called it.
pub fn keeper_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let mode = args.first().map(|arg| arg.to_string_lossy().into_owned());
    let result = match (mode.as_deref(), args.get(1), args.len()) {
        (Some("run"), Some(dir), 2) => server::run(dir.into(), args.len()),
        (Some("sweep"), Some(dir), 3) => sweep::wait_and_sweep(dir.into(), &args[2]),
        _ => Err(crate::Error::Keeper(
            "started with wrong arguments; it is not for people: use `heyun sandbox`".to_owned(),
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heyun-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}
