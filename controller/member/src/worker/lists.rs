//! The tasks of a worker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use heyun_crds::labels;
use heyun_crds::work::Work;
use heyun_telemetry::labels::ReconcileResult;
use heyun_telemetry::names::attribute;
use heyun_telemetry::{set_parent, spans};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;
use tracing::{Instrument as _, Span, debug, debug_span, info, info_span, warn};

use super::{CONCURRENCY, Duty, MemberEvent, RESYNC, Shared, publish};
use crate::error::{Class, Classify as _, Error, describe, requeue, resync};
use crate::executor::Synced;
use crate::fence;
use crate::guard::Guarded;
use crate::kinds::Catalog;
use crate::probe::Prober;
use crate::watch::{Around, SketchInputs, watch_kinds, watch_nodes, watch_pods};

/// How long the first look at the applied objects may take before the executor begins without.
const FIRST_LOOK_LIMIT: Duration = Duration::from_secs(15);
/// Shortest time between two probes.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// How long the member's policy may not know the number of the fence yet.
const FENCE_SETTLES: Duration = Duration::from_millis(300);
/// The name of the executor among the reconcilers.
const CONTROLLER: &str = "work";

/// Everything that runs for one member.
pub(super) fn tasks(
    shared: &Arc<Shared>,
    inputs: watch::Receiver<SketchInputs>,
) -> Vec<BoxFuture<'static, ()>> {
    let client = &shared.config.member;
    let touched = {
        let shared = shared.clone();
        move |work: &str| shared.touched(work)
    };
    let mut tasks: Vec<BoxFuture<'static, ()>> = vec![
        Box::pin(probe(shared.clone())),
        Box::pin(watch_nodes(client.clone(), shared.book.clone())),
        Box::pin(watch_pods(
            client.clone(),
            shared.book.clone(),
            shared.pods.clone(),
            touched.clone(),
        )),
        Box::pin(publish::run(shared.clone(), inputs)),
    ];
    if shared.config.duty == Duty::Observe {
        return tasks;
    }
    let around = Around {
        client: client.clone(),
        shelf: shared.shelf.clone(),
        in_use: shared.in_use.clone(),
        clock: shared.config.clock.clone(),
    };
    tasks.push(Box::pin(raise_fence(shared.clone())));
    tasks.push(Box::pin(watch_works(shared.clone())));
    tasks.push(Box::pin(watch_kinds(around, touched)));
    tasks.push(Box::pin(first_look(shared.clone())));
    for _ in 0..CONCURRENCY {
        tasks.push(Box::pin(work(shared.clone())));
    }
    tasks
}

/// Probes again and again, and says so.
async fn probe(shared: Arc<Shared>) {
    let mut prober = Prober::new(shared.kinds.clone());
    let mut answered = None;
    loop {
        let span = debug_span!(spans::PROBE_MEMBER);
        let outcome = prober.probe(&shared.config.member).instrument(span).await;
        let answers = outcome.as_ref().is_ok_and(|probe| probe.ready);
        if answered != Some(answers) {
            match &outcome {
                Ok(probe) if probe.ready => info!(version = probe.version, "the member answers"),
                Ok(probe) => warn!(message = probe.message, "the member is not ready"),
                Err(failure) => warn!(message = failure.message, "the member does not answer"),
            }
            if answers && answered.is_some() {
                // What was put off while it did not answer is looked at again.
                shared
                    .works
                    .names()
                    .iter()
                    .for_each(|work| shared.touched(work));
            }
            answered = Some(answers);
        }
        shared.gate.set_answers(answers);
        shared.report(MemberEvent::Probed(outcome)).await;
        let asked = async {
            tokio::time::sleep(PROBE_PAUSE).await;
            shared.probe_now.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(shared.config.probe_every) => {}
            () = asked => {}
        }
    }
}

/// Names an object there that a higher number wrote. It is asked only when the fence, which no
/// tenant can write, shows a higher number too: the annotation alone could be anybody's.
async fn report_newer(shared: &Shared) {
    let number = shared.config.scope.number();
    let newest = shared.shelf.newest().filter(|(epoch, _)| *epoch > number);
    if let Some((epoch, key)) = newest {
        let message = format!("{key} was written by number {epoch}, this hub's is {number}");
        warn!(message, "the member holds what this hub does not know");
        shared.report(MemberEvent::Recovering { message }).await;
    }
}

/// Raises the fence before the first write, and again when a write showed that it is not ours.
async fn raise_fence(shared: Arc<Shared>) {
    let number = shared.config.scope.number();
    let mut attempts = 0;
    loop {
        shared.gate.answers().await;
        let class = match fence::raise(&shared.config.member, number).await {
            Ok(written) => {
                if written {
                    tokio::time::sleep(FENCE_SETTLES).await;
                }
                info!(number, "the fence of the member is raised");
                shared.gate.set_fenced(true);
                shared.report(MemberEvent::FenceRaised { number }).await;
                shared.gate.unfenced().await;
                Class::Transient
            }
            Err(error) => {
                let message = describe(&error);
                warn!(message, "the fence of the member could not be raised");
                if error.class() != Class::Unreachable {
                    shared.report(MemberEvent::FenceRefused { message }).await;
                }
                if matches!(error, Error::FenceAhead { .. }) {
                    report_newer(&shared).await;
                }
                Class::Unreachable
            }
        };
        // A fence that was fenced off is asked again: an administrator may have settled it.
        let delay = requeue(class, attempts, shared.member()).unwrap_or(RESYNC);
        attempts = attempts.saturating_add(1);
        tokio::time::sleep(delay).await;
    }
}

/// Watches the Works of this member on the hub.
async fn watch_works(shared: Arc<Shared>) {
    let works: Api<Guarded<Work>> = Api::namespaced(shared.config.hub.clone(), &shared.namespace());
    let mut events = watcher(works, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(work)) => {
                listed.insert(work.name_any());
                take_work(&shared, work);
            }
            Ok(Event::Apply(work)) => take_work(&shared, work),
            Ok(Event::InitDone) => {
                for name in shared.works.retain(&listed) {
                    shared.queue.forget(&name);
                }
                shared.gate.set_listed();
            }
            Ok(Event::Delete(work)) => {
                let name = work.name_any();
                shared.works.remove(&name);
                shared.queue.forget(&name);
            }
            Err(error) => debug!(error = describe(&error), "the watch of Works starts again"),
        }
    }
}

fn take_work(shared: &Shared, work: Guarded<Work>) {
    let name = work.name_any();
    match work.0 {
        Ok(mut work) => {
            work.metadata.managed_fields = None;
            if shared.works.put(&work) {
                shared.queue.push(&name);
            }
        }
        // The schema refuses such a Work: an older hub may have left it.
        Err(error) => warn!(work = name, error = %error.error, "a Work cannot be read"),
    }
}

/// Looks at the objects of every Work by one list per kind, so that a restart does not read them
/// one by one, and then lets the executor begin.
async fn first_look(shared: Arc<Shared>) {
    shared.gate.listed().await;
    let catalog = loop {
        shared.gate.answers().await;
        match shared.kinds.held() {
            Some((catalog, _)) => break catalog,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    for work in shared
        .works
        .names()
        .iter()
        .filter_map(|name| shared.works.get(name))
    {
        note_kinds(&shared, &catalog, &work);
        tokio::task::yield_now().await;
    }
    let all_seen = async {
        while shared
            .in_use
            .all()
            .keys()
            .any(|kind| !shared.shelf.is_watched(kind))
            || !shared.pods.is_complete()
        {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    if tokio::time::timeout(FIRST_LOOK_LIMIT, all_seen)
        .await
        .is_err()
    {
        warn!("not every kind could be listed: such objects are read one by one");
    }
    shared.gate.set_known(true);
}

fn note_kinds(shared: &Shared, catalog: &Catalog, work: &Work) {
    let text = |value: &serde_json::Value, field: &str| {
        value
            .get(field)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let wanted = work
        .spec
        .manifests
        .iter()
        .map(|m| (text(&m.0, "apiVersion"), text(&m.0, "kind")));
    let objects = work.status.iter().flat_map(|status| &status.objects);
    let held = objects.map(|object| (object.api_version.clone(), object.kind.clone()));
    for (api_version, kind) in wanted.chain(held) {
        // Secrets are read one by one, as their tenant.
        if (api_version.as_str(), kind.as_str()) == ("v1", "Secret") {
            continue;
        }
        if let Some(kind) = catalog
            .get(&api_version, &kind)
            .filter(|kind| kind.namespaced)
        {
            shared.in_use.note(kind);
        }
    }
}

/// One of the executor's hands: a Work at a time.
async fn work(shared: Arc<Shared>) {
    loop {
        shared.gate.open().await;
        let name = shared.queue.pop().await;
        // The gate may have closed while the queue was empty.
        shared.gate.open().await;
        if let Some(work) = shared.works.get(&name) {
            sync(&shared, &name, &work).await;
        }
        shared.queue.done(&name);
    }
}

async fn sync(shared: &Shared, name: &str, work: &Work) {
    let began = shared.config.clock.monotonic();
    let outcome = shared
        .executor
        .sync(work)
        .instrument(span_of(shared, name, work))
        .await;
    let took = shared.config.clock.monotonic().saturating_sub(began);
    let (result, class) = match &outcome {
        Ok(synced) if synced.finished => (ReconcileResult::Done, None),
        Ok(synced) => match synced.class {
            None => (ReconcileResult::Done, None),
            Some(Class::Invalid) => (ReconcileResult::Refused, Some(Class::Invalid)),
            Some(class) => (ReconcileResult::Requeue, Some(class)),
        },
        Err(error) => (ReconcileResult::Error, Some(error.class())),
    };
    if let Some(metrics) = &shared.config.metrics {
        let class = class.map_or("", Class::as_str);
        metrics.reconcile(CONTROLLER, result, class, took.as_secs_f64());
    }
    match outcome {
        Ok(synced) => follow(shared, name, work, synced).await,
        Err(error) => failed(shared, name, &error),
    }
}

/// A pass for a new generation goes on in its trace; a look at how things are begins none.
fn span_of(shared: &Shared, name: &str, work: &Work) -> Span {
    let seen = work
        .status
        .as_ref()
        .map_or(0, |status| status.observed_generation);
    if work
        .metadata
        .generation
        .is_some_and(|generation| generation == seen)
    {
        return debug_span!(spans::SYNC_WORK, { attribute::NAME } = name);
    }
    let span = info_span!(
        spans::SYNC_WORK,
        { attribute::CLUSTER } = shared.member(),
        { attribute::NAMESPACE } = work.spec.workload.namespace,
        { attribute::NAME } = name,
        { attribute::DECISION } = work.spec.decision,
    );
    if let Some(trace) = work.annotations().get(labels::TRACEPARENT) {
        set_parent(&span, trace);
    }
    span
}

async fn follow(shared: &Shared, name: &str, began: &Work, synced: Synced) {
    if synced.writes > 0 || synced.drifted > 0 {
        let (writes, drifted) = (synced.writes, synced.drifted);
        info!(
            work = name,
            writes,
            drifted,
            message = synced.message,
            "the member was changed"
        );
    }
    if let Some(mut work) = synced.work {
        work.metadata.managed_fields = None;
        // The answer to our own write shows what others wrote since this pass began, and their
        // event is then no news any more.
        if shared.works.put(&work) && is_another(&work, began) {
            shared.queue.push(name);
        }
    }
    if synced.fenced {
        shared.gate.set_fenced(false);
        let message = synced.message.clone();
        shared.report(MemberEvent::FenceRefused { message }).await;
    }
    if synced.finished {
        attempts(shared).succeeded(name);
        return;
    }
    let delay = match synced.class {
        None => {
            attempts(shared).succeeded(name);
            resync(RESYNC, name)
        }
        Some(class) => {
            debug!(
                work = name,
                class = class.as_str(),
                message = synced.message,
                "not done yet"
            );
            let delay = attempts(shared).failed(name, class);
            delay.unwrap_or_else(|| resync(RESYNC, name))
        }
    };
    shared.queue.push_after(name, delay);
}

/// Whether a Work asks for something else than it did.
fn is_another(now: &Work, then: &Work) -> bool {
    let (now, then) = (&now.metadata, &then.metadata);
    now.generation != then.generation || now.deletion_timestamp != then.deletion_timestamp
}

fn failed(shared: &Shared, name: &str, error: &Error) {
    let class = error.class();
    warn!(
        work = name,
        class = class.as_str(),
        error = describe(error),
        "a Work could not be synced"
    );
    if class == Class::Unreachable {
        shared.probe_now.notify_one();
    }
    let delay = attempts(shared)
        .failed(name, class)
        .unwrap_or_else(|| resync(RESYNC, name));
    shared.queue.push_after(name, delay);
}

fn attempts(shared: &Shared) -> std::sync::MutexGuard<'_, crate::error::Attempts> {
    shared
        .attempts
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
