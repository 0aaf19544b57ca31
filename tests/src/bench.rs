//! Benchmarks of the shipped binaries on real control planes: one subcommand per question.
//!
//! Built in release, they run the release binaries; a debug build says so beside its figures.

pub mod commit;
mod fixture;
mod raw;
mod usage;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures::StreamExt as _;

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
    /// Every question with its usual numbers.
    All {
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a benchmark; the exit code is 1 if it could not be run, whatever its figures.
pub fn main(args: &Args) -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = match &args.question {
        Question::Commit(asked) => asked.clone(),
        Question::All { json } => commit::Args {
            json: *json,
            ..commit::Args::parse_from(["commit"])
        },
    };
    match run(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: &commit::Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(commit::run(asked))?;
    let mut out = std::io::stdout().lock();
    if asked.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
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
