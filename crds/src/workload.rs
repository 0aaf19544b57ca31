//! Workload: what an agency deploys.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common::{Finished, FlavorAmount, ResourceMap};
use crate::placement::PlacementSpec;

/// Most manifests in a Workload.
pub const MANIFESTS_MAX: usize = 200;
/// Most bytes of `spec.manifests` as JSON: 512 KiB, so that object and status fit into etcd's 1.5 MB.
pub const MANIFEST_BYTES_MAX: usize = 512 * 1024;
/// Most entries of `status.members`.
pub const STATUS_MEMBERS_MAX: usize = 100;
/// Most bytes of `status.explanation` as JSON.
pub const EXPLANATION_BYTES_MAX: usize = 8 * 1024;

/// What an agency deploys: plain Kubernetes manifests and where they may run; the unit of
/// scheduling, quota and price.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Workload",
    namespaced,
    shortname = "wl",
    category = "heyun",
    status = "WorkloadStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "What an agency deploys: plain Kubernetes manifests and where they may run.",
    crates(kube_core = "::kube_core"),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Replicas",
        type_ = "string",
        json_path = ".status.summary.replicas"
    ),
    printcolumn(
        name = "Members",
        type_ = "string",
        json_path = ".status.summary.members"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.summary.reason"
    ),
    printcolumn(
        name = "Decision",
        type_ = "string",
        json_path = ".status.decision.id",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// Plain Kubernetes manifests of any namespaced kind but Secret, unmodified. At most 200 and
    /// 512 KiB as JSON. Example: `[{apiVersion: v1, kind: ConfigMap, metadata: {name: app}}]`. An atomic list: `heyun deploy -f` writes it as a whole.
    #[schemars(length(min = 1, max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub manifests: Vec<Manifest>,
    /// Native Secrets of this namespace that travel with the work; those that pods name are found by
    /// themselves. Default: none. Example: `[{name: db-password}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub secrets: Vec<SecretUse>,
    /// Where and how it may be spread; not together with `placementRef`. Absent: anywhere that the
    /// tenant's guardrails and quota allow. Example: `{division: {type: ByCapacity}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementSpec>,
    /// A Placement in the same namespace; not together with `placement`. Example: `{name: two-cities}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_ref: Option<PlacementRef>,
    /// Overrides the replicas of the one scalable component, or of the one `scaleTarget` names;
    /// this is what `kubectl scale` writes. Absent: what the manifest says. Example: 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub replicas: Option<i32>,
    /// The component that `replicas` means. Example: `Deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_target: Option<String>,
    /// What a component says beyond its manifest. Default: nothing.
    /// Example: `[{name: StatefulSet/db, replicas: 3}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<ComponentSpec>,
    /// Platforms that every image of the pods exists for, as `linux/ARCHITECTURE`; the registries
    /// are then not asked. Absent: what the registries say, where the platform has the hub ask
    /// them; else any. Example: `[linux/amd64, linux/arm64]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub platforms: Vec<String>,
    /// What differs on nodes of some architectures. Default: nothing.
    /// Example: `[{architectures: [arm64], images: [{container: web, image: registry.gov.example/web-arm:1}]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub overrides: Vec<Override>,
    /// PriorityClass on the hub. Example: `business`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// By what document there is an emergency; required with a priority class for emergencies, and
    /// with no other. Example: `{document: 粤防汛〔2027〕3号}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    /// True keeps the Workload from being scheduled anew; what runs stays. Default: false.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of the applied objects when the Workload is deleted: `Delete` or `Orphan` (they stay;
    /// a Workload created again from the same YAML adopts them). Default: `Delete`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What happens with an object of the same name that is there already: `Never` (refused),
    /// `IfNoDiff` (adopted when nothing would change) or `Always` (adopted and changed). Default: `Never`.
    #[serde(default)]
    pub adoption: AdoptionPolicy,
    /// What happens when a field that Kubernetes keeps immutable changes: `Refuse` (a condition names
    /// field, member and fix) or `Recreate` (deleted and created again). Default: `Refuse`.
    #[serde(default)]
    pub on_immutable: ImmutablePolicy,
}

/// By what document there is an emergency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    /// Its number. Those that make room are told it. Example: `粤防汛〔2027〕3号`.
    #[schemars(length(min = 1, max = 128))]
    pub document: String,
}

/// One plain Kubernetes manifest, kept as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub Value);

impl JsonSchema for Manifest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Manifest".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A plain Kubernetes object.",
            "x-kubernetes-preserve-unknown-fields": true,
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"type": "string", "maxLength": 128, "description": "Group and version. Example: apps/v1."},
                "kind": {"type": "string", "maxLength": 63, "description": "Kind, namespaced. Example: Deployment."},
                "metadata": {
                    "type": "object",
                    "description": "Name, labels and annotations.",
                    "x-kubernetes-preserve-unknown-fields": true,
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "maxLength": 253, "description": "Name of the object."},
                        "namespace": {"type": "string", "maxLength": 63, "description": "Empty, or the Workload's own namespace."}
                    }
                }
            }
        })
    }
}

/// A Secret of the Workload's namespace.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct SecretUse {
    /// Name of the Secret. Example: `db-password`.
    pub name: String,
}

/// A Placement of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRef {
    /// Name of the Placement. Example: `two-cities`.
    pub name: String,
}

/// What a component says beyond its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// The component. Example: `StatefulSet/db`.
    pub name: String,
    /// Overrides its replicas. Absent: what the manifest says. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub replicas: Option<i32>,
    /// Whether it may be divided over members; absent: by its kind. Example: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisible: Option<bool>,
}

/// What differs on nodes of some architectures. A Workload with overrides is placed on Flavors that
/// select an architecture, so that each pod has one set of images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Architectures of the nodes, as Kubernetes names them. Example: `[arm64]`.
    #[schemars(length(min = 1, max = 16))]
    pub architectures: Vec<String>,
    /// Images that containers have there. Example: `[{container: web, image: registry.gov.example/web-arm:1}]`.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub images: Vec<ImageOverride>,
}

/// The image of a container on nodes of some architectures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageOverride {
    /// The component; absent: every one that has such a container. Example: `Deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The container or init container. Example: `web`.
    pub container: String,
    /// Its image there. Example: `registry.gov.example/web-arm:1`.
    pub image: String,
}

/// What becomes of applied objects when a Workload is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They are deleted.
    #[default]
    Delete,
    /// They stay; a Workload created again from the same YAML adopts them.
    Orphan,
}

/// What happens with an object of the same name that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// It is refused, with a condition.
    #[default]
    Never,
    /// It is adopted when what we would assert is there already.
    IfNoDiff,
    /// It is adopted and changed.
    Always,
}

/// What happens when an immutable field changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImmutablePolicy {
    /// A condition names field, member and fix.
    #[default]
    Refuse,
    /// The object is deleted and created again.
    Recreate,
}

/// Where a Workload is and how it fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Accepted`, `QuotaReserved`, `Scheduled`, `Applied`, `Healthy`, `Ready`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The decision: what is assigned and thereby reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub decision: Option<Decision>,
    /// Why: counts per reason, the chosen, the nearest of the rest; the whole table is `heyun why`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub explanation: Option<Explanation>,
    /// State per member, worst first, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub members: Vec<MemberState>,
    /// Replicas that exist, for the scale subresource.
    #[serde(default)]
    pub replicas: i32,
    /// Label selector of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// The same in few words, for columns.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub summary: Summary,
}

/// What `kubectl get workloads` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Ready and desired replicas. Example: `12/12`.
    #[serde(default)]
    pub replicas: String,
    /// Members with their replicas. Example: `guangzhou-1:8,province-a:4`.
    #[serde(default)]
    pub members: String,
    /// Reason and message of what stands in the way, or `Healthy`.
    #[serde(default)]
    pub reason: String,
}

/// The scheduler's answer for one generation: it is the reservation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Id, from the inputs and the assignments. Example: `7f3a9c21d0`.
    pub id: String,
    /// Generation of the spec that was decided.
    pub generation: i64,
    /// Epoch of the leader that decided (fence).
    pub epoch: i64,
    /// SHA-256 over the scheduler's inputs, in hexadecimal.
    pub inputs_hash: String,
    /// When it was decided, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decided_at: String,
    /// What goes where.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub assignments: Vec<Assignment>,
    /// Name of the affinity term that all of it stands in; empty where it stands in several, the
    /// placement has none, or it is not known. Example: `home`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// It went back to that term from a later one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// Members that get the objects without replicas, when no component goes anywhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried_to: Vec<String>,
    /// Sum of the charges per flavor and resource.
    #[serde(default)]
    pub reserved: Vec<FlavorAmount>,
    /// What was assigned before and is not yet confirmed as gone: still charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub releasing: Vec<Assignment>,
    /// That it made room for another: what is assigned is what it keeps, and the rest waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted: Option<Preempted>,
}

/// That a Workload made room for another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preempted {
    /// By what right: `Borrowed` (it ran on what its tenant had borrowed), `Lower` (one of its own
    /// tenant has a higher priority) or `Emergency`.
    pub claim: String,
    /// The Workload that it made room for, where that is of the same tenant. Example: `gz-health/alert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Number of the document by which there is an emergency. Example: `粤防汛〔2027〕3号`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
}

/// Replicas of one component on one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// Name of the member.
    pub member: String,
    /// Name of the Flavor; `-` when the component asks for no node.
    pub flavor: String,
    /// Component. Example: `Deployment/web`.
    pub component: String,
    /// Replicas.
    pub replicas: i32,
    /// Architectures that its pods run on, as they were known when it was decided; empty: any.
    /// Its pods get required affinity to nodes of these. Example: `[amd64, arm64]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub architectures: Vec<String>,
    /// Requests of one replica.
    #[serde(default)]
    pub requests: ResourceMap,
    /// What is charged for all of them, with surge.
    #[serde(default)]
    pub charge: ResourceMap,
    /// Replicas of these that no other Workload takes the place of: what a PodDisruptionBudget asks
    /// for there, and all where they hold data that does not move. Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub keeps: i32,
    /// That they ran to their end, as `status.objects` of the Work tells it: nothing is charged for
    /// them, and for that generation they are never made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "told_object")]
    pub finished: Option<Finished>,
}

/// Nothing to say.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// Why a Workload is where it is, or nowhere; at most 8 KiB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `Placed`, `Rejected` or `Waiting`.
    #[serde(default)]
    pub outcome: String,
    /// Reason code of the Workload as a whole. Example: `QuotaExceeded`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Members that were looked at.
    #[serde(default)]
    pub evaluated: u32,
    /// Members that could have taken it.
    #[serde(default)]
    pub feasible: u32,
    /// How often each filter refused. Example: `{Residency: 12, Capacity: 3}`.
    #[serde(default)]
    pub refused: std::collections::BTreeMap<String, u32>,
    /// The chosen, and the ten nearest of the rest, each as in the answer of `heyun why -o json`.
    #[serde(default)]
    pub members: crate::told::ToldMembers,
}

/// An object whose shape a Work documents: once is enough.
fn told_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// State of a Workload on one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberState {
    /// Name of the member.
    pub name: String,
    /// Replicas that are wanted there.
    pub desired: i32,
    /// Replicas that are ready there.
    pub ready: i32,
    /// True when every object is applied as decided.
    pub applied: bool,
    /// True when every object is healthy.
    pub healthy: bool,
    /// Reason code of what stands in the way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
