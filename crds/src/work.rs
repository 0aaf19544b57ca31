//! Work: the rendered manifests for one member.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Finished;
use crate::workload::{AdoptionPolicy, Assignment, DeletionPolicy, ImmutablePolicy, Manifest};

/// The rendered manifests of one Workload for one member, in the member's namespace on the hub.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Work",
    namespaced,
    shortname = "wk",
    category = "heyun",
    status = "WorkStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "The rendered manifests of one Workload for one member; written by the hub, applied by the executor.",
    crates(kube_core = "::kube_core"),
    printcolumn(
        name = "Applied",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Applied')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Applied')].reason"
    ),
    printcolumn(name = "Workload", type_ = "string", json_path = ".spec.workload.name"),
    printcolumn(
        name = "Namespace",
        type_ = "string",
        json_path = ".spec.workload.namespace"
    ),
    printcolumn(
        name = "Healthy",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Healthy')].status"
    ),
    printcolumn(
        name = "Decision",
        type_ = "string",
        json_path = ".spec.decision",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct WorkSpec {
    /// The Workload this comes from.
    pub workload: WorkloadKey,
    /// Tenant of the Workload. Example: `gz-civil-affairs`.
    pub tenant: String,
    /// uid of that Tenant: a tenant created again inherits nothing.
    pub tenant_uid: String,
    /// Id of the decision. Example: `7f3a9c21d0`.
    pub decision: String,
    /// Epoch of the leader that wrote this (fence). Example: 3.
    pub epoch: i64,
    /// Epoch that retires this Work: written before it is deleted, together with `epoch`. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire: Option<i64>,
    /// What the decision assigns to this member: with it a lost decision is rebuilt.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub assignments: Vec<Assignment>,
    /// What is to be asserted on the member, in order.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub manifests: Vec<Manifest>,
    /// Secrets that go along: their payload is a native Secret beside this Work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<CarriedSecret>,
    /// What happens with an object of the same name that is there already: `Never` (refused),
    /// `IfNoDiff` (adopted when nothing would change) or `Always` (adopted and changed). Default: `Never`.
    #[serde(default)]
    pub adoption: AdoptionPolicy,
    /// What happens when an immutable field changes: `Refuse` (a condition names field, member and fix)
    /// or `Recreate`. Default: `Refuse`.
    #[serde(default)]
    pub on_immutable: ImmutablePolicy,
    /// What becomes of the objects when this Work is deleted: `Delete` or `Orphan` (they stay).
    /// Default: `Delete`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The Workload a Work comes from.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadKey {
    /// Namespace, on the hub and on the member. Example: `gz-civil-affairs`.
    pub namespace: String,
    /// Name. Example: `assistance`.
    pub name: String,
    /// uid; adoption rewrites it.
    #[serde(default)]
    pub uid: String,
    /// Generation that was rendered.
    #[serde(default)]
    pub generation: i64,
}

/// A Secret that goes along with a Work.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct CarriedSecret {
    /// Name on the member. Example: `db-password`.
    pub name: String,
    /// Name of the native Secret in the member's namespace on the hub.
    pub source: String,
    /// SHA-256 of type and payload, in hexadecimal.
    pub hash: String,
}

/// What the executor did and sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// Generation of the spec that was applied.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the decision that was applied in full: what an earlier one held is gone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub applied_decision: String,
    /// `Applied`, `Healthy` and `Drifted`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The objects asserted on the member: what is pruned when it is no longer wanted.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub objects: Vec<ObjectState>,
}

/// State of one object on the member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectState {
    /// `apiVersion`. Example: `apps/v1`.
    pub api_version: String,
    /// Kind. Example: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// uid on the member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// True when it is applied as rendered.
    pub applied: bool,
    /// True when it is healthy as its kind defines it.
    pub healthy: bool,
    /// Replicas that are wanted, for kinds that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// Replicas that are ready, for kinds that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// True when the member's object differs from what was applied.
    #[serde(default)]
    pub drifted: bool,
    /// That it ran to its end: for that generation it is not made again, though it be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Finished>,
    /// Reason code of what stands in the way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
