//! Pods that a Workload left behind on members: where they run, it is placed again.
//!
//! A Workload that was deleted with `deletionPolicy: Orphan` takes its decision and its Works
//! along. Created again from the same YAML it has the same Work name, by which the members'
//! sketches still know its pods. What they show is its previous decision, of no generation: it is
//! decided anew, and stays where it is as far as that is allowed.

use std::collections::BTreeSet;

use heyun_crds::Sketch;
use heyun_crds::workload::{Assignment, Decision};
use heyun_plan::interpret::{Interpreted, is_component};
use heyun_plan::member_names::work_name;
use heyun_scheduler::request::WorkloadKey;

use crate::world::World;

/// What the sketches show of a Workload that has neither a decision nor Works.
pub(super) fn decision(
    world: &World,
    key: &WorkloadKey,
    interpreted: &Interpreted,
    preferred: &[String],
) -> Option<Decision> {
    let work = work_name(&key.namespace, &key.name);
    let mut assignments = Vec::new();
    for (member, sketch) in world.sketches.iter() {
        let bound = sketch
            .status
            .iter()
            .flat_map(|s| &s.bound)
            .filter(|b| b.work == work);
        for bound in bound {
            let component = interpreted
                .components
                .iter()
                .find(|c| is_component(&bound.component, &c.request.name));
            let told = bound.flavor.clone();
            let flavor = told.or_else(|| flavor(sketch, preferred));
            let (Some(component), Some(flavor)) = (component, flavor) else {
                continue;
            };
            assignments.push(Assignment {
                member: member.clone(),
                flavor,
                component: component.request.name.clone(),
                replicas: i32::try_from(bound.replicas).unwrap_or(i32::MAX),
                ..Assignment::default()
            });
        }
    }
    (!assignments.is_empty()).then(|| Decision {
        assignments,
        ..Decision::default()
    })
}

/// The flavor that the pods stand on where an older watcher does not tell: the first preferred one
/// that the member has, else its first.
fn flavor(sketch: &Sketch, preferred: &[String]) -> Option<String> {
    let shapes = sketch.status.iter().flat_map(|s| &s.shapes);
    let has: BTreeSet<&String> = shapes.filter_map(|shape| shape.flavor.as_ref()).collect();
    let first = preferred.iter().find(|flavor| has.contains(flavor));
    first.or_else(|| has.first().copied()).cloned()
}
