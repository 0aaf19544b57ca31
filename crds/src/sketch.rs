//! Sketch: a member's free capacity as counted node shapes.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::common::{ResourceMap, Taint};
use crate::flavor::ResourceCapacity;

/// A member's free capacity as counted node shapes, small enough to ship; written by whoever
/// watches the member, read by the scheduler.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Sketch",
    plural = "sketches",
    namespaced,
    shortname = "sk",
    category = "heyun",
    status = "SketchStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A member's free capacity as counted node shapes, written by whoever watches the member.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes"),
    printcolumn(
        name = "Instance",
        type_ = "string",
        json_path = ".status.revision.instance"
    ),
    printcolumn(
        name = "Revision",
        type_ = "integer",
        json_path = ".status.revision.number"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SketchSpec {
    /// Node label keys that shapes are told apart by (at most 64): those that any Flavor or
    /// Workload names. Example: `[topology.kubernetes.io/zone]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub label_keys: Vec<String>,
}

/// The counted shapes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SketchStatus {
    /// Which watcher wrote this, and its running number: monotonic over restarts.
    #[serde(default)]
    pub revision: Revision,
    /// Number of nodes in all shapes.
    #[serde(default)]
    pub nodes: u32,
    /// Label keys that the shapes are told apart by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_keys: Vec<String>,
    /// Nodes that take pods, counted by shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    pub shapes: Vec<Shape>,
    /// Sums over the nodes that take pods, by resource, from the same pod list as the shapes: what
    /// red lines (`spec.maxUtilization` of the MemberCluster) are measured by. Absent: the watcher
    /// is older and does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource"]))]
    pub totals: Vec<ResourceCapacity>,
    /// What of ours is bound (on a node, not terminal) in the same pod list as the shapes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<Bound>,
}

/// Who wrote a sketch, and its running number.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Fresh for each start of the watcher.
    #[serde(default)]
    pub instance: String,
    /// Grows by one with each change.
    #[serde(default)]
    pub number: u64,
}

/// Nodes that are alike to the scheduler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// How many nodes there are of this shape.
    pub count: u32,
    /// Flavor of these nodes; absent: no Flavor matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// The labels among `labelKeys` that these nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints of these nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// What is free on each of these nodes. Example: `{cpu: "31", memory: 120Gi, pods: "98"}`.
    #[serde(default)]
    pub free: ResourceMap,
}

/// Bound pods of one component of one Workload, as seen with the shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Work that asserts the pods' owner.
    pub work: String,
    /// Component, such as `Deployment/web`.
    pub component: String,
    /// Pods that are on a node and not terminal.
    pub replicas: u32,
    /// Flavor of the nodes they are on; `-`: no Flavor matches. Absent: the watcher is older and
    /// does not tell. Example: `general-amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
}
