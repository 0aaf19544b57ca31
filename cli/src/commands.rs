//! The commands: each reads, asks, and prints.

mod cluster;
mod deploy;
mod doctor;
mod platform;
mod request;
mod sandbox;
mod simulate;
mod snapshot;
mod tree;
mod whereabouts;
mod why;

use heyun_member::clock::{Clock as _, SystemClock};
use k8s_openapi::jiff::Timestamp;

use crate::args::{Cli, Command, EXIT_CODES};
use crate::error::Result;
use crate::output::Output;

/// Runs one command.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<()> {
    let global = &cli.global;
    match cli.command {
        Command::Deploy(args) => deploy::run(args, global, output).await,
        Command::Where(args) => whereabouts::run(args, global, output).await,
        Command::Why(args) => why::run(args, global, output).await,
        Command::Tree(args) => tree::run(args, global, output).await,
        Command::Simulate(args) => Box::pin(simulate::run(args, global, output)).await,
        Command::Snapshot(args) => Box::pin(snapshot::run(args, global, output)).await,
        Command::Cluster(command) => cluster::run(command, global, output).await,
        Command::Tenant(command) => platform::tenant(command, global, output).await,
        Command::Quota(command) => platform::quota(command, global, output).await,
        Command::Request(command) => request::run(command, global, output).await,
        Command::Report(command) => platform::report(command, global, output).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, global, output)).await,
        Command::Sandbox(command) => sandbox::run(command, output).await,
        Command::Completion(args) => {
            platform::completion(&args, output);
            Ok(())
        }
        Command::ExitCodes => {
            output.data(EXIT_CODES);
            Ok(())
        }
    }
}

/// The moment that ages are counted to.
fn now() -> Timestamp {
    SystemClock::new().now()
}
