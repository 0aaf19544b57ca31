//! Secrets that go along with work are read once and then followed: one that changes, comes or
//! goes is read again, and its Workloads are looked at.
//!
//! A namespace is watched from the moment that a Workload there needs a Secret until none uses one
//! any more, or until this process no longer leads. Beyond the bound of watches, and where one
//! cannot be had, Secrets are read again from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use heyun_member::error::{Class, Classify};
use heyun_scheduler::request::WorkloadKey;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::warn;

use super::secrets::{Answer, Read};
use super::{Ended, Operator};
use crate::watch::{self as watches, Noticed, Seen};
use crate::world::version;

/// Namespaces whose Secrets are watched at once: each is a connection to the API server.
const WATCHES_MAX: usize = 256;
/// Secrets that are read at once.
const READS_AT_ONCE: usize = 32;
/// How often watches that nobody needs are ended, and what nobody uses is forgotten.
const TEND: Duration = Duration::from_mins(1);
/// How often Secrets are read again that no watch looks at.
const READ_AGAIN: Duration = Duration::from_mins(10);

/// Watches of Secrets, by namespace.
#[derive(Debug)]
pub(super) struct Watches {
    running: BTreeMap<String, JoinSet<()>>,
    reads: Arc<Semaphore>,
    /// When to tend next; never while nothing is known of any Secret.
    tend_at: Option<Duration>,
    read_again_at: Duration,
    /// The log says that the bound is reached.
    told: bool,
}

impl Default for Watches {
    fn default() -> Self {
        Self {
            running: BTreeMap::new(),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            tend_at: None,
            read_again_at: Duration::ZERO,
            told: false,
        }
    }
}

impl Watches {
    /// Watches a namespace, if it is not watched yet and the bound allows it.
    fn follow(&mut self, namespace: &str, client: &Client, tell: &mpsc::Sender<Seen>) {
        if self.running.contains_key(namespace) {
            return;
        }
        if self.running.len() < WATCHES_MAX {
            let set = watches::secrets(client, namespace, tell);
            self.running.insert(namespace.to_owned(), set);
        } else if !std::mem::replace(&mut self.told, true) {
            warn!(
                watches = WATCHES_MAX,
                again_s = READ_AGAIN.as_secs(),
                namespace,
                "Secrets are used in more namespaces than are watched at once: in the rest a \
                 changed Secret is seen when it is read again"
            );
        }
    }

    /// Sees to it that the watches are tended.
    fn tend_from(&mut self, now: Duration) {
        if self.tend_at.is_none() {
            self.tend_at = Some(now + TEND);
            self.read_again_at = now + READ_AGAIN;
        }
    }

    /// Whether what is not watched is to be read again now.
    fn read_again(&mut self, now: Duration) -> bool {
        let due = self.read_again_at <= now;
        if due {
            self.read_again_at = now + READ_AGAIN;
        }
        due
    }

    /// When the loop must look at them again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.tend_at
    }
}

impl Operator {
    /// Reads Secrets that a Workload needs; it is looked at again when all are there.
    pub(super) fn read_secrets(&mut self, key: &WorkloadKey, names: Vec<String>) {
        let now = self.around.clock.monotonic();
        self.secret_watches.tend_from(now);
        let client = &self.around.watch_client;
        self.secret_watches
            .follow(&key.namespace, client, &self.tell);
        for (name, ticket) in self.secrets.request(key, names) {
            let client = self.around.client.clone();
            let reads = Arc::clone(&self.secret_watches.reads);
            let namespace = key.namespace.clone();
            self.running.spawn(async move {
                let _permit = reads.acquire().await;
                let read = read(&client, &namespace, &name).await;
                Ended::Secret(Answer {
                    namespace,
                    name,
                    ticket,
                    read,
                })
            });
        }
    }

    /// Takes in what was read.
    pub(super) fn take_secret(&mut self, answer: Answer) {
        let failed = answer.read.as_ref().err().copied();
        let waited = self.secrets.take(answer);
        match failed {
            None => self.candidates.extend(waited),
            Some(class) => {
                let now = self.around.clock.monotonic();
                for key in &waited {
                    self.retries.failed(key, class, now);
                }
            }
        }
    }

    /// Takes in what a watch saw: who uses a Secret that is not as it was read is looked at.
    pub(super) fn notice_secrets(&mut self, namespace: &str, noticed: Noticed) {
        let changed = self.secrets.notice(namespace, noticed);
        self.look_at_users(namespace, &changed);
    }

    /// Ends the watches that nobody needs, begins those that now have room, and has Secrets read
    /// again that no watch looks at.
    pub(super) fn tend_secrets(&mut self) {
        let now = self.around.clock.monotonic();
        if self.secret_watches.tend_at.is_none_or(|at| at > now) {
            return;
        }
        self.drop_unused_secrets();
        let namespaces = self.secrets.namespaces();
        for namespace in &namespaces {
            let client = &self.around.watch_client;
            self.secret_watches.follow(namespace, client, &self.tell);
        }
        if self.secret_watches.read_again(now) {
            for (namespace, names) in self.secrets.forget_unwatched() {
                self.look_at_users(&namespace, &names);
            }
        }
        self.secret_watches.tend_at = (!namespaces.is_empty()).then(|| now + TEND);
    }

    fn drop_unused_secrets(&mut self) {
        let in_use = self.world.secrets_in_use();
        self.secrets.retain(&in_use);
        self.secret_watches
            .running
            .retain(|namespace, _| in_use.contains_key(namespace.as_str()));
    }

    /// Forgets all and ends the watches: who leads next reads anew.
    pub(super) fn drop_secrets(&mut self) {
        self.secrets.reset();
        self.secret_watches = Watches::default();
    }

    fn look_at_users(&mut self, namespace: &str, names: &BTreeSet<String>) {
        if !names.is_empty() {
            let users = self.world.using_secrets(namespace, names);
            self.candidates.extend(users);
        }
    }
}

/// Reads a Secret; of its payload only the hash leaves here.
async fn read(client: &Client, namespace: &str, name: &str) -> Result<Read, Class> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(Some(secret)) => Ok(Read::There {
            hash: heyun_plan::secrets::hash(&secret),
            version: version(&secret.metadata),
        }),
        Ok(None) => Ok(Read::Absent),
        Err(error) => {
            let class = error.class();
            warn!(namespace, name, %error, "a Secret cannot be read");
            Err(class)
        }
    }
}
