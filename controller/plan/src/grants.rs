//! Grants by time: which count now, what there is room for, and when that changes next.
//!
//! A grant is a share of the parent's for a time. What is promised to the children of one parent is
//! at no moment more than the parent's nominal (times its overcommit), so two grants to come never
//! promise the same cores. Between two change points nothing changes, so each is looked at.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use heyun_crds::Quota;
use heyun_crds::common::FlavorAmount;
use heyun_crds::quota::{EffectiveQuota, Grant};
use heyun_scheduler::quantity::{amount, format_amount};
use heyun_scheduler::quota::{Amounts, Key};
use jiff::Timestamp;

use crate::observe::quota::nominals;
use crate::tenants::TenantTree;

/// When something counts, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// From this moment on.
    pub from: Timestamp,
    /// Until before this one.
    pub until: Timestamp,
    /// How much.
    pub amounts: Amounts,
}

impl Share {
    /// Whether it counts at this moment.
    pub fn counts_at(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// A grant as it is written; `None`: it cannot be read, and counts as nothing.
    pub fn of(grant: &Grant) -> Option<Self> {
        Some(Self {
            from: grant.from.parse().ok()?,
            until: grant.until.parse().ok()?,
            amounts: amounts(&grant.resources).ok()?,
        })
    }
}

/// Amounts as they are written.
///
/// # Errors
/// One sentence per number that is no amount.
pub fn amounts(resources: &[FlavorAmount]) -> Result<Amounts, String> {
    let mut sums = Amounts::new();
    for line in resources {
        let key = Key::new(&line.flavor, &line.resource);
        let amount = amount(&line.resource, &line.amount.0)
            .map_err(|error| format!("spec.resources[{key}].amount: {error}"))?;
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(amount);
    }
    Ok(sums)
}

/// What is added to a tenant's lines by the grants that are marked as active.
pub fn active(grants: &[Grant]) -> Amounts {
    let mut sums = Amounts::new();
    for share in grants.iter().filter(|g| g.active).filter_map(Share::of) {
        for (key, amount) in share.amounts {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(amount);
        }
    }
    sums
}

/// The next moment after `now` at which one of these begins or ends.
pub fn next_change<'a>(
    shares: impl IntoIterator<Item = &'a Share>,
    now: Timestamp,
) -> Option<Timestamp> {
    shares
        .into_iter()
        .flat_map(|share| [share.from, share.until])
        .filter(|at| *at > now)
        .min()
}

/// What one tenant has, and what it is promised.
#[derive(Clone, Debug, Default)]
struct Account {
    parent: Option<String>,
    /// Whether anything of its Quota counts yet.
    counts: bool,
    /// Its nominal without any grant, as a share of its parent's: what was lowered counts until that
    /// is written.
    nominal: Amounts,
    /// The same, as what its children share.
    shared: Amounts,
    overcommit_percent: u32,
    shares: BTreeMap<String, Share>,
}

/// What all tenants have and are promised.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    accounts: BTreeMap<String, Account>,
    children: BTreeMap<String, BTreeSet<String>>,
}

/// Why a share has no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// The tenant whose share it would be a share of; empty: there is none.
    pub parent: String,
    /// Of what.
    pub key: Key,
    /// From when on.
    pub at: Timestamp,
    /// That is its first moment.
    pub at_first: bool,
    /// How much is missing.
    pub by: i64,
}

impl fmt::Display for Short {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parent.is_empty() {
            return out.write_str(
                "the tenant is a root, and a grant is a share of its parent's: raise its Quota",
            );
        }
        let (parent, Key { flavor, resource }) = (&self.parent, &self.key);
        let by = format_amount(resource, self.by);
        write!(out, "{parent} lacks {by} {resource} of {flavor} ")?;
        // What begins now begins a little later each time it is looked at: that is no news.
        if self.at_first {
            out.write_str("from the first moment on")?;
        } else {
            write!(out, "on {}", self.at)?;
        }
        write!(
            out,
            ": ask for less, for another time, or raise the Quota of {parent}"
        )
    }
}

impl Calendar {
    /// What these Quotas have. Their grants are not in it until [`Calendar::enter`]: whether they
    /// still stand is another's to say.
    pub fn of<'a>(quotas: impl IntoIterator<Item = &'a Quota>, tenants: &TenantTree) -> Self {
        let mut calendar = Self::default();
        for quota in quotas {
            let name = quota.spec.tenant.clone();
            let parent = match quota.effective() {
                Some(effective) => effective.parent.clone(),
                None => tenants.get(&name).and_then(|node| node.parent.clone()),
            };
            // One that is to count soon is not promised to others meanwhile.
            let counts = quota.effective().map(nominal);
            let own = counts.unwrap_or_else(|| nominals(&quota.spec));
            let account = Account {
                parent,
                counts: quota.effective().is_some(),
                nominal: own.clone(),
                shared: own,
                overcommit_percent: quota.spec.overcommit_percent.unwrap_or(100),
                shares: BTreeMap::new(),
            };
            if let Some(parent) = &account.parent {
                let below = calendar.children.entry(parent.clone()).or_default();
                below.insert(name.clone());
            }
            calendar.accounts.insert(name, account);
        }
        calendar
    }

    /// Promises a share to a tenant, under the uid of its request, whether there is room or not.
    pub fn enter(&mut self, tenant: &str, uid: &str, share: Share) {
        if let Some(account) = self.accounts.get_mut(tenant) {
            account.shares.insert(uid.to_owned(), share);
        }
    }

    /// Takes in what is to count of a tenant, without its grants. It is not written yet: those below
    /// are written after it, those beside it at the same time.
    pub fn settled(&mut self, tenant: &str, effective: &EffectiveQuota) {
        let Some(account) = self.accounts.get_mut(tenant) else {
            return;
        };
        account.shared = nominal(effective);
        for (key, amount) in &account.shared {
            let own = account.nominal.entry(key.clone()).or_default();
            *own = (*own).max(*amount);
        }
    }

    /// Whether a tenant may have these nominals for good beside what is promised. Where nothing is
    /// promised there is nothing to keep.
    ///
    /// # Errors
    /// The first moment at which it may not.
    pub fn raise(&self, tenant: &str, nominal: &Amounts, now: Timestamp) -> Result<(), Short> {
        if !self.is_kept(tenant) {
            return Ok(());
        }
        let mut beside = self.clone();
        let mut has = Amounts::new();
        if let Some(account) = beside.accounts.get_mut(tenant) {
            if account.counts {
                has.clone_from(&account.nominal);
            } else {
                account.nominal.clear();
            }
        }
        let more = nominal.iter().filter_map(|(key, wish)| {
            let more = wish.saturating_sub(has.get(key).copied().unwrap_or(0));
            (more > 0).then(|| (key.clone(), more))
        });
        let share = Share {
            from: now,
            until: Timestamp::MAX,
            amounts: more.collect(),
        };
        beside.room(tenant, &share)
    }

    /// How many shares a tenant is promised.
    pub fn count(&self, tenant: &str) -> usize {
        self.accounts.get(tenant).map_or(0, |a| a.shares.len())
    }

    /// Its nominal without any grant.
    pub fn nominal(&self, tenant: &str) -> Amounts {
        let account = self.accounts.get(tenant);
        account.map(|a| a.nominal.clone()).unwrap_or_default()
    }

    /// Whether any tenant of the same parent is promised anything.
    fn is_kept(&self, tenant: &str) -> bool {
        let parent = self.accounts.get(tenant).and_then(|a| a.parent.as_deref());
        let mut siblings = parent
            .and_then(|parent| self.children.get(parent))
            .into_iter()
            .flatten();
        siblings.any(|name| self.count(name) > 0)
    }

    /// Whether a further share of this tenant has room at each moment of its time.
    ///
    /// # Errors
    /// The first moment at which it has not.
    pub fn room(&self, tenant: &str, share: &Share) -> Result<(), Short> {
        let parent = self.accounts.get(tenant).and_then(|a| a.parent.as_deref());
        let Some((parent, above)) = parent.and_then(|p| Some((p, self.accounts.get(p)?))) else {
            let key = share.amounts.keys().next().cloned();
            return Err(Short {
                parent: String::new(),
                key: key.unwrap_or_else(|| Key::new("-", "-")),
                at: share.from,
                at_first: true,
                by: 0,
            });
        };
        let siblings: Vec<&Account> = self
            .children
            .get(parent)
            .into_iter()
            .flatten()
            .filter_map(|name| self.accounts.get(name))
            .collect();
        let points = siblings
            .iter()
            .copied()
            .chain([above])
            .flat_map(|account| account.shares.values())
            .flat_map(|other| [other.from, other.until])
            .filter(|at| share.counts_at(*at))
            .chain([share.from]);
        let points: BTreeSet<Timestamp> = points.collect();
        for at in points {
            for (key, asked) in &share.amounts {
                let promised = siblings.iter().map(|one| one.at(&one.nominal, key, at));
                let promised: i128 = promised.sum::<i128>() + i128::from(*asked);
                let has =
                    above.at(&above.shared, key, at) * i128::from(above.overcommit_percent) / 100;
                if promised > has {
                    let by = i64::try_from(promised - has).unwrap_or(i64::MAX);
                    let (parent, key) = (parent.to_owned(), key.clone());
                    return Err(Short {
                        parent,
                        key,
                        at,
                        at_first: at == share.from,
                        by,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Account {
    /// A nominal with all that counts at this moment.
    fn at(&self, nominal: &Amounts, key: &Key, at: Timestamp) -> i128 {
        let own = i128::from(nominal.get(key).copied().unwrap_or(0));
        let shares = self.shares.values().filter(|share| share.counts_at(at));
        let amounts = shares.filter_map(|share| share.amounts.get(key));
        own + amounts.map(|amount| i128::from(*amount)).sum::<i128>()
    }
}

/// The nominal that counts, without the grants that are in it.
fn nominal(effective: &EffectiveQuota) -> Amounts {
    let granted = active(&effective.grants);
    let base = effective.resources.iter().filter_map(|line| {
        let key = Key::new(&line.flavor, &line.resource);
        let nominal = amount(&line.resource, &line.nominal.0).ok()?;
        let granted = granted.get(&key).copied().unwrap_or(0);
        Some((key, nominal.saturating_sub(granted)))
    });
    base.collect()
}
