//! Amounts of resources as checked integers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The resource that counts pods. A node shape that reports it bounds the number of pods;
/// quota is not charged for it.
pub const PODS: &str = "pods";

/// The resource whose unit is a thousandth of a core.
pub const CPU: &str = "cpu";

/// The resource that counts bytes of memory.
pub const MEMORY: &str = "memory";

/// Names that nearly every amount has; they are not copied.
const USUAL: [&str; 4] = [CPU, MEMORY, PODS, "ephemeral-storage"];

/// An amount per resource name.
///
/// The unit of `cpu` is the millicore; of every other resource the whole unit, rounded up
/// (bytes, devices, pods). A resource that is absent is 0. Amounts are not negative, except as the
/// result of a subtraction that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources(
    /// By name, each once. There are a handful, and a hub holds such amounts many times for every
    /// workload: a map would take ten times the room.
    Vec<(Cow<'static, str>, i64)>,
);

impl Resources {
    /// No resource at all.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The amount of `resource`; 0 when it is absent.
    pub fn get(&self, resource: &str) -> i64 {
        self.find(resource).map_or(0, |at| self.0[at].1)
    }

    /// Sets the amount of `resource`. A 0 is kept, so that a shape can say "none left".
    pub fn set(&mut self, resource: impl AsRef<str>, amount: i64) {
        let resource = resource.as_ref();
        match self.find(resource) {
            Ok(at) => self.0[at].1 = amount,
            Err(at) => {
                // Mostly there is one more, and no spare room for others.
                self.0.reserve_exact(1);
                self.0.insert(at, (named(resource), amount));
            }
        }
    }

    /// Where `resource` stands, or would stand.
    fn find(&self, resource: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(name, _)| name.as_ref().cmp(resource))
    }

    /// The same with `resource` set to `amount`, for building in one expression.
    #[must_use]
    pub fn with(mut self, resource: impl AsRef<str>, amount: i64) -> Self {
        self.set(resource, amount);
        self
    }

    /// Whether the resource is named here, even with amount 0.
    pub fn contains(&self, resource: &str) -> bool {
        self.find(resource).is_ok()
    }

    /// Whether no resource has an amount other than 0.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|(_, amount)| *amount == 0)
    }

    /// The pairs of resource name and amount, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, amount)| (name.as_ref(), *amount))
    }

    /// The sum, or `None` if an amount overflows.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let mut sum = self.clone();
        for (name, amount) in other.iter() {
            let total = sum.get(name).checked_add(amount)?;
            sum.set(name, total);
        }
        Some(sum)
    }

    /// The difference, which may be negative, or `None` if an amount overflows.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut rest = self.clone();
        for (name, amount) in other.iter() {
            let left = rest.get(name).checked_sub(amount)?;
            rest.set(name, left);
        }
        Some(rest)
    }

    /// `times` times these amounts, or `None` if an amount overflows.
    pub fn checked_mul(&self, times: i64) -> Option<Self> {
        let mut product = self.clone();
        for (_, amount) in &mut product.0 {
            *amount = amount.checked_mul(times)?;
        }
        Some(product)
    }

    /// `times` times these amounts; an amount that would overflow stays at the largest (or
    /// smallest) number, which no quota and no member can hold.
    #[must_use]
    pub fn saturating_mul(&self, times: i64) -> Self {
        let mut product = self.clone();
        for (_, amount) in &mut product.0 {
            *amount = amount.saturating_mul(times);
        }
        product
    }

    /// Adds `other`; an amount that would overflow stays at the largest (or smallest) number.
    pub fn saturating_add_assign(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let total = self.get(name).saturating_add(amount);
            self.set(name, total);
        }
    }

    /// The larger amount of each resource.
    #[must_use]
    pub fn larger(&self, other: &Self) -> Self {
        let mut largest = self.clone();
        for (name, amount) in other.iter() {
            if amount > largest.get(name) || !largest.contains(name) {
                largest.set(name, amount);
            }
        }
        largest
    }

    /// Whether these amounts fit into `room`: each is at most what `room` has of it. An amount of
    /// 0 always fits.
    pub fn fits(&self, room: &Self) -> bool {
        self.iter()
            .all(|(name, amount)| amount <= 0 || amount <= room.get(name))
    }
}

/// A name as it is kept.
fn named(name: &str) -> Cow<'static, str> {
    let usual = USUAL.into_iter().find(|usual| *usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

impl<N: AsRef<str>> FromIterator<(N, i64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (N, i64)>>(pairs: I) -> Self {
        let mut all = Self::new();
        for (name, amount) in pairs {
            all.set(name, amount);
        }
        all
    }
}

/// As a map from name to amount.
impl Serialize for Resources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs: BTreeMap<String, i64> = BTreeMap::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Resources;

    #[test]
    fn arithmetic_is_checked() {
        let one = Resources::new().with("cpu", i64::MAX);
        assert_eq!(one.checked_add(&one), None);
        assert_eq!(one.checked_mul(2), None);
        assert_eq!(one.saturating_mul(2).get("cpu"), i64::MAX);
        assert_eq!(one.checked_sub(&one).unwrap().get("cpu"), 0);
    }

    #[test]
    fn a_zero_amount_fits_where_the_resource_is_unknown() {
        let request = Resources::new().with("cpu", 1).with("example.com/npu", 0);
        assert!(request.fits(&Resources::new().with("cpu", 1)));
        assert!(!request.fits(&Resources::new().with("memory", 1)));
    }
}
