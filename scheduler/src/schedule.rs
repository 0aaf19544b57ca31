//! The one function that decides.

use crate::case::Memory;
use crate::config::Config;
use crate::decide::decide;
use crate::fleet::Fleet;
use crate::hash::Inputs;
use crate::quota::QuotaTree;
use crate::request::Request;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;

/// Decides on all requests: by priority, the highest first, then by age, then by name, whatever
/// order they come in; the verdicts stand in that order. Each decision sees what the earlier ones
/// of the batch have taken: their replicas as in flight, their charges as charged. Of two requests
/// with one key the one with the higher generation counts.
///
/// The verdicts are promises only together: commit them in this order, and decide again on what
/// follows one that could not be committed.
pub fn schedule(snapshot: &Snapshot, requests: &[Request], config: &Config) -> Vec<Verdict> {
    let mut batch = Batch::new(snapshot, config);
    let order = in_order(requests);
    order
        .into_iter()
        .map(|request| batch.decide(request))
        .collect()
}

/// A batch under way: what its decisions have taken, and what was judged for them once.
///
/// [`schedule`] is this with the requests in their order; who decides one by one keeps to that
/// order, or others are placed first.
pub struct Batch<'a> {
    snapshot: &'a Snapshot,
    config: &'a Config,
    fleet: Fleet<'a>,
    memory: Memory<'a>,
    quotas: QuotaTree,
    inputs: Inputs,
}

impl<'a> Batch<'a> {
    /// A batch in which nothing is decided yet.
    pub fn new(snapshot: &'a Snapshot, config: &'a Config) -> Self {
        Self {
            snapshot,
            config,
            fleet: Fleet::new(snapshot),
            memory: Memory::default(),
            quotas: snapshot.quotas.clone(),
            inputs: Inputs::new(snapshot, config),
        }
    }

    /// Decides on one request; what the verdict takes is taken for those after it.
    pub fn decide(&mut self, request: &'a Request) -> Verdict {
        let mut decided = decide(
            &self.fleet,
            &mut self.memory,
            &self.quotas,
            request,
            self.config,
        );
        decided.verdict.inputs_hash = self.inputs.hash(self.snapshot, &self.quotas, request);
        self.inputs.follow(&decided.verdict);
        for (lot, each, replicas) in decided.taken {
            self.fleet.assume(lot, each, replicas);
        }
        if let Some(node) = self.quotas.node(&request.tenant)
            && !decided.increase.is_empty()
        {
            // An overflow cannot be: the increase was within what is left.
            let _ = self.quotas.charge(node, &decided.increase);
        }
        decided.verdict
    }
}

/// The requests in the order in which they are decided.
fn in_order(requests: &[Request]) -> Vec<&Request> {
    let mut order: Vec<&Request> = requests.iter().collect();
    order.sort_by(|left, right| {
        right
            .priority
            .cmp(&left.priority)
            .then(left.created.cmp(&right.created))
            .then(left.key.cmp(&right.key))
            .then(right.generation.cmp(&left.generation))
            .then(left.uid.cmp(&right.uid))
    });
    let mut newest: std::collections::BTreeMap<_, (i64, &str)> = std::collections::BTreeMap::new();
    for request in &order {
        let known = newest
            .entry(&request.key)
            .or_insert((request.generation, &request.uid));
        *known = (*known).max((request.generation, &request.uid));
    }
    let mut seen = std::collections::BTreeSet::new();
    order.retain(|request| {
        let newest = newest.get(&request.key) == Some(&(request.generation, &*request.uid));
        newest && seen.insert(&request.key)
    });
    order
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;
