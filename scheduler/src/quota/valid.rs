//! Validity of wishes: what needs the whole tree to be seen.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::tree::{clamp, reserve_of};
use super::{Key, Line, QuotaNode};
use crate::quantity::format_amount;

/// A rule that the lines of a tenant break.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Name of the tenant whose Quota it is; for sums, the parent.
    pub node: String,
    /// Which line.
    pub key: Key,
    /// Which rule, with the numbers.
    pub kind: ViolationKind,
}

/// Which rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ViolationKind {
    /// A number is below zero.
    Negative {
        /// `guaranteed`, `nominal` or `ceiling`.
        field: String,
        /// The number.
        value: i64,
    },
    /// guaranteed > nominal.
    GuaranteedAboveNominal {
        /// The guaranteed.
        guaranteed: i64,
        /// The nominal.
        nominal: i64,
    },
    /// nominal > ceiling.
    NominalAboveCeiling {
        /// The nominal.
        nominal: i64,
        /// The ceiling.
        ceiling: i64,
    },
    /// guaranteed > ceiling less what is kept for failover.
    GuaranteedInFailoverReserve {
        /// The guaranteed.
        guaranteed: i64,
        /// The ceiling.
        ceiling: i64,
        /// What is kept for failover.
        reserve: i64,
    },
    /// The children's guaranteed together are more than the parent's (a root's nominal).
    ChildrenGuaranteed {
        /// Their sum.
        sum: i64,
        /// What the parent has for it.
        limit: i64,
        /// Whether the parent is a root, where the nominal is the limit.
        root: bool,
        /// The children that add to it, with what they add.
        children: BTreeMap<String, i64>,
    },
    /// The children's nominal together are more than the parent's times the overcommit.
    ChildrenNominal {
        /// Their sum.
        sum: i64,
        /// What the parent allows: its nominal times the overcommit.
        limit: i64,
        /// The children that add to it, with what they add.
        children: BTreeMap<String, i64>,
    },
}

/// Every rule that the nodes' lines break, by tenant and key.
///
/// `overcommit_percent` is how far the children's nominal together may exceed the parent's: 100
/// is not at all. A parent that is not among the nodes is not judged here.
pub fn violations(nodes: &[QuotaNode], overcommit_percent: u32) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut sums: BTreeMap<(&str, &Key), Children> = BTreeMap::new();
    for node in nodes {
        for (key, line) in &node.lines {
            let place = |kind| Violation {
                node: node.name.clone(),
                key: key.clone(),
                kind,
            };
            let reserve = node.failover_reserve_permille;
            let is_root = node.parent.is_none();
            found.extend(line_rules(*line, reserve, is_root).into_iter().map(place));
            if let Some(parent) = &node.parent {
                let children = sums.entry((parent, key)).or_default();
                children.add(&node.name, *line);
            }
        }
    }
    let least = Key::new("", "");
    for node in nodes {
        let of_node = sums.range((node.name.as_str(), &least)..);
        for ((_, key), children) in of_node.take_while(|((parent, _), _)| *parent == node.name) {
            let line = node.lines.get(key).copied().unwrap_or_default();
            let place = |kind| Violation {
                node: node.name.clone(),
                key: (*key).clone(),
                kind,
            };
            let kinds = children.rules(line, node.parent.is_none(), overcommit_percent);
            found.extend(kinds.into_iter().map(place));
        }
    }
    found.sort();
    found
}

fn line_rules(line: Line, reserve_permille: u32, is_root: bool) -> Vec<ViolationKind> {
    let Line {
        guaranteed,
        nominal,
        ceiling,
    } = line;
    let mut kinds = Vec::new();
    for (field, value) in [
        ("guaranteed", guaranteed),
        ("nominal", nominal),
        ("ceiling", ceiling),
    ] {
        if value < 0 {
            kinds.push(ViolationKind::Negative {
                field: field.to_owned(),
                value,
            });
        }
    }
    if guaranteed > nominal {
        kinds.push(ViolationKind::GuaranteedAboveNominal {
            guaranteed,
            nominal,
        });
    }
    if nominal > ceiling {
        kinds.push(ViolationKind::NominalAboveCeiling { nominal, ceiling });
    }
    let reserve = clamp(reserve_of(nominal, reserve_permille));
    let limit = if is_root { nominal } else { ceiling };
    if reserve > 0 && guaranteed > limit.saturating_sub(reserve) && guaranteed <= nominal {
        kinds.push(ViolationKind::GuaranteedInFailoverReserve {
            guaranteed,
            ceiling: limit,
            reserve,
        });
    }
    kinds
}

/// What the children of one node have of one key.
#[derive(Default)]
struct Children {
    guaranteed: BTreeMap<String, i64>,
    nominal: BTreeMap<String, i64>,
}

impl Children {
    fn add(&mut self, name: &str, line: Line) {
        if line.guaranteed > 0 {
            self.guaranteed.insert(name.to_owned(), line.guaranteed);
        }
        if line.nominal > 0 {
            self.nominal.insert(name.to_owned(), line.nominal);
        }
    }

    fn rules(&self, parent: Line, root: bool, overcommit_percent: u32) -> Vec<ViolationKind> {
        let mut kinds = Vec::new();
        let limit = if root {
            parent.nominal
        } else {
            parent.guaranteed
        }
        .max(0);
        let sum = total(&self.guaranteed);
        if sum > i128::from(limit) {
            let (sum, children) = (clamp(sum), self.guaranteed.clone());
            kinds.push(ViolationKind::ChildrenGuaranteed {
                sum,
                limit,
                root,
                children,
            });
        }
        let share = i128::from(parent.nominal.max(0)).saturating_mul(overcommit_percent.into());
        let limit = share.checked_div(100).unwrap_or(0);
        let sum = total(&self.nominal);
        if sum > limit {
            let (sum, limit, children) = (clamp(sum), clamp(limit), self.nominal.clone());
            kinds.push(ViolationKind::ChildrenNominal {
                sum,
                limit,
                children,
            });
        }
        kinds
    }
}

/// Wider than any sum of 64-bit amounts.
fn total(parts: &BTreeMap<String, i64>) -> i128 {
    parts
        .values()
        .fold(0_i128, |sum, part| sum.saturating_add(i128::from(*part)))
}

/// How many children a message names.
const NAMED_CHILDREN: usize = 5;

fn largest(children: &BTreeMap<String, i64>, resource: &str) -> String {
    let mut parts: Vec<(&String, &i64)> = children.iter().collect();
    parts.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    let named = parts.iter().take(NAMED_CHILDREN);
    let named: Vec<String> = named
        .map(|(name, part)| format!("{name} {}", format_amount(resource, **part)))
        .collect();
    let more = parts.len().saturating_sub(NAMED_CHILDREN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", named.join(", "))
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = &self.key.resource;
        let shown = |amount: &i64| format_amount(resource, *amount);
        write!(out, "quota {}, line {}: ", self.node, self.key)?;
        match &self.kind {
            ViolationKind::Negative { field, value } => {
                write!(out, "{field} is {}: give 0 or more", shown(value))
            }
            ViolationKind::GuaranteedAboveNominal {
                guaranteed,
                nominal,
            } => write!(
                out,
                "guaranteed {g} is above nominal {n}: lower guaranteed to {n} or raise nominal to {g}",
                g = shown(guaranteed),
                n = shown(nominal),
            ),
            ViolationKind::NominalAboveCeiling { nominal, ceiling } => write!(
                out,
                "nominal {n} is above ceiling {c}: lower nominal to {c} or raise ceiling to {n}",
                n = shown(nominal),
                c = shown(ceiling),
            ),
            ViolationKind::GuaranteedInFailoverReserve {
                guaranteed,
                ceiling,
                reserve,
            } => write!(
                out,
                "guaranteed {} is above {}, which is the ceiling {} less {} kept for failover: lower guaranteed or failoverReserve, or raise the ceiling",
                shown(guaranteed),
                shown(&ceiling.saturating_sub(*reserve)),
                shown(ceiling),
                shown(reserve),
            ),
            ViolationKind::ChildrenGuaranteed {
                sum,
                limit,
                root,
                children,
            } => write!(
                out,
                "its children's guaranteed are {} together ({}), above its {} {}: lower theirs or raise it",
                shown(sum),
                largest(children, resource),
                if *root { "nominal" } else { "guaranteed" },
                shown(limit),
            ),
            ViolationKind::ChildrenNominal {
                sum,
                limit,
                children,
            } => write!(
                out,
                "its children's nominal are {} together ({}), above the {} that its nominal and the overcommit allow: lower theirs or raise it",
                shown(sum),
                largest(children, resource),
                shown(limit),
            ),
        }
    }
}

impl std::error::Error for Violation {}
