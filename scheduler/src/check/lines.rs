//! Red lines: what is new, what is in flight and what is bound stay below them together.

use super::{Case, Violation, new_replicas};
use crate::resources::Resources;
use crate::snapshot::{Member, RedLine, Snapshot};

pub(super) fn verify(snapshot: &Snapshot, placed: &[Case<'_>], found: &mut Vec<Violation>) {
    for (name, member) in &snapshot.members {
        for (resource, line) in &member.red_lines {
            let new = new(snapshot, placed, name, resource);
            if new == 0 {
                // It may have been passed before: nothing that is there has to go.
                continue;
            }
            let requested = new + there(member, resource, line);
            let limit = i128::from(line.allocatable.unwrap_or(0)) * i128::from(line.percent) / 100;
            if requested > limit {
                found.push(Violation::RedLine {
                    member: name.clone(),
                    resource: resource.clone(),
                    requested,
                    limit,
                });
            }
        }
    }
}

/// What new replicas of all placements request on a member.
fn new(snapshot: &Snapshot, placed: &[Case<'_>], name: &str, resource: &str) -> i128 {
    let mut sum = 0;
    for (request, _, placement) in placed {
        for assignment in placement.assignments.iter().filter(|a| a.member == name) {
            let replicas = new_replicas(snapshot, request, assignment);
            sum += i128::from(replicas) * requests(&assignment.requests, resource);
        }
    }
    sum
}

/// What is bound there and what is on its way.
fn there(member: &Member, resource: &str, line: &RedLine) -> i128 {
    let mut sum = i128::from(line.requested);
    for flight in &member.in_flight {
        sum += i128::from(flight.replicas.max(0)) * requests(&flight.per_replica, resource);
    }
    sum
}

/// What one replica requests: every replica is a pod.
fn requests(each: &Resources, resource: &str) -> i128 {
    let amount = i128::from(each.get(resource).max(0));
    if resource == "pods" && amount == 0 {
        1
    } else {
        amount
    }
}
