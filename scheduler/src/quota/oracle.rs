//! The rules of the quota tree written down as they stand, from scratch at every question, for
//! tests. Shares no function with the tree: only the plain types.

use std::collections::BTreeMap;

use super::{Amounts, Key, Line, Purpose};

/// A tenant as the oracle sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) parent: Option<usize>,
    pub(super) lines: BTreeMap<Key, Line>,
    pub(super) own: Amounts,
    pub(super) permille: u32,
}

/// Tenants by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    pub(super) tenants: Vec<Tenant>,
}

impl Oracle {
    pub(super) fn line(&self, at: usize, key: &Key) -> Line {
        self.tenants[at].lines.get(key).copied().unwrap_or_default()
    }

    /// own charge + sum over children of max(charge, G).
    pub(super) fn charge(&self, at: usize, key: &Key) -> i64 {
        let mut sum = self.tenants[at].own.get(key).copied().unwrap_or(0);
        for (child, tenant) in self.tenants.iter().enumerate() {
            if tenant.parent == Some(at) {
                sum += self
                    .charge(child, key)
                    .max(self.line(child, key).guaranteed);
            }
        }
        sum
    }

    /// C, at a root N; less the reserve where the commit is not failover.
    pub(super) fn most(&self, at: usize, key: &Key, purpose: Purpose) -> i64 {
        let line = self.line(at, key);
        let most = if self.tenants[at].parent.is_none() {
            line.nominal
        } else {
            line.ceiling
        };
        let product = line.nominal * i64::from(self.tenants[at].permille);
        let share = product / 1000 + i64::from(product % 1000 != 0);
        if purpose == Purpose::Failover {
            most
        } else {
            most - share
        }
    }

    /// The formula of the semantics, from the root down.
    pub(super) fn avail(&self, at: usize, key: &Key, purpose: Purpose) -> i64 {
        let charge = self.charge(at, key);
        let up_to_most = self.most(at, key, purpose) - charge;
        match self.tenants[at].parent {
            None => up_to_most,
            Some(parent) => {
                let guaranteed = (self.line(at, key).guaranteed - charge).max(0);
                up_to_most.min(guaranteed + self.avail(parent, key, purpose).max(0))
            }
        }
    }

    /// What must be true of a commit, without the formula: no tenant's charge grows beyond its
    /// most.
    pub(super) fn harmless(before: &Self, after: &Self, key: &Key, purpose: Purpose) -> bool {
        (0..after.tenants.len()).all(|at| {
            let charge = after.charge(at, key);
            charge <= before.charge(at, key) || charge <= after.most(at, key, purpose)
        })
    }

    pub(super) fn charged(&self, at: usize, delta: &Amounts) -> Self {
        let mut after = self.clone();
        for (key, added) in delta {
            *after.tenants[at].own.entry(key.clone()).or_default() += added;
        }
        after
    }

    /// A wish by trial: everything that frees at once, then the highest guaranteed that harms
    /// nobody.
    pub(super) fn settle(&mut self, at: usize, wish: &BTreeMap<Key, Line>) -> Amounts {
        let mut keys: Vec<Key> = self.tenants[at]
            .lines
            .keys()
            .chain(wish.keys())
            .cloned()
            .collect();
        keys.sort();
        keys.dedup();
        let mut pending = Amounts::new();
        for key in keys {
            let wished = wish.get(&key).copied().unwrap_or_default();
            let kept = self.line(at, &key).guaranteed.min(wished.guaranteed);
            let lines = &mut self.tenants[at].lines;
            lines.insert(
                key.clone(),
                Line {
                    guaranteed: kept,
                    ..wished
                },
            );
            let before = self.clone();
            for guaranteed in (kept..=wished.guaranteed).rev() {
                let lines = &mut self.tenants[at].lines;
                lines.insert(
                    key.clone(),
                    Line {
                        guaranteed,
                        ..wished
                    },
                );
                if Self::harmless(&before, self, &key, Purpose::Ordinary) {
                    pending.insert(key, wished.guaranteed - guaranteed);
                    break;
                }
            }
        }
        pending
    }

    pub(super) fn is_below(&self, at: usize, top: usize) -> bool {
        at == top
            || self.tenants[at]
                .parent
                .is_some_and(|parent| self.is_below(parent, top))
    }
}
