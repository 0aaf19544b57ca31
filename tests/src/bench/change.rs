//! What one more change costs the hub with many Workloads placed, and what it costs to do nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use heyun_crds::Workload;
use heyun_sandbox::AuditEvent;
use kube::Api;
use kube::runtime::watcher::watch_object;
use serde::Serialize;

use super::flows::{Counts, Flows};
use super::stage::{self, LIMIT, QUIET, Stage};
use super::tail::{self, Tail};
use super::usage::Spent;
use super::{Result, Size, fixture, say};

/// The hub wrote nothing for this long before quiet is measured: long enough for amounts that it
/// holds back, and for the ledger to catch up.
const SETTLED: Duration = Duration::from_secs(12);
/// Replicas after a change; the fixture has two.
const REPLICAS: i32 = 3;
/// Most requests for a change.
const TARGET_REQUESTS: f64 = 12.0;
/// Most milliseconds of processor time for a change.
const TARGET_CPU_MS: f64 = 50.0;

/// What is asked.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// How much the hub holds.
    #[command(flatten)]
    pub size: Size,
    /// Changes, one after the other: each scales a Workload of its own from 2 to 3 replicas.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub changes: u32,
    /// Seconds of quiet that are measured before the changes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=3600))]
    pub quiet_seconds: u32,
}

/// The figures of one run. Requests are those of the hub's account; those for Leases are left out
/// where it is not said otherwise, and so are watches, which end and begin by the clock.
#[derive(Debug, Serialize)]
pub struct Report {
    members: u32,
    workloads: u32,
    changes: u32,
    release: bool,
    /// Refused and tried ones too, and Events.
    writes_per_change: Spread,
    /// Gets and lists.
    reads_per_change: Spread,
    /// Writes and reads.
    requests_per_change: Spread,
    /// From just before the change until the hub wrote nothing for a while, without what as long
    /// a quiet costs.
    cpu_ms_per_change: Spread,
    /// The same over all changes as one.
    cpu_ms_per_change_mean: f64,
    /// From the request to scale until its generation is seen to be decided.
    decided_ms: Spread,
    quiet_seconds: u32,
    quiet_writes: u32,
    /// The same by verb, resource and subresource.
    quiet_kinds: BTreeMap<String, u32>,
    quiet_reads: u32,
    quiet_lease_writes: u32,
    quiet_cpu_ms: f64,
    /// Which bounds do not hold.
    misses: Vec<String>,
}

/// The middle one and the largest of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    max: f64,
}

/// What a time without changes cost.
struct Quiet {
    counts: Counts,
    kinds: BTreeMap<String, u32>,
    /// Processor time.
    cpu_s: f64,
    /// How long it was in truth.
    seconds: f64,
}

/// What a change cost.
struct Change {
    counts: Counts,
    cpu_ms: f64,
    decided_ms: f64,
}

/// What all changes cost.
struct Changes {
    each: Vec<Change>,
    /// Of each, over all of them.
    mean_cpu_ms: f64,
}

/// Runs the benchmark on a hub of its own.
///
/// # Errors
/// If the hub cannot be started, or does not decide in time.
pub async fn run(args: &Args) -> Result<Report> {
    let (changes, workloads) = (args.changes, args.size.workloads);
    if changes > workloads {
        return Err(format!(
            "--changes {changes} is more than --workloads {workloads}: each change needs a \
             Workload of its own, so ask for at most {workloads}"
        )
        .into());
    }
    let stage = Stage::up(&args.size).await?;
    let measured = measured(args, &stage).await;
    stage.end(measured)
}

async fn measured(args: &Args, stage: &Stage) -> Result<Report> {
    stage.furnish().await?;
    let mut tail = stage.tail()?;
    say(&format!("{} workloads", args.size.workloads));
    stage.decide(false).await?;
    let flows = Flows::begin(stage.client()).await?;
    tail.rest(SETTLED).await?;
    let placed = usize::try_from(args.size.workloads)?;
    stage.one_member_each(placed).await?;
    let mut bench = Bench {
        stage,
        flows,
        tail,
        pid: stage.hub_pid()?,
        written: Vec::new(),
    };
    say(&format!("{} s of quiet", args.quiet_seconds));
    let quiet = bench.quiet(args.quiet_seconds).await?;
    say(&format!("{} changes", args.changes));
    let changes = bench.changes(args.changes, &quiet).await?;
    for (kind, count) in tail::kinds(&bench.written) {
        say(&format!("the hub, all changes: {count} {kind}"));
    }
    Ok(Report::of(args, &changes, quiet))
}

struct Bench<'a> {
    stage: &'a Stage,
    flows: Flows,
    tail: Tail,
    pid: u32,
    /// What the hub wrote for all changes, by the audit log.
    written: Vec<AuditEvent>,
}

impl Bench<'_> {
    /// Lets time pass.
    async fn quiet(&mut self, seconds: u32) -> Result<Quiet> {
        let before = self.flows.counts().await?;
        let (spent, began) = (Spent::by(self.pid)?, Instant::now());
        tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
        let cpu_s = Spent::by(self.pid)?.since(&spent);
        let seconds = began.elapsed().as_secs_f64();
        let counts = self.flows.counts().await?.since(before);
        let mut kinds = tail::kinds(&self.tail.since_last()?);
        if counts.events > 0 {
            kinds.insert("Events".to_owned(), counts.events);
        }
        Ok(Quiet {
            counts,
            kinds,
            cpu_s,
            seconds,
        })
    }

    /// Makes the changes, one after the other.
    async fn changes(&mut self, count: u32, quiet: &Quiet) -> Result<Changes> {
        let (spent, began) = (Spent::by(self.pid)?, Instant::now());
        let mut each = Vec::new();
        for number in 0..count {
            each.push(self.change(usize::try_from(number)?, quiet).await?);
        }
        let used = Spent::by(self.pid)?.since(&spent);
        Ok(Changes {
            each,
            mean_cpu_ms: quiet.above_ms(used, began.elapsed()) / f64::from(count),
        })
    }

    /// Changes the Workload of this number, and waits until the hub is at rest again.
    async fn change(&mut self, number: usize, quiet: &Quiet) -> Result<Change> {
        let before = self.flows.counts().await?;
        let (spent, began) = (Spent::by(self.pid)?, Instant::now());
        let decided = tokio::time::timeout(LIMIT, self.scale(number)).await;
        let decided_ms = decided.map_err(|_| {
            let (namespace, name) = stage::workload(number);
            format!("{namespace}/{name} was scaled and not decided within {LIMIT:?}")
        })??;
        let written = self.tail.rest(QUIET).await?;
        self.written.extend(written);
        let used = Spent::by(self.pid)?.since(&spent);
        let cpu_ms = quiet.above_ms(used, began.elapsed());
        Ok(Change {
            counts: self.flows.counts().await?.since(before),
            cpu_ms,
            decided_ms,
        })
    }

    /// Scales a Workload; milliseconds until the hub is seen to have decided that.
    async fn scale(&self, number: usize) -> Result<f64> {
        let (namespace, name) = stage::workload(number);
        let client = self.stage.client();
        let api: Api<Workload> = Api::namespaced(client.clone(), &namespace);
        let mut states = pin!(watch_object(api, &name));
        // What it is before the change: nothing that follows can be missed.
        states.try_next().await?;
        let began = Instant::now();
        fixture::scale(&client, &namespace, &name, REPLICAS).await?;
        while let Some(state) = states.try_next().await? {
            if state.as_ref().is_some_and(is_decided) {
                return Ok(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
        Err(format!("the watch of {namespace}/{name} ended").into())
    }
}

/// Whether the hub placed as many replicas as a change asks for.
fn is_decided(workload: &Workload) -> bool {
    let generation = workload.metadata.generation.unwrap_or_default();
    let status = workload.status.as_ref();
    let decision = status.and_then(|status| status.decision.as_ref());
    workload.spec.replicas == Some(REPLICAS)
        && status.is_some_and(|status| status.observed_generation == generation)
        && decision.is_some_and(|decision| {
            let placed: i32 = decision.assignments.iter().map(|a| a.replicas).sum();
            decision.generation == generation && placed == REPLICAS
        })
}

impl Quiet {
    /// Milliseconds of processor time beyond what as long a quiet costs. By chance it may be
    /// below zero.
    fn above_ms(&self, used_s: f64, time: Duration) -> f64 {
        (used_s - self.cpu_s / self.seconds * time.as_secs_f64()) * 1000.0
    }
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.collect();
        all.sort_by(f64::total_cmp);
        let Some(&max) = all.last() else {
            return Self {
                median: 0.0,
                max: 0.0,
            };
        };
        // With an odd number of figures both are the same one.
        let median = f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]);
        Self { median, max }
    }
}

impl Report {
    fn of(args: &Args, changes: &Changes, quiet: Quiet) -> Self {
        let each = || changes.each.iter();
        let counted = |count: fn(Counts) -> u32| {
            Spread::of(each().map(|change| f64::from(count(change.counts))))
        };
        let mut report = Self {
            members: args.size.members,
            workloads: args.size.workloads,
            changes: args.changes,
            release: !cfg!(debug_assertions),
            writes_per_change: counted(Counts::all_writes),
            reads_per_change: counted(|counts| counts.reads),
            requests_per_change: counted(|counts| counts.all_writes() + counts.reads),
            cpu_ms_per_change: Spread::of(each().map(|change| change.cpu_ms)),
            cpu_ms_per_change_mean: changes.mean_cpu_ms,
            decided_ms: Spread::of(each().map(|change| change.decided_ms)),
            quiet_seconds: args.quiet_seconds,
            quiet_writes: quiet.counts.all_writes(),
            quiet_kinds: quiet.kinds,
            quiet_reads: quiet.counts.reads,
            quiet_lease_writes: quiet.counts.lease_writes,
            quiet_cpu_ms: quiet.cpu_s * 1000.0,
            misses: Vec::new(),
        };
        report.misses = report.missed();
        report
    }

    /// Which bounds do not hold, with what was measured.
    fn missed(&self) -> Vec<String> {
        let mut misses = Vec::new();
        let requests = self.requests_per_change.max;
        if requests > TARGET_REQUESTS {
            misses.push(format!(
                "a change costs {requests:.0} requests, more than {TARGET_REQUESTS:.0}"
            ));
        }
        let cpu = self.cpu_ms_per_change.max;
        if cpu > TARGET_CPU_MS {
            misses.push(format!(
                "a change costs {cpu:.1} ms of processor time, more than {TARGET_CPU_MS:.0}"
            ));
        }
        if self.quiet_writes > 0 {
            misses.push(format!(
                "{} s of quiet cost {} writes beside Leases",
                self.quiet_seconds, self.quiet_writes
            ));
        }
        misses
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} changes, one after the other, with {} workloads on {} members",
            self.changes, self.workloads, self.members
        )?;
        if !self.release {
            writeln!(
                f,
                "a debug build: build with --release for figures that count"
            )?;
        }
        self.changes_table(f)?;
        self.quiet_table(f)?;
        for miss in &self.misses {
            writeln!(f, "MISSED: {miss}")?;
        }
        Ok(())
    }
}

impl Report {
    fn changes_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<44}{:>10}{:>10}   TARGET",
            "FOR ONE CHANGE", "MEDIAN", "MOST"
        )?;
        let mut row = |what: &str, figures: Spread, digits: usize, target: &str| {
            let Spread { median, max } = figures;
            writeln!(
                f,
                "{what:<44}{median:>10.digits$}{max:>10.digits$}   {target}"
            )
        };
        row("writes, without Leases", self.writes_per_change, 1, "")?;
        row("gets and lists", self.reads_per_change, 1, "")?;
        let target = format!("<= {TARGET_REQUESTS}");
        row("requests, both", self.requests_per_change, 1, &target)?;
        let target = format!("<= {TARGET_CPU_MS}");
        let cpu = self.cpu_ms_per_change;
        row("hub: processor ms above quiet", cpu, 1, &target)?;
        row("ms until decided", self.decided_ms, 0, "")?;
        let (what, mean) = ("hub: processor ms, mean", self.cpu_ms_per_change_mean);
        writeln!(f, "{what:<44}{mean:>10.1}")
    }

    fn quiet_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("{} S OF QUIET", self.quiet_seconds);
        writeln!(f, "{title:<44}{:>10}   TARGET", "FIGURE")?;
        let mut row = |what: &str, figure: f64, target: &str| {
            writeln!(f, "{what:<44}{figure:>10.0}   {target}")
        };
        row("writes, without Leases", f64::from(self.quiet_writes), "0")?;
        for (kind, count) in &self.quiet_kinds {
            row(&format!("  {kind}"), f64::from(*count), "")?;
        }
        row("gets and lists", f64::from(self.quiet_reads), "")?;
        row("writes of Leases", f64::from(self.quiet_lease_writes), "")?;
        row("hub: processor ms", self.quiet_cpu_ms, "")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_is_sorted() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        let expected = |median, max| Spread { median, max };
        assert_eq!(spread(&[]), expected(0.0, 0.0));
        assert_eq!(spread(&[7.0]), expected(7.0, 7.0));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), expected(2.0, 9.0));
        assert_eq!(spread(&[4.0, -1.0, 10.0, 2.0]), expected(3.0, 10.0));
    }

    #[test]
    fn a_change_costs_what_is_above_quiet() {
        let quiet = quiet(0.6, 0);
        let above = quiet.above_ms(0.08, Duration::from_secs(4));
        assert_eq!(format!("{above:.3}"), "40.000");
    }

    #[test]
    fn it_is_decided_once_all_replicas_of_the_generation_are_placed() {
        let decided = |generation: i64, placed: i32| {
            let assignment = json!({
                "member": "beijing-1", "flavor": "-", "component": "Deployment/a",
                "replicas": placed,
            });
            workload(&json!({
                "observedGeneration": 2,
                "decision": {
                    "id": "a", "generation": generation, "epoch": 1, "inputsHash": "",
                    "assignments": [assignment],
                },
            }))
        };
        assert!(is_decided(&decided(2, 3)));
        assert!(!is_decided(&decided(1, 3)), "the decision is an older one");
        assert!(!is_decided(&decided(2, 2)), "not all are placed");
        assert!(!is_decided(&workload(&json!({"observedGeneration": 2}))));
    }

    #[test]
    fn a_bound_that_does_not_hold_is_a_miss() {
        let args = <Args as clap::Parser>::parse_from(["change"]);
        let report = |writes: u32, quiet_writes: u32| {
            let change = Change {
                counts: Counts {
                    writes,
                    ..Counts::default()
                },
                cpu_ms: 50.0,
                decided_ms: 80.0,
            };
            let changes = Changes {
                each: vec![change],
                mean_cpu_ms: 50.0,
            };
            Report::of(&args, &changes, quiet(0.6, quiet_writes))
        };
        assert_eq!(report(12, 0).misses, Vec::<String>::new());
        let missed = report(13, 1).misses;
        assert_eq!(
            missed,
            [
                "a change costs 13 requests, more than 12",
                "60 s of quiet cost 1 writes beside Leases",
            ]
        );
    }

    fn quiet(cpu_s: f64, writes: u32) -> Quiet {
        Quiet {
            counts: Counts {
                writes,
                ..Counts::default()
            },
            kinds: BTreeMap::new(),
            cpu_s,
            seconds: 60.0,
        }
    }

    fn workload(status: &Value) -> Workload {
        let all = json!({
            "apiVersion": heyun_crds::API_VERSION, "kind": "Workload",
            "metadata": {"name": "a", "namespace": "b", "generation": 2},
            "spec": {"manifests": [], "replicas": REPLICAS},
            "status": status,
        });
        serde_json::from_value(all).unwrap()
    }
}
