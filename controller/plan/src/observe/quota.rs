//! Quotas: what is written, what counts, and what is charged.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Quota;
use heyun_crds::conditions::Reason;
use heyun_crds::quota::{EffectiveQuota, Grant, QuotaLine, QuotaSpec};
use heyun_scheduler::quantity::amount;
use heyun_scheduler::quota::{
    Amounts, Key, Line, Problem, QuotaNode, QuotaTree, Violation, ViolationKind, violations,
};

use super::HeldBy;
use super::amounts::quantity;
use crate::grants;
use crate::tenants::{Refusal, TenantTree};

/// What is charged to each tenant itself: the sum over what its Workloads hold.
pub fn charges<'a>(held: impl IntoIterator<Item = &'a HeldBy>) -> BTreeMap<String, Amounts> {
    // There are many Workloads and few tenants and lines: names are copied once for each of these.
    let mut charges: BTreeMap<&str, BTreeMap<(&str, &str), i64>> = BTreeMap::new();
    for by in held {
        let own = charges.entry(&by.tenant).or_default();
        for entry in &by.held.entries {
            for (resource, amount) in entry.charge.iter().filter(|(_, amount)| *amount != 0) {
                let sum = own.entry((&entry.flavor, resource)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
    }
    let amounts = |sums: BTreeMap<(&str, &str), i64>| {
        let each = sums.into_iter();
        each.map(|((flavor, resource), sum)| (Key::new(flavor, resource), sum))
            .collect()
    };
    charges
        .into_iter()
        .map(|(tenant, sums)| (tenant.to_owned(), amounts(sums)))
        .collect()
}

/// The lines of a Quota's spec, or every number of it that is no amount.
///
/// # Errors
/// One sentence per fault: place, value and fix.
pub fn lines(spec: &QuotaSpec) -> Result<BTreeMap<Key, Line>, Vec<String>> {
    let mut faults = Vec::new();
    let lines = spec
        .resources
        .iter()
        .map(|line| (key(line), read(line, &mut faults)))
        .collect();
    if faults.is_empty() {
        Ok(lines)
    } else {
        Err(faults)
    }
}

/// The nominals of a Quota's spec; none where it cannot be read.
pub fn nominals(spec: &QuotaSpec) -> Amounts {
    let lines = lines(spec).unwrap_or_default().into_iter();
    lines.map(|(key, line)| (key, line.nominal)).collect()
}

fn key(line: &QuotaLine) -> Key {
    Key::new(&line.flavor, &line.resource)
}

fn read(line: &QuotaLine, faults: &mut Vec<String>) -> Line {
    let mut number = |field: &str, text: &str| {
        amount(&line.resource, text).unwrap_or_else(|error| {
            faults.push(format!("spec.resources[{}].{field}: {error}", key(line)));
            0
        })
    };
    let guaranteed = match line.guaranteed.0.as_str() {
        "" => 0,
        text => number("guaranteed", text),
    };
    let nominal = number("nominal", &line.nominal.0);
    let ceiling = line
        .ceiling
        .as_ref()
        .map_or(nominal, |ceiling| number("ceiling", &ceiling.0));
    Line {
        guaranteed,
        nominal,
        ceiling,
    }
}

/// Flavors that a tenant's quota has a line for, by what counts.
pub fn flavors(quota: &Quota) -> BTreeSet<String> {
    counting(quota)
        .0
        .into_keys()
        .map(|key| key.flavor)
        .collect()
}

/// The quota tree: what counts of every Quota, with what is charged to each tenant.
///
/// A Quota whose `status.effective` is there counts by it. Without it (new, or lost) nothing
/// counts but what is charged, until [`settle`] makes its spec count as far as it may. Every
/// placed tenant is in the tree, so that the path above one with a Quota is whole.
pub fn tree(
    quotas: &[&Quota],
    tenants: &TenantTree,
    charges: &BTreeMap<String, Amounts>,
) -> (QuotaTree, Vec<Problem>) {
    let nodes = nodes(quotas, tenants, charges);
    QuotaTree::build(&nodes)
}

/// The same as [`tree`] where no `status.effective` is to be believed or there is none: charges
/// first, then the specs as far as parents cover them, with the grants that are known. For `simulate`, and to rebuild.
pub fn tree_of_specs(
    quotas: &[&Quota],
    tenants: &TenantTree,
    charges: &BTreeMap<String, Amounts>,
) -> (QuotaTree, Vec<Problem>) {
    let mut nodes = nodes(&[], tenants, charges);
    for node in &mut nodes {
        let quota = quotas.iter().find(|quota| quota.spec.tenant == node.name);
        if let Some(quota) = quota {
            let grants = quota.effective().map(|e| e.grants.as_slice());
            let own = lines(&quota.spec).unwrap_or_default();
            node.lines = with_grants(own, grants.unwrap_or_default());
            node.failover_reserve_permille = reserve(&quota.spec);
        }
    }
    let rebuilt = QuotaTree::rebuild(&nodes);
    (rebuilt.tree, rebuilt.problems)
}

fn nodes(
    quotas: &[&Quota],
    tenants: &TenantTree,
    charges: &BTreeMap<String, Amounts>,
) -> Vec<QuotaNode> {
    let mut nodes: BTreeMap<&str, QuotaNode> = BTreeMap::new();
    for tenant in tenants.iter().filter(|tenant| tenant.placed) {
        let node = QuotaNode {
            name: tenant.name.clone(),
            parent: tenant.parent.clone(),
            ..QuotaNode::default()
        };
        nodes.insert(&tenant.name, node);
    }
    for quota in quotas {
        let name = quota.spec.tenant.as_str();
        let node = nodes.entry(name).or_insert_with(|| QuotaNode {
            name: name.to_owned(),
            ..QuotaNode::default()
        });
        let (lines, pending) = counting(quota);
        node.lines = lines;
        node.pending = pending;
        node.failover_reserve_permille = reserve(&quota.spec);
        if let Some(effective) = quota.effective() {
            node.parent.clone_from(&effective.parent);
        }
    }
    for (name, amounts) in charges {
        let node = nodes.entry(name).or_insert_with(|| QuotaNode {
            name: name.clone(),
            ..QuotaNode::default()
        });
        node.charges.clone_from(amounts);
    }
    nodes.into_values().collect()
}

/// The lines that count, and what of the written guarantees is still wished for.
fn counting(quota: &Quota) -> (BTreeMap<Key, Line>, Amounts) {
    let mut unread = Vec::new();
    let lines: BTreeMap<Key, Line> = quota
        .effective()
        .map(|e| {
            e.resources
                .iter()
                .map(|line| (key(line), read(line, &mut unread)))
                .collect()
        })
        .unwrap_or_default();
    let wished = self::lines(&quota.spec).unwrap_or_default();
    let pending = wished.iter().filter_map(|(key, wish)| {
        let counts = lines.get(key).map_or(0, |line| line.guaranteed);
        (wish.guaranteed > counts).then(|| (key.clone(), wish.guaranteed - counts))
    });
    let pending = pending.collect();
    (lines, pending)
}

/// The failover reserve in thousandths; what cannot be read is none.
fn reserve(spec: &QuotaSpec) -> u32 {
    let percent = spec
        .failover_reserve
        .as_deref()
        .and_then(|text| text.strip_suffix('%'));
    percent
        .and_then(|digits| digits.parse::<u32>().ok())
        .map_or(0, |p| p.min(100) * 10)
}

/// What became of one Quota's spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settlement {
    /// What counts from now on; `None`: nothing counted and nothing does.
    pub effective: Option<EffectiveQuota>,
    /// Whether that differs from what counted, the epoch aside: then it is to be written.
    pub changed: bool,
    /// Why the spec, or the new parent, does not count.
    pub refusal: Option<Refusal>,
    /// Whether a part of a guarantee waits for the parent.
    pub pending: bool,
}

/// Makes a Quota's spec count as far as it may now, in the tree and for `status.effective`, with the
/// grants it should have. `parent` is the tenant's parent that counts; `told` is why the spec, if it
/// does not count yet, is not to.
///
/// Called for one Quota after the other, in one order with commits; calling it again tries again
/// what was pending. A spec that does not count holds up no grant: one begins, and ends, on the
/// numbers that do count.
pub fn settle(
    quota: &Quota,
    parent: Option<&str>,
    tree: &mut QuotaTree,
    epoch: i64,
    grants: Vec<Grant>,
    told: Option<Refusal>,
) -> Settlement {
    let before = quota.effective();
    let name = quota.spec.tenant.as_str();
    let Some(node) = tree.node(name) else {
        let message = format!(
            "tenant {name} does not exist or has no place in the tree: create or correct the Tenant {name} first"
        );
        return Settlement {
            effective: before.cloned(),
            refusal: Some(Refusal::new(Reason::NotFound, message)),
            ..Settlement::default()
        };
    };
    let invalid = |message| Refusal::new(Reason::QuotaInvalid, message);
    let wish = match told {
        Some(refusal) => Err(refusal),
        None => sound(&quota.spec).map_err(invalid),
    };
    let (wish, refusal) = match (wish, before) {
        (Ok(wish), _) => (wish, None),
        (Err(refusal), Some(before)) if before.grants != grants => (base(before), Some(refusal)),
        (Err(refusal), _) => {
            return Settlement {
                effective: before.cloned(),
                refusal: Some(refusal),
                ..Settlement::default()
            };
        }
    };
    let generation = match (&refusal, before) {
        (Some(_), Some(before)) => before.generation,
        _ => quota.metadata.generation.unwrap_or_default(),
    };
    let moved = match &refusal {
        Some(_) => Ok(()),
        None => move_under(name, parent, tree),
    };
    let wish = with_grants(wish, &grants);
    let settled = tree.settle(node, &wish);
    let pending = settled.iter().any(|line| line.pending > 0);
    let effective = EffectiveQuota {
        generation,
        epoch: before.map_or(epoch, |before| before.epoch),
        parent: tree.parent(node).map(|parent| tree.name(parent).to_owned()),
        resources: settled
            .iter()
            .filter(|line| line.effective != Line::default() || wish.contains_key(&line.key))
            .map(|line| written(&line.key, line.effective))
            .collect(),
        grants,
    };
    let changed = before != Some(&effective);
    Settlement {
        effective: Some(EffectiveQuota {
            epoch: if changed { epoch } else { effective.epoch },
            ..effective
        }),
        changed,
        refusal: refusal.or_else(|| moved.err().map(invalid)),
        pending,
    }
}

/// Moves a tenant under the parent that counts; why it stays where it is.
fn move_under(name: &str, parent: Option<&str>, tree: &mut QuotaTree) -> Result<(), String> {
    let Some(node) = tree.node(name) else {
        return Ok(());
    };
    let above = match parent {
        None => None,
        Some(parent) => Some(tree.node(parent).ok_or_else(|| {
            format!(
                "parent {parent} of {name} has no place in the quota tree: correct {parent} first"
            )
        })?),
    };
    tree.move_under(node, above)
        .map_err(|error| error.to_string())
}

/// The lines that count, without the grants that are in them. What a grant alone raised the ceiling
/// to is not known any more: it is the nominal's.
fn base(effective: &EffectiveQuota) -> BTreeMap<Key, Line> {
    let granted = grants::active(&effective.grants);
    let mut unread = Vec::new();
    let lines = effective.resources.iter().map(|line| {
        let (key, mut line) = (key(line), read(line, &mut unread));
        let granted = granted.get(&key).copied().unwrap_or(0);
        if granted > 0 && line.ceiling == line.nominal {
            line.ceiling = line.ceiling.saturating_sub(granted);
        }
        line.nominal = line.nominal.saturating_sub(granted);
        (key, line)
    });
    lines.collect()
}

/// Lines with the grants that are active: they add to the nominal, and to the ceiling where that
/// would be lower.
fn with_grants(mut lines: BTreeMap<Key, Line>, grants: &[Grant]) -> BTreeMap<Key, Line> {
    for (key, amount) in grants::active(grants) {
        let line = lines.entry(key).or_default();
        line.nominal = line.nominal.saturating_add(amount);
        line.ceiling = line.ceiling.max(line.nominal);
    }
    lines
}

fn written(key: &Key, line: Line) -> QuotaLine {
    let text = |amount| quantity(&key.resource, amount);
    QuotaLine {
        flavor: key.flavor.clone(),
        resource: key.resource.clone(),
        guaranteed: text(line.guaranteed),
        nominal: text(line.nominal),
        ceiling: Some(text(line.ceiling)),
    }
}

/// The lines, when they contradict neither the grammar nor each other.
fn sound(spec: &QuotaSpec) -> Result<BTreeMap<Key, Line>, String> {
    let lines = lines(spec).map_err(|faults| faults.join("; "))?;
    // A parent of any name: the rule that a root needs no ceiling is not for one Quota alone.
    let node = QuotaNode {
        name: spec.tenant.clone(),
        parent: Some(String::new()),
        lines,
        failover_reserve_permille: reserve(spec),
        ..QuotaNode::default()
    };
    let broken = violations(std::slice::from_ref(&node), 100);
    if broken.is_empty() {
        return Ok(node.lines);
    }
    Err(broken
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; "))
}

/// What the written Quotas of all tenants contradict in each other, by the tenant that is told.
///
/// A sum that is too large is told to the youngest of the children that add to it; nothing
/// depends on it but the message, since what counts is settled by what is covered.
pub fn contradictions(quotas: &[&Quota], tenants: &TenantTree) -> BTreeMap<String, Vec<String>> {
    let by_tenant: BTreeMap<&str, &Quota> = quotas
        .iter()
        .map(|quota| (quota.spec.tenant.as_str(), *quota))
        .collect();
    let nodes: Vec<QuotaNode> = by_tenant
        .iter()
        .filter_map(|(name, quota)| {
            Some(QuotaNode {
                name: (*name).to_owned(),
                parent: tenants.get(name)?.parent.clone(),
                lines: lines(&quota.spec).ok()?,
                failover_reserve_permille: reserve(&quota.spec),
                ..QuotaNode::default()
            })
        })
        .collect();
    let percent = |name: &str| {
        by_tenant
            .get(name)
            .and_then(|quota| quota.spec.overcommit_percent)
            .unwrap_or(100)
    };
    let percents: BTreeSet<u32> = by_tenant.keys().map(|name| percent(name)).collect();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in percents {
        let found = violations(&nodes, value);
        for violation in found.iter().filter(|v| percent(&v.node) == value) {
            let name = tell(violation, &by_tenant);
            told.entry(name).or_default().push(violation.to_string());
        }
    }
    told
}

fn tell(violation: &Violation, by_tenant: &BTreeMap<&str, &Quota>) -> String {
    let (ViolationKind::ChildrenGuaranteed { children, .. }
    | ViolationKind::ChildrenNominal { children, .. }) = &violation.kind
    else {
        return violation.node.clone();
    };
    let created = |name: &&String| {
        let time = by_tenant
            .get(name.as_str())
            .and_then(|q| q.metadata.creation_timestamp.clone());
        time.map(|time| time.0)
    };
    children
        .keys()
        .max_by_key(created)
        .unwrap_or(&violation.node)
        .clone()
}
