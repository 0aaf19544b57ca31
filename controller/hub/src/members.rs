//! Members: one worker each, behind a bulkhead; what the workers report becomes status.
//!
//! ```text
//! MemberCluster ──► prepare (namespace, credential, client) ──► worker ──► reports ──► status
//! ```
//!
//! A member in mode `Pull` has an agent of its own: nothing is started for it here.

mod prepare;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use heyun_crds::MemberCluster;
use heyun_crds::member_cluster::{MemberClusterStatus, MemberMode};
use heyun_member::clock::Clock;
use heyun_member::error::{Class, requeue};
use heyun_member::executor::Scope;
use heyun_member::watch::SketchInputs;
use heyun_member::worker::{
    self, Duty, MemberEvent, MemberHandle, MemberReport, PROBE_EVERY, WorkerConfig,
};
use heyun_plan::sketch::Reserve;
use heyun_telemetry::Metrics;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::client::while_leading;
use crate::leader::Term;
use crate::world::{Happened, World};

pub use prepare::Prepared;
use status::Known;

/// Reports that may wait for the loop; beyond it the workers wait.
const REPORTS: usize = 256;
/// Between two attempts to prepare a member that could not be prepared.
const AGAIN: Duration = Duration::from_secs(10);
/// Least time between two writes of a member's amounts, which are for people.
const AMOUNTS_PAUSE: Duration = Duration::from_secs(10);

/// What came back from a member.
pub enum Report {
    /// From a worker.
    Worker(MemberReport),
    /// A member was prepared, or could not be.
    Prepared(Box<Prepared>),
    /// A status was written, or not.
    Written(String, Option<Box<MemberCluster>>),
}

/// What is known of one member.
#[derive(Default)]
struct Member {
    handle: Option<MemberHandle>,
    preparing: bool,
    /// What the worker was prepared from: endpoint, credential, mode.
    basis: Option<prepare::Basis>,
    again_at: Option<Duration>,
    /// When its Secret is read again, since the member refuses what was in it.
    renew_at: Option<Duration>,
    known: Known,
    writing: bool,
    amounts_at: Duration,
}

impl Member {
    /// A credential that is refused may be renewed: its Secret is read again after a while.
    fn renews(&mut self, event: &MemberEvent, name: &str, now: Duration) {
        match event {
            MemberEvent::Probed(Ok(_)) => self.renew_at = None,
            MemberEvent::Probed(Err(failure)) if failure.class == Class::Denied => {
                if let Some(pause) = requeue(Class::Denied, 0, name) {
                    self.renew_at.get_or_insert(now + pause);
                }
            }
            _ => {}
        }
    }

    /// When it must be looked at again.
    fn due(&self) -> Option<Duration> {
        self.again_at.into_iter().chain(self.renew_at).min()
    }

    /// Forgets what is due; true when it is to be prepared.
    fn take_due(&mut self, now: Duration) -> bool {
        let again = self.again_at.take_if(|at| *at <= now).is_some();
        let renews = self.renew_at.take_if(|at| *at <= now).is_some();
        renews || (again && self.handle.is_none())
    }
}

/// Every member, with its worker.
pub struct Fleet {
    client: Client,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    members: BTreeMap<String, Member>,
    reports: mpsc::Receiver<MemberReport>,
    send: mpsc::Sender<MemberReport>,
    tasks: JoinSet<Report>,
    epoch: i64,
    /// The term in which the workers write.
    term: Option<Term>,
}

impl Fleet {
    /// No member yet.
    pub fn new(client: Client, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let (send, reports) = mpsc::channel(REPORTS);
        Self {
            client,
            clock,
            metrics,
            members: BTreeMap::new(),
            reports,
            send,
            tasks: JoinSet::new(),
            epoch: 0,
            term: None,
        }
    }

    /// A client that writes nothing once the term is over.
    fn leading(&self, client: &Client) -> Client {
        let term = self.term.as_ref();
        term.map_or_else(|| client.clone(), |term| while_leading(client, term))
    }

    /// Starts, stops and tells the workers what the world asks for. `changed` are the members
    /// that changed; every worker learns of Flavors.
    pub fn sync(&mut self, world: &World, term: &Term, changed: &BTreeSet<String>) {
        if self.epoch != term.epoch {
            self.epoch = term.epoch;
            self.members.clear();
            self.term = Some(term.clone());
        }
        let gone: Vec<String> = self
            .members
            .keys()
            .filter(|name| world.members.get(name).is_none())
            .cloned()
            .collect();
        for name in gone {
            info!(member = name, "left");
            self.metrics.forget_cluster(&name);
            self.members.remove(&name);
        }
        // Of all Workloads, so once and not for each member.
        let label_keys = world.label_keys();
        for (name, object) in world.members.iter() {
            let inputs = inputs(world, object, &label_keys);
            let member = self.members.entry(name.clone()).or_default();
            if let Some(handle) = &member.handle {
                handle.set_inputs(inputs);
            }
            if !changed.contains(name) && member.basis.is_some() {
                continue;
            }
            if object.spec.mode == MemberMode::Pull {
                member.handle = None;
                member.renew_at = None;
                continue;
            }
            let basis = prepare::Basis::of(object);
            if member.basis.as_ref() != Some(&basis) {
                member.handle = None;
                member.basis = Some(basis);
                member.again_at = None;
                member.renew_at = None;
                self.prepare(name, object, world);
            }
            self.show(world, name);
        }
    }

    fn prepare(&mut self, name: &str, object: &MemberCluster, world: &World) {
        let hub = self.leading(&self.client);
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if std::mem::replace(&mut member.preparing, true) {
            return;
        }
        let twin = twin(world, object);
        let (client, object) = (hub, object.clone());
        self.tasks.spawn(async move {
            Report::Prepared(Box::new(prepare::prepare(&client, object, twin).await))
        });
    }

    /// The next report; pending while there is none.
    pub async fn report(&mut self) -> Option<Report> {
        tokio::select! {
            // Tasks are started by what is heard: they end sooner or later, and reports go on.
            biased;
            Some(done) = self.tasks.join_next() => match done {
                Ok(report) => Some(report),
                Err(error) => {
                    warn!(%error, "a task of a member ended badly");
                    None
                }
            },
            Some(report) = self.reports.recv() => Some(Report::Worker(report)),
            else => std::future::pending().await,
        }
    }

    /// When a member must be looked at again.
    pub fn next_due(&self) -> Option<Duration> {
        self.members.values().filter_map(Member::due).min()
    }

    /// Prepares again what could not be prepared, and writes amounts that waited.
    pub fn retry(&mut self, world: &World) {
        let now = self.clock.monotonic();
        let due: Vec<String> = self
            .members
            .iter()
            .filter(|(_, m)| m.due().is_some_and(|at| at <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            if let Some(member) = self.members.get_mut(&name)
                && member.take_due(now)
                && let Some(object) = world.members.get(&name)
            {
                self.prepare(&name, object, world);
            }
            self.show(world, &name);
        }
    }

    /// Takes in a report, with what it means to those that wait; true where a member is written.
    pub fn hear(&mut self, report: Report, world: &mut World, happened: &mut Happened) -> bool {
        match report {
            Report::Prepared(prepared) => self.prepared(*prepared, world),
            Report::Written(name, object) => {
                if let Some(member) = self.members.get_mut(&name) {
                    member.writing = false;
                    if object.is_none() {
                        member.again_at = Some(self.clock.monotonic() + Duration::from_secs(1));
                    }
                }
                let wrote = object.is_some();
                if let Some(object) = object {
                    world.put_member(*object, happened);
                }
                if wrote {
                    self.show(world, &name);
                }
                wrote
            }
            Report::Worker(report) => {
                if report.epoch != self.epoch {
                    return false;
                }
                let name = report.member.clone();
                let Some(member) = self.members.get_mut(&name) else {
                    return false;
                };
                if let MemberEvent::Probed(Err(failure)) = &report.event
                    && member.known.forgives(failure)
                    && let Some(handle) = &member.handle
                {
                    // One failure may be chance: it is asked again at once before it counts.
                    handle.probe_now();
                    return false;
                }
                member.renews(&report.event, &name, self.clock.monotonic());
                member.known.take(report.event);
                self.show(world, &name);
                false
            }
        }
    }

    fn prepared(&mut self, prepared: Prepared, world: &World) -> bool {
        let now = self.clock.monotonic();
        let hub = self.leading(&self.client);
        let Prepared {
            name,
            basis,
            result,
        } = prepared;
        let result = result.map(|client| self.leading(&client));
        let Some(member) = self.members.get_mut(&name) else {
            return false;
        };
        member.preparing = false;
        if member.basis.as_ref() != Some(&basis) {
            member.again_at = Some(now);
            return false;
        }
        let Some(object) = world.members.get(&name) else {
            return false;
        };
        // One that was prepared anew, since its credential was refused.
        member.handle = None;
        match result {
            Ok(client) => {
                member.known.refusal = None;
                let status = object.status.as_ref();
                member.handle = Some(worker::start(WorkerConfig {
                    scope: Scope {
                        member: name.clone(),
                        epoch: self.epoch,
                        fence_base: status.map_or(0, |s| s.fence_base),
                    },
                    duty: match object.spec.mode {
                        MemberMode::Observe => Duty::Observe,
                        MemberMode::Push | MemberMode::Pull => Duty::Act,
                    },
                    hub,
                    member: client,
                    reports: self.send.clone(),
                    inputs: inputs(world, object, &world.label_keys()),
                    clock: Arc::clone(&self.clock),
                    metrics: Some(self.metrics.clone()),
                    probe_every: PROBE_EVERY,
                }));
            }
            Err(refusal) => {
                warn!(member = name, reason = %refusal.reason, message = refusal.message, "not reached");
                member.known.refusal = Some(refusal);
                member.again_at = Some(now + AGAIN);
            }
        }
        self.show(world, &name);
        false
    }

    /// Writes a member's status where it differs from what is known.
    fn show(&mut self, world: &World, name: &str) {
        let now = self.clock.monotonic();
        let client = self.leading(&self.client);
        let (Some(object), Some(member)) = (world.members.get(name), self.members.get_mut(name))
        else {
            return;
        };
        if member.writing || object.spec.mode == MemberMode::Pull {
            return;
        }
        let before = object.status.clone().unwrap_or_default();
        let mut after = status::status(object, &member.known, &Time(self.clock.now()));
        let only_amounts = MemberClusterStatus {
            capacity: before.capacity.clone(),
            ..after.clone()
        } == before;
        if only_amounts && now < member.amounts_at {
            member.again_at.get_or_insert(member.amounts_at);
            after.capacity.clone_from(&before.capacity);
        }
        if after == before {
            return;
        }
        member.writing = true;
        member.amounts_at = now + AMOUNTS_PAUSE;
        let (object, name) = (object.clone(), name.to_owned());
        self.tasks.spawn(async move {
            let written = prepare::write_status(&client, &object, &after).await;
            Report::Written(name, written.map(Box::new))
        });
    }

    /// Members whose answers are old: they did not answer last time.
    pub fn unreachable(world: &World) -> BTreeSet<String> {
        world
            .members
            .iter()
            .filter(|(_, object)| status::is_unreachable(object))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Ends every worker, without waiting.
    pub fn stop_soon(&mut self) {
        self.members.clear();
    }

    /// Ends every worker and waits for them.
    pub async fn stop_all(&mut self) {
        let handles = std::mem::take(&mut self.members)
            .into_values()
            .filter_map(|m| m.handle);
        futures::future::join_all(handles.map(MemberHandle::shutdown)).await;
        self.tasks.shutdown().await;
    }
}

fn inputs(world: &World, object: &MemberCluster, label_keys: &BTreeSet<String>) -> SketchInputs {
    SketchInputs {
        flavors: world.flavors.values().cloned().collect(),
        label_keys: label_keys.clone(),
        reserve: Reserve::parse(&object.spec.reserve).unwrap_or_default(),
    }
}

/// Another member, older or first by name, that is the same cluster.
fn twin(world: &World, object: &MemberCluster) -> Option<String> {
    let endpoint = object.spec.endpoint.as_deref()?;
    let order = |m: &MemberCluster| {
        (
            m.metadata.creation_timestamp.clone().map(|t| t.0),
            m.name_any(),
        )
    };
    world
        .members
        .values()
        .filter(|other| other.name_any() != object.name_any() && order(other) < order(object))
        .find(|other| other.spec.endpoint.as_deref() == Some(endpoint))
        .map(ResourceExt::name_any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_member::probe::{Probe, ProbeFailure};

    fn refused(class: Class) -> MemberEvent {
        MemberEvent::Probed(Err(ProbeFailure {
            class,
            message: String::new(),
        }))
    }

    #[test]
    fn a_refused_credential_is_read_again_once_in_a_while() {
        let at = Duration::from_secs;
        let mut member = Member::default();
        member.renews(&refused(Class::Unreachable), "gz", at(0));
        assert_eq!(member.due(), None);
        member.renews(&refused(Class::Denied), "gz", at(0));
        let due = member.due().unwrap();
        assert!(due >= at(300));
        // Each further probe says the same: it does not put it off.
        member.renews(&refused(Class::Denied), "gz", at(30));
        assert_eq!(member.due(), Some(due));
        assert!(!member.take_due(at(60)));
        assert!(member.take_due(due));
        assert_eq!(member.due(), None, "not again before the next refusal");
    }

    #[test]
    fn a_member_that_answers_keeps_its_credential() {
        let mut member = Member::default();
        member.renews(&refused(Class::Denied), "gz", Duration::ZERO);
        let probe = Probe {
            ready: true,
            message: String::new(),
            version: String::new(),
            cluster_id: String::new(),
            apis: Arc::default(),
        };
        member.renews(&MemberEvent::Probed(Ok(probe)), "gz", Duration::ZERO);
        assert_eq!(member.due(), None);
    }
}
