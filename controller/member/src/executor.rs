//! Brings one member to what its Works say, and says what is there.
//!
//! ```text
//! Work ──wanted──► intents ──decide (what was seen)──► steps ──► writes as the tenant
//!   ▲                                                              │
//!   └────────────────── status (only when it changed) ◄── states ──┘
//! ```
//!
//! The executor makes no choices: what is to be there stands in the Work, what is done about it
//! is decided by pure code from what was seen. An unchanged Work whose objects are as applied
//! costs no request.

mod base;
mod decide;
mod drift;
mod marks;
mod object;
mod prune;
mod refusals;
mod retire;
mod shared;
mod status;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use heyun_crds::conditions::Reason;
use heyun_crds::labels;
use heyun_crds::work::{ObjectState, Work, WorkStatus};
use heyun_crds::workload::DeletionPolicy;
use heyun_telemetry::Metrics;
use heyun_telemetry::labels::{Verb, WriteResult};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::apply::{Guard, patch_status, set_finalizer};
use crate::client::{CALL_LIMIT, within};
use crate::clock::Clock;
use crate::error::{Class, Classify as _, Error, describe};
use crate::kinds::{InUse, Kinds};
use crate::pods::PodIndex;
use crate::seen::{ObjectKey, Shelf};
use base::{Base, Bases, Claim};
use marks::Marks;
use object::Outcome;
use prune::Pruned;
use refusals::refusal;
use wanted::Wanted;

/// Whose executor it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name of the member.
    pub member: String,
    /// Epoch of the leader that runs it.
    pub epoch: i64,
    /// What the hub adds to its epoch for this member's fence.
    pub fence_base: i64,
}

impl Scope {
    /// The number that this leader writes on the member: its fence counts so.
    pub fn number(&self) -> i64 {
        self.epoch.saturating_add(self.fence_base)
    }
}

/// What an executor works with.
pub struct Parts {
    /// Whose it is.
    pub scope: Scope,
    /// The hub, for Works and the Secrets beside them.
    pub hub: Client,
    /// The member, with the hub's own account there.
    pub member: Client,
    /// The kinds of the member.
    pub kinds: Arc<Kinds>,
    /// Kinds that are applied: each gets a watch.
    pub in_use: Arc<InUse>,
    /// What is kept of the member's objects.
    pub shelf: Arc<Shelf>,
    /// Pods of ours on the member.
    pub pods: Arc<PodIndex>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where writes are counted.
    pub metrics: Option<Metrics>,
}

/// Brings one member to what its Works say.
pub struct Executor {
    parts: Parts,
    works: Api<Work>,
    secrets: Api<Secret>,
    bases: Bases,
    marks: Marks,
}

/// How one pass over one Work ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Synced {
    /// The Work as the hub has it after the pass, where the pass wrote it.
    pub work: Option<Box<Work>>,
    /// What stands in the way, of the class that is to be tried again soonest.
    pub class: Option<Class>,
    /// True when the Work is gone: nothing of it is left to do.
    pub finished: bool,
    /// True when a fence refused a write: a newer leader writes.
    pub fenced: bool,
    /// Writes to the member.
    pub writes: u32,
    /// Objects that somebody else had changed.
    pub drifted: u32,
    /// One line about what stands in the way, for the log.
    pub message: String,
}

/// One pass over one Work.
struct Pass<'a> {
    work: &'a Work,
    name: &'a str,
    base: &'a Base,
}

impl Executor {
    /// An executor that has seen nothing yet.
    pub fn new(parts: Parts) -> Self {
        let namespace = labels::member_namespace(&parts.scope.member);
        Self {
            works: Api::namespaced(parts.hub.clone(), &namespace),
            secrets: Api::namespaced(parts.hub.clone(), &namespace),
            bases: Bases::default(),
            marks: Marks::default(),
            parts,
        }
    }

    /// One pass: applies what is wanted, prunes what is not, writes the status where it changed.
    /// An error is one of the hub, or means that the member does not answer: then nothing is
    /// known and the status stays as it is.
    pub async fn sync(&self, work: &Work) -> Result<Synced, Error> {
        if work.metadata.deletion_timestamp.is_some() {
            return self.finalize(work).await;
        }
        let wanted = match wanted::all(work) {
            Ok(wanted) => wanted,
            Err(nameless) => return self.refuse_nameless(work, &nameless).await,
        };
        let mut held = work.clone();
        self.record_intent(&mut held, &wanted).await?;
        let claim = self.claim(&held);
        let base = match self.bases.ensure(claim).await {
            Ok(base) => base,
            Err(error) if error.class() == Class::Unreachable => return Err(error),
            Err(error) => return self.refuse_all(&held, &wanted, &error).await,
        };
        let name = held.metadata.name.clone().unwrap_or_default();
        let pass = Pass {
            work: &held,
            name: &name,
            base: &base,
        };
        let mut synced = Synced::default();
        let mut states = Vec::with_capacity(wanted.len());
        for one in &wanted {
            let outcome = self.bring_about(&pass, one).await?;
            synced.take(&outcome);
            states.push(outcome.state);
        }
        let left = self
            .prune_unwanted(&pass, &wanted, &states, &mut synced)
            .await?;
        let complete = left.is_empty() && states.iter().all(|s| s.applied);
        states.extend(left);
        let pods = self.parts.pods.components(&name);
        if pods.is_none() {
            // The list of pods is not complete yet.
            synced.waits(Class::Transient);
        }
        let settled = complete && pods.is_some_and(|pods| status::is_settled(&held, &pods));
        self.conclude(&held, states, settled, synced).await
    }

    fn claim<'a>(&'a self, work: &'a Work) -> Claim<'a> {
        Claim {
            member: &self.parts.member,
            work,
            number: self.number(),
            now: self.now(),
        }
    }

    fn number(&self) -> i64 {
        self.parts.scope.number()
    }

    fn now(&self) -> Duration {
        self.parts.clock.monotonic()
    }

    /// Before the first write for an object its name stands in the inventory, and the finalizer
    /// on the Work: killed at any point, whoever comes next knows what may be there.
    async fn record_intent(&self, work: &mut Work, wanted: &[Wanted]) -> Result<(), Error> {
        let doing = || format!("add the finalizer to Work {}", name_of(work));
        let call = set_finalizer(&self.works, work, labels::FINALIZER, true);
        if let Some(written) = within(CALL_LIMIT, doing(), call).await? {
            *work = written;
        }
        let before = work.status.clone().unwrap_or_default();
        let missing: Vec<ObjectState> = wanted
            .iter()
            .filter(|w| {
                !before
                    .objects
                    .iter()
                    .any(|o| status::is_state_of(o, &w.key))
            })
            .map(|w| status::state(&w.key, Reason::Applying, ""))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut after = before;
        after.objects.extend(missing);
        if let Some(written) = self.write_status(work, &after).await? {
            *work = written;
        }
        Ok(())
    }

    /// What is in the inventory, or carries the Work's label, and is no longer wanted. Nothing
    /// goes while something wanted is not applied: the last copy is not removed for a
    /// replacement that may never come.
    async fn prune_unwanted(
        &self,
        pass: &Pass<'_>,
        wanted: &[Wanted],
        states: &[ObjectState],
        synced: &mut Synced,
    ) -> Result<Vec<ObjectState>, Error> {
        let mut unwanted = self.inventory(pass.work, pass.name);
        // The same object under another version of its API is not another one.
        unwanted.retain(|key| !wanted.iter().any(|one| one.key.is_same_object(key)));
        let blocked = states.iter().any(|s| !s.applied);
        let mut left = Vec::new();
        for key in unwanted.into_iter().rev() {
            if blocked {
                let message = "is no longer wanted and goes when all else is applied";
                left.push(status::state(&key, Reason::Terminating, message));
                continue;
            }
            left.extend(self.prune_one(pass, &key, synced).await?);
        }
        Ok(left)
    }

    /// Prunes one object; its state while it is still there.
    async fn prune_one(
        &self,
        pass: &Pass<'_>,
        key: &ObjectKey,
        synced: &mut Synced,
    ) -> Result<Option<ObjectState>, Error> {
        match self.prune(pass, key).await {
            Ok(Pruned::Gone) => Ok(None),
            Ok(Pruned::Going { wrote }) => {
                synced.writes += u32::from(wrote) * 2;
                synced.waits(Class::Transient);
                Ok(Some(status::state(
                    key,
                    Reason::Terminating,
                    "is being deleted",
                )))
            }
            Ok(Pruned::Refused(refusal)) => {
                synced.waits(refusal.class);
                Ok(Some(status::state(key, refusal.reason, &refusal.message)))
            }
            Err(error) if error.class() == Class::Unreachable => Err(error),
            Err(error) => {
                synced.fenced |= error.is_fenced();
                let refusal = refusal(key, &self.parts.scope.member, &error);
                synced.waits(refusal.class);
                Ok(Some(status::state(key, refusal.reason, &refusal.message)))
            }
        }
    }

    /// Everything that this Work may have on the member, in the order in which it was applied.
    fn inventory(&self, work: &Work, name: &str) -> Vec<ObjectKey> {
        let namespace = &work.spec.workload.namespace;
        let objects = work.status.iter().flat_map(|status| &status.objects);
        let mut keys: Vec<ObjectKey> = objects
            .map(|object| status::key_of(object, namespace))
            .collect();
        add_missing(&mut keys, self.parts.shelf.of_work(namespace, name));
        keys
    }

    /// The Work is being deleted: its objects go first, or stay when they are orphaned.
    async fn finalize(&self, work: &Work) -> Result<Synced, Error> {
        let name = name_of(work);
        let mut synced = Synced::default();
        if work.spec.deletion_policy == DeletionPolicy::Delete {
            let left = self.prune_all(work, &name, &mut synced).await?;
            let pods = self.parts.pods.of_work(&name);
            if !left.is_empty() || may_have_pods(pods) {
                synced.waits(Class::Transient);
                let mut synced = self.conclude(work, left, false, synced).await?;
                if synced.message.is_empty() {
                    synced.message = match pods {
                        Some(pods) => format!("{pods} pods are still there"),
                        None => "which pods are still there is not known yet".to_owned(),
                    };
                }
                return Ok(synced);
            }
        }
        let call = set_finalizer(&self.works, work, labels::FINALIZER, false);
        match within(CALL_LIMIT, format!("let Work {name} go"), call).await {
            Ok(_) => {}
            Err(error) if error.status().is_some_and(kube::core::Status::is_not_found) => {}
            Err(error) => return Err(error),
        }
        Ok(Synced {
            finished: true,
            ..synced
        })
    }

    async fn prune_all(
        &self,
        work: &Work,
        name: &str,
        synced: &mut Synced,
    ) -> Result<Vec<ObjectState>, Error> {
        let mut keys = self.inventory(work, name);
        // A status that was wiped must not leave anything behind.
        if let Ok(wanted) = wanted::all(work) {
            add_missing(&mut keys, wanted.into_iter().map(|w| w.key));
        }
        let Some(base) = self.bases.existing(self.claim(work)).await? else {
            return Ok(Vec::new());
        };
        let pass = Pass {
            work,
            name,
            base: &base,
        };
        let mut left = Vec::new();
        for key in keys.into_iter().rev() {
            left.extend(self.prune_one(&pass, &key, synced).await?);
        }
        Ok(left)
    }

    /// Puts the states together and writes them where they changed.
    async fn conclude(
        &self,
        work: &Work,
        states: Vec<ObjectState>,
        settled: bool,
        mut synced: Synced,
    ) -> Result<Synced, Error> {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.parts.clock.now());
        let status = status::put_together(work, states, settled, &now);
        if synced.message.is_empty() {
            synced.message = status::obstacle(&status).unwrap_or_default();
        }
        // A leader that is fenced off says nothing: what it would say is its own state.
        if !synced.fenced {
            synced.work = self.write_status(work, &status).await?.map(Box::new);
        }
        Ok(synced)
    }

    /// The one write of a Work's status: only when something changed.
    async fn write_status(&self, work: &Work, status: &WorkStatus) -> Result<Option<Work>, Error> {
        let doing = format!("write the status of Work {}", name_of(work));
        let call = patch_status(&self.works, work, work.status.as_ref(), status, Guard::Uid);
        within(CALL_LIMIT, doing, call).await
    }

    async fn refuse_nameless(
        &self,
        work: &Work,
        nameless: &wanted::Nameless,
    ) -> Result<Synced, Error> {
        let message = format!(
            "manifests[{}] of the Work lacks apiVersion, kind or metadata.name: the hub rendered \
             it wrongly",
            nameless.index
        );
        let mut states: Vec<ObjectState> = work
            .status
            .iter()
            .flat_map(|s| s.objects.iter().cloned())
            .collect();
        for state in &mut states {
            state.applied = false;
            Reason::Invalid.as_str().clone_into(&mut state.reason);
            state.message.clone_from(&message);
        }
        let synced = Synced {
            class: Some(Class::Bug),
            message,
            ..Synced::default()
        };
        self.conclude(work, states, false, synced).await
    }

    /// The namespace cannot be used: nothing of the Work is touched.
    async fn refuse_all(
        &self,
        work: &Work,
        wanted: &[Wanted],
        error: &Error,
    ) -> Result<Synced, Error> {
        let (reason, message) = match error {
            Error::Refused { reason, message } => (*reason, message.clone()),
            error => (Reason::ApplyFailed, describe(error)),
        };
        let states = wanted
            .iter()
            .map(|w| status::state(&w.key, reason, &message))
            .collect();
        let synced = Synced {
            class: Some(error.class()),
            fenced: error.is_fenced(),
            ..Synced::default()
        };
        self.conclude(work, states, false, synced).await
    }

    fn count_write(&self, verb: Verb, outcome: Result<(), &Error>) {
        let Some(metrics) = &self.parts.metrics else {
            return;
        };
        let (result, class) = match outcome {
            Ok(()) => (WriteResult::Ok, ""),
            Err(error) => {
                let result = match error.class() {
                    _ if error.is_fenced() => WriteResult::Fenced,
                    Class::Conflict => WriteResult::Conflict,
                    Class::Denied | Class::Invalid => WriteResult::Refused,
                    Class::Unreachable => WriteResult::Timeout,
                    _ => WriteResult::Error,
                };
                (result, error.class().as_str())
            }
        };
        metrics.work_write(&self.parts.scope.member, verb, result, class);
    }
}

impl Synced {
    fn take(&mut self, outcome: &Outcome) {
        self.writes += u32::from(outcome.wrote);
        self.drifted += u32::from(outcome.drifted);
        self.fenced |= outcome.fenced;
        self.class = Class::soonest(self.class, outcome.class);
    }

    fn waits(&mut self, class: Class) {
        self.class = Class::soonest(self.class, Some(class));
    }
}

/// While the pods are not listed there may be some: what is not known is not gone.
fn may_have_pods(pods: Option<u32>) -> bool {
    pods.is_none_or(|pods| pods > 0)
}

fn name_of(work: &Work) -> String {
    work.metadata.name.clone().unwrap_or_default()
}

fn add_missing(keys: &mut Vec<ObjectKey>, more: impl IntoIterator<Item = ObjectKey>) {
    for key in more {
        if !keys.iter().any(|held| held.is_same_object(&key)) {
            keys.push(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_does_not_go_while_its_pods_are_not_known() {
        assert!(may_have_pods(None));
        assert!(may_have_pods(Some(1)));
        assert!(!may_have_pods(Some(0)));
    }
}
