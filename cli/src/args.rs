//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod cluster;
pub mod common;
pub mod platform;
pub mod request;
pub mod sandbox;
pub mod workload;

/// What every command knows.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Kubeconfig of the hub; without it KUBECONFIG, then ~/.kube/config.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub context: Option<String>,

    /// Namespace [default: that of the context].
    #[arg(
        short,
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub namespace: Option<String>,

    /// Act as this user, where RBAC lets you impersonate.
    #[arg(
        long = "as",
        global = true,
        value_name = "USER",
        help_heading = "Global options"
    )]
    pub act_as: Option<String>,

    /// Act as a member of this group too; may be repeated.
    #[arg(
        long,
        global = true,
        requires = "act_as",
        value_name = "GROUP",
        help_heading = "Global options"
    )]
    pub as_group: Vec<String>,

    /// Colour: auto honours NO_COLOR and terminals.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", help_heading = "Global options")]
    pub color: Color,
}

/// When there is colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Heyun joins a government's clouds into one.
///
/// A hub holds the plan: tenants, quotas, workloads. Member clusters run the work. Data goes to
/// standard output, everything else to standard error; `heyun help exit-codes` lists the exit codes.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "heyun",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What every command knows.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Deploy plain manifests as one Workload.
    Deploy(workload::Deploy),
    /// Show where Workloads run.
    Where(workload::Where),
    /// Explain why a Workload is where it is, member by member.
    Why(workload::Why),
    /// Show a Workload, its Works, their objects and pods.
    Tree(workload::Tree),
    /// Say what would be decided, without writing anything.
    Simulate(workload::Simulate),
    /// Write all that decisions depend on into one file, for heyun simulate.
    Snapshot(workload::Snapshot),
    /// Join, list, describe and close member clusters.
    #[command(subcommand, visible_aliases = ["clusters", "mc"])]
    Cluster(cluster::Cluster),
    /// List tenants, or show their tree.
    #[command(subcommand, visible_aliases = ["tenants", "tn"])]
    Tenant(platform::Tenant),
    /// Show quotas and what is used of them.
    #[command(subcommand, visible_aliases = ["quotas", "qt"])]
    Quota(platform::Quota),
    /// Ask for quota for a time, decide on what is asked, give it back.
    #[command(subcommand, visible_aliases = ["requests", "rr"])]
    Request(request::Request),
    /// Report from the ledger.
    #[command(subcommand)]
    Report(platform::Report),
    /// Check the hub and its members, with a fix for everything found.
    Doctor(platform::Doctor),
    /// Run a hub and members on this machine, without Docker.
    #[command(subcommand)]
    Sandbox(sandbox::Sandbox),
    /// Print the completion script of a shell.
    Completion(platform::Completion),
    /// What the exit codes mean.
    #[command(hide = true, long_about = EXIT_CODES)]
    ExitCodes,
}

/// The exit codes, as `heyun help exit-codes` prints them.
pub const EXIT_CODES: &str = "\
What the exit codes mean:

  0  done
  1  failure, or a finding of doctor or simulate
  2  the command line or an input file is wrong
  3  not found
  4  denied
  5  conflict: somebody else has it, or wrote first
  6  it did not happen in time
  7  the quota does not cover it";

#[cfg(test)]
mod tests;
