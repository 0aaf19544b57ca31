//! Quotas: what counts (`status.effective`) and what is shown of it.
//!
//! Pure: from the world to the status each Quota should have. What counts is written, fenced, by
//! the loop alone, before anything is decided by it.

use std::collections::BTreeMap;

use heyun_crds::Quota;
use heyun_crds::conditions::Reason;
use heyun_crds::quota::QuotaStatus;
use heyun_plan::aggregate;
use heyun_plan::grants::Calendar;
use heyun_plan::observe::quota::{self as observe, Settlement};
use heyun_plan::requests::Booking;
use heyun_plan::tenants::{Refusal, TenantTree};
use heyun_scheduler::quota::Amounts;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The status that each Quota should have.
///
/// A spec that is not sound, or new numbers for which the parent has no room, keep the last
/// numbers that counted; a lowering counts at once, a raised guarantee as far as its parent
/// covers it. A nominal is not raised over what is promised to others by the calendar.
pub fn statuses(
    tenants: &TenantTree,
    quotas: &BTreeMap<String, Quota>,
    charges: &BTreeMap<String, Amounts>,
    mut booking: Booking,
    epoch: i64,
    now: &Time,
) -> BTreeMap<String, QuotaStatus> {
    let all: Vec<&Quota> = quotas.values().collect();
    let mut tree = observe::tree(&all, tenants, charges).0;
    let told = observe::contradictions(&all, tenants);
    let mut settled: BTreeMap<&str, Settlement> = BTreeMap::new();
    for name in parents_first(tenants, quotas) {
        let Some(quota) = quotas.get(name) else {
            continue;
        };
        let grants = booking.grants.remove(name).unwrap_or_default();
        let refusal = refusal(quota, told.get(name), &booking.calendar, now);
        let parent = tenants.get(name).and_then(|node| node.parent.as_deref());
        let settlement = observe::settle(quota, parent, &mut tree, epoch, grants, refusal);
        if let Some(effective) = &settlement.effective {
            booking.calendar.settled(name, effective);
        }
        settled.insert(name, settlement);
    }
    let status = |(name, quota): (&String, &Quota)| {
        let settlement = settled.remove(name.as_str())?;
        let told = told.get(name).map(Vec::as_slice).unwrap_or_default();
        let (status, _) = aggregate::quota_status(quota, &tree, &settlement, told, now);
        Some((name.clone(), status))
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

/// Why a spec that does not count yet is not to. A parent may be lowered below its children; what is
/// new below it may not come.
fn refusal(
    quota: &Quota,
    told: Option<&Vec<String>>,
    calendar: &Calendar,
    now: &Time,
) -> Option<Refusal> {
    if in_force(quota) {
        return None;
    }
    let wish = observe::nominals(&quota.spec);
    let promised = calendar.raise(&quota.spec.tenant, &wish, now.0);
    let message = match (told, promised) {
        (Some(told), _) => told.join("; "),
        (None, Err(short)) => format!("what is granted to others is promised to them: {short}"),
        (None, Ok(())) => return None,
    };
    Some(Refusal {
        reason: Reason::QuotaInvalid,
        message,
    })
}

/// Whether the numbers of the spec are those that count.
fn in_force(quota: &Quota) -> bool {
    quota
        .effective()
        .is_some_and(|e| Some(e.generation) == quota.metadata.generation)
}

#[cfg(test)]
mod tests;
