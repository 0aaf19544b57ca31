//! What quota leaves to one workload while an attempt spends it.

use crate::case::Case;
use crate::quota::{Key, NodeId, QuotaTree};

/// What is left per flavor and resource. A workload names few resources: a list is found faster in
/// than a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purse<'a> {
    left: Vec<(usize, &'a str, i64)>,
}

impl<'a> Purse<'a> {
    /// What the tenant has left of everything that the workload may be charged.
    pub(crate) fn new(case: &Case<'_, 'a>, quotas: &QuotaTree, tenant: NodeId) -> Self {
        let mut left: Vec<(usize, &str, i64)> = Vec::new();
        for flavor in &case.rules.flavors {
            let Some(name) = case.fleet.flavors.get(*flavor) else {
                continue;
            };
            for (resource, _) in case.parts.iter().flat_map(|part| &part.charged) {
                if left
                    .iter()
                    .any(|(of, known, _)| of == flavor && known == resource)
                {
                    continue;
                }
                let key = Key::new(name, *resource);
                let avail = quotas.avail(tenant, &key, case.request.purpose).max(0);
                left.push((*flavor, resource, avail));
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
            let mut left = self.left.iter();
            left.any(|(of, known, left)| *of == flavor && *known == resource && amount <= *left)
        })
    }

    /// Takes the amounts out.
    pub(crate) fn spend<'r>(
        &mut self,
        flavor: usize,
        amounts: impl Iterator<Item = (&'r str, i64)>,
    ) {
        for (resource, amount) in amounts {
            let mut left = self.left.iter_mut();
            if let Some((.., left)) =
                left.find(|(of, known, _)| *of == flavor && *known == resource)
            {
                *left = left.saturating_sub(amount);
            }
        }
    }
}
