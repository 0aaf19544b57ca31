//! Approval: one act of one person on one ResourceRequest.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One act of one person on one ResourceRequest. It is never edited, and speaks of exactly the
/// request whose uid and hash it carries.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Approval",
    plural = "approvals",
    shortname = "av",
    namespaced,
    category = "heyun",
    derive = "PartialEq",
    derive = "Default",
    doc = "One act of one person on one ResourceRequest: approve, reject, return, withdraw, release or revoke; never edited.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Request", type_ = "string", json_path = ".spec.request"),
    printcolumn(name = "Stage", type_ = "string", json_path = ".spec.stage"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".spec.verdict"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    /// Name of the ResourceRequest, in the same namespace. Example: `req-7f2`.
    pub request: String,
    /// Its `metadata.uid`: a request made again under the name is another.
    /// Example: `0f7c1f2e-6d0e-4b1b-9a58-0d3f5a5b7a11`.
    pub request_uid: String,
    /// Its `status.hash`: what was read is what is decided on. Example: `sha256:7f3a…`.
    pub request_hash: String,
    /// The stage that is decided; for `Withdraw` and `Release` left out. Example: `city`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// `Approve`, `Reject` or `ReturnForCorrection` of a stage; `Withdraw` (before it is granted) or
    /// `Release` (after) by the tenant; `Revoke` by who may at that stage. Example: `Approve`.
    pub verdict: ApprovalVerdict,
    /// Who acts: the caller, as the API server authenticates them. Example: `chen@guangzhou`.
    pub approver: String,
    /// Why. Default: nothing is said; `Reject`, `ReturnForCorrection` and `Revoke` need it.
    /// Example: `请补充项目批文`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// What is done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ApprovalVerdict {
    /// The stage agrees.
    #[default]
    Approve,
    /// The stage refuses: the request has ended.
    Reject,
    /// The stage wants it otherwise: the request has ended, and one that is corrected is made.
    ReturnForCorrection,
    /// The tenant does not want it any more.
    Withdraw,
    /// The tenant gives back early what was granted.
    Release,
    /// The grant is taken back.
    Revoke,
}

impl ApprovalVerdict {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Reject => "Reject",
            Self::ReturnForCorrection => "ReturnForCorrection",
            Self::Withdraw => "Withdraw",
            Self::Release => "Release",
            Self::Revoke => "Revoke",
        }
    }
}
