//! Components together or apart: the groups that an attempt may use.

use std::cmp::Reverse;

use super::{Aim, Found, loosened, over};
use crate::attempt::Failure;
use crate::case::Case;
use crate::request::{ComponentKind, ComponentRule, Division, DivisionKind, SpreadConstraint};
use crate::spread::Spread;

/// The most groups that are tried for a workload that stands together.
const MAX_TRIED: usize = 256;

/// Places a workload whose components stand together or apart. Where that is all that stands in the
/// way, the failure says so.
pub(super) fn ruled(
    case: &Case<'_, '_>,
    aim: &Aim<'_>,
    sites: &[usize],
    rule: &ComponentRule,
) -> Result<Found, Failure> {
    let asked = SpreadConstraint {
        topology_key: rule.topology_key.clone(),
        ..SpreadConstraint::default()
    };
    let groups = over(case, sites, (0, &asked), None);
    let found = match rule.kind {
        ComponentKind::Together => together(case, aim, &members(&groups, sites)),
        ComponentKind::Apart => loosened(case, aim, sites, Some(&groups.group_of)).ok(),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    loosened(case, aim, sites, None)?;
    Err(Failure::Components {
        groups: i64::try_from(groups.outer.len()).unwrap_or(i64::MAX),
    })
}

/// The whole workload in one group: where it has most, else the first that holds it.
fn together(case: &Case<'_, '_>, aim: &Aim<'_>, groups: &[Vec<usize>]) -> Option<Found> {
    let has = |sites: &[usize]| {
        let parts = case.parts.iter();
        let there = parts.flat_map(|part| sites.iter().map(|site| part.prev(*site)));
        there.fold(0_i64, i64::saturating_add)
    };
    let mut order: Vec<&Vec<usize>> = groups.iter().collect();
    // Stable: among equals the order by score stays.
    order.sort_by_cached_key(|sites| Reverse(has(sites)));
    let roomy = order.into_iter().filter(|sites| may_hold(case, sites));
    let mut tried = roomy.take(MAX_TRIED);
    tried.find_map(|sites| loosened(case, aim, sites, None).ok())
}

/// Sites by their group, the group of the best site first.
fn members(groups: &Spread, sites: &[usize]) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); groups.outer.len()];
    for site in sites {
        let group = groups.group(*site);
        if let Some(group) = group.and_then(|group| members.get_mut(group)) {
            group.push(*site);
        }
    }
    members
}

/// Whether sites have the room for each component, at the first look.
fn may_hold(case: &Case<'_, '_>, sites: &[usize]) -> bool {
    let copies = case.request.placement.division.kind == DivisionKind::Duplicated;
    case.parts.iter().all(|part| {
        let mut rooms = sites.iter().map(|site| case.most(part, *site));
        match part.component.division {
            Division::OneMember => rooms.any(|room| room >= part.wanted),
            // A member that has a smaller copy can keep it.
            Division::Divided if copies => part.wanted == 0 || rooms.any(|room| room > 0),
            _ => rooms.fold(0_i64, i64::saturating_add) >= part.wanted,
        }
    })
}

#[cfg(test)]
mod tests;
