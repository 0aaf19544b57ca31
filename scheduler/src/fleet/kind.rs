//! What many members have in common for the rules.

use crate::snapshot::{Member, Mlps, Readiness, Taint};

/// What the rules ask of a member but for where it stands and what it offers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    readiness: Readiness,
    unschedulable: bool,
    taints: Vec<Taint>,
    provider: String,
    zone: String,
    mlps: Option<Mlps>,
}

impl Kind {
    pub(super) fn of(member: &Member) -> Self {
        Self {
            readiness: member.readiness,
            unschedulable: member.unschedulable,
            taints: member.taints.clone(),
            provider: member.provider.clone(),
            zone: member.zone.clone(),
            mlps: member.mlps,
        }
    }

    /// A member of which nothing else is known.
    pub(super) fn member(&self) -> Member {
        Member {
            readiness: self.readiness,
            unschedulable: self.unschedulable,
            taints: self.taints.clone(),
            provider: self.provider.clone(),
            zone: self.zone.clone(),
            mlps: self.mlps,
            ..Member::default()
        }
    }
}
