//! What the hub knows at one moment: members, flavors, tenants, quota, and what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::preempt::Reservation;
use crate::quota::QuotaTree;
use crate::request::{LabelRequirement, NeighbourRule, Toleration, WorkloadKey};
use crate::resources::Resources;

/// Everything a decision may depend on, besides its request and the configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The moment of the decision, in seconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// Members by name; a copy of a snapshot shares them.
    #[serde(with = "shared")]
    pub members: BTreeMap<String, Arc<Member>>,
    /// Flavors by name.
    pub flavors: BTreeMap<String, Flavor>,
    /// Tenants by name: regions, agencies and systems in one tree.
    pub tenants: BTreeMap<String, Tenant>,
    /// The effective quota of every tenant, with what is charged to it.
    pub quotas: QuotaTree,
    /// What each workload holds: decided, or released and not yet confirmed as gone.
    pub held: BTreeMap<WorkloadKey, Held>,
    /// What is kept for workloads that wait for others to go.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reservations: BTreeMap<WorkloadKey, Reservation>,
    /// By tenant, the workloads that hold something, as others of that tenant see them. Of tenants in
    /// which no workload has a rule for others none need be told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub neighbours: BTreeMap<String, BTreeMap<WorkloadKey, Neighbour>>,
}

impl Snapshot {
    /// A member that may be changed; copies of this snapshot keep what they have.
    pub fn member_mut(&mut self, name: &str) -> Option<&mut Member> {
        self.members.get_mut(name).map(Arc::make_mut)
    }
}

/// Members are written and read as if they were not shared.
mod shared {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Member;

    pub(super) fn serialize<S: Serializer>(
        members: &BTreeMap<String, Arc<Member>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(members.iter().map(|(name, member)| (name, &**member)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Arc<Member>>, D::Error> {
        let members = BTreeMap::<String, Member>::deserialize(deserializer)?;
        let shared = members.into_iter();
        Ok(shared
            .map(|(name, member)| (name, Arc::new(member)))
            .collect())
    }
}

/// A member cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    /// The name of the MemberCluster.
    pub name: String,
    /// The labels of the MemberCluster object.
    pub labels: BTreeMap<String, String>,
    /// Whether the member answers, and since when it does not.
    pub readiness: Readiness,
    /// Cordoned: keeps what it has and gets nothing new.
    pub unschedulable: bool,
    /// Taints of the MemberCluster, not of its nodes.
    pub taints: Vec<Taint>,
    /// Who sells the cloud, for instance `huawei`.
    pub provider: String,
    /// Who runs it day to day.
    pub operator: String,
    /// The network zone, for instance `cegn-common`.
    pub zone: String,
    /// The MLPS (GB/T 22239) level it is filed with; `None` when it is not filed.
    pub mlps: Option<Mlps>,
    /// The Region tenant on whose ground it stands; empty when it is not known.
    pub region: String,
    /// The tenant it belongs to.
    pub owner: String,
    /// The APIs it serves as `group/version/Kind` (`v1/Service` for the core group); `None` while
    /// they are not known.
    pub apis: Option<BTreeSet<String>>,
    /// The platform's classes it maps, as `kind/name`: `storage/standard`, `ingress/default`.
    pub classes: BTreeSet<String>,
    /// Free capacity as counted node shapes; `None` while the member has reported none, which is
    /// unknown and not empty.
    pub sketch: Option<Sketch>,
    /// What the hub has assigned there and the sketch does not yet show as bound.
    pub in_flight: Vec<InFlight>,
    /// Price per flavor and resource, in millionths of the currency per hour and unit (a core of
    /// cpu, a GiB of what is counted in bytes, one of anything else).
    pub prices: BTreeMap<String, BTreeMap<String, i64>>,
    /// Red lines, by resource: where more would be requested, the member gets nothing new.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub red_lines: BTreeMap<String, RedLine>,
}

/// The most of a resource that may be requested on a member, as a share of all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RedLine {
    /// The share, 0 to 100.
    pub percent: u8,
    /// What the nodes that take work offer in all, less what the member keeps for itself; `None`:
    /// not known, and then nothing new is placed that requests the resource.
    pub allocatable: Option<i64>,
    /// What is requested of it by all that is bound there. What is in flight comes on top.
    pub requested: i64,
}

/// Whether a member answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Readiness {
    /// It answers and says that it is healthy.
    Ready,
    /// It answers and says that it is not healthy.
    NotReady {
        /// Since when, in seconds since 1970.
        since: i64,
    },
    /// It does not answer: unknown, not empty.
    Unknown {
        /// Since when, in seconds since 1970.
        since: i64,
    },
    /// Nothing has been heard of it yet.
    #[default]
    NeverSeen,
}

/// The MLPS filing of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mlps {
    /// Level 1 to 5.
    pub level: u8,
    /// The last second in which the filing is valid, in seconds since 1970; `None`: no end.
    pub valid_until: Option<i64>,
}

/// A taint of a member or of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value; empty when there is none.
    #[serde(default)]
    pub value: String,
    /// What it does to work that does not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does to work that does not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// A lower score, nothing more.
    PreferNoSchedule,
    /// Nothing new; what is there stays.
    NoSchedule,
    /// Nothing new, and what is there moves away.
    NoExecute,
}

/// A member's free capacity as counted node shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sketch {
    /// The node label keys that the shapes tell apart. A constraint on another key cannot be
    /// judged yet.
    pub keys: BTreeSet<String>,
    /// The shapes.
    pub shapes: Vec<Shape>,
}

/// Nodes that are alike to the scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shape {
    /// How many nodes are of this shape.
    pub count: i64,
    /// The one flavor of these nodes; `None` when no flavor matches, and then nothing is placed
    /// on them.
    pub flavor: Option<String>,
    /// Node labels, of the reported keys alone.
    pub labels: BTreeMap<String, String>,
    /// Node taints.
    pub taints: Vec<Taint>,
    /// What is free on each of these nodes.
    pub free: Resources,
}

/// Replicas that are assigned to a member and not yet seen on its nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InFlight {
    /// The flavor whose nodes they will take.
    pub flavor: String,
    /// What each of them requests.
    pub per_replica: Resources,
    /// How many.
    pub replicas: i64,
}

/// A class of capacity in which quota and price are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Flavor {
    /// What a node must match; all of them.
    pub node_selector: Vec<LabelRequirement>,
    /// Which flavor a node has when several match: the highest.
    pub precedence: i64,
    /// Tolerations that the rendered pods carry for nodes of this flavor.
    pub tolerations: Vec<Toleration>,
}

/// A tenant: a region, an agency or a graded system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tenant {
    /// The parent's name; `None` for a root.
    pub parent: Option<String>,
    /// Region, Agency or System.
    pub kind: TenantKind,
    /// The level of government; `None`: not given.
    pub level: Option<Level>,
    /// What this tenant and all below it must keep to. The scheduler obeys the guardrails of
    /// every tenant on the path to the root, so a child can only narrow them.
    pub guardrails: Guardrails,
}

/// A level of government, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
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

/// What a tenant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantKind {
    /// A part of the country.
    Region,
    /// An agency of government.
    #[default]
    Agency,
    /// A graded information system (定级对象).
    System,
}

/// Hard rules of a tenant; `None` is no rule. An empty list allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Guardrails {
    /// Region tenants on whose ground, or below, the work must stand.
    pub residency: Option<BTreeSet<String>>,
    /// Network zones that are allowed.
    pub zones: Option<BTreeSet<String>>,
    /// The lowest MLPS level of a member.
    pub mlps_level: Option<u8>,
    /// Providers that are allowed.
    pub providers: Option<BTreeSet<String>>,
    /// Flavors that are allowed.
    pub flavors: Option<BTreeSet<String>>,
}

/// What a workload holds by its committed decision and by what is not confirmed as gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Held {
    /// One entry per (member, component, flavor).
    pub entries: Vec<HeldEntry>,
}

/// What a workload holds of one flavor on one member for one component: the maximum of what is
/// decided and what the member has not confirmed as gone. It is already part of the charges in
/// [`Snapshot::quotas`], and of the member's sketch or of [`Member::in_flight`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldEntry {
    /// The member.
    pub member: String,
    /// The component, for instance `Deployment/web`.
    pub component: String,
    /// The flavor.
    pub flavor: String,
    /// Replicas.
    pub replicas: i64,
    /// What each replica requests.
    pub per_replica: Resources,
    /// What is charged for all of them, with surge.
    pub charge: Resources,
}

/// A workload that holds something, as others of its tenant see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Neighbour {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its rules that keep others away: [`NeighbourRule::keeps_out`].
    pub keeps_out: Vec<NeighbourRule>,
    /// Members on which its decision has replicas.
    pub on: BTreeSet<String>,
    /// The other members on which replicas of it are not confirmed as gone.
    pub leaving: BTreeSet<String>,
}
