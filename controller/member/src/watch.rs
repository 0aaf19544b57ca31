//! Watches of one member: nodes and pods for its sketch, applied objects for the executor.
//!
//! Nothing is polled. Of each object only facts are kept.

mod book;
mod objects;

use std::collections::BTreeSet;

use heyun_crds::Flavor;
use heyun_crds::member_cluster::{FlavorCapacity, NodeCounts};
use heyun_plan::sketch::{FlavorTie, Reserve};

pub use book::{Book, Counted};
pub(crate) use book::{watch_nodes, watch_pods};
pub(crate) use objects::{Around, watch_kinds};

/// What turns nodes and pods into a sketch, besides themselves. The hub knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SketchInputs {
    /// All Flavors.
    pub flavors: Vec<Flavor>,
    /// Node label keys that any Flavor or Workload names.
    pub label_keys: BTreeSet<String>,
    /// What the member keeps for itself.
    pub reserve: Reserve,
}

/// What people read of a member's capacity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Nodes that are ready, and all.
    pub nodes: NodeCounts,
    /// Capacity per flavor and resource.
    pub capacity: Vec<FlavorCapacity>,
    /// Flavors of equal precedence that match the same nodes.
    pub ties: Vec<FlavorTie>,
}
