//! Types of the aggregated API `query.heyun.dev`: what is computed rather than stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// API group of the aggregated API.
pub const QUERY_GROUP: &str = "query.heyun.dev";
/// Its version.
pub const QUERY_VERSION: &str = "v1alpha1";

/// Why a Workload is where it is: the answer of `heyun why`, `heyun simulate` and the hub.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// Always `query.heyun.dev/v1alpha1`.
    pub api_version: String,
    /// Always `Why`.
    pub kind: String,
    /// Namespace of the Workload.
    pub namespace: String,
    /// Name of the Workload.
    pub name: String,
    /// Tenant it belongs to.
    #[serde(default)]
    pub tenant: String,
    /// Generation that was looked at.
    pub generation: i64,
    /// Id of the decision in force, if there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// SHA-256 over the scheduler's inputs, in hexadecimal.
    #[serde(default)]
    pub inputs_hash: String,
    /// `Placed`, `Rejected` or `Waiting`; `Finished` where all of it ran to its end and the verdict
    /// that placed it is no longer known.
    pub outcome: String,
    /// Reason code of the Workload as a whole. Example: `QuotaExceeded`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same as a sentence, with the fix.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it was decided, RFC 3339; absent where it is what would be decided now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decided_at: String,
    /// Id of the decision of an earlier generation that is in force while this one is not placed.
    /// Example: `7f3a9c21d0`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub in_force: String,
    /// By what right it made room for another, where it did and has not all of it back.
    /// Example: `made room in an emergency: 粤防汛〔2027〕3号`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preempted: String,
    /// What of it ran to its end: that is charged no more, and not made again for its generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finished: Vec<WhyFinished>,
    /// How many members were looked at; of an earlier decision over many, not all are still known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evaluated: u32,
    /// Its place among those that wait, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<WhyQueue>,
    /// The affinity term it stands in; several, joined by ` + `, where it stands in each of them.
    /// Example: `home`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// What it waits for to go back to an earlier term, where it may.
    #[serde(default, rename = "return", skip_serializing_if = "Option::is_none")]
    pub back: Option<WhyReturn>,
    /// Every member, the chosen first.
    pub members: Vec<WhyMember>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// That the part of a Job, or a Pod, on one member ran to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyFinished {
    /// Component. Example: `Job/reindex`.
    pub component: String,
    /// Name of the member.
    pub member: String,
    /// How: `Complete` or `Failed` (Job), `Succeeded` or `Failed` (Pod).
    pub state: String,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// Generation of the Workload that it ran for.
    pub generation: i64,
}

/// The place of a Workload among all that wait, in the order in which they are decided: by
/// priority, then by age, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyQueue {
    /// Its position, from 1. Example: `3`.
    pub position: u32,
    /// How many wait. Example: `7`.
    pub waiting: u32,
    /// Of the nearest before it, those of its own tenant that ask for the same, the nearest first,
    /// as `namespace/name`. Example: `["gd-health-booking/web"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// How many more of the nearest before it ask for the same: other tenants' are not named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before_unnamed: u32,
    /// The events after which it is decided again. Example: `["QuotaReleased", "QuotaChanged"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unblocked_by: Vec<String>,
    /// The same in words, with whose and where, the likeliest first. Example: `["gd-health or a
    /// tenant below it releases cpu of general-amd64"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
}

/// What a placed Workload waits for to go back to an earlier affinity term.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyReturn {
    /// `WhenIdle` or `Always`.
    pub policy: String,
    /// The earlier term that is nearest to holding it. Example: `home`.
    pub term: String,
    /// When it goes back, RFC 3339; absent while that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// What it waits for, as a sentence.
    pub message: String,
}

/// What was decided on a Workload, as far as it is known: the answer of `heyun why --history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionHistory {
    /// Always `query.heyun.dev/v1alpha1`.
    pub api_version: String,
    /// Always `DecisionHistory`.
    pub kind: String,
    /// Namespace of the Workload.
    pub namespace: String,
    /// Name of the Workload.
    pub name: String,
    /// The decisions, the newest first.
    pub items: Vec<DecisionRecord>,
}

/// One decision, or one refusal, that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Its id. Example: `7f3a9c21d0`.
    pub decision: String,
    /// When it was decided, RFC 3339.
    pub decided_at: String,
    /// Generation that was decided on.
    pub generation: i64,
    /// Epoch of the leader that decided.
    pub epoch: i64,
    /// SHA-256 over the scheduler's inputs, in hexadecimal; empty where no scheduler was asked.
    #[serde(default)]
    pub inputs_hash: String,
    /// `Placed`, `Rejected` or `Waiting`.
    pub outcome: String,
    /// Reason code, unless it is placed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Replicas by member, where it is placed and still known.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub members: std::collections::BTreeMap<String, u32>,
}

/// How one member fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyMember {
    /// Name of the member.
    pub member: String,
    /// `chosen`, `feasible` or `filtered`.
    pub verdict: String,
    /// Replicas per component there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<WhyReplicas>,
    /// Total score, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u32>,
    /// The parts of the score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<WhyScore>,
    /// Affinity term that selected the member.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// Every hard refusal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<WhyRefusal>,
    /// What node shapes cannot judge and was therefore not checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
}

/// Replicas of a component on a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyReplicas {
    /// Component. Example: `Deployment/web`.
    pub component: String,
    /// Flavor that its nodes have.
    pub flavor: String,
    /// Replicas.
    pub replicas: u32,
}

/// One part of a score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyScore {
    /// Name of the score. Example: `balance`.
    pub name: String,
    /// Points before weighting, 0 to 100.
    pub points: u32,
    /// Weight.
    pub weight: u32,
    /// What the points stand for, where it is not what they measure. Example: `no price`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One hard refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhyRefusal {
    /// Filter that refused. Example: `Residency`.
    pub filter: String,
    /// Reason code.
    pub reason: String,
    /// The same as a sentence with the numbers.
    pub message: String,
    /// What would unblock it. Example: `1 cpu free on one node`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unblocked_by: String,
    /// Who may decide, where that is not the owner of the Workload.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decided_by: String,
}

/// Requested amounts by tenant, flavor and member: the answer of `heyun report usage`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Always `query.heyun.dev/v1alpha1`.
    pub api_version: String,
    /// Always `UsageReport`.
    pub kind: String,
    /// First moment, RFC 3339, inclusive.
    pub from: String,
    /// Last moment, RFC 3339, exclusive.
    pub until: String,
    /// The rows, by tenant, flavor, member, resource.
    pub rows: Vec<UsageRow>,
}

/// One row of a usage report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// Tenant.
    pub tenant: String,
    /// Flavor.
    pub flavor: String,
    /// Member.
    pub member: String,
    /// Resource.
    pub resource: String,
    /// Amount times hours as a decimal number: core-hours for `cpu`, byte-hours for memory.
    pub amount_hours: String,
}
