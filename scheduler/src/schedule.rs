//! The one function that decides.

mod queue;

use crate::config::Config;
use crate::engine::Engine;
use crate::request::Request;
use crate::snapshot::Snapshot;
use crate::verdict::Verdict;
use queue::Queue;

/// Decides on all requests: emergencies first, then by priority, the highest first, then the tenant
/// that borrows least at that moment ([`crate::quota::QuotaTree::standing`]), then by age, then by
/// name, whatever order they come in; the verdicts stand in that order. Each decision sees what the
/// earlier ones of the batch have taken: their replicas as in flight, their charges as charged. Of
/// two requests with one key the one with the higher generation counts.
///
/// The verdicts are promises only together: commit them in this order, and decide again on what
/// follows one that could not be committed.
pub fn schedule(snapshot: &Snapshot, requests: &[Request], config: &Config) -> Vec<Verdict> {
    let mut engine = Engine::new(snapshot.clone(), config.clone());
    decide_all(&mut engine, requests)
}

/// The same on a snapshot that lives across batches.
///
/// What is kept for those that wait for others to go is taken from all but emergencies, whatever
/// their priority: else who was just asked to go could come back before the one that asked. One of
/// those that is itself asked about is decided before its own is kept.
pub fn decide_all(engine: &mut Engine, requests: &[Request]) -> Vec<Verdict> {
    let mut batch = engine.batch();
    batch.expects(requests);
    let mut queue = Queue::new(requests, batch.reservations());
    let mut verdicts = Vec::with_capacity(requests.len());
    while let Some(next) = queue.next(batch.quotas()) {
        let verdict = next.request.map(|request| batch.decide(request));
        let placed = verdict
            .as_ref()
            .is_some_and(|of| of.outcome.placed().is_some());
        if let Some(key) = next.reserved.filter(|_| !placed) {
            batch.reserve(&key);
        }
        verdicts.extend(verdict);
    }
    verdicts
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod properties;

#[cfg(test)]
mod returns;
