//! The quota tree: who may use how much of what, with guarantees, borrowing and debt.
//!
//! A node's numbers are a share of its parent's. For node `n` and key `f` = (flavor, resource)
//! with guaranteed `G`, nominal `N`, ceiling `C` and parent `p`:
//!
//! ```text
//! charge(n) = own charge + sum over children c of max(charge(c), G(c))
//! avail(n)  = min( C(n) - charge(n),  max(0, G(n) - charge(n)) + max(0, avail(p)) )
//! avail(root) = N - charge
//! ```
//!
//! A commit fits when each resource that increases is within `avail`; a decrease always fits.
//! Amounts are millicores for cpu and whole units (bytes, pieces) for everything else, as
//! [`crate::quantity::amount`] gives them.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod build;
mod figures;
mod settle;
mod share;
mod tree;
mod valid;

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that goes wrong here fails, as it should"
)]
mod oracle;
#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that goes wrong here fails, as it should"
)]
mod properties;
#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that goes wrong here fails, as it should"
)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::quantity::format_amount;

pub use build::{Problem, Rebuilt};
pub use figures::Figures;
pub use settle::{MoveError, Settled, Wish};
pub use tree::{Mark, NodeId, QuotaTree};
pub use valid::{Violation, ViolationKind, violations};

/// The flavor of what is not on nodes: counts of objects, storage classes.
pub const NO_FLAVOR: &str = "-";

/// What a quota line counts: a resource of a flavor.
///
/// As text, and as a key in JSON, it is `flavor/resource`; the resource may hold further slashes
/// (`ascend-910/huawei.com/Ascend910`), the flavor none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    /// Name of the Flavor, or [`NO_FLAVOR`].
    pub flavor: String,
    /// Name of the resource as Kubernetes writes it: `cpu`, `memory`, `nvidia.com/gpu`.
    pub resource: String,
}

impl Key {
    /// The key of `resource` on nodes of `flavor`.
    pub fn new(flavor: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            flavor: flavor.into(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.flavor, self.resource)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

/// A text that is not `flavor/resource`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quota key \"{0}\" is not FLAVOR/RESOURCE: write for example \"general-amd64/cpu\", or \"-/pods\" for what is not on nodes"
)]
pub struct KeyError(
    /// The refused text.
    pub String,
);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((flavor, resource)) if !flavor.is_empty() && !resource.is_empty() => {
                Ok(Self::new(flavor, resource))
            }
            _ => Err(KeyError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Amounts per key: millicores for cpu, whole units for everything else.
pub type Amounts = BTreeMap<Key, i64>;

/// What a tenant may use of one key. An absent line is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Never lent to others.
    pub guaranteed: i64,
    /// What the tenant is entitled to; lent while idle, taken back on demand.
    pub nominal: i64,
    /// The most it may reach by borrowing. A root has none: there the nominal counts.
    pub ceiling: i64,
}

/// One tenant of the tree in plain form, as snapshots and `simulate` carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaNode {
    /// Name of the Tenant.
    pub name: String,
    /// Name of the parent Tenant; none at a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The lines; an absent one is zero.
    #[serde(default)]
    pub lines: BTreeMap<Key, Line>,
    /// What the tenant itself is charged, without its children.
    #[serde(default)]
    pub charges: Amounts,
    /// Guaranteed that is wished for on top of the lines and not covered yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: Amounts,
    /// Share of the nominal kept for failover, in thousandths (10 % is 100).
    #[serde(default)]
    pub failover_reserve_permille: u32,
}

/// Why something is committed: failover alone may use the failover reserve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purpose {
    /// Any commit but failover.
    #[default]
    Ordinary,
    /// The replacement of what an unreachable member held.
    Failover,
}

/// The number that stops a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Limit {
    /// The node has no line for the key, so nothing fits.
    NoLine,
    /// The node's ceiling.
    Ceiling,
    /// The node's ceiling less what it keeps for failover; failover itself would fit there.
    FailoverReserve,
    /// The nominal of a root: everything there is.
    Nominal,
}

/// Which node's which number stops a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Name of the tenant whose number it is: the asker or one of its ancestors.
    pub node: String,
    /// Which number.
    pub limit: Limit,
}

/// Why a commit does not fit: one key of which more is needed than is left.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortfall {
    /// Name of the tenant that asked.
    pub node: String,
    /// What was asked for.
    pub key: Key,
    /// How much more was needed.
    pub needed: i64,
    /// How much was left; never negative.
    pub available: i64,
    /// What stops it.
    pub binding: Binding,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = &self.key.resource;
        write!(
            out,
            "needs {} {resource} of {}, {} left in {}",
            format_amount(resource, self.needed),
            self.key.flavor,
            format_amount(resource, self.available),
            self.node,
        )?;
        let at = &self.binding.node;
        match self.binding.limit {
            Limit::NoLine => write!(out, "; the quota of {at} has no line for it"),
            Limit::Ceiling => write!(out, "; bound by the ceiling of {at}"),
            Limit::FailoverReserve => write!(out, "; bound by the failover reserve of {at}"),
            Limit::Nominal => write!(out, "; bound by the nominal of {at}"),
        }
    }
}

impl std::error::Error for Shortfall {}

/// A charge that cannot be booked: a mistake of the caller, and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// The node id belongs to no node of this tree.
    #[error("no such node in this quota tree: look its id up again by the tenant's name")]
    NoSuchNode,
    /// More was released than the node itself is charged.
    #[error(
        "tenant {node} is charged {charged} of {key} and cannot release {released}: rebuild its charges from its decisions"
    )]
    Underflow {
        /// Name of the tenant.
        node: String,
        /// Which key.
        key: Key,
        /// Its own charge before.
        charged: i64,
        /// What was to be released.
        released: i64,
    },
    /// The node's own charge would not fit 64 bits.
    #[error(
        "tenant {node} is charged {charged} of {key}, and {added} more overflow 64 bits: correct the request"
    )]
    Overflow {
        /// Name of the tenant.
        node: String,
        /// Which key.
        key: Key,
        /// Its own charge before.
        charged: i64,
        /// What was to be added.
        added: i64,
    },
}
