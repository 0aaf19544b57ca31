//! Components together or apart: the groups that an attempt may use.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Aim, Found, loosened, weight};
use crate::attempt::Failure;
use crate::case::Case;
use crate::request::{ComponentKind, ComponentRule, Division, DivisionKind};
use crate::rules::topology;

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
    let groups = groups(case, sites, &rule.topology_key);
    let failure = match rule.kind {
        ComponentKind::Together => together(case, aim, &groups),
        ComponentKind::Apart => {
            let mut group_of = vec![None; case.fleet.sites.len()];
            for (group, sites) in groups.iter().enumerate() {
                for site in sites {
                    if let Some(of) = group_of.get_mut(*site) {
                        *of = Some(group);
                    }
                }
            }
            loosened(case, aim, sites, Some(&group_of))
        }
    };
    if failure.is_ok() {
        return failure;
    }
    loosened(case, aim, sites, None)?;
    Err(Failure::Components {
        groups: i64::try_from(groups.len()).unwrap_or(i64::MAX),
    })
}

/// The whole workload in one group: where it has most, else the first that holds it.
fn together(case: &Case<'_, '_>, aim: &Aim<'_>, groups: &[Vec<usize>]) -> Result<Found, Failure> {
    let has = |sites: &[usize]| {
        let parts = case.parts.iter();
        let there = parts.flat_map(|part| sites.iter().map(|site| part.prev(*site)));
        there.fold(0_i64, i64::saturating_add)
    };
    let mut order: Vec<&Vec<usize>> = groups.iter().collect();
    // Stable: among equals the order by score stays.
    order.sort_by_cached_key(|sites| Reverse(has(sites)));
    let mut worst = Failure::NoMember;
    let roomy = order.into_iter().filter(|sites| may_hold(case, sites));
    for sites in roomy.take(MAX_TRIED) {
        match loosened(case, aim, sites, None) {
            Ok(found) => return Ok(found),
            Err(failure) if weight(&failure) > weight(&worst) => worst = failure,
            Err(_) => {}
        }
    }
    Err(worst)
}

/// Sites by the value of a key, the group of the best site first.
fn groups(case: &Case<'_, '_>, sites: &[usize], key: &str) -> Vec<Vec<usize>> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for site in sites {
        let of = case.fleet.sites.get(*site);
        let Some(value) = of.and_then(|of| topology(of, key)) else {
            continue;
        };
        let number = *numbers.entry(value).or_insert(groups.len());
        if number == groups.len() {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.get_mut(number) {
            group.push(*site);
        }
    }
    groups
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
