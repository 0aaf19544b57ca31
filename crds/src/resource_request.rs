//! ResourceRequest: what an agency asks for, for a time; an approved one is the grant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::FlavorAmount;

/// What an agency asks for, for a time. It is approved in stages; an approved one is the grant, and
/// adds its amounts to the nominal of the tenant's Quota from its beginning to its end.
///
/// The spec is never changed: what is to be otherwise is asked for anew.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "ResourceRequest",
    plural = "resourcerequests",
    shortname = "rr",
    namespaced,
    category = "heyun",
    status = "ResourceRequestStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "What an agency asks for, for a time: approved in stages, never changed; an approved one is the grant.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(
        name = "Approved",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Approved')].status"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Active')].status"
    ),
    printcolumn(name = "Stage", type_ = "string", json_path = ".status.stage"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.summary"),
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.from",
        priority = 1
    ),
    printcolumn(
        name = "Until",
        type_ = "string",
        json_path = ".spec.until",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequestSpec {
    /// The Tenant that asks; the namespace of the request is one of its own. Example: `gz-civil-affairs`.
    pub tenant: String,
    /// Who asks: the caller, as the API server authenticates them. They approve no stage of it.
    /// Example: `li@gz-civil-affairs`.
    pub applicant: String,
    /// How much more than the quota says, per flavor and resource.
    /// Example: `[{flavor: general-amd64, resource: cpu, amount: "40"}]`.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource"]))]
    pub resources: Vec<FlavorAmount>,
    /// When it begins, RFC 3339. Default: when the request was made.
    /// Example: `2027-05-01T00:00:00+08:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it ends, RFC 3339: from that moment on it does not count.
    /// Example: `2027-10-01T00:00:00+08:00`.
    pub until: String,
    /// Why, for those who approve. Example: `防汛期间业务高峰`.
    pub reason: String,
    /// The official document that it rests on. Default: none. Example: `{number: 粤民函〔2026〕12号}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<RequestDocument>,
}

/// The official document that a request rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestDocument {
    /// Its number (发文字号). Example: `粤民函〔2026〕12号`.
    pub number: String,
}

impl ResourceRequestSpec {
    /// Number of the document; empty where there is none.
    pub fn document_number(&self) -> &str {
        self.document.as_ref().map_or("", |d| d.number.as_str())
    }
}

/// Where a request stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequestStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Accepted` (sound, and there is room for it), `Approved` (the chain is complete), `Active` (it
    /// counts now) and `Ended` (nothing more will come of it; the reason says why).
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Hash of the spec: what an Approval carries in `requestHash`.
    /// Example: `sha256:7f3a…`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// ApprovalPolicy and rule that say who decides. Example: `province/large`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub chain: String,
    /// The stage that is waited for; empty: none is. Example: `city`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Reason of the condition that matters most now, for columns. Example: `AwaitingApproval`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
}
