//! What a change of a member's objects means to those that wait.

use std::collections::BTreeSet;

use heyun_crds::sketch::{Bound, Shape};
use heyun_crds::{MemberCluster, Sketch};
use heyun_scheduler::wake::{Event, differing, of_member};

use super::prices;

/// What happened to a member whose MemberCluster changed; its nodes are the sketch's to tell.
pub fn to_member(before: Option<&MemberCluster>, after: &MemberCluster) -> Vec<Event> {
    let seen = |of: &MemberCluster| super::member(of, None, &[], prices::OfMember::default());
    of_member(before.map(seen).as_ref(), Some(&seen(after)))
}

/// What happened to a member whose Sketch changed. Where it has red lines, all flavors share them.
pub fn to_sketch(member: &str, lined: bool, before: Option<&Sketch>, after: &Sketch) -> Vec<Event> {
    let before = before.and_then(|of| of.status.as_ref());
    let flavors = match (before, after.status.as_ref()) {
        (None, None) => BTreeSet::new(),
        (Some(before), Some(after)) => {
            let mut differ = differing(shapes(&before.shapes), shapes(&after.shapes));
            differ.extend(differing(bound(&before.bound), bound(&after.bound)));
            let totals = lined && before.totals != after.totals;
            if before.label_keys != after.label_keys || totals || lined && !differ.is_empty() {
                differ = BTreeSet::from([None]);
            }
            differ
        }
        _ => BTreeSet::from([None]),
    };
    let told = flavors.into_iter().map(|flavor| Event::SketchChanged {
        member: member.to_owned(),
        flavor,
    });
    told.collect()
}

/// Nodes of no flavor take nothing.
fn shapes(shapes: &[Shape]) -> impl Iterator<Item = (Option<&str>, &Shape)> {
    let all = shapes.iter();
    all.filter_map(|shape| Some((Some(shape.flavor.as_deref()?), shape)))
}

/// Pods that are bound are in flight no longer; where their flavor is not told, in any.
fn bound(bound: &[Bound]) -> impl Iterator<Item = (Option<&str>, &Bound)> {
    bound.iter().map(|pods| (pods.flavor.as_deref(), pods))
}

#[cfg(test)]
mod tests {
    use heyun_crds::sketch::SketchStatus;

    use super::*;

    fn sketch(shapes: &[(&str, u32)], bound: &[(&str, u32)]) -> Sketch {
        let status = SketchStatus {
            shapes: shapes
                .iter()
                .map(|(flavor, count)| Shape {
                    count: *count,
                    flavor: Some((*flavor).to_owned()),
                    ..Shape::default()
                })
                .collect(),
            bound: bound
                .iter()
                .map(|(flavor, replicas)| Bound {
                    work: "w".to_owned(),
                    replicas: *replicas,
                    flavor: Some((*flavor).to_owned()),
                    ..Bound::default()
                })
                .collect(),
            ..SketchStatus::default()
        };
        Sketch {
            status: Some(status),
            ..Sketch::default()
        }
    }

    #[test]
    fn only_the_flavors_that_differ_are_told_of() {
        let before = sketch(&[("arm", 2), ("amd", 1)], &[("arm", 1)]);
        let told = |lined, after: &Sketch| {
            let events = to_sketch("m", lined, Some(&before), after).into_iter();
            let flavors = events.map(|event| match event {
                Event::SketchChanged { flavor, .. } => flavor.unwrap_or_else(|| "any".to_owned()),
                other => panic!("{other:?}"),
            });
            flavors.collect::<Vec<_>>()
        };
        assert!(told(false, &before).is_empty());
        let more = sketch(&[("arm", 3), ("amd", 1)], &[("arm", 1)]);
        assert_eq!(told(false, &more), ["arm"]);
        assert_eq!(told(true, &more), ["any"], "red lines are of all flavors");
        let moved = sketch(&[("arm", 2), ("amd", 1)], &[("amd", 1)]);
        assert_eq!(told(false, &moved), ["amd", "arm"]);
        let events = to_sketch("m", false, None, &before);
        assert_eq!(events.len(), 1, "{events:?}");
    }
}
