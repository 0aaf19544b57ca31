//! Benchmarks of the scheduler alone, on one core and without an API server.

use std::fmt;
use std::time::{Duration, Instant};

use heyun_scheduler::config::Config;
use heyun_scheduler::verdict::Outcome;
use heyun_scheduler::{Batch, check, schedule};
use serde::Serialize;

use super::nation::{self, Nation};
use super::{Result, usage};

/// What the benchmarks of the scheduler are told.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// Seed of what is generated.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// One line of a table: what was measured, the figure, what it should be.
pub(super) struct Line(
    pub(super) &'static str,
    pub(super) String,
    pub(super) &'static str,
);

pub(super) fn table(f: &mut fmt::Formatter<'_>, title: &str, lines: &[Line]) -> fmt::Result {
    writeln!(f, "{title}")?;
    for Line(what, figure, target) in lines {
        writeln!(f, "  {what:<40} {figure:>14}   {target}")?;
    }
    Ok(())
}

/// One decision after the other over 500 members.
#[derive(Clone, Debug, Serialize)]
pub struct Decide {
    members: usize,
    decisions: usize,
    placed: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    per_s: f64,
    prepared_ms: f64,
}

impl fmt::Display for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "decide: {} decisions over {} members, mixed policies, {} placed",
            self.decisions, self.members, self.placed
        );
        let lines = [
            Line("one decision, median", format!("{:.3} ms", self.p50_ms), ""),
            Line(
                "one decision, p99",
                format!("{:.3} ms", self.p99_ms),
                "at most 0.5 ms",
            ),
            Line("one decision, most", format!("{:.3} ms", self.max_ms), ""),
            Line(
                "decisions a second",
                format!("{:.0}", self.per_s),
                "at least 20,000",
            ),
            Line(
                "to prepare a batch",
                format!("{:.1} ms", self.prepared_ms),
                "",
            ),
        ];
        table(f, &title, &lines)
    }
}

/// Requests that are decided on one snapshot, as many as in the hub.
const BATCH: usize = 256;

/// Decides on 20,000 requests over 500 members, each batch on members with the same room: what the
/// one before has placed is neither in flight nor bound there.
///
/// # Errors
/// None: it reads and writes nothing.
pub fn decide(args: &Args) -> Result<Decide> {
    let Nation { snapshot, requests } = nation::fleet(500, 20_000, args.seed);
    let config = Config::default();
    let mut took = Vec::with_capacity(requests.len());
    let mut prepared = Vec::new();
    let mut placed = 0;
    for some in requests.chunks(BATCH) {
        let started = Instant::now();
        let mut batch = Batch::new(&snapshot, &config);
        prepared.push(started.elapsed());
        for request in some {
            let started = Instant::now();
            let verdict = batch.decide(request);
            took.push(started.elapsed());
            placed += usize::from(matches!(verdict.outcome, Outcome::Placed(_)));
        }
    }
    let all = took.iter().sum();
    prepared.sort_unstable();
    took.sort_unstable();
    Ok(Decide {
        members: snapshot.members.len(),
        decisions: requests.len(),
        placed,
        p50_ms: ms(at(&took, 50)),
        p99_ms: ms(at(&took, 99)),
        max_ms: ms(at(&took, 100)),
        per_s: per_second(requests.len(), all),
        prepared_ms: ms(at(&prepared, 50)),
    })
}

/// What `bench national` is told.
#[derive(Clone, Debug, clap::Parser)]
pub struct CountryArgs {
    /// How many workloads are decided.
    #[arg(long, default_value_t = 100_000)]
    pub workloads: usize,
    /// Seed of what is generated.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A whole country from empty.
#[derive(Clone, Debug, Serialize)]
pub struct National {
    members: usize,
    workloads: usize,
    placed: usize,
    checked: bool,
    seconds: f64,
    prepared_ms: f64,
    rss_mb: f64,
}

impl fmt::Display for National {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "national: {} workloads on {} members from empty, {} placed, {}",
            self.workloads,
            self.members,
            self.placed,
            if self.checked {
                "checked"
            } else {
                "NOT as the checker would have it"
            },
        );
        let lines = [
            Line(
                "seconds, one core",
                format!("{:.1}", self.seconds),
                "at most 60",
            ),
            Line(
                "of these to prepare the snapshot",
                format!("{:.0} ms", self.prepared_ms),
                "",
            ),
            Line(
                "memory",
                format!("{:.0} MB", self.rss_mb),
                "at most 2,048 MB",
            ),
        ];
        table(f, &title, &lines)
    }
}

/// Decides on 100,000 workloads of 3,208 members.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn national(args: &CountryArgs) -> Result<National> {
    let Nation { snapshot, requests } = nation::country(args.workloads, args.seed);
    let config = Config::default();
    let started = Instant::now();
    drop(Batch::new(&snapshot, &config));
    let prepared = started.elapsed();
    let started = Instant::now();
    let verdicts = schedule(&snapshot, &requests, &config);
    let seconds = started.elapsed().as_secs_f64();
    let rss_mb = usage::peak_rss_mb(std::process::id())?;
    let placed = verdicts.iter();
    let placed = placed.filter(|v| matches!(v.outcome, Outcome::Placed(_)));
    let placed = placed.count();
    let violations = check::check(&snapshot, &requests, &verdicts, &config);
    if let Some(first) = violations.first() {
        super::say(&format!(
            "{} violations, the first: {first:?}",
            violations.len()
        ));
    }
    Ok(National {
        members: snapshot.members.len(),
        workloads: requests.len(),
        placed,
        checked: violations.is_empty(),
        seconds,
        prepared_ms: ms(prepared),
        rss_mb,
    })
}

pub(super) fn at(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
