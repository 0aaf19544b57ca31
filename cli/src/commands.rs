//! The commands: each reads, asks, and prints.

mod cluster;
mod sandbox;

use crate::args::{Cli, Command};
use crate::error::Result;
use crate::output::Output;

/// Runs one command.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<()> {
    match cli.command {
        Command::Cluster(command) => cluster::run(command, &cli.global, output).await,
        Command::Sandbox(command) => sandbox::run(command, output).await,
    }
}
