//! What happens when a chain has ended, and what others are told of it.

use std::sync::Arc;

use heyun_crds::Workload;
use heyun_crds::workload::Decision;
use heyun_member::error::{Class, Classify};
use heyun_plan::explain;
use heyun_scheduler::Verdict;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::verdict::Code;
use heyun_telemetry::labels;
use kube::{Resource, ResourceExt};
use tracing::{debug, warn};

use super::state::Assumed;
use super::{Ended, Operator, refused};
use crate::commit::{CommitError, Finished};
use crate::events::Note;
use crate::leader::Term;
use crate::outbox::{self, Subject};
use crate::world::{Dirty, Entry, WorkEntry};

impl Operator {
    /// Takes in what a chain did.
    pub(super) fn finish(&mut self, finished: Finished) {
        let Finished {
            key,
            workload,
            works,
            error,
            released,
            epoch,
            ..
        } = finished;
        if self.assumed.get(&key).is_some_and(|a| a.epoch != epoch) {
            // A chain of a term that is over; this term has begun one of its own.
            return;
        }
        let mut assumed = self.assumed.remove(&key).unwrap_or_default();
        self.holdings.touch(key.clone());
        let generation = assumed.before.as_ref().and_then(|before| before.generation);
        let decision = workload
            .as_ref()
            .and_then(|workload| workload.status.as_ref()?.decision.as_ref());
        // One that was to make room and could not be told so makes none: who asked asks again.
        let stands = assumed.row.is_some() || assumed.asked != self.asked || error.is_some();
        let held = std::mem::take(&mut assumed.held);
        let undone = error.is_some() && assumed.is_undone(decision);
        if let Some(row) = assumed.refused.take()
            && let Some(status) = workload.as_ref().and_then(|now| now.status.as_ref())
            && refused::is_told(&row, status)
        {
            self.send_entries(vec![row]);
        }
        if released {
            self.tell_ledger(&key, assumed, None);
        } else if workload.is_some() {
            self.tell_ledger(&key, assumed, decision);
        }
        // What a chain wrote itself is no news: only a spec that changed under it is looked at.
        // What it took leave of may be gone by now, as the watch has told: it is not put back.
        let mut known = Dirty::default();
        // What made room is only said to go so far: its Works follow.
        let mut again = decision.is_some_and(|decision| decision.preempted.is_some());
        if let Some(workload) = workload
            && self.world.workloads.contains_key(&key)
        {
            again |= workload.metadata.generation != generation;
            self.world.put_workload(*workload, &mut known);
        }
        // What it was to reserve is not, or what it freed was its own doing: others may have it.
        if error.is_some() {
            self.note_untaken(&key, &held);
        }
        for work in works {
            let leaving = work.metadata.deletion_timestamp.is_some();
            // One that was read back, because it was there already, has what the member said since.
            let said = work.status.as_ref().map(|said| said.observed_generation);
            again |= said.is_some() && said == work.metadata.generation;
            let is_held = WorkEntry::key_of(&work.metadata)
                .is_some_and(|key| self.world.works.contains_key(&key));
            if !leaving || is_held {
                self.world.put_work(work, &mut known);
            }
        }
        self.dirty.happened.extend(known.happened);
        if stands {
            self.note_standing(&key);
        }
        self.note_return(&key);
        self.show_soon();
        if undone {
            self.again.insert(key.clone());
        }
        again |= self.ended_so(&key, error);
        if again {
            self.candidates.insert(key);
        }
    }

    /// Takes in why a chain ended; true where its Workload is looked at again at once.
    fn ended_so(&mut self, key: &WorkloadKey, error: Option<CommitError>) -> bool {
        match error {
            None => {
                self.retries.succeeded(key);
                false
            }
            Some(CommitError::SecretChanged(name)) => {
                debug!(workload = %key, name, "a secret changed while it was copied");
                self.secrets.forget(&key.namespace, &name);
                true
            }
            Some(CommitError::NotLeading) => {
                // The lease may be confirmed again without a change of term.
                debug!(workload = %key, "not written: not leading");
                true
            }
            Some(CommitError::Api(error)) => {
                let class = error.class();
                // A conflict means that something newer is on its way to us by the watch.
                if class == Class::Conflict {
                    debug!(workload = %key, %error, "written by another first");
                } else {
                    warn!(workload = %key, %error, "a chain of writes stopped");
                }
                self.retries
                    .failed(key, class, self.around.clock.monotonic());
                false
            }
        }
    }

    /// The row of a decision, for the ledger, which has the verdict as `json`.
    pub(super) fn ledger_row(
        &self,
        entry: &Entry,
        verdict: &Verdict,
        json: Arc<str>,
        decision: &Decision,
    ) -> heyun_ledger::Entry {
        let of = Subject {
            key: &entry.key,
            uid: entry.uid(),
            tenant: &verdict.tenant,
        };
        let now_us = self.around.clock.now().as_microsecond();
        let outcome = verdict.outcome.code();
        let (reason, _) = explain::condition(verdict);
        outbox::decision(&of, decision, outcome, &reason, json, now_us)
    }

    /// Tells the ledger what was committed, and never what was not.
    fn tell_ledger(&self, key: &WorkloadKey, assumed: Assumed, now: Option<&Decision>) {
        let Some(before) = assumed.before else { return };
        if before.decision.as_ref() == now {
            return;
        }
        let of = Subject {
            key,
            uid: &before.uid,
            tenant: &before.tenant,
        };
        let now_us = self.around.clock.now().as_microsecond();
        let epoch = now.or(before.decision.as_ref()).map_or(0, |d| d.epoch);
        let mut entries = outbox::usage(&of, before.decision.as_ref(), now, epoch, now_us);
        if let Some(heyun_ledger::Entry::Decision(row)) = assumed.row
            && now.is_some_and(|d| d.id == row.decision_id)
        {
            entries.push(heyun_ledger::Entry::Decision(row));
        }
        self.send_entries(entries);
    }

    fn send_entries(&self, entries: Vec<heyun_ledger::Entry>) {
        if self.around.outbox.try_send(entries).is_err() {
            warn!(
                "the ledger's outbox does not keep up: what is in force is stated again by the next leader"
            );
        }
    }

    /// A leader that starts states all that is in force again: the ledger keeps each row once.
    pub(super) fn restate(&mut self, term: &Term) {
        if std::mem::replace(&mut self.restated, true) {
            return;
        }
        let now_us = self.around.clock.now().as_microsecond();
        let mut entries = Vec::new();
        for entry in self.world.workloads.values() {
            let Some(decision) = &entry.status.decision else {
                continue;
            };
            let Some(tenant) = self.world.tree.tenant_of(&entry.key.namespace) else {
                continue;
            };
            let of = Subject {
                key: &entry.key,
                uid: entry.uid(),
                tenant: &tenant.name,
            };
            entries.extend(outbox::usage(&of, None, Some(decision), term.epoch, now_us));
            // Where the row is there already, it stays as it is, with its verdict.
            let (placed, none) = ("Placed", "null".into());
            let at_us = decided_us(decision).unwrap_or(now_us);
            entries.push(outbox::decision(
                &of,
                decision,
                placed,
                "Scheduled",
                none,
                at_us,
            ));
        }
        for chunk in entries.chunks(500) {
            self.send_entries(chunk.to_vec());
        }
    }

    /// One Event when a Workload is refused for another reason than before.
    pub(super) fn note_refusal(&mut self, entry: &Entry, verdict: &Verdict) {
        let (reason, message) = explain::condition(verdict);
        let old = entry.status.explanation.as_ref().map(|e| e.reason.as_str());
        if old == Some(reason.as_str()) {
            return;
        }
        let object = Workload {
            metadata: entry.meta.clone(),
            ..Workload::default()
        };
        debug!(workload = object.name_any(), reason, "refused");
        let note = Note {
            about: object.object_ref(&()),
            warning: true,
            reason: reason.clone(),
            note: message,
            action: "Schedule",
        };
        let events = self.events.clone();
        self.running.spawn(async move {
            events.publish(note).await;
            Ended::Noted
        });
    }

    /// Metrics of a verdict.
    pub(super) fn measure(&self, verdict: &Verdict, seconds: f64) {
        let outcome = match verdict.outcome.code() {
            "Placed" => labels::Outcome::Placed,
            "Waiting" => labels::Outcome::Waiting,
            _ => labels::Outcome::Rejected,
        };
        let reason = verdict.outcome.reason().map_or("Placed", |r| r.code());
        self.around.metrics.decision(outcome, reason, seconds);
        for (name, members) in &verdict.refused {
            if let Some(code) = Code::named(name) {
                let (filter, code) = (code.filter().as_str(), code.as_str());
                let metrics = &self.around.metrics;
                metrics.rejections(filter, code, u64::from(*members));
            }
        }
    }
}

/// When a decision was made, in microseconds since 1970; `None` where it does not say.
fn decided_us(decision: &Decision) -> Option<i64> {
    let at: k8s_openapi::jiff::Timestamp = decision.decided_at.parse().ok()?;
    Some(at.as_microsecond())
}
