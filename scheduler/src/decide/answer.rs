//! From what was found to the verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::{Decided, Found, table};
use crate::attempt::Failure;
use crate::capacity::Each;
use crate::case::Case;
use crate::config::{Config, Explained, ScoreWeights};
use crate::fleet::Fleet;
use crate::quota::{Amounts, Key, Limit, QuotaTree, Shortfall};
use crate::request::Request;
use crate::resources::Resources;
use crate::verdict::{
    Code, Codes, MemberState, MemberVerdict, Outcome, Placed, PlacedAssignment, Reason, Verdict,
    WorkloadReason,
};

/// The verdict on a workload that is placed.
pub(super) fn placed(case: &Case<'_, '_>, found: &Found, explained: Explained) -> Decided {
    let plan = &found.plan;
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
        let charge = part.charged.iter();
        let charge = charge.map(|(resource, amount)| (*resource, amount.saturating_mul(pods)));
        let charge: Resources = charge.collect();
        for (resource, amount) in charge.iter().filter(|(_, amount)| *amount > 0) {
            let sum = reserved.entry(Key::new(flavor, resource)).or_default();
            *sum = sum.saturating_add(amount);
        }
        if let (Some(lot), true) = (pick.lot, pick.new > 0) {
            taken.push((lot, part.each.clone(), pick.new));
        }
        assignments.push(PlacedAssignment {
            component: part.component.name.clone(),
            member: of.name.clone(),
            flavor: flavor.clone(),
            replicas: pick.replicas,
            requests: part.component.per_replica.clone(),
            charge,
        });
    }
    assignments.sort();
    let name = |site: &usize| case.fleet.sites.get(*site).map(|site| site.name.clone());
    let placed = Placed {
        assignments,
        carried_to: plan.carried.iter().filter_map(name).collect(),
        reserved,
        increase: found.increase.clone(),
    };
    let term = found
        .tier()
        .and_then(|tier| case.request.placement.affinity.get(tier));
    let used = plan.picks.iter().filter(|(_, pick)| pick.replicas > 0);
    let used = used.filter_map(|((_, site), _)| case.fleet.sites.get(*site));
    let verdict = Verdict {
        tier: term.map(|term| term.name.clone()),
        returned: found.returned(),
        relaxed: found.relaxed.clone(),
        relaxed_neighbours: case.around.not_kept(used),
        ..table::told(case, Some(plan), explained, Outcome::Placed(placed))
    };
    Decided { verdict, taken }
}

/// The verdict on a workload that is not placed.
pub(super) fn failed(
    case: &Case<'_, '_>,
    failure: &Failure,
    quotas: &QuotaTree,
    explained: Explained,
) -> Decided {
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
            within,
            component,
            groups,
            replicas,
        } => Outcome::Waiting(WorkloadReason::SpreadUnsatisfiable {
            key: key.clone(),
            within: within.clone(),
            component: component.clone(),
            groups: *groups,
            replicas: *replicas,
        }),
        Failure::Components { groups } => components(case, *groups),
        Failure::Quota(shortfall) => Outcome::Waiting(over_quota(shortfall, quotas)),
        Failure::Pinned { component, member } => Outcome::Waiting(WorkloadReason::DataPinned {
            component: component.clone(),
            member: member.clone(),
        }),
    };
    Decided {
        verdict: table::told(case, None, explained, outcome),
        taken: Vec::new(),
    }
}

/// Components that cannot stand together or apart, by name.
fn components(case: &Case<'_, '_>, groups: i64) -> Outcome {
    let rule = case.request.placement.components.clone();
    let rule = rule.unwrap_or_default();
    let parts = case.parts.iter().filter(|part| part.wanted > 0);
    Outcome::Waiting(WorkloadReason::ComponentsUnsatisfiable {
        rule: rule.kind,
        key: rule.topology_key,
        components: parts.map(|part| part.component.name.clone()).collect(),
        groups,
    })
}

/// The verdict on a request that was refused before any member was judged.
pub(super) fn unjudged(
    fleet: &Fleet,
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
    let shown = table::shown(fleet.sites.len(), config.explained);
    let count = u32::try_from(fleet.sites.len()).unwrap_or(u32::MAX);
    let sites = fleet.sites.iter().take(shown);
    let verdict = Verdict {
        evaluated: count,
        feasible: count,
        members: sites.map(|site| member(&site.name)).collect(),
        ..blank(
            request,
            request.placement.weights.unwrap_or(config.weights),
            Outcome::Rejected(reason),
        )
    };
    Decided {
        verdict,
        taken: Vec::new(),
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
    if case.fleet.sites.is_empty() {
        return Outcome::Waiting(WorkloadReason::NoMembers);
    }
    let refused = table::refused(case);
    let mut waiting = case.seats.iter().filter(|seat| seat.codes.are_passing());
    let Some(first) = waiting.next() else {
        return Outcome::Rejected(WorkloadReason::NoMemberFits { refused });
    };
    if let Some(rule) = case.around.awaited() {
        return Outcome::Waiting(WorkloadReason::NoNeighbour {
            selector: rule.selector.clone(),
            key: rule.topology_key.clone(),
        });
    }
    let only_label = |codes: Codes| codes.iter().eq([Code::SketchLabel]);
    if only_label(first.codes) && waiting.all(|seat| only_label(seat.codes)) {
        let labels = case.refusals(first.site);
        let key = labels.into_iter().find_map(|refusal| match refusal.reason {
            Reason::SketchLabel { key, .. } => Some(key),
            _ => None,
        });
        if let Some(key) = key {
            return Outcome::Waiting(WorkloadReason::SketchLabel { key });
        }
    }
    Outcome::Waiting(WorkloadReason::NoMemberFits { refused })
}

pub(super) fn blank(request: &Request, weights: ScoreWeights, outcome: Outcome) -> Verdict {
    Verdict {
        key: request.key.clone(),
        uid: request.uid.clone(),
        generation: request.generation,
        tenant: request.tenant.clone(),
        inputs_hash: String::new(),
        outcome,
        tier: None,
        returned: false,
        weights,
        evaluated: 0,
        feasible: 0,
        refused: BTreeMap::new(),
        members: Vec::new(),
        relaxed: BTreeSet::new(),
        relaxed_neighbours: BTreeSet::new(),
        unchecked: request.unchecked.clone(),
    }
}
