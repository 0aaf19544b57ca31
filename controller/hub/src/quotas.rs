//! Quotas: what counts (`status.effective`) and what is shown of it.
//!
//! Pure: from the world to the status each Quota should have. What counts is written, fenced, by
//! the loop alone, before anything is decided by it.

use std::collections::BTreeMap;

use heyun_crds::Quota;
use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::quantity::Quantity;
use heyun_crds::quota::{EffectiveQuota, QuotaStatus, QuotaUse};
use heyun_plan::observe::quota as observe;
use heyun_plan::tenants::TenantTree;
use heyun_scheduler::quantity::format_amount;
use heyun_scheduler::quota::{Amounts, Key, NodeId, QuotaTree};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What becomes of one Quota's spec.
struct Settling {
    effective: Option<EffectiveQuota>,
    refusal: Option<(Reason, String)>,
    pending: bool,
}

/// The status that each Quota should have.
///
/// A spec that is not sound, or new numbers for which the parent has no room, keep the last
/// numbers that counted; a lowering counts at once, a raised guarantee as far as its parent
/// covers it.
pub fn statuses(
    tenants: &TenantTree,
    quotas: &BTreeMap<String, Quota>,
    charges: &BTreeMap<String, Amounts>,
    epoch: i64,
    now: &Time,
) -> BTreeMap<String, QuotaStatus> {
    let all: Vec<&Quota> = quotas.values().collect();
    let mut tree = observe::tree(&all, tenants, charges).0;
    let told = observe::contradictions(&all, tenants);
    let mut settled: BTreeMap<&str, Settling> = BTreeMap::new();
    for name in parents_first(tenants, quotas) {
        if let Some(quota) = quotas.get(name) {
            settled.insert(
                name,
                settle(quota, tenants, &mut tree, told.get(name), epoch),
            );
        }
    }
    let status = |(name, quota): (&String, &Quota)| {
        let settling = settled.remove(name.as_str())?;
        Some((name.clone(), status(quota, settling, &tree, now)))
    };
    quotas.iter().filter_map(status).collect()
}

/// Names of the Quotas, each after that of its parent, so that one pass settles a whole tree.
fn parents_first<'a>(tenants: &TenantTree, quotas: &'a BTreeMap<String, Quota>) -> Vec<&'a str> {
    let mut names: Vec<(usize, &str)> = quotas
        .keys()
        .map(|name| (tenants.lineage(name).count(), name.as_str()))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name).collect()
}

fn settle(
    quota: &Quota,
    tenants: &TenantTree,
    tree: &mut QuotaTree,
    told: Option<&Vec<String>>,
    epoch: i64,
) -> Settling {
    // A parent may be lowered below its children; what is new below it may not come.
    if let Some(told) = told
        && !in_force(quota)
    {
        return Settling {
            effective: quota.status.as_ref().and_then(|s| s.effective.clone()),
            refusal: Some((Reason::QuotaInvalid, told.join("; "))),
            pending: false,
        };
    }
    let parent = tenants
        .get(&quota.spec.tenant)
        .and_then(|node| node.parent.as_deref());
    let settlement = observe::settle(quota, parent, tree, epoch);
    Settling {
        effective: settlement.effective,
        refusal: settlement.refusal.map(|r| (r.reason, r.message)),
        pending: settlement.pending,
    }
}

/// Whether the numbers of the spec are those that count.
fn in_force(quota: &Quota) -> bool {
    let effective = quota.status.as_ref().and_then(|s| s.effective.as_ref());
    effective.is_some_and(|e| Some(e.generation) == quota.metadata.generation)
}

fn status(quota: &Quota, settling: Settling, tree: &QuotaTree, now: &Time) -> QuotaStatus {
    let generation = quota.metadata.generation.unwrap_or_default();
    let mut conditions = quota
        .status
        .iter()
        .flat_map(|s| s.conditions.clone())
        .collect();
    let mut set = |kind, ok, reason: Reason, message: &str| {
        let reason = reason.as_str();
        set_condition(
            &mut conditions,
            kind,
            Some(ok),
            reason,
            message,
            Some(generation),
            now,
        );
    };
    if let Some((reason, message)) = &settling.refusal {
        set(ConditionType::Accepted, false, *reason, message);
        set(ConditionType::Ready, false, *reason, message);
    } else {
        set(ConditionType::Accepted, true, Reason::Ok, "");
        if settling.pending {
            let message = "a part of the guaranteed waits until the parent covers it: see \
                           status.resources[].pending";
            set(ConditionType::Ready, false, Reason::QuotaPending, message);
        } else {
            set(ConditionType::Ready, true, Reason::Ok, "");
        }
    }
    let resources = uses(tree, &quota.spec.tenant);
    QuotaStatus {
        observed_generation: generation,
        conditions,
        summary: summary(tree, &quota.spec.tenant),
        effective: settling.effective,
        resources,
    }
}

fn uses(tree: &QuotaTree, name: &str) -> Vec<QuotaUse> {
    let Some(node) = tree.node(name) else {
        return Vec::new();
    };
    let each = |key: &Key| {
        let figures = tree.figures(node, key);
        let quantity = |v| Quantity(format_amount(&key.resource, v));
        QuotaUse {
            flavor: key.flavor.clone(),
            resource: key.resource.clone(),
            used: quantity(used(tree, node, key)),
            charged: quantity(figures.charged),
            borrowed: quantity(figures.borrowed),
            lent: quantity(figures.lent),
            available: quantity(figures.available),
            debt: quantity(figures.debt),
            pending: quantity(figures.pending),
        }
    };
    tree.keys(node).iter().map(each).collect()
}

/// What is decided for the tenant and all below it.
fn used(tree: &QuotaTree, node: NodeId, key: &Key) -> i64 {
    let own = tree.own_charge(node, key);
    let below = tree
        .children(node)
        .iter()
        .map(|child| used(tree, *child, key));
    below.fold(own, i64::saturating_add)
}

/// The fullest line in words: `31 of 40 cpu (xinchuang-arm64)`.
fn summary(tree: &QuotaTree, name: &str) -> String {
    let Some(node) = tree.node(name) else {
        return String::new();
    };
    let share = |key: Key| {
        let (used, nominal) = (used(tree, node, &key), tree.line(node, &key).nominal);
        let share = i128::from(used)
            .saturating_mul(1000)
            .checked_div(i128::from(nominal))?;
        Some((share, std::cmp::Reverse(key), used, nominal))
    };
    let fullest = tree.keys(node).into_iter().filter_map(share).max();
    fullest.map_or(
        String::new(),
        |(_, std::cmp::Reverse(key), used, nominal)| {
            let text = |v| format_amount(&key.resource, v);
            format!(
                "{} of {} {} ({})",
                text(used),
                text(nominal),
                key.resource,
                key.flavor
            )
        },
    )
}
