//! Hard rules, read from the snapshot again.

use super::{Violation, new_replicas};
use crate::config::Config;
use crate::request::{AffinityTerm, LabelOp, Request, TolerationOp};
use crate::snapshot::{Member, Readiness, Snapshot, TaintEffect, Tenant};
use crate::verdict::{Placed, Verdict};

pub(super) fn verify(
    snapshot: &Snapshot,
    request: &Request,
    verdict: &Verdict,
    placement: &Placed,
    config: &Config,
    found: &mut Vec<Violation>,
) {
    for name in placement.members() {
        let mut broken = Vec::new();
        match snapshot.members.get(name) {
            None => broken.push("the member exists"),
            Some(member) => {
                must_not_be_there(snapshot, request, verdict, name, member, &mut broken);
                let here = placement.assignments.iter().filter(|a| a.member == name);
                let new = here
                    .map(|a| new_replicas(snapshot, request, a))
                    .max()
                    .unwrap_or(0);
                let carried = placement.carried_to.iter().any(|carried| carried == name)
                    && !request.previous_carried.iter().any(|before| before == name);
                if new > 0 || carried {
                    nothing_new(snapshot, request, member, config, &mut broken);
                }
            }
        }
        for rule in broken {
            let (key, member) = (request.key.clone(), name.to_owned());
            found.push(Violation::Rule { key, member, rule });
        }
    }
    for assignment in &placement.assignments {
        let flavors = &request.placement.flavors;
        let named = flavors.is_empty() || flavors.contains(&assignment.flavor);
        let rails = path(snapshot, &request.tenant).into_iter();
        let allowed = rails.filter_map(|tenant| tenant.guardrails.flavors.as_ref());
        if !named
            || allowed
                .into_iter()
                .any(|allowed| !allowed.contains(&assignment.flavor))
        {
            let (key, member) = (request.key.clone(), assignment.member.clone());
            found.push(Violation::Rule {
                key,
                member,
                rule: "flavor",
            });
        }
    }
}

fn path<'a>(snapshot: &'a Snapshot, tenant: &str) -> Vec<&'a Tenant> {
    let mut path = Vec::new();
    let mut at = snapshot.tenants.get(tenant);
    while let Some(tenant) = at {
        path.push(tenant);
        if path.len() > 64 {
            break;
        }
        at = tenant
            .parent
            .as_ref()
            .and_then(|parent| snapshot.tenants.get(parent));
    }
    path
}

/// Whether a region is one of these or below one of them.
fn inside<'r>(snapshot: &Snapshot, region: &str, mut of: impl FnMut(&str) -> bool + 'r) -> bool {
    let mut at = region.to_owned();
    for _ in 0..64 {
        if of(&at) {
            return true;
        }
        match snapshot
            .tenants
            .get(&at)
            .and_then(|tenant| tenant.parent.clone())
        {
            Some(parent) => at = parent,
            None => return false,
        }
    }
    false
}

/// Rules that also expel what is there.
fn must_not_be_there(
    snapshot: &Snapshot,
    request: &Request,
    verdict: &Verdict,
    name: &str,
    member: &Member,
    broken: &mut Vec<&'static str>,
) {
    let placement = &request.placement;
    if placement.exclude.contains(name) {
        broken.push("exclude");
    }
    if !placement.affinity.is_empty() && !in_tier(snapshot, request, verdict, name, member) {
        broken.push("affinity");
    }
    let required = &placement.requirements;
    if required
        .zone
        .as_ref()
        .is_some_and(|zone| *zone != member.zone)
    {
        broken.push("zone");
    }
    if !required.residency.is_empty()
        && !inside(snapshot, &member.region, |region| {
            required.residency.contains(region)
        })
    {
        broken.push("residency");
    }
    let mut level = required.mlps_level.unwrap_or(0);
    for tenant in path(snapshot, &request.tenant) {
        let rails = &tenant.guardrails;
        level = level.max(rails.mlps_level.unwrap_or(0));
        if rails
            .zones
            .as_ref()
            .is_some_and(|zones| !zones.contains(&member.zone))
        {
            broken.push("guardrail zones");
        }
        if rails
            .providers
            .as_ref()
            .is_some_and(|providers| !providers.contains(&member.provider))
        {
            broken.push("guardrail providers");
        }
        if rails.residency.as_ref().is_some_and(|allowed| {
            !inside(snapshot, &member.region, |region| allowed.contains(region))
        }) {
            broken.push("guardrail residency");
        }
    }
    if level > 0 && member.mlps.is_none_or(|mlps| mlps.level < level) {
        broken.push("MLPS level");
    }
    for taint in &member.taints {
        if taint.effect == TaintEffect::NoExecute
            && !tolerates(request, &taint.key, &taint.value, taint.effect)
        {
            broken.push("taint NoExecute");
        }
    }
}

/// Whether the tier of the verdict selects a member.
fn in_tier(
    snapshot: &Snapshot,
    request: &Request,
    verdict: &Verdict,
    name: &str,
    member: &Member,
) -> bool {
    let mut terms = request.placement.affinity.iter();
    match &verdict.tier {
        Some(tier) => {
            let term = terms.find(|term| term.name == *tier);
            term.is_some_and(|term| selected(snapshot, term, name, member))
        }
        None => terms.any(|term| selected(snapshot, term, name, member)),
    }
}

fn selected(snapshot: &Snapshot, term: &AffinityTerm, name: &str, member: &Member) -> bool {
    let mut holds = term.regions.is_empty()
        || inside(snapshot, &member.region, |region| {
            term.regions.contains(region)
        });
    holds &= term.members.is_empty() || term.members.contains(name);
    holds &= term.owners.is_empty() || term.owners.contains(&member.owner);
    holds &= term.providers.is_empty() || term.providers.contains(&member.provider);
    holds &= term.operators.is_empty() || term.operators.contains(&member.operator);
    holds &= term.zones.is_empty() || term.zones.contains(&member.zone);
    for label in &term.labels {
        let value = member.labels.get(&label.key);
        let listed = value.is_some_and(|value| label.values.contains(value));
        holds &= match label.op {
            LabelOp::In => listed,
            LabelOp::NotIn => !listed,
            LabelOp::Exists => value.is_some(),
            LabelOp::DoesNotExist => value.is_none(),
            LabelOp::Gt | LabelOp::Lt => true,
        };
    }
    holds
}

fn tolerates(request: &Request, key: &str, value: &str, effect: TaintEffect) -> bool {
    let mut tolerated = false;
    for toleration in &request.placement.tolerations {
        let exists = toleration.op == TolerationOp::Exists;
        let key = match &toleration.key {
            None => exists,
            Some(named) => named == key,
        };
        let effect = toleration.effect.is_none() || toleration.effect == Some(effect);
        tolerated |= key && effect && (exists || toleration.value == value);
    }
    tolerated
}

/// Rules that forbid anything new.
fn nothing_new(
    snapshot: &Snapshot,
    request: &Request,
    member: &Member,
    config: &Config,
    broken: &mut Vec<&'static str>,
) {
    let ready = match member.readiness {
        Readiness::Ready => true,
        Readiness::NotReady { since } => {
            snapshot.now.saturating_sub(since) <= config.tolerated_not_ready_seconds
        }
        Readiness::Unknown { .. } | Readiness::NeverSeen => false,
    };
    if !ready {
        broken.push("ready");
    }
    if member.unschedulable {
        broken.push("schedulable");
    }
    for taint in &member.taints {
        if taint.effect == TaintEffect::NoSchedule
            && !tolerates(request, &taint.key, &taint.value, taint.effect)
        {
            broken.push("taint NoSchedule");
        }
    }
    let served = member.apis.clone().unwrap_or_default();
    if !request.required_apis.iter().all(|api| served.contains(api)) {
        broken.push("APIs");
    }
    if !request
        .required_classes
        .iter()
        .all(|class| member.classes.contains(class))
    {
        broken.push("classes");
    }
    let tenants = path(snapshot, &request.tenant);
    let judged = request.placement.requirements.mlps_level.is_some()
        || tenants
            .iter()
            .any(|tenant| tenant.guardrails.mlps_level.is_some());
    let expired = member
        .mlps
        .and_then(|mlps| mlps.valid_until)
        .is_some_and(|until| until < snapshot.now);
    if judged && expired {
        broken.push("MLPS validity");
    }
}
