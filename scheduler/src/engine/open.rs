//! Which members the rules leave open to a workload.

use std::collections::BTreeSet;

use super::Engine;
use crate::request::Request;
use crate::rules::Rules;
use crate::wake::{About, MEMBERS_MAX};

impl Engine {
    /// What is to be known of a workload to say what wakes it ([`crate::wake::Wait::of`]), as things
    /// are now.
    pub fn about(&mut self, request: &Request) -> About {
        let snapshot = &self.fleet.snapshot;
        let held = snapshot.held.get(&request.key);
        let holds = held.is_some_and(|held| !held.entries.is_empty());
        let mut lineage = Vec::new();
        if let Some(node) = snapshot.quotas.node(&request.tenant) {
            let path = snapshot.quotas.path(node);
            lineage = path
                .into_iter()
                .rev()
                .map(|node| snapshot.quotas.name(node).to_owned())
                .collect();
        }
        About {
            holds,
            open: self.open_to(request),
            lineage,
        }
    }

    /// The members that the rules leave open to a workload, where they are few: the others can take it
    /// only after they, a tenant or the workload change.
    fn open_to(&mut self, request: &Request) -> Option<BTreeSet<String>> {
        let rules = Rules::new(
            &self.fleet,
            request,
            self.config.tolerated_not_ready_seconds,
        );
        let policy = self.memory.policies.of(&self.fleet, request, &rules);
        let open = policy.open.iter();
        (policy.open.len() <= MEMBERS_MAX)
            .then(|| open.map(|of| self.fleet.name(of.site).to_owned()).collect())
    }
}
