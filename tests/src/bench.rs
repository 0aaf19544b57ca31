//! Benchmarks: one subcommand per question. Some run the shipped binaries on real control planes,
//! others the scheduler alone.
//!
//! Built in release, they run the release binaries; a debug build says so beside its figures.

pub mod change;
pub mod commit;
pub mod country;
mod fixture;
mod flows;
pub mod nation;
pub mod openb;
pub mod pure;
mod random;
mod raw;
pub mod spread;
mod stage;
mod tail;
mod usage;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures::StreamExt as _;
use serde::Serialize;

/// Why a benchmark has no figures.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Requests of the benchmark itself under way at once, as many as the hub's writes.
const IN_FLIGHT: usize = 64;

/// What Heyun costs on this machine, in figures.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub struct Args {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// How many decisions a second are committed, beside what the API server can write at all.
    Commit(commit::Args),
    /// What one more change costs the hub with many Workloads placed, and what a time of quiet.
    Change(change::Args),
    /// How long one decision takes over 500 members.
    Decide(pure::Args),
    /// How long a country takes from empty, and how much memory.
    National(country::CountryArgs),
    /// How long it takes to place again what a lost member had, and a lost province.
    LostMember(country::CountryArgs),
    /// How long it takes to take in one member's change.
    Snapshot(pure::Args),
    /// How long a spread over many groups takes.
    Spread(pure::Args),
    /// How well a real cluster's pods are placed on its nodes, dealt to members.
    Openb(openb::Args),
    /// Every question with its usual numbers, but that of openb, which needs data.
    All {
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
}

/// What every benchmark of the hub is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Size {
    /// Simulated members, in 31 provinces.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(31..=1000))]
    pub members: u32,
    /// Workloads to be placed, each on one member.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub workloads: u32,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// More arguments for the hub, such as --hub-arg=--log-filter=warn.
    #[arg(long, allow_hyphen_values = true)]
    pub hub_arg: Vec<String>,
}

/// Runs a benchmark; the exit code is 1 if it could not be run, whatever its figures.
pub fn main(args: &Args) -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(&args.question) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(question: &Question) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(answer(question))
}

async fn answer(question: &Question) -> Result<()> {
    match question {
        Question::Commit(asked) => told(&commit::run(asked).await?, asked.size.json),
        Question::Change(asked) => told(&change::run(asked).await?, asked.size.json),
        Question::Decide(asked) => told(&pure::decide(asked)?, asked.json),
        Question::National(asked) => told(&country::national(asked)?, asked.json),
        Question::LostMember(asked) => told(&country::lost_member(asked)?, asked.json),
        Question::Snapshot(asked) => told(&country::snapshot(asked)?, asked.json),
        Question::Spread(asked) => told(&spread::spread(asked)?, asked.json),
        Question::Openb(asked) => told(&openb::run(asked)?, asked.json),
        Question::All { json } => all(*json).await,
    }
}

/// One after the other, each on a hub of its own.
async fn all(json: bool) -> Result<()> {
    let commit = commit::run(&commit::Args::parse_from(["commit"])).await?;
    if !json {
        told(&commit, false)?;
    }
    let change = change::run(&change::Args::parse_from(["change"])).await?;
    if !json {
        told(&change, false)?;
    }
    let decide = pure::decide(&pure::Args::parse_from(["decide"]))?;
    let spread = spread::spread(&pure::Args::parse_from(["spread"]))?;
    let snapshot = country::snapshot(&pure::Args::parse_from(["snapshot"]))?;
    let national = country::national(&country::CountryArgs::parse_from(["national"]))?;
    let lost = country::lost_member(&country::CountryArgs::parse_from(["lost-member"]))?;
    if !json {
        told(&decide, false)?;
        told(&spread, false)?;
        told(&snapshot, false)?;
        told(&national, false)?;
        return told(&lost, false);
    }
    as_json(&serde_json::json!({
        "commit": commit,
        "change": change,
        "decide": decide,
        "spread": spread,
        "snapshot": snapshot,
        "national": national,
        "lost-member": lost,
    }))
}

fn told<R: Display + Serialize>(report: &R, json: bool) -> Result<()> {
    if json {
        return as_json(report);
    }
    Ok(write!(std::io::stdout().lock(), "{report}")?)
}

fn as_json<R: Serialize>(report: &R) -> Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Carries requests out, [`IN_FLIGHT`] at once; the first failure ends it.
async fn at_once<F: Future<Output = Result<()>>>(
    requests: impl IntoIterator<Item = F>,
) -> Result<()> {
    let mut answers = futures::stream::iter(requests).buffer_unordered(IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {line}");
}
