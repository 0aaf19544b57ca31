//! Whether what a decision takes is idle: nobody else could use it, and nobody lends it.

use std::collections::BTreeSet;

use super::Engine;
use crate::quota::Amounts;
use crate::request::Request;
use crate::resources::PODS;
use crate::verdict::Placed;

/// Room that a decision takes: of one flavor on one member, these resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// The member.
    pub member: String,
    /// The flavor.
    pub flavor: String,
    /// What its new replicas request, but for the count of pods.
    pub resources: BTreeSet<String>,
}

/// The room that a placement takes beyond what the committed decision of its workload assigns.
pub fn taken(request: &Request, placed: &Placed) -> Vec<Taken> {
    let before = |of: &crate::verdict::PlacedAssignment| {
        let mut previous = request.previous.iter();
        let same = previous.find(|before| {
            (&before.component, &before.member, &before.flavor)
                == (&of.component, &of.member, &of.flavor)
        });
        same.map_or(0, |before| before.replicas)
    };
    let new = placed
        .assignments
        .iter()
        .filter(|of| of.replicas > before(of));
    let taken = new.map(|of| Taken {
        member: of.member.clone(),
        flavor: of.flavor.clone(),
        resources: names(of.requests.iter()),
    });
    taken.collect()
}

impl Engine {
    /// Whether a workload could ever use some of this room: the rules do not forbid it the member,
    /// its placement takes the flavor, and it asks for a resource of it. How much is free now does
    /// not matter.
    pub fn could_use(&mut self, request: &Request, taken: &[Taken]) -> bool {
        let flavors = &request.placement.flavors;
        let components = request.components.iter();
        let components = components.filter(|component| component.runs_pods());
        let asked = names(components.flat_map(|component| component.per_replica.iter()));
        let mut fitting = taken.iter().filter(|of| {
            (flavors.is_empty() || flavors.contains(&of.flavor))
                && !asked.is_disjoint(&of.resources)
        });
        let policy = self.policy(request);
        fitting.any(|of| {
            let site = self.fleet.site(&of.member);
            site.is_some_and(|site| policy.is_open(site))
        })
    }

    /// Whether a tenant, or one above it, borrows more of anything when its charge grows by so much.
    pub fn borrows_more(&mut self, tenant: &str, increase: &Amounts) -> bool {
        let quotas = &mut self.fleet.snapshot.quotas;
        let Some(node) = quotas.node(tenant) else {
            return false;
        };
        let path = quotas.path(node);
        quotas.tentatively(|quotas| {
            let borrowed = |quotas: &crate::quota::QuotaTree| -> Vec<i64> {
                let keys = || increase.keys();
                let each = path
                    .iter()
                    .flat_map(|node| keys().map(move |key| (*node, key)));
                each.map(|(node, key)| quotas.figures(node, key))
                    .map(|figures| figures.borrowed.saturating_add(figures.debt))
                    .collect()
            };
            let before = borrowed(quotas);
            if quotas.charge(node, increase).is_err() {
                return true;
            }
            let after = borrowed(quotas);
            before
                .iter()
                .zip(&after)
                .any(|(before, after)| after > before)
        })
    }
}

/// The names of what is asked for, but for the count of pods.
fn names<'r>(amounts: impl Iterator<Item = (&'r str, i64)>) -> BTreeSet<String> {
    amounts
        .filter(|(name, amount)| *amount > 0 && *name != PODS)
        .map(|(name, _)| name.to_owned())
        .collect()
}
