//! How much a tenant and those above it borrow: what fairness goes by.

use super::{Key, NodeId, QuotaTree};

/// A whole, in the unit of [`QuotaTree::borrowed_share`].
const WHOLE: i128 = 1_000_000;

impl QuotaTree {
    /// The dominant share of what the node borrows: over all keys the largest part of its parent's
    /// nominal that it is charged above its own, in millionths; 0 at a root and where nothing is
    /// borrowed. The measure is that of dominant resource fairness (Ghodsi et al., NSDI 2011), of
    /// what is borrowed instead of all that is used.
    pub fn borrowed_share(&self, node: NodeId) -> u64 {
        let Some(parent) = self.parent(node) else {
            return 0;
        };
        let shares = self.cells_of(node).map(|(key, cell)| {
            let borrowed = cell
                .charge()
                .saturating_sub(i128::from(cell.line.nominal))
                .max(0);
            let of = i128::from(self.cell(parent, key).line.nominal.max(0));
            let share = borrowed.saturating_mul(WHOLE).checked_div(of);
            // Borrowed from a parent that has nothing: more than any share.
            share.unwrap_or(if borrowed > 0 { i128::MAX } else { 0 })
        });
        u64::try_from(shares.max().unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// The node and all above it, the root first. A path that is longer than the tree is a cycle
    /// and ends.
    pub fn path(&self, node: NodeId) -> Vec<NodeId> {
        let mut path = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at.filter(|_| path.len() < self.len()) {
            path.push(node);
            at = self.parent(node);
        }
        path.reverse();
        path
    }

    /// How a tenant stands to others that wait, by what is borrowed: the shares of all on its path,
    /// the highest first. Compared in order, the smaller goes first: at the first level at which two
    /// tenants part, the branch that borrows less.
    pub fn standing(&self, tenant: &str) -> Vec<u64> {
        let path = self.node(tenant).map(|node| self.path(node));
        let path = path.unwrap_or_default().into_iter();
        path.map(|node| self.borrowed_share(node)).collect()
    }

    /// By how much more the node may be charged of `key` before it borrows; negative where it does.
    pub fn unborrowed(&self, node: NodeId, key: &Key) -> i64 {
        let cell = self.cell_by_name(node, key);
        super::tree::clamp(i128::from(cell.line.nominal).saturating_sub(cell.charge()))
    }
}
