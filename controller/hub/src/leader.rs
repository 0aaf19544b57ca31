//! One leader at a time, and proof that the last one is gone.
//!
//! ```text
//! look ─► Create/Acquire (epoch + 1, by resourceVersion) ─► settle ─► fence is in force ─► lead
//!  ▲                                                                                        │
//!  └────────────── lost, released, or not renewed within the renew deadline ◄───────────────┘
//! ```
//!
//! Safety does not rest on the Lease: every decision and Work carries the epoch, and a policy on
//! the hub's API server refuses one that is not the Lease's (docs/architecture.md, rules 3). The
//! Lease saves work, and gives the epoch.

mod decide;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use heyun_crds::labels::{LEADER_LEASE, SYSTEM_NAMESPACE};
use heyun_member::clock::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::LeaseTimes;
use crate::fence;
use crate::seeded::{self, Bug};
use decide::{LeaseView, Step};

/// One stretch of leading, from an acquisition to its loss.
#[derive(Clone, Debug)]
pub struct Term {
    /// The epoch that every write of this term carries.
    pub epoch: i64,
    /// Cancelled when the term ends.
    pub ended: CancellationToken,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    clock: Arc<dyn Clock>,
    /// Monotonic milliseconds of the last renewal that the API server confirmed.
    renewed_ms: AtomicU64,
    renew_deadline: Duration,
}

impl Term {
    /// A term that lasts until it is cancelled: for who runs the loop without an election.
    pub fn unelected(epoch: i64, clock: Arc<dyn Clock>) -> Self {
        Self {
            epoch,
            ended: CancellationToken::new(),
            gate: Arc::new(Gate {
                clock,
                renewed_ms: AtomicU64::new(u64::MAX),
                renew_deadline: Duration::MAX,
            }),
        }
    }

    /// Whether a write may start now: the lease was renewed within the renew deadline.
    ///
    /// This check saves work; the fence refuses what slips through.
    pub fn may_write(&self) -> bool {
        if seeded::is(Bug::LeaseCheck) {
            return true;
        }
        !self.ended.is_cancelled() && self.gate.fresh()
    }
}

impl Gate {
    fn touch(&self, at: Duration) {
        self.renewed_ms.store(millis(at), Ordering::Release);
    }

    fn fresh(&self) -> bool {
        let since =
            millis(self.clock.monotonic()).saturating_sub(self.renewed_ms.load(Ordering::Acquire));
        since < millis(self.renew_deadline)
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Whether this process leads.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Another leads, or nobody yet.
    Following,
    /// This process leads, in this term.
    Leading(Term),
}

/// What the election needs.
pub struct Election {
    /// Client of the hub, with the server-side deadline on writes.
    pub client: Client,
    /// Fresh for each start of the process.
    pub identity: String,
    /// The times.
    pub times: LeaseTimes,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// Highest epoch seen in any decision or Work; kept by the world.
    pub highest: Arc<AtomicI64>,
}

/// The Lease as last seen, and since when it looks so.
#[derive(Default)]
struct Observed {
    view: Option<LeaseView>,
    since: Duration,
}

/// What this process holds of the Lease.
enum Hold {
    /// Nothing.
    Nothing,
    /// The Lease, until this moment without leading.
    Settling(Term, Duration),
    /// The Lease, leading.
    Leading(Term),
}

impl Hold {
    fn term(&self) -> Option<&Term> {
        match self {
            Self::Nothing => None,
            Self::Settling(term, _) | Self::Leading(term) => Some(term),
        }
    }
}

impl Election {
    /// Runs until `stop`; then releases the Lease if it is ours.
    pub async fn run(self, standing: watch::Sender<Standing>, stop: CancellationToken) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE);
        let mut observed = Observed {
            view: None,
            since: self.clock.monotonic(),
        };
        let mut hold = Hold::Nothing;
        let limit = self.times.retry.max(Duration::from_secs(1));
        while !stop.is_cancelled() {
            let turn = self.turn(&api, &mut observed, &mut hold);
            match tokio::time::timeout(limit, turn).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "lease"),
                Err(_) => warn!("lease: the API server did not answer in time"),
            }
            hold = self.judge(hold, &standing);
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.times.retry) => {}
            }
        }
        if let Some(term) = hold.term() {
            term.ended.cancel();
            standing.send_replace(Standing::Following);
            self.release(&api, term).await;
        }
    }

    /// One look at the Lease and what follows from it.
    async fn turn(
        &self,
        api: &Api<Lease>,
        observed: &mut Observed,
        hold: &mut Hold,
    ) -> Result<(), kube::Error> {
        let asked = self.clock.monotonic();
        let lease = api.get_opt(LEADER_LEASE).await?;
        let view = lease.as_ref().map(view);
        if view != observed.view {
            *observed = Observed { view, since: asked };
        }
        let seen = decide::Seen {
            lease: observed.view.as_ref(),
            unchanged: asked.saturating_sub(observed.since),
            highest: self.highest.load(Ordering::Acquire),
            holds: hold.term().is_some_and(|term| !term.ended.is_cancelled()),
        };
        match decide::step(&self.identity, &seen, self.times.write_timeout()) {
            Step::Wait => {
                if let Some(term) = hold.term() {
                    term.ended.cancel();
                }
            }
            Step::Renew => {
                if let Some(lease) = lease {
                    self.write(api, lease, None).await?;
                }
                if let Some(term) = hold.term() {
                    term.gate.touch(asked);
                }
            }
            Step::Create { epoch } => {
                let metadata = ObjectMeta {
                    name: Some(LEADER_LEASE.into()),
                    ..ObjectMeta::default()
                };
                let lease = Lease {
                    metadata,
                    spec: Some(self.spec(epoch, true)),
                };
                api.create(&PostParams::default(), &lease).await?;
                *hold = Hold::Settling(self.begin(epoch, asked), asked);
            }
            Step::Acquire { epoch, settle } => {
                if let Some(lease) = lease {
                    self.write(api, lease, Some(epoch)).await?;
                    info!(epoch, settle_ms = millis(settle), "lease acquired");
                    *hold = Hold::Settling(self.begin(epoch, asked), asked + settle);
                }
            }
        }
        Ok(())
    }

    /// Begins to lead once nothing of the last holder can still arrive; stops when the term is
    /// over or was not renewed in time.
    fn judge(&self, hold: Hold, standing: &watch::Sender<Standing>) -> Hold {
        let unchecked = seeded::is(Bug::LeaseCheck);
        if let Some(term) = hold.term()
            && (term.ended.is_cancelled() || !(term.gate.fresh() || unchecked))
        {
            warn!(epoch = term.epoch, "no longer leading");
            term.ended.cancel();
            standing.send_replace(Standing::Following);
            return Hold::Nothing;
        }
        match hold {
            Hold::Settling(term, until) if self.clock.monotonic() >= until => {
                info!(epoch = term.epoch, "leading");
                standing.send_replace(Standing::Leading(term.clone()));
                Hold::Leading(term)
            }
            other => other,
        }
    }

    async fn write(
        &self,
        api: &Api<Lease>,
        mut lease: Lease,
        epoch: Option<i64>,
    ) -> Result<Lease, kube::Error> {
        let old = lease.spec.take().unwrap_or_default();
        let kept = old.lease_transitions.map_or(1, i64::from);
        let mut spec = self.spec(epoch.unwrap_or(kept), epoch.is_some());
        if epoch.is_none() {
            spec.acquire_time = old.acquire_time;
        }
        lease.spec = Some(spec);
        lease.metadata.managed_fields = None;
        api.replace(LEADER_LEASE, &PostParams::default(), &lease)
            .await
    }

    fn spec(&self, epoch: i64, acquired: bool) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.times.duration.as_secs()).ok(),
            lease_transitions: i32::try_from(epoch).ok(),
            acquire_time: acquired.then(|| now.clone()),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    fn begin(&self, epoch: i64, asked: Duration) -> Term {
        Term {
            epoch,
            ended: CancellationToken::new(),
            gate: Arc::new(Gate {
                clock: Arc::clone(&self.clock),
                renewed_ms: AtomicU64::new(millis(asked)),
                renew_deadline: self.times.renew_deadline,
            }),
        }
    }

    /// Empties the holder, so that the next leader need not wait; every write of the term has
    /// ended by now.
    async fn release(&self, api: &Api<Lease>, term: &Term) {
        let released = async {
            let mut lease = api.get(LEADER_LEASE).await?;
            if view(&lease).holder == self.identity
                && let Some(spec) = lease.spec.as_mut()
            {
                spec.holder_identity = Some(String::new());
                lease.metadata.managed_fields = None;
                api.replace(LEADER_LEASE, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(Duration::from_secs(3), released).await {
            Ok(Ok(())) => info!(epoch = term.epoch, "lease released"),
            Ok(Err(error)) => warn!(%error, "lease not released: the next leader waits it out"),
            Err(_) => warn!("lease not released in time: the next leader waits it out"),
        }
    }
}

/// Waits until the fence refuses the epoch before this term's and lets this term's pass.
///
/// A hub without its fence must not lead: it says so and tries again.
pub async fn wait_for_fence(client: &Client, term: &Term) {
    if seeded::is(Bug::Fence) {
        return;
    }
    loop {
        match fence::canary(client, term.epoch).await {
            Ok(fence::Canary::InForce) => return,
            Ok(fence::Canary::Open) => {
                warn!(
                    epoch = term.epoch,
                    "the fence does not refuse an old epoch: apply the policies of charts/heyun"
                );
            }
            Err(error) => warn!(%error, "the fence could not be tried"),
        }
        tokio::select! {
            biased;
            () = term.ended.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

fn view(lease: &Lease) -> LeaseView {
    let spec = lease.spec.clone().unwrap_or_default();
    LeaseView {
        holder: spec.holder_identity.unwrap_or_default(),
        epoch: spec.lease_transitions.map_or(0, i64::from),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        duration: Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|s| u64::try_from(s).ok())
                .unwrap_or(15),
        ),
    }
}
