//! What a member's own scheduler does with replicas that were placed there.

use heyun_scheduler::resources::CPU;
use heyun_scheduler::snapshot::Shape;
use heyun_scheduler::{Component, Member, Resources};

const ARCH_LABEL: &str = "kubernetes.io/arch";

/// Puts replicas on nodes of a flavor, each on the node with most free cores that holds it, as a
/// cluster's scheduler does when it is told nothing else; returns how many found no node.
pub(in crate::bench) fn bind(
    member: &mut Member,
    flavor: &str,
    component: &Component,
    replicas: i64,
) -> i64 {
    let Some(sketch) = &mut member.sketch else {
        return replicas;
    };
    for done in 0..replicas {
        let takes = |shape: &&mut Shape| takes(shape, flavor, component);
        let roomiest = sketch.shapes.iter_mut().filter(takes);
        let Some(shape) = roomiest.max_by_key(|shape| shape.free.get(CPU)) else {
            return replicas - done;
        };
        let mut used = Shape {
            count: 1,
            ..shape.clone()
        };
        shape.count -= 1;
        for (resource, amount) in component.per_replica.iter() {
            let left = used.free.get(resource) - amount;
            used.free.set(resource, left);
        }
        let same = |other: &Shape| {
            other.free == used.free
                && other.flavor == used.flavor
                && other.labels == used.labels
                && other.taints == used.taints
        };
        match sketch.shapes.iter_mut().find(|other| same(other)) {
            Some(other) => other.count += 1,
            None => sketch.shapes.push(used),
        }
        sketch.shapes.retain(|shape| shape.count > 0);
    }
    0
}

fn takes(shape: &Shape, flavor: &str, component: &Component) -> bool {
    let arch = shape.labels.get(ARCH_LABEL);
    let allowed = &component.architectures;
    shape.count > 0
        && shape.flavor.as_deref() == Some(flavor)
        && (allowed.is_empty() || arch.is_some_and(|arch| allowed.contains(arch)))
        && fits(&component.per_replica, &shape.free)
}

fn fits(each: &Resources, free: &Resources) -> bool {
    each.iter()
        .all(|(resource, amount)| amount <= free.get(resource))
}
