//! Watches of the hub's own objects, as one stream of messages to the loop.
//!
//! Only meaning is kept: managed fields are dropped at once, and manifests are taken out of the
//! objects (see [`crate::world`]).

use std::fmt::Debug;
use std::time::Duration;

use futures::{Stream, StreamExt};
use heyun_crds::{
    Approval, ApprovalPolicy, Flavor, MemberCluster, Placement, PriceBook, Quota, ResourceRequest,
    Sketch, Tenant, Work, Workload,
};
use heyun_member::error::{Attempts, Class};
use heyun_member::guard::Guarded;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use crate::world::version;

/// A change of one kind.
#[derive(Debug)]
pub enum Change<K> {
    /// A list begins: what is not in it is gone.
    Begin,
    /// An object of the list, or one that was created or changed.
    Apply(Box<K>),
    /// The list is complete.
    Complete,
    /// An object is gone.
    Delete(Box<K>),
    /// An object that cannot be read as its kind: it is there, and what it says is not known.
    Unreadable {
        /// Its namespace, if it has one.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// Why.
        error: String,
        /// This is its deletion: it is there no longer.
        gone: bool,
    },
}

/// A change of any kind that the hub watches.
#[derive(Debug)]
pub enum Seen {
    /// A MemberCluster.
    MemberCluster(Change<MemberCluster>),
    /// A Sketch.
    Sketch(Change<Sketch>),
    /// A Flavor.
    Flavor(Change<Flavor>),
    /// A Tenant.
    Tenant(Change<Tenant>),
    /// A Quota.
    Quota(Change<Quota>),
    /// A ResourceRequest.
    ResourceRequest(Change<ResourceRequest>),
    /// An Approval.
    Approval(Change<Approval>),
    /// An ApprovalPolicy.
    ApprovalPolicy(Change<ApprovalPolicy>),
    /// A Placement.
    Placement(Change<Placement>),
    /// A PriceBook.
    PriceBook(Change<PriceBook>),
    /// A Workload.
    Workload(Change<Workload>),
    /// A Work.
    Work(Change<Work>),
    /// A Namespace of the hub.
    Namespace(Change<Namespace>),
    /// A PriorityClass of the hub.
    PriorityClass(Change<PriorityClass>),
    /// Secrets of one namespace, by a watch of [`secrets`].
    Secrets {
        /// The namespace.
        namespace: String,
        /// What was seen there.
        noticed: Noticed,
    },
}

/// What a watch of a namespace's Secrets saw: names and versions, never a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// A list begins: what is not in it is gone.
    Begin,
    /// A Secret is there.
    There {
        /// Its name.
        name: String,
        /// Its resourceVersion.
        version: u64,
    },
    /// A Secret is gone.
    Gone {
        /// Its name.
        name: String,
        /// The resourceVersion of its deletion.
        version: u64,
    },
    /// The list is complete.
    Complete,
}

/// Number of kinds in [`Seen`] that are watched from the start: as many lists must be complete
/// before anything is decided. Secrets are not among them.
pub const KINDS: usize = 14;

/// Starts every watch; they end when the set is dropped.
///
/// Lists are read at the most recent version (a quorum read), so that what follows is decided on
/// no older state than the fence that was just raised.
pub fn start(client: &Client, out: &mpsc::Sender<Seen>) -> JoinSet<()> {
    let mut set = JoinSet::new();
    spawn(&mut set, client, out, Seen::MemberCluster);
    spawn(&mut set, client, out, Seen::Sketch);
    spawn(&mut set, client, out, Seen::Flavor);
    spawn(&mut set, client, out, Seen::Tenant);
    spawn(&mut set, client, out, Seen::Quota);
    spawn(&mut set, client, out, Seen::ResourceRequest);
    spawn(&mut set, client, out, Seen::Approval);
    spawn(&mut set, client, out, Seen::ApprovalPolicy);
    spawn(&mut set, client, out, Seen::Placement);
    spawn(&mut set, client, out, Seen::PriceBook);
    spawn(&mut set, client, out, Seen::Workload);
    spawn(&mut set, client, out, Seen::Work);
    spawn(&mut set, client, out, Seen::Namespace);
    spawn(&mut set, client, out, Seen::PriorityClass);
    set
}

fn spawn<K>(
    set: &mut JoinSet<()>,
    client: &Client,
    out: &mpsc::Sender<Seen>,
    wrap: fn(Change<K>) -> Seen,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<Guarded<K>> = Api::all(client.clone());
    let out = out.clone();
    set.spawn(async move {
        let config = watcher::Config::default();
        let stream = watcher(api, config).backoff(Pauses::of(&K::kind(&())));
        forward(stream, out, wrap).await;
    });
}

/// Pauses between the attempts of a watch that fails, by the one table.
#[derive(Debug)]
struct Pauses {
    kind: String,
    attempts: Attempts,
}

impl Pauses {
    fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            attempts: Attempts::default(),
        }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.attempts.failed(&self.kind, Class::Transient)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.attempts.succeeded(&self.kind);
    }
}

/// Starts the watch of a namespace's Secrets; it ends when the set is dropped.
///
/// It asks for metadata alone, so that no payload comes here. So it does without the
/// guard of the others, through which whole objects would be asked for; metadata
/// can always be read.
pub fn secrets(client: &Client, namespace: &str, out: &mpsc::Sender<Seen>) -> JoinSet<()> {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), namespace);
    let (out, namespace) = (out.clone(), namespace.to_owned());
    let mut set = JoinSet::new();
    set.spawn(async move {
        let stream = watcher(api, watcher::Config::default()).backoff(Pauses::of("Secret"));
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            let noticed = match event {
                Ok(event) => noticed(event),
                Err(error) => {
                    warn!(kind = "Secret", namespace, %error, "watch");
                    continue;
                }
            };
            let namespace = namespace.clone();
            if out
                .send(Seen::Secrets { namespace, noticed })
                .await
                .is_err()
            {
                return;
            }
        }
    });
    set
}

/// Keeps name and version: an annotation may repeat the payload.
fn noticed(event: Event<PartialObjectMeta<Secret>>) -> Noticed {
    match event {
        Event::Init => Noticed::Begin,
        Event::InitApply(object) | Event::Apply(object) => Noticed::There {
            name: object.name_any(),
            version: version(&object.metadata),
        },
        Event::Delete(object) => Noticed::Gone {
            name: object.name_any(),
            version: version(&object.metadata),
        },
        Event::InitDone => Noticed::Complete,
    }
}

async fn forward<K>(
    stream: impl Stream<Item = watcher::Result<Event<Guarded<K>>>>,
    out: mpsc::Sender<Seen>,
    wrap: fn(Change<K>) -> Seen,
) where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(event) => change(event),
            Err(error) => {
                warn!(kind = %K::kind(&()), %error, "watch");
                continue;
            }
        };
        if out.send(wrap(change)).await.is_err() {
            return;
        }
    }
}

fn change<K: Resource<DynamicType = ()> + Clone + Debug>(event: Event<Guarded<K>>) -> Change<K> {
    match event {
        Event::Init => Change::Begin,
        Event::InitDone => Change::Complete,
        Event::Apply(guard) | Event::InitApply(guard) => read(guard, Change::Apply, false),
        Event::Delete(guard) => read(guard, Change::Delete, true),
    }
}

fn read<K: Resource<DynamicType = ()> + Clone + Debug>(
    guard: Guarded<K>,
    wrap: fn(Box<K>) -> Change<K>,
    gone: bool,
) -> Change<K> {
    let (namespace, name) = (guard.namespace(), guard.name_any());
    match guard.0 {
        Ok(mut object) => {
            object.managed_fields_mut().clear();
            wrap(Box::new(object))
        }
        Err(invalid) => Change::Unreadable {
            namespace,
            name,
            error: invalid.error,
            gone,
        },
    }
}
