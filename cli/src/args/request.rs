//! `heyun request`: from application to return.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use heyun_crds::common::FlavorAmount;

use super::common::{DryRun, Format};
use super::workload::duration;

/// Requests for quota.
#[derive(Clone, Debug, Subcommand)]
pub enum Request {
    /// Ask for more quota for a time.
    Create(Create),
    /// List requests.
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a request, its way so far, and who decides next.
    Show(Show),
    /// Agree, at a stage.
    Approve(Act),
    /// Refuse, at a stage: the request has ended.
    Reject(Act),
    /// Want it otherwise, at a stage: the request has ended, and a corrected one is made.
    Return(Act),
    /// Take back what is not granted yet.
    Withdraw(OwnAct),
    /// Give back early what was granted.
    Release(OwnAct),
    /// Take a grant back, at a stage.
    Revoke(Act),
}

/// `heyun request create`.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["filename", "resource"])))]
pub struct Create {
    /// Name [default: made from the tenant's].
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// A file with one ResourceRequest; - is standard input. The applicant is filled in.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["tenant", "resource", "from", "until", "reason", "document"])]
    pub filename: Option<PathBuf>,

    /// The tenant [default: the namespace].
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,

    /// How much more, as FLAVOR/RESOURCE=AMOUNT; may be repeated.
    #[arg(short, long, value_name = "FLAVOR/RESOURCE=AMOUNT", value_parser = amount, requires_all = ["until", "reason"])]
    pub resource: Vec<FlavorAmount>,

    /// When it begins, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,

    /// When it ends, RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// Why, for those who approve.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Number of the official document it rests on.
    #[arg(long, value_name = "NUMBER")]
    pub document: Option<String>,

    /// Wait until it is approved, or counts; fails as soon as it has ended.
    #[arg(long, value_enum, value_name = "CONDITION", conflicts_with = "dry_run")]
    pub wait: Option<WaitFor>,

    /// How long to wait.
    #[arg(long, value_parser = duration, default_value = "5m", value_name = "DURATION")]
    pub timeout: Duration,

    /// How the rest is done.
    #[command(flatten)]
    pub doing: Doing,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum WaitFor {
    /// Each stage agreed.
    Approved,
    /// It counts.
    Active,
}

/// What every command that writes has.
#[derive(Clone, Copy, Debug, Args)]
pub struct Doing {
    /// Write nothing: client shows what would be sent, server has it checked.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun request list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Requests of every namespace.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun request show`.
#[derive(Clone, Debug, Args)]
pub struct Show {
    /// The request.
    #[arg(value_name = "REQUEST")]
    pub name: String,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// An act at a stage.
#[derive(Clone, Debug, Args)]
pub struct Act {
    /// The request.
    #[arg(value_name = "REQUEST")]
    pub name: String,

    /// The stage [default: the one that is waited for].
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,

    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub comment: String,

    /// How the rest is done.
    #[command(flatten)]
    pub doing: Doing,
}

/// An act of the tenant's own.
#[derive(Clone, Debug, Args)]
pub struct OwnAct {
    /// The request.
    #[arg(value_name = "REQUEST")]
    pub name: String,

    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub comment: String,

    /// How the rest is done.
    #[command(flatten)]
    pub doing: Doing,
}

fn amount(text: &str) -> Result<FlavorAmount, String> {
    let parts = text
        .split_once('=')
        .and_then(|(key, amount)| Some((key.split_once('/')?, amount)));
    match parts {
        Some(((flavor, resource), amount))
            if ![flavor, resource, amount]
                .iter()
                .any(|part| part.is_empty()) =>
        {
            Ok(FlavorAmount {
                flavor: flavor.to_owned(),
                resource: resource.to_owned(),
                amount: amount.into(),
            })
        }
        _ => Err(format!(
            "`{text}` is not FLAVOR/RESOURCE=AMOUNT: write it as general-amd64/cpu=40"
        )),
    }
}
