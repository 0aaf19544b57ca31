//! Quota by the definition of the tree: every node's charge before and after the batch.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Violation};
use crate::quota::{Amounts, Key, Purpose, QuotaNode};
use crate::request::Surge;
use crate::snapshot::Snapshot;

pub(super) fn verify(snapshot: &Snapshot, placed: &[Case<'_>], found: &mut Vec<Violation>) {
    let nodes = snapshot.quotas.export();
    let mut own: BTreeMap<(&str, &Key), i128> = BTreeMap::new();
    for node in &nodes {
        for (key, amount) in &node.charges {
            own.insert((&node.name, key), i128::from(*amount));
        }
    }
    let before = own.clone();
    let mut grown_by_tenant: BTreeMap<&str, Amounts> = BTreeMap::new();
    let mut failover = false;
    for (request, _, placement) in placed {
        failover |= request.purpose == Purpose::Failover;
        let (reserved, grown) = amounts(snapshot, request, placement);
        let key = || request.key.clone();
        if reserved != placement.reserved {
            found.push(Violation::Amounts {
                key: key(),
                which: "reserved",
            });
        }
        if grown != placement.increase {
            found.push(Violation::Amounts {
                key: key(),
                which: "increase",
            });
        }
        let sums = grown_by_tenant.entry(&request.tenant).or_default();
        for (key, amount) in grown {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(amount);
        }
    }
    for (tenant, sums) in &grown_by_tenant {
        for (key, amount) in sums {
            *own.entry((tenant, key)).or_default() += i128::from(*amount);
        }
    }
    let keys: BTreeSet<&Key> = grown_by_tenant.values().flat_map(BTreeMap::keys).collect();
    for key in keys {
        let charges_before = charges(&nodes, &before, key);
        let charges_after = charges(&nodes, &own, key);
        for node in &nodes {
            let line = node.lines.get(key).copied().unwrap_or_default();
            let limit = if node.parent.is_some() {
                line.ceiling
            } else {
                line.nominal
            };
            let share = i128::from(line.nominal) * i128::from(node.failover_reserve_permille);
            let kept = if failover { 0 } else { (share + 999) / 1000 };
            let limit = i128::from(limit) - kept;
            let (was, is) = (
                charges_before[node.name.as_str()],
                charges_after[node.name.as_str()],
            );
            if is > was && is > limit {
                found.push(Violation::QuotaExceeded {
                    tenant: node.name.clone(),
                    key: key.to_string(),
                    charge: is,
                    limit,
                });
            }
        }
    }
}

/// charge(n) = own charge + the sum over its children of max(charge, guaranteed): the deepest nodes
/// first, each adding to its parent.
fn charges<'n>(
    nodes: &'n [QuotaNode],
    own: &BTreeMap<(&str, &Key), i128>,
    key: &Key,
) -> BTreeMap<&'n str, i128> {
    let parents: BTreeMap<&str, &str> = nodes
        .iter()
        .filter_map(|node| Some((node.name.as_str(), node.parent.as_deref()?)))
        .collect();
    let depth = |name: &'n str| {
        let above = std::iter::successors(Some(name), |at| parents.get(at).copied());
        above.take(nodes.len()).count()
    };
    let mut order: Vec<&QuotaNode> = nodes.iter().collect();
    order.sort_by_cached_key(|node| std::cmp::Reverse(depth(&node.name)));
    let mut charges: BTreeMap<&str, i128> = BTreeMap::new();
    for node in order {
        let name = node.name.as_str();
        let below = charges.get(name).copied().unwrap_or(0);
        let charge = below + own.get(&(name, key)).copied().unwrap_or(0);
        charges.insert(name, charge);
        if let Some(parent) = &node.parent {
            let guaranteed = node.lines.get(key).map_or(0, |line| line.guaranteed);
            *charges.entry(parent).or_default() += charge.max(i128::from(guaranteed));
        }
    }
    charges
}

/// What the assignments reserve, and by how much that exceeds what is held.
fn amounts(
    snapshot: &Snapshot,
    request: &crate::request::Request,
    placement: &crate::verdict::Placed,
) -> (Amounts, Amounts) {
    let mut reserved = Amounts::new();
    let mut grown = Amounts::new();
    for assignment in &placement.assignments {
        let component = request
            .components
            .iter()
            .find(|c| c.name == assignment.component);
        let Some(component) = component else { continue };
        let surge = match component.surge {
            _ if assignment.replicas == 0 => 0,
            Surge::Absolute(pods) => pods,
            Surge::Percent(percent) => {
                let exact = i128::from(assignment.replicas) * i128::from(percent);
                let rounded = exact / 100 + i128::from(exact % 100 != 0);
                i64::try_from(rounded).unwrap_or(i64::MAX)
            }
        };
        let pods = assignment.replicas.saturating_add(surge);
        for (resource, amount) in component
            .per_replica
            .iter()
            .filter(|(name, _)| *name != "pods")
        {
            let charge = amount.saturating_mul(pods);
            if charge == 0 {
                continue;
            }
            let key = Key::new(&assignment.flavor, resource);
            let sum = reserved.entry(key.clone()).or_default();
            *sum = sum.saturating_add(charge);
            let held = snapshot.held.get(&request.key).map_or(0, |held| {
                let entries = held.entries.iter().filter(|entry| {
                    entry.member == assignment.member
                        && entry.component == assignment.component
                        && entry.flavor == assignment.flavor
                });
                entries
                    .map(|entry| entry.charge.get(resource))
                    .next()
                    .unwrap_or(0)
            });
            if charge > held {
                let sum = grown.entry(key).or_default();
                *sum = sum.saturating_add(charge.saturating_sub(held.max(0)));
            }
        }
    }
    (reserved, grown)
}
