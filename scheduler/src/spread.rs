//! Spread of replicas over groups of members: exact and polynomial for one constraint and for
//! constraints that nest, by a verified search for others together.
//!
//! Of a given number of groups, those with most room can keep a spread if any can: so whether a
//! spread exists is decided by sorting, and the groups are then picked in order of preference, each
//! only if the rest can still be completed. Combinations of groups are never enumerated.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod bits;
mod groups;
mod nested;
mod several;
mod totals;

use totals::Limits;

use crate::divide::sum;

pub(crate) use nested::spread;
pub(crate) use several::{chain_to, several, steady};

/// One constraint on the slots of a division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Its place in the placement's list.
    pub(crate) place: usize,
    /// The place of the constraint inside whose groups it holds; `None`: it holds over all slots.
    pub(crate) within: Option<usize>,
    /// The group of each slot; `None`: in no group, and then it takes nothing.
    pub(crate) group_of: Vec<Option<usize>>,
    /// The outer group in which each group lies; all 0 where it is within none.
    pub(crate) outer: Vec<usize>,
    /// The most by which two groups in use may differ.
    pub(crate) max_skew: Option<i64>,
    /// The fewest groups in use.
    pub(crate) min_groups: i64,
    /// The most groups in use.
    pub(crate) max_groups: Option<i64>,
    /// It may be loosened; and what is there does not move for its sake.
    pub(crate) soft: bool,
}

impl Spread {
    /// Whether shares of the slots keep the constraint.
    pub(crate) fn kept_by(&self, shares: &[i64]) -> bool {
        let mut slots = shares.iter().zip(&self.group_of);
        !slots.any(|(share, group)| *share > 0 && group.is_none())
            && self.used(shares).iter().all(|counts| self.allows(counts))
    }

    /// Whether the groups in use of one outer group may have so many replicas each.
    fn allows(&self, counts: &[i64]) -> bool {
        let (Some(most), Some(least)) = (counts.iter().max(), counts.iter().min()) else {
            return true;
        };
        let groups = i64::try_from(counts.len()).unwrap_or(i64::MAX);
        groups >= self.limits().least_groups(sum(counts))
            && self.max_groups.is_none_or(|max| groups <= max)
            && self
                .max_skew
                .is_none_or(|skew| most.saturating_sub(*least) <= skew)
    }

    /// The most groups that there are inside one outer group; all of them without one.
    pub(crate) fn most_groups(&self) -> i64 {
        let mut counts: std::collections::BTreeMap<usize, i64> = std::collections::BTreeMap::new();
        for outer in &self.outer {
            let count = counts.entry(*outer).or_default();
            *count = count.saturating_add(1);
        }
        counts.into_values().max().unwrap_or(0)
    }

    /// Whether the constraint is kept when all of `total` stand on one slot. An even spread wants
    /// more groups where there are more.
    pub(crate) fn kept_alone(&self, slot: usize, total: i64) -> bool {
        let Some(group) = self.group(slot) else {
            return false;
        };
        let few =
            self.limits().least_groups(total) <= 1 && self.max_groups.is_none_or(|max| max >= 1);
        let outer = self.outer.get(group);
        let beside = self.outer.iter().filter(|of| Some(*of) == outer).count();
        few && (self.max_skew.is_none() || beside <= 1)
    }

    /// Whether it asks for anything.
    pub(crate) fn demands(&self) -> bool {
        self.max_skew.is_some() || self.min_groups > 1 || self.max_groups.is_some()
    }

    /// The group of a slot, if it is in one.
    pub(crate) fn group(&self, slot: usize) -> Option<usize> {
        self.group_of.get(slot).copied().flatten()
    }

    /// The same constraint over other slots, each of which stands where one of these does.
    pub(crate) fn over(&self, slots: impl Iterator<Item = usize>) -> Self {
        Self {
            group_of: slots.map(|slot| self.group(slot)).collect(),
            outer: self.outer.clone(),
            ..*self
        }
    }

    /// What it asks of the groups inside one outer group.
    fn limits(&self) -> Limits {
        Limits {
            least: self.min_groups,
            most: self.max_groups,
            skew: self.max_skew,
        }
    }

    /// Replicas per group.
    pub(crate) fn counts(&self, shares: &[i64]) -> Vec<i64> {
        let mut counts = vec![0_i64; self.outer.len()];
        for (share, group) in shares.iter().zip(&self.group_of) {
            if let Some(count) = group.and_then(|group| counts.get_mut(group)) {
                *count = count.saturating_add(*share);
            }
        }
        counts
    }

    /// Replicas of the groups in use, for each outer group.
    fn used(&self, shares: &[i64]) -> Vec<Vec<i64>> {
        let scopes = self
            .outer
            .iter()
            .max()
            .map_or(0, |last| last.saturating_add(1));
        let mut used = vec![Vec::new(); scopes];
        for (count, outer) in self.counts(shares).into_iter().zip(&self.outer) {
            if let Some(counts) = used.get_mut(*outer).filter(|_| count > 0) {
                counts.push(count);
            }
        }
        used
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests;
