//! `heyun cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Member clusters.
#[derive(Clone, Debug, Subcommand)]
pub enum Cluster {
    /// Install the hub's account on a cluster and make it a member.
    Join(Join),
}

/// What is joined.
#[derive(Clone, Debug, Args)]
pub struct Join {
    /// Name of the member, such as guangzhou-1.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// An administrator's kubeconfig of the member; used once, not stored.
    #[arg(long, value_name = "FILE")]
    pub member_kubeconfig: PathBuf,

    /// Context of that kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME")]
    pub member_context: Option<String>,

    /// The MemberCluster: provider, location, owner, zone, MLPS level; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Option<PathBuf>,

    /// Print the MemberCluster and ask no cluster for anything.
    #[arg(long, value_enum, value_name = "client", require_equals = true)]
    pub dry_run: Option<ClientOnly>,
}

/// The only dry run of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientOnly {
    /// Nothing is sent.
    Client,
}
