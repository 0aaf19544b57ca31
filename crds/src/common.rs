//! Small types that several kinds share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::quantity::Quantity;

/// Amounts by resource name, such as `{cpu: "2", memory: 4Gi}`.
pub type ResourceMap = BTreeMap<String, Quantity>;

/// A set of labels that must all be equal; Kubernetes' `matchLabels`, and nothing else, so that
/// what matches can be counted ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelEquals {
    /// Labels and their values, all of which must be equal. Example: `{kubernetes.io/arch: arm64}`.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
}

/// One condition on labels, as in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelExpression {
    /// Key of the label. Example: `tier`.
    pub key: String,
    /// `In`, `NotIn` (also where there is no such label), `Exists` or `DoesNotExist`. Example: `In`.
    pub operator: LabelOperator,
    /// Values, for `In` and `NotIn`. Example: `[web, worker]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub values: Vec<String>,
}

/// How a condition on labels compares.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum LabelOperator {
    /// The value is one of the values.
    In,
    /// The value is none of them, or there is no such label.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

/// Effect of a taint: `NoSchedule` (no new work; what runs there stays), `PreferNoSchedule` (chosen
/// only when nothing else is left) or `NoExecute` (no new work, and what runs there leaves). In a
/// toleration, absent: every effect. Example: `NoSchedule`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TaintEffect {
    /// No new work; what runs there stays.
    NoSchedule,
    /// Chosen only when nothing else is left.
    PreferNoSchedule,
    /// No new work, and what runs there leaves.
    NoExecute,
}

/// A taint of a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key. Example: `maintenance`.
    pub key: String,
    /// Value. Default: empty. Example: `until-friday`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule` (no new work; what runs there stays), `PreferNoSchedule` (chosen only when nothing
    /// else is left) or `NoExecute` (no new work, and what runs there leaves). Example: `NoSchedule`.
    pub effect: TaintEffect,
}

/// How a toleration compares.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TolerationOperator {
    /// Key and value are equal (the default).
    #[default]
    Equal,
    /// The key exists; the value does not matter.
    Exists,
}

/// What lets work go where a taint keeps other work away; as in Kubernetes.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; empty with `operator: Exists` tolerates every taint. Example: `maintenance`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// `Equal` (key and value are equal) or `Exists` (the key exists). Default: `Equal`.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// Value of the taint, for `Equal`. Default: empty. Example: `until-friday`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Effect it tolerates; absent: every effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// An amount of one resource of one flavor.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct FlavorAmount {
    /// Name of the Flavor; `-` for what is not on nodes.
    pub flavor: String,
    /// Name of the resource. Example: `cpu`.
    pub resource: String,
    /// How much. Example: `"8"`.
    pub amount: Quantity,
}

/// That a Job or a Pod ran to its end.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// How: `Complete` or `Failed` (Job), `Succeeded` or `Failed` (Pod).
    pub state: String,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// Generation of the Workload that it ran for.
    #[serde(default)]
    pub generation: i64,
    /// Completions that it was to have there, where its Job counts any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completions: Option<i32>,
}

impl Finished {
    /// How a Job ends that did what it was to do.
    pub const COMPLETE: &'static str = "Complete";
    /// How a Pod ends that did.
    pub const SUCCEEDED: &'static str = "Succeeded";
    /// How either ends that did not.
    pub const FAILED: &'static str = "Failed";

    /// Whether it did what it was to do.
    pub fn is_well(&self) -> bool {
        self.state != Self::FAILED
    }

    /// As people read it: `Complete since 2027-05-01T08:05:00Z`.
    pub fn sentence(&self) -> String {
        if self.at.is_empty() {
            return self.state.clone();
        }
        format!("{} since {}", self.state, self.at)
    }
}
