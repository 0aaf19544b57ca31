//! Constraints that nest, such as provinces and in each of them cities: a tree of groups.
//!
//! From the members upwards each group gets the totals that it can take, all constraints inside it
//! kept. From the top downwards a total is then divided over groups that can take their shares, so
//! no choice is ever taken back. One constraint is a tree of one level.

use std::cell::Cell;

use super::Spread;
use super::groups::Groups;
use super::totals::{Limits, Span, Totals, WORK, level, of_any, of_level, widest};
use crate::divide::{Rule, Slot, divide};

/// Divides `total` so that a chain of constraints is kept, each within the one before. `None` when
/// no division keeps them; beyond [`WORK`] also when none was found.
pub(crate) fn spread(
    slots: &[Slot],
    chain: &[&Spread],
    total: i64,
    rule: Rule,
) -> Option<Vec<i64>> {
    let mut answer = vec![0; slots.len()];
    if total > 0 {
        let mut tree = Tree::new(slots, chain, total, rule);
        tree.sum_up();
        tree.give((0, 0), total, &mut answer)?;
    }
    Some(answer)
}

/// A group of slots, or all of them.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The groups inside it, as indices of the next level; at the last level the slots.
    below: Vec<usize>,
    /// Its first slot.
    first: usize,
    /// What it takes in all.
    slot: Slot,
    /// The totals that it can take.
    totals: Totals,
}

struct Tree<'s> {
    slots: &'s [Slot],
    chain: &'s [&'s Spread],
    /// All slots at level 0, and the groups of each constraint.
    levels: Vec<Vec<Node>>,
    total: i64,
    rule: Rule,
    /// The work that is left for tables.
    work: Cell<u64>,
}

impl<'s> Tree<'s> {
    fn new(slots: &'s [Slot], chain: &'s [&'s Spread], total: i64, rule: Rule) -> Self {
        let mut levels = vec![vec![Node::default()]];
        for one in chain {
            if let Some(above) = levels.last_mut() {
                for (group, outer) in one.outer.iter().enumerate() {
                    if let Some(node) = above.get_mut(*outer) {
                        node.below.push(group);
                    }
                }
            }
            levels.push(vec![Node::default(); one.outer.len()]);
        }
        for (index, slot) in slots.iter().enumerate() {
            let inside = chain.iter().all(|one| one.group(index).is_some());
            let last = chain.last().map_or(Some(0), |one| one.group(index));
            if let (true, Some(last)) = (inside && slot.usable(), last)
                && let Some(node) = levels.last_mut().and_then(|nodes| nodes.get_mut(last))
            {
                node.below.push(index);
            }
        }
        Self {
            slots,
            chain,
            levels,
            total,
            rule,
            work: Cell::new(WORK),
        }
    }

    /// Gives every group what it can take, from the members upwards.
    fn sum_up(&mut self) {
        let mut parts: Vec<Span> = Vec::new();
        for at in (1..self.levels.len()).rev() {
            let mut nodes = self
                .levels
                .get_mut(at)
                .map(std::mem::take)
                .unwrap_or_default();
            for node in &mut nodes {
                let mut slot = Slot::default();
                let mut first = usize::MAX;
                parts.clear();
                for (part, ends, rank) in self.parts(at, node) {
                    slot.prev = slot.prev.saturating_add(part.kept());
                    slot.weight = slot.weight.saturating_add(part.weight);
                    first = first.min(rank);
                    parts.push(ends);
                }
                node.totals = self.totals(at, node, &mut parts);
                (slot.lo, slot.hi) = node.totals.ends();
                (node.slot, node.first) = (slot, first);
            }
            if let Some(place) = self.levels.get_mut(at) {
                *place = nodes;
            }
        }
    }

    /// The parts of a group that can take something, with their least and most and their rank.
    fn parts<'n>(
        &'n self,
        at: usize,
        node: &'n Node,
    ) -> impl Iterator<Item = (Slot, Span, usize)> + 'n {
        let below = self.levels.get(at.saturating_add(1));
        let parts = node.below.iter().filter_map(move |index| {
            if let Some(nodes) = below {
                let of = nodes.get(*index)?;
                return Some((of.slot, of.totals.ends(), of.first));
            }
            let slot = self.slots.get(*index)?;
            Some((*slot, self.span(slot), *index))
        });
        parts.filter(|(_, span, _)| span.0 <= span.1)
    }

    /// What a slot can take.
    fn span(&self, slot: &Slot) -> Span {
        (slot.lo.max(1), slot.hi.min(self.total))
    }

    fn limits(&self, at: usize) -> Limits {
        self.chain.get(at).map_or(Limits::NONE, |one| one.limits())
    }

    /// The totals that a group can take, whose parts have these ends.
    fn totals(&self, at: usize, node: &Node, ends: &mut [Span]) -> Totals {
        let limits = self.limits(at);
        match ends {
            [] => return Totals::default(),
            // A group of one member, of which a large fleet has thousands.
            [one] if self.chain.len() == at => return Totals::span(*one),
            _ => {}
        }
        if limits.skew != Some(0) && level(ends) && !self.gaps(at, node) {
            return of_level(ends, limits, self.total);
        }
        let spans = self.spans(at, node);
        let mut work = self.work.get();
        let found = of_any(&spans, limits, self.total, &mut work);
        self.work.set(work);
        found.unwrap_or_else(|| {
            let mut narrowed = widest(&spans);
            narrowed.retain(|span| span.0 <= span.1);
            of_level(&mut narrowed, limits, self.total)
        })
    }

    fn gaps(&self, at: usize, node: &Node) -> bool {
        let below = self.levels.get(at.saturating_add(1));
        let mut nodes = node.below.iter();
        nodes.any(|index| {
            let of = below.and_then(|nodes| nodes.get(*index));
            of.is_some_and(|of| of.totals.gaps())
        })
    }

    /// What each part of a group can take.
    fn spans(&self, at: usize, node: &Node) -> Vec<Vec<Span>> {
        let below = self.levels.get(at.saturating_add(1));
        let spans = node.below.iter().map(|index| {
            if let Some(nodes) = below {
                let of = nodes.get(*index);
                return of.map_or_else(Vec::new, |of| of.totals.spans().to_vec());
            }
            let slot = self.slots.get(*index);
            slot.map_or_else(Vec::new, |slot| vec![self.span(slot)])
        });
        spans.collect()
    }

    /// Divides what a group takes over its parts, and so on down to the slots.
    fn give(&self, (at, index): (usize, usize), total: i64, answer: &mut [i64]) -> Option<()> {
        let node = self.levels.get(at)?.get(index)?;
        let Some(nodes) = self.levels.get(at.saturating_add(1)) else {
            if let ([slot], 1..) = (node.below.as_slice(), at) {
                *answer.get_mut(*slot)? = total;
                return Some(());
            }
            let slots = node.below.iter().map(|slot| self.slots.get(*slot).copied());
            let slots: Vec<Slot> = slots.collect::<Option<_>>()?;
            for (slot, share) in node.below.iter().zip(divide(&slots, total, self.rule)?) {
                *answer.get_mut(*slot)? = share;
            }
            return Some(());
        };
        let shares = self.shares(at, node, nodes, total)?;
        for (group, share) in node.below.iter().zip(shares) {
            if share > 0 {
                self.give((at.saturating_add(1), *group), share, answer)?;
            }
        }
        Some(())
    }

    /// The shares of the groups inside a group.
    fn shares(&self, at: usize, node: &Node, nodes: &[Node], total: i64) -> Option<Vec<i64>> {
        let inner: Vec<&Node> = node
            .below
            .iter()
            .map(|index| nodes.get(*index))
            .collect::<Option<_>>()?;
        let ranks: Vec<usize> = inner.iter().map(|of| of.first).collect();
        let sums: Vec<Slot> = inner.iter().map(|of| of.slot).collect();
        let ends: Vec<Span> = self.parts(at, node).map(|(_, ends, _)| ends).collect();
        let limits = self.limits(at);
        let groups = Groups::new(sums.clone(), &ranks, limits);
        if level(&ends) && !self.gaps(at, node) {
            return groups.shares(total, self.rule);
        }
        let spans = self.spans(at, node);
        let mut work = self.work.get();
        let found = groups.tabled(&spans, total, self.rule, &mut work);
        self.work.set(work);
        found.or_else(|| {
            let narrowed = sums.iter().zip(widest(&spans));
            let narrowed = narrowed.map(|(slot, (lo, hi))| Slot { lo, hi, ..*slot });
            Groups::new(narrowed.collect(), &ranks, limits).shares(total, self.rule)
        })
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests;
