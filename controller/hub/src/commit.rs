//! Writes of one Workload, in their order: the decision first, then its Works.
//!
//! A [`Chain`] is plain data; [`run`] carries it out and says what the API server now holds. The
//! decision is written with the resourceVersion it was made from: a conflict stops the chain, and
//! that Workload alone is looked at again. Every write carries the epoch; the fence refuses it
//! when another leads.

mod carry;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use heyun_crds::labels::FINALIZER;
use heyun_crds::workload::{DeletionPolicy, WorkloadStatus};
use heyun_crds::{Work, Workload};
use heyun_member::apply::{self, Guard};
use heyun_member::clock::Clock;
use heyun_plan::diff::{Existing, Step};
use heyun_plan::render::RenderedWork;
use heyun_scheduler::request::WorkloadKey;
use kube::api::{DeleteParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::ObjectMeta;
use kube::{Api, Client};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument;

use crate::leader::Term;
use crate::seeded::{self, Bug};
pub(crate) use settle::is_settled;
use settle::{settle, wrote};

/// Works of one Workload written at once.
const WORKS_AT_ONCE: usize = 8;

/// What is to be written for one Workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The Workload.
    pub key: WorkloadKey,
    /// Its metadata as it was read: the precondition of each write on it.
    pub meta: ObjectMeta,
    /// Trace context of its generation.
    pub traceparent: Option<String>,
    /// Adds (true) or removes (false) our finalizer first.
    pub finalizer: Option<bool>,
    /// Status to merge, with the resourceVersion it was computed from.
    pub status: Option<StatusWrite>,
    /// Writes on its Works.
    pub steps: Vec<Step>,
    /// The members of those Works that go have left: the hub lets the Works go itself, and what
    /// runs there stays.
    pub abandon: bool,
}

impl Chain {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.finalizer.is_none() && self.status.is_none() && self.steps.is_empty()
    }
}

/// A status and what it was computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// Status that was read.
    pub before: WorkloadStatus,
    /// Status that it becomes.
    pub after: WorkloadStatus,
}

/// What a chain did.
#[derive(Debug)]
pub struct Finished {
    /// The Workload.
    pub key: WorkloadKey,
    /// The Workload as the API server now holds it, where that is known.
    pub workload: Option<Box<Workload>>,
    /// Works as the API server now holds them.
    pub works: Vec<Work>,
    /// Our finalizer was taken off: nothing is reserved any more.
    pub released: bool,
    /// Epoch of the term that it was written in.
    pub epoch: i64,
    /// Requests that were sent.
    pub requests: u32,
    /// Why it stopped, if it did.
    pub error: Option<CommitError>,
}

/// Why a chain stopped.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// This process no longer leads.
    #[error("no longer leading")]
    NotLeading,
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// A Secret changed or went between its reading and its copying.
    #[error("secret {0} changed while it was copied: it is read again")]
    SecretChanged(String),
}

/// What every chain shares.
#[derive(Clone)]
pub struct Writer {
    /// Client of the hub, with the server-side deadline on writes.
    pub client: Client,
    /// The term in which this is written.
    pub term: Term,
    /// The one clock.
    pub clock: Arc<dyn Clock>,
    /// The server-side deadline of that client: how long a write may take to land.
    pub deadline: Duration,
    /// Bound of the writes under way.
    pub permits: Arc<Semaphore>,
}

impl Writer {
    /// Waits for its turn to write. What is asked after the turn has come is whether this process
    /// still leads: waiting takes time.
    async fn turn(&self) -> Result<Option<SemaphorePermit<'_>>, CommitError> {
        let permit = self.permits.acquire().await.ok();
        self.check()?;
        Ok(permit)
    }

    fn check(&self) -> Result<(), CommitError> {
        if self.term.may_write() {
            Ok(())
        } else {
            Err(CommitError::NotLeading)
        }
    }

    fn workloads(&self, namespace: &str) -> Api<Workload> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn works(&self, namespace: &str) -> Api<Work> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Carries a chain out.
pub async fn run(writer: Writer, chain: Chain) -> Finished {
    let mut done = Finished {
        key: chain.key.clone(),
        workload: None,
        works: Vec::new(),
        released: false,
        epoch: writer.term.epoch,
        requests: 0,
        error: None,
    };
    let span = tracing::info_span!(
        heyun_telemetry::spans::DISPATCH_WORK,
        workload = %chain.key,
        epoch = writer.term.epoch
    );
    if let Some(traceparent) = &chain.traceparent {
        heyun_telemetry::set_parent(&span, traceparent);
    }
    if let Err(error) = write(&writer, chain, &mut done).instrument(span).await {
        done.error = Some(error);
    }
    done
}

async fn write(writer: &Writer, chain: Chain, done: &mut Finished) -> Result<(), CommitError> {
    if let Some(add) = chain.finalizer {
        done.requests += 1;
        done.workload = finalize(writer, &chain, add).await?.map(Box::new);
        done.released = !add;
    }
    let mut chain = chain;
    if seeded::is(Bug::Order) {
        let steps = stream::iter(std::mem::take(&mut chain.steps));
        let works = steps.then(|step| step_one(writer, step, chain.abandon));
        done.works
            .extend(works.try_collect::<Vec<_>>().await?.into_iter().flatten());
    }
    if let Some(status) = &chain.status {
        done.requests += 1;
        let meta = done.workload.as_ref().map_or(&chain.meta, |w| &w.metadata);
        if let Some(workload) = commit(writer, meta, status).await? {
            done.workload = Some(Box::new(workload));
        }
    }
    let abandon = chain.abandon;
    let results: Vec<_> = stream::iter(chain.steps)
        .map(|step| step_one(writer, step, abandon))
        .buffer_unordered(WORKS_AT_ONCE)
        .collect()
        .await;
    let mut failed = None;
    for result in results {
        done.requests += 1;
        match result {
            Ok(work) => done.works.extend(work),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn finalize(
    writer: &Writer,
    chain: &Chain,
    add: bool,
) -> Result<Option<Workload>, CommitError> {
    let _permit = writer.turn().await?;
    let api = writer.workloads(&chain.key.namespace);
    match apply::set_finalizer(&api, &bare(&chain.meta), FINALIZER, add).await {
        Ok(workload) => Ok(workload),
        Err(kube::Error::Api(status)) if !add && status.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the status; when the outcome is unknown, a quorum read settles it. Until then the chain
/// is under way, and what it reserves is held.
async fn commit(
    writer: &Writer,
    meta: &ObjectMeta,
    write: &StatusWrite,
) -> Result<Option<Workload>, CommitError> {
    let permit = writer.turn().await?;
    let api = writer.workloads(meta.namespace.as_deref().unwrap_or_default());
    let object = bare(meta);
    let asked = writer.clock.monotonic();
    let written =
        apply::patch_status(&api, &object, Some(&write.before), &write.after, guard()).await;
    match written {
        Ok(workload) => Ok(workload),
        Err(error) if is_settled(&error) || seeded::is(Bug::Lost) => Err(error.into()),
        Err(error) => {
            // It may take minutes, and others write meanwhile.
            drop(permit);
            settle(writer, &api, meta, write, asked, error).await
        }
    }
}

/// A decision holds only for the version that it was made from.
fn guard() -> Guard {
    if seeded::is(Bug::Precondition) {
        Guard::Uid
    } else {
        Guard::Version
    }
}

/// A Workload of which only the metadata matters.
fn bare(meta: &ObjectMeta) -> Workload {
    Workload {
        metadata: meta.clone(),
        ..Workload::default()
    }
}

async fn step_one(writer: &Writer, step: Step, abandon: bool) -> Result<Option<Work>, CommitError> {
    let permit = writer.turn().await?;
    let asked = writer.clock.monotonic();
    match step {
        Step::Create(wanted) => {
            carry::secrets(writer, &wanted).await?;
            let api = writer.works(&wanted.namespace);
            let work = Work {
                metadata: metadata(&wanted),
                spec: wanted.spec,
                status: None,
            };
            match api.create(&PostParams::default(), &work).await {
                Ok(work) => Ok(Some(work)),
                // Created by a leader before us: taken in, and compared again.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    Ok(api.get_opt(&wanted.name).await?)
                }
                Err(error) if is_settled(&error) => Err(error.into()),
                Err(error) => {
                    drop(permit);
                    wrote(writer, &api, &work.spec, &wanted.name, "", asked, error).await
                }
            }
        }
        Step::Update {
            work: wanted,
            uid,
            resource_version,
            dropped,
        } => {
            carry::secrets(writer, &wanted).await?;
            let api = writer.works(&wanted.namespace);
            let work = Work {
                metadata: ObjectMeta {
                    uid: Some(uid),
                    resource_version: Some(resource_version.clone()),
                    ..metadata(&wanted)
                },
                spec: wanted.spec,
                status: None,
            };
            let params = PostParams::default();
            let written = match api.replace(&wanted.name, &params, &work).await {
                Ok(written) => Some(written),
                Err(error) if is_settled(&error) => return Err(error.into()),
                Err(error) => {
                    drop(permit);
                    let seen = &resource_version;
                    wrote(writer, &api, &work.spec, &wanted.name, seen, asked, error).await?
                }
            };
            carry::drop_copies(writer, &wanted.namespace, &dropped).await?;
            Ok(written)
        }
        // Retired by a leader before us or not: the epoch in force is put there first, for the
        // fence compares it when the object is deleted.
        Step::Retire(existing) | Step::Delete(existing) => {
            take_away(writer, &existing, abandon).await
        }
    }
}

/// Metadata of a Work as it is asserted.
fn metadata(wanted: &RenderedWork) -> ObjectMeta {
    ObjectMeta {
        name: Some(wanted.name.clone()),
        namespace: Some(wanted.namespace.clone()),
        labels: Some(wanted.labels.clone()),
        annotations: Some(wanted.annotations.clone()),
        finalizers: Some(vec![FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    }
}

/// Retires a Work and deletes it, with the copies of Secrets beside it.
async fn take_away(
    writer: &Writer,
    existing: &Existing,
    abandon: bool,
) -> Result<Option<Work>, CommitError> {
    let api = writer.works(&existing.namespace);
    let Some(work) = api.get_opt(&existing.name).await? else {
        return Ok(None);
    };
    if work.metadata.uid.as_deref() != Some(existing.uid.as_str()) {
        return Ok(None);
    }
    if is_going(&work, abandon) {
        carry::forget(writer, &existing.namespace, &existing.name).await?;
        return Ok(None);
    }
    if abandon {
        // Nobody reads them any more, and the Work may be gone with the next write.
        carry::forget(writer, &existing.namespace, &existing.name).await?;
    }
    if seeded::is(Bug::Retire) {
        return delete(&api, &existing.name, &work.metadata).await;
    }
    let work = retired(work, writer.term.epoch, abandon);
    let work = api
        .replace(&existing.name, &PostParams::default(), &work)
        .await?;
    if !abandon {
        carry::forget(writer, &existing.namespace, &existing.name).await?;
    }
    delete(&api, &existing.name, &work.metadata).await
}

/// Whether a Work goes already, by a write that the watch has not shown yet or by a leader before us:
/// its executor does the rest. Where its member has left there is none, and our finalizer is to
/// come off.
fn is_going(work: &Work, abandon: bool) -> bool {
    work.metadata.deletion_timestamp.is_some() && !abandon
}

/// A Work as it is retired. Where its member has left there is no executor: what runs there is
/// left to itself, also if the member joins again, and our finalizer comes off with the same write.
fn retired(mut work: Work, epoch: i64, abandon: bool) -> Work {
    work.metadata.managed_fields = None;
    work.spec.retire = Some(epoch);
    work.spec.epoch = epoch;
    if abandon {
        work.spec.deletion_policy = DeletionPolicy::Orphan;
        if let Some(finalizers) = &mut work.metadata.finalizers {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
    }
    work
}

async fn delete(
    api: &Api<Work>,
    name: &str,
    retired: &ObjectMeta,
) -> Result<Option<Work>, CommitError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: retired.uid.clone(),
            resource_version: retired.resource_version.clone(),
        }),
        propagation_policy: Some(PropagationPolicy::Background),
        ..DeleteParams::default()
    };
    match api.delete(name, &params).await {
        // The watch tells when it is gone; the answer may be older than that.
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
