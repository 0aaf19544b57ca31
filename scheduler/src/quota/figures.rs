//! What status shows of a node.

use serde::{Deserialize, Serialize};

use super::tree::clamp;
use super::{Key, Line, NodeId, Purpose, QuotaTree};

/// A node's numbers for one key, as `Quota.status` shows them; none is negative.
///
/// What is really used is not among them: the tree knows what is charged only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The line that counts.
    pub line: Line,
    /// Charged to the tenant itself.
    pub own: i64,
    /// Charged to it and its children, with what its children's guarantees keep.
    pub charged: i64,
    /// Charged above the nominal and within the ceiling.
    pub borrowed: i64,
    /// Idle nominal above the guarantee: others may use it, and it comes back on demand.
    pub lent: i64,
    /// What an ordinary commit may still take.
    pub available: i64,
    /// Charged above the ceiling (at a root above the nominal), after a shrink.
    pub debt: i64,
    /// Guaranteed that is wished for and that the parent does not cover yet.
    pub pending: i64,
}

impl QuotaTree {
    /// The node's figures for one key.
    pub fn figures(&self, node: NodeId, key: &Key) -> Figures {
        let cell = self.cell_by_name(node, key);
        let charge = cell.charge();
        let nominal = i128::from(cell.line.nominal);
        let limit = i128::from(self.limit(node, cell.line));
        let lends = self.parent(node).is_some();
        Figures {
            line: cell.line,
            own: cell.own,
            charged: clamp(charge),
            borrowed: clamp(charge.min(limit).saturating_sub(nominal).max(0)),
            lent: if lends {
                clamp(nominal.saturating_sub(cell.held()).max(0))
            } else {
                0
            },
            available: self.avail(node, key, Purpose::Ordinary).max(0),
            debt: clamp(charge.saturating_sub(limit).max(0)),
            pending: cell.pending,
        }
    }
}
