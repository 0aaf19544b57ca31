//! `heyun sandbox`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use heyun_sandbox::{Cache, Fleet, KeeperCommand, Progress};

use crate::args::sandbox::{Folder, Sandbox as Command, Up};
use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::sandbox::{self, HubProgram, KEEPER_COMMAND, Options, Sandbox, province};

pub(super) async fn run(command: Command, output: &Output) -> Result<()> {
    match command {
        Command::Up(args) => up(args, output).await,
        Command::Status(folder) => status(&dir(&folder)?, output).await,
        Command::Down(folder) => down(&dir(&folder)?, output).await,
    }
}

/// The folder given, or the one place where it is found again from any other.
fn dir(folder: &Folder) -> Result<PathBuf> {
    if let Some(dir) = &folder.dir {
        return Ok(dir.clone());
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state
        .map(|state| state.join("heyun/sandbox"))
        .ok_or_else(|| {
            Error::usage("there is no home for the sandbox").hint("give a folder with --dir")
        })
}

async fn up(args: Up, output: &Output) -> Result<()> {
    let dir = dir(&args.folder)?;
    if sandbox::attach(&dir).await.is_ok() {
        return Err(Error::new(
            Exit::Conflict,
            format!("a sandbox runs in {} already", dir.display()),
        )
        .hint("end it with heyun sandbox down, or give another folder with --dir"));
    }
    sweep_logs(&dir);
    let program = || -> Result<HubProgram> {
        Ok(HubProgram {
            binary: hub_binary(args.hub_bin.as_deref())?,
            args: Vec::new(),
            env: BTreeMap::new(),
        })
    };
    let options = Options {
        dir: Some(dir.clone()),
        members: province(args.members.into())?,
        keeper: KeeperCommand::current_exe(KEEPER_COMMAND)?,
        hub: (!args.bare).then(program).transpose()?,
        cache: Cache::locate()?,
        progress: Progress::stderr(),
    };
    let sandbox = sandbox::up(options).await?;
    output.data(&kubeconfigs(sandbox.fleet()));
    let next = next(&sandbox, args.bare);
    if args.foreground {
        output.say("runs until Ctrl-C");
        output.next(next);
        // Whatever comes of the wait, dropping the sandbox ends it.
        let _ = tokio::signal::ctrl_c().await;
        output.say("ending it");
        return Ok(());
    }
    sandbox.detach()?;
    output.say(format!(
        "It runs in the background; to end it: heyun sandbox down --dir {}",
        dir.display()
    ));
    output.next(next);
    Ok(())
}

/// What a start that failed leaves in a folder are its logs; they go with the next start.
fn sweep_logs(dir: &Path) {
    let names: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    if let [only] = names.as_slice()
        && only.file_name() == "logs"
    {
        // Where it cannot go, the start says that the folder is not empty.
        let _ = std::fs::remove_dir_all(only.path());
    }
}

fn next(sandbox: &Sandbox, bare: bool) -> String {
    let what = if bare {
        "kubectl get namespaces"
    } else {
        "heyun cluster list"
    };
    format!(
        "export PATH={}:$PATH KUBECONFIG={}/hub.kubeconfig; {what}",
        sandbox.fleet().bin_dir().display(),
        sandbox.dir().display()
    )
}

/// One line a cluster: name and file.
fn kubeconfigs(fleet: &Fleet) -> String {
    let width = fleet
        .clusters()
        .iter()
        .map(|one| one.name().len())
        .max()
        .unwrap_or(0)
        .max(7);
    let mut text = format!("{:width$}   KUBECONFIG\n", "CLUSTER");
    for cluster in fleet.clusters() {
        let line = format!(
            "{:width$}   {}\n",
            cluster.name(),
            cluster.kubeconfig().display()
        );
        text.push_str(&line);
    }
    text
}

async fn status(dir: &Path, output: &Output) -> Result<()> {
    let sandbox = sandbox::attach(dir).await?;
    let fleet = sandbox.fleet();
    let mut text = kubeconfigs(fleet);
    let processes = fleet.processes()?;
    let width = processes
        .iter()
        .map(|one| one.name.len())
        .max()
        .unwrap_or(0)
        .max(7);
    let _ = write!(text, "\n{:width$}   {:<7} STATE\n", "PROCESS", "PID");
    let mut ended = 0;
    for one in &processes {
        let pid = one
            .pid
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let state = match (one.pid, one.exit) {
            (Some(_), _) => "running".to_owned(),
            (None, Some(exit)) => format!("ended ({exit}), see {}", one.log.display()),
            (None, None) => "not started".to_owned(),
        };
        ended += usize::from(one.pid.is_none());
        let _ = writeln!(text, "{:width$}   {pid:<7} {state}", one.name);
    }
    output.data(&text);
    if ended > 0 {
        return Err(Error::failure(format!(
            "{ended} of {} processes do not run",
            processes.len()
        ))
        .hint("start anew: heyun sandbox down, then heyun sandbox up"));
    }
    Ok(())
}

async fn down(dir: &Path, output: &Output) -> Result<()> {
    sandbox::down(dir).await?;
    output.data(&format!("sandbox {} ended", dir.display()));
    output.next("heyun sandbox up");
    Ok(())
}

/// `--hub-bin`, else beside this executable, else on PATH.
fn hub_binary(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return std::fs::canonicalize(path)
            .map_err(|e| Error::usage(format!("--hub-bin {}: {e}", path.display())));
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("heyun-hub")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("heyun-hub"));
    let found = beside
        .into_iter()
        .chain(on_path)
        .find(|path| path.is_file());
    found
        .and_then(|path| std::fs::canonicalize(path).ok())
        .ok_or_else(|| {
            Error::new(
                Exit::NotFound,
                "heyun-hub is neither beside this executable nor on PATH",
            )
            .hint("give its path with --hub-bin, or start control planes alone with --bare")
        })
}
