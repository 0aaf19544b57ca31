//! From plain nodes to a tree: what has no place in it is left out, with a problem each.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Cell, KeyId};
use super::{Key, Line, QuotaNode, QuotaTree, Settled};

/// Why a tenant is not in the tree, or not as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// The parent does not exist.
    #[error(
        "tenant {node} names parent {parent}, which does not exist: create {parent} or correct the parent of {node}"
    )]
    MissingParent {
        /// The tenant that is left out.
        node: String,
        /// The parent it names.
        parent: String,
    },
    /// The tenant is its own ancestor.
    #[error("tenant {node} is on a cycle of parents ({}): correct the parent of one of them", cycle.join(" -> "))]
    Cycle {
        /// The tenant that is left out.
        node: String,
        /// The cycle, from the tenant upwards and back to it.
        cycle: Vec<String>,
    },
    /// The parent exists and is itself left out.
    #[error(
        "tenant {node} is below {parent}, which has no place in the tree: correct {parent} first"
    )]
    ParentLeftOut {
        /// The tenant that is left out.
        node: String,
        /// Its parent.
        parent: String,
    },
    /// A second node of the same name; the first one counts.
    #[error("tenant {node} is given twice: the first one counts, remove the other")]
    Duplicate {
        /// The tenant.
        node: String,
    },
    /// A negative charge; it counts as zero.
    #[error(
        "tenant {node} has a charge of {amount} for {key}, which counts as 0: rebuild its charges from its decisions"
    )]
    NegativeCharge {
        /// The tenant.
        node: String,
        /// Which key.
        key: Key,
        /// The charge.
        amount: i64,
    },
    /// A line with a negative number; negative numbers count as zero.
    #[error(
        "tenant {node} has a negative number in its line for {key}, which counts as 0: correct its quota"
    )]
    NegativeLine {
        /// The tenant.
        node: String,
        /// Which key.
        key: Key,
    },
}

impl Problem {
    /// Name of the tenant that has the problem.
    pub fn node(&self) -> &str {
        match self {
            Self::MissingParent { node, .. }
            | Self::Cycle { node, .. }
            | Self::ParentLeftOut { node, .. }
            | Self::Duplicate { node }
            | Self::NegativeCharge { node, .. }
            | Self::NegativeLine { node, .. } => node,
        }
    }

    /// Whether the tenant is left out of the tree.
    pub fn left_out(&self) -> bool {
        matches!(
            self,
            Self::MissingParent { .. } | Self::Cycle { .. } | Self::ParentLeftOut { .. }
        )
    }
}

/// A tree made anew from charges and wishes.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The tree.
    pub tree: QuotaTree,
    /// What counts of every line now.
    pub settled: Vec<Settled>,
    /// What has no place in the tree.
    pub problems: Vec<Problem>,
}

impl QuotaTree {
    /// A tree of nodes whose lines are what counts (`Quota.status.effective`).
    ///
    /// Orphans, members of cycles and everything below them are left out; each has a problem.
    /// The order of `nodes` does not matter, but that the first of two of one name counts.
    pub fn build(nodes: &[QuotaNode]) -> (Self, Vec<Problem>) {
        let (mut tree, wishes, problems) = Self::with_charges(nodes);
        for (node, lines) in &wishes {
            for (key, line) in lines {
                if let Some(id) = tree.node(node) {
                    let Cell { own, pending, .. } = tree.cell(id, *key);
                    tree.write(id, *key, *line, pending, own);
                }
            }
        }
        (tree, problems)
    }

    /// A tree of nodes whose lines are wishes, when what counts was lost: charges first, then
    /// guarantees by name as far as the parent covers them.
    pub fn rebuild(nodes: &[QuotaNode]) -> Rebuilt {
        let (mut tree, wishes, problems) = Self::with_charges(nodes);
        for (node, lines) in &wishes {
            for (key, line) in lines {
                if let Some(id) = tree.node(node) {
                    let own = tree.cell(id, *key).own;
                    tree.write(
                        id,
                        *key,
                        Line {
                            guaranteed: 0,
                            ..*line
                        },
                        line.guaranteed,
                        own,
                    );
                }
            }
        }
        let mut settled = Vec::new();
        for (node, lines) in &wishes {
            if let Some(id) = tree.node(node) {
                settled.extend(tree.raise_all(id, lines));
            }
        }
        Rebuilt {
            tree,
            settled,
            problems,
        }
    }

    /// The tree with charges and no lines, and the lines apart, by name.
    fn with_charges(nodes: &[QuotaNode]) -> (Self, Wishes, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut by_name: BTreeMap<&str, &QuotaNode> = BTreeMap::new();
        for node in nodes {
            if by_name.contains_key(node.name.as_str()) {
                problems.push(Problem::Duplicate {
                    node: node.name.clone(),
                });
            } else {
                by_name.insert(&node.name, node);
            }
        }
        let placed = placed(&by_name, &mut problems);
        let mut tree = Self::default();
        for name in &placed {
            let reserve = by_name
                .get(name)
                .map_or(0, |node| node.failover_reserve_permille);
            tree.add(name, reserve);
        }
        let mut wishes = Wishes::new();
        for node in by_name
            .values()
            .filter(|node| placed.contains(node.name.as_str()))
        {
            let Some(id) = tree.node(&node.name) else {
                continue;
            };
            let parent = node.parent.as_deref().and_then(|parent| tree.node(parent));
            if parent.is_some() {
                tree.link(id, parent);
            }
            for (key, amount) in &node.charges {
                let key_id = tree.intern(key);
                if *amount < 0 {
                    let (node, key, amount) = (node.name.clone(), key.clone(), *amount);
                    problems.push(Problem::NegativeCharge { node, key, amount });
                } else {
                    tree.write(id, key_id, Line::default(), 0, *amount);
                }
            }
            for (key, pending) in &node.pending {
                let key = tree.intern(key);
                let own = tree.cell(id, key).own;
                tree.write(id, key, Line::default(), (*pending).max(0), own);
            }
            let lines = wishes.entry(node.name.clone()).or_default();
            for (key, line) in &node.lines {
                let counted = not_negative(*line);
                if counted != *line {
                    let (node, key) = (node.name.clone(), key.clone());
                    problems.push(Problem::NegativeLine { node, key });
                }
                lines.push((tree.intern(key), counted));
            }
        }
        problems.sort();
        (tree, wishes, problems)
    }
}

type Wishes = BTreeMap<String, Vec<(KeyId, Line)>>;

pub(super) fn not_negative(line: Line) -> Line {
    Line {
        guaranteed: line.guaranteed.max(0),
        nominal: line.nominal.max(0),
        ceiling: line.ceiling.max(0),
    }
}

/// The nodes whose way upwards ends at a root; a problem for each of the others.
fn placed<'a>(
    by_name: &BTreeMap<&'a str, &'a QuotaNode>,
    problems: &mut Vec<Problem>,
) -> BTreeSet<&'a str> {
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut left_out: BTreeSet<&str> = BTreeSet::new();
    for start in by_name.keys() {
        let mut way: Vec<&str> = Vec::new();
        let mut on_way: BTreeSet<&str> = BTreeSet::new();
        let mut at = *start;
        let reaches_root = loop {
            if placed.contains(at) {
                break true;
            }
            if left_out.contains(at) || !on_way.insert(at) {
                break false;
            }
            way.push(at);
            match by_name.get(at).map(|node| node.parent.as_deref()) {
                Some(None) => break true,
                Some(Some(parent)) => at = parent,
                None => break false,
            }
        };
        if reaches_root {
            placed.extend(way);
        } else {
            left_out.extend(way);
        }
    }
    for name in left_out {
        let Some(parent) = by_name.get(name).and_then(|node| node.parent.clone()) else {
            continue;
        };
        let node = name.to_owned();
        problems.push(if !by_name.contains_key(parent.as_str()) {
            Problem::MissingParent { node, parent }
        } else if let Some(cycle) = cycle_of(by_name, name) {
            Problem::Cycle { node, cycle }
        } else {
            Problem::ParentLeftOut { node, parent }
        });
    }
    placed
}

/// The cycle that the node is on, if it is on one.
fn cycle_of(by_name: &BTreeMap<&str, &QuotaNode>, start: &str) -> Option<Vec<String>> {
    let mut cycle = vec![start.to_owned()];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut at = start;
    loop {
        let parent = by_name.get(at)?.parent.as_deref()?;
        cycle.push(parent.to_owned());
        if parent == start {
            return Some(cycle);
        }
        if !seen.insert(parent) {
            return None;
        }
        at = parent;
    }
}
