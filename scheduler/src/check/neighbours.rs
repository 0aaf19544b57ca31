//! Workloads near one another or apart, from the definition: who is where, member by member.

use std::collections::{BTreeMap, BTreeSet};

use super::division::value;
use super::{Case, Violation};
use crate::request::{LabelOp, NeighbourKind, NeighbourRule, Request, WorkloadKey};
use crate::snapshot::Snapshot;
use crate::verdict::Placed;

/// A workload and where it is.
struct Who<'a> {
    key: &'a WorkloadKey,
    tenant: &'a str,
    labels: &'a BTreeMap<String, String>,
    rules: &'a [NeighbourRule],
    on: BTreeSet<&'a str>,
    leaving: BTreeSet<&'a str>,
}

pub(super) fn verify(snapshot: &Snapshot, placed: &[Case<'_>], found: &mut Vec<Violation>) {
    let mut asks = placed.iter();
    let asked = asks.any(|(request, ..)| !request.placement.neighbours.is_empty());
    if !asked && snapshot.neighbours.is_empty() {
        return;
    }
    let mut all: BTreeMap<(&str, &WorkloadKey), Who<'_>> = BTreeMap::new();
    for (tenant, workloads) in &snapshot.neighbours {
        for (key, of) in workloads {
            let who = Who {
                key,
                tenant,
                labels: &of.labels,
                rules: &of.keeps_out,
                on: of.on.iter().map(String::as_str).collect(),
                leaving: of.leaving.iter().map(String::as_str).collect(),
            };
            all.insert((tenant, key), who);
        }
    }
    // Each sees what those before it were given.
    for (request, _, placement) in placed {
        let place = (request.tenant.as_str(), &request.key);
        let before = all.remove(&place);
        let others: Vec<&Who<'_>> = all.values().filter(|of| of.tenant == place.0).collect();
        for member in placement.members() {
            for rule in broken(snapshot, request, placement, member, &others) {
                let (key, member) = (request.key.clone(), member.to_owned());
                found.push(Violation::Rule { key, member, rule });
            }
        }
        let after = afterwards(snapshot, request, placement, before);
        all.insert(place, after);
    }
}

fn afterwards<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request,
    placement: &'a Placed,
    before: Option<Who<'a>>,
) -> Who<'a> {
    let mut who = Who {
        key: &request.key,
        tenant: &request.tenant,
        labels: &request.labels,
        rules: &request.placement.neighbours,
        on: BTreeSet::new(),
        leaving: BTreeSet::new(),
    };
    if let Some(before) = before {
        who.leaving.extend(before.on);
        who.leaving.extend(before.leaving);
    }
    if let Some(held) = snapshot.held.get(&request.key) {
        let there = held.entries.iter().filter(|entry| entry.replicas > 0);
        who.leaving.extend(there.map(|entry| entry.member.as_str()));
    }
    for assignment in placement.assignments.iter().filter(|of| of.replicas > 0) {
        who.on.insert(&assignment.member);
        who.leaving.remove(assignment.member.as_str());
    }
    who
}

/// The rules that are broken on a member.
fn broken(
    snapshot: &Snapshot,
    request: &Request,
    placement: &Placed,
    member: &str,
    others: &[&Who<'_>],
) -> Vec<&'static str> {
    let mut broken = Vec::new();
    let mut here = placement.assignments.iter();
    if !here.any(|of| of.member == member && of.replicas > 0) {
        return broken;
    }
    let grows = grows(snapshot, request, placement, member);
    let in_group = |rule: &NeighbourRule, members: &BTreeSet<&str>| {
        let own = value(snapshot, member, &rule.topology_key);
        let mut values = members
            .iter()
            .map(|of| value(snapshot, of, &rule.topology_key));
        own.is_some() && values.any(|value| value == own)
    };
    for rule in &request.placement.neighbours {
        if rule.when_unsatisfiable != crate::request::WhenUnsatisfiable::DoNotSchedule {
            continue;
        }
        let meant = others.iter().filter(|of| selects(rule, of.labels));
        let meant: Vec<&&Who<'_>> = meant.collect();
        let kept = match rule.kind {
            NeighbourKind::Near => {
                let mut near = meant.iter().any(|of| in_group(rule, &of.on));
                if selects(rule, &request.labels) {
                    let own = request.previous.iter().filter(|of| of.replicas > 0);
                    near |= in_group(rule, &own.map(|of| of.member.as_str()).collect());
                    let mut members = meant.iter().flat_map(|of| &of.on);
                    near |= members.all(|of| value(snapshot, of, &rule.topology_key).is_none());
                }
                near
            }
            NeighbourKind::Apart => {
                let there = meant.iter().any(|of| in_group(rule, &of.on));
                let leaving = meant.iter().any(|of| in_group(rule, &of.leaving));
                !(there || grows && leaving)
            }
        };
        if !kept || value(snapshot, member, &rule.topology_key).is_none() {
            broken.push(match rule.kind {
                NeighbourKind::Near => "near other workloads",
                NeighbourKind::Apart => "apart from other workloads",
            });
        }
    }
    let kept_out = others.iter().any(|of| {
        let rules = of.rules.iter().filter(|rule| rule.keeps_out());
        let mut rules = rules.filter(|rule| selects(rule, &request.labels));
        of.key != &request.key
            && rules.any(|rule| in_group(rule, &of.on) || in_group(rule, &of.leaving))
    });
    if grows && kept_out {
        broken.push("kept out by another workload");
    }
    broken
}

/// Whether a member gets more than it has.
fn grows(snapshot: &Snapshot, request: &Request, placement: &Placed, member: &str) -> bool {
    let mut here = placement
        .assignments
        .iter()
        .filter(|of| of.member == member);
    here.any(|of| {
        let before = request.previous.iter();
        let before = before.filter(|had| had.member == member && had.component == of.component);
        let before = before.map(|had| had.replicas).max().unwrap_or(0);
        let held = snapshot.held.get(&request.key).into_iter();
        let held = held.flat_map(|held| &held.entries);
        let held = held.filter(|had| had.member == member && had.component == of.component);
        let held = held.map(|had| had.replicas).max().unwrap_or(0);
        of.replicas > before && of.replicas > held
    })
}

/// Whether labels are selected.
fn selects(rule: &NeighbourRule, labels: &BTreeMap<String, String>) -> bool {
    let mut all = true;
    for of in &rule.selector {
        let value = labels.get(&of.key);
        let listed = value.is_some_and(|value| of.values.iter().any(|one| one == value));
        all &= match of.op {
            LabelOp::In => listed,
            LabelOp::NotIn => !listed,
            LabelOp::Exists => value.is_some(),
            LabelOp::DoesNotExist => value.is_none(),
            LabelOp::Gt | LabelOp::Lt => true,
        };
    }
    all
}
