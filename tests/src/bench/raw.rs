//! What the API server can write at all: both sizes of object that a decision writes, at the
//! hub's own concurrency, with the hub's watches open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use heyun_crds::{Work, Workload};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::json;

use super::fixture::{self, RAW_NAMESPACE, create, merge_status};
use super::{IN_FLIGHT, Result, at_once};

/// How long each kind of write is measured.
const SPAN: Duration = Duration::from_secs(5);
/// Workloads that are written in turn: so many that no two writes under way meet on one.
const TARGETS: usize = 4 * IN_FLIGHT;

/// Writes a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Rates {
    /// Patches of a Workload's status.
    pub(super) status_per_s: f64,
    /// Creates of a Work.
    pub(super) work_per_s: f64,
}

impl Rates {
    /// The rate of one of each in turn, which is what a decision costs.
    pub(super) fn both(self) -> f64 {
        2.0 / (1.0 / self.status_per_s + 1.0 / self.work_per_s)
    }
}

/// A decided Workload and its Work, whose sizes are measured.
pub(super) struct Sample {
    pub(super) workload: Workload,
    pub(super) work: Work,
}

/// What is written to measure.
pub(super) struct Raw {
    client: Client,
    sample: Sample,
    round: AtomicUsize,
}

impl Raw {
    /// Makes the Workloads whose status is written. They belong to no tenant, so that the hub says
    /// so once and then leaves them alone.
    pub(super) async fn prepare(client: Client, sample: Sample) -> Result<Self> {
        at_once((0..TARGETS).map(|n| fixture_target(&client, n))).await?;
        let api: Api<Workload> = Api::namespaced(client.clone(), RAW_NAMESPACE);
        let answered = || async {
            let all = api
                .list(&kube::api::ListParams::default())
                .await
                .map_err(|e| e.to_string())?;
            let said = all.items.iter().filter(|w| w.status.is_some()).count();
            if said == TARGETS {
                Ok(())
            } else {
                Err(format!("{said} of {TARGETS}"))
            }
        };
        let what = "the hub to refuse the Workloads without a tenant";
        let (limit, sleep) = (Duration::from_mins(1), tokio::time::sleep);
        heyun_sandbox::eventually_async(what, limit, None, sleep, answered).await?;
        Ok(Self {
            client,
            sample,
            round: AtomicUsize::new(0),
        })
    }

    /// Measures both, one after the other.
    pub(super) async fn measure(&self) -> Result<Rates> {
        Ok(Rates {
            status_per_s: self.statuses().await?,
            work_per_s: self.works().await?,
        })
    }

    async fn statuses(&self) -> Result<f64> {
        let status = self.sample.workload.status.clone().unwrap_or_default();
        let size = serde_json::to_vec(&status)?.len();
        let round = self.round.fetch_add(1, Ordering::Relaxed);
        rate(|n| async move {
            // As many bytes as a decided status, in a field that the hub leaves as it is here.
            let text = format!("{round} {n} {}", "x".repeat(size));
            let patch =
                json!({"status": {"explanation": {"outcome": "Rejected", "message": text}}});
            let name = target_name(n % TARGETS);
            merge_status::<Workload>(&self.client, Some(RAW_NAMESPACE), &name, &patch).await
        })
        .await
    }

    async fn works(&self) -> Result<f64> {
        let round = self.round.fetch_add(1, Ordering::Relaxed);
        rate(|n| async move {
            let body = fixture::raw_work(&self.sample.work, &format!("raw-{round}-{n}"))?;
            create::<Work>(&self.client, Some(RAW_NAMESPACE), &body).await
        })
        .await
    }
}

async fn fixture_target(client: &Client, number: usize) -> Result<()> {
    fixture::deploy(client, RAW_NAMESPACE, &target_name(number)).await
}

fn target_name(number: usize) -> String {
    format!("target-{number}")
}

/// Writes for [`SPAN`], [`IN_FLIGHT`] at once; how many a second.
async fn rate<F: Future<Output = Result<()>>>(write: impl Fn(usize) -> F) -> Result<f64> {
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let worker = || async {
        while started.elapsed() < SPAN {
            write(next.fetch_add(1, Ordering::Relaxed)).await?;
        }
        Ok::<_, super::Failure>(())
    };
    try_join_all((0..IN_FLIGHT).map(|_| worker())).await?;
    let count = u32::try_from(next.load(Ordering::Relaxed))?;
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}
