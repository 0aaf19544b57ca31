//! A Workload that is not decided: what it is told, and what becomes of a decision that stands while
//! a newer generation waits or is refused. Nothing new is rendered for that, for the manifests are the
//! newer generation's; but what it releases is confirmed, what it replaced goes, and what it never
//! began is not held.

use std::collections::BTreeSet;

use heyun_crds::Work;
use heyun_crds::conditions::{ConditionType, Reason};
use heyun_crds::labels::member_namespace;
use heyun_crds::workload::{Assignment, Decision, WorkloadStatus};
use heyun_plan::diff::{self, Step};
use heyun_plan::{decide, finished};

use super::look::{Look, Refusal, Sight, is_healthy};
use super::status::tell;
use crate::seeded::{self, Bug};
use crate::world::Entry;

impl Sight<'_> {
    /// Not accepted: the condition says why; a decision that stands stays, with its Works.
    pub(super) fn refuse(&self, entry: &Entry, refusal: &Refusal) -> Look {
        let mut after = entry.status.clone();
        let generation = entry.generation();
        let reason = refusal.reason.as_str();
        let told = [ConditionType::Accepted, ConditionType::Ready]
            .map(|kind| (kind, Some(false), reason, &*refusal.message));
        tell(&mut after, generation, &self.now, told);
        after.observed_generation = generation;
        after.summary.reason = format!("{reason}: {}", refusal.message);
        if after.decision.is_none() {
            "-".clone_into(&mut after.summary.members);
        }
        self.upheld(entry, after)
    }

    pub(super) fn suspend(&self, entry: &Entry) -> Look {
        let message = "spec.suspend is true: set it to false to have it scheduled";
        let mut after = self.unscheduled(entry, Reason::Suspended, message);
        Reason::Suspended
            .as_str()
            .clone_into(&mut after.summary.reason);
        self.upheld(entry, after)
    }

    /// The status of a Workload that is not decided, and why.
    pub(super) fn unscheduled(
        &self,
        entry: &Entry,
        reason: Reason,
        message: &str,
    ) -> WorkloadStatus {
        let mut after = entry.status.clone();
        let generation = entry.generation();
        let told = [ConditionType::Scheduled, ConditionType::Ready]
            .map(|kind| (kind, Some(false), reason.as_str(), message));
        tell(&mut after, generation, &self.now, told);
        after.observed_generation = generation;
        after
    }

    /// What a Workload that is not decided has written.
    pub(super) fn upheld(&self, entry: &Entry, after: WorkloadStatus) -> Look {
        let (after, steps) = self.uphold(entry, after);
        Self::chain(entry, after, steps)
    }

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
        decision = self.finished(decision, &entry.key);
        if let Some(less) = decide::confirm_released(&decision, &works, self.epoch) {
            decision = less;
        }
        if decision.generation != entry.generation()
            && let Some(less) = decide::begun(&decision, &works, self.epoch)
        {
            decision = less;
        }
        let mut steps = diff::works(&[], &replaced(&decision, works));
        self.spare_unread(&mut steps);
        after.decision = Some(decision);
        (after, steps)
    }
}

/// The Works that a decision replaces, once all that replaces them is healthy. Where all that is
/// left has finished, nothing is waited for.
fn replaced(decision: &Decision, works: Vec<Work>) -> Vec<Work> {
    let namespaces = |parts: &mut dyn Iterator<Item = &Assignment>| -> BTreeSet<String> {
        let members = parts.map(|part| &part.member).chain(&decision.carried_to);
        members.map(|member| member_namespace(member)).collect()
    };
    let mut wanted = namespaces(&mut decision.assignments.iter());
    let running = namespaces(&mut finished::running(decision));
    let is_among = |work: &Work, those: &BTreeSet<String>| {
        let namespace = work.metadata.namespace.as_ref();
        namespace.is_some_and(|namespace| those.contains(namespace))
    };
    let stands = |work: &&Work| work.spec.decision == decision.id && is_healthy(work);
    let standing = works.iter().filter(|work| is_among(work, &running));
    // One that made room and keeps nothing is replaced by nothing, and what has finished beside it
    // goes with its Work.
    if running.is_empty() && decision.preempted.is_some() {
        wanted.clear();
    } else if wanted.is_empty() || standing.filter(stands).count() < running.len() {
        return Vec::new();
    }
    let all = works.into_iter();
    all.filter(|work| !is_among(work, &wanted)).collect()
}
