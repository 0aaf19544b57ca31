//! Benchmarks at national scale: a country from empty, a member or a province lost, one member's
//! change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heyun_scheduler::config::Config;
use heyun_scheduler::quota::{Amounts, Key, Purpose, QuotaTree};
use heyun_scheduler::request::Assignment;
use heyun_scheduler::resources::CPU;
use heyun_scheduler::schedule::decide_all;
use heyun_scheduler::snapshot::{Held, HeldEntry, Readiness};
use heyun_scheduler::verdict::{Outcome, Placed, PlacedAssignment};
use heyun_scheduler::{Engine, Member, Request, Verdict, check};
use serde::Serialize;

use super::nation::{self, Nation};
use super::pure::{Args, BATCH, Line, at, ms, table};
use super::{Result, usage};

/// What the benchmarks at national scale are told.
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

/// A country whose workloads are placed and bound.
struct Settled {
    engine: Engine,
    /// Quotas with what is charged by now.
    quotas: QuotaTree,
    requests: Vec<Request>,
    /// What was placed of each request.
    placed: Vec<Option<Placed>>,
    /// Time in which it was decided, and members' changes taken in.
    took: Duration,
    violations: usize,
    unbound: i64,
}

/// Places all requests, those that go first at first, batch after batch: between two batches the
/// members bind what they were given and report it, and it is charged.
fn settle(nation: Nation) -> Settled {
    let Nation {
        snapshot,
        mut requests,
    } = nation;
    requests.sort_by(|left, right| {
        let first = |of: &Request| (std::cmp::Reverse(of.priority), of.created);
        first(left)
            .cmp(&first(right))
            .then(left.key.cmp(&right.key))
    });
    let mut settled = Settled {
        quotas: snapshot.quotas.clone(),
        engine: Engine::new(snapshot, Config::default()),
        placed: Vec::with_capacity(requests.len()),
        requests: Vec::new(),
        took: Duration::ZERO,
        violations: 0,
        unbound: 0,
    };
    for some in requests.chunks(BATCH) {
        let started = Instant::now();
        let verdicts = decide_all(&mut settled.engine, some);
        settled.took += started.elapsed();
        settled.violations += violations(&settled.engine, some, &verdicts);
        settled.commit(some, verdicts);
    }
    settled.requests = requests;
    settled
}

impl Settled {
    /// Binds and charges what was placed.
    fn commit(&mut self, requests: &[Request], verdicts: Vec<Verdict>) {
        let mut by_key: BTreeMap<_, Verdict> =
            verdicts.into_iter().map(|v| (v.key.clone(), v)).collect();
        let mut changed: BTreeMap<String, Arc<Member>> = BTreeMap::new();
        for request in requests {
            let outcome = by_key.remove(&request.key).map(|v| v.outcome);
            let Some(Outcome::Placed(placed)) = outcome else {
                self.placed.push(None);
                continue;
            };
            for of in &placed.assignments {
                let members = &self.engine.snapshot().members;
                let known = members.get(&of.member).map(Arc::clone);
                let Some(known) = known else { continue };
                let member = changed.entry(of.member.clone()).or_insert(known);
                self.unbound += bound(Arc::make_mut(member), request, of);
            }
            if let Some(node) = self.quotas.node(&request.tenant) {
                // What was decided is within what is left.
                let _ = self.quotas.charge(node, &placed.increase);
            }
            self.placed.push(Some(placed));
        }
        let started = Instant::now();
        self.engine.set_quotas(self.quotas.clone());
        self.engine.set_members(changed.into_values(), []);
        self.took += started.elapsed();
    }
}

/// What the checker has against a batch.
fn violations(engine: &Engine, requests: &[Request], verdicts: &[Verdict]) -> usize {
    let found = check::check(engine.snapshot(), requests, verdicts, engine.config());
    if let Some(first) = found.first() {
        super::say(&format!("{} violations, the first: {first:?}", found.len()));
    }
    found.len()
}

/// Binds an assignment on its member; returns how many replicas found no node.
fn bound(member: &mut Member, request: &Request, of: &PlacedAssignment) -> i64 {
    let mut components = request.components.iter();
    let component = components.find(|component| component.name == of.component);
    component.map_or(of.replicas, |component| {
        nation::bind(member, &of.flavor, component, of.replicas)
    })
}

/// A whole country from empty.
#[derive(Clone, Debug, Serialize)]
pub struct National {
    members: usize,
    workloads: usize,
    placed: usize,
    unbound: i64,
    checked: bool,
    seconds: f64,
    prepared_ms: f64,
    rss_mb: f64,
}

impl fmt::Display for National {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "national: {} workloads on {} members from empty, {} placed, {} replicas without a \
             node, {}",
            self.workloads,
            self.members,
            self.placed,
            self.unbound,
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
                "to prepare the fleet, once",
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

/// Decides on 100,000 workloads of 3,208 members, which bind what is placed as it comes.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn national(args: &CountryArgs) -> Result<National> {
    let nation = nation::country(args.workloads, args.seed);
    let started = Instant::now();
    drop(Engine::new(nation.snapshot.clone(), Config::default()));
    let prepared = started.elapsed();
    let settled = settle(nation);
    let rss_mb = usage::peak_rss_mb(std::process::id())?;
    Ok(National {
        members: settled.engine.snapshot().members.len(),
        workloads: settled.requests.len(),
        placed: settled.placed.iter().flatten().count(),
        unbound: settled.unbound,
        checked: settled.violations == 0,
        seconds: settled.took.as_secs_f64(),
        prepared_ms: ms(prepared),
        rss_mb,
    })
}

/// Members lost at national scale.
#[derive(Clone, Debug, Serialize)]
pub struct LostMember {
    members: usize,
    workloads: usize,
    member_ms: f64,
    member_max_ms: f64,
    member_workloads: usize,
    member_replaced: usize,
    province_members: usize,
    province_workloads: usize,
    province_replaced: usize,
    province_s: f64,
    checked: bool,
}

impl fmt::Display for LostMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "lost-member: of {} members with {} workloads placed; the busiest had {} ({} placed \
             again), a province of {} had {} ({}); {}",
            self.members,
            self.workloads,
            self.member_workloads,
            self.member_replaced,
            self.province_members,
            self.province_workloads,
            self.province_replaced,
            if self.checked {
                "checked"
            } else {
                "NOT as the checker would have it"
            },
        );
        let lines = [
            Line(
                "one of 31 members, median",
                format!("{:.1} ms", self.member_ms),
                "at most 100 ms",
            ),
            Line(
                "the busiest of them",
                format!("{:.1} ms", self.member_max_ms),
                "",
            ),
            Line(
                "a province",
                format!("{:.2} s", self.province_s),
                "at most 2 s",
            ),
        ];
        table(f, &title, &lines)
    }
}

/// What one loss came to.
struct Loss {
    took: Duration,
    workloads: usize,
    replaced: usize,
    violations: usize,
}

/// Loses members, one alone 31 times and a whole province, with everything placed and bound.
///
/// # Errors
/// If the country has no province.
pub fn lost_member(args: &CountryArgs) -> Result<LostMember> {
    let mut settled = settle(nation::country(args.workloads, args.seed));
    let names: Vec<String> = settled.engine.snapshot().members.keys().cloned().collect();
    let mut alone = Vec::new();
    for name in names.iter().step_by((names.len() / 31).max(1)).take(31) {
        alone.push(settled.lose(&BTreeSet::from([name.clone()])));
    }
    let mut provinces: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, member) in &settled.engine.snapshot().members {
        let province = member.region.split('-').next().unwrap_or_default();
        provinces.entry(province).or_default().insert(name.clone());
    }
    let province = provinces.into_values();
    let province = province
        .min_by_key(|members| members.len().abs_diff(100))
        .ok_or("the country has no province")?;
    let lost = settled.lose(&province);
    let mut took: Vec<Duration> = alone.iter().map(|loss| loss.took).collect();
    took.sort_unstable();
    let busiest = alone.iter().max_by_key(|loss| loss.workloads);
    Ok(LostMember {
        members: names.len(),
        workloads: settled.placed.iter().flatten().count(),
        member_ms: ms(at(&took, 50)),
        member_max_ms: ms(at(&took, 100)),
        member_workloads: busiest.map_or(0, |loss| loss.workloads),
        member_replaced: busiest.map_or(0, |loss| loss.replaced),
        province_members: province.len(),
        province_workloads: lost.workloads,
        province_replaced: lost.replaced,
        province_s: lost.took.as_secs_f64(),
        checked: alone.iter().chain([&lost]).all(|loss| loss.violations == 0),
    })
}

impl Settled {
    /// Loses members and decides on what they had; then everything is as it was.
    fn lose(&mut self, lost: &BTreeSet<String>) -> Loss {
        let before: Vec<Arc<Member>> = lost
            .iter()
            .filter_map(|name| self.engine.snapshot().members.get(name).map(Arc::clone))
            .collect();
        let mut quotas = self.quotas.clone();
        let stranded = self.stranded(lost);
        let now = self.engine.snapshot().now;
        let started = Instant::now();
        let unknown = before.iter().map(|member| {
            Arc::new(Member {
                readiness: Readiness::Unknown { since: now - 60 },
                ..(**member).clone()
            })
        });
        self.engine.set_members(unknown, []);
        let (mut requests, mut held) = (Vec::new(), BTreeMap::new());
        for (request, left, gone) in stranded {
            if let Some(node) = quotas.node(&request.tenant) {
                // It was charged when it was placed.
                let _ = quotas.release(node, &gone);
            }
            held.insert(request.key.clone(), left);
            requests.push(request);
        }
        self.engine.set_quotas(quotas);
        self.engine.set_held(held);
        let verdicts = decide_all(&mut self.engine, &requests);
        let took = started.elapsed();
        let violations = violations(&self.engine, &requests, &verdicts);
        let placed = verdicts.iter().filter(|v| v.outcome.placed().is_some());
        let loss = Loss {
            took,
            workloads: requests.len(),
            replaced: placed.count(),
            violations,
        };
        self.engine.set_members(before, []);
        self.engine.set_quotas(self.quotas.clone());
        self.engine.set_held(BTreeMap::new());
        loss
    }

    /// The requests that had something there, with what they hold elsewhere and what they were
    /// charged for what is lost.
    fn stranded(&self, lost: &BTreeSet<String>) -> Vec<(Request, Held, Amounts)> {
        let mut stranded = Vec::new();
        for (request, placed) in self.requests.iter().zip(&self.placed) {
            let Some(placed) = placed else { continue };
            let all = placed.assignments.iter();
            let (gone, left): (Vec<_>, Vec<_>) = all.partition(|of| lost.contains(&of.member));
            if gone.is_empty() {
                continue;
            }
            let mut charged = Amounts::new();
            for of in gone {
                for (resource, amount) in of.charge.iter() {
                    let key = Key::new(&of.flavor, resource);
                    *charged.entry(key).or_default() += amount;
                }
            }
            let entries = left.iter().map(|of| HeldEntry {
                member: of.member.clone(),
                component: of.component.clone(),
                flavor: of.flavor.clone(),
                replicas: of.replicas,
                per_replica: of.requests.clone(),
                charge: of.charge.clone(),
            });
            let held = Held {
                entries: entries.collect(),
            };
            let previous = left.into_iter().map(|of| Assignment {
                component: of.component.clone(),
                member: of.member.clone(),
                flavor: of.flavor.clone(),
                replicas: of.replicas,
            });
            let request = Request {
                purpose: Purpose::Failover,
                previous: previous.collect(),
                ..request.clone()
            };
            stranded.push((request, held, charged));
        }
        stranded
    }
}

/// One member's change taken in.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    members: usize,
    nodes_us: f64,
    nodes_p99_us: f64,
    rules_us: f64,
    whole_ms: f64,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("snapshot: one of {} members changes", self.members);
        let us = |figure: f64| format!("{figure:.1} µs");
        let lines = [
            Line("other nodes, median", us(self.nodes_us), "at most 50 µs"),
            Line("other nodes, p99", us(self.nodes_p99_us), ""),
            Line(
                "another readiness, median",
                us(self.rules_us),
                "at most 50 µs",
            ),
            Line("all of it anew", format!("{:.1} ms", self.whole_ms), ""),
        ];
        table(f, &title, &lines)
    }
}

/// Changes one member after the other in a country and begins a batch.
///
/// # Errors
/// None: it reads and writes nothing.
pub fn snapshot(args: &Args) -> Result<Taken> {
    let Nation { snapshot, .. } = nation::country(65_000, args.seed);
    let started = Instant::now();
    let mut engine = Engine::new(snapshot, Config::default());
    let whole = started.elapsed();
    let members: Vec<_> = engine.snapshot().members.values().cloned().collect();
    let mut take = |change: fn(&mut Member)| {
        let mut took = Vec::with_capacity(members.len());
        for member in &members {
            let mut member = Arc::clone(member);
            change(Arc::make_mut(&mut member));
            let started = Instant::now();
            engine.set_members([member], []);
            drop(engine.batch());
            took.push(started.elapsed());
        }
        took.sort_unstable();
        took
    };
    let nodes = take(|member| {
        let shapes = member.sketch.iter_mut().flat_map(|of| &mut of.shapes);
        for shape in shapes.take(1) {
            let free = shape.free.get(CPU);
            shape.free.set(CPU, free / 2);
        }
    });
    let rules = take(|member| member.readiness = Readiness::NotReady { since: 0 });
    let us = |took: &[Duration], percent| ms(at(took, percent)) * 1000.0;
    Ok(Taken {
        members: members.len(),
        nodes_us: us(&nodes, 50),
        nodes_p99_us: us(&nodes, 99),
        rules_us: us(&rules, 50),
        whole_ms: ms(whole),
    })
}
