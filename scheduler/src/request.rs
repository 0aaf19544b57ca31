//! One workload as the scheduler sees it: what it needs and where it may go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::ScoreWeights;
use crate::resources::Resources;

/// The name of a Workload. It is written as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WorkloadKey {
    /// The hub namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl WorkloadKey {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A text that is no workload key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no workload key: write it as namespace/name")]
pub struct InvalidKey(pub String);

impl FromStr for WorkloadKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(InvalidKey(text.to_owned())),
        }
    }
}

impl Serialize for WorkloadKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkloadKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A workload to decide on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The workload.
    pub key: WorkloadKey,
    /// Its uid.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The tenant that is charged.
    pub tenant: String,
    /// The labels of the Workload, by which others of its tenant select it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was created, in seconds since 1970; older goes first among equal priorities.
    pub created: i64,
    /// Priority; higher goes first.
    pub priority: i32,
    /// Whether others may have to make room for it: its priority class does not say `Never`.
    pub preempts: bool,
    /// Its priority class is one for emergencies: it goes before all that are none, and those make
    /// room for it whosever they are.
    pub emergency: bool,
    /// What runs pods. A workload without components places what it carries.
    pub components: Vec<Component>,
    /// Where it may go and how it may be divided.
    pub placement: PlacementSpec,
    /// The APIs its manifests need, as `group/version/Kind` (`v1/Service` for the core group).
    pub required_apis: BTreeSet<String>,
    /// The platform's classes its manifests name, as `kind/name`.
    pub required_classes: BTreeSet<String>,
    /// What its committed decision assigns now.
    pub previous: Vec<Assignment>,
    /// Members that its committed decision gives the objects without replicas.
    pub previous_carried: Vec<String>,
    /// What node shapes cannot judge and is therefore not checked, for instance
    /// `pod anti-affinity`; carried into the verdict.
    pub unchecked: BTreeSet<String>,
    /// Whether this replaces what an unreachable member held.
    pub purpose: crate::quota::Purpose,
    /// Whether it goes back to an earlier affinity term that holds all of it, though it may stay
    /// where it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub returning: bool,
}

/// Replicas of one component on one member, on nodes of one flavor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The component, for instance `Deployment/web`.
    pub component: String,
    /// The member.
    pub member: String,
    /// The flavor.
    pub flavor: String,
    /// Replicas; 0 keeps the component's objects there without pods.
    pub replicas: i64,
}

/// A part of a workload that runs pods: one manifest with a pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Component {
    /// `Kind/name`, unique within the workload.
    pub name: String,
    /// How many replicas in all; ignored for [`Division::EveryMatchingNode`].
    pub replicas: i64,
    /// Pods that a rolling update may run besides. They are charged to quota; capacity is judged
    /// by replicas, since a controller that cannot surge waits.
    pub surge: Surge,
    /// What one replica requests. The scheduler itself counts one of `pods` for each.
    pub per_replica: Resources,
    /// Node labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: a node must match one of the terms, a term by all of its
    /// requirements. Empty: no requirement.
    pub node_affinity: Vec<Vec<LabelRequirement>>,
    /// Tolerations of node taints.
    pub tolerations: Vec<Toleration>,
    /// Architectures its images run on (`amd64`, `arm64`); empty: any.
    pub architectures: BTreeSet<String>,
    /// How it divides over members.
    pub division: Division,
    /// It holds data that does not move: it stays on the member that has it.
    pub pinned_data: bool,
    /// Bounds of its replicas on single members, by member name; they replace the placement's.
    pub bounds: BTreeMap<String, Bounds>,
}

impl Component {
    /// Whether it has pods at all.
    pub fn runs_pods(&self) -> bool {
        self.replicas > 0 || self.division == Division::EveryMatchingNode
    }
}

/// How many replicas a member gets: none, or between these, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bounds {
    /// The fewest, if any at all.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// Pods that a rolling update may run besides the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Surge {
    /// So many on each member that has replicas.
    Absolute(i64),
    /// So many percent of the replicas on each member, rounded up as Kubernetes does.
    Percent(i64),
}

impl Default for Surge {
    fn default() -> Self {
        Self::Absolute(0)
    }
}

impl Surge {
    /// The pods that are charged for `replicas` on one member: replicas and surge.
    pub fn pods(self, replicas: i64) -> i64 {
        if replicas <= 0 {
            return 0;
        }
        let extra = match self {
            Self::Absolute(extra) => extra.max(0),
            Self::Percent(percent) => {
                let hundredths = i128::from(replicas) * i128::from(percent.max(0));
                i64::try_from((hundredths + 99) / 100).unwrap_or(i64::MAX)
            }
        };
        replicas.saturating_add(extra)
    }
}

/// How a component divides over members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Division {
    /// By the placement's division.
    #[default]
    Divided,
    /// All replicas on one member; once placed it stays there while it may.
    OneMember,
    /// On every member the workload uses, one replica per matching node (DaemonSet).
    EveryMatchingNode,
}

/// A condition on labels, as Kubernetes' `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelRequirement {
    /// The label key.
    pub key: String,
    /// The operator.
    pub op: LabelOp,
    /// The values, for the operators that take some.
    #[serde(default)]
    pub values: Vec<String>,
}

/// The operators of label conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LabelOp {
    /// The label's value is one of the values.
    In,
    /// The label is absent or its value is none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label's value is an integer greater than the one value.
    Gt,
    /// The label's value is an integer less than the one value.
    Lt,
}

/// What tolerates a taint, as in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// The taint's key; `None` with [`TolerationOp::Exists`] tolerates every key.
    pub key: Option<String>,
    /// How the value is compared.
    pub op: TolerationOp,
    /// The taint's value, for [`TolerationOp::Equal`].
    pub value: String,
    /// The taint's effect; `None` tolerates every effect.
    pub effect: Option<crate::snapshot::TaintEffect>,
}

/// How a toleration compares the taint's value.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum TolerationOp {
    /// The values are equal.
    #[default]
    Equal,
    /// Any value.
    Exists,
}

/// Where a workload may go and how it may be divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlacementSpec {
    /// Affinity terms in order: the first that holds the whole workload wins. Empty: every member.
    pub affinity: Vec<AffinityTerm>,
    /// Members that are never used, by name.
    pub exclude: BTreeSet<String>,
    /// Flavors in order of preference; one that is not named is not used. Empty: every flavor, by
    /// precedence.
    pub flavors: Vec<String>,
    /// Hard requirements on members.
    pub requirements: Requirements,
    /// Tolerations of member taints.
    pub tolerations: Vec<Toleration>,
    /// How replicas are divided.
    pub division: DivisionSpec,
    /// How replicas are spread over groups of members.
    pub spread: Vec<SpreadConstraint>,
    /// How components stand to each other; `None`: wherever each finds room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<ComponentRule>,
    /// How it stands to other workloads of its tenant; all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<NeighbourRule>,
    /// Weights of the scores; `None`: the configuration's.
    pub weights: Option<ScoreWeights>,
}

/// One tier of members: a member belongs to it when it passes every condition that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AffinityTerm {
    /// The term's name, shown as the tier.
    pub name: String,
    /// Members by name; empty: any.
    pub members: BTreeSet<String>,
    /// Labels of the MemberCluster; all of them.
    pub labels: Vec<LabelRequirement>,
    /// Tenants the member belongs to, exactly and not below; empty: any.
    pub owners: BTreeSet<String>,
    /// Regions on whose ground, or below, the member stands; empty: any.
    pub regions: BTreeSet<String>,
    /// Providers; empty: any.
    pub providers: BTreeSet<String>,
    /// Operators; empty: any.
    pub operators: BTreeSet<String>,
    /// Network zones; empty: any.
    pub zones: BTreeSet<String>,
}

/// Hard requirements of a placement on members. They narrow the tenant's guardrails.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Requirements {
    /// Architectures of the nodes; empty: any.
    pub arch: BTreeSet<String>,
    /// The network zone.
    pub zone: Option<String>,
    /// The lowest MLPS level.
    pub mlps_level: Option<u8>,
    /// Regions on whose ground, or below, the work must stand; empty: any.
    pub residency: BTreeSet<String>,
}

/// How replicas are divided over members.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DivisionSpec {
    /// The rule.
    pub kind: DivisionKind,
    /// For [`DivisionKind::Weighted`]: weight by member name; a member without one gets nothing.
    /// Empty: all weigh the same.
    pub weights: BTreeMap<String, u32>,
    /// The fewest replicas of a component on a member that has any.
    pub min_per_member: Option<i64>,
    /// The most replicas of a component on a member.
    pub max_per_member: Option<i64>,
}

/// The rules of division.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum DivisionKind {
    /// As few members as hold it; components prefer the same members.
    #[default]
    Aggregated,
    /// In proportion to free capacity.
    ByCapacity,
    /// In proportion to given weights, by largest remainder.
    Weighted,
    /// All replicas on every member.
    Duplicated,
}

/// How replicas are spread over groups of members that share a value of one key. It is judged for
/// each component that divides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    /// `provider`, `operator`, `zone`, `mlps`, `region`, `owner`, `member`, a level of the tree of
    /// regions (`region/provincial`, `region/prefectural`, `region/county`, `region/township`), or a
    /// label key of MemberClusters, which may be written `label:KEY`.
    ///
    /// The value of a level is the region of that level in which the member stands. Where the tree
    /// has none there (a county directly under its province, a city without counties), it is the
    /// highest region below that level, and the member's own where there is none either.
    pub topology_key: String,
    /// The key of another constraint of the list. This one then holds inside each group in use of
    /// that one, for the replicas there; the same value in two of them is two groups. `None`: over
    /// all members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// The most by which the replicas of two groups in use may differ. As many groups are used as
    /// can be: to insist on a number, give `min_groups`.
    pub max_skew: Option<i64>,
    /// The fewest groups in use; a component with fewer replicas uses as many as it has replicas.
    pub min_groups: Option<i64>,
    /// The most groups in use.
    pub max_groups: Option<i64>,
    /// What happens when it cannot be kept.
    pub when_unsatisfiable: WhenUnsatisfiable,
}

/// How the components of a workload stand to each other. It is hard: where it cannot be kept, the
/// workload waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentRule {
    /// The rule.
    pub kind: ComponentKind,
    /// What makes a group of members, as [`SpreadConstraint::topology_key`].
    pub topology_key: String,
}

/// The rules for components.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum ComponentKind {
    /// All replicas of all components stand in one group.
    #[default]
    Together,
    /// No two components have replicas in one group. Components that run on every node go with the
    /// others and do not count.
    Apart,
}

/// How a workload stands to others of its tenant, itself not counted: other tenants are neither seen
/// nor kept away.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NeighbourRule {
    /// The rule.
    pub kind: NeighbourKind,
    /// The labels of the workloads that are meant; all of them. Empty: every workload of the tenant.
    pub selector: Vec<LabelRequirement>,
    /// What makes a group of members, as [`SpreadConstraint::topology_key`].
    pub topology_key: String,
    /// What happens when it cannot be kept.
    pub when_unsatisfiable: WhenUnsatisfiable,
}

impl NeighbourRule {
    /// Whether it is kept or the workload waits.
    pub fn is_hard(&self) -> bool {
        self.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule
    }

    /// Whether it also keeps workloads that it selects away from where this one is.
    pub fn keeps_out(&self) -> bool {
        self.kind == NeighbourKind::Apart && self.is_hard()
    }
}

/// The rules between workloads.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum NeighbourKind {
    /// Every member that is used lies in a group in which one of them has replicas. Where none has
    /// any, a workload that its own rule selects may begin.
    #[default]
    Near,
    /// No member that is used lies in a group in which one of them has replicas, those that are
    /// leaving included.
    Apart,
}

/// What happens when a spread constraint, or a rule between workloads, cannot be kept.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum WhenUnsatisfiable {
    /// The workload waits.
    #[default]
    DoNotSchedule,
    /// The workload is placed as near to the wish as it goes.
    ScheduleAnyway,
}
