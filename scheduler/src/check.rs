//! The checker: verifies a batch of verdicts from scratch.
//!
//! It shares no function with what it judges: capacity by packing pods on nodes one shape at a
//! time, quota by the definition of the tree, rules by reading the snapshot again.

mod division;
mod lines;
mod neighbours;
mod pack;
mod quota;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::{Config, Explained};
use crate::request::{Request, WorkloadKey};
use crate::snapshot::Snapshot;
use crate::verdict::{MemberState, Outcome, Verdict};

/// A rule that a batch of verdicts breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A request has no verdict, or more than one, or a verdict has no request.
    Verdicts {
        /// The workload.
        key: WorkloadKey,
        /// How many verdicts it has.
        count: usize,
    },
    /// A member is not explained exactly once, or is filtered without a reason.
    Unexplained {
        /// The workload.
        key: WorkloadKey,
        /// The member.
        member: String,
    },
    /// New replicas cannot be packed on the nodes of a member.
    Overcommitted {
        /// The workload whose replicas did not fit.
        key: WorkloadKey,
        /// The member.
        member: String,
        /// The component.
        component: String,
        /// How many replicas found no node.
        left: i64,
    },
    /// Something new is requested on a member beyond a red line.
    RedLine {
        /// The member.
        member: String,
        /// The resource.
        resource: String,
        /// What is requested after the batch.
        requested: i128,
        /// The most that may be.
        limit: i128,
    },
    /// A tenant's charge grew beyond its limit.
    QuotaExceeded {
        /// The tenant.
        tenant: String,
        /// What is counted, as `flavor/resource`.
        key: String,
        /// The charge after the batch.
        charge: i128,
        /// The limit.
        limit: i128,
    },
    /// The amounts of a placement are not those of its assignments.
    Amounts {
        /// The workload.
        key: WorkloadKey,
        /// Which amounts.
        which: &'static str,
    },
    /// A hard rule is broken.
    Rule {
        /// The workload.
        key: WorkloadKey,
        /// The member.
        member: String,
        /// The rule.
        rule: &'static str,
    },
    /// Replicas are not divided as asked.
    Division {
        /// The workload.
        key: WorkloadKey,
        /// The component.
        component: String,
        /// What is wrong.
        rule: &'static str,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdicts { key, count } => write!(f, "{key} has {count} verdicts"),
            Self::Unexplained { key, member } => write!(f, "{key}: {member} is not explained"),
            Self::Overcommitted {
                key,
                member,
                component,
                left,
            } => {
                write!(
                    f,
                    "{key}: {left} replicas of {component} fit on no node of {member}"
                )
            }
            Self::RedLine {
                member,
                resource,
                requested,
                limit,
            } => {
                write!(
                    f,
                    "{requested} of {resource} is requested on {member}, its red line is {limit}"
                )
            }
            Self::QuotaExceeded {
                tenant,
                key,
                charge,
                limit,
            } => {
                write!(
                    f,
                    "{tenant} is charged {charge} of {key}, its limit is {limit}"
                )
            }
            Self::Amounts { key, which } => write!(f, "{key}: {which} is not what is assigned"),
            Self::Rule { key, member, rule } => write!(f, "{key} on {member} breaks rule {rule}"),
            Self::Division {
                key,
                component,
                rule,
            } => write!(f, "{key}: {component}: {rule}"),
        }
    }
}

/// Everything that a batch of verdicts breaks; empty when all is well. The verdicts must stand in
/// the order in which [`schedule`](crate::schedule()) gave them.
pub fn check(
    snapshot: &Snapshot,
    requests: &[Request],
    verdicts: &[Verdict],
    config: &Config,
) -> Vec<Violation> {
    let mut by_key: BTreeMap<&WorkloadKey, &Request> = BTreeMap::new();
    for request in requests {
        let newest = by_key.entry(&request.key).or_insert(request);
        if (request.generation, &request.uid) > (newest.generation, &newest.uid) {
            *newest = request;
        }
    }
    let mut counts: BTreeMap<&WorkloadKey, usize> = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(&verdict.key).or_default() += 1;
    }
    let mut found = Vec::new();
    for key in by_key.keys() {
        let count = counts.get(*key).copied().unwrap_or(0);
        if count != 1 {
            found.push(Violation::Verdicts {
                key: (*key).clone(),
                count,
            });
        }
    }
    let mut placed = Vec::new();
    for verdict in verdicts {
        let Some(request) = by_key.get(&verdict.key).copied() else {
            found.push(Violation::Verdicts {
                key: verdict.key.clone(),
                count: 1,
            });
            continue;
        };
        explained(snapshot, verdict, config.explained, &mut found);
        if let Outcome::Placed(placement) = &verdict.outcome {
            placed.push((request, verdict, placement));
        }
    }
    for (request, verdict, placement) in &placed {
        rules::verify(snapshot, request, verdict, placement, config, &mut found);
        division::verify(snapshot, request, verdict, placement, &mut found);
    }
    neighbours::verify(snapshot, &placed, &mut found);
    pack::verify(snapshot, &placed, &mut found);
    lines::verify(snapshot, &placed, &mut found);
    quota::verify(snapshot, &placed, &mut found);
    found
}

/// A placed request with its verdict and placement.
type Case<'a> = (&'a Request, &'a Verdict, &'a crate::verdict::Placed);

fn explained(
    snapshot: &Snapshot,
    verdict: &Verdict,
    explained: Explained,
    found: &mut Vec<Violation>,
) {
    let mut seen = BTreeSet::new();
    let mut unexplained = |member: &str| {
        let (key, member) = (verdict.key.clone(), member.to_owned());
        found.push(Violation::Unexplained { key, member });
    };
    for member in &verdict.members {
        let bare = member.state == MemberState::Filtered && member.refusals.is_empty();
        let unknown = !snapshot.members.contains_key(&member.member);
        if bare || unknown || !seen.insert(member.member.as_str()) {
            unexplained(&member.member);
        }
    }
    let chosen: BTreeSet<&str> = match &verdict.outcome {
        Outcome::Placed(placed) => placed.members(),
        Outcome::Rejected(_) | Outcome::Waiting(_) => BTreeSet::new(),
    };
    let whole = snapshot.members.len() <= explained.whole_up_to;
    let all = snapshot.members.keys().map(String::as_str);
    for member in all.filter(|member| whole || chosen.contains(member)) {
        if !seen.contains(member) {
            unexplained(member);
        }
    }
    if usize::try_from(verdict.evaluated) != Ok(snapshot.members.len()) {
        unexplained("");
    }
}

/// Replicas of an assignment that are new on its member: beyond what is held there of replicas no
/// smaller in anything.
fn new_replicas(
    snapshot: &Snapshot,
    request: &Request,
    assignment: &crate::verdict::PlacedAssignment,
) -> i64 {
    let mut held = 0;
    if let Some(all) = snapshot.held.get(&request.key) {
        for entry in &all.entries {
            let same = entry.member == assignment.member
                && entry.component == assignment.component
                && entry.flavor == assignment.flavor;
            let mut larger = false;
            for (resource, amount) in assignment.requests.iter() {
                larger |= resource != "pods" && amount > entry.per_replica.get(resource);
            }
            if same && !larger {
                held = entry.replicas.max(0);
            }
        }
    }
    if assignment.replicas > held {
        assignment.replicas - held
    } else {
        0
    }
}

#[cfg(test)]
mod tests;
