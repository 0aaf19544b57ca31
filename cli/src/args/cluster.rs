//! `heyun cluster`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::common::{ClientOnly, Format};

/// Member clusters.
#[derive(Clone, Debug, Subcommand)]
pub enum Cluster {
    /// Install the hub's account on a cluster and make it a member.
    Join(Join),
    /// List members.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show everything about one member.
    Describe(Describe),
    /// Close a member for new work; what runs there stays.
    Cordon(Name),
    /// Open a member for new work again.
    Uncordon(Name),
    /// Take a member out of the hub.
    Leave(Leave),
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

    /// Wait until the hub says that the member is Ready.
    #[arg(long)]
    pub wait: bool,
}

impl Join {
    /// How long `--wait` waits.
    pub const PATIENCE: Duration = Duration::from_mins(2);
}

/// `heyun cluster list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Members with these labels, such as tier=city.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun cluster describe`.
#[derive(Clone, Debug, Args)]
pub struct Describe {
    /// Name of the member.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// A member.
#[derive(Clone, Debug, Args)]
pub struct Name {
    /// Name of the member.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Print the change and send nothing.
    #[arg(long, value_enum, value_name = "client", require_equals = true)]
    pub dry_run: Option<ClientOnly>,
}

/// `heyun cluster leave`.
#[derive(Clone, Debug, Args)]
pub struct Leave {
    /// Name of the member.
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Also where Works are still placed there: what runs on the member stays, and nobody watches it.
    #[arg(long)]
    pub force: bool,

    /// Print what would be deleted and send nothing.
    #[arg(long, value_enum, value_name = "client", require_equals = true)]
    pub dry_run: Option<ClientOnly>,
}
