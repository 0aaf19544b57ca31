//! How long a spread over many groups takes, on one core and without an API server.

use std::collections::BTreeSet;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use heyun_scheduler::config::Config;
use heyun_scheduler::request::{PlacementSpec, SpreadConstraint};
use heyun_scheduler::snapshot::{Guardrails, Snapshot};
use heyun_scheduler::verdict::Outcome;
use heyun_scheduler::{Engine, Request, Resources, check};
use serde::Serialize;

use super::Result;
use super::nation::{self, Nation};
use super::pure::{Args, Line, at, ms, table};

/// Provinces, cities in each, counties in each of these.
const GRID: [usize; 3] = [31, 11, 9];

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    groups: usize,
    wanted_groups: i64,
    members: usize,
    ms: f64,
    nested_groups: [usize; 3],
    nested_members: usize,
    nested_replicas: i64,
    nested_ms: f64,
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "spread: {} of {} groups of {} members; nested, {:?} groups of {} members, {} replicas",
            self.wanted_groups,
            self.groups,
            self.members,
            self.nested_groups,
            self.nested_members,
            self.nested_replicas,
        );
        let lines = [
            Line(
                "one decision, median",
                format!("{:.3} ms", self.ms),
                "at most 1 ms",
            ),
            Line(
                "nested, one decision, median",
                format!("{:.3} ms", self.nested_ms),
                "at most 10 ms",
            ),
        ];
        table(f, &title, &lines)
    }
}

/// Spreads a workload over 10 of 31 groups; and one over 31 provinces, in each over 11 cities, in
/// each of these over 9 counties.
///
/// # Errors
/// If one is not placed, or not as the checker would have it.
pub fn spread(args: &Args) -> Result<Spread> {
    const WANTED: i64 = 10;
    const REPLICAS: i64 = 10_000;
    let flat = nation::fleet(500, 1, args.seed);
    let groups: BTreeSet<String> = flat
        .snapshot
        .members
        .values()
        .filter_map(|member| member.region.split('-').next().map(str::to_owned))
        .collect();
    let one = SpreadConstraint {
        max_groups: Some(WANTED),
        ..over("region/provincial", None, WANTED, 3)
    };
    let (snapshot, request) = asked(flat, 100, vec![one])?;
    let flat = time(&snapshot, &request, 101)?;
    let (members, groups) = (snapshot.members.len(), groups.len());

    let nested = vec![
        over("region/provincial", None, 31, 10),
        over("region/prefectural", Some("region/provincial"), 11, 4),
        over("region/county", Some("region/prefectural"), 6, 2),
    ];
    let grid = nation::grid(GRID, 1, args.seed);
    let (snapshot, mut request) = asked(grid, REPLICAS, nested)?;
    for component in &mut request.components {
        component.per_replica = Resources::new().with("cpu", 100);
    }
    Ok(Spread {
        groups,
        wanted_groups: WANTED,
        members,
        ms: flat,
        nested_groups: GRID,
        nested_members: snapshot.members.len(),
        nested_replicas: REPLICAS,
        nested_ms: time(&snapshot, &request, 31)?,
    })
}

fn over(key: &str, within: Option<&str>, min_groups: i64, max_skew: i64) -> SpreadConstraint {
    SpreadConstraint {
        topology_key: key.to_owned(),
        within: within.map(str::to_owned),
        max_skew: Some(max_skew),
        min_groups: Some(min_groups),
        ..SpreadConstraint::default()
    }
}

/// The one request of a nation, of one component, with all members open to it.
fn asked(
    nation: Nation,
    replicas: i64,
    spread: Vec<SpreadConstraint>,
) -> Result<(Snapshot, Request)> {
    let Nation {
        mut snapshot,
        mut requests,
    } = nation;
    let mut request = requests.pop().ok_or("no request was generated")?;
    if let Some(tenant) = snapshot.tenants.get_mut(&request.tenant) {
        tenant.guardrails = Guardrails::default();
    }
    request.components.truncate(1);
    for component in &mut request.components {
        component.replicas = replicas;
    }
    request.placement = PlacementSpec {
        spread,
        ..PlacementSpec::default()
    };
    Ok((snapshot, request))
}

/// The median of so many decisions, each on a fleet that has seen none.
fn time(snapshot: &Snapshot, request: &Request, times: usize) -> Result<f64> {
    let config = Config::default();
    let mut took: Vec<Duration> = Vec::with_capacity(times);
    for turn in 0..times {
        let mut engine = Engine::new(snapshot.clone(), config.clone());
        let mut batch = engine.batch();
        let start = Instant::now();
        let verdict = black_box(batch.decide(request));
        took.push(start.elapsed());
        if !matches!(verdict.outcome, Outcome::Placed(_)) {
            return Err(format!("not placed: {:?}", verdict.outcome.reason()).into());
        }
        if turn == 0 {
            let broken = check::check(snapshot, std::slice::from_ref(request), &[verdict], &config);
            if let Some(first) = broken.first() {
                return Err(format!("not as the checker would have it: {first}").into());
            }
        }
    }
    took.sort_unstable();
    Ok(ms(at(&took, 50)))
}
