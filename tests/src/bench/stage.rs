//! A hub of its own with everything but Workloads, and Workloads when they are wanted: where every
//! benchmark of the hub begins.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use heyun::sandbox::{self, Options, Sandbox};
use heyun_crds::{Quota, Tenant, Work, Workload};
use heyun_sandbox::{Component, built_binary, built_keeper, eventually_async};
use kube::api::{ApiResource, ListParams};
use kube::core::Object;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;
use serde_json::Value;

use super::tail::Tail;
use super::{Result, Size, at_once, fixture, say, usage};

/// Longest time for anything that is waited for.
pub(super) const LIMIT: Duration = Duration::from_mins(10);
/// The hub is taken to be done when it wrote nothing for this long.
pub(super) const QUIET: Duration = Duration::from_secs(3);

/// The hub's own defaults, which the chart leaves as they are.
const LEASE: [&str; 3] = [
    "--lease-duration=15",
    "--renew-deadline=10",
    "--retry-period=2000",
];

/// A hub, and how much it is to hold.
pub(super) struct Stage {
    size: Size,
    client: Client,
    sandbox: Sandbox,
}

/// Processor time, in seconds, of whoever shares the machine.
pub(super) struct Cpu {
    pub(super) hub: f64,
    pub(super) apiserver: f64,
    pub(super) etcd: f64,
    pub(super) own: f64,
}

/// What the decisions took.
pub(super) struct Decided {
    /// From the first to the last.
    pub(super) seconds: f64,
    pub(super) cpu: Cpu,
}

impl Stage {
    /// Starts the hub on an API server of its own. No member runs.
    pub(super) async fn up(size: &Size) -> Result<Self> {
        let mut options = Options::new(built_keeper()?, built_binary("heyun-hub")?)?;
        options.members = Vec::new();
        if let Some(hub) = &mut options.hub {
            // The lease of an installation, not the short one of the sandbox.
            hub.args = LEASE.map(str::to_owned).to_vec();
            hub.args.extend(size.hub_arg.iter().cloned());
        }
        let sandbox = sandbox::up(options).await?;
        Ok(Self {
            size: size.clone(),
            client: sandbox.hub_client(),
            sandbox,
        })
    }

    /// Keeps the logs where there are no figures.
    pub(super) fn end<T>(&self, measured: Result<T>) -> Result<T> {
        if measured.is_err() {
            self.sandbox.fleet().keep_logs();
        }
        measured
    }

    /// An administrator's client.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the hub writes from now on.
    pub(super) fn tail(&self) -> Result<Tail> {
        Tail::from_now(self.sandbox.hub_cluster()?.audit_log())
    }

    /// Writes everything but Workloads, and waits until the hub took it in.
    pub(super) async fn furnish(&self) -> Result<()> {
        say(&format!(
            "{} members in {} provinces",
            self.size.members,
            fixture::agencies()
        ));
        fixture::write(&self.client, usize::try_from(self.size.members)?).await?;
        self.ready().await
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

    /// Creates the Workloads and waits until each has a decision; with a backlog, while no hub
    /// runs, which is then started.
    pub(super) async fn decide(&self, backlog: bool) -> Result<Decided> {
        let hub = self.sandbox.hub()?;
        if backlog {
            hub.stop(Duration::from_secs(20)).await?;
        }
        let count = usize::try_from(self.size.workloads)?;
        let client = self.client.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let watching = tokio::spawn(async move { watch(client, count, tell).await });
        told.await?;
        let before = if backlog { None } else { Some(self.cpu()?) };
        at_once((0..count).map(|n| async move {
            let (namespace, name) = workload(n);
            fixture::deploy(&self.client, &namespace, &name).await
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

    /// As many Works as Workloads: each is on one member, and has its Work there.
    pub(super) async fn one_member_each(&self, workloads: usize) -> Result<()> {
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
        if placed == workloads {
            return Ok(());
        }
        Err(format!("{placed} Works for {workloads} Workloads: each must be on one member").into())
    }

    /// The hub's process.
    pub(super) fn hub_pid(&self) -> Result<u32> {
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

/// Namespace and name of the Workload of this number, from 0.
pub(super) fn workload(number: usize) -> (String, String) {
    (fixture::namespace(number), format!("service-{number}"))
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
