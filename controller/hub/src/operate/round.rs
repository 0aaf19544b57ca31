//! Those that are woken, in the order in which they are looked at: each has its turn before any has another.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use heyun_plan::observe::request::created;
use heyun_plan::queue::Rank;
use heyun_scheduler::request::WorkloadKey;

use super::Operator;

/// What the tenant of each namespace and those above it borrow.
pub(super) type Shares = BTreeMap<String, Vec<u64>>;

/// One look at those that are woken.
#[derive(Debug, Default)]
pub(super) struct Round {
    order: VecDeque<WorkloadKey>,
    left: BTreeSet<WorkloadKey>,
}

impl Round {
    /// A round in this order.
    pub(super) fn new(order: Vec<WorkloadKey>) -> Self {
        Self {
            left: order.iter().cloned().collect(),
            order: order.into(),
        }
    }

    /// Whether each had its turn.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// How many are still to have theirs.
    pub(super) fn len(&self) -> usize {
        self.left.len()
    }

    /// Those that are still to have theirs, by name.
    pub(super) fn left(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.left.iter()
    }

    /// Takes one out; whether its turn was still to come.
    pub(super) fn remove(&mut self, key: &WorkloadKey) -> bool {
        let was = self.left.remove(key);
        while self
            .order
            .front()
            .is_some_and(|first| !self.left.contains(first))
        {
            self.order.pop_front();
        }
        was
    }

    /// The next of them that pass, at most so many.
    pub(super) fn next(
        &self,
        passes: impl Fn(&WorkloadKey) -> bool,
        most: usize,
    ) -> Vec<WorkloadKey> {
        let left = self.order.iter().filter(|key| self.left.contains(*key));
        left.filter(|key| passes(key)).take(most).cloned().collect()
    }
}

impl Operator {
    /// A round of those that are woken, in the order of the queue: emergencies, those for which others
    /// make room, then by priority, then the tenant that borrows least, then by age.
    pub(super) fn new_round(&self, woken: Vec<WorkloadKey>) -> Round {
        let mut shares = Shares::new();
        let mut order: Vec<(Rank, WorkloadKey)> = woken
            .into_iter()
            .map(|key| (self.rank_of(&key, &mut shares), key))
            .collect();
        order.sort();
        Round::new(order.into_iter().map(|(_, key)| key).collect())
    }

    /// How one that waits stands to others; `shares` are those of its tenants that were looked at.
    pub(super) fn rank_of(&self, key: &WorkloadKey, shares: &mut Shares) -> Rank {
        let Some(entry) = self.world.workloads.get(key) else {
            return Rank::default();
        };
        let class = self.world.class_of(entry);
        let known = shares.entry(key.namespace.clone());
        let shares = known.or_insert_with(|| {
            let quotas = self.scene.snapshot().map(|snapshot| &snapshot.quotas);
            let tenant = self.world.tree.tenant_of(&key.namespace);
            let shares = tenant
                .zip(quotas)
                .map(|(tenant, of)| of.standing(&tenant.name));
            shares.unwrap_or_default()
        });
        Rank {
            emergency: Reverse(class.emergency.is_some()),
            kept: Reverse(self.reservations.contains_key(key)),
            priority: Reverse(class.value),
            shares: shares.clone(),
            created: created(&entry.meta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_in_order() {
        let key = |name: &str| WorkloadKey::new("ns", name);
        let mut round = Round::new(["d", "a", "c", "b"].map(key).to_vec());
        let names =
            |of: Vec<WorkloadKey>| -> Vec<String> { of.into_iter().map(|key| key.name).collect() };
        assert_eq!(names(round.next(|_| true, 2)), ["d", "a"]);
        assert_eq!(names(round.next(|key| key.name != "a", 9)), ["d", "c", "b"]);
        assert!(round.remove(&key("a")));
        assert!(round.remove(&key("d")));
        assert!(!round.remove(&key("d")));
        assert_eq!(names(round.next(|_| true, 1)), ["c"]);
        assert_eq!(round.len(), 2);
    }
}
