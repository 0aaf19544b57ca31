//! From arguments to exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::Cli;
use crate::commands;
use crate::error::{Error, Exit};
use crate::output::Output;
use crate::sandbox::KEEPER_COMMAND;

/// The program. The first argument is how it was called: as `kubectl-heyun` it calls itself
/// `kubectl heyun`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    // Before any thread: the keeper's children live as long as the thread that starts them.
    if args.get(1).is_some_and(|first| first == KEEPER_COMMAND) {
        return heyun_sandbox::keeper_main(args.into_iter().skip(2));
    }
    // Another provider may have been installed by whoever embeds us.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let output = Output::new(&cli.global);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli, &output)),
        Err(error) => Err(Error::failure(format!("no runtime: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit.code())
        }
    }
}

/// The command with the name it was called by.
pub fn command(called: Option<&OsString>) -> clap::Command {
    let name = called
        .and_then(|path| Path::new(path).file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let command = Cli::command();
    if name.starts_with("kubectl-") {
        return command.name("kubectl-heyun").bin_name("kubectl heyun");
    }
    command
}

fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command(args.first());
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn refused(error: &clap::Error) -> ExitCode {
    // A closed standard output is no reason to fail.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(Exit::Usage.code()),
    }
}
