//! A decision that stands while a newer generation waits or is refused. Nothing new is rendered for
//! it, for the manifests are the newer generation's; but what it releases is confirmed, what it
//! replaced goes, and what it never began is not held.

use std::collections::BTreeSet;

use heyun_crds::Work;
use heyun_crds::conditions::{ConditionType, is_true};
use heyun_crds::labels::member_namespace;
use heyun_crds::workload::{Decision, WorkloadStatus};
use heyun_plan::decide;
use heyun_plan::diff::{self, Step};

use super::look::Sight;
use crate::seeded::{self, Bug};
use crate::world::Entry;

impl Sight<'_> {
    /// The status with its decision as far as it has come about, and what its Works need.
    pub(super) fn uphold(
        &self,
        entry: &Entry,
        mut after: WorkloadStatus,
    ) -> (WorkloadStatus, Vec<Step>) {
        if seeded::is(Bug::Uphold) {
            return (after, Vec::new());
        }
        let Some(mut decision) = after.decision.take() else {
            return (after, Vec::new());
        };
        let works = self.works(&entry.key);
        if let Some(less) = decide::confirm_released(&decision, &works, self.epoch) {
            decision = less;
        }
        if decision.generation != entry.generation()
            && let Some(less) = decide::begun(&decision, &works, self.epoch)
        {
            decision = less;
        }
        let mut steps = diff::works(&[], &replaced(&decision, works));
        steps.retain(|step| match step {
            Step::Retire(existing) | Step::Delete(existing) => !self.is_unread(existing),
            Step::Create(_) | Step::Update { .. } => true,
        });
        after.decision = Some(decision);
        (after, steps)
    }
}

/// The Works that a decision replaces, once all that replaces them is healthy.
fn replaced(decision: &Decision, works: Vec<Work>) -> Vec<Work> {
    let wanted: BTreeSet<String> = decision
        .assignments
        .iter()
        .map(|assignment| &assignment.member)
        .chain(&decision.carried_to)
        .map(|member| member_namespace(member))
        .collect();
    let is_wanted = |work: &Work| {
        let namespace = work.metadata.namespace.as_ref();
        namespace.is_some_and(|namespace| wanted.contains(namespace))
    };
    let stands = |work: &&Work| {
        let status = work.status.as_ref();
        work.spec.decision == decision.id
            && status.is_some_and(|status| {
                Some(status.observed_generation) == work.metadata.generation
                    && is_true(&status.conditions, ConditionType::Healthy)
            })
    };
    let standing = works.iter().filter(|work| is_wanted(work)).filter(stands);
    if wanted.is_empty() || standing.count() < wanted.len() {
        return Vec::new();
    }
    works.into_iter().filter(|work| !is_wanted(work)).collect()
}
