//! What a request may not say, whatever the fleet is.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::quantity::format_amount;
use crate::request::{
    Component, ComponentKind, ComponentRule, DivisionKind, NeighbourKind, NeighbourRule, Request,
    SpreadConstraint, Surge,
};

/// The most affinity terms.
const MAX_TERMS: usize = 64;
/// The levels of regions that a topology key can name.
const LEVELS: [&str; 4] = ["provincial", "prefectural", "county", "township"];

/// The first contradiction or excess of a request, as a sentence that names value and fix.
pub(super) fn problem(request: &Request, config: &Config) -> Option<String> {
    let components = &request.components;
    if components.len() > config.max_components {
        let (has, most) = (components.len(), config.max_components);
        return Some(format!(
            "{has} components, at most {most}: split the workload"
        ));
    }
    let mut names = BTreeSet::new();
    for component in components {
        if !names.insert(&component.name) {
            let name = &component.name;
            return Some(format!(
                "component {name} is given twice: rename one of them"
            ));
        }
    }
    components
        .iter()
        .find_map(|component| {
            of_component(component, config).or_else(|| of_amounts(component, config))
        })
        .or_else(|| of_placement(request))
}

fn of_component(component: &Component, config: &Config) -> Option<String> {
    let Component { name, replicas, .. } = component;
    if *replicas < 0 || *replicas > config.max_replicas {
        let most = config.max_replicas;
        return Some(format!("{name} has {replicas} replicas: give 0 to {most}"));
    }
    if let Some((resource, amount)) = component.per_replica.iter().find(|(_, amount)| *amount < 0) {
        return Some(format!(
            "{name} requests {amount} {resource}: give 0 or more"
        ));
    }
    component.bounds.iter().find_map(|(member, bounds)| {
        let (min, max) = (bounds.min?, bounds.max?);
        (min > max).then(|| {
            format!("{name} has min {min} and max {max} on {member}: lower min or raise max")
        })
    })
}

/// The most that the replicas of one component may request of one resource: sums of it stay far
/// from what 64 bits hold.
const MAX_AMOUNT: i64 = 1 << 55;

fn of_amounts(component: &Component, config: &Config) -> Option<String> {
    let Component { name, surge, .. } = component;
    let extra = match surge {
        Surge::Absolute(pods) => *pods,
        Surge::Percent(percent) => *percent,
    };
    if extra < 0 || extra > config.max_replicas {
        let most = config.max_replicas;
        return Some(format!("{name} has a surge of {extra}: give 0 to {most}"));
    }
    let pods = surge.pods(component.replicas.max(1));
    let mut amounts = component.per_replica.iter();
    let (resource, amount) =
        amounts.find(|(_, amount)| amount.checked_mul(pods).is_none_or(|all| all > MAX_AMOUNT))?;
    let shown = format_amount(resource, amount);
    Some(format!(
        "{name} requests {shown} {resource} for each of {pods} pods: lower the one or the other"
    ))
}

fn of_placement(request: &Request) -> Option<String> {
    let placement = &request.placement;
    if placement.affinity.len() > MAX_TERMS {
        let has = placement.affinity.len();
        return Some(format!(
            "{has} affinity terms, at most {MAX_TERMS}: remove some"
        ));
    }
    let division = &placement.division;
    if let (Some(min), Some(max)) = (division.min_per_member, division.max_per_member)
        && min > max
    {
        return Some(format!(
            "division has minPerMember {min} and maxPerMember {max}: lower the one or raise the other"
        ));
    }
    let mut keys = BTreeSet::new();
    placement
        .spread
        .iter()
        .find_map(|spread| {
            if keys.insert(&spread.topology_key) {
                of_spread(spread)
            } else {
                let key = &spread.topology_key;
                Some(format!("spread over {key} is given twice: merge the two"))
            }
        })
        .or_else(|| of_nesting(&placement.spread))
        .or_else(|| of_components(placement.components.as_ref()?, division.kind))
        .or_else(|| of_neighbours(&placement.neighbours))
}

/// The most rules for other workloads.
const MAX_NEIGHBOUR_RULES: usize = 32;

fn of_neighbours(rules: &[NeighbourRule]) -> Option<String> {
    if rules.len() > MAX_NEIGHBOUR_RULES {
        let has = rules.len();
        return Some(format!(
            "{has} rules for other workloads, at most {MAX_NEIGHBOUR_RULES}: remove some"
        ));
    }
    rules.iter().find_map(|rule| {
        let whose = match rule.kind {
            NeighbourKind::Near => "workloads Affinity",
            NeighbourKind::Apart => "workloads AntiAffinity",
        };
        of_key(whose, &rule.topology_key)
    })
}

/// A key that is none, or a rule that the division contradicts.
fn of_components(rule: &ComponentRule, division: DivisionKind) -> Option<String> {
    let kind = rule.kind;
    if let Some(problem) = of_key(&format!("components {kind:?}"), &rule.topology_key) {
        return Some(problem);
    }
    (kind == ComponentKind::Apart && division == DivisionKind::Duplicated).then(|| {
        "components Apart and division Duplicated contradict each other, since every member gets \
         every component: leave one out"
            .to_owned()
    })
}

fn of_key(whose: &str, key: &str) -> Option<String> {
    if matches!(key, "" | "label:") {
        return Some(format!(
            "{whose} has topologyKey '{key}': give one, such as zone or label:rack"
        ));
    }
    key.strip_prefix("region/")
        .is_some_and(|level| !LEVELS.contains(&level))
        .then(|| {
            format!(
                "{whose} has topologyKey {key}, which is no level of regions: give region/ with one \
                 of {}, or label:{key} for a label",
                LEVELS.join(", ")
            )
        })
}

fn of_spread(spread: &SpreadConstraint) -> Option<String> {
    let key = &spread.topology_key;
    if key.is_empty() {
        return Some("a spread has no topologyKey: give one, such as provider".to_owned());
    }
    if let Some(skew) = spread.max_skew.filter(|skew| *skew < 0) {
        return Some(format!(
            "spread over {key} has maxSkew {skew}: give 0 or more"
        ));
    }
    if let (Some(min), Some(max)) = (spread.min_groups, spread.max_groups)
        && min > max
    {
        return Some(format!(
            "spread over {key} has minGroups {min} and maxGroups {max}: lower the one or raise the other"
        ));
    }
    let max = spread.max_groups.filter(|max| *max < 1)?;
    Some(format!(
        "spread over {key} has maxGroups {max}: give 1 or more"
    ))
}

/// Constraints within one that is not there, or round in a circle.
fn of_nesting(all: &[SpreadConstraint]) -> Option<String> {
    all.iter().find_map(|spread| {
        let key = &spread.topology_key;
        let mut way = vec![key.as_str()];
        let mut next = spread.within.as_deref();
        while let Some(outer) = next {
            let Some(of) = all.iter().find(|other| other.topology_key == outer) else {
                return Some(format!(
                    "spread over {key} is within {outer}, over which there is no spread: add one, \
                     or leave within out"
                ));
            };
            way.push(outer);
            if outer == key {
                let circle = way.join(" within ");
                return Some(format!(
                    "spread over {circle} is a circle: leave one within out"
                ));
            }
            if way.len() > all.len() {
                // Another one's circle: that one is named.
                return None;
            }
            next = of.within.as_deref();
        }
        None
    })
}
