//! The scheduler's answers: codes and numbers. Text is made from them when it is read, by
//! [`crate::text`].

mod code;
mod event;
mod reason;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::ScoreWeights;
use crate::quota::Amounts;
use crate::request::WorkloadKey;
use crate::resources::Resources;

pub use code::Code;
pub(crate) use code::{Codes, Counts};
pub use event::{EventKind, Kinds};
pub(crate) use reason::PLACES;
pub use reason::{Filter, Reason, WorkloadReason};

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The workload.
    pub key: WorkloadKey,
    /// Its uid.
    pub uid: String,
    /// The generation that was decided.
    pub generation: i64,
    /// The tenant that is charged.
    pub tenant: String,
    /// SHA-256 of everything the decision depended on, in hexadecimal.
    pub inputs_hash: String,
    /// What was decided.
    pub outcome: Outcome,
    /// The name of the affinity term that was used; `None` when nothing is placed, the placement
    /// has no terms, or the members of several terms are used together.
    pub tier: Option<String>,
    /// It goes back to that term from a later one, as a request that is returning may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returned: bool,
    /// The weights of the scores.
    pub weights: ScoreWeights,
    /// How many members were looked at: every member of the snapshot.
    #[serde(default)]
    pub evaluated: u32,
    /// How many of them no hard rule refuses, the chosen among them.
    #[serde(default)]
    pub feasible: u32,
    /// How many members each reason refuses, by its code. A member that is closed to the work by the
    /// tenant's rules or by what it is, is counted for that alone, whatever the placement wishes; one
    /// that is closed by either is not counted for its nodes. The members' own rows name all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u32>,
    /// By name: every member of a small fleet, of a large one the chosen and the nearest of the
    /// rest ([`crate::config::Explained`]).
    pub members: Vec<MemberVerdict>,
    /// Spread constraints of `ScheduleAnyway` that are not kept, by topology key.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub relaxed: BTreeSet<String>,
    /// Rules between workloads of `ScheduleAnyway` that are not kept, by topology key.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub relaxed_neighbours: BTreeSet<String>,
    /// What node shapes cannot judge and was not checked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unchecked: BTreeSet<String>,
}

impl Verdict {
    /// The events after which it is worth deciding again; none when it is placed. What waits for a
    /// place waits also for what refuses the other members, whichever are told of.
    pub fn kinds(&self) -> Kinds {
        let Some(reason) = self.outcome.reason() else {
            return Kinds::default();
        };
        let own = Kinds::of(reason.unblocked_by().iter().copied());
        if !reason.is_of_places() {
            return own;
        }
        own.and(self.refusing())
    }

    /// What can end one of the refusals of members.
    pub(crate) fn refusing(&self) -> Kinds {
        let codes = self.refused.keys().filter_map(|name| Code::named(name));
        Kinds::of(codes.flat_map(|code| code.unblocked_by().iter().copied()))
    }
}

impl Verdict {
    /// Whether every member that was looked at is told of.
    pub fn tells_of_all(&self) -> bool {
        usize::try_from(self.evaluated).is_ok_and(|evaluated| self.members.len() >= evaluated)
    }

    /// Takes from a later verdict on the same workload what this one does not tell of members. None
    /// of those was chosen by this one.
    pub fn complete(&mut self, later: Self) {
        let told: BTreeSet<String> = self.members.iter().map(|of| of.member.clone()).collect();
        for mut member in later.members {
            if told.contains(&member.member) {
                continue;
            }
            if member.state == MemberState::Chosen {
                member.state = if member.refusals.is_empty() {
                    MemberState::Feasible
                } else {
                    MemberState::Filtered
                };
                member.replicas.clear();
            }
            self.members.push(member);
        }
        self.members
            .sort_by(|left, right| left.member.cmp(&right.member));
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All of it is placed.
    Placed(Placed),
    /// It cannot be placed unless someone changes the workload or a rule. What it has stays.
    Rejected(WorkloadReason),
    /// It cannot be placed now; an event can unblock it. What it has stays.
    Waiting(WorkloadReason),
}

impl Outcome {
    /// `Placed`, `Rejected` or `Waiting`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Placed(_) => "Placed",
            Self::Rejected(_) => "Rejected",
            Self::Waiting(_) => "Waiting",
        }
    }

    /// The reason, unless it is placed.
    pub fn reason(&self) -> Option<&WorkloadReason> {
        match self {
            Self::Placed(_) => None,
            Self::Rejected(reason) | Self::Waiting(reason) => Some(reason),
        }
    }

    /// The placement, if there is one.
    pub fn placed(&self) -> Option<&Placed> {
        match self {
            Self::Placed(placed) => Some(placed),
            Self::Rejected(_) | Self::Waiting(_) => None,
        }
    }
}

/// A placement: it is the reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    /// What goes where, by component and member.
    pub assignments: Vec<PlacedAssignment>,
    /// Members that get what the workload carries though no component goes there; only for a
    /// workload without components.
    pub carried_to: Vec<String>,
    /// The charge of these assignments per flavor and resource.
    pub reserved: Amounts,
    /// By how much the tenant's charge grows with it: beyond what the workload already holds.
    pub increase: Amounts,
}

impl Placed {
    /// The members that are used, by name.
    pub fn members(&self) -> BTreeSet<&str> {
        let assigned = self
            .assignments
            .iter()
            .map(|assignment| assignment.member.as_str());
        assigned
            .chain(self.carried_to.iter().map(String::as_str))
            .collect()
    }
}

/// Replicas of one component on one member, with what they request and are charged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedAssignment {
    /// The component.
    pub component: String,
    /// The member.
    pub member: String,
    /// The flavor.
    pub flavor: String,
    /// Replicas; 0 keeps the component's objects there without pods.
    pub replicas: i64,
    /// What one replica requests.
    pub requests: Resources,
    /// What is charged for all of them, with surge.
    pub charge: Resources,
}

/// What the scheduler says of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberVerdict {
    /// The member.
    pub member: String,
    /// Chosen, feasible or filtered.
    pub state: MemberState,
    /// Replicas per component, when it is chosen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replicas: BTreeMap<String, i64>,
    /// Every hard rule that refuses it. A chosen member can have some too: it keeps what it has
    /// and gets nothing new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
    /// The scores; `None` when it is filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// The first affinity term it belongs to, if the placement has terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// Chosen, feasible or filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MemberState {
    /// The workload goes there.
    Chosen,
    /// It could have gone there.
    Feasible,
    /// A hard rule refuses it.
    Filtered,
}

/// The scores of a member, each 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scores {
    /// Room for this workload, as a share of what the roomiest member has.
    pub balance: u8,
    /// Replicas it already holds, as a share of all.
    pub stability: u8,
    /// 100 for the cheapest of the members that may have it, 0 for the dearest; 50 where the price
    /// of a replica is not known, and 100 where it is known of none.
    pub cost: u8,
    /// The price is not known, though it is of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
    /// The order of flavors, and soft taints.
    pub preference: u8,
    /// The weighted mean.
    pub total: u8,
}

/// One hard rule that refuses a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The filter.
    pub filter: Filter,
    /// Why, with the numbers.
    pub reason: Reason,
    /// Whether replicas that are already there may stay.
    pub keeps: bool,
    /// What can unblock it.
    pub unblocked_by: BTreeSet<EventKind>,
    /// Who may decide, where that is not the owner of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Authority>,
}

/// Who may decide on a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Authority {
    /// The security administrators of the tenant that has the rule.
    SecurityAdministrators {
        /// The tenant.
        tenant: String,
    },
    /// The platform's administrators.
    PlatformAdministrators,
    /// Whoever runs the member.
    MemberOperator {
        /// The operator's name; empty: not known.
        operator: String,
    },
}
