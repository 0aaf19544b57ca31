//! Workloads as others of their tenant see them, and what a placement asks of those.

use std::collections::BTreeSet;

use heyun_crds::common::{LabelExpression, LabelOperator};
use heyun_crds::placement::{PlacementSpec, WorkloadTerm, WorkloadTermType};
use heyun_crds::workload::Decision;
use heyun_scheduler::request::{LabelOp, LabelRequirement, NeighbourKind, NeighbourRule};
use heyun_scheduler::snapshot::{Held, Neighbour};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::request::when_unsatisfiable;
use crate::finished;

/// What a placement asks of other Workloads.
pub fn rules(placement: &PlacementSpec) -> Vec<NeighbourRule> {
    placement.workloads.iter().map(rule).collect()
}

fn rule(term: &WorkloadTerm) -> NeighbourRule {
    let labels = term.match_labels.iter();
    let equal = labels.map(|(key, value)| super::equals(key, value));
    let others = term.match_expressions.iter().map(condition);
    let key = term.topology_key.clone();
    NeighbourRule {
        kind: match term.type_ {
            WorkloadTermType::Affinity => NeighbourKind::Near,
            WorkloadTermType::AntiAffinity => NeighbourKind::Apart,
        },
        selector: equal.chain(others).collect(),
        topology_key: key.unwrap_or_else(|| "member".to_owned()),
        when_unsatisfiable: when_unsatisfiable(term.when_unsatisfiable),
    }
}

fn condition(from: &LabelExpression) -> LabelRequirement {
    LabelRequirement {
        key: from.key.clone(),
        op: match from.operator {
            LabelOperator::In => LabelOp::In,
            LabelOperator::NotIn => LabelOp::NotIn,
            LabelOperator::Exists => LabelOp::Exists,
            LabelOperator::DoesNotExist => LabelOp::DoesNotExist,
        },
        values: from.values.clone(),
    }
}

/// The members on which a decision has replicas that have not finished.
pub fn members(decision: &Decision) -> BTreeSet<String> {
    let used = finished::running(decision).filter(|of| of.replicas > 0);
    used.map(|of| of.member.clone()).collect()
}

/// A Workload that holds something, as others see it. `placement` is the one in effect, `None` where
/// it is not known; `on` are the [`members`] of the decision that is in force or about to be, and none
/// of a Workload that goes. What is held on others is leaving.
pub fn neighbour(
    metadata: &ObjectMeta,
    placement: Option<&PlacementSpec>,
    on: BTreeSet<String>,
    held: &Held,
) -> Neighbour {
    let there = held.entries.iter().filter(|of| of.replicas > 0);
    let there = there.map(|of| of.member.clone());
    let rules = placement.map(rules).unwrap_or_default();
    Neighbour {
        labels: metadata.labels.clone().unwrap_or_default(),
        keeps_out: rules.into_iter().filter(NeighbourRule::keeps_out).collect(),
        leaving: there.filter(|member| !on.contains(member)).collect(),
        on,
    }
}
