//! PriceBook: what capacity costs.

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What capacity costs, per flavor and resource: the platform's `general` book, one of a provider,
/// or one of a member. There is one book of each, named by what it is for, so no two can disagree:
/// of a flavor's resource the member's price counts, else the provider's, else the general one.
///
/// Prices are in the platform's currency, per hour and unit: a core of cpu, a GiB of what is counted
/// in bytes, one of anything else. They count for decisions to come and move nothing that is placed.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "PriceBook",
    plural = "pricebooks",
    shortname = "pb",
    category = "heyun",
    derive = "PartialEq",
    derive = "Default",
    doc = "What capacity costs, per flavor and resource: in general, of a provider, or of a member.",
    crates(kube_core = "::kube_core"),
    printcolumn(name = "Member", type_ = "string", json_path = ".spec.member"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.prices[*].from",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PriceBookSpec {
    /// The MemberCluster whose prices these are; the book is named `member-NAME`. Default: none.
    /// Example: `guangzhou-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The provider whose prices these are, on all of its members; the book is named
    /// `provider-NAME`. Default: none, and without `member` too the book is named `general`.
    /// Example: `huawei`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The prices. Those that have been and those that are to come may stand side by side: of one
    /// flavor and resource the latest that has begun counts.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["flavor", "resource", "from"]))]
    pub prices: Vec<Price>,
}

/// What one resource of one flavor costs from some day on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Name of the Flavor. Example: `general-amd64`.
    pub flavor: String,
    /// Name of the resource. Example: `cpu`.
    pub resource: String,
    /// Per hour and unit (a core of cpu, a GiB of what is counted in bytes, one of anything else),
    /// in the platform's currency, as a decimal with at most 6 places. Example: `"0.12"`.
    pub price: String,
    /// The first day on which it counts, in China (UTC+8). Example: `2027-01-01`.
    pub from: String,
}
