//! From a verdict to the writes that follow from it.

use std::sync::Arc;

use heyun_crds::Workload;
use heyun_crds::labels::TRACEPARENT;
use heyun_crds::workload::{Decision, WorkloadStatus};
use heyun_plan::diff::Step;
use heyun_plan::observe::{self, held};
use heyun_plan::{decide, explain};
use heyun_scheduler::Verdict;
use heyun_scheduler::snapshot::Held;
use heyun_scheduler::wake::Wait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::{error, info};

use super::look::{Candidate, written};
use super::state::{Assumed, Before};
use super::status::{conditions, settled};
use super::{Ended, Operator};
use crate::commit::{self, Chain};
use crate::leader::Term;
use crate::seeded::{self, Bug};
use crate::world::Entry;

impl Operator {
    /// From a verdict to the writes that follow from it.
    pub(super) fn conclude(
        &mut self,
        term: &Term,
        candidate: Candidate,
        verdict: Verdict,
        wait: Option<Wait>,
    ) {
        let key = verdict.key.clone();
        let Some(entry) = self.world.workloads.get(&key).cloned() else {
            return;
        };
        let now = Time(self.around.clock.now());
        let mut after = entry.status.clone();
        let (facts, previous) = (candidate.facts, candidate.previous);
        let meant = &facts.interpreted;
        let decision = decide::decision(&verdict, meant, previous.as_ref(), term.epoch, now.0);
        conditions(&mut after, &entry, &verdict, &now);
        let id = decision.as_ref().map(|d| d.id.clone()).unwrap_or_default();
        let about = explain::About {
            decision: &id,
            unchecked: &[],
        };
        after.explanation = Some(explain::summary(&verdict, &about));
        let json: Arc<str> = explain::kept::verdict(&verdict).into();
        let Some(decision) = decision else {
            self.unplaced.sleep(key.clone(), wait);
            if after.decision.is_none() {
                let components = candidate.request.components.iter();
                let wanted: i64 = components.map(|c| c.replicas).sum();
                after.summary.replicas = format!("0/{wanted}");
            }
            let (after, steps) = self.sight(term).uphold(&entry, after);
            let chain = written(&entry, settled(&entry.status, after), steps);
            self.note_refusal(&entry, &verdict);
            let row = self.refusal_row(&entry, &chain, Some((&verdict, &json)), term.epoch);
            self.verdicts.keep(String::new(), &verdict, json);
            if !chain.is_empty() {
                self.start(term, chain, None, row);
            }
            return;
        };
        self.unplaced.remove(&key);
        // One that says the same as the one in force is not written again.
        let decision = match previous {
            Some(previous) if decide::same(&previous, &decision) => previous,
            _ => decision,
        };
        let sight = self.sight(term);
        let hashes = match sight.hashes(&entry, meant) {
            Ok(hashes) => hashes,
            Err(names) => {
                self.does_not_begin(&key, decision);
                self.read_secrets(&key, names);
                return;
            }
        };
        let steps = match sight.steps(&entry, &facts, &decision, &hashes) {
            Ok(steps) => steps,
            Err(refusal) => {
                error!(workload = %key, message = refusal.message, "a decision cannot be rendered");
                self.does_not_begin(&key, decision);
                self.retries.failed(
                    &key,
                    heyun_member::error::Class::Bug,
                    self.around.clock.monotonic(),
                );
                return;
            }
        };
        let decision = forgetful(decision);
        after.decision = Some(decision.clone());
        let after = sight.aggregate(&facts, Some(&decision), after, &sight.works(&key));
        let mut chain = written(&entry, after, steps);
        traced(&mut chain, &entry, &decision);
        info!(workload = %key, decision = decision.id, "placed");
        let row = self.ledger_row(&entry, &verdict, Arc::clone(&json), &decision);
        self.verdicts.keep(decision.id.clone(), &verdict, json);
        self.start(term, chain, Some((decision, row)), None);
    }

    /// Starts a chain; what it commits is held from now on.
    pub(super) fn start(
        &mut self,
        term: &Term,
        chain: Chain,
        decision: Option<(Decision, heyun_ledger::Entry)>,
        refused: Option<heyun_ledger::Entry>,
    ) {
        let key = chain.key.clone();
        let before = self.world.workloads.get(&key).map(|entry| Before {
            uid: entry.uid().to_owned(),
            generation: entry.meta.generation,
            tenant: self.tenant_of(&key, &[]),
            decision: entry.status.decision.clone(),
        });
        let decided = decision.as_ref().map(|(decision, _)| decision);
        let on = decided.map(observe::neighbours::members);
        let (held, row) = match decision {
            Some((decision, row)) => (committed(decision), Some(row)),
            None => (Held::default(), None),
        };
        self.holdings.touch(key.clone());
        self.note_taken(&key, &held);
        // A change of its Placement from here on is another reason to decide.
        let again = row.is_some() && self.again.remove(&key);
        self.assumed.insert(
            key,
            Assumed {
                held,
                on,
                epoch: term.epoch,
                again,
                row,
                refused,
                before,
                asked: self.asked,
            },
        );
        let writer = self.writer(term);
        self.running
            .spawn(async move { Ended::Chain(Box::new(commit::run(writer, chain).await)) });
    }
}

/// Begins the trace of a generation: its writes and those on the members are its children, in
/// whatever process they happen.
fn traced(chain: &mut Chain, entry: &Entry, decision: &Decision) {
    let span = tracing::info_span!(
        heyun_telemetry::spans::OBSERVE_WORKLOAD,
        workload = %entry.key,
        generation = entry.generation(),
        decision = decision.id,
    );
    if let Some(outer) = entry.traceparent() {
        heyun_telemetry::set_parent(&span, outer);
    }
    let Some(traceparent) = heyun_telemetry::traceparent_of(&span) else {
        return;
    };
    for step in &mut chain.steps {
        if let Step::Create(work) | Step::Update { work, .. } = step {
            work.annotations
                .insert(TRACEPARENT.to_owned(), traceparent.clone());
        }
    }
    chain.traceparent = Some(traceparent);
}

/// The decision; without what it releases where that bug is sown.
fn forgetful(mut decision: Decision) -> Decision {
    if seeded::is(Bug::Releasing) {
        decision.releasing.clear();
    }
    decision
}

/// What a decision holds once it is committed.
pub(super) fn committed(decision: Decision) -> Held {
    let status = WorkloadStatus {
        decision: Some(decision),
        ..WorkloadStatus::default()
    };
    held::held(&Workload {
        status: Some(status),
        ..Workload::default()
    })
}
