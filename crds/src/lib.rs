//! API types of Heyun: group `heyun.dev`, version `v1alpha1`, category `heyun`.
//!
//! This crate knows the shape of objects and nothing else: no client, no clock, no scheduling.
//! [`all_crds`] yields the definitions that `crdgen` writes and the sandbox installs.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printer column of kube-derive repeats the same keys"
)]

pub mod approval;
pub mod approval_policy;
pub mod common;
pub mod conditions;
pub mod flavor;
pub mod generate;
pub mod install;
pub mod labels;
pub mod member_cluster;
pub mod placement;
pub mod price_book;
pub mod quantity;
pub mod query;
pub mod quota;
pub mod resource_request;
pub mod rules;
pub mod sketch;
pub mod tenant;
pub mod told;
pub mod work;
pub mod workload;

pub use approval::Approval;
pub use approval_policy::ApprovalPolicy;
pub use flavor::Flavor;
pub use member_cluster::MemberCluster;
pub use placement::Placement;
pub use price_book::PriceBook;
pub use quota::Quota;
pub use resource_request::ResourceRequest;
pub use sketch::Sketch;
pub use tenant::Tenant;
pub use work::Work;
pub use workload::Workload;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;

/// API group of every kind of this crate.
pub const GROUP: &str = "heyun.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every kind of this crate.
pub const API_VERSION: &str = "heyun.dev/v1alpha1";

/// Every CustomResourceDefinition, with its bounds and CEL rules, in a fixed order (by kind).
///
/// Install these and not `Kind::crd()`, which knows the shape but no rule.
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    [
        Approval::crd(),
        ApprovalPolicy::crd(),
        Flavor::crd(),
        MemberCluster::crd(),
        Placement::crd(),
        PriceBook::crd(),
        Quota::crd(),
        ResourceRequest::crd(),
        Sketch::crd(),
        Tenant::crd(),
        Work::crd(),
        Workload::crd(),
    ]
    .into_iter()
    .map(ruled)
    .collect()
}

#[expect(
    clippy::expect_used,
    reason = "the tables name fields of the types: a test applies all of them"
)]
fn ruled(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    rules::apply(crd).expect("the tables of rules name fields of the types")
}
