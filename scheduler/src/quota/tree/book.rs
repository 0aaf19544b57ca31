//! Charging, releasing, and the journal that undoes both.

use super::super::{Amounts, ChargeError, Key, Purpose, Shortfall};
use super::{NodeId, QuotaTree, Undo};

/// A point to go back to; see [`QuotaTree::begin`].
#[derive(Debug)]
#[must_use = "a mark must be given to rollback or keep"]
pub struct Mark {
    journal: usize,
    depth: usize,
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
            self.keep(mark);
        } else {
            self.rollback(mark);
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
                Some(Undo::Reserve { node, permille }) => {
                    self.set_failover_reserve(node, permille);
                }
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
        if own < 0 {
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
