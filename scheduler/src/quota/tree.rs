//! The tree itself: cells per (node, key), kept incrementally, with an undo journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Amounts, Binding, ChargeError, Key, Limit, Line, Problem, Purpose, QuotaNode, Shortfall,
};

/// A node of one [`QuotaTree`]; stays valid for the life of that tree and its clones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// A key of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId(u32);

/// A point to go back to; see [`QuotaTree::begin`].
#[derive(Debug)]
#[must_use = "a mark must be given to rollback or keep"]
pub struct Mark {
    journal: usize,
    depth: usize,
}

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
        let limit = self.binding_limit(bound, key, purpose);
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

    fn binding_limit(&self, node: NodeId, key: &Key, purpose: Purpose) -> Limit {
        let line = self.line(node, key);
        if line == Line::default() {
            Limit::NoLine
        } else if purpose == Purpose::Ordinary && self.reserve(node, line) > 0 {
            Limit::FailoverReserve
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
    pub(super) fn avail_wide(&self, node: NodeId, key: KeyId, purpose: Purpose) -> (i128, NodeId) {
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
    pub(super) fn limit(&self, node: NodeId, line: Line) -> i64 {
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

/// Charging and undoing.
impl QuotaTree {
    /// Adds `delta` (negative parts release) to the node's own charges, whether or not it fits.
    ///
    /// For what is already committed. All or nothing: on an error nothing is changed.
    pub fn charge(&mut self, node: NodeId, delta: &Amounts) -> Result<(), ChargeError> {
        if self.place(node).is_none() {
            return Err(ChargeError::NoSuchNode);
        }
        for (key, added) in delta {
            self.own_after(node, key, *added)?;
        }
        for (key, added) in delta.iter().filter(|(_, added)| **added != 0) {
            let own = self.own_after(node, key, *added)?;
            let key = self.intern(key);
            let cell = self.cell(node, key);
            self.write(node, key, cell.line, cell.pending, own);
        }
        Ok(())
    }

    /// Takes `amounts` off the node's own charges. All or nothing.
    pub fn release(&mut self, node: NodeId, amounts: &Amounts) -> Result<(), ChargeError> {
        let delta: Amounts = amounts
            .iter()
            .map(|(key, amount)| (key.clone(), amount.saturating_neg()))
            .collect();
        self.charge(node, &delta)
    }

    /// [`QuotaTree::fits`] and then [`QuotaTree::charge`].
    ///
    /// The inner result is the answer of `fits`; the outer one a mistake of the caller.
    pub fn try_charge(
        &mut self,
        node: NodeId,
        delta: &Amounts,
        purpose: Purpose,
    ) -> Result<Result<(), Shortfall>, ChargeError> {
        match self.fits(node, delta, purpose) {
            Ok(()) => self.charge(node, delta).map(Ok),
            Err(shortfall) => Ok(Err(shortfall)),
        }
    }

    /// Runs `work` on the tree; what it changed stays if it succeeds and is undone if it fails.
    pub fn attempt<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let mark = self.begin();
        let result = work(self);
        if result.is_ok() {
            self.keep(mark)
        } else {
            self.rollback(mark)
        }
        result
    }

    /// Runs `work` on the tree and undoes what it changed.
    pub fn tentatively<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.begin();
        let result = work(self);
        self.rollback(mark);
        result
    }

    /// Opens a journal. Marks nest: the last one opened is rolled back or kept first; ending an
    /// outer one ends those inside it.
    pub fn begin(&mut self) -> Mark {
        self.open = self.open.saturating_add(1);
        Mark {
            journal: self.journal.len(),
            depth: self.open,
        }
    }

    /// Undoes everything since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        self.open = 0;
        while self.journal.len() > mark.journal {
            match self.journal.pop() {
                Some(Undo::Cell {
                    node,
                    key,
                    line,
                    pending,
                    own,
                }) => {
                    self.write(node, key, line, pending, own);
                }
                Some(Undo::Parent { node, parent }) => self.link(node, parent),
                None => break,
            }
        }
        self.close(&mark);
    }

    /// Keeps everything since `mark`; an outer mark can still undo it.
    pub fn keep(&mut self, mark: Mark) {
        self.close(&mark);
    }

    fn close(&mut self, mark: &Mark) {
        self.open = mark.depth.saturating_sub(1);
        if self.open == 0 {
            self.journal.clear();
        }
    }

    fn own_after(&self, node: NodeId, key: &Key, added: i64) -> Result<i64, ChargeError> {
        let charged = self.own_charge(node, key);
        let node = || self.name(node).to_owned();
        let Some(own) = charged.checked_add(added) else {
            return Err(ChargeError::Overflow {
                node: node(),
                key: key.clone(),
                charged,
                added,
            });
        };
        if own < 0 && added < 0 {
            let released = added.saturating_neg();
            return Err(ChargeError::Underflow {
                node: node(),
                key: key.clone(),
                charged,
                released,
            });
        }
        Ok(own)
    }
}

/// The two primitives through which every change goes.
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
