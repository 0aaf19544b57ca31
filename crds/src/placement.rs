//! Placement: where and how a Workload may be spread.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::common::{LabelExpression, Toleration};
use crate::member_cluster::NetworkZone;

/// Where and how a Workload may be spread; inline in a Workload or an object of its own.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Placement",
    namespaced,
    shortname = "pl",
    category = "heyun",
    status = "PlacementStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Where and how Workloads may be spread; a Workload names it by placementRef.",
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
    printcolumn(name = "Division", type_ = "string", json_path = ".spec.division.type"),
    printcolumn(name = "Workloads", type_ = "integer", json_path = ".status.workloads"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PlacementSpec {
    /// Terms in order: the first whose members hold everything wins. Default: one term of every member.
    /// Example: `[{name: home, owners: [guangzhou]}, {name: province, owners: [guangdong]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub affinity: Vec<AffinityTerm>,
    /// Members that are never chosen, by name. Default: none. Example: `[gz-old]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub exclude: Vec<String>,
    /// Flavors in order of preference; one left out is forbidden. Empty: every flavor that the
    /// tenant has quota for, by precedence. Example: `[xinchuang-arm64, general-amd64]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub flavors: Vec<String>,
    /// Hard requirements; they add to the tenant's guardrails and never weaken them. Default: none.
    /// Example: `{mlpsLevel: 3, zone: cegn-common}`.
    #[serde(default)]
    pub requirements: Requirements,
    /// Taints of members that are tolerated. Default: none. Example: `[{key: maintenance, operator: Exists}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// How replicas are divided over the chosen members. Default: `{type: Aggregated}`.
    /// Example: `{type: ByCapacity, minPerMember: 2}`.
    #[serde(default)]
    pub division: Division,
    /// Spread over topology keys; one can hold inside the groups of another. Default: none.
    /// Example: `[{topologyKey: region/provincial, minGroups: 3, maxSkew: 2}, {topologyKey:
    /// region/prefectural, within: region/provincial, minGroups: 2, maxSkew: 1}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["topologyKey"]))]
    pub spread: Vec<SpreadConstraint>,
    /// How the components of a Workload stand to each other. Default: `{type: Any}`. Example:
    /// `{type: Together, topologyKey: zone}`.
    #[serde(default)]
    pub components: Components,
    /// Whether a Workload goes back to an earlier term when that holds all of it again. Default:
    /// `{policy: Never}`. Example: `{policy: WhenIdle, after: 10m}`.
    #[serde(default, rename = "return")]
    pub returning: Return,
    /// How the Workload stands to others of its tenant; all terms hold. Default: none.
    /// Example: `[{type: Affinity, matchLabels: {app: booking-db}, topologyKey: zone}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub workloads: Vec<WorkloadTerm>,
    /// What becomes of volume claims when work moves; absent: work with claims does not move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataPolicy>,
    /// Weights of the scores, 0 to 100 each; absent: the platform's. Example: `{stability: 60, cost: 20}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<ScoreWeights>,
}

/// Members that a term selects; what is given must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffinityTerm {
    /// Name of the term, shown as the tier. Example: `home`.
    pub name: String,
    /// Members by name. Default: any. Example: `[guangzhou-1, guangzhou-2]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub members: Vec<String>,
    /// Members by label, all equal. Example: `{tier: city}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Members whose owner is one of these tenants. Example: `[guangzhou]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub owners: Vec<String>,
    /// Members that stand in one of these Region tenants or below. Default: any. Example: `[guangdong]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub regions: Vec<String>,
    /// Members of one of these providers. Example: `[huawei]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub providers: Vec<String>,
    /// Members of one of these operators. Default: any. Example: `[gz-cloud-ops]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub operators: Vec<String>,
    /// Members in one of these zones. Default: any. Example: `[cegn-common]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<NetworkZone>,
}

/// Hard requirements on members and nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Architectures that it may run on; empty: those that the Workload's images exist for and the
    /// manifests' node selectors allow.
    /// Example: `[amd64, arm64]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arch: Vec<String>,
    /// Network zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<NetworkZone>,
    /// Least MLPS level of the platform, 1 to 5; absent: the tenant's. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub mlps_level: Option<u8>,
    /// Region tenants on whose ground the work may run, by containment in the tree; empty: the
    /// tenant's. Example: `[guangzhou]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residency: Vec<String>,
}

/// How replicas are divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Division {
    /// `Aggregated` (as few members as hold it; the default), `ByCapacity` (in proportion to what
    /// fits), `Weighted` (in proportion to `weights`) or `Duplicated` (all replicas on every member).
    #[serde(default, rename = "type")]
    pub type_: DivisionType,
    /// For `Weighted`: weight by member name; a member without one gets nothing.
    /// Example: `{guangzhou-1: 2, province-a: 1}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// Least replicas on a member that is chosen. Default: 1. Example: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_per_member: Option<u32>,
    /// Most replicas on one member. Default: no bound. Example: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_per_member: Option<u32>,
}

/// Ways to divide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DivisionType {
    /// All replicas on every chosen member.
    Duplicated,
    /// In proportion to given weights, by largest remainder.
    Weighted,
    /// In proportion to what fits.
    ByCapacity,
    /// As few members as hold it.
    #[default]
    Aggregated,
}

/// Spread over one topology key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpreadConstraint {
    /// `member`, `provider`, `operator`, `zone`, `mlps`, `region`, a level of the tree of regions
    /// (`region/provincial`, `region/prefectural`, `region/county`, `region/township`; where the tree
    /// has none, the highest region below it counts), or `label:KEY` for a label of the
    /// MemberCluster. Example: `provider`.
    pub topology_key: String,
    /// The topologyKey of another constraint of the list: this one then holds inside each group in
    /// use of that one, and the same value in two of them is two groups. Absent: it holds over all
    /// members. Example: `region/provincial`, for a constraint over `region/prefectural`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Largest difference of replicas between chosen groups; absent: any. Example: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_skew: Option<u32>,
    /// Least number of groups; fewer replicas use as many as they are. Default: 1. Example: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_groups: Option<u32>,
    /// Most groups; absent: any. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_groups: Option<u32>,
    /// `DoNotSchedule` (the Workload is not placed) or `ScheduleAnyway` (as near as it goes).
    /// Default: `DoNotSchedule`.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// Other Workloads of the same tenant, in any of its namespaces; of other tenants none is seen or kept
/// away, and the Workload's own replicas do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadTerm {
    /// `Affinity` (only where one that is selected has replicas) or `AntiAffinity` (nowhere where one
    /// has some or still releases some; nor do these go where this Workload is). Example: `Affinity`.
    #[serde(rename = "type")]
    pub type_: WorkloadTermType,
    /// Labels of those that are selected, all equal; with neither these nor `matchExpressions`, all of
    /// the tenant are. Example: `{app: booking-db}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions. Default: none. Example: `[{key: tier, operator: In, values: [web, worker]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub match_expressions: Vec<LabelExpression>,
    /// What makes a group of members, as the topologyKey of a spread; a member without a value gets
    /// nothing. Default: `member`. Example: `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<String>,
    /// `DoNotSchedule` (it waits) or `ScheduleAnyway` (members that keep the term come first). Default:
    /// `DoNotSchedule`.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// Ways in which a Workload stands to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadTermType {
    /// Only in groups in which one that is selected has replicas.
    #[default]
    Affinity,
    /// In no such group, nor in one where it still releases some; and none that is selected goes where
    /// this Workload is.
    AntiAffinity,
}

/// How the components of a Workload stand to each other. It is hard: where it cannot be kept, the
/// Workload is not placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Components {
    /// `Any` (wherever each finds room; the default), `Together` (all replicas of all components in
    /// one group) or `Apart` (no two components have replicas in one group; a DaemonSet goes with the
    /// others and does not count). Example: `Apart`.
    #[serde(default, rename = "type")]
    pub type_: ComponentsType,
    /// What makes a group of members, as the topologyKey of a spread; a member without a value gets
    /// nothing. Default: `member`, each member a group of its own. Example: `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<String>,
}

/// Ways in which components stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ComponentsType {
    /// Wherever each finds room; with `Aggregated`, on one member where one holds all.
    #[default]
    Any,
    /// All replicas of all components in one group.
    Together,
    /// No two components in one group.
    Apart,
}

/// Whether and when a Workload goes back to an earlier term of `affinity`. Its new copies are healthy
/// before the old ones go, so quota covers both meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Return {
    /// `Never` (it stays in its term; the default), `WhenIdle` (it goes back when nothing that waits
    /// could use the room it takes there, and its tenant borrows no more quota than before) or
    /// `Always` (it goes back). Example: `WhenIdle`.
    #[serde(default)]
    pub policy: ReturnPolicy,
    /// How long the earlier term must hold all of it without a break before it goes back; from `1s`
    /// to `168h`. Default: `5m`. Example: `1h30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Whether a Workload goes back to an earlier term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReturnPolicy {
    /// It stays in its term.
    #[default]
    Never,
    /// It goes back when the room it takes there is idle.
    WhenIdle,
    /// It goes back.
    Always,
}

/// What happens when a spread, or a term for other Workloads, cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WhenUnsatisfiable {
    /// The Workload is not placed.
    #[default]
    DoNotSchedule,
    /// It is placed as near to the wish as it goes.
    ScheduleAnyway,
}

/// What becomes of volume claims when work moves: `Ephemeral` (the data may be lost), `Replicated`
/// (the application replicates it itself) or `RestoreFrom` (it is restored from a backup). Absent:
/// work with claims does not move. Example: `Replicated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataPolicy {
    /// The data may be lost.
    Ephemeral,
    /// The application replicates it itself.
    Replicated,
    /// It is restored from a backup.
    RestoreFrom,
}

/// Weights of the scores, 0 to 100 each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoreWeights {
    /// Even use of members. Example: 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub balance: Option<u32>,
    /// Staying where it is. Example: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub stability: Option<u32>,
    /// Low price. Example: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub cost: Option<u32>,
    /// The order of flavors. Example: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub preference: Option<u32>,
}

/// Who uses a Placement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Ready`: the placement contradicts nothing.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Number of Workloads that name it.
    #[serde(default)]
    pub workloads: u32,
}
