//! `heyun sandbox`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Run a hub and members on this machine.
#[derive(Clone, Debug, Subcommand)]
pub enum Sandbox {
    /// Start control planes, the hub, and join the members.
    Up(Up),
    /// Show what runs.
    Status(Folder),
    /// End it and remove what it wrote.
    Down(Folder),
}

/// Where the sandbox is.
#[derive(Clone, Debug, Args)]
pub struct Folder {
    /// Folder of the sandbox [default: heyun/sandbox in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What is started.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Where it is.
    #[command(flatten)]
    pub folder: Folder,

    /// How many members: province-a, guangzhou-1, shenzhen-1, then member-4 and so on.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=40), value_name = "N")]
    pub members: u16,

    /// The hub's executable [default: heyun-hub beside this one, then on PATH].
    #[arg(long, value_name = "PATH")]
    pub hub_bin: Option<PathBuf>,

    /// Stop after the control planes: nothing of Heyun is installed.
    #[arg(long, conflicts_with = "hub_bin")]
    pub bare: bool,

    /// Stay, and end it with Ctrl-C, instead of leaving it in the background.
    #[arg(long)]
    pub foreground: bool,
}
