//! Filters: what a member must be for a workload, whatever its capacity. Each says all it refuses.

use std::collections::BTreeSet;

use crate::fleet::Site;
use crate::labels::tolerated;
use crate::rules::{Rules, selects, stands_in};
use crate::snapshot::{Readiness, TaintEffect};
use crate::verdict::{Authority, EventKind, Filter, Reason, Refusal};

type Check = fn(&Site<'_>, &Rules<'_>, &mut Vec<Refusal>);

/// The filters, in order. What needs a component's nodes comes after them.
const FILTERS: &[Check] = &[
    readiness,
    schedulable,
    taints,
    affinity,
    apis,
    zone,
    mlps,
    residency,
    provider,
    classes,
];

/// Every refusal of a member, in the order of the filters.
pub(crate) fn refusals(site: &Site<'_>, rules: &Rules<'_>) -> Vec<Refusal> {
    let mut found = Vec::new();
    for check in FILTERS {
        check(site, rules, &mut found);
    }
    found
}

/// A refusal, with what unblocks it and whether what is there may stay.
pub(crate) fn refusal(filter: Filter, reason: Reason, decided_by: Option<Authority>) -> Refusal {
    let keeps = keeps(&reason);
    let unblocked_by = unblocked_by(&reason);
    Refusal {
        filter,
        reason,
        keeps,
        unblocked_by,
        decided_by,
    }
}

/// What is there stays when the member may be well again by itself, or only lacks room; it goes
/// when a rule says that it must not be there.
fn keeps(reason: &Reason) -> bool {
    match reason {
        Reason::NotReady { .. }
        | Reason::Unreachable { .. }
        | Reason::NeverSeen
        | Reason::Unschedulable
        | Reason::ApiMissing { .. }
        | Reason::ApisUnknown
        | Reason::ClassMissing { .. }
        | Reason::MlpsExpired { .. }
        | Reason::NoSketch
        | Reason::SketchLabel { .. }
        | Reason::FlavorMissing { .. }
        | Reason::NoNodeMatches { .. }
        | Reason::Capacity { .. }
        | Reason::BelowMinimum { .. } => true,
        Reason::Taint { effect, .. } => *effect != TaintEffect::NoExecute,
        Reason::NotSelected
        | Reason::Excluded
        | Reason::Architecture { .. }
        | Reason::Zone { .. }
        | Reason::MlpsLevel { .. }
        | Reason::MlpsNotFiled { .. }
        | Reason::Residency { .. }
        | Reason::Provider { .. }
        | Reason::NoTopology { .. }
        | Reason::NoWeight => false,
    }
}

fn unblocked_by(reason: &Reason) -> BTreeSet<EventKind> {
    use EventKind as E;
    let events: &[E] = match reason {
        Reason::NotReady { .. } | Reason::Unreachable { .. } | Reason::NeverSeen => {
            &[E::MemberReady]
        }
        Reason::Unschedulable
        | Reason::Taint { .. }
        | Reason::ApiMissing { .. }
        | Reason::ApisUnknown
        | Reason::MlpsExpired { .. }
        | Reason::ClassMissing { .. } => &[E::MemberChanged],
        Reason::NotSelected | Reason::Excluded | Reason::NoTopology { .. } | Reason::NoWeight => {
            &[E::MemberChanged, E::WorkloadChanged]
        }
        Reason::Zone { .. }
        | Reason::MlpsLevel { .. }
        | Reason::MlpsNotFiled { .. }
        | Reason::Residency { .. }
        | Reason::Provider { .. } => &[E::MemberChanged, E::TenantChanged, E::WorkloadChanged],
        Reason::FlavorMissing { .. } => &[
            E::SketchChanged,
            E::FlavorChanged,
            E::TenantChanged,
            E::WorkloadChanged,
        ],
        Reason::NoSketch | Reason::SketchLabel { .. } => &[E::SketchChanged],
        Reason::Architecture { .. } | Reason::NoNodeMatches { .. } => {
            &[E::SketchChanged, E::WorkloadChanged]
        }
        Reason::Capacity { .. } | Reason::BelowMinimum { .. } => &[E::CapacityFreed],
    };
    events.iter().copied().collect()
}

/// Whether the refusal can end without a change of the workload or of a rule.
pub(crate) fn is_passing(refusal: &Refusal) -> bool {
    matches!(
        refusal.reason,
        Reason::NotReady { .. }
            | Reason::Unreachable { .. }
            | Reason::NeverSeen
            | Reason::Unschedulable
            | Reason::ApisUnknown
            | Reason::NoSketch
            | Reason::SketchLabel { .. }
            | Reason::Capacity { .. }
            | Reason::BelowMinimum { .. }
    )
}

fn operator(site: &Site<'_>) -> Authority {
    let operator = site.member.operator.clone();
    Authority::MemberOperator { operator }
}

fn readiness(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let seconds = |since: i64| rules.now.saturating_sub(since).max(0);
    let reason = match site.member.readiness {
        Readiness::Ready => return,
        Readiness::NotReady { since } => {
            let (seconds, tolerated) = (seconds(since), rules.tolerated_not_ready);
            if seconds <= tolerated {
                return;
            }
            Reason::NotReady { seconds, tolerated }
        }
        Readiness::Unknown { since } => Reason::Unreachable {
            seconds: seconds(since),
        },
        Readiness::NeverSeen => Reason::NeverSeen,
    };
    found.push(refusal(Filter::Readiness, reason, None));
}

fn schedulable(site: &Site<'_>, _: &Rules<'_>, found: &mut Vec<Refusal>) {
    if site.member.unschedulable {
        let decided_by = Some(Authority::PlatformAdministrators);
        found.push(refusal(
            Filter::Schedulable,
            Reason::Unschedulable,
            decided_by,
        ));
    }
}

fn taints(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let tolerations = &rules.request.placement.tolerations;
    for taint in &site.member.taints {
        if taint.effect != TaintEffect::PreferNoSchedule && !tolerated(taint, tolerations) {
            let reason = Reason::Taint {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: taint.effect,
            };
            found.push(refusal(Filter::Taints, reason, None));
        }
    }
}

fn affinity(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let placement = &rules.request.placement;
    if placement.exclude.contains(site.name) {
        found.push(refusal(Filter::Affinity, Reason::Excluded, None));
    }
    let terms = &placement.affinity;
    if !terms.is_empty() && !terms.iter().any(|term| selects(term, site)) {
        found.push(refusal(Filter::Affinity, Reason::NotSelected, None));
    }
}

fn apis(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let required = &rules.request.required_apis;
    let Some(served) = &site.member.apis else {
        if !required.is_empty() {
            found.push(refusal(Filter::Apis, Reason::ApisUnknown, None));
        }
        return;
    };
    for api in required.iter().filter(|api| !served.contains(*api)) {
        let reason = Reason::ApiMissing { api: api.clone() };
        found.push(refusal(Filter::Apis, reason, Some(operator(site))));
    }
}

fn zone(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let zone = &site.member.zone;
    if let Some(required) = &rules.request.placement.requirements.zone
        && required != zone
    {
        let allowed = BTreeSet::from([required.clone()]);
        found.push(refusal(
            Filter::Zone,
            Reason::Zone {
                zone: zone.clone(),
                allowed,
            },
            None,
        ));
    }
    for rule in rules.zones.iter().filter(|rule| !rule.value.contains(zone)) {
        let reason = Reason::Zone {
            zone: zone.clone(),
            allowed: rule.value.clone(),
        };
        found.push(refusal(Filter::Zone, reason, rule.authority()));
    }
}

fn mlps(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let Some(strictest) = rules.levels.iter().max_by_key(|rule| rule.value) else {
        return;
    };
    let required = strictest.value;
    let Some(filing) = site.member.mlps else {
        let reason = Reason::MlpsNotFiled { required };
        found.push(refusal(Filter::Mlps, reason, strictest.authority()));
        return;
    };
    for rule in rules.levels.iter().filter(|rule| filing.level < rule.value) {
        let reason = Reason::MlpsLevel {
            level: filing.level,
            required: rule.value,
        };
        found.push(refusal(Filter::Mlps, reason, rule.authority()));
    }
    if let Some(valid_until) = filing.valid_until.filter(|until| *until < rules.now) {
        found.push(refusal(
            Filter::Mlps,
            Reason::MlpsExpired { valid_until },
            Some(operator(site)),
        ));
    }
}

fn residency(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    for rule in rules
        .residency
        .iter()
        .filter(|rule| !stands_in(site, rule.value))
    {
        let region = site.member.region.clone();
        let reason = Reason::Residency {
            region,
            allowed: rule.value.clone(),
        };
        found.push(refusal(Filter::Residency, reason, rule.authority()));
    }
}

fn provider(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let provider = &site.member.provider;
    for rule in rules
        .providers
        .iter()
        .filter(|rule| !rule.value.contains(provider))
    {
        let reason = Reason::Provider {
            provider: provider.clone(),
            allowed: rule.value.clone(),
        };
        found.push(refusal(Filter::Provider, reason, rule.authority()));
    }
}

fn classes(site: &Site<'_>, rules: &Rules<'_>, found: &mut Vec<Refusal>) {
    let has = &site.member.classes;
    for class in rules
        .request
        .required_classes
        .iter()
        .filter(|class| !has.contains(*class))
    {
        let reason = Reason::ClassMissing {
            class: class.clone(),
        };
        found.push(refusal(
            Filter::Classes,
            reason,
            Some(Authority::PlatformAdministrators),
        ));
    }
}
