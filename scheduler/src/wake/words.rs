//! What one that waits waits for, in plain words.

use std::collections::BTreeSet;

use super::Wait;
use crate::quota::Limit;
use crate::verdict::EventKind;

/// Names that are told of before the rest is counted.
const NAMED: usize = 3;

impl Wait {
    /// What it is decided again on, the likeliest first.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(bound) = &self.bound {
            let (tenant, key) = (&bound.tenant, &bound.key);
            if bound.limit != Limit::NoLine {
                let what = format!("{} of {}", key.resource, key.flavor);
                words.push(format!("{tenant} or a tenant below it releases {what}"));
            }
            words.push(format!(
                "the quota of {tenant} or of a tenant below it changes"
            ));
        } else if self.kinds.has(EventKind::QuotaReleased) {
            words.push("a tenant releases quota, or a quota changes".to_owned());
        }
        let (members, flavors) = (&self.scope.members, &self.scope.flavors);
        let at = members.as_ref().map_or_else(|| "a member".to_owned(), some);
        let of = flavors.as_ref().map(some);
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        if self.kinds.has(EventKind::CapacityFreed) {
            words.push(format!("{at} has more room{of}"));
        }
        if self.kinds.has(EventKind::MemberReady) {
            words.push(format!("{at} is ready again"));
        }
        if self.kinds.has(EventKind::NeighbourChanged) {
            words.push("another workload of its tenant is placed, leaves or changes".to_owned());
        }
        if self.kinds.has(EventKind::ClaimChanged) {
            words.push("another may have to make room for it".to_owned());
        }
        let rest = [
            (EventKind::MemberChanged, "a member joins or changes"),
            (EventKind::TenantChanged, "a tenant changes"),
            (EventKind::FlavorChanged, "a flavor changes"),
            (EventKind::WorkloadChanged, "it or its placement changes"),
        ];
        let rest = rest.into_iter().filter(|(kind, _)| self.kinds.has(*kind));
        words.extend(rest.map(|(_, said)| said.to_owned()));
        words
    }
}

/// Some of these by name: `a, b or c`, `a, b, c or one of 9 more`.
fn some(names: &BTreeSet<String>) -> String {
    let mut told: Vec<String> = names.iter().take(NAMED).cloned().collect();
    match names.len().saturating_sub(told.len()) {
        0 => {}
        1 => told.push("one more".to_owned()),
        more => told.push(format!("one of {more} more")),
    }
    let last = told.pop();
    match (told.join(", "), last) {
        (rest, Some(last)) if !rest.is_empty() => format!("{rest} or {last}"),
        (_, last) => last.unwrap_or_else(|| "no member".to_owned()),
    }
}
