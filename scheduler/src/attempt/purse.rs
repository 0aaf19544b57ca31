//! What quota leaves to one workload while an attempt spends it.

use std::collections::BTreeMap;

use crate::case::Case;
use crate::quota::{Key, NodeId, QuotaTree};

/// What is left per flavor and resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purse {
    left: BTreeMap<(usize, String), i64>,
}

impl Purse {
    /// What the tenant has left of everything that the workload may be charged.
    pub(crate) fn new(case: &Case<'_, '_>, quotas: &QuotaTree, tenant: NodeId) -> Self {
        let mut left = BTreeMap::new();
        for flavor in &case.rules.flavors {
            let Some(name) = case.fleet.flavors.get(*flavor) else {
                continue;
            };
            for (resource, _) in case.parts.iter().flat_map(|part| &part.charged) {
                left.entry((*flavor, (*resource).to_owned()))
                    .or_insert_with(|| {
                        quotas
                            .avail(tenant, &Key::new(*name, *resource), case.request.purpose)
                            .max(0)
                    });
            }
        }
        Self { left }
    }

    /// Whether it covers the amounts.
    pub(crate) fn covers<'r>(
        &self,
        flavor: usize,
        amounts: impl Iterator<Item = (&'r str, i64)>,
    ) -> bool {
        let mut amounts = amounts.filter(|(_, amount)| *amount > 0);
        amounts.all(|(resource, amount)| {
            self.left
                .get(&(flavor, resource.to_owned()))
                .is_some_and(|left| amount <= *left)
        })
    }

    /// Takes the amounts out.
    pub(crate) fn spend<'r>(
        &mut self,
        flavor: usize,
        amounts: impl Iterator<Item = (&'r str, i64)>,
    ) {
        for (resource, amount) in amounts {
            if let Some(left) = self.left.get_mut(&(flavor, resource.to_owned())) {
                *left = left.saturating_sub(amount);
            }
        }
    }
}
