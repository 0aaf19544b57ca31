//! What a member keeps for itself on each node.

use std::collections::BTreeMap;

use heyun_scheduler::quantity::amount;

/// What is never given to workloads, per node: a share of what the node offers, or an amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserve(BTreeMap<String, Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Percent(i64),
    Amount(i64),
}

/// A reserve that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec.reserve.{resource}: \"{value}\" is no reserve; write a share from 0% to 100%, or an amount such as \"4Gi\""
)]
pub struct ReserveError {
    /// The resource.
    pub resource: String,
    /// What is written for it.
    pub value: String,
}

impl Reserve {
    /// Reads `spec.reserve` of a MemberCluster.
    ///
    /// # Errors
    /// Names the first entry that is neither a percentage nor an amount of at least 0.
    pub fn parse(written: &BTreeMap<String, String>) -> Result<Self, ReserveError> {
        let mut parts = BTreeMap::new();
        for (resource, value) in written {
            let part = part(resource, value.trim()).ok_or_else(|| ReserveError {
                resource: resource.clone(),
                value: value.clone(),
            })?;
            parts.insert(resource.clone(), part);
        }
        Ok(Self(parts))
    }

    /// How much of `offered` is kept back, never more than all of it.
    pub fn of(&self, resource: &str, offered: i64) -> i64 {
        let kept = match self.0.get(resource) {
            None => 0,
            Some(Part::Amount(amount)) => *amount,
            Some(Part::Percent(percent)) => share(offered, *percent),
        };
        kept.clamp(0, offered.max(0))
    }
}

/// A share, rounded up.
fn share(of: i64, percent: i64) -> i64 {
    let hundredths = i128::from(of).saturating_mul(i128::from(percent));
    i64::try_from(hundredths.saturating_add(99) / 100).unwrap_or(i64::MAX)
}

fn part(resource: &str, value: &str) -> Option<Part> {
    match value.strip_suffix('%') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => digits
            .parse::<i64>()
            .ok()
            .filter(|p| *p <= 100)
            .map(Part::Percent),
        Some(_) => None,
        None if value.is_empty() => None,
        None => amount(resource, value).ok().map(Part::Amount),
    }
}
