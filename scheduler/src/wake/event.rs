//! What happens, by kind and place.

use std::collections::{BTreeMap, BTreeSet};

use crate::quota::Key;
use crate::snapshot::{InFlight, Member, Shape};
use crate::verdict::EventKind;

/// Something that happened. Of tenants the first is the one that it happened to and the others are
/// all above it; none: it is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// It is not known what: all are woken.
    Anything,
    /// A member answers, or says something else of its health.
    MemberReady {
        /// The member.
        member: String,
    },
    /// A member joined, left, or what the rules ask of it changed.
    MemberChanged {
        /// The member.
        member: String,
    },
    /// Nodes of a member are others than before.
    SketchChanged {
        /// The member.
        member: String,
        /// Of which flavor; `None`: of any.
        flavor: Option<String>,
    },
    /// Something was held on a member and is no longer.
    CapacityFreed {
        /// The member.
        member: String,
        /// In which flavor; `None`: a red line is shared by all.
        flavor: Option<String>,
    },
    /// Others were placed on a member.
    CapacityTaken {
        /// The member.
        member: String,
        /// In which flavor; `None`: a red line is shared by all.
        flavor: Option<String>,
    },
    /// A tenant is charged less.
    QuotaReleased {
        /// The tenant and all above it.
        tenants: Vec<String>,
        /// Of what.
        key: Key,
    },
    /// What counts of a tenant's quota changed.
    QuotaChanged {
        /// The tenant and all above it.
        tenants: Vec<String>,
    },
    /// The tree of tenants, or what they allow, changed.
    TenantChanged,
    /// A flavor changed.
    FlavorChanged,
    /// What others of a tenant see of a workload changed.
    NeighbourChanged {
        /// The tenant; `None`: not known.
        tenant: Option<String>,
    },
    /// A workload may have to make room from now on.
    Stands {
        /// Its tenant and all above it.
        tenants: Vec<String>,
        /// Its priority.
        priority: i32,
        /// Whether its tenant or one above it borrows.
        borrows: bool,
    },
    /// A tenant, which is charged less or has more of its own, may be entitled to take back what
    /// others borrow.
    Entitled {
        /// The tenant and all above it.
        tenants: Vec<String>,
    },
}

impl Event {
    /// Its kind; none where it is not known.
    pub fn kind(&self) -> Option<EventKind> {
        Some(match self {
            Self::Anything => return None,
            Self::MemberReady { .. } => EventKind::MemberReady,
            Self::MemberChanged { .. } => EventKind::MemberChanged,
            Self::SketchChanged { .. } => EventKind::SketchChanged,
            Self::CapacityFreed { .. } => EventKind::CapacityFreed,
            Self::CapacityTaken { .. } => EventKind::CapacityTaken,
            Self::QuotaReleased { .. } => EventKind::QuotaReleased,
            Self::QuotaChanged { .. } => EventKind::QuotaChanged,
            Self::TenantChanged => EventKind::TenantChanged,
            Self::FlavorChanged => EventKind::FlavorChanged,
            Self::NeighbourChanged { .. } => EventKind::NeighbourChanged,
            Self::Stands { .. } | Self::Entitled { .. } => EventKind::ClaimChanged,
        })
    }
}

/// What happened to a member that is seen otherwise than before; `None`: it was not there, or is not
/// any more. Prices are no event: they let nobody in.
pub fn of_member(before: Option<&Member>, after: Option<&Member>) -> Vec<Event> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, None) => return Vec::new(),
        (Some(only), None) | (None, Some(only)) => {
            let member = only.name.clone();
            return vec![Event::MemberChanged { member }];
        }
    };
    let member = || after.name.clone();
    let mut events = Vec::new();
    if before.readiness != after.readiness {
        events.push(Event::MemberReady { member: member() });
    }
    if by_rules(before) != by_rules(after) {
        events.push(Event::MemberChanged { member: member() });
    }
    let lined = !before.red_lines.is_empty() || !after.red_lines.is_empty();
    let nodes = nodes(before, after, lined).into_iter();
    events.extend(nodes.map(|flavor| Event::SketchChanged {
        member: member(),
        flavor,
    }));
    let flying = differing(in_flight(&before.in_flight), in_flight(&after.in_flight));
    let flying: BTreeSet<Option<String>> = flying
        .into_iter()
        .map(|flavor| flavor.filter(|_| !lined))
        .collect();
    events.extend(flying.into_iter().map(|flavor| Event::CapacityFreed {
        member: member(),
        flavor,
    }));
    events
}

/// What the rules ask of a member.
fn by_rules(member: &Member) -> impl PartialEq + '_ {
    let lines = member.red_lines.iter();
    let percents: Vec<_> = lines.map(|(resource, of)| (resource, of.percent)).collect();
    (
        (&member.labels, member.unschedulable, &member.taints),
        (&member.provider, &member.operator, &member.zone),
        (member.mlps, &member.region, &member.owner),
        (&member.apis, &member.classes, percents),
    )
}

/// The flavors of which a member shows other nodes; `None` among them: of any.
fn nodes(before: &Member, after: &Member, lined: bool) -> BTreeSet<Option<String>> {
    let any = || BTreeSet::from([None]);
    let (old, new) = match (&before.sketch, &after.sketch) {
        (None, None) => return BTreeSet::new(),
        (Some(old), Some(new)) => (old, new),
        _ => return any(),
    };
    let differ = differing(shapes(&old.shapes), shapes(&new.shapes));
    let lines = before.red_lines != after.red_lines;
    if old.keys != new.keys || lines || lined && !differ.is_empty() {
        return any();
    }
    differ
}

fn shapes(shapes: &[Shape]) -> impl Iterator<Item = (Option<&str>, &Shape)> {
    let all = shapes.iter();
    all.filter_map(|shape| Some((Some(shape.flavor.as_deref()?), shape)))
}

fn in_flight(flying: &[InFlight]) -> impl Iterator<Item = (Option<&str>, &InFlight)> {
    flying.iter().map(|of| (Some(&*of.flavor), of))
}

/// The flavors of which two say different things; `None` among them: of any.
pub fn differing<'a, T: PartialEq + 'a>(
    before: impl Iterator<Item = (Option<&'a str>, &'a T)>,
    after: impl Iterator<Item = (Option<&'a str>, &'a T)>,
) -> BTreeSet<Option<String>> {
    let (before, after) = (by_flavor(before), by_flavor(after));
    let all = before.keys().chain(after.keys());
    let differ = all.filter(|flavor| before.get(*flavor) != after.get(*flavor));
    differ.map(|flavor| flavor.map(str::to_owned)).collect()
}

fn by_flavor<'a, T>(
    all: impl Iterator<Item = (Option<&'a str>, &'a T)>,
) -> BTreeMap<Option<&'a str>, Vec<&'a T>> {
    let mut by: BTreeMap<Option<&str>, Vec<&T>> = BTreeMap::new();
    for (flavor, one) in all {
        by.entry(flavor).or_default().push(one);
    }
    by
}
