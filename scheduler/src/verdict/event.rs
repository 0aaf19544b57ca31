//! What can end a wait, by kind.

use serde::{Deserialize, Serialize};

/// What can unblock a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// A member answers again or is healthy again.
    MemberReady,
    /// A MemberCluster is added, or its labels, taints, classes, APIs or fields change.
    MemberChanged,
    /// A member's sketch is reported, tells nodes apart by more labels, or shows other nodes.
    SketchChanged,
    /// Capacity becomes free on a member.
    CapacityFreed,
    /// A charge in the tenant's tree is released.
    QuotaReleased,
    /// A quota changes.
    QuotaChanged,
    /// A tenant changes: its parent or its guardrails.
    TenantChanged,
    /// A Flavor changes.
    FlavorChanged,
    /// The workload or its placement changes.
    WorkloadChanged,
    /// Another workload of the tenant is placed, leaves a member, or changes its labels or rules.
    NeighbourChanged,
    /// Others take capacity or quota: what is divided by rules that no search meets in all ways may
    /// fit better with less of it.
    CapacityTaken,
    /// Another workload may have to make room that did not before: it stands since then, its tenant
    /// comes to borrow, or its decision is not being written any more.
    ClaimChanged,
}

/// Every kind, in the order of [`EventKind`].
const ALL: [EventKind; 12] = [
    EventKind::MemberReady,
    EventKind::MemberChanged,
    EventKind::SketchChanged,
    EventKind::CapacityFreed,
    EventKind::QuotaReleased,
    EventKind::QuotaChanged,
    EventKind::TenantChanged,
    EventKind::FlavorChanged,
    EventKind::WorkloadChanged,
    EventKind::NeighbourChanged,
    EventKind::CapacityTaken,
    EventKind::ClaimChanged,
];

impl EventKind {
    /// The name in PascalCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemberReady => "MemberReady",
            Self::MemberChanged => "MemberChanged",
            Self::SketchChanged => "SketchChanged",
            Self::CapacityFreed => "CapacityFreed",
            Self::QuotaReleased => "QuotaReleased",
            Self::QuotaChanged => "QuotaChanged",
            Self::TenantChanged => "TenantChanged",
            Self::FlavorChanged => "FlavorChanged",
            Self::WorkloadChanged => "WorkloadChanged",
            Self::NeighbourChanged => "NeighbourChanged",
            Self::CapacityTaken => "CapacityTaken",
            Self::ClaimChanged => "ClaimChanged",
        }
    }
}

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kinds(u16);

impl Kinds {
    /// These kinds.
    pub fn of(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, kind: EventKind) -> Self {
        Self(self.0 | 1_u16 << (kind as u16))
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is among them.
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & 1_u16 << (kind as u16) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = EventKind> {
        ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, EventKind, Kinds};

    #[test]
    fn a_set_has_what_it_was_given_and_no_more() {
        for (index, kind) in ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
            let one = Kinds::of([kind]);
            assert_eq!(one.iter().collect::<Vec<_>>(), [kind]);
            assert!(one.has(kind) && !Kinds::default().has(kind));
        }
        let two = Kinds::of([EventKind::MemberReady]).and(Kinds::of([EventKind::ClaimChanged]));
        assert_eq!(two.iter().count(), 2);
    }
}
