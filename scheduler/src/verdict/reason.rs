//! Why a member is refused, and why a workload is not placed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Code, EventKind};
use crate::quota::Shortfall;
use crate::request::{ComponentKind, LabelRequirement, WorkloadKey};
use crate::snapshot::TaintEffect;

/// The filters, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Filter {
    /// The member answers and is healthy.
    Readiness,
    /// The member is not cordoned.
    Schedulable,
    /// The member's taints are tolerated.
    Taints,
    /// The network zone.
    Zone,
    /// The MLPS level and the validity of its filing.
    Mlps,
    /// The ground on which the member stands.
    Residency,
    /// The providers that the tenant may use.
    Provider,
    /// The APIs of the manifests are served.
    Apis,
    /// The platform's classes that the manifests name.
    Classes,
    /// Names, labels and fields of the placement.
    Affinity,
    /// The groups of a spread constraint.
    Topology,
    /// Weights and bounds of the division.
    Division,
    /// Where other workloads of the tenant are.
    Workloads,
    /// A flavor that the placement and the tenant allow.
    Flavors,
    /// Nodes of an architecture that the images run on.
    Architecture,
    /// Node selectors, node affinity and node taints.
    Nodes,
    /// Free capacity.
    Capacity,
}

impl Filter {
    /// The name in PascalCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readiness => "Readiness",
            Self::Schedulable => "Schedulable",
            Self::Taints => "Taints",
            Self::Affinity => "Affinity",
            Self::Apis => "Apis",
            Self::Architecture => "Architecture",
            Self::Zone => "Zone",
            Self::Mlps => "Mlps",
            Self::Residency => "Residency",
            Self::Provider => "Provider",
            Self::Classes => "Classes",
            Self::Flavors => "Flavors",
            Self::Nodes => "Nodes",
            Self::Capacity => "Capacity",
            Self::Topology => "Topology",
            Self::Division => "Division",
            Self::Workloads => "Workloads",
        }
    }
}

/// Why a member is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It says that it is not healthy, for longer than is tolerated.
    NotReady {
        /// For how many seconds.
        seconds: i64,
        /// How many are tolerated.
        tolerated: i64,
    },
    /// It does not answer.
    Unreachable {
        /// For how many seconds.
        seconds: i64,
    },
    /// Nothing has been heard of it yet.
    NeverSeen,
    /// It is cordoned.
    Unschedulable,
    /// It has a taint that is not tolerated.
    Taint {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// The effect.
        effect: TaintEffect,
    },
    /// No affinity term selects it.
    NotSelected,
    /// The placement excludes it.
    Excluded,
    /// It does not serve an API that a manifest needs.
    ApiMissing {
        /// The API, as `group/version/Kind`.
        api: String,
    },
    /// The APIs it serves are not known yet.
    ApisUnknown,
    /// It has no node of an architecture that the images run on.
    Architecture {
        /// The component.
        component: String,
        /// What the component runs on.
        needs: BTreeSet<String>,
        /// What the member has.
        has: BTreeSet<String>,
    },
    /// Its network zone is not allowed.
    Zone {
        /// Its zone.
        zone: String,
        /// The zones that are allowed.
        allowed: BTreeSet<String>,
    },
    /// Its MLPS level is too low.
    MlpsLevel {
        /// Its level.
        level: u8,
        /// The lowest level.
        required: u8,
    },
    /// It has no MLPS filing.
    MlpsNotFiled {
        /// The lowest level.
        required: u8,
    },
    /// Its MLPS filing is no longer valid.
    MlpsExpired {
        /// The last second in which it was, in seconds since 1970.
        valid_until: i64,
    },
    /// It stands outside the regions where the work must be.
    Residency {
        /// Where it stands; empty: not known.
        region: String,
        /// The regions that are allowed.
        allowed: BTreeSet<String>,
    },
    /// Its provider is not allowed.
    Provider {
        /// Its provider.
        provider: String,
        /// The providers that are allowed.
        allowed: BTreeSet<String>,
    },
    /// It lacks a class that a manifest names.
    ClassMissing {
        /// The class, as `kind/name`.
        class: String,
    },
    /// It has no node of a flavor that is allowed.
    FlavorMissing {
        /// The flavors that are allowed.
        allowed: Vec<String>,
        /// The flavors it has.
        has: BTreeSet<String>,
    },
    /// It has reported no capacity yet, which is unknown and not zero.
    NoSketch,
    /// Its sketch does not tell nodes apart by a label that the component names.
    SketchLabel {
        /// The component.
        component: String,
        /// The label key.
        key: String,
    },
    /// No node matches the component's node selector, node affinity and tolerations.
    NoNodeMatches {
        /// The component.
        component: String,
    },
    /// Too little room.
    Capacity {
        /// The component.
        component: String,
        /// The resource that is short on the best node.
        resource: String,
        /// What one replica requests of it.
        needed: i64,
        /// What the best node has free of it.
        best_free: i64,
        /// How many replicas fit, what is in flight counted.
        fits: i64,
        /// How many would have to fit.
        wanted: i64,
    },
    /// It has no value for the key of a spread constraint, or of the rule for components.
    NoTopology {
        /// The topology key.
        key: String,
    },
    /// The division gives it weight 0, or at most 0 replicas.
    NoWeight,
    /// It can take fewer replicas than the fewest a member may have.
    BelowMinimum {
        /// The component.
        component: String,
        /// How many fit.
        fits: i64,
        /// The fewest.
        min: i64,
    },
    /// It would pass a red line of its utilisation; its nodes have the room.
    Utilization {
        /// The component.
        component: String,
        /// The resource of which least is left below its line.
        resource: String,
        /// The share of what is allocatable that may be requested, 0 to 100.
        percent: u8,
        /// What is allocatable; `None`: not known.
        allocatable: Option<i64>,
        /// What is requested, what is in flight counted.
        requested: i64,
        /// What one replica requests of it.
        needed: i64,
        /// How many replicas would have to fit.
        wanted: i64,
    },
    /// No workload that a rule asks for has replicas in its group.
    NoNeighbour {
        /// The labels of those that are asked for.
        selector: Vec<LabelRequirement>,
        /// The topology key.
        key: String,
        /// Its value on the member.
        group: String,
    },
    /// A workload that a rule keeps away from is in its group.
    Neighbour {
        /// That workload, of the same tenant.
        workload: WorkloadKey,
        /// The labels that the rule selects it by.
        selector: Vec<LabelRequirement>,
        /// The topology key.
        key: String,
        /// Its value on the member.
        group: String,
        /// It goes: its last replicas there are not confirmed as gone.
        leaving: bool,
    },
    /// A workload in its group keeps this one away.
    KeptOut {
        /// That workload, of the same tenant.
        workload: WorkloadKey,
        /// The labels that its rule selects this one by.
        selector: Vec<LabelRequirement>,
        /// The topology key.
        key: String,
        /// Its value on the member.
        group: String,
    },
}

impl Reason {
    /// What it is, without its numbers.
    pub fn kind(&self) -> Code {
        match self {
            Self::NotReady { .. } => Code::NotReady,
            Self::Unreachable { .. } => Code::Unreachable,
            Self::NeverSeen => Code::NeverSeen,
            Self::Unschedulable => Code::Unschedulable,
            Self::Taint {
                effect: TaintEffect::NoExecute,
                ..
            } => Code::TaintNoExecute,
            Self::Taint { .. } => Code::Taint,
            Self::NotSelected => Code::NotSelected,
            Self::Excluded => Code::Excluded,
            Self::ApiMissing { .. } => Code::ApiMissing,
            Self::ApisUnknown => Code::ApisUnknown,
            Self::Architecture { .. } => Code::Architecture,
            Self::Zone { .. } => Code::Zone,
            Self::MlpsLevel { .. } => Code::MlpsLevel,
            Self::MlpsNotFiled { .. } => Code::MlpsNotFiled,
            Self::MlpsExpired { .. } => Code::MlpsExpired,
            Self::Residency { .. } => Code::Residency,
            Self::Provider { .. } => Code::Provider,
            Self::ClassMissing { .. } => Code::ClassMissing,
            Self::FlavorMissing { .. } => Code::FlavorMissing,
            Self::NoSketch => Code::NoSketch,
            Self::SketchLabel { .. } => Code::SketchLabel,
            Self::NoNodeMatches { .. } => Code::NoNodeMatches,
            Self::Capacity { .. } => Code::Capacity,
            Self::NoTopology { .. } => Code::NoTopology,
            Self::NoWeight => Code::NoWeight,
            Self::BelowMinimum { .. } => Code::BelowMinimum,
            Self::Utilization { .. } => Code::Utilization,
            Self::NoNeighbour { .. } => Code::NoNeighbour,
            Self::Neighbour { leaving: true, .. } => Code::NeighbourLeaving,
            Self::Neighbour { .. } => Code::Neighbour,
            Self::KeptOut { .. } => Code::KeptOut,
        }
    }

    /// The code in PascalCase, for conditions, Events, metric labels and log fields.
    pub fn code(&self) -> &'static str {
        self.kind().as_str()
    }
}

/// Why a workload as a whole is not placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkloadReason {
    /// The request contradicts itself or exceeds a bound.
    Invalid {
        /// What is wrong and how to fix it, as a sentence.
        problem: String,
    },
    /// The tenant does not exist or has no place in the tree.
    TenantUnknown {
        /// Its name.
        tenant: String,
    },
    /// There is no member at all.
    NoMembers,
    /// Every member is refused.
    NoMemberFits {
        /// How many members each reason refuses, by code.
        refused: BTreeMap<String, u32>,
    },
    /// The members that are left have too little room.
    NoCapacity {
        /// The component that does not fit.
        component: String,
        /// How many replicas it has to place.
        needed: i64,
        /// How many fit on the members that are left.
        fits: i64,
    },
    /// The tenant's quota is used up.
    QuotaExceeded(Shortfall),
    /// A tenant above is used up by others within what they are entitled to.
    Oversubscribed(Shortfall),
    /// The replicas cannot be divided within the bounds per member.
    DivisionUnsatisfiable {
        /// The component.
        component: String,
        /// How many replicas it has.
        replicas: i64,
        /// How many members could take some.
        members: i64,
    },
    /// The spread cannot be kept.
    SpreadUnsatisfiable {
        /// The topology key.
        key: String,
        /// The key inside whose groups it is to be kept; `None`: over all members.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<String>,
        /// The component.
        component: String,
        /// How many groups could take some.
        groups: i64,
        /// How many replicas it has.
        replicas: i64,
    },
    /// The components cannot stand to each other as asked.
    ComponentsUnsatisfiable {
        /// What is asked.
        rule: ComponentKind,
        /// The topology key.
        key: String,
        /// The components that have replicas.
        components: Vec<String>,
        /// How many groups have a member that may take something.
        groups: i64,
    },
    /// A rule asks for a workload that is nowhere.
    NoNeighbour {
        /// The labels of those that are asked for.
        selector: Vec<LabelRequirement>,
        /// The topology key.
        key: String,
    },
    /// The component holds data on a member that may not have it any more.
    DataPinned {
        /// The component.
        component: String,
        /// The member that has the data.
        member: String,
    },
    /// Sketches do not tell nodes apart by a label that the workload names, yet.
    SketchLabel {
        /// The label key.
        key: String,
    },
    /// Others make room for it, and are not gone yet.
    Preempting {
        /// Those of its own tenant, by name.
        own: BTreeSet<String>,
        /// How many of other tenants.
        others: u32,
    },
}

impl WorkloadReason {
    /// The code in PascalCase, for conditions, Events, metric labels and log fields.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "Invalid",
            Self::TenantUnknown { .. } => "TenantUnknown",
            Self::NoMembers => "NoMembers",
            Self::NoMemberFits { .. } => "NoMemberFits",
            Self::NoCapacity { .. } => "NoCapacity",
            Self::QuotaExceeded(_) => "QuotaExceeded",
            Self::Oversubscribed(_) => "Oversubscribed",
            Self::DivisionUnsatisfiable { .. } => "DivisionUnsatisfiable",
            Self::SpreadUnsatisfiable { .. } => "SpreadUnsatisfiable",
            Self::ComponentsUnsatisfiable { .. } => "ComponentsUnsatisfiable",
            Self::NoNeighbour { .. } => Code::NoNeighbour.as_str(),
            Self::DataPinned { .. } => "DataPinned",
            Self::SketchLabel { .. } => "SketchLabel",
            Self::Preempting { .. } => "Preempting",
        }
    }

    /// The events after which it is worth deciding again, besides those that end a refusal of some
    /// member.
    pub fn unblocked_by(&self) -> &'static [EventKind] {
        use EventKind as E;
        match self {
            Self::Invalid { .. } => &[E::WorkloadChanged],
            Self::TenantUnknown { .. } => &[E::TenantChanged, E::QuotaChanged],
            Self::NoMembers => &[E::MemberChanged],
            Self::QuotaExceeded(_) | Self::Oversubscribed(_) => {
                &[E::QuotaReleased, E::QuotaChanged, E::TenantChanged]
            }
            Self::NoMemberFits { .. }
            | Self::NoCapacity { .. }
            | Self::DivisionUnsatisfiable { .. }
            | Self::SpreadUnsatisfiable { .. }
            | Self::ComponentsUnsatisfiable { .. }
            | Self::SketchLabel { .. } => PLACES,
            // What keeps a member from having pinned data may be any of its rules.
            Self::NoNeighbour { .. } | Self::DataPinned { .. } => AMONG_OTHERS,
            Self::Preempting { .. } => &[E::CapacityFreed, E::QuotaReleased],
        }
    }

    /// Whether it waits for a place, whatever quota leaves.
    pub(crate) fn is_of_places(&self) -> bool {
        let own = self.unblocked_by();
        PLACES.iter().all(|kind| own.contains(kind))
    }
}

/// What can make a place: room, other nodes, a member that is well again or joins, and what says
/// which flavors may be taken (the tenant's quota does where the placement names none).
pub(crate) const PLACES: &[EventKind] = &[
    EventKind::CapacityFreed,
    EventKind::SketchChanged,
    EventKind::MemberReady,
    EventKind::MemberChanged,
    EventKind::FlavorChanged,
    EventKind::QuotaChanged,
    EventKind::TenantChanged,
    EventKind::WorkloadChanged,
];

const AMONG_OTHERS: &[EventKind] = &[
    EventKind::NeighbourChanged,
    EventKind::CapacityFreed,
    EventKind::SketchChanged,
    EventKind::MemberReady,
    EventKind::MemberChanged,
    EventKind::FlavorChanged,
    EventKind::QuotaChanged,
    EventKind::TenantChanged,
    EventKind::WorkloadChanged,
];
