//! Commands about tenants, quotas, reports, and the installation.

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::common::Format;

/// Tenants.
#[derive(Clone, Debug, Subcommand)]
pub enum Tenant {
    /// List tenants.
    #[command(visible_alias = "ls")]
    List(TenantList),
    /// Show the tree of tenants.
    Tree(TenantTree),
}

/// `heyun tenant list`.
#[derive(Clone, Debug, Args)]
pub struct TenantList {
    /// Tenants with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun tenant tree`.
#[derive(Clone, Debug, Args)]
pub struct TenantTree {
    /// Only this tenant and what is below it.
    #[arg(value_name = "TENANT")]
    pub tenant: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// Quotas.
#[derive(Clone, Debug, Subcommand)]
pub enum Quota {
    /// Show quotas along the tree of tenants.
    Tree(QuotaTree),
}

/// `heyun quota tree`.
#[derive(Clone, Debug, Args)]
pub struct QuotaTree {
    /// Only this tenant and what is below it.
    #[arg(value_name = "TENANT")]
    pub tenant: Option<String>,

    /// Only this resource; `all` shows every one.
    #[arg(long, default_value = "cpu", value_name = "RESOURCE")]
    pub resource: String,

    /// Only this flavor.
    #[arg(long, value_name = "FLAVOR")]
    pub flavor: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// Reports.
#[derive(Clone, Debug, Subcommand)]
pub enum Report {
    /// Requested amounts by tenant, flavor, member and resource.
    Usage(Usage),
}

/// `heyun report usage`.
#[derive(Clone, Debug, Args)]
pub struct Usage {
    /// Only this tenant and what is below it.
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// First moment, as a date or RFC 3339, inclusive.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// Last moment, as a date or RFC 3339, exclusive.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun doctor`.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun completion`.
#[derive(Clone, Debug, Args)]
pub struct Completion {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}
