//! What many that wait have in common, kept once.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Bound, Scope};

/// Names, bounds and scopes of all that wait, each kept once.
#[derive(Debug, Default)]
pub struct Pool {
    names: BTreeSet<Arc<str>>,
    bounds: BTreeSet<Arc<Bound>>,
    scopes: BTreeSet<Arc<Scope>>,
    /// With so many, those that nobody has any more go.
    sweep_at: usize,
}

/// So few are never swept.
const SWEEP_FROM: usize = 256;

impl Pool {
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.sweep();
        shared(&mut self.names, name)
    }

    pub(super) fn bound(&mut self, bound: Bound) -> Arc<Bound> {
        self.sweep();
        shared(&mut self.bounds, bound)
    }

    pub(super) fn scope(&mut self, scope: Scope) -> Arc<Scope> {
        self.sweep();
        shared(&mut self.scopes, scope)
    }

    /// How many are kept.
    pub(super) fn kept(&self) -> usize {
        self.names
            .len()
            .saturating_add(self.bounds.len())
            .saturating_add(self.scopes.len())
    }

    fn sweep(&mut self) {
        if self.kept() < self.sweep_at.max(SWEEP_FROM) {
            return;
        }
        self.names.retain(|of| Arc::strong_count(of) > 1);
        self.bounds.retain(|of| Arc::strong_count(of) > 1);
        self.scopes.retain(|of| Arc::strong_count(of) > 1);
        self.sweep_at = self.kept().saturating_mul(2);
    }
}

fn shared<T: Ord + ?Sized>(
    all: &mut BTreeSet<Arc<T>>,
    one: impl Borrow<T> + Into<Arc<T>>,
) -> Arc<T> {
    if let Some(known) = all.get(one.borrow()) {
        return Arc::clone(known);
    }
    let new = one.into();
    all.insert(Arc::clone(&new));
    new
}
