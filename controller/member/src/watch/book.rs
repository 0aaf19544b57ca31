//! Nodes and pods of one member.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use heyun_crds::sketch::SketchStatus;
use heyun_plan::live::Ask;
use heyun_plan::sketch::{SketchBook, from_node, from_pod};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::Notify;
use tracing::debug;

use super::{SketchInputs, Summary};
use crate::error::describe;
use crate::pods::PodIndex;

#[derive(Debug, Default)]
struct State {
    book: SketchBook,
    nodes_complete: bool,
    pods_complete: bool,
    nodes: BTreeSet<String>,
    pods: BTreeSet<String>,
}

/// The book of one member, fed by its watches.
#[derive(Debug, Default)]
pub struct Book {
    state: Mutex<State>,
    changed: Notify,
}

/// A sketch and what people read of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// The status of the Sketch, its revision not set.
    pub sketch: SketchStatus,
    /// What people read.
    pub summary: Summary,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something changed that a sketch may show.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the book says; `None` until both lists are complete: half a list is no sketch.
    pub fn count(&self, inputs: &SketchInputs) -> Option<Counted> {
        let state = self.lock();
        if !state.nodes_complete || !state.pods_complete {
            return None;
        }
        let tally = state
            .book
            .tally(&inputs.flavors, &inputs.label_keys, &inputs.reserve);
        drop(state);
        Some(Counted {
            sketch: tally.status,
            summary: Summary {
                nodes: tally.nodes,
                capacity: tally.capacity,
                ties: tally.ties,
            },
        })
    }

    fn update(&self, change: impl FnOnce(&mut State) -> bool) {
        let changed = change(&mut self.lock());
        if changed {
            self.changed.notify_one();
        }
    }

    fn node(&self, event: Event<Node>, listed: &mut BTreeSet<String>) {
        self.update(|state| match event {
            Event::Init => {
                listed.clear();
                false
            }
            Event::InitApply(node) | Event::Apply(node) => {
                let facts = from_node(&node);
                listed.insert(facts.name.clone());
                state.nodes.insert(facts.name.clone());
                state.book.upsert_node(facts)
            }
            Event::InitDone => {
                let gone: Vec<String> = state.nodes.difference(listed).cloned().collect();
                for name in gone {
                    state.nodes.remove(&name);
                    state.book.remove_node(&name);
                }
                state.nodes_complete = true;
                true
            }
            Event::Delete(node) => {
                let name = node.metadata.name.unwrap_or_default();
                state.nodes.remove(&name);
                state.book.remove_node(&name)
            }
        });
    }

    /// Takes an event of the pods; returns the Works whose pods came or went.
    fn pod(
        &self,
        event: Event<Pod>,
        index: &PodIndex,
        listed: &mut BTreeSet<String>,
    ) -> Vec<String> {
        let mut touched = Vec::new();
        self.update(|state| match event {
            Event::Init => {
                listed.clear();
                false
            }
            Event::InitApply(pod) | Event::Apply(pod) => {
                let facts = from_pod(&pod);
                listed.insert(facts.uid.clone());
                state.pods.insert(facts.uid.clone());
                touched.extend(match (&facts.work, &facts.component) {
                    (Some(work), Some(component)) if !facts.terminal => {
                        index.insert(&facts.uid, work, component, Ask::of(&facts))
                    }
                    _ => index.remove(&facts.uid),
                });
                state.book.upsert_pod(facts)
            }
            Event::InitDone => {
                let gone: Vec<String> = state.pods.difference(listed).cloned().collect();
                for uid in gone {
                    state.pods.remove(&uid);
                    state.book.remove_pod(&uid);
                    touched.extend(index.remove(&uid));
                }
                state.pods_complete = true;
                index.complete();
                true
            }
            Event::Delete(pod) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                state.pods.remove(&uid);
                touched.extend(index.remove(&uid));
                state.book.remove_pod(&uid)
            }
        });
        touched
    }
}

/// Watches the nodes until it is dropped.
pub(crate) async fn watch_nodes(client: Client, book: Arc<Book>) {
    let nodes: Api<Node> = Api::all(client);
    let mut events = watcher(nodes, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => book.node(event, &mut listed),
            Err(error) => debug!(error = describe(&error), "the watch of nodes starts again"),
        }
    }
}

/// Watches the pods until it is dropped; `touched` hears of Works whose pods came or went.
pub(crate) async fn watch_pods(
    client: Client,
    book: Arc<Book>,
    index: Arc<PodIndex>,
    touched: impl Fn(&str),
) {
    let pods: Api<Pod> = Api::all(client);
    let mut events = watcher(pods, watcher::Config::default())
        .default_backoff()
        .boxed();
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                for work in book.pod(event, &index, &mut listed) {
                    touched(&work);
                }
            }
            Err(error) => debug!(error = describe(&error), "the watch of pods starts again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/arch": "amd64"}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}]}
        }))
        .unwrap()
    }

    fn pod(uid: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": uid, "uid": uid, "labels":
                {"heyun.dev/work": "w", "heyun.dev/component": "deployment-web"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": phase}
        }))
        .unwrap()
    }

    #[test]
    fn a_sketch_needs_both_lists_and_follows_what_comes_and_goes() {
        let (book, index) = (Book::default(), PodIndex::default());
        let (mut nodes, mut pods) = (BTreeSet::new(), BTreeSet::new());
        let inputs = SketchInputs::default();
        for event in [Event::Init, Event::InitApply(node("n1")), Event::InitDone] {
            book.node(event, &mut nodes);
        }
        assert_eq!(book.count(&inputs), None);
        for event in [
            Event::Init,
            Event::InitApply(pod("p1", "Running")),
            Event::InitDone,
        ] {
            book.pod(event, &index, &mut pods);
        }
        let counted = book.count(&inputs).unwrap();
        assert_eq!(counted.summary.nodes.total, 1);
        assert_eq!(counted.sketch.bound.len(), 1);
        assert_eq!(index.of_work("w"), Some(1));
        assert_eq!(
            book.pod(Event::Apply(pod("p1", "Succeeded")), &index, &mut pods),
            ["w"]
        );
        assert!(book.count(&inputs).unwrap().sketch.bound.is_empty());
    }

    #[test]
    fn a_new_list_strikes_out_what_is_not_in_it() {
        let (book, index) = (Book::default(), PodIndex::default());
        let (mut nodes, mut pods) = (BTreeSet::new(), BTreeSet::new());
        for event in [
            Event::Init,
            Event::InitApply(node("n1")),
            Event::InitApply(node("n2")),
            Event::InitDone,
            Event::Apply(node("n3")),
            Event::Init,
            Event::InitApply(node("n2")),
            Event::InitDone,
        ] {
            book.node(event, &mut nodes);
        }
        for event in [
            Event::Init,
            Event::InitApply(pod("p1", "Running")),
            Event::InitDone,
            Event::Init,
        ] {
            book.pod(event, &index, &mut pods);
        }
        assert_eq!(book.pod(Event::InitDone, &index, &mut pods), ["w"]);
        let counted = book.count(&SketchInputs::default()).unwrap();
        assert_eq!(counted.summary.nodes.total, 1);
        assert!(counted.sketch.bound.is_empty());
    }
}
