//! Spread of replicas over groups of members: exact and polynomial for one constraint, by a
//! verified search for several at once.
//!
//! Of a given number of groups, those with most room can keep a spread if any can: so whether a
//! spread exists is decided by sorting, and the groups are then picked in order of preference, each
//! only if the rest can still be completed. Combinations of groups are never enumerated.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod several;

use std::cmp::Reverse;

use crate::divide::{Rule, Slot, divide, sum, within};

pub(crate) use several::{several, steady};

/// One constraint on the slots of a division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The group of each slot; `None`: in no group, and then it takes nothing.
    pub(crate) group_of: Vec<Option<usize>>,
    /// How many groups there are.
    pub(crate) number: usize,
    /// The most by which two groups in use may differ.
    pub(crate) max_skew: Option<i64>,
    /// The fewest groups in use.
    pub(crate) min_groups: i64,
    /// The most groups in use.
    pub(crate) max_groups: Option<i64>,
    /// It may be loosened; and what is there does not move for its sake.
    pub(crate) soft: bool,
}

/// The most windows of group sizes that are compared for the least movement.
const WINDOWS: i64 = 256;

impl Spread {
    /// Whether shares of the slots keep the constraint.
    pub(crate) fn kept_by(&self, shares: &[i64]) -> bool {
        let counts = self.counts(shares);
        let used: Vec<i64> = counts.into_iter().filter(|count| *count > 0).collect();
        let outside = shares.iter().zip(&self.group_of);
        if outside
            .into_iter()
            .any(|(share, group)| *share > 0 && group.is_none())
        {
            return false;
        }
        let total = sum(shares);
        let groups = i64::try_from(used.len()).unwrap_or(i64::MAX);
        let (Some(most), Some(least)) = (used.iter().max(), used.iter().min()) else {
            return true;
        };
        groups >= self.least_groups(total)
            && self.max_groups.is_none_or(|max| groups <= max)
            && self
                .max_skew
                .is_none_or(|skew| most.saturating_sub(*least) <= skew)
    }

    /// Whether the constraint is kept when all of `total` stand on one slot. An even spread wants
    /// more groups where there are more.
    pub(crate) fn kept_alone(&self, slot: usize, total: i64) -> bool {
        let inside = self.group_of.get(slot).copied().flatten().is_some();
        let few = self.least_groups(total) <= 1 && self.max_groups.is_none_or(|max| max >= 1);
        inside && few && (self.max_skew.is_none() || self.number <= 1)
    }

    /// The fewest groups that `total` replicas must use: no more than there are replicas.
    fn least_groups(&self, total: i64) -> i64 {
        self.min_groups.min(total).max(1)
    }

    /// The number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.number
    }

    /// Replicas per group.
    pub(crate) fn counts(&self, shares: &[i64]) -> Vec<i64> {
        let mut counts = vec![0_i64; self.groups()];
        for (share, group) in shares.iter().zip(&self.group_of) {
            if let Some(count) = group.and_then(|group| counts.get_mut(group)) {
                *count = count.saturating_add(*share);
            }
        }
        counts
    }

    fn members(&self, group: usize) -> Vec<usize> {
        let members = self.group_of.iter().enumerate();
        members
            .filter(|(_, of)| **of == Some(group))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Divides `total` so that the constraint is kept. `None` when no division keeps it.
pub(crate) fn spread(slots: &[Slot], one: &Spread, total: i64, rule: Rule) -> Option<Vec<i64>> {
    if total <= 0 {
        return Some(vec![0; slots.len()]);
    }
    let groups = Groups::new(slots, one);
    let numbers = groups.numbers(one, total, rule);
    numbers.into_iter().find_map(|number| {
        let chosen = groups.pick(number, one.max_skew, total)?;
        groups.divide(&chosen, slots, one.max_skew, total, rule)
    })
}

/// The groups as slots of a division of their own.
struct Groups {
    /// The members of each group, in order of preference.
    members: Vec<Vec<usize>>,
    /// What each group takes in all.
    sums: Vec<Slot>,
    /// Groups that can take something: what is there first, then in order of preference.
    order: Vec<usize>,
}

impl Groups {
    fn new(slots: &[Slot], one: &Spread) -> Self {
        let members: Vec<Vec<usize>> = (0..one.groups()).map(|group| one.members(group)).collect();
        let sums: Vec<Slot> = members
            .iter()
            .map(|members| total_of(slots, members))
            .collect();
        let mut order: Vec<usize> = (0..sums.len())
            .filter(|group| sums.get(*group).is_some_and(Slot::usable))
            .collect();
        let first = |group: usize| {
            members
                .get(group)
                .and_then(|members| members.first())
                .copied()
        };
        order.sort_by_key(|group| {
            let kept = sums.get(*group).map_or(0, Slot::kept);
            (kept == 0, first(*group), *group)
        });
        Self {
            members,
            sums,
            order,
        }
    }

    fn sum_of(&self, group: usize) -> Slot {
        self.sums.get(group).copied().unwrap_or_default()
    }

    /// The numbers of groups to try, the preferred first. What is there stays in its groups where
    /// that is allowed; else an even spread takes as many groups as it can, others as few.
    fn numbers(&self, one: &Spread, total: i64, rule: Rule) -> Vec<i64> {
        let least = one.least_groups(total);
        let there = i64::try_from(self.order.len()).unwrap_or(i64::MAX);
        let most = one.max_groups.unwrap_or(there).min(there).min(total);
        let mut numbers: Vec<i64> = (least..=most).collect();
        let wide = one.max_skew.is_some() || rule == Rule::Proportional;
        if wide {
            numbers.reverse();
        }
        let kept: Vec<i64> = self
            .order
            .iter()
            .map(|group| self.sum_of(*group).kept())
            .filter(|kept| *kept > 0)
            .collect();
        if !kept.is_empty() {
            let held = i64::try_from(kept.len()).unwrap_or(i64::MAX);
            let new = total.saturating_sub(sum(&kept)).max(0);
            let grow = one.max_skew.is_none() && rule == Rule::Proportional;
            let start = if grow { held.saturating_add(new) } else { held };
            let start = start.clamp(least.min(most), most.max(least));
            numbers.sort_by_key(|number| number.saturating_sub(start).saturating_abs());
        }
        numbers
    }

    /// `number` groups that together can take `total`, chosen in order of preference: each is
    /// taken if the roomiest of the others can complete it.
    fn pick(&self, number: i64, max_skew: Option<i64>, total: i64) -> Option<Vec<usize>> {
        let number = usize::try_from(number).ok()?;
        let mut roomiest = self.order.clone();
        roomiest.sort_by_key(|group| Reverse(self.sum_of(*group).hi));
        let mut chosen: Vec<usize> = Vec::with_capacity(number);
        if !self.can_hold(&roomiest, &chosen, number, max_skew, total) {
            return None;
        }
        for group in &self.order {
            if chosen.len() == number {
                break;
            }
            chosen.push(*group);
            if !self.can_hold(&roomiest, &chosen, number, max_skew, total) {
                chosen.pop();
            }
        }
        (chosen.len() == number).then_some(chosen)
    }

    /// Whether `chosen`, completed to `number` by the roomiest others, can take `total`.
    fn can_hold(
        &self,
        roomiest: &[usize],
        chosen: &[usize],
        number: usize,
        max_skew: Option<i64>,
        total: i64,
    ) -> bool {
        let missing = number.saturating_sub(chosen.len());
        let others = roomiest
            .iter()
            .filter(|group| !chosen.contains(group))
            .take(missing);
        let all: Vec<Slot> = chosen
            .iter()
            .chain(others)
            .map(|group| self.sum_of(*group))
            .collect();
        if all.len() < number {
            return false;
        }
        let least = all
            .iter()
            .fold(0_i64, |least, slot| least.saturating_add(slot.lo));
        least <= total && highest(&all, max_skew, total) >= total
    }

    /// Divides over the chosen groups and then inside each.
    fn divide(
        &self,
        chosen: &[usize],
        slots: &[Slot],
        max_skew: Option<i64>,
        total: i64,
        rule: Rule,
    ) -> Option<Vec<i64>> {
        let sums: Vec<Slot> = chosen.iter().map(|group| self.sum_of(*group)).collect();
        let mut best: Option<(i64, Vec<i64>)> = None;
        for bounded in windows(&sums, max_skew, total) {
            let shares = within(&bounded, total, rule);
            let moved = sums
                .iter()
                .zip(&shares)
                .fold(0_i64, |moved, (slot, share)| {
                    moved.saturating_add(slot.kept().saturating_sub(*share).max(0))
                });
            if best.as_ref().is_none_or(|(least, _)| moved < *least)
                && let Some(answer) = self.inside(chosen, &shares, slots, rule)
            {
                best = Some((moved, answer));
            }
            if moved == 0 && best.is_some() {
                break;
            }
        }
        best.map(|(_, answer)| answer)
    }

    fn inside(
        &self,
        chosen: &[usize],
        shares: &[i64],
        slots: &[Slot],
        rule: Rule,
    ) -> Option<Vec<i64>> {
        let mut answer = vec![0_i64; slots.len()];
        for (group, share) in chosen.iter().zip(shares) {
            let members = self.members.get(*group)?;
            let inner: Vec<Slot> = members
                .iter()
                .filter_map(|index| slots.get(*index).copied())
                .collect();
            for (index, part) in members.iter().zip(divide(&inner, *share, rule)?) {
                *answer.get_mut(*index)? = part;
            }
        }
        Some(answer)
    }
}

fn total_of(slots: &[Slot], members: &[usize]) -> Slot {
    let members = members.iter().filter_map(|index| slots.get(*index));
    let usable: Vec<&Slot> = members.filter(|slot| slot.usable()).collect();
    let add = |part: fn(&Slot) -> i64| {
        usable
            .iter()
            .fold(0_i64, |sum, slot| sum.saturating_add(part(slot)))
    };
    Slot {
        prev: add(Slot::kept),
        lo: usable.iter().map(|slot| slot.lo.max(1)).min().unwrap_or(1),
        hi: add(|slot| slot.hi),
        weight: add(|slot| slot.weight),
    }
}

/// The most that groups can take when none may exceed the least filled by more than `max_skew`:
/// the higher that one stands the more, and it can stand at its own room or at an equal share.
fn highest(groups: &[Slot], max_skew: Option<i64>, total: i64) -> i64 {
    let level = level(groups, total);
    groups.iter().fold(0_i64, |sum, slot| {
        let most = max_skew.map_or(slot.hi, |skew| slot.hi.min(level.saturating_add(skew)));
        sum.saturating_add(most)
    })
}

/// The highest at which the least filled group can stand.
fn level(groups: &[Slot], total: i64) -> i64 {
    let number = i64::try_from(groups.len()).unwrap_or(i64::MAX);
    let equal = total.checked_div(number).unwrap_or(total);
    groups
        .iter()
        .map(|slot| slot.hi)
        .min()
        .unwrap_or(0)
        .min(equal)
}

/// The bounds that keep the skew, one set per height of the least filled group, the highest first.
fn windows(groups: &[Slot], max_skew: Option<i64>, total: i64) -> impl Iterator<Item = Vec<Slot>> {
    let top = level(groups, total);
    let number = i64::try_from(groups.len()).unwrap_or(i64::MAX).max(1);
    let least = groups.iter().map(|slot| slot.lo).max().unwrap_or(1);
    let skew = max_skew.filter(|skew| *skew < total);
    let bottom = match skew {
        None => top,
        // Below this the fullest group would stand higher than the skew allows.
        Some(skew) => total
            .saturating_add(number.saturating_sub(1))
            .checked_div(number)
            .unwrap_or(total)
            .saturating_sub(skew)
            .max(least.min(top))
            .max(top.saturating_sub(WINDOWS)),
    };
    let groups = groups.to_vec();
    (bottom..=top)
        .rev()
        .map(move |floor| {
            let bounded = groups.iter().map(|slot| match skew {
                None => *slot,
                Some(skew) => Slot {
                    lo: slot.lo.max(floor),
                    hi: slot.hi.min(floor.saturating_add(skew)),
                    ..*slot
                },
            });
            bounded.collect::<Vec<Slot>>()
        })
        .filter(move |bounded: &Vec<Slot>| {
            let least = bounded
                .iter()
                .fold(0_i64, |sum, slot| sum.saturating_add(slot.lo));
            let most = bounded
                .iter()
                .fold(0_i64, |sum, slot| sum.saturating_add(slot.hi));
            least <= total && total <= most && bounded.iter().all(|slot| slot.lo <= slot.hi)
        })
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests;
