//! Benchmarks of the scheduler alone, on one core and without an API server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heyun_scheduler::Engine;
use heyun_scheduler::config::Config;
use heyun_scheduler::resources::CPU;
use heyun_scheduler::verdict::Outcome;
use serde::Serialize;

use super::Result;
use super::nation::{self, Nation};

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
pub(super) const BATCH: usize = 256;

/// Members that report between two batches.
const REPORTS: usize = 16;

/// Decides on 20,000 requests over 500 members, each batch on members with the same room: what the
/// one before has placed is neither in flight nor bound there. Between two batches some members
/// report other nodes; that and the end of a batch count in the decisions a second.
///
/// # Errors
/// None: it reads and writes nothing.
pub fn decide(args: &Args) -> Result<Decide> {
    let Nation { snapshot, requests } = nation::fleet(500, 20_000, args.seed);
    let config = Config::default();
    let mut took = Vec::with_capacity(requests.len());
    let mut prepared = Vec::new();
    let mut placed = 0;
    let mut engine = Engine::new(snapshot, config);
    let members: Vec<_> = engine.snapshot().members.values().cloned().collect();
    let mut reporting = members.iter().cycle();
    let begun = Instant::now();
    for some in requests.chunks(BATCH) {
        let started = Instant::now();
        for member in reporting.by_ref().take(REPORTS) {
            let mut member = member.clone();
            let said = Arc::make_mut(&mut member);
            let shape = said.sketch.as_mut().and_then(|of| of.shapes.first_mut());
            if let Some(shape) = shape {
                let free = shape.free.get(CPU);
                shape.free.set(CPU, free ^ 1);
            }
            engine.set_members([member], []);
        }
        let mut batch = engine.batch();
        batch.expects(some);
        prepared.push(started.elapsed());
        for request in some {
            let started = Instant::now();
            let verdict = batch.decide(request);
            took.push(started.elapsed());
            placed += usize::from(matches!(verdict.outcome, Outcome::Placed(_)));
        }
    }
    let all = begun.elapsed();
    prepared.sort_unstable();
    took.sort_unstable();
    Ok(Decide {
        members: members.len(),
        decisions: requests.len(),
        placed,
        p50_ms: ms(at(&took, 50)),
        p99_ms: ms(at(&took, 99)),
        max_ms: ms(at(&took, 100)),
        per_s: per_second(requests.len(), all),
        prepared_ms: ms(at(&prepared, 50)),
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
