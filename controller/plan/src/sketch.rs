//! A member's free capacity as counted node shapes, from plain facts of its nodes and pods.
//!
//! Whoever watches a member feeds a [`SketchBook`] with what it sees; a change costs what changed.
//! [`SketchBook::tally`] then says what stands in the Sketch and what people read as capacity.
//! What the shapes leave free and what of ours is bound come from the same list of pods, so a pod
//! is never missing from both.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod facts;
mod reserve;
mod tally;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use facts::{NodeFacts, PodFacts, from_node, from_pod};
pub use reserve::{Reserve, ReserveError};
pub use tally::{FlavorTie, LABEL_KEYS_MAX, SHAPES_MAX, Tally};

/// Nodes and pods of one member, and sums over them that are kept up to date.
#[derive(Clone, Debug, Default)]
pub struct SketchBook {
    nodes: BTreeMap<String, NodeFacts>,
    /// Pods on a node and not terminal, by uid.
    pods: BTreeMap<String, PodFacts>,
    loads: BTreeMap<String, Load>,
    /// Pods of ours by Work, component and node.
    bound: BTreeMap<(String, String, String), u32>,
}

/// What the pods on one node take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Load {
    /// Sums that no number of pods overflows.
    requests: BTreeMap<String, i128>,
    pods: u32,
}

impl SketchBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a node as it is now. Says whether anything changed that a sketch may show.
    pub fn upsert_node(&mut self, node: NodeFacts) -> bool {
        if self.nodes.get(&node.name) == Some(&node) {
            return false;
        }
        self.nodes.insert(node.name.clone(), node);
        true
    }

    /// Strikes a node out. Its pods stay entered until they are removed too.
    pub fn remove_node(&mut self, name: &str) -> bool {
        self.nodes.remove(name).is_some()
    }

    /// Enters a pod as it is now; one that is on no node or terminal takes nothing and is struck
    /// out. Says whether anything changed that a sketch may show.
    pub fn upsert_pod(&mut self, pod: PodFacts) -> bool {
        if pod.terminal || pod.node.is_none() {
            return self.remove_pod(&pod.uid);
        }
        if self.pods.get(&pod.uid) == Some(&pod) {
            return false;
        }
        self.remove_pod(&pod.uid);
        self.count(&pod, true);
        self.pods.insert(pod.uid.clone(), pod);
        true
    }

    /// Strikes a pod out, by uid.
    pub fn remove_pod(&mut self, uid: &str) -> bool {
        let Some(pod) = self.pods.remove(uid) else {
            return false;
        };
        self.count(&pod, false);
        true
    }

    /// How many nodes and pods (on a node, not terminal) are entered.
    pub fn counts(&self) -> (usize, usize) {
        (self.nodes.len(), self.pods.len())
    }

    fn count(&mut self, pod: &PodFacts, comes: bool) {
        let step = |number: u32| {
            if comes {
                number.saturating_add(1)
            } else {
                number.saturating_sub(1)
            }
        };
        if let Some(node) = &pod.node {
            let load = self.loads.entry(node.clone()).or_default();
            load.pods = step(load.pods);
            for (name, amount) in pod.requests.iter() {
                let sum = load.requests.entry(name.to_owned()).or_default();
                let amount = i128::from(amount);
                *sum = if comes {
                    sum.saturating_add(amount)
                } else {
                    sum.saturating_sub(amount)
                };
            }
            load.requests.retain(|_, sum| *sum != 0);
            if load.pods == 0 {
                self.loads.remove(node);
            }
        }
        if let (Some(work), Some(component), Some(node)) = (&pod.work, &pod.component, &pod.node) {
            let key = (work.clone(), component.clone(), node.clone());
            let left = step(self.bound.get(&key).copied().unwrap_or(0));
            if left == 0 {
                self.bound.remove(&key);
            } else {
                self.bound.insert(key, left);
            }
        }
    }
}
