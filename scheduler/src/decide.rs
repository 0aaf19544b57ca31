//! One decision: tiers in order, quota and placement together, and the verdict.

mod answer;
mod invalid;

use std::collections::{BTreeMap, BTreeSet};

use crate::attempt::{Failure, Plan, Purse, Terms, attempt, increase};
use crate::capacity::Each;
use crate::case::Case;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::fleet::class::Classes;
use crate::quota::{Amounts, NodeId, QuotaTree};
use crate::request::{Request, WhenUnsatisfiable};
use crate::rules::topology;
use crate::spread::Spread;
use crate::verdict::{Verdict, WorkloadReason};

/// The most steps by which a soft spread is loosened before it is given up.
const MAX_LOOSENED: usize = 64;

/// A decision with what it takes from the fleet and the quota.
pub(crate) struct Decided {
    /// The verdict, without the hash of its inputs.
    pub(crate) verdict: Verdict,
    /// New replicas per lot.
    pub(crate) taken: Vec<(usize, Each, i64)>,
    /// By how much the tenant's charge grows.
    pub(crate) increase: Amounts,
}

/// A plan with the spread constraints that were loosened for it.
struct Found {
    plan: Plan,
    tier: usize,
    relaxed: BTreeSet<String>,
}

/// A spread constraint as one tier sees it.
#[derive(Clone)]
struct Bound {
    key: String,
    spread: Spread,
    soft: bool,
}

/// Decides on one request.
pub(crate) fn decide<'a>(
    fleet: &Fleet<'a>,
    classes: &mut Classes<'a>,
    quotas: &QuotaTree,
    request: &'a Request,
    config: &Config,
) -> Decided {
    if let Some(problem) = invalid::problem(request, config) {
        let reason = WorkloadReason::Invalid { problem };
        return answer::unjudged(fleet, request, config, reason);
    }
    let known = fleet.snapshot.tenants.contains_key(&request.tenant);
    let Some(tenant) = quotas.node(&request.tenant).filter(|_| known) else {
        let reason = WorkloadReason::TenantUnknown {
            tenant: request.tenant.clone(),
        };
        return answer::unjudged(fleet, request, config, reason);
    };
    let case = Case::new(fleet, classes, request, config);
    if let Some(pinned) = pinned(&case) {
        return answer::failed(&case, &pinned, quotas);
    }
    match best_tier(&case, quotas, tenant) {
        Ok(found) => answer::placed(&case, &found.plan, found.tier, found.relaxed),
        Err(failure) => answer::failed(&case, &failure, quotas),
    }
}

/// A component whose data is on a member that may not have it any more, or that is gone.
fn pinned(case: &Case<'_, '_>) -> Option<Failure> {
    let pins = |name: &str| {
        let component = case
            .request
            .components
            .iter()
            .find(|component| component.name == name);
        component.is_some_and(|component| component.pinned_data)
    };
    let stays = |name: &str| {
        let seat = case.fleet.site(name).and_then(|site| case.seats.get(site));
        seat.is_some_and(|seat| !seat.expelled)
    };
    let mut before = case.request.previous.iter();
    let lost = before.find(|before| pins(&before.component) && !stays(&before.member))?;
    Some(Failure::Pinned {
        component: lost.component.clone(),
        member: lost.member.clone(),
    })
}

/// The first tier that holds the whole workload, beginning with the one it is in.
fn best_tier(case: &Case<'_, '_>, quotas: &QuotaTree, tenant: NodeId) -> Result<Found, Failure> {
    let tiers = case.request.placement.affinity.len().max(1);
    let mut order: Vec<usize> = (0..tiers).collect();
    let there = case.previous_sites();
    let current = order
        .iter()
        .copied()
        .find(|tier| !there.is_empty() && there.iter().all(|site| in_tier(case, *site, *tier)));
    order.sort_by_key(|tier| Some(*tier) != current);
    let mut worst: Option<Failure> = None;
    for tier in order {
        match within_tier(case, quotas, tenant, tier) {
            Ok(found) => return Ok(found),
            Err(failure) => {
                if worst
                    .as_ref()
                    .is_none_or(|known| weight(&failure) > weight(known))
                {
                    worst = Some(failure);
                }
            }
        }
    }
    Err(worst.unwrap_or(Failure::NoMember))
}

/// How much a failure tells: that of the tier that came nearest is shown.
fn weight(failure: &Failure) -> u8 {
    match failure {
        Failure::NoMember => 0,
        Failure::Budget => 1,
        Failure::Capacity { .. } => 2,
        Failure::Division { .. } => 3,
        Failure::Spread { .. } => 4,
        Failure::Quota(_) => 5,
        Failure::Pinned { .. } => 6,
    }
}

fn in_tier(case: &Case<'_, '_>, site: usize, tier: usize) -> bool {
    case.seats
        .get(site)
        .is_some_and(|seat| !seat.expelled && seat.tiers & (1 << tier) != 0)
}

fn within_tier(
    case: &Case<'_, '_>,
    quotas: &QuotaTree,
    tenant: NodeId,
    tier: usize,
) -> Result<Found, Failure> {
    let open =
        |site: usize| case.seats.get(site).is_some_and(|seat| !seat.barred) || case.has_any(site);
    let sites: Vec<usize> = case
        .order
        .iter()
        .copied()
        .filter(|site| in_tier(case, *site, tier) && open(*site))
        .collect();
    let mut bounds = spreads(case, &sites);
    let mut relaxed = BTreeSet::new();
    let mut steps = 0;
    loop {
        match covered(case, quotas, tenant, &sites, &bounds) {
            Ok(plan) => {
                return Ok(Found {
                    plan,
                    tier,
                    relaxed,
                });
            }
            Err(Failure::Spread { key, .. }) if bounds.iter().any(|bound| bound.soft) => {
                steps += 1;
                relaxed.insert(loosen(&mut bounds, &key, steps > MAX_LOOSENED));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// A plan that quota covers: first the best one, and if quota does not cover it, one within what
/// quota leaves.
fn covered(
    case: &Case<'_, '_>,
    quotas: &QuotaTree,
    tenant: NodeId,
    sites: &[usize],
    bounds: &[Bound],
) -> Result<Plan, Failure> {
    let spreads: Vec<(String, Spread)> = bounds
        .iter()
        .map(|bound| (bound.key.clone(), bound.spread.clone()))
        .collect();
    let mut terms = Terms {
        sites: sites.to_vec(),
        spreads: &spreads,
        purse: None,
    };
    let best = attempt(case, &terms)?;
    let purpose = case.request.purpose;
    let shortfalls = quotas.shortfalls(tenant, &increase(case, &best), purpose);
    let Some(shortfall) = shortfalls.into_iter().next() else {
        return Ok(best);
    };
    terms.purse = Some(Purse::new(case, quotas, tenant));
    match attempt(case, &terms) {
        Ok(plan)
            if quotas
                .shortfalls(tenant, &increase(case, &plan), purpose)
                .is_empty() =>
        {
            Ok(plan)
        }
        _ => Err(Failure::Quota(shortfall)),
    }
}

/// The spread constraints over the sites of a tier.
fn spreads(case: &Case<'_, '_>, sites: &[usize]) -> Vec<Bound> {
    let constraints = case.request.placement.spread.iter();
    let bound = constraints.map(|constraint| {
        let mut groups: BTreeMap<String, usize> = BTreeMap::new();
        let mut group_of = vec![None; case.fleet.sites.len()];
        for site in sites {
            let of = case.fleet.sites.get(*site);
            let value = of.and_then(|of| topology(of, &constraint.topology_key));
            if let (Some(value), Some(place)) = (value, group_of.get_mut(*site)) {
                let next = groups.len();
                *place = Some(*groups.entry(value).or_insert(next));
            }
        }
        Bound {
            key: constraint.topology_key.clone(),
            spread: Spread {
                group_of,
                max_skew: constraint.max_skew,
                min_groups: constraint.min_groups.unwrap_or(1),
                max_groups: constraint.max_groups,
            },
            soft: constraint.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway,
        }
    });
    bound.collect()
}

/// Loosens a soft constraint by one step (the one that stands in the way, if it is soft), or gives
/// it up; returns its key.
fn loosen(bounds: &mut Vec<Bound>, key: &str, give_up: bool) -> String {
    let named = bounds
        .iter()
        .position(|bound| bound.soft && bound.key == key);
    let last = bounds.iter().rposition(|bound| bound.soft);
    let Some(index) = named.or(last) else {
        return key.to_owned();
    };
    let Some(bound) = bounds.get_mut(index) else {
        return key.to_owned();
    };
    let loosened = bound.key.clone();
    let spread = &mut bound.spread;
    let members = i64::try_from(spread.group_of.len()).unwrap_or(i64::MAX);
    if !give_up {
        if let Some(skew) = spread.max_skew.filter(|skew| *skew < 1 << 20) {
            spread.max_skew = Some(skew.max(1).saturating_mul(2));
            return loosened;
        }
        if spread.max_skew.take().is_some() {
            return loosened;
        }
        if spread.min_groups > 1 {
            spread.min_groups -= 1;
            return loosened;
        }
        if let Some(max) = spread.max_groups.filter(|max| *max < members) {
            spread.max_groups = Some(max.saturating_add(1));
            return loosened;
        }
    }
    bounds.remove(index);
    loosened
}
