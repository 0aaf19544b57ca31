//! How many decisions a second the hub commits, beside the raw write rate of its API server.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use heyun::sandbox::{self, Options, Sandbox};
use heyun_crds::labels::{HUB_ACCOUNT, SYSTEM_NAMESPACE};
use heyun_crds::{Quota, Tenant, Work, Workload};
use heyun_sandbox::{AuditEvent, Component, built_binary, built_keeper, eventually_async};
use kube::api::{ApiResource, ListParams};
use kube::core::Object;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::raw::{Rates, Raw, Sample};
use super::{Result, at_once, fixture, say, usage};

/// Longest time for anything that is waited for.
const LIMIT: Duration = Duration::from_mins(10);
/// The hub is taken to be done when it wrote nothing for this long.
const QUIET: Duration = Duration::from_secs(3);
/// Least ratio of writes for decisions to writes of the API server at all.
const TARGET_RATIO: f64 = 0.5;
/// Least decisions a second where the API server writes [`TARGET_RAW`] a second.
const TARGET_DECISIONS: f64 = 300.0;
/// See [`TARGET_DECISIONS`].
const TARGET_RAW: f64 = 1200.0;
/// Most writes for a decision.
const TARGET_WRITES: f64 = 2.2;

/// What is asked.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// Simulated members, in 31 provinces.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(31..=1000))]
    pub members: u32,
    /// Workloads to be placed, each on one member.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub workloads: u32,
    /// Create the Workloads while no hub runs, then start it: what it commits when it need not
    /// share the API server with those who write Workloads.
    #[arg(long)]
    pub backlog: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// More arguments for the hub, such as --hub-arg=--log-filter=warn.
    #[arg(long, allow_hyphen_values = true)]
    pub hub_arg: Vec<String>,
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
    let mut options = Options::new(built_keeper()?, built_binary("heyun-hub")?)?;
    options.members = Vec::new();
    if let Some(hub) = &mut options.hub {
        hub.args.clone_from(&args.hub_arg);
    }
    let sandbox = sandbox::up(options).await?;
    let measured = Bench {
        args,
        client: sandbox.hub_client(),
        sandbox: &sandbox,
    }
    .run()
    .await;
    if measured.is_err() {
        sandbox.fleet().keep_logs();
    }
    measured
}

struct Bench<'a> {
    args: &'a Args,
    client: Client,
    sandbox: &'a Sandbox,
}

/// Processor time, in seconds, of whoever shares the machine.
struct Cpu {
    hub: f64,
    apiserver: f64,
    etcd: f64,
    own: f64,
}

/// What the decisions took.
struct Decided {
    seconds: f64,
    cpu: Cpu,
}

impl Bench<'_> {
    async fn run(&self) -> Result<Report> {
        say(&format!(
            "{} members in {} provinces",
            self.args.members,
            fixture::agencies()
        ));
        fixture::write(&self.client, usize::try_from(self.args.members)?).await?;
        self.ready().await?;
        let raw = Raw::prepare(self.client.clone(), self.sample().await?).await?;
        say("raw write rate, before");
        let raw_before = raw.measure().await?;
        self.quiet().await?;
        let wrote_before = self.hub_writes()?.len();
        say(&format!("{} workloads", self.args.workloads));
        let decided = self.decide().await?;
        self.quiet().await?;
        let writes = self.hub_writes()?.split_off(wrote_before);
        self.one_member_each().await?;
        say("raw write rate, after");
        let raw_after = raw.measure().await?;
        let raw_writes_per_s = f64::midpoint(raw_before.both(), raw_after.both());
        let workloads = f64::from(self.args.workloads);
        let decisions_per_s = workloads / decided.seconds;
        shown(&writes);
        Ok(Report {
            members: self.args.members,
            workloads: self.args.workloads,
            backlog: self.args.backlog,
            release: !cfg!(debug_assertions),
            raw_writes_per_s,
            raw_before,
            raw_after,
            decisions_per_s,
            seconds: decided.seconds,
            writes_per_decision: f64::from(u32::try_from(writes.len())?) / workloads,
            ratio: 2.0 * decisions_per_s / raw_writes_per_s,
            hub_rss_mb: usage::peak_rss_mb(self.hub_pid()?)?,
            hub_cpu_s: decided.cpu.hub,
            apiserver_cpu_s: decided.cpu.apiserver,
            etcd_cpu_s: decided.cpu.etcd,
            bench_cpu_s: decided.cpu.own,
        })
    }

    /// Waits for tenants and quotas, which count before anything may be placed.
    async fn ready(&self) -> Result<()> {
        let tenants: Api<Tenant> = Api::all(self.client.clone());
        let quotas: Api<Quota> = Api::all(self.client.clone());
        let all = fixture::agencies() * 2 + 1;
        let check = || async {
            let params = ListParams::default();
            let tenants = tenants.list(&params).await.map_err(|e| e.to_string())?;
            let quotas = quotas.list(&params).await.map_err(|e| e.to_string())?;
            let tenants = tenants
                .items
                .iter()
                .filter(|o| o.status.as_ref().is_some_and(|s| is_ready(&s.conditions)));
            let quotas = quotas
                .items
                .iter()
                .filter(|o| o.status.as_ref().is_some_and(|s| is_ready(&s.conditions)));
            let found = (tenants.count(), quotas.count());
            if found == (all, all) {
                Ok(())
            } else {
                Err(format!("{found:?} of {all} tenants and quotas"))
            }
        };
        let sleep = tokio::time::sleep;
        Ok(eventually_async("tenants and quotas to be ready", LIMIT, None, sleep, check).await?)
    }

    /// One Workload that was decided, with its Work.
    async fn sample(&self) -> Result<Sample> {
        let namespace = fixture::namespace(0);
        fixture::deploy(&self.client, &namespace, "sample").await?;
        let workloads: Api<Workload> = Api::namespaced(self.client.clone(), &namespace);
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
            let works: Api<Work> = Api::namespaced(self.client.clone(), &home);
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

    /// Creates the Workloads and waits until each has a decision.
    async fn decide(&self) -> Result<Decided> {
        let hub = self.sandbox.hub()?;
        if self.args.backlog {
            hub.stop(Duration::from_secs(20)).await?;
        }
        let count = usize::try_from(self.args.workloads)?;
        let client = self.client.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let watching = tokio::spawn(async move { watch(client, count, tell).await });
        told.await?;
        let before = if self.args.backlog {
            None
        } else {
            Some(self.cpu()?)
        };
        at_once((0..count).map(|n| async move {
            let namespace = fixture::namespace(n);
            fixture::deploy(&self.client, &namespace, &format!("service-{n}")).await
        }))
        .await?;
        let before = if let Some(before) = before {
            before
        } else {
            hub.start()?;
            self.cpu()?
        };
        let seconds = tokio::time::timeout(LIMIT, watching)
            .await
            .map_err(|_| format!("not every workload was decided within {LIMIT:?}"))???;
        let after = self.cpu()?;
        let cpu = Cpu {
            hub: after.hub - before.hub,
            apiserver: after.apiserver - before.apiserver,
            etcd: after.etcd - before.etcd,
            own: after.own - before.own,
        };
        Ok(Decided { seconds, cpu })
    }

    /// Every Workload is on one member, and has its Work there.
    async fn one_member_each(&self) -> Result<()> {
        let works: Api<Work> = Api::all(self.client.clone());
        let list = works.list_metadata(&ListParams::default()).await?;
        let placed = list
            .items
            .iter()
            .filter(|work| {
                work.namespace()
                    .is_some_and(|n| n != fixture::RAW_NAMESPACE)
            })
            .count();
        // The sample is one more.
        let expected = usize::try_from(self.args.workloads)? + 1;
        if placed == expected {
            return Ok(());
        }
        Err(format!("{placed} Works for {expected} Workloads: each must be on one member").into())
    }

    /// What the hub's account wrote so far, without leases and dry runs.
    fn hub_writes(&self) -> Result<Vec<AuditEvent>> {
        let hub = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{HUB_ACCOUNT}");
        let mut all = self.sandbox.hub_cluster()?.audit()?;
        all.retain(|e| e.user.username == hub && e.succeeded() && !e.dry_run());
        Ok(all)
    }

    /// Waits until the hub wrote nothing for [`QUIET`].
    async fn quiet(&self) -> Result<()> {
        let log = self.sandbox.hub_cluster()?.audit_log();
        let (mut size, mut since) = (0, Instant::now());
        let began = Instant::now();
        while since.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = std::fs::metadata(&log)?.len();
            if now != size {
                (size, since) = (now, Instant::now());
            }
            if began.elapsed() > LIMIT {
                return Err("the hub does not come to rest".into());
            }
        }
        Ok(())
    }

    fn hub_pid(&self) -> Result<u32> {
        Ok(self
            .sandbox
            .hub()?
            .process()
            .pid()?
            .ok_or("heyun-hub does not run")?)
    }

    fn cpu(&self) -> Result<Cpu> {
        let of = |component| -> Result<f64> {
            let pid = self.sandbox.hub_cluster()?.component(component)?.pid()?;
            usage::cpu_seconds(pid.ok_or("a component of the hub does not run")?)
        };
        Ok(Cpu {
            hub: usage::cpu_seconds(self.hub_pid()?)?,
            apiserver: of(Component::ApiServer)?,
            etcd: of(Component::Etcd)?,
            own: usage::cpu_seconds(std::process::id())?,
        })
    }
}

/// What was written, by kind, for whoever wonders about the writes for a decision.
fn shown(writes: &[AuditEvent]) {
    let mut kinds: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    for write in writes {
        let object = write.object_ref.clone().unwrap_or_default();
        *kinds
            .entry(format!(
                "{} {}/{}",
                write.verb, object.resource, object.subresource
            ))
            .or_default() += 1;
    }
    for (kind, count) in kinds {
        say(&format!("the hub: {count} {}", kind.trim_end_matches('/')));
    }
}

fn is_ready(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> bool {
    use heyun_crds::conditions::{ConditionType, is_true};
    is_true(conditions, ConditionType::Ready)
}

/// A Workload of which only the decision matters.
type Slim = Object<Ignored, SlimStatus>;

#[derive(Clone, Debug, Deserialize)]
struct Ignored {}

#[derive(Clone, Debug, Default, Deserialize)]
struct SlimStatus {
    decision: Option<Value>,
}

/// Watches until `count` Workloads were decided that were not at first; seconds from the first of
/// them to the last.
async fn watch(
    client: Client,
    count: usize,
    tell: tokio::sync::oneshot::Sender<()>,
) -> Result<f64> {
    let resource = ApiResource::erase::<Workload>(&());
    let api: Api<Slim> = Api::all_with(client, &resource);
    let mut events = pin!(watcher(api, watcher::Config::default()));
    let (mut tell, mut first) = (Some(tell), None);
    let mut decided = BTreeSet::new();
    let mut known = BTreeSet::new();
    loop {
        let Some(event) = events.try_next().await? else {
            return Err("the watch of Workloads ended".into());
        };
        let object = match event {
            Event::InitApply(object) if tell.is_some() => {
                if is_decided(&object) {
                    known.insert(object.uid());
                }
                continue;
            }
            Event::InitDone => {
                tell.take().map(|tell| tell.send(()));
                continue;
            }
            Event::Apply(object) | Event::InitApply(object) => object,
            Event::Delete(_) | Event::Init => continue,
        };
        if !is_decided(&object) || known.contains(&object.uid()) || !decided.insert(object.uid()) {
            continue;
        }
        let first = *first.get_or_insert_with(Instant::now);
        if decided.len() == count {
            return Ok(first.elapsed().as_secs_f64());
        }
    }
}

fn is_decided(object: &Slim) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| status.decision.is_some())
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
