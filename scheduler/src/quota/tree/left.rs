//! What is left: how much more a node may be charged, and what stops it.

use super::super::{Amounts, Binding, Key, Limit, Line, Purpose, Shortfall};
use super::{Cell, KeyId, NodeId, QuotaTree, clamp, reserve_of};

/// What is left.
impl QuotaTree {
    /// How much more of `key` the node may be charged; negative in debt.
    ///
    /// Saturates at the bounds of 64 bits. Zero or less where the node has no line.
    pub fn avail(&self, node: NodeId, key: &Key, purpose: Purpose) -> i64 {
        match self.key_id(key) {
            Some(key) => clamp(self.avail_wide(node, key, purpose).0),
            None => 0,
        }
    }

    /// Whether a change of charges fits: each increase is within [`QuotaTree::avail`].
    ///
    /// The error is the first shortfall by key; [`QuotaTree::shortfalls`] gives them all.
    pub fn fits(&self, node: NodeId, delta: &Amounts, purpose: Purpose) -> Result<(), Shortfall> {
        let mut increases = delta.iter().filter(|(_, added)| **added > 0);
        match increases.find_map(|(key, added)| self.shortfall(node, key, *added, purpose)) {
            Some(shortfall) => Err(shortfall),
            None => Ok(()),
        }
    }

    /// Every key of which more is needed than is left, by key.
    pub fn shortfalls(&self, node: NodeId, delta: &Amounts, purpose: Purpose) -> Vec<Shortfall> {
        let increases = delta.iter().filter(|(_, added)| **added > 0);
        increases
            .filter_map(|(key, added)| self.shortfall(node, key, *added, purpose))
            .collect()
    }

    /// How many times `each` fits: the replicas that quota allows, at most `i64::MAX`.
    pub fn times(&self, node: NodeId, each: &Amounts, purpose: Purpose) -> i64 {
        let increases = each.iter().filter(|(_, amount)| **amount > 0);
        increases
            .map(|(key, amount)| {
                self.avail(node, key, purpose)
                    .max(0)
                    .checked_div(*amount)
                    .unwrap_or(i64::MAX)
            })
            .min()
            .unwrap_or(i64::MAX)
    }

    fn shortfall(
        &self,
        node: NodeId,
        key: &Key,
        needed: i64,
        purpose: Purpose,
    ) -> Option<Shortfall> {
        let (available, bound) = match self.key_id(key) {
            Some(id) => self.avail_wide(node, id, purpose),
            None => (0, node),
        };
        if i128::from(needed) <= available {
            return None;
        }
        let for_failover = self.avail(node, key, Purpose::Failover);
        let limit = if purpose == Purpose::Ordinary && needed <= for_failover {
            Limit::FailoverReserve
        } else {
            self.binding_limit(bound, key)
        };
        Some(Shortfall {
            node: self.name(node).to_owned(),
            key: key.clone(),
            needed,
            available: clamp(available.max(0)),
            binding: Binding {
                node: self.name(bound).to_owned(),
                limit,
            },
        })
    }

    fn binding_limit(&self, node: NodeId, key: &Key) -> Limit {
        let line = self.line(node, key);
        if line == Line::default() {
            Limit::NoLine
        } else if self.parent(node).is_some() {
            Limit::Ceiling
        } else {
            Limit::Nominal
        }
    }

    /// What is left, and the node whose limit decides it.
    ///
    /// With top(n) = limit - charge and spare(n) = max(0, G - charge), what is left at n is the
    /// least, over n and its ancestors a, of spare of all below a on the way + top(a) (an
    /// ancestor's not below zero): one walk upwards instead of a recursion from the root.
    pub(in crate::quota) fn avail_wide(
        &self,
        node: NodeId,
        key: KeyId,
        purpose: Purpose,
    ) -> (i128, NodeId) {
        let cell = self.cell(node, key);
        let mut least = self.top(node, &cell, purpose);
        let mut bound = node;
        let mut spare = cell.spare();
        let mut at = node;
        while let Some(parent) = self.parent(at) {
            let cell = self.cell(parent, key);
            let reach = spare.saturating_add(self.top(parent, &cell, purpose).max(0));
            if reach < least {
                least = reach;
                bound = parent;
            }
            spare = spare.saturating_add(cell.spare());
            at = parent;
        }
        (least, bound)
    }

    fn top(&self, node: NodeId, cell: &Cell, purpose: Purpose) -> i128 {
        let limit = i128::from(self.limit(node, cell.line));
        let reserve = match purpose {
            Purpose::Ordinary => self.reserve(node, cell.line),
            Purpose::Failover => 0,
        };
        limit.saturating_sub(reserve).saturating_sub(cell.charge())
    }

    /// The most the node may be charged: its ceiling, at a root its nominal.
    pub(in crate::quota) fn limit(&self, node: NodeId, line: Line) -> i64 {
        if self.parent(node).is_some() {
            line.ceiling
        } else {
            line.nominal
        }
    }

    fn reserve(&self, node: NodeId, line: Line) -> i128 {
        reserve_of(line.nominal, self.reserve_permille(node))
    }
}
