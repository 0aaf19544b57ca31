//! From what was found to the verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::Decided;
use crate::attempt::{Failure, Plan, increase};
use crate::capacity::Each;
use crate::case::{Case, charged};
use crate::config::{Config, ScoreWeights};
use crate::filter::is_passing;
use crate::fleet::Fleet;
use crate::quota::{Amounts, Key, Limit, QuotaTree, Shortfall};
use crate::request::Request;
use crate::resources::Resources;
use crate::verdict::{
    MemberState, MemberVerdict, Outcome, Placed, PlacedAssignment, Reason, Verdict, WorkloadReason,
};

/// The verdict on a workload that is placed.
pub(super) fn placed(
    case: &Case<'_, '_>,
    plan: &Plan,
    tier: Option<usize>,
    relaxed: BTreeSet<String>,
) -> Decided {
    let mut assignments = Vec::with_capacity(plan.picks.len());
    let mut reserved = Amounts::new();
    let mut taken: Vec<(usize, Each, i64)> = Vec::new();
    for ((index, site), pick) in &plan.picks {
        let (Some(part), Some(flavor), Some(of)) = (
            case.parts.get(*index),
            case.fleet.flavors.get(pick.flavor),
            case.fleet.sites.get(*site),
        ) else {
            continue;
        };
        let pods = part.component.surge.pods(pick.replicas);
        let charge: Resources = charged(&part.component.per_replica)
            .into_iter()
            .collect::<Resources>();
        let charge = charge.saturating_mul(pods);
        for (resource, amount) in charge.iter().filter(|(_, amount)| *amount > 0) {
            let sum = reserved.entry(Key::new(*flavor, resource)).or_default();
            *sum = sum.saturating_add(amount);
        }
        if let (Some(lot), true) = (pick.lot, pick.new > 0) {
            taken.push((lot, part.each.clone(), pick.new));
        }
        assignments.push(PlacedAssignment {
            component: part.component.name.clone(),
            member: of.name.to_owned(),
            flavor: (*flavor).to_owned(),
            replicas: pick.replicas,
            requests: part.component.per_replica.clone(),
            charge,
        });
    }
    assignments.sort();
    let name = |site: &usize| case.fleet.sites.get(*site).map(|site| site.name.to_owned());
    let increase = increase(case, plan);
    let placed = Placed {
        assignments,
        carried_to: plan.carried.iter().filter_map(name).collect(),
        reserved,
        increase: increase.clone(),
    };
    let term = tier.and_then(|tier| case.request.placement.affinity.get(tier));
    let verdict = Verdict {
        tier: term.map(|term| term.name.clone()),
        members: members(case, Some(plan)),
        relaxed,
        ..blank(case.request, case.weights, Outcome::Placed(placed))
    };
    Decided {
        verdict,
        taken,
        increase,
    }
}

/// The verdict on a workload that is not placed.
pub(super) fn failed(case: &Case<'_, '_>, failure: &Failure, quotas: &QuotaTree) -> Decided {
    let outcome = match failure {
        Failure::NoMember | Failure::Budget => nobody(case),
        Failure::Capacity {
            component,
            needed,
            fits,
        } => {
            let component = component.clone();
            Outcome::Waiting(WorkloadReason::NoCapacity {
                component,
                needed: *needed,
                fits: *fits,
            })
        }
        Failure::Division {
            component,
            replicas,
            members,
        } => Outcome::Waiting(WorkloadReason::DivisionUnsatisfiable {
            component: component.clone(),
            replicas: *replicas,
            members: *members,
        }),
        Failure::Spread {
            key,
            component,
            groups,
            replicas,
        } => Outcome::Waiting(WorkloadReason::SpreadUnsatisfiable {
            key: key.clone(),
            component: component.clone(),
            groups: *groups,
            replicas: *replicas,
        }),
        Failure::Quota(shortfall) => Outcome::Waiting(over_quota(shortfall, quotas)),
        Failure::Pinned { component, member } => Outcome::Waiting(WorkloadReason::DataPinned {
            component: component.clone(),
            member: member.clone(),
        }),
    };
    let verdict = Verdict {
        members: members(case, None),
        ..blank(case.request, case.weights, outcome)
    };
    Decided {
        verdict,
        taken: Vec::new(),
        increase: Amounts::new(),
    }
}

/// The verdict on a request that was refused before any member was judged.
pub(super) fn unjudged(
    fleet: &Fleet<'_>,
    request: &Request,
    config: &Config,
    reason: WorkloadReason,
) -> Decided {
    let member = |name: &str| MemberVerdict {
        member: name.to_owned(),
        state: MemberState::Feasible,
        replicas: BTreeMap::new(),
        refusals: Vec::new(),
        scores: None,
        tier: None,
    };
    let verdict = Verdict {
        members: fleet.sites.iter().map(|site| member(site.name)).collect(),
        ..blank(
            request,
            request.placement.weights.unwrap_or(config.weights),
            Outcome::Rejected(reason),
        )
    };
    Decided {
        verdict,
        taken: Vec::new(),
        increase: Amounts::new(),
    }
}

/// Another tenant's use within its rights is what stands in the way, or the tenant's own limit.
fn over_quota(shortfall: &Shortfall, quotas: &QuotaTree) -> WorkloadReason {
    let own = shortfall.binding.node == shortfall.node;
    let nothing = shortfall.binding.limit == Limit::NoLine;
    let known = quotas.node(&shortfall.binding.node).is_some();
    if own || nothing || !known {
        WorkloadReason::QuotaExceeded(shortfall.clone())
    } else {
        WorkloadReason::Oversubscribed(shortfall.clone())
    }
}

/// No member is left: whether to wait depends on whether what refuses them can end by itself.
fn nobody(case: &Case<'_, '_>) -> Outcome {
    if case.seats.is_empty() {
        return Outcome::Waiting(WorkloadReason::NoMembers);
    }
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    for seat in &case.seats {
        let codes: BTreeSet<&str> = seat
            .refusals
            .iter()
            .map(|refusal| refusal.reason.code())
            .collect();
        for code in codes {
            *refused.entry(code.to_owned()).or_default() += 1;
        }
    }
    let passing = |seat: &&crate::case::Seat| seat.refusals.iter().all(is_passing);
    let mut waiting = case.seats.iter().filter(passing).peekable();
    if waiting.peek().is_none() {
        return Outcome::Rejected(WorkloadReason::NoMemberFits { refused });
    }
    let key = |seat: &crate::case::Seat| match seat.refusals.as_slice() {
        [only] => match &only.reason {
            Reason::SketchLabel { key, .. } => Some(key.clone()),
            _ => None,
        },
        _ => None,
    };
    let keys: Option<Vec<String>> = waiting.map(key).collect();
    match keys.and_then(|keys| keys.into_iter().next()) {
        Some(key) => Outcome::Waiting(WorkloadReason::SketchLabel { key }),
        None => Outcome::Waiting(WorkloadReason::NoMemberFits { refused }),
    }
}

/// Every member with its state.
fn members(case: &Case<'_, '_>, plan: Option<&Plan>) -> Vec<MemberVerdict> {
    let mut replicas: BTreeMap<usize, BTreeMap<String, i64>> = BTreeMap::new();
    if let Some(plan) = plan {
        for ((index, site), pick) in &plan.picks {
            if let Some(part) = case.parts.get(*index) {
                let of = replicas.entry(*site).or_default();
                of.insert(part.component.name.clone(), pick.replicas);
            }
        }
        for site in &plan.carried {
            replicas.entry(*site).or_default();
        }
    }
    let terms = &case.request.placement.affinity;
    let seats = case.fleet.sites.iter().zip(&case.seats).enumerate();
    seats
        .map(|(index, (site, seat))| {
            let chosen = replicas.remove(&index);
            let state = match (&chosen, seat.refusals.is_empty()) {
                (Some(_), _) => MemberState::Chosen,
                (None, true) => MemberState::Feasible,
                (None, false) => MemberState::Filtered,
            };
            let first = usize::try_from(seat.tiers.trailing_zeros()).unwrap_or(usize::MAX);
            MemberVerdict {
                member: site.name.to_owned(),
                state,
                replicas: chosen.unwrap_or_default(),
                refusals: seat.refusals.clone(),
                scores: seat.scores.filter(|_| state != MemberState::Filtered),
                tier: terms.get(first).map(|term| term.name.clone()),
            }
        })
        .collect()
}

fn blank(request: &Request, weights: ScoreWeights, outcome: Outcome) -> Verdict {
    Verdict {
        key: request.key.clone(),
        uid: request.uid.clone(),
        generation: request.generation,
        tenant: request.tenant.clone(),
        inputs_hash: String::new(),
        outcome,
        tier: None,
        weights,
        members: Vec::new(),
        relaxed: BTreeSet::new(),
        unchecked: request.unchecked.clone(),
    }
}
