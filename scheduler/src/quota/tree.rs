//! The tree itself: cells per (node, key), kept incrementally, with an undo journal.

mod book;
mod left;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Key, Line, Problem, QuotaNode};

pub use book::Mark;

/// A node of one [`QuotaTree`]; stays valid for the life of that tree and its clones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// Its number: from 0, and below how many nodes there are.
    pub(crate) fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A key of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId(u32);

/// What a node holds of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    /// What counts.
    pub(super) line: Line,
    /// Guaranteed that is wished for and not covered yet.
    pub(super) pending: i64,
    /// Charged to the node itself.
    pub(super) own: i64,
    /// Sum over children of max(charge, guaranteed): wider than any sum of 64-bit amounts.
    pub(super) below: i128,
}

impl Cell {
    /// The node's charge: its own and its children's.
    pub(super) fn charge(&self) -> i128 {
        i128::from(self.own).saturating_add(self.below)
    }

    /// What the node takes from its parent.
    pub(super) fn held(&self) -> i128 {
        self.charge().max(i128::from(self.line.guaranteed))
    }

    /// Guaranteed that is not charged yet.
    fn spare(&self) -> i128 {
        i128::from(self.line.guaranteed)
            .saturating_sub(self.charge())
            .max(0)
    }
}

/// Names and parents: what scheduling never changes, shared by clones.
#[derive(Clone, Debug, Default)]
struct Shape {
    nodes: Vec<Place>,
    by_name: BTreeMap<String, NodeId>,
}

#[derive(Clone, Debug)]
struct Place {
    name: String,
    parent: Option<NodeId>,
    children: Vec<NodeId>,
    reserve_permille: u32,
}

#[derive(Clone, Debug, Default)]
struct Keys {
    names: Vec<Key>,
    by_name: BTreeMap<Key, KeyId>,
}

#[derive(Clone, Copy, Debug)]
enum Undo {
    Cell {
        node: NodeId,
        key: KeyId,
        line: Line,
        pending: i64,
        own: i64,
    },
    Parent {
        node: NodeId,
        parent: Option<NodeId>,
    },
    Reserve {
        node: NodeId,
        permille: u32,
    },
}

/// The quota tree with what is charged to each tenant.
///
/// Reading and charging cost one step per ancestor. A clone shares names; for trying placements
/// use [`QuotaTree::attempt`] or [`QuotaTree::tentatively`] instead, which undo by journal.
///
/// Serialized it is the list of its nodes in plain form, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<QuotaNode>", into = "Vec<QuotaNode>")]
pub struct QuotaTree {
    shape: Arc<Shape>,
    keys: Arc<Keys>,
    cells: Vec<BTreeMap<KeyId, Cell>>,
    journal: Vec<Undo>,
    open: usize,
}

/// Names and lookups.
impl QuotaTree {
    /// The node of a tenant, if it is in the tree.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.shape.by_name.get(name).copied()
    }

    /// The tenant's name; empty for an id of another tree.
    pub fn name(&self, node: NodeId) -> &str {
        self.place(node).map_or("", |place| place.name.as_str())
    }

    /// The parent; none at a root.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.place(node)?.parent
    }

    /// The children, by name.
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        self.place(node)
            .map_or(&[], |place| place.children.as_slice())
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.shape.by_name.values().copied()
    }

    /// The keys for which the node has a line, a wish or a charge, in order.
    pub fn keys(&self, node: NodeId) -> Vec<Key> {
        let mut keys: Vec<Key> = self
            .cells_of(node)
            .filter_map(|(key, _)| self.key_name(key).cloned())
            .collect();
        keys.sort();
        keys
    }

    /// The line that counts; zero where there is none.
    pub fn line(&self, node: NodeId, key: &Key) -> Line {
        self.cell_by_name(node, key).line
    }

    /// What is charged to the node itself, without its children.
    pub fn own_charge(&self, node: NodeId, key: &Key) -> i64 {
        self.cell_by_name(node, key).own
    }

    /// The tree in plain form, by name, with the lines that count.
    pub fn export(&self) -> Vec<QuotaNode> {
        self.nodes()
            .map(|node| {
                let mut plain = QuotaNode {
                    name: self.name(node).to_owned(),
                    parent: self.parent(node).map(|parent| self.name(parent).to_owned()),
                    failover_reserve_permille: self.reserve_permille(node),
                    ..QuotaNode::default()
                };
                for (key, cell) in self.cells_of(node) {
                    let Some(name) = self.key_name(key) else {
                        continue;
                    };
                    if cell.line != Line::default() {
                        plain.lines.insert(name.clone(), cell.line);
                    }
                    if cell.own != 0 {
                        plain.charges.insert(name.clone(), cell.own);
                    }
                    if cell.pending != 0 {
                        plain.pending.insert(name.clone(), cell.pending);
                    }
                }
                plain
            })
            .collect()
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn reserve_permille(&self, node: NodeId) -> u32 {
        self.place(node).map_or(0, |place| place.reserve_permille)
    }

    pub(super) fn cells_of(&self, node: NodeId) -> impl Iterator<Item = (KeyId, &Cell)> + '_ {
        let cells = self.cells.get(node.0 as usize);
        cells.into_iter().flatten().map(|(key, cell)| (*key, cell))
    }

    pub(super) fn cell(&self, node: NodeId, key: KeyId) -> Cell {
        let cells = self.cells.get(node.0 as usize);
        cells
            .and_then(|cells| cells.get(&key))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn cell_by_name(&self, node: NodeId, key: &Key) -> Cell {
        self.key_id(key)
            .map(|key| self.cell(node, key))
            .unwrap_or_default()
    }

    pub(super) fn key_id(&self, key: &Key) -> Option<KeyId> {
        self.keys.by_name.get(key).copied()
    }

    pub(super) fn key_name(&self, key: KeyId) -> Option<&Key> {
        self.keys.names.get(key.0 as usize)
    }

    fn place(&self, node: NodeId) -> Option<&Place> {
        self.shape.nodes.get(node.0 as usize)
    }
}

impl From<QuotaTree> for Vec<QuotaNode> {
    fn from(tree: QuotaTree) -> Self {
        tree.export()
    }
}

impl TryFrom<Vec<QuotaNode>> for QuotaTree {
    type Error = Problem;

    fn try_from(nodes: Vec<QuotaNode>) -> Result<Self, Problem> {
        let (tree, problems) = Self::build(&nodes);
        problems.into_iter().next().map_or(Ok(tree), Err)
    }
}

/// The primitives through which every change goes.
impl QuotaTree {
    /// Sets a cell and carries what the node takes from its parent upwards.
    pub(super) fn write(&mut self, node: NodeId, key: KeyId, line: Line, pending: i64, own: i64) {
        let Some(cells) = self.cells.get_mut(node.0 as usize) else {
            return;
        };
        let cell = cells.entry(key).or_default();
        if self.open > 0 {
            let Cell {
                line, pending, own, ..
            } = *cell;
            self.journal.push(Undo::Cell {
                node,
                key,
                line,
                pending,
                own,
            });
        }
        let before = cell.held();
        cell.line = line;
        cell.pending = pending;
        cell.own = own;
        let grown = cell.held().saturating_sub(before);
        self.carry(self.parent(node), key, grown);
    }

    /// Sets the share of the nominal that is kept for failover, in thousandths; counts at once.
    pub fn set_failover_reserve(&mut self, node: NodeId, permille: u32) {
        let before = self.reserve_permille(node);
        if before == permille {
            return;
        }
        if self.open > 0 {
            self.journal.push(Undo::Reserve {
                node,
                permille: before,
            });
        }
        if let Some(place) = Arc::make_mut(&mut self.shape)
            .nodes
            .get_mut(node.0 as usize)
        {
            place.reserve_permille = permille;
        }
    }

    /// Hangs the node under another parent, with what it takes from it.
    pub(super) fn link(&mut self, node: NodeId, parent: Option<NodeId>) {
        let before = self.parent(node);
        if self.open > 0 {
            self.journal.push(Undo::Parent {
                node,
                parent: before,
            });
        }
        let held: Vec<(KeyId, i128)> = self
            .cells_of(node)
            .map(|(key, cell)| (key, cell.held()))
            .collect();
        for (key, held) in &held {
            self.carry(before, *key, held.saturating_neg());
        }
        let name = self.name(node).to_owned();
        let shape = Arc::make_mut(&mut self.shape);
        if let Some(place) = shape.nodes.get_mut(node.0 as usize) {
            place.parent = parent;
        }
        if let Some(old) = before.and_then(|old| shape.nodes.get_mut(old.0 as usize)) {
            old.children.retain(|child| *child != node);
        }
        if let Some(new) = parent {
            let siblings = shape
                .nodes
                .get(new.0 as usize)
                .map(|place| place.children.clone());
            let mut siblings = siblings.unwrap_or_default();
            let at = siblings.partition_point(|child| {
                shape
                    .nodes
                    .get(child.0 as usize)
                    .is_some_and(|place| place.name < name)
            });
            siblings.insert(at, node);
            if let Some(new) = shape.nodes.get_mut(new.0 as usize) {
                new.children = siblings;
            }
        }
        for (key, held) in held {
            self.carry(parent, key, held);
        }
    }

    fn carry(&mut self, from: Option<NodeId>, key: KeyId, grown: i128) {
        let mut grown = grown;
        let mut at = from;
        while let (Some(node), true) = (at, grown != 0) {
            let Some(cells) = self.cells.get_mut(node.0 as usize) else {
                return;
            };
            let cell = cells.entry(key).or_default();
            let before = cell.held();
            cell.below = cell.below.saturating_add(grown);
            grown = cell.held().saturating_sub(before);
            at = self.parent(node);
        }
    }

    pub(super) fn intern(&mut self, key: &Key) -> KeyId {
        if let Some(id) = self.key_id(key) {
            return id;
        }
        let keys = Arc::make_mut(&mut self.keys);
        let id = KeyId(u32::try_from(keys.names.len()).unwrap_or(u32::MAX));
        keys.names.push(key.clone());
        keys.by_name.insert(key.clone(), id);
        id
    }

    /// Adds a root; [`QuotaTree::link`] hangs it under its parent.
    pub(super) fn add(&mut self, name: &str, reserve_permille: u32) -> NodeId {
        let id = NodeId(u32::try_from(self.cells.len()).unwrap_or(u32::MAX));
        let shape = Arc::make_mut(&mut self.shape);
        let place = Place {
            name: name.to_owned(),
            parent: None,
            children: Vec::new(),
            reserve_permille,
        };
        shape.nodes.push(place);
        shape.by_name.insert(name.to_owned(), id);
        self.cells.push(BTreeMap::new());
        id
    }
}

/// What a nominal keeps for failover: its share, rounded up.
pub(super) fn reserve_of(nominal: i64, permille: u32) -> i128 {
    let share = i128::from(nominal.max(0)).saturating_mul(i128::from(permille.min(1000)));
    share.saturating_add(999).checked_div(1000).unwrap_or(0)
}

/// A wide amount as a 64-bit one.
pub(super) fn clamp(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}
