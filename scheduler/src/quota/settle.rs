//! From what a Quota's spec wishes to what counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::build::not_negative;
use super::tree::{KeyId, clamp};
use super::{Key, Line, NodeId, Purpose, QuotaTree, Shortfall};

/// A line as it counts after a wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// Name of the tenant.
    pub node: String,
    /// Which key.
    pub key: Key,
    /// What counts from now on.
    pub effective: Line,
    /// Guaranteed that the parent does not cover yet.
    pub pending: i64,
}

/// Why a node stays under its parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The new parent is the node itself or below it.
    #[error(
        "tenant {node} cannot move under {parent}, which is {node} or below it: choose a parent outside its subtree"
    )]
    Cycle {
        /// The tenant to move.
        node: String,
        /// The parent it was to have.
        parent: String,
    },
    /// What is charged to the node does not fit under the new parent.
    #[error(
        "tenant {node} cannot move under {parent}: {shortfall}; raise the quota of {parent} or scale {node} down first"
    )]
    DoesNotFit {
        /// The tenant to move.
        node: String,
        /// The parent it was to have.
        parent: String,
        /// The first key of which too little is left there.
        shortfall: Box<Shortfall>,
    },
}

/// Wishes of one tenant: all its lines; a key that is not among them is wished to be zero.
pub type Wish = BTreeMap<Key, Line>;

impl QuotaTree {
    /// Makes one tenant's wish count, as far as it may now.
    ///
    /// Nominal and ceiling, and any lowering, count at once. A higher guaranteed is a
    /// reservation: it counts as far as what is left at the parent covers it, and the rest is
    /// pending; calling again later tries again. Negative numbers are taken as zero. The answer
    /// has one entry per key of the wish and per line that the node had.
    pub fn settle(&mut self, node: NodeId, wish: &Wish) -> Vec<Settled> {
        let wish = self.wish_with_absent(node, wish);
        for (key, line) in &wish {
            self.lower(node, *key, *line);
        }
        self.raise_all(node, &wish)
    }

    /// Makes the wishes of many tenants count: first everything that frees, then guarantees by
    /// name of the tenant. A tenant that is not named keeps its lines.
    pub fn settle_all(&mut self, wishes: &BTreeMap<NodeId, Wish>) -> Vec<Settled> {
        let mut by_name: BTreeMap<String, (NodeId, Vec<(KeyId, Line)>)> = BTreeMap::new();
        for (node, wish) in wishes {
            let wish = self.wish_with_absent(*node, wish);
            by_name.insert(self.name(*node).to_owned(), (*node, wish));
        }
        for (node, wish) in by_name.values() {
            for (key, line) in wish {
                self.lower(*node, *key, *line);
            }
        }
        by_name
            .values()
            .flat_map(|(node, wish)| self.raise_all(*node, wish))
            .collect()
    }

    /// Moves a node with its subtree under another parent, or makes it a root.
    ///
    /// What is charged must fit there; its guarantees follow as far as they are covered, the
    /// rest is pending. On an error nothing is changed.
    pub fn move_under(&mut self, node: NodeId, parent: Option<NodeId>) -> Result<(), MoveError> {
        if self.parent(node) == parent {
            return Ok(());
        }
        let mut above = parent;
        while let Some(at) = above {
            if at == node {
                let parent = parent
                    .map(|parent| self.name(parent).to_owned())
                    .unwrap_or_default();
                return Err(MoveError::Cycle {
                    node: self.name(node).to_owned(),
                    parent,
                });
            }
            above = self.parent(at);
        }
        self.attempt(|tree| tree.move_checked(node, parent))
    }

    fn move_checked(&mut self, node: NodeId, parent: Option<NodeId>) -> Result<(), MoveError> {
        let wish: Vec<(KeyId, Line)> = self
            .cells_of(node)
            .map(|(key, cell)| {
                let guaranteed = cell.line.guaranteed.saturating_add(cell.pending);
                (
                    key,
                    Line {
                        guaranteed,
                        ..cell.line
                    },
                )
            })
            .collect();
        for (key, line) in &wish {
            self.lower(
                node,
                *key,
                Line {
                    guaranteed: 0,
                    ..*line
                },
            );
        }
        self.link(node, None);
        if let Some(parent) = parent {
            let charged = self
                .cells_of(node)
                .filter_map(|(key, cell)| Some((self.key_name(key)?.clone(), clamp(cell.charge()))))
                .collect();
            self.fits(parent, &charged, Purpose::Ordinary)
                .map_err(|shortfall| MoveError::DoesNotFit {
                    node: self.name(node).to_owned(),
                    parent: self.name(parent).to_owned(),
                    shortfall: Box::new(shortfall),
                })?;
        }
        self.link(node, parent);
        self.raise_all(node, &wish);
        Ok(())
    }

    fn wish_with_absent(&mut self, node: NodeId, wish: &Wish) -> Vec<(KeyId, Line)> {
        let had: Vec<KeyId> = self
            .cells_of(node)
            .filter(|(_, cell)| cell.line != Line::default() || cell.pending != 0)
            .map(|(key, _)| key)
            .collect();
        let mut all: BTreeMap<KeyId, Line> =
            had.into_iter().map(|key| (key, Line::default())).collect();
        for (key, line) in wish {
            all.insert(self.intern(key), not_negative(*line));
        }
        all.into_iter().collect()
    }

    /// Everything of a wish that needs no room: nominal, ceiling, a lower guaranteed.
    fn lower(&mut self, node: NodeId, key: KeyId, wish: Line) {
        let cell = self.cell(node, key);
        let guaranteed = cell.line.guaranteed.min(wish.guaranteed);
        let pending = wish.guaranteed.saturating_sub(guaranteed);
        self.write(node, key, Line { guaranteed, ..wish }, pending, cell.own);
    }

    pub(super) fn raise_all(&mut self, node: NodeId, wish: &[(KeyId, Line)]) -> Vec<Settled> {
        for (key, line) in wish {
            self.raise(node, *key, line.guaranteed);
        }
        let mut settled: Vec<Settled> = wish
            .iter()
            .filter_map(|(key, _)| {
                let cell = self.cell(node, *key);
                Some(Settled {
                    node: self.name(node).to_owned(),
                    key: self.key_name(*key)?.clone(),
                    effective: cell.line,
                    pending: cell.pending,
                })
            })
            .collect();
        settled.sort_by(|left, right| left.key.cmp(&right.key));
        settled
    }

    /// Raises the guaranteed as far as the parent covers what the node then takes from it.
    fn raise(&mut self, node: NodeId, key: KeyId, wished: i64) {
        let cell = self.cell(node, key);
        let reach = match self.parent(node) {
            None => i128::from(wished),
            Some(parent) => {
                let (left, _) = self.avail_wide(parent, key, Purpose::Ordinary);
                cell.held().saturating_add(left.max(0))
            }
        };
        let guaranteed = wished.min(clamp(reach));
        let pending = wished.saturating_sub(guaranteed);
        self.write(
            node,
            key,
            Line {
                guaranteed,
                ..cell.line
            },
            pending,
            cell.own,
        );
    }
}
