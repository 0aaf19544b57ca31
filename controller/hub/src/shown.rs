//! What is only shown: where a Flavor is offered, who uses a Placement. Pure.

use std::collections::BTreeMap;

use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::flavor::{FlavorStatus, ResourceCapacity};
use heyun_crds::placement::PlacementStatus;
use heyun_crds::quantity::Quantity;
use heyun_crds::{Flavor, Placement};
use heyun_scheduler::quantity::{amount, format_amount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::world::World;

/// Most members that a Flavor names.
const MEMBERS_MAX: usize = 100;

/// Flavors whose status is to change, with what it becomes.
pub fn flavors(world: &World, now: &Time) -> Vec<(Flavor, FlavorStatus)> {
    let status = |flavor: &Flavor| {
        let name = flavor.name_any();
        let mut members = Vec::new();
        let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for (member, object) in world.members.iter() {
            let capacity = object.status.iter().flat_map(|s| &s.capacity);
            let mut offered = false;
            for line in capacity.filter(|line| line.flavor == name) {
                offered = true;
                let read = |q: &Quantity| amount(&line.resource, &q.0).unwrap_or(0);
                let sum = sums.entry(line.resource.clone()).or_default();
                sum.0 = sum.0.saturating_add(read(&line.allocatable));
                sum.1 = sum.1.saturating_add(read(&line.requested));
            }
            if offered {
                members.push(member.clone());
            }
        }
        let old = flavor.status.clone().unwrap_or_default();
        let mut conditions = old.conditions;
        let (ok, reason, message) = match tie(world, flavor) {
            None => (true, Reason::Ok, String::new()),
            Some(other) => (false, Reason::FlavorTie, tie_message(&name, &other, flavor)),
        };
        let generation = flavor.metadata.generation;
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            Some(ok),
            reason.as_str(),
            &message,
            generation,
            now,
        );
        FlavorStatus {
            observed_generation: generation.unwrap_or_default(),
            conditions,
            member_count: u32::try_from(members.len()).unwrap_or(u32::MAX),
            members: members.into_iter().take(MEMBERS_MAX).collect(),
            capacity: sums.into_iter().map(capacity).collect(),
        }
    };
    world
        .flavors
        .values()
        .map(|flavor| (flavor.clone(), status(flavor)))
        .filter(|(flavor, status)| flavor.status.as_ref() != Some(status))
        .collect()
}

fn capacity((resource, (allocatable, requested)): (String, (i64, i64))) -> ResourceCapacity {
    ResourceCapacity {
        allocatable: Quantity(format_amount(&resource, allocatable)),
        requested: Quantity(format_amount(&resource, requested)),
        resource,
    }
}

/// Another Flavor of the same precedence whose selector a node may match as well.
fn tie(world: &World, flavor: &Flavor) -> Option<String> {
    let compatible = |other: &Flavor| {
        let (a, b) = (
            &flavor.spec.node_selector.match_labels,
            &other.spec.node_selector.match_labels,
        );
        a.iter()
            .all(|(key, value)| b.get(key).is_none_or(|v| v == value))
    };
    world
        .flavors
        .values()
        .find(|other| {
            other.name_any() != flavor.name_any()
                && other.spec.precedence == flavor.spec.precedence
                && compatible(other)
        })
        .map(ResourceExt::name_any)
}

fn tie_message(name: &str, other: &str, flavor: &Flavor) -> String {
    format!(
        "a node may match both {name} and {other}, which have precedence {}: create one of them \
         anew with another precedence or a selector that excludes the other",
        flavor.spec.precedence
    )
}

/// Placements whose status is to change, with what it becomes.
pub fn placements(world: &World, now: &Time) -> Vec<(Placement, PlacementStatus)> {
    let mut uses: BTreeMap<String, u32> = BTreeMap::new();
    for entry in world.workloads.values() {
        if let Some(reference) = &entry.spec.placement_ref {
            *uses
                .entry(format!("{}/{}", entry.key.namespace, reference.name))
                .or_default() += 1;
        }
    }
    let status = |name: &String, placement: &Placement| {
        let old = placement.status.clone().unwrap_or_default();
        let mut conditions = old.conditions;
        let generation = placement.metadata.generation;
        set_condition(
            &mut conditions,
            ConditionType::Ready,
            Some(true),
            Reason::Ok.as_str(),
            "",
            generation,
            now,
        );
        PlacementStatus {
            observed_generation: generation.unwrap_or_default(),
            conditions,
            workloads: uses.get(name).copied().unwrap_or(0),
        }
    };
    world
        .placements
        .iter()
        .map(|(name, placement)| (placement.clone(), status(name, placement)))
        .filter(|(placement, status)| placement.status.as_ref() != Some(status))
        .collect()
}
