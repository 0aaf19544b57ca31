//! The place of a Workload that waits, for `why`.

use heyun_crds::query::WhyQueue;
use heyun_plan::queue::{self, NAMED_MAX, Waits};
use heyun_scheduler::Verdict;
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::wake::Wait;

use super::round::Shares;
use super::{Operator, refused};
use crate::world::Entry;

impl Operator {
    /// Its position among all that wait, who of the nearest before it asks for the same, and what it
    /// waits for; `None` where it does not wait. Only those of its own tenant are named.
    pub(super) fn queue_of(&self, key: &WorkloadKey, verdict: &Verdict) -> Option<WhyQueue> {
        let reason = verdict.outcome.reason()?;
        if verdict.outcome.code() != "Waiting" {
            return None;
        }
        let entries = self.world.workloads.values();
        let mut shares = Shares::new();
        let waiting: Vec<Waits<'_>> = entries
            .filter(|entry| is_waiting(entry))
            .map(|entry| Waits {
                key: &entry.key,
                rank: self.rank_of(&entry.key, &mut shares),
            })
            .collect();
        let place = queue::place(waiting.into_iter(), key)?;
        let mine = self.request_of(key)?;
        // What it was decided on last says what wakes it; where that was by another leader, any event.
        let wait = self.unplaced.of(key);
        let kinds = wait.map_or_else(|| verdict.kinds(), Wait::kinds);
        let tree = &self.world.tree;
        let mut queue = WhyQueue {
            position: place.position,
            waiting: place.waiting,
            unblocked_by: kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            awaits: wait.map(Wait::words).unwrap_or_default(),
            ..WhyQueue::default()
        };
        for before in place.nearest {
            let Some(other) = self.request_of(before) else {
                continue;
            };
            let within = |root: &str, tenant: &str| tree.within(root, tenant);
            if !queue::asks_the_same(reason, &mine, &other, within) {
                continue;
            }
            if other.tenant == mine.tenant && queue.before.len() < NAMED_MAX {
                queue.before.push(before.to_string());
            } else {
                queue.before_unnamed = queue.before_unnamed.saturating_add(1);
            }
        }
        Some(queue)
    }

    /// What the scheduler is asked of a Workload; `None` where it is refused before.
    pub(super) fn request_of(&self, key: &WorkloadKey) -> Option<Request> {
        let entry = self.world.workloads.get(key)?;
        let sight = self.sight_at(0);
        let facts = sight.facts(entry).ok()?;
        Some(sight.candidate(entry, facts).request)
    }
}

/// Whether its status says that it waits, of the generation it has.
fn is_waiting(entry: &Entry) -> bool {
    !entry.deleting() && refused::waits(&entry.status, entry.generation())
}
