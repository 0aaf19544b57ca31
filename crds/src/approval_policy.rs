//! ApprovalPolicy: who decides on which ResourceRequest.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::FlavorAmount;
use crate::tenant::AdminLevel;

/// Who decides on which ResourceRequest. Of several policies the one of the nearest tenant counts;
/// where no policy, or no rule of it, fits a request, nobody can grant it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "ApprovalPolicy",
    plural = "approvalpolicies",
    shortname = "ap",
    category = "heyun",
    derive = "PartialEq",
    derive = "Default",
    doc = "Who decides on which ResourceRequest: stages, and rules that choose among them.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(name = "Stages", type_ = "string", json_path = ".spec.stages[*].name"),
    printcolumn(name = "Rules", type_ = "string", json_path = ".spec.rules[*].name"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPolicySpec {
    /// The Tenant that it is for, with all below it. Default: every tenant that no nearer policy is
    /// for; of two for the same, the first by name counts. Example: `guangdong`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The stages that the rules choose from. Default: none.
    /// Example: `[{name: bureau}, {name: city, require: KOfN, k: 2, approvers: [chen, lin, wu]}]`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub stages: Vec<ApprovalStage>,
    /// Rules in order: the first that fits a request says who decides on it.
    /// Example: `[{name: small, when: {atMost: [{resource: cpu, amount: "4"}]}, automatic: true}, {name: rest, stages: [bureau, city]}]`.
    pub rules: Vec<ApprovalRule>,
}

/// Who agrees at one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStage {
    /// Name; who may act at the stage has the verb `approve` on the resource `approvalstages` of
    /// this name, by RBAC, in the namespace of the request. Example: `city`.
    pub name: String,
    /// How many agree: `Any` (one), `All` (each of the approvers) or `KOfN` (`k` of them). Default: `Any`.
    #[serde(default)]
    pub require: ApprovalRequire,
    /// How many, for `KOfN`. Example: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    /// Users whose agreement counts, beside what RBAC says. Default: whoever may.
    /// Example: `[chen@guangzhou, lin@guangzhou]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

/// How many of a stage must agree.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ApprovalRequire {
    /// One.
    #[default]
    Any,
    /// Each of the approvers.
    All,
    /// `k`.
    KOfN,
}

/// Which requests take which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRule {
    /// Name, for people. Example: `small`.
    pub name: String,
    /// What a request is like that it fits; all that is given holds. Default: every request.
    #[serde(default)]
    pub when: ApprovalWhen,
    /// Granted at once. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// Stages in order, unless `automatic`. Example: `[bureau, city, province]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
}

/// What a request is like. What is absent is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalWhen {
    /// Size: each line of the request is of a resource that stands here, and at most as much; the
    /// flavor `*` is any. Example: `[{flavor: "*", resource: cpu, amount: "4"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_most: Vec<FlavorAmount>,
    /// Change: each line is at most this part of the tenant's nominal, in percent. Example: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_at_most_percent: Option<u32>,
    /// Flavor: each line is of one of these. Example: `[general-amd64]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flavors: Vec<String>,
    /// Level of government of the tenant, or of the nearest above it that says one.
    /// Example: `[County, Township]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<AdminLevel>,
    /// Time: from beginning to end it is at most so many days. Example: 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days_at_most: Option<u32>,
}
