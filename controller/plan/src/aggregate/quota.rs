//! The status of a Quota: its lines as the tree counts them.

use heyun_crds::Quota;
use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::quota::{QuotaStatus, QuotaUse};
use heyun_scheduler::quantity::format_amount;
use heyun_scheduler::quota::{Figures, Key, NodeId, QuotaTree};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observe::amounts::quantity;
use crate::observe::quota::Settlement;
use crate::tenants::Refusal;

/// Use per line of one tenant, by flavor and resource; empty when it has no place in the tree.
pub fn quota_lines(tree: &QuotaTree, tenant: &str) -> Vec<QuotaUse> {
    let Some(node) = tree.node(tenant) else {
        return Vec::new();
    };
    tree.keys(node)
        .iter()
        .map(|key| line(tree, node, key))
        .collect()
}

fn line(tree: &QuotaTree, node: NodeId, key: &Key) -> QuotaUse {
    let figures: Figures = tree.figures(node, key);
    let text = |amount| quantity(&key.resource, amount);
    QuotaUse {
        flavor: key.flavor.clone(),
        resource: key.resource.clone(),
        used: text(used(tree, node, key)),
        charged: text(figures.charged),
        borrowed: text(figures.borrowed),
        lent: text(figures.lent),
        available: text(figures.available),
        debt: text(figures.debt),
        pending: text(figures.pending),
    }
}

/// What is decided for a tenant and those below it.
fn used(tree: &QuotaTree, node: NodeId, key: &Key) -> i64 {
    let mut open = vec![node];
    let mut sum = 0_i64;
    while let Some(node) = open.pop() {
        sum = sum.saturating_add(tree.own_charge(node, key));
        open.extend(tree.children(node));
    }
    sum
}

/// The status of a Quota, and whether it differs from the old one in more than times.
///
/// `told` are the contradictions with other Quotas ([`crate::observe::quota::contradictions`]).
pub fn quota_status(
    quota: &Quota,
    tree: &QuotaTree,
    settlement: &Settlement,
    told: &[String],
    now: &Time,
) -> (QuotaStatus, bool) {
    let old = quota.status.clone().unwrap_or_default();
    let generation = quota.metadata.generation.unwrap_or_default();
    let mut status = QuotaStatus {
        observed_generation: generation,
        conditions: old.conditions.clone(),
        effective: settlement.effective.clone(),
        resources: quota_lines(tree, &quota.spec.tenant),
        summary: summary(tree, &quota.spec.tenant),
    };
    let refusal = settlement.refusal.clone().or_else(|| {
        let message = told.join("; ");
        let reason = Reason::QuotaInvalid;
        (!told.is_empty()).then_some(Refusal { reason, message })
    });
    let pending: Vec<&QuotaUse> = status
        .resources
        .iter()
        .filter(|line| line.pending.0 != "0")
        .collect();
    let ready = match (&refusal, pending.first()) {
        (Some(refusal), _) => (Some(false), refusal.reason, refusal.message.clone()),
        (None, Some(line)) => {
            let message = format!(
                "{} {} of {} are guaranteed when the parent covers them",
                line.pending, line.resource, line.flavor
            );
            (Some(false), Reason::QuotaPending, message)
        }
        (None, None) => (Some(true), Reason::Ok, "all of the spec counts".to_owned()),
    };
    let accepted = match &refusal {
        Some(refusal) => (Some(false), refusal.reason, refusal.message.clone()),
        None => (Some(true), Reason::Ok, "the numbers are sound".to_owned()),
    };
    for (kind, (is, reason, message)) in [
        (ConditionType::Accepted, accepted),
        (ConditionType::Ready, ready),
    ] {
        let reason = reason.as_str();
        set_condition(
            &mut status.conditions,
            kind,
            is,
            reason,
            &message,
            Some(generation),
            now,
        );
    }
    let changed = status != old;
    (status, changed)
}

/// The fullest line: `31 of 40 cpu (xinchuang-arm64)`; empty without lines.
fn summary(tree: &QuotaTree, tenant: &str) -> String {
    let Some(node) = tree.node(tenant) else {
        return String::new();
    };
    let full = |key: &Key| {
        let (used, nominal) = (used(tree, node, key), tree.line(node, key).nominal);
        // In ten-thousandths; what is used without a nominal is fuller than all else.
        match (used, nominal) {
            (0, _) => 0,
            (_, 0) => i128::MAX,
            (used, nominal) => i128::from(used).saturating_mul(10_000) / i128::from(nominal),
        }
    };
    let keys = tree.keys(node);
    let Some(key) = keys
        .iter()
        .max_by(|a, b| full(a).cmp(&full(b)).then_with(|| b.cmp(a)))
    else {
        return String::new();
    };
    let text = |amount| format_amount(&key.resource, amount);
    let (used, nominal) = (used(tree, node, key), tree.line(node, key).nominal);
    format!(
        "{} of {} {} ({})",
        text(used),
        text(nominal),
        key.resource,
        key.flavor
    )
}
