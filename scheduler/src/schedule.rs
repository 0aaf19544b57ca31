//! The one function that decides.

use crate::config::Config;
use crate::engine::Engine;
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
    let mut engine = Engine::new(snapshot.clone(), config.clone());
    decide_all(&mut engine, requests)
}

/// The same on a snapshot that lives across batches.
pub fn decide_all(engine: &mut Engine, requests: &[Request]) -> Vec<Verdict> {
    let mut batch = engine.batch();
    batch.expects(requests);
    let order = in_order(requests).into_iter();
    order.map(|request| batch.decide(request)).collect()
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
pub(crate) mod properties;
