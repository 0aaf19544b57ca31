//! Division and spread, from the definitions.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::request::{
    Component, ComponentKind, Division, DivisionKind, Request, SpreadConstraint, WhenUnsatisfiable,
};
use crate::snapshot::{Level, Snapshot};
use crate::verdict::{Placed, Verdict};

pub(super) fn verify(
    snapshot: &Snapshot,
    request: &Request,
    verdict: &Verdict,
    placement: &Placed,
    found: &mut Vec<Violation>,
) {
    if !neighbours_kept(snapshot, request, placement) {
        found.push(Violation::Division {
            key: request.key.clone(),
            component: "all".to_owned(),
            rule: "components together or apart",
        });
    }
    for component in &request.components {
        let shares: Vec<(&str, i64)> = placement
            .assignments
            .iter()
            .filter(|assignment| assignment.component == component.name)
            .map(|assignment| (assignment.member.as_str(), assignment.replicas))
            .collect();
        let members: BTreeSet<&str> = shares.iter().map(|(member, _)| *member).collect();
        let mut broken = Vec::new();
        if members.len() != shares.len() {
            broken.push("one flavor per member");
        }
        counts(request, component, &shares, &mut broken);
        pinned(request, component, &members, &mut broken);
        if component.division == Division::Divided {
            for spread in &request.placement.spread {
                let soft = spread.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway;
                let relaxed = soft && verdict.relaxed.contains(&spread.topology_key);
                if !relaxed && !kept(snapshot, request, spread, component, &shares) {
                    broken.push("spread");
                }
            }
        }
        for rule in broken {
            let (key, component) = (request.key.clone(), component.name.clone());
            found.push(Violation::Division {
                key,
                component,
                rule,
            });
        }
    }
}

fn counts(
    request: &Request,
    component: &Component,
    shares: &[(&str, i64)],
    broken: &mut Vec<&'static str>,
) {
    let total = shares.iter().fold(0_i64, |total, (_, replicas)| {
        total.saturating_add(*replicas)
    });
    let division = &request.placement.division;
    match component.division {
        Division::EveryMatchingNode => {}
        Division::OneMember => {
            let with_replicas = shares.iter().filter(|(_, replicas)| *replicas > 0).count();
            if total != component.replicas || with_replicas > 1 {
                broken.push("all replicas on one member");
            }
        }
        Division::Divided if division.kind == DivisionKind::Duplicated => {
            if component.replicas > 0 && shares.is_empty() {
                broken.push("a copy somewhere");
            }
            if shares
                .iter()
                .any(|(_, replicas)| *replicas > component.replicas)
            {
                broken.push("a copy has no more than all replicas");
            }
        }
        Division::Divided => {
            if total != component.replicas {
                broken.push("the shares add up");
            }
            for (member, replicas) in shares.iter().filter(|(_, replicas)| *replicas > 0) {
                let (min, max) = match component.bounds.get(*member) {
                    Some(own) => (own.min, own.max),
                    None => (division.min_per_member, division.max_per_member),
                };
                if *replicas < min.unwrap_or(0) || max.is_some_and(|max| *replicas > max) {
                    broken.push("bounds per member");
                }
            }
        }
    }
}

fn pinned(
    request: &Request,
    component: &Component,
    members: &BTreeSet<&str>,
    broken: &mut Vec<&'static str>,
) {
    if !component.pinned_data {
        return;
    }
    let mut before = BTreeSet::new();
    for assignment in request
        .previous
        .iter()
        .filter(|a| a.component == component.name)
    {
        before.insert(assignment.member.as_str());
    }
    if !before.is_empty() && !members.is_subset(&before) {
        broken.push("data stays where it is");
    }
}

/// Whether shares keep a constraint: the replicas of each group by the values of all keys that the
/// constraint is within, and the rules for the groups that differ in the last value alone.
fn kept(
    snapshot: &Snapshot,
    request: &Request,
    spread: &SpreadConstraint,
    component: &Component,
    shares: &[(&str, i64)],
) -> bool {
    let constraints = &request.placement.spread;
    let mut keys = vec![spread.topology_key.as_str()];
    let mut inner = spread;
    while let Some(outer) = &inner.within {
        let of = constraints.iter().find(|of| of.topology_key == *outer);
        let Some(of) = of.filter(|_| keys.len() < constraints.len()) else {
            return false;
        };
        keys.insert(0, outer);
        inner = of;
    }
    let mut outer_groups: BTreeMap<Vec<String>, BTreeMap<String, i64>> = BTreeMap::new();
    for (name, replicas) in shares.iter().filter(|(_, replicas)| *replicas > 0) {
        let mut values: Vec<String> = Vec::new();
        for key in &keys {
            match value(snapshot, name, key) {
                Some(value) => values.push(value),
                None => return false,
            }
        }
        let Some(last) = values.pop() else {
            return false;
        };
        let sum = outer_groups
            .entry(values)
            .or_default()
            .entry(last)
            .or_default();
        *sum = sum.saturating_add(*replicas);
    }
    let duplicated = request.placement.division.kind == DivisionKind::Duplicated;
    outer_groups.values().all(|groups| {
        let there = groups
            .values()
            .fold(0_i64, |all, of| all.saturating_add(*of));
        let cap = match (duplicated, keys.len()) {
            (true, _) => i64::MAX,
            (false, 1) => component.replicas,
            (false, _) => there,
        };
        let used = i64::try_from(groups.len()).unwrap_or(i64::MAX);
        let skew = groups.values().max().unwrap_or(&0) - groups.values().min().unwrap_or(&0);
        used >= spread.min_groups.unwrap_or(1).min(cap)
            && spread.max_groups.is_none_or(|max| used <= max)
            && spread.max_skew.is_none_or(|max| skew <= max)
    })
}

/// Whether the components stand together or apart as asked: of the members with replicas, the set of
/// components by value of the key.
fn neighbours_kept(snapshot: &Snapshot, request: &Request, placement: &Placed) -> bool {
    let Some(rule) = &request.placement.components else {
        return true;
    };
    let mut by_value: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for assignment in placement.assignments.iter().filter(|of| of.replicas > 0) {
        let Some(value) = value(snapshot, &assignment.member, &rule.topology_key) else {
            return false;
        };
        let mut components = request.components.iter();
        let of = components.find(|of| of.name == assignment.component);
        let counts = of.is_some_and(|of| of.division != Division::EveryMatchingNode);
        let there = by_value.entry(value).or_default();
        if counts {
            there.insert(&assignment.component);
        }
    }
    match rule.kind {
        ComponentKind::Together => by_value.len() <= 1,
        ComponentKind::Apart => by_value.values().all(|there| there.len() <= 1),
    }
}

/// The value of a key on a member, if it has one.
pub(super) fn value(snapshot: &Snapshot, name: &str, key: &str) -> Option<String> {
    let member = snapshot.members.get(name)?;
    let value = match key {
        "member" => name.to_owned(),
        "provider" => member.provider.clone(),
        "operator" => member.operator.clone(),
        "zone" => member.zone.clone(),
        "region" => member.region.clone(),
        "owner" => member.owner.clone(),
        "mlps" => member.mlps?.level.to_string(),
        "region/provincial" => region_of(snapshot, &member.region, 1),
        "region/prefectural" => region_of(snapshot, &member.region, 2),
        "region/county" => region_of(snapshot, &member.region, 3),
        "region/township" => region_of(snapshot, &member.region, 4),
        label => {
            let label = label.strip_prefix("label:").unwrap_or(label);
            member.labels.get(label)?.clone()
        }
    };
    Some(value).filter(|value| !value.is_empty())
}

/// The region at a rank (0 is the state, 4 a township) in whose ground another lies: walked from
/// there to the root, the last one whose rank is not higher in the order of government.
fn region_of(snapshot: &Snapshot, region: &str, rank: u8) -> String {
    let rank_of = |level: Level| match level {
        Level::National => 0,
        Level::Provincial => 1,
        Level::Prefectural => 2,
        Level::County => 3,
        Level::Township => 4_u8,
    };
    let mut answer = region.to_owned();
    let mut at = region.to_owned();
    for _ in 0..64 {
        let Some(tenant) = snapshot.tenants.get(&at) else {
            break;
        };
        if tenant.level.is_some_and(|level| rank_of(level) < rank) {
            break;
        }
        answer.clone_from(&at);
        match &tenant.parent {
            Some(parent) => at.clone_from(parent),
            None => break,
        }
    }
    answer
}
