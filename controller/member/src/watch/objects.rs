//! Applied objects of one member: one watch for each kind in use, of what carries the label of a
//! Work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use heyun_crds::labels;
use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug, warn};

use crate::clock::Clock;
use crate::error::{Class, classify, describe, requeue};
use crate::kinds::InUse;
use crate::seen::{KindKey, ObjectKey, Report, Seen, Shelf};

/// What the watches of applied objects share.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) client: Client,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) in_use: Arc<InUse>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Watches every kind in use until it is dropped, those that come later too; `touched` hears of
/// Works whose objects changed.
pub(crate) async fn watch_kinds(
    around: Around,
    touched: impl Fn(&str) + Clone + Send + Sync + 'static,
) {
    let mut watches = JoinSet::new();
    let mut started: BTreeSet<KindKey> = BTreeSet::new();
    loop {
        for (key, resource) in around.in_use.all() {
            if started.insert(key.clone()) {
                let watch = watch_kind(around.clone(), key, resource, touched.clone());
                watches.spawn(watch.in_current_span());
            }
        }
        tokio::select! {
            () = around.in_use.changed() => {}
            // A watch that ended is begun again.
            Some(Ok(key)) = watches.join_next() => { started.remove(&key); }
        }
    }
}

/// Watches one kind until its watch is refused, and then says which it was after a while.
async fn watch_kind(
    around: Around,
    key: KindKey,
    resource: ApiResource,
    touched: impl Fn(&str),
) -> KindKey {
    let objects: Api<DynamicObject> = Api::all_with(around.client.clone(), &resource);
    let config = watcher::Config::default().labels(labels::WORK);
    let mut events = watcher(objects, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let now = around.clock.monotonic();
                if let Some(report) = reports(&key, event) {
                    for work in around.shelf.report(&key, report, now) {
                        touched(&work);
                    }
                }
            }
            Err(error) => {
                let Some(wait) = refused(&error, &key.kind) else {
                    debug!(
                        kind = key.kind,
                        error = describe(&error),
                        "a watch starts again"
                    );
                    continue;
                };
                warn!(
                    kind = key.kind,
                    error = describe(&error),
                    "the member refuses a watch: objects of this kind are read one by one"
                );
                around.shelf.unwatched(&key);
                tokio::time::sleep(wait).await;
                break;
            }
        }
    }
    key
}

/// How long to wait after a refusal; `None`: the watch goes on by itself.
fn refused(error: &watcher::Error, kind: &str) -> Option<Duration> {
    let (watcher::Error::InitialListFailed(error)
    | watcher::Error::WatchStartFailed(error)
    | watcher::Error::WatchFailed(error)) = error
    else {
        return None;
    };
    let class = classify(error);
    // A kind that is gone answers 404.
    let gone = matches!(error, kube::Error::Api(status) if status.is_not_found());
    (class == Class::Denied || gone)
        .then(|| requeue(Class::Denied, 0, kind))
        .flatten()
}

fn reports(kind: &KindKey, event: Event<DynamicObject>) -> Option<Report> {
    Some(match event {
        Event::Init => Report::ListBegins,
        Event::InitDone => Report::ListEnds,
        Event::InitApply(object) => {
            let (key, object) = keyed(kind, object)?;
            Report::Listed(key, Seen::of(object))
        }
        Event::Apply(object) => {
            let (key, object) = keyed(kind, object)?;
            Report::Changed(key, Seen::of(object))
        }
        Event::Delete(object) => Report::Gone(keyed(kind, object)?.0),
    })
}

/// The object's key; items of a list carry no kind of their own.
fn keyed(kind: &KindKey, mut object: DynamicObject) -> Option<(ObjectKey, DynamicObject)> {
    object.types = Some(TypeMeta {
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
    });
    let key = ObjectKey {
        kind: kind.clone(),
        namespace: object.metadata.namespace.clone()?,
        name: object.metadata.name.clone()?,
    };
    Some((key, object))
}
