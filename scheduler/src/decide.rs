//! One decision: tiers in order, quota and placement together, and the verdict.

mod answer;
mod components;
mod invalid;
mod table;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::attempt::{Bound, Failure, Plan, Purse, Ranks, Terms, attempt, increase};
use crate::capacity::Each;
use crate::case::{Case, Memory, Seat};
use crate::config::Config;
use crate::fleet::Fleet;
use crate::neighbours::Neighbours;
use crate::quota::{Amounts, NodeId, QuotaTree};
use crate::request::{Division, Request, SpreadConstraint, WhenUnsatisfiable};
use crate::spread::Spread;
use crate::verdict::{Verdict, WorkloadReason};

/// The most steps by which a soft spread is loosened before it is given up.
const MAX_LOOSENED: usize = 64;

/// A decision with what it takes from the fleet.
pub(crate) struct Decided {
    /// The verdict, without the hash of its inputs.
    pub(crate) verdict: Verdict,
    /// New replicas per lot.
    pub(crate) taken: Vec<(usize, Each, i64)>,
}

/// A plan with the spread constraints that were loosened for it.
struct Found {
    plan: Plan,
    /// By how much the tenant's charge grows with it.
    increase: Amounts,
    reach: Reach,
    relaxed: BTreeSet<String>,
}

impl Found {
    /// The affinity term that was used, if it was one.
    fn tier(&self) -> Option<usize> {
        match self.reach {
            Reach::Tier(tier) | Reach::Back(tier) => Some(tier),
            Reach::All => None,
        }
    }

    /// Whether that is an earlier one than the workload stands in.
    fn returned(&self) -> bool {
        matches!(self.reach, Reach::Back(_))
    }
}

/// What all attempts in one reach have in common.
struct Aim<'t> {
    quotas: &'t QuotaTree,
    tenant: NodeId,
    reach: Reach,
    ranks: Option<Ranks>,
}

/// Decides on one request, with the workloads that it depends on.
pub(crate) fn decide<'a>(
    fleet: &'a Fleet,
    memory: &mut Memory,
    request: &'a Request,
    config: &Config,
    neighbours: &Neighbours<'a>,
) -> Decided {
    let quotas = &fleet.snapshot.quotas;
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
    let case = Case::new(fleet, memory, request, config, neighbours);
    if let Some(pinned) = pinned(&case) {
        return answer::failed(&case, &pinned, quotas, config.explained);
    }
    match best_tier(&case, quotas, tenant) {
        Ok(found) => answer::placed(&case, &found, config.explained),
        Err(failure) => answer::failed(&case, &failure, quotas, config.explained),
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
        let seat = case.fleet.site(name).and_then(|site| case.seat(site));
        seat.is_some_and(|seat| !seat.expelled())
    };
    let mut before = case.request.previous.iter();
    let lost = before.find(|before| pins(&before.component) && !stays(&before.member))?;
    Some(Failure::Pinned {
        component: lost.component.clone(),
        member: lost.member.clone(),
    })
}

/// The members that an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Those of one affinity term.
    Tier(usize),
    /// Those of one that comes before the one the workload stands in.
    Back(usize),
    /// Those of all terms, an earlier one filled before a later.
    All,
}

/// The first tier that holds the whole workload; if none does, all tiers together. A workload that
/// is placed stays in its tier, and grows beyond it before it leaves it; one that is returning goes
/// back to an earlier one that holds it.
fn best_tier(case: &Case<'_, '_>, quotas: &QuotaTree, tenant: NodeId) -> Result<Found, Failure> {
    let tiers = case.request.placement.affinity.len().max(1);
    let mut order: Vec<Reach> = (0..tiers).map(Reach::Tier).collect();
    let there = case.previous_sites();
    if !there.is_empty() {
        let holds = |tier| there.iter().all(|site| in_tier(case, *site, tier));
        let current = (0..tiers).find(|tier| holds(*tier));
        if case.request.returning
            && let Some(found) = earlier(case, quotas, tenant, (&there, current))
        {
            return Ok(found);
        }
        let current = current.map(Reach::Tier);
        order.sort_by_key(|reach| Some(*reach) != current);
        if tiers > 1 {
            order.insert(usize::from(current.is_some()), Reach::All);
        }
    } else if tiers > 1 {
        order.push(Reach::All);
    }
    let mut worst: Option<Failure> = None;
    for reach in order {
        match within_reach(case, quotas, tenant, reach) {
            Ok(found) => return Ok(found),
            Err(failure) => {
                let heavier = |known: &Failure| weight(&failure) > weight(known);
                if worst.as_ref().is_none_or(heavier) {
                    worst = Some(failure);
                }
            }
        }
    }
    Err(worst.unwrap_or(Failure::NoMember))
}

/// The first tier before the one it stands in that holds the whole workload, if there is one: no
/// replica goes to a later tier than it stands in, and data that is pinned goes nowhere.
fn earlier(
    case: &Case<'_, '_>,
    quotas: &QuotaTree,
    tenant: NodeId,
    (there, current): (&[usize], Option<usize>),
) -> Option<Found> {
    let all_of_it = |tier: &usize| {
        let mut pinned = case.parts.iter().filter(|part| part.component.pinned_data);
        pinned.all(|part| part.previous.keys().all(|site| in_tier(case, *site, *tier)))
    };
    let first = there.iter().map(|site| rank(case, *site)).min()?;
    let first = usize::try_from(first).ok()?;
    let last = current.unwrap_or(case.request.placement.affinity.len());
    let tiers = (0..last).take_while(|tier| *tier <= first);
    let mut tiers = tiers.filter(all_of_it).map(Reach::Back);
    tiers.find_map(|reach| within_reach(case, quotas, tenant, reach).ok())
}

/// The first tier that a site belongs to; 64 where it belongs to none.
fn rank(case: &Case<'_, '_>, site: usize) -> u32 {
    case.seat(site)
        .map_or(64, |seat| seat.tiers.trailing_zeros())
}

/// How much a failure tells: that of the tier that came nearest is shown.
fn weight(failure: &Failure) -> u8 {
    match failure {
        Failure::NoMember => 0,
        Failure::Budget => 1,
        Failure::Capacity { .. } => 2,
        Failure::Division { .. } => 3,
        Failure::Spread { .. } => 4,
        Failure::Components { .. } => 5,
        Failure::Quota(_) => 6,
        Failure::Pinned { .. } => 7,
    }
}

fn in_tier(case: &Case<'_, '_>, site: usize, tier: usize) -> bool {
    case.seat(site).is_some_and(|seat| seat.in_tier(tier))
}

fn within_reach(
    case: &Case<'_, '_>,
    quotas: &QuotaTree,
    tenant: NodeId,
    reach: Reach,
) -> Result<Found, Failure> {
    let within = |seat: &Seat| match reach {
        Reach::Tier(tier) | Reach::Back(tier) => seat.in_tier(tier),
        Reach::All => true,
    };
    let mut sites = Vec::with_capacity(case.order.len());
    for site in &case.order {
        let open = |seat: &Seat| within(seat) && (!seat.barred() || seat.has_any);
        if case.seat(*site).is_some_and(open) {
            sites.push(*site);
        }
    }
    let wished = case.wished(&mut sites);
    let mut ranks = None;
    if reach == Reach::All {
        sites.sort_by_key(|site| rank(case, *site));
        ranks = Some(
            sites
                .iter()
                .map(|site| (*site, rank(case, *site)))
                .collect(),
        );
    }
    let aim = Aim {
        quotas,
        tenant,
        reach,
        ranks,
    };
    let rule = case.request.placement.components.as_ref();
    let rule = rule.filter(|_| !case.parts.is_empty());
    let on = |sites: &[usize]| match rule {
        Some(rule) => components::ruled(case, &aim, sites, rule),
        None => loosened(case, &aim, sites, None),
    };
    if let Some(wished) = wished
        && let Ok(found) = on(&wished)
    {
        return Ok(found);
    }
    on(&sites)
}

/// A plan on sites, soft spread constraints loosened until there is one. With `apart`, the group of
/// each member of the fleet, no two components share a group.
fn loosened(
    case: &Case<'_, '_>,
    aim: &Aim<'_>,
    sites: &[usize],
    apart: Option<&[Option<usize>]>,
) -> Result<Found, Failure> {
    let wished = spreads(case, sites);
    let mut bounds = Cow::Borrowed(wished.as_slice());
    let mut relaxed = BTreeSet::new();
    let mut steps = 0;
    loop {
        match covered(case, aim, sites, apart, &bounds) {
            Ok((plan, increase)) => {
                relaxed.extend(not_kept(case, &plan, &wished));
                return Ok(Found {
                    plan,
                    increase,
                    reach: aim.reach,
                    relaxed,
                });
            }
            Err(failure) => {
                let key = match &failure {
                    Failure::Spread { key, .. } => key.as_str(),
                    // What one component spreads over may be what another lacks.
                    _ if apart.is_some() => "",
                    _ => return Err(failure),
                };
                steps += 1;
                let give_up = steps > MAX_LOOSENED || key.is_empty();
                match loosen(bounds.to_mut(), key, give_up) {
                    Some(key) => relaxed.insert(key),
                    None => return Err(failure),
                };
            }
        }
    }
}

/// The soft constraints that a plan does not keep.
fn not_kept(case: &Case<'_, '_>, plan: &Plan, bounds: &[Bound]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for bound in bounds.iter().filter(|bound| bound.spread.soft) {
        let divided = case.parts.iter().enumerate();
        let divided = divided.filter(|(_, of)| of.component.division == Division::Divided);
        for (index, _) in divided {
            let mut shares = vec![0; bound.spread.group_of.len()];
            for ((of, site), pick) in &plan.picks {
                if let (true, Some(share)) = (*of == index, shares.get_mut(*site)) {
                    *share = pick.replicas;
                }
            }
            if !bound.spread.kept_by(&shares) {
                keys.insert(bound.key.clone());
            }
        }
    }
    keys
}

/// A plan that quota covers: first the best one, and if quota does not cover it, one within what
/// quota leaves. With it by how much the tenant's charge grows.
fn covered(
    case: &Case<'_, '_>,
    aim: &Aim<'_>,
    sites: &[usize],
    apart: Option<&[Option<usize>]>,
    bounds: &[Bound],
) -> Result<(Plan, Amounts), Failure> {
    let Aim { quotas, tenant, .. } = *aim;
    let mut terms = Terms {
        sites,
        ranks: aim.ranks.as_ref(),
        spreads: bounds,
        apart,
        returns: matches!(aim.reach, Reach::Back(_)),
        purse: None,
    };
    let best = attempt(case, &terms)?;
    let purpose = case.request.purpose;
    let grown = increase(case, &best);
    let Err(shortfall) = quotas.fits(tenant, &grown, purpose) else {
        return Ok((best, grown));
    };
    terms.purse = Some(Purse::new(case, quotas, tenant));
    let within = attempt(case, &terms).ok();
    let within = within.map(|plan| (increase(case, &plan), plan));
    let within = within.filter(|(grown, _)| quotas.fits(tenant, grown, purpose).is_ok());
    match within {
        Some((grown, plan)) => Ok((plan, grown)),
        None => Err(Failure::Quota(shortfall)),
    }
}

/// The spread constraints over the sites of a tier, an outer one before what is within it.
fn spreads(case: &Case<'_, '_>, sites: &[usize]) -> Vec<Bound> {
    let constraints = &case.request.placement.spread;
    let mut bounds: Vec<Bound> = Vec::with_capacity(constraints.len());
    // A turn for each level of nesting, and no more of these than constraints.
    for _ in constraints {
        for (place, constraint) in constraints.iter().enumerate() {
            let outer = constraint.within.as_ref();
            let outer = outer.map(|key| bounds.iter().find(|bound| bound.key == *key));
            let done = bounds.iter().any(|bound| bound.spread.place == place);
            if !done && !matches!(outer, Some(None)) {
                let outer = outer.flatten().map(|bound| &bound.spread);
                let spread = over(case, sites, (place, constraint), outer);
                let key = constraint.topology_key.clone();
                bounds.push(Bound { key, spread });
            }
        }
    }
    bounds
}

/// One constraint over sites. A value in two outer groups is two groups.
fn over(
    case: &Case<'_, '_>,
    sites: &[usize],
    (place, constraint): (usize, &SpreadConstraint),
    within: Option<&Spread>,
) -> Spread {
    // By outer group, and in it by value: many small maps are faster than one large one.
    let mut groups: Vec<BTreeMap<u32, usize>> = Vec::new();
    groups.resize(
        within.map_or(1, |within| within.outer.len()),
        BTreeMap::new(),
    );
    let values = case.topologies.get(&constraint.topology_key);
    let mut outer = Vec::new();
    let mut group_of = vec![None; case.fleet.sites.len()];
    for site in sites {
        let lies_in = match within {
            Some(within) => within.group(*site),
            None => Some(0),
        };
        let value = values.and_then(|values| values.of(*site));
        let (Some(lies_in), Some(value)) = (lies_in, value) else {
            continue;
        };
        if let (Some(groups), Some(slot)) = (groups.get_mut(lies_in), group_of.get_mut(*site)) {
            let group = *groups.entry(value).or_insert(outer.len());
            if group == outer.len() {
                outer.push(lies_in);
            }
            *slot = Some(group);
        }
    }
    Spread {
        place,
        within: within.map(|within| within.place),
        group_of,
        outer,
        max_skew: constraint.max_skew,
        min_groups: constraint.min_groups.unwrap_or(1),
        max_groups: constraint.max_groups,
        soft: constraint.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway,
    }
}

/// Loosens a soft constraint by one step (the one that stands in the way, if it is soft), or gives
/// it up; returns its key. `None`: there is nothing to loosen.
fn loosen(bounds: &mut Vec<Bound>, key: &str, give_up: bool) -> Option<String> {
    let holds_others = |one: &Spread| {
        bounds
            .iter()
            .any(|bound| bound.spread.within == Some(one.place))
    };
    // One that others are within keeps its groups when it demands nothing any more.
    let open = |bound: &Bound| {
        bound.spread.soft && (bound.spread.demands() || !holds_others(&bound.spread))
    };
    let named = bounds
        .iter()
        .position(|bound| open(bound) && bound.key == key);
    let index = named.or(bounds.iter().rposition(open))?;
    let outer = holds_others(&bounds.get(index)?.spread);
    let bound = bounds.get_mut(index)?;
    let loosened = bound.key.clone();
    let spread = &mut bound.spread;
    let members = i64::try_from(spread.group_of.len()).unwrap_or(i64::MAX);
    if !give_up {
        // More groups than there are is no matter of how even they are.
        let there = spread.most_groups();
        if spread.min_groups > there.max(1) {
            spread.min_groups = there.max(1);
            return Some(loosened);
        }
        if let Some(skew) = spread.max_skew.filter(|skew| *skew < 1 << 20) {
            spread.max_skew = Some(skew.max(1).saturating_mul(2));
            return Some(loosened);
        }
        if spread.max_skew.take().is_some() {
            return Some(loosened);
        }
        if spread.min_groups > 1 {
            spread.min_groups -= 1;
            return Some(loosened);
        }
        if let Some(max) = spread.max_groups.filter(|max| *max < members) {
            spread.max_groups = Some(max.saturating_add(1));
            return Some(loosened);
        }
    }
    if outer {
        (spread.max_skew, spread.min_groups, spread.max_groups) = (None, 1, None);
    } else {
        bounds.remove(index);
    }
    Some(loosened)
}

#[cfg(test)]
mod tests;
