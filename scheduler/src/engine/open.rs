//! Which members the rules leave open to a workload.

use std::collections::BTreeSet;

use super::Engine;
use crate::request::Request;
use crate::wake::{About, MEMBERS_MAX};

impl Engine {
    /// What is to be known of a workload to say what wakes it ([`crate::wake::Wait::of`]), as things
    /// are now.
    pub fn about(&mut self, request: &Request) -> About {
        let snapshot = &self.fleet.snapshot;
        let held = snapshot.held.get(&request.key);
        let holds = held.is_some_and(|held| !held.entries.is_empty());
        let node = snapshot.quotas.node(&request.tenant);
        // The root is first on the path.
        let branch = node.and_then(|node| snapshot.quotas.path(node).get(1).copied());
        let branch = branch.map(|node| snapshot.quotas.name(node).to_owned());
        About {
            holds,
            open: self.open_to(request),
            branch,
        }
    }

    /// The members that the rules leave open to a workload, where they are few: the others can take it
    /// only after they, a tenant or the workload change.
    fn open_to(&mut self, request: &Request) -> Option<BTreeSet<String>> {
        let policy = self.policy(request);
        let open = policy.open.iter();
        (policy.open.len() <= MEMBERS_MAX).then(|| {
            open.map(|of| self.fleet.name(of.site()).to_owned())
                .collect()
        })
    }
}
