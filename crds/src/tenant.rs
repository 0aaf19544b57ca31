//! Tenant: a region, an agency or a graded system, in one tree.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::member_cluster::NetworkZone;

/// Most levels of the tree, the roots counted: province, city, county, township, agencies and their
/// systems.
pub const TENANT_DEPTH_MAX: usize = 8;

/// A region, an agency or a graded system (定级对象), in one tree: province, city, county, agency,
/// system. Children only narrow what their parent allows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "heyun.dev",
    version = "v1alpha1",
    kind = "Tenant",
    shortname = "tn",
    category = "heyun",
    status = "TenantStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A region, an agency or a graded system, in one tree; children only narrow what their parent allows.",
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
    printcolumn(name = "Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "Parent", type_ = "string", json_path = ".spec.parent"),
    printcolumn(
        name = "Path",
        type_ = "string",
        json_path = ".status.path",
        priority = 1
    ),
    printcolumn(
        name = "Level",
        type_ = "string",
        json_path = ".spec.adminLevel",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TenantSpec {
    /// Name of the parent Tenant; absent: a root. Example: `guangzhou`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// `Region` (an administrative division or development zone: ground that members stand on),
    /// `Agency` (an organisation) or `System` (a graded information system, 定级对象). Example: `Agency`.
    pub kind: TenantKind,
    /// Level of government, not above that of an ancestor. Example: `Prefectural`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_level: Option<AdminLevel>,
    /// Administrative division code (GB/T 2260), for people; containment never uses it.
    /// Example: `"440100"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub division_code: String,
    /// Name for people, may change at will. Example: `广州市民政局`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Unified social credit code of the organisation (GB 32100), 18 characters with
    /// the check character last. Example: `11440100007482911M`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub org_code: String,
    /// Who administers the tenant, deploys in its namespaces, and does so in all below it. Default:
    /// nobody. Example: `[{kind: Group, name: "gz-civil-affairs:admins"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub owners: Vec<Subject>,
    /// Who deploys in the namespaces of the tenant and of all below it. Default: nobody.
    /// Example: `[{kind: ServiceAccount, name: ci, namespace: tools}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub editors: Vec<Subject>,
    /// Who reads what stands in the namespaces of the tenant and of all below it, but no Secret.
    /// Default: nobody. Example: `[{kind: Group, name: "gz-civil-affairs:staff"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub viewers: Vec<Subject>,
    /// Who reads the same, and who may what there, but no Secret. Default: nobody.
    /// Example: `[{kind: Group, name: "gd-audit"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub auditors: Vec<Subject>,
    /// Namespaces of the tenant on the hub and on members besides its home, which has the tenant's
    /// name; each is that or begins with it and a dash. Default: none. Example: `[gz-civil-affairs-test]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,
    /// What may be made below this tenant within its own names; absent: nothing, where an ancestor
    /// has one, else what the platform makes there. Example: `{children: 5, depth: 1, namePrefix: gz-civil-affairs-}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
    /// Hard rules for all work of this tenant and of those below it. Default: the parent's.
    /// Example: `{residency: [guangzhou], mlpsLevel: 3}`.
    #[serde(default)]
    pub guardrails: Guardrails,
}

/// What a tenant is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TenantKind {
    /// An administrative division or development zone: ground that members stand on.
    Region,
    /// An organisation.
    #[default]
    Agency,
    /// A graded information system (定级对象) of an agency.
    System,
}

impl TenantKind {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Region => "Region",
            Self::Agency => "Agency",
            Self::System => "System",
        }
    }
}

/// Level of government: `National`, `Provincial`, `Prefectural`, `County` or `Township`; for people
/// and reports. Absent: not said. Example: `Prefectural`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum AdminLevel {
    /// The state.
    National,
    /// Province, autonomous region, municipality.
    Provincial,
    /// Prefecture-level city.
    Prefectural,
    /// County, district.
    County,
    /// Township, subdistrict.
    Township,
}

impl AdminLevel {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::National => "National",
            Self::Provincial => "Provincial",
            Self::Prefectural => "Prefectural",
            Self::County => "County",
            Self::Township => "Township",
        }
    }
}

/// Who has a role in a tenant: chosen people, so no name that begins with `system:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`. Example: `Group`.
    pub kind: SubjectKind,
    /// Name as the API server authenticates it. Example: `gz-civil-affairs:admins`.
    pub name: String,
    /// Namespace of a ServiceAccount; absent for others. Example: `ci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Kinds of subjects.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SubjectKind {
    /// One person.
    User,
    /// A group.
    Group,
    /// A service account.
    ServiceAccount,
}

impl SubjectKind {
    /// The string that stands in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// What a tenant may create below itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delegation {
    /// Most children. Default: 0. Example: 5.
    #[serde(default)]
    pub children: u32,
    /// Most levels below; the tree has 8 in all. Default: 0. Example: 1.
    #[serde(default)]
    pub depth: u32,
    /// How a delegated child's name starts; begins with the tenant's own name and a dash, and ends in
    /// one. Example: `gz-civil-affairs-`.
    #[serde(default)]
    pub name_prefix: String,
}

/// Hard rules; what is absent is inherited, what is present may only narrow. An empty list allows
/// nothing. A Workload that breaks one is not accepted, and what runs of it stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guardrails {
    /// Region tenants on whose ground work may run, by containment in the tree.
    /// Example: `[guangzhou]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Vec<String>>,
    /// Least MLPS level of a platform that work may run on, 1 to 5. Example: 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub mlps_level: Option<u8>,
    /// Network zones that work may run in. Example: `[cegn-common]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<Vec<NetworkZone>>,
    /// Prefixes that container images must start with, by whole segments: `registry.gov.example` is
    /// not `registry.gov.example.com`. An image without a registry is Docker Hub's: `nginx` is
    /// `docker.io/library/nginx`. Absent: any image. Example: `[registry.gov.example/]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<String>>,
    /// Storage classes that claims and claim templates may name. One that names none is refused, for
    /// each member has a default of its own; `""`, for volumes made by hand, is allowed where it is
    /// listed. Absent: any, and none. Example: `[standard]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_classes: Option<Vec<String>>,
    /// Suffixes that hosts of an Ingress must end with, by whole labels: `gz.gov.example` allows that
    /// host and all below it, `*.gz.gov.example` only those below it. A rule without a host and a
    /// default backend stand for every host and are refused. Absent: any host. Example: `[gz.gov.example]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_hosts: Option<Vec<String>>,
    /// Highest priority class that a Workload and its pods may name, compared by the values of the
    /// hub's PriorityClasses: one that the hub does not have is refused, and none counts as 0.
    /// Absent: any. Example: `business`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_priority: Option<String>,
    /// Kinds that a Workload may carry, as `Kind.group`, or as `Kind` for that kind of any group;
    /// absent: all that the platform does not refuse. Example: `[Deployment.apps, Service, ConfigMap]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_kinds: Option<Vec<String>>,
}

/// What counts for a tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// `Accepted` (the tree and the guardrails are sound) and `Ready` (namespaces and roles exist).
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Names from the root to here. Example: `guangdong/guangzhou/gz-civil-affairs`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Namespaces that are the tenant's on the hub.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Number of direct children.
    #[serde(default)]
    pub children: u32,
    /// The intersection of the guardrails along the path.
    #[serde(default)]
    pub guardrails: Guardrails,
    /// Parent that was last accepted; it counts while a newer spec is not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_parent: Option<String>,
}
