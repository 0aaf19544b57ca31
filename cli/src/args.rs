//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod cluster;
pub mod sandbox;

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

/// Heyun joins a government's clouds into one: clusters, tenants, quotas, workloads.
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
    /// Join, list and close member clusters.
    #[command(subcommand, visible_aliases = ["clusters", "mc"])]
    Cluster(cluster::Cluster),
    /// Run a hub and members on this machine, without Docker.
    #[command(subcommand)]
    Sandbox(sandbox::Sandbox),
}
