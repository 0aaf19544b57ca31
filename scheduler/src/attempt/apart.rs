//! Components that share no group of members: each gets groups of its own, as few as hold it.
//!
//! One component after the other takes groups. Where one finds none, it goes first and all begin
//! again: a search that is verified, not exhaustive.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Attempt, Bound, Failure, Plan, Stop};
use crate::case::Part;
use crate::request::Division;

/// The most groups that are tried alone for one component.
const ALONE: usize = 8;
/// By so many single groups a set of groups grows before it doubles.
const STEPS: usize = 8;

/// The group of each member of the fleet.
type Groups<'g> = &'g [Option<usize>];

impl Attempt<'_, '_, '_> {
    /// Places every component in groups that no other uses.
    pub(super) fn apart(
        self,
        sites: &[usize],
        spreads: &[Bound],
        groups: Groups<'_>,
    ) -> Result<Plan, Stop> {
        let mut turn = self.in_turn(Division::OneMember);
        turn.extend(self.in_turn(Division::Divided));
        // Those that are placed stay, and the others find what is left.
        turn.sort_by_key(|index| {
            self.part(*index)
                .is_none_or(|part| part.previous.is_empty())
        });
        let mut first = None;
        for _ in 0..=turn.len().saturating_mul(2) {
            let mut trial = self.clone();
            let stopped = turn.iter().copied().enumerate().find_map(|(place, index)| {
                let placed = trial.in_own_groups(index, sites, spreads, groups);
                placed.err().map(|stop| (place, stop))
            });
            let Some((place, stop)) = stopped else {
                trial.without_replicas(sites);
                trial.on_every_node(sites)?;
                return Ok(trial.plan);
            };
            let failed = first.unwrap_or(stop);
            if place == 0 {
                return Err(failed);
            }
            first = Some(failed);
            if let Some(front) = turn.get_mut(..=place) {
                front.rotate_right(1);
            }
        }
        Err(first.unwrap_or(Stop::Failed(Failure::NoMember)))
    }

    /// Places one component on groups that none of the plan uses.
    fn in_own_groups(
        &mut self,
        index: usize,
        sites: &[usize],
        spreads: &[Bound],
        groups: Groups<'_>,
    ) -> Result<(), Stop> {
        let Some(part) = self.part(index) else {
            return Ok(());
        };
        let (order, own) = self.groups_in_order(index, sites, groups);
        let mut last = Err(Failure::NoMember.into());
        for range in self.tries(part, sites, groups, &order, own) {
            let chosen: BTreeSet<usize> = order
                .get(range)
                .unwrap_or_default()
                .iter()
                .copied()
                .collect();
            let inner: Vec<usize> = sites
                .iter()
                .copied()
                .filter(|site| group(groups, *site).is_some_and(|of| chosen.contains(&of)))
                .collect();
            let mut trial = self.clone();
            last = if part.component.division == Division::OneMember {
                trial.one_member(index, &inner)
            } else {
                trial.divided(index, &inner, spreads, self.rule())
            };
            if last.is_ok() {
                *self = trial;
                break;
            }
        }
        last
    }

    /// The groups that are tried for a component, as ranges of their order: single ones, then the
    /// first of them, more and more. Those without the room are left out.
    fn tries(
        &self,
        part: &Part<'_>,
        sites: &[usize],
        groups: Groups<'_>,
        order: &[usize],
        own: usize,
    ) -> Vec<Range<usize>> {
        let whole = part.component.division == Division::OneMember;
        let add = |sum: i64, room: i64| {
            if whole {
                sum.max(room)
            } else {
                sum.saturating_add(room)
            }
        };
        let mut rooms: BTreeMap<usize, i64> = BTreeMap::new();
        for site in sites {
            if let Some(group) = group(groups, *site) {
                let room = rooms.entry(group).or_default();
                *room = add(*room, self.case.most(part, *site));
            }
        }
        let room = |group: &usize| rooms.get(group).copied().unwrap_or(0);
        let mut tries = Vec::new();
        if own == 0 {
            let each = order.iter().enumerate();
            let roomy = each.filter(|(_, group)| room(group) >= part.wanted);
            tries.extend(roomy.map(|(at, _)| at..at.saturating_add(1)).take(ALONE));
        }
        let mut sum = 0;
        let (mut steps, mut next) = (0, own.max(1));
        for (count, group) in (1..).zip(order) {
            sum = add(sum, room(group));
            let last = count == order.len();
            if last || (count >= next && sum >= part.wanted) {
                tries.push(0..count);
                steps += 1;
                next = if steps < STEPS {
                    count + 1
                } else {
                    count.saturating_mul(2)
                };
            }
        }
        tries
    }

    /// The groups that a component may take: those that it has, the best of the rest, and those that
    /// other components have. And how many it has.
    fn groups_in_order(
        &self,
        index: usize,
        sites: &[usize],
        groups: Groups<'_>,
    ) -> (Vec<usize>, usize) {
        let of = |site: usize| group(groups, site);
        let taken: BTreeSet<usize> = self.used().into_iter().filter_map(of).collect();
        let mut own = BTreeSet::new();
        let mut others = BTreeSet::new();
        for (other, part) in self.case.parts.iter().enumerate() {
            let there = part.previous.iter().filter(|(_, replicas)| **replicas > 0);
            let there = there.filter_map(|(site, _)| of(*site));
            if other == index {
                own.extend(there);
            } else if !part.on_every_node() {
                others.extend(there);
            }
        }
        let mut seen = BTreeSet::new();
        let found = sites.iter().filter_map(|site| of(*site));
        let mut order: Vec<usize> = found
            .filter(|group| !taken.contains(group) && seen.insert(*group))
            .collect();
        // Stable: among equals the order by score stays.
        order.sort_by_key(|group| (!own.contains(group), others.contains(group)));
        let has = order.iter().filter(|group| own.contains(group)).count();
        (order, has)
    }
}

fn group(groups: Groups<'_>, site: usize) -> Option<usize> {
    groups.get(site).copied().flatten()
}
