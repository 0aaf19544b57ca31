//! How many decisions a second the hub commits, beside the raw write rate of its API server.

use std::fmt;

use heyun_crds::{Work, Workload};
use heyun_sandbox::{AuditEvent, eventually_async};
use kube::Api;
use serde::Serialize;

use super::raw::{Rates, Raw, Sample};
use super::stage::{LIMIT, QUIET, Stage};
use super::{Result, Size, fixture, say, tail, usage};

/// Least ratio of writes for decisions to writes of the API server at all.
const TARGET_RATIO: f64 = 0.7;
/// Least decisions a second where the API server writes [`TARGET_RAW`] a second.
const TARGET_DECISIONS: f64 = 300.0;
/// See [`TARGET_DECISIONS`].
const TARGET_RAW: f64 = 1200.0;
/// Most writes for a decision.
const TARGET_WRITES: f64 = 2.2;

/// What is asked.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// How much the hub holds.
    #[command(flatten)]
    pub size: Size,
    /// Create the Workloads while no hub runs, then start it: what it commits when it need not
    /// share the API server with those who write Workloads.
    #[arg(long)]
    pub backlog: bool,
}

/// The figures of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    members: u32,
    workloads: u32,
    backlog: bool,
    release: bool,
    /// Writes a second of the API server with the hub idle, one of each kind in turn, mean of
    /// before and after.
    raw_writes_per_s: f64,
    raw_before: Rates,
    raw_after: Rates,
    /// From the first to the last Workload with a decision.
    decisions_per_s: f64,
    seconds: f64,
    writes_per_decision: f64,
    /// Two writes for each decision, over the raw rate.
    ratio: f64,
    hub_rss_mb: f64,
    hub_cpu_s: f64,
    apiserver_cpu_s: f64,
    etcd_cpu_s: f64,
    bench_cpu_s: f64,
}

/// Runs the benchmark on a hub of its own.
///
/// # Errors
/// If the hub cannot be started, or does not decide in time.
pub async fn run(args: &Args) -> Result<Report> {
    let stage = Stage::up(&args.size).await?;
    let measured = Bench {
        args,
        stage: &stage,
    }
    .run()
    .await;
    stage.end(measured)
}

struct Bench<'a> {
    args: &'a Args,
    stage: &'a Stage,
}

impl Bench<'_> {
    async fn run(&self) -> Result<Report> {
        let (stage, size) = (self.stage, &self.args.size);
        stage.furnish().await?;
        let raw = Raw::prepare(stage.client(), self.sample().await?).await?;
        say("raw write rate, before");
        let raw_before = raw.measure().await?;
        let mut tail = stage.tail()?;
        tail.rest(QUIET).await?;
        say(&format!("{} workloads", size.workloads));
        let decided = stage.decide(self.args.backlog).await?;
        let mut writes = tail.rest(QUIET).await?;
        writes.retain(tail::took_effect);
        // The sample is one more.
        let placed = usize::try_from(size.workloads)? + 1;
        stage.one_member_each(placed).await?;
        say("raw write rate, after");
        let raw_after = raw.measure().await?;
        let raw_writes_per_s = f64::midpoint(raw_before.both(), raw_after.both());
        let workloads = f64::from(size.workloads);
        let decisions_per_s = workloads / decided.seconds;
        shown(&writes);
        Ok(Report {
            members: size.members,
            workloads: size.workloads,
            backlog: self.args.backlog,
            release: !cfg!(debug_assertions),
            raw_writes_per_s,
            raw_before,
            raw_after,
            decisions_per_s,
            seconds: decided.seconds,
            writes_per_decision: f64::from(u32::try_from(writes.len())?) / workloads,
            ratio: 2.0 * decisions_per_s / raw_writes_per_s,
            hub_rss_mb: usage::peak_rss_mb(stage.hub_pid()?)?,
            hub_cpu_s: decided.cpu.hub,
            apiserver_cpu_s: decided.cpu.apiserver,
            etcd_cpu_s: decided.cpu.etcd,
            bench_cpu_s: decided.cpu.own,
        })
    }

    /// One Workload that was decided, with its Work.
    async fn sample(&self) -> Result<Sample> {
        let client = self.stage.client();
        let namespace = fixture::namespace(0);
        fixture::deploy(&client, &namespace, "sample").await?;
        let workloads: Api<Workload> = Api::namespaced(client.clone(), &namespace);
        let check = || async {
            let workload = workloads.get("sample").await.map_err(|e| e.to_string())?;
            let status = workload.status.clone().unwrap_or_default();
            let Some(decision) = &status.decision else {
                return Err(serde_json::to_string(&status).unwrap_or_default());
            };
            let member = decision
                .assignments
                .first()
                .map_or("", |a| a.member.as_str());
            let home = fixture::member_namespace(member);
            let works: Api<Work> = Api::namespaced(client.clone(), &home);
            let name = heyun_plan::member_names::work_name(&namespace, "sample");
            let work = works.get(&name).await.map_err(|e| e.to_string())?;
            Ok(Sample { workload, work })
        };
        let sleep = tokio::time::sleep;
        Ok(eventually_async(
            "the first workload to be decided",
            LIMIT,
            None,
            sleep,
            check,
        )
        .await?)
    }
}

/// What was written, by kind, for whoever wonders about the writes for a decision.
fn shown(writes: &[AuditEvent]) {
    for (kind, count) in tail::kinds(writes) {
        say(&format!("the hub: {count} {kind}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.backlog {
            "created before the hub started"
        } else {
            "created meanwhile"
        };
        writeln!(
            f,
            "{} workloads ({how}) on {} members",
            self.workloads, self.members
        )?;
        if !self.release {
            writeln!(
                f,
                "a debug build: build with --release for figures that count"
            )?;
        }
        writeln!(f, "{:<44}{:>10}   TARGET", "WHAT", "FIGURE")?;
        let mut row = |what: &str, figure: f64, digits: usize, target: &str| {
            writeln!(f, "{what:<44}{figure:>10.digits$}   {target}")
        };
        let raw = |rates: Rates| (rates.status_per_s, rates.work_per_s);
        let ((status, work), (status_after, work_after)) =
            (raw(self.raw_before), raw(self.raw_after));
        row("raw status patches a second, before", status, 0, "")?;
        row("raw Work creates a second, before", work, 0, "")?;
        row("raw status patches a second, after", status_after, 0, "")?;
        row("raw Work creates a second, after", work_after, 0, "")?;
        row("raw writes a second", self.raw_writes_per_s, 0, "")?;
        let target = format!(">= {TARGET_DECISIONS} where raw >= {TARGET_RAW}");
        row("decisions a second", self.decisions_per_s, 0, &target)?;
        row(
            "ratio (2 x decisions over raw)",
            self.ratio,
            2,
            &format!(">= {TARGET_RATIO}"),
        )?;
        row(
            "writes for a decision",
            self.writes_per_decision,
            2,
            &format!("<= {TARGET_WRITES}"),
        )?;
        row("seconds, first to last decision", self.seconds, 1, "")?;
        row("hub: resident memory at most, MiB", self.hub_rss_mb, 0, "")?;
        row("hub: processor seconds", self.hub_cpu_s, 1, "")?;
        row("API server: processor seconds", self.apiserver_cpu_s, 1, "")?;
        row("etcd: processor seconds", self.etcd_cpu_s, 1, "")?;
        row("bench itself: processor seconds", self.bench_cpu_s, 1, "")
    }
}
