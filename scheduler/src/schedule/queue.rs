//! The queue of a batch: emergencies first, then those for which others make room, then by priority,
//! then the tenant that borrows least, then age.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::preempt::Reservation;
use crate::quota::{NodeId, QuotaTree};
use crate::request::{Request, WorkloadKey};

/// What is still to be decided of a batch.
pub(super) struct Queue<'r> {
    /// Those for which something is kept, in turn; emergencies first.
    reserved: VecDeque<Reserved<'r>>,
    /// Requests of one rank, the next rank first.
    ranks: VecDeque<Vec<&'r Request>>,
    /// The rank whose turn it is, by tenant.
    turn: Turn<'r>,
    /// Borrowed shares of nodes, as far as they are known and hold.
    shares: Vec<Option<u64>>,
}

/// One for which something is kept.
struct Reserved<'r> {
    emergency: bool,
    key: WorkloadKey,
    request: Option<&'r Request>,
}

/// What comes next.
pub(super) struct Next<'r> {
    /// A request to decide.
    pub(super) request: Option<&'r Request>,
    /// What is kept is this one's, unless it is placed now.
    pub(super) reserved: Option<WorkloadKey>,
}

/// The requests of one rank.
#[derive(Default)]
struct Turn<'r> {
    tenants: BTreeMap<&'r str, Waiting<'r>>,
}

struct Waiting<'r> {
    /// The tenant's path, the root first.
    path: Vec<NodeId>,
    /// Its requests, the oldest first.
    requests: VecDeque<&'r Request>,
}

/// Which of two goes first whatever their tenants borrow; equal for two of one rank.
fn rank(request: &Request) -> (Reverse<bool>, Reverse<i32>) {
    (Reverse(request.emergency), Reverse(request.priority))
}

impl<'r> Queue<'r> {
    /// The queue of these requests. Of two with one key the one with the higher generation counts.
    pub(super) fn new(requests: &'r [Request], kept: &BTreeMap<WorkloadKey, Reservation>) -> Self {
        let mut order = in_order(requests);
        let mut asked: BTreeMap<&WorkloadKey, &Request> = BTreeMap::new();
        if !kept.is_empty() {
            order.retain(|request| {
                let is_kept = kept.contains_key(&request.key);
                if is_kept {
                    asked.insert(&request.key, request);
                }
                !is_kept
            });
        }
        let mut reserved: Vec<(&WorkloadKey, &Reservation)> = kept.iter().collect();
        reserved.sort_by_key(|(key, of)| (Reverse(of.emergency), Reverse(of.priority), *key));
        let reserved = reserved.into_iter().map(|(key, of)| Reserved {
            emergency: of.emergency,
            key: key.clone(),
            request: asked.get(key).copied(),
        });
        let alike = |one: &&Request, other: &&Request| rank(one) == rank(other);
        Self {
            reserved: reserved.collect(),
            ranks: order.chunk_by(alike).map(<[&Request]>::to_vec).collect(),
            turn: Turn::default(),
            shares: Vec::new(),
        }
    }

    /// The next one, as the tree is charged now.
    pub(super) fn next(&mut self, quotas: &QuotaTree) -> Option<Next<'r>> {
        if self.turn.tenants.is_empty() {
            if let Some(reserved) = self.next_reserved() {
                // It is charged, which the shares that are known do not show.
                self.shares.clear();
                return Some(Next {
                    request: reserved.request,
                    reserved: Some(reserved.key),
                });
            }
            let rank = self.ranks.pop_front()?;
            self.turn = Turn::new(rank, quotas);
        }
        let tenant = self.turn.first(quotas, &mut self.shares)?;
        let waiting = self.turn.tenants.get_mut(tenant)?;
        let request = waiting.requests.pop_front();
        // What is decided now may be charged to all on its path.
        for node in &waiting.path {
            if let Some(share) = self.shares.get_mut(node.number()) {
                *share = None;
            }
        }
        if waiting.requests.is_empty() {
            self.turn.tenants.remove(tenant);
        }
        Some(Next {
            request,
            reserved: None,
        })
    }

    /// Those for which something is kept come after the emergencies that ask for the first time.
    fn next_reserved(&mut self) -> Option<Reserved<'r>> {
        let first = self.reserved.front()?;
        let next = self.ranks.front().and_then(|rank| rank.first());
        let emergency = next.is_some_and(|request| request.emergency);
        if emergency && !first.emergency {
            return None;
        }
        self.reserved.pop_front()
    }
}

/// The requests by rank, age and name, one of each key.
fn in_order(requests: &[Request]) -> Vec<&Request> {
    let mut order: Vec<&Request> = requests.iter().collect();
    order.sort_by(|left, right| {
        rank(left)
            .cmp(&rank(right))
            .then(left.created.cmp(&right.created))
            .then(left.key.cmp(&right.key))
            .then(right.generation.cmp(&left.generation))
            .then(left.uid.cmp(&right.uid))
    });
    let mut newest: BTreeMap<_, (i64, &str)> = BTreeMap::new();
    for request in &order {
        let known = newest
            .entry(&request.key)
            .or_insert((request.generation, &request.uid));
        *known = (*known).max((request.generation, &request.uid));
    }
    let mut seen = BTreeSet::new();
    order.retain(|request| {
        let newest = newest.get(&request.key) == Some(&(request.generation, &*request.uid));
        newest && seen.insert(&request.key)
    });
    order
}

impl<'r> Turn<'r> {
    fn new(rank: Vec<&'r Request>, quotas: &QuotaTree) -> Self {
        let mut tenants: BTreeMap<&str, Waiting<'_>> = BTreeMap::new();
        for request in rank {
            let waiting = tenants.entry(&*request.tenant).or_insert_with(|| {
                let node = quotas.node(&request.tenant);
                Waiting {
                    path: node.map(|node| quotas.path(node)).unwrap_or_default(),
                    requests: VecDeque::new(),
                }
            });
            waiting.requests.push_back(request);
        }
        Self { tenants }
    }

    /// The tenant whose turn it is: the one that borrows least, as [`QuotaTree::standing`] compares,
    /// of two alike the one with the older request.
    fn first(&self, quotas: &QuotaTree, known: &mut Vec<Option<u64>>) -> Option<&'r str> {
        let mut tenants = self.tenants.iter();
        let (mut first, mut best) = tenants.next()?;
        for (tenant, waiting) in tenants {
            let by_age = |of: &Waiting<'r>| of.requests.front().map(|of| (of.created, &of.key));
            let order = by_shares(&waiting.path, &best.path, quotas, known)
                .then_with(|| by_age(waiting).cmp(&by_age(best)));
            if order.is_lt() {
                (first, best) = (tenant, waiting);
            }
        }
        Some(first)
    }
}

/// Compares the shares on two paths, the root first, as far as both go and they part.
fn by_shares(
    one: &[NodeId],
    other: &[NodeId],
    quotas: &QuotaTree,
    known: &mut Vec<Option<u64>>,
) -> std::cmp::Ordering {
    let mut share = |node: Option<&NodeId>| {
        let Some(node) = node else { return 0 };
        let at = node.number();
        if known.len() <= at {
            known.resize(at.saturating_add(1), None);
        }
        let slot = known.get_mut(at);
        slot.map_or(0, |slot| {
            *slot.get_or_insert_with(|| quotas.borrowed_share(*node))
        })
    };
    for level in 0..one.len().max(other.len()) {
        let (one, other) = (one.get(level), other.get(level));
        if one == other {
            continue;
        }
        let order = share(one).cmp(&share(other));
        if order.is_ne() {
            return order;
        }
    }
    std::cmp::Ordering::Equal
}
