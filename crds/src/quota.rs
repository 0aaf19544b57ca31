//! Quota: what a tenant may use, per flavor and resource.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::FlavorAmount;
use crate::quantity::Quantity;

/// What a tenant may use, per flavor and resource; a share of its parent's, not an addition to it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Quota",
    shortname = "qt",
    category = "heyun",
    status = "QuotaStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "What a tenant may use, per flavor and resource: guaranteed <= nominal <= ceiling; a share of its parent's.",
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
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(name = "Used", type_ = "string", json_path = ".status.summary"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct QuotaSpec {
    /// The Tenant; equal to the Quota's own name, so that there is one. Example: `gz-civil-affairs`.
    pub tenant: String,
    /// One line per flavor and resource; an absent line is 0.
    /// Example: `[{flavor: xinchuang-arm64, resource: cpu, guaranteed: "20", nominal: "40", ceiling: "60"}]`.
    #[serde(default)]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource"]))]
    pub resources: Vec<QuotaLine>,
    /// Part of the nominal that only failover may use, as a percentage. Example: `10%`. Default: `0%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_reserve: Option<String>,
    /// How far the nominals of the children may exceed this nominal, in percent (100 to 1000).
    /// Default: 100. Example: 150.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 1000))]
    pub overcommit_percent: Option<u32>,
}

/// What a tenant may use of one resource of one flavor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaLine {
    /// Name of the Flavor; `-` for what is not on nodes. Example: `xinchuang-arm64`.
    pub flavor: String,
    /// Name of the resource. Example: `cpu`.
    pub resource: String,
    /// 保底: never lent; at most the nominal. Default: 0. Example: `"20"`.
    #[serde(default)]
    pub guaranteed: Quantity,
    /// 核定额度: entitled; lent while idle, taken back on demand. Example: `"40"`.
    pub nominal: Quantity,
    /// 上限: the most it may reach by borrowing. Default: the nominal. Example: `"60"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Quantity>,
}

impl Quota {
    /// The numbers that count; `None` until any do.
    pub fn effective(&self) -> Option<&EffectiveQuota> {
        self.status.as_ref()?.effective.as_ref()
    }
}

/// What counts and what is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Accepted` (the numbers are sound) and `Ready` (all of the spec is effective).
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What counts: written only by the scheduling loop, in one order with its commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveQuota>,
    /// Use per line, as of the last change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource"]))]
    pub resources: Vec<QuotaUse>,
    /// The fullest line in words, for columns. Example: `31 of 40 cpu (xinchuang-arm64)`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// The numbers that admission of work counts with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveQuota {
    /// Generation of the spec they come from.
    pub generation: i64,
    /// Epoch of the leader that wrote them (fence).
    pub epoch: i64,
    /// Parent in the quota tree; absent: a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// One line per flavor and resource.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource"]))]
    pub resources: Vec<QuotaLine>,
    /// Approved ResourceRequests whose time is not over: those that are active are in the lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uid"]))]
    pub grants: Vec<Grant>,
}

/// Most grants of one Quota at a time.
pub const GRANTS_MAX: usize = 64;

/// An approved ResourceRequest: a share of the parent's for a time, with where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Uid of the ResourceRequest.
    pub uid: String,
    /// Namespace of the ResourceRequest.
    pub namespace: String,
    /// Name of the ResourceRequest.
    pub request: String,
    /// Hash of its spec, as it was approved.
    pub hash: String,
    /// When it begins, RFC 3339.
    pub from: String,
    /// When it ends, RFC 3339.
    pub until: String,
    /// Whether it counts now: then it is in the lines.
    #[serde(default)]
    pub active: bool,
    /// What it adds to the nominal, and to the ceiling where that would be lower.
    pub resources: Vec<FlavorAmount>,
    /// Who approved it, stage by stage; empty: a rule did at once. Example: `[bureau: wang, city: chen]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    /// Number of the document that it rests on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub document: String,
}

/// Use of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUse {
    /// Name of the Flavor.
    pub flavor: String,
    /// Name of the resource.
    pub resource: String,
    /// What is decided for the tenant and those below it.
    pub used: Quantity,
    /// What counts against its own limits: own use, and per child its use or its guarantee.
    pub charged: Quantity,
    /// Charge above the nominal.
    pub borrowed: Quantity,
    /// Nominal that others use now.
    pub lent: Quantity,
    /// What one more request may ask at most.
    pub available: Quantity,
    /// Charge above the ceiling, after a shrink.
    pub debt: Quantity,
    /// Part of a raised guarantee that the parent does not cover yet.
    pub pending: Quantity,
}
