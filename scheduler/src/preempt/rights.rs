//! Who may be asked to make room, and in which order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ground::{Ground, release};
use super::{Claim, Place, Standing};
use crate::quota::{Key, NodeId, QuotaTree};
use crate::request::{Request, WorkloadKey};
use crate::resources::PODS;

/// One that may be asked to make room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'s> {
    pub(super) key: &'s WorkloadKey,
    pub(super) of: &'s Standing,
    pub(super) claim: Claim,
    /// Whether it could also go because there is an emergency.
    pub(super) in_emergency: bool,
    /// How much its branch borrows, in millionths of what the branch is entitled to.
    owes: u64,
}

impl Candidate<'_> {
    /// What it costs to have it go; the least goes first.
    pub(super) fn cost(&self) -> (Claim, Reverse<u64>, i32, Reverse<i64>, &WorkloadKey) {
        let (of, key) = (self.of, self.key);
        let owes = Reverse(self.owes);
        (self.claim, owes, of.priority, Reverse(of.created), key)
    }

    /// What goes of everything, as a measure of how large it is.
    pub(super) fn size(&self) -> i64 {
        let freed = self.of.places.iter().map(Place::freed);
        freed.fold(0, |sum, freed| {
            freed
                .iter()
                .fold(sum, |sum, (_, amount)| sum.saturating_add(amount))
        })
    }

    /// Replicas that go.
    pub(super) fn replicas(&self) -> i64 {
        let spare = self.of.places.iter().map(Place::spare);
        spare.fold(0, i64::saturating_add)
    }
}

/// Whether anyone might have to make room for a request: a look that costs little.
pub(super) fn any(standing: &BTreeMap<WorkloadKey, Standing>, request: &Request) -> bool {
    standing.iter().any(|(key, of)| {
        let may = of.tenant != request.tenant || of.priority < request.priority;
        *key != request.key && (has_going(of) || may && of.spare_places().next().is_some())
    })
}

fn has_going(of: &Standing) -> bool {
    of.places.iter().any(|place| place.going > 0)
}

/// All that may be asked, the one that costs least first.
pub(super) fn candidates<'s>(ground: &Ground<'s>, request: &Request) -> Vec<Candidate<'s>> {
    let asker = Asker::new(ground, request);
    let mut debtors: BTreeMap<&str, bool> = BTreeMap::new();
    let mut found: Vec<Candidate<'s>> = Vec::new();
    for (key, of) in ground.others().filter(|(key, _)| **key != request.key) {
        let owes = *debtors
            .entry(&of.tenant)
            .or_insert_with(|| asker.is_owed_by(&of.tenant, &ground.settled));
        let settled = owes.then_some(&ground.settled);
        if let Some((claim, owes)) = asker.claim(of, settled) {
            found.push(Candidate {
                key,
                of,
                claim,
                in_emergency: asker.has_emergency_over(of),
                owes,
            });
        }
    }
    found.sort_by(|one, other| one.cost().cmp(&other.cost()));
    found
}

/// Those of the candidates that may go together, in this order: a tenant is asked no more once its
/// branch does not borrow.
pub(super) fn allowed<'s>(
    ground: &Ground<'s>,
    request: &Request,
    candidates: &[Candidate<'s>],
) -> Vec<Candidate<'s>> {
    let asker = Asker::new(ground, request);
    let mut quotas = ground.settled.clone();
    let mut found = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let mut candidate = *candidate;
        if candidate.claim == Claim::Borrowed && asker.owes(&quotas, candidate.of).is_none() {
            if !asker.has_emergency_over(candidate.of) {
                continue;
            }
            candidate.claim = Claim::Emergency;
        }
        for place in &candidate.of.places {
            let tenant = &candidate.of.tenant;
            release(&mut quotas, tenant, &place.flavor, &place.freed());
        }
        found.push(candidate);
    }
    found
}

/// The one that asks others to make room.
struct Asker<'a> {
    request: &'a Request,
    quotas: &'a QuotaTree,
    /// Its tenant and all above, the root first.
    path: Vec<NodeId>,
    /// What it asks for in all, by resource.
    wants: BTreeMap<&'a str, i64>,
    /// What it is charged already.
    has: BTreeMap<Key, i64>,
    /// Flavors it may use; empty: any.
    flavors: BTreeSet<&'a str>,
}

impl<'a> Asker<'a> {
    fn new(ground: &'a Ground<'_>, request: &'a Request) -> Self {
        let (quotas, held) = (&ground.quotas, ground.held(request));
        let mut has: BTreeMap<Key, i64> = BTreeMap::new();
        for entry in held.into_iter().flat_map(|held| &held.entries) {
            for (name, amount) in entry.charge.iter() {
                let sum = has.entry(Key::new(&*entry.flavor, name)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
        let node = quotas.node(&request.tenant);
        let mut wants: BTreeMap<&str, i64> = BTreeMap::new();
        for component in &request.components {
            let pods = component.surge.pods(component.replicas.max(1));
            for (name, amount) in component.per_replica.iter() {
                if name != PODS && amount > 0 {
                    let sum = wants.entry(name).or_default();
                    *sum = sum.saturating_add(amount.saturating_mul(pods));
                }
            }
        }
        Self {
            path: node.map(|node| quotas.path(node)).unwrap_or_default(),
            flavors: request.placement.flavors.iter().map(|of| &**of).collect(),
            request,
            quotas,
            wants,
            has,
        }
    }

    /// By what right one makes room, and how much it owes by these charges; `None`: its tenant owes
    /// nothing.
    fn claim(&self, of: &Standing, settled: Option<&QuotaTree>) -> Option<(Claim, u64)> {
        if !of.places.iter().any(|place| self.helps(place)) {
            return None;
        }
        let lower = of.priority < self.request.priority;
        if of.tenant == self.request.tenant {
            return lower.then_some((Claim::Lower, 0));
        }
        if let Some(owes) = settled.and_then(|settled| self.owes(settled, of)) {
            return Some((Claim::Borrowed, owes));
        }
        self.has_emergency_over(of).then_some((Claim::Emergency, 0))
    }

    /// Whether one goes because there is an emergency.
    fn has_emergency_over(&self, of: &Standing) -> bool {
        let lower = of.priority < self.request.priority;
        self.request.emergency && !of.emergency && lower
    }

    /// Whether what goes from a place is something that the asker can use.
    fn helps(&self, place: &Place) -> bool {
        let named = self.flavors.is_empty() || self.flavors.contains(&*place.flavor);
        named && place.spare() > 0
    }

    /// How much the branch of another tenant borrows of what the asker's branch is entitled to, at the
    /// lowest tenant that both are below; `None` where it owes nothing to the asker. What the branch is
    /// charged is by `quotas`.
    fn owes(&self, quotas: &QuotaTree, of: &Standing) -> Option<u64> {
        let branches = self.branches(quotas, &of.tenant)?;
        let places = of.places.iter().filter(|place| self.helps(place));
        let keys = places.flat_map(|place| {
            let asked = self.wants.keys();
            asked
                .filter(|name| place.charge.get(name) > 0)
                .map(|name| Key::new(&*place.flavor, *name))
        });
        keys.filter(|key| self.is_owed(quotas, branches, key))
            .map(|key| ratio(quotas, branches.1, &key))
            .max()
    }

    /// Whether the branch of a tenant owes anything at all: what each in it owes is looked at then.
    fn is_owed_by(&self, tenant: &str, quotas: &QuotaTree) -> bool {
        let Some(branches) = self.branches(quotas, tenant) else {
            return false;
        };
        let keys = quotas.keys(branches.1).into_iter();
        keys.filter(|key| self.wants.contains_key(&*key.resource))
            .any(|key| self.is_owed(quotas, branches, &key))
    }

    /// The asker's branch and another tenant's, below the lowest tenant that both are below. `None`
    /// where one is above the other, for what is charged to either is its own, or where there is none.
    fn branches(&self, quotas: &QuotaTree, tenant: &str) -> Option<(NodeId, NodeId)> {
        let theirs = quotas.path(quotas.node(tenant)?);
        let mut at = self.path.iter().zip(&theirs);
        let shared = at.position(|(one, other)| one != other);
        let shared = shared.filter(|shared| *shared > 0)?;
        Some((*self.path.get(shared)?, *theirs.get(shared)?))
    }

    /// Whether the asker's branch stays within what it is entitled to of that flavor, and the other
    /// borrows of the key.
    fn is_owed(&self, quotas: &QuotaTree, (mine, their): (NodeId, NodeId), key: &Key) -> bool {
        let mut wants = self.wants.iter();
        let entitled = wants.all(|(name, amount)| {
            let key = Key::new(&*key.flavor, *name);
            let has = self.has.get(&key).copied().unwrap_or(0);
            self.quotas.unborrowed(mine, &key) >= amount.saturating_sub(has)
        });
        entitled && quotas.unborrowed(their, key) < 0
    }
}

/// (charge − nominal) / nominal in millionths; without a nominal it owes most of all.
fn ratio(quotas: &QuotaTree, node: NodeId, key: &Key) -> u64 {
    let nominal = quotas.line(node, key).nominal;
    let borrowed = i128::from(quotas.unborrowed(node, key).saturating_neg());
    let ratio = borrowed
        .saturating_mul(1_000_000)
        .checked_div(i128::from(nominal.max(0)));
    ratio.map_or(u64::MAX, |ratio| u64::try_from(ratio).unwrap_or(u64::MAX))
}
