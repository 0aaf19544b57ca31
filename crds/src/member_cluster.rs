//! MemberCluster: a cluster that runs work.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::common::Taint;
use crate::quantity::Quantity;

/// A cluster that runs work: where it stands, who owns it, how it is reached, what it promises.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "MemberCluster",
    plural = "memberclusters",
    shortname = "mc",
    category = "heyun",
    status = "MemberClusterStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A cluster that runs work: where it stands, who owns it, how it is reached, what it promises.",
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
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.location.region"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.zone"),
    printcolumn(name = "MLPS", type_ = "integer", json_path = ".spec.mlps.level"),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.version",
        priority = 1
    ),
    printcolumn(
        name = "Owner",
        type_ = "string",
        json_path = ".spec.owner",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterSpec {
    /// How the hub works with the member: `Observe` (inventory only, writes nothing), `Push` (the
    /// hub dials in) or `Pull` (an agent dials out). Default: `Push`.
    #[serde(default)]
    pub mode: MemberMode,
    /// Push only: URL of the member's API server. Example: `https://10.1.2.3:6443`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Push only: the Secret in the hub's own namespace that holds the credential; written by
    /// `heyun cluster join`, bound to this endpoint and its CA. Example: `{name: member-guangzhou-1}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretRef>,
    /// Vendor of the cloud, a topology key for spread. Example: `huawei`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Kubernetes distribution, for people. Example: `cce`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub distribution: String,
    /// Where it physically stands. Example: `{region: guangzhou}`.
    #[serde(default)]
    pub location: Location,
    /// Name of the Tenant it belongs to, for affinity and administration. Example: `guangzhou`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Who runs it day to day. Example: `gz-cloud-ops`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator: String,
    /// Area of the e-government extranet: `cegn-common` (公用网络区), `cegn-dedicated` (专用网络区),
    /// `cegn-internet` (互联网接入区) or `internet`. Default: `cegn-common`.
    #[serde(default)]
    pub zone: NetworkZone,
    /// Graded protection (GB/T 22239) of the platform. Example: `{level: 3, filingNo: "44010099001"}`.
    #[serde(default)]
    pub mlps: Mlps,
    /// What the vendor calls things, mapped once for every application. Default: empty, every name as
    /// it is. Example: `{storage: {standard: csi-disk}, ingress: {default: nginx}}`.
    #[serde(default)]
    pub class_map: ClassMap,
    /// Taints that keep away work without the toleration. Default: none.
    /// Example: `[{key: maintenance, effect: NoSchedule}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key", "effect"]))]
    pub taints: Vec<Taint>,
    /// True closes the member for new work (`heyun cluster cordon`); what runs there stays.
    /// Default: false.
    #[serde(default)]
    pub unschedulable: bool,
    /// What is never given to workloads, on each node and by resource, as a percentage of what the
    /// node offers or an amount. Default: nothing. Example: `{cpu: 10%, memory: 4Gi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserve: BTreeMap<String, String>,
    /// Red lines, by resource: the share of what is allocatable on all nodes that take work (less
    /// `reserve`) that may be requested there, by whomever. Where a Workload would pass one, the
    /// member gets nothing new of it; what is there stays. Default: none.
    /// Example: `{cpu: 85%, memory: 90%}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_utilization: BTreeMap<String, String>,
}

/// How the hub works with a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MemberMode {
    /// Inventory only; nothing is written there.
    Observe,
    /// The hub dials in.
    #[default]
    Push,
    /// An agent dials out.
    Pull,
}

impl MemberMode {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "Observe",
            Self::Push => "Push",
            Self::Pull => "Pull",
        }
    }
}

/// A Secret in the hub's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret. Example: `member-guangzhou-1`.
    pub name: String,
}

/// Where a member physically stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Name of the Region tenant on whose ground it stands: residency. Example: `guangzhou`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
}

/// Area of the e-government extranet that is asked for: `cegn-common` (公用网络区), `cegn-dedicated`
/// (专用网络区), `cegn-internet` (互联网接入区) or `internet`; classified networks are out of scope.
/// Absent: any. Example: `cegn-common`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum NetworkZone {
    /// Public network area of the extranet (公用网络区).
    #[default]
    #[serde(rename = "cegn-common")]
    CegnCommon,
    /// Dedicated network area (专用网络区).
    #[serde(rename = "cegn-dedicated")]
    CegnDedicated,
    /// Internet access area of the extranet (互联网接入区).
    #[serde(rename = "cegn-internet")]
    CegnInternet,
    /// The internet.
    #[serde(rename = "internet")]
    Internet,
}

impl NetworkZone {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CegnCommon => "cegn-common",
            Self::CegnDedicated => "cegn-dedicated",
            Self::CegnInternet => "cegn-internet",
            Self::Internet => "internet",
        }
    }
}

/// Graded protection of a platform (GB/T 22239).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mlps {
    /// Level the platform is filed at, 1 to 5; 0: not filed. Default: 0. Example: 3.
    #[serde(default)]
    #[schemars(range(min = 0, max = 5))]
    pub level: u8,
    /// Number of the filing. Example: `"44010099001"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filing_no: String,
    /// Last day on which the filing is valid (inclusive), `YYYY-MM-DD` or RFC 3339; absent: no end.
    /// Example: `2027-06-30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
}

/// Logical class names to the vendor's own, by sort of class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClassMap {
    /// Storage classes. Example: `{standard: csi-disk, shared: csi-nas}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<String, String>,
    /// Ingress classes. Example: `{default: nginx}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ingress: BTreeMap<String, String>,
    /// Runtime classes. Example: `{kata: kata-qemu}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runtime: BTreeMap<String, String>,
    /// Priority classes. Example: `{business: vendor-high}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priority: BTreeMap<String, String>,
}

/// What was observed of a member; changes only when its meaning does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberClusterStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Accepted`, `Ready` (the member answers) and `Schedulable` (new work may go there).
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Version of the member's API server. Example: `v1.36.3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// uid of the member's `kube-system` namespace: two members with the same one are one cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    /// Namespaced kinds the member serves, as `group/version/Kind` (core: `v1/Kind`), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apis: Vec<String>,
    /// Allocatable and requested amounts per flavor, for people and columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource"]))]
    pub capacity: Vec<FlavorCapacity>,
    /// Nodes that are ready and that exist.
    #[serde(default)]
    pub nodes: NodeCounts,
    /// Added to the hub's epoch to give the number in this member's fence.
    #[serde(default)]
    pub fence_base: i64,
}

/// Nodes of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// Nodes whose Ready condition is True.
    #[serde(default)]
    pub ready: u32,
    /// All nodes.
    #[serde(default)]
    pub total: u32,
}

/// Capacity of one flavor and resource on a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlavorCapacity {
    /// Name of the Flavor; `-` for nodes that no Flavor matches.
    pub flavor: String,
    /// Name of the resource. Example: `cpu`.
    pub resource: String,
    /// What the nodes offer to pods, less `spec.reserve`.
    pub allocatable: Quantity,
    /// What bound pods request.
    pub requested: Quantity,
}
