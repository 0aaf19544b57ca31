//! Flavor: a class of capacity that quota and price are counted in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{LabelEquals, Toleration};
use crate::quantity::Quantity;

/// A class of capacity (资源类型) that quota and price are counted in. A node has exactly one
/// Flavor: of those that match, the one of highest precedence.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Flavor",
    shortname = "fl",
    category = "heyun",
    status = "FlavorStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A class of capacity that quota and price are counted in: a node selector with a name.",
    crates(kube_core = "::kube_core"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Precedence", type_ = "integer", json_path = ".spec.precedence"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.memberCount"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct FlavorSpec {
    /// Labels that a node of this flavor carries. Immutable.
    /// Example: `{matchLabels: {kubernetes.io/arch: arm64, heyun.dev/xinchuang: "true"}}`.
    pub node_selector: LabelEquals,
    /// Of the flavors that match a node the highest precedence wins; ties are refused. Immutable.
    /// Default: 0. Example: 20.
    #[serde(default)]
    pub precedence: i32,
    /// Tolerations added to pods placed on this flavor, so that its nodes may be tainted. Default:
    /// none. Example: `[{key: xinchuang, operator: Exists}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
}

/// Where a flavor is offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Ready`: the flavor is unambiguous.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Number of members that have nodes of this flavor.
    #[serde(default)]
    pub member_count: u32,
    /// Their names, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Allocatable and requested amounts over all members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource"]))]
    pub capacity: Vec<ResourceCapacity>,
}

/// Capacity of one resource, over all members or all nodes of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceCapacity {
    /// Name of the resource. Example: `cpu`.
    pub resource: String,
    /// What the nodes offer to pods, less `spec.reserve` of their MemberCluster.
    pub allocatable: Quantity,
    /// What bound pods request.
    pub requested: Quantity,
}
