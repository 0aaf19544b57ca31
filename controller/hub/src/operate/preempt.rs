//! Making room: those of a batch that wait have others go, if they may.

use std::collections::BTreeMap;

use heyun_crds::conditions::{ConditionType, is_true};
use heyun_plan::observe::request::created;
use heyun_plan::preempt::{self, Stands};
use heyun_scheduler::Verdict;
use heyun_scheduler::preempt::{
    Claim, Preemption, Reservation, Standing, Victim, is_wanted, preempt,
};
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::snapshot::Held;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::info;

use super::look::written;
use super::{Operator, status};
use crate::leader::Term;
use crate::seeded::{self, Bug};
use crate::world::Entry;

impl Operator {
    /// Finds who makes room for those of a batch that wait, says so in their verdicts, and keeps for
    /// each what it will have. What was kept for one that was asked about and needs it no more is
    /// anybody's. Besides, those for which nobody was asked yet.
    pub(super) fn make_room(
        &mut self,
        requests: &[Request],
        verdicts: &mut [Verdict],
    ) -> (Vec<Preemption>, Vec<WorkloadKey>) {
        let kept = requests.iter().filter_map(|request| {
            let kept = self.reservations.remove(&request.key)?;
            Some((request.key.clone(), kept))
        });
        let kept: Vec<(WorkloadKey, Reservation)> = kept.collect();
        let found = self.find_room(requests, verdicts);
        for (key, before) in kept {
            if self.reservations.get(&key) != Some(&before) {
                self.note_unkept(&before);
            }
        }
        found
    }

    fn find_room(
        &mut self,
        requests: &[Request],
        verdicts: &mut [Verdict],
    ) -> (Vec<Preemption>, Vec<WorkloadKey>) {
        if !is_wanted(requests, verdicts) {
            return Default::default();
        }
        self.asked = self.asked.saturating_add(1);
        let standing = self.standing();
        let Some(snapshot) = self.scene.snapshot() else {
            return Default::default();
        };
        let config = &self.around.config;
        let (found, unasked) = preempt(snapshot, requests, verdicts, &standing, config);
        let kept = found
            .iter()
            .map(|of| (of.key.clone(), of.reservation.clone()));
        self.reservations.extend(kept);
        (found, unasked)
    }

    /// Everyone who holds something by a decision, or will.
    fn standing(&self) -> BTreeMap<WorkloadKey, Standing> {
        let nothing = Held::default();
        let entries = self.world.workloads.values();
        entries
            .filter(|entry| {
                entry.status.decision.is_some() || self.assumed.contains_key(&entry.key)
            })
            .map(|entry| {
                let assumed = self.assumed.get(&entry.key);
                let stands = Stands {
                    decision: entry.status.decision.as_ref(),
                    tenant: &self.tenant_of(&entry.key, &[]),
                    class: &self.world.class_of(entry),
                    created: created(&entry.meta),
                    rendered: is_rendered(entry),
                    leaves: entry.deleting(),
                    busy: entry.deleting() || assumed.is_some(),
                    assumed: assumed.map_or(&nothing, |assumed| &assumed.held),
                };
                (entry.key.clone(), preempt::standing(&stands))
            })
            .collect()
    }

    /// Forgets what is kept for those that do not wait any more.
    pub(super) fn tidy_reservations(&mut self) {
        let waits = &self.unplaced;
        let gone = self
            .reservations
            .extract_if(.., |key, _| !waits.contains(key));
        let gone: Vec<Reservation> = gone.map(|(_, kept)| kept).collect();
        for kept in gone {
            self.note_unkept(&kept);
        }
    }

    /// Has one make room: what it gives up is released, and it waits for the rest like any other.
    pub(super) fn give_way(&mut self, term: &Term, victim: &Victim, asker: &WorkloadKey) {
        let Some(entry) = self.world.workloads.get(&victim.key).cloned() else {
            return;
        };
        let Some(decision) = entry.status.decision.as_ref() else {
            return;
        };
        if self.assumed.contains_key(&victim.key) {
            return;
        }
        let asking = self.world.workloads.get(asker);
        let document = asking
            .and_then(|asking| asking.spec.emergency.as_ref())
            .filter(|_| victim.claim == Claim::Emergency);
        let document = document.map(|emergency| &*emergency.document);
        let own = self.tenant_of(&victim.key, &[]) == self.tenant_of(asker, &[]);
        let now = self.around.clock.now();
        let told = preempt::told(victim, own, asker, document, now);
        info!(
            workload = %victim.key,
            asker = %asker,
            claim = victim.claim.as_str(),
            "makes room for another"
        );
        let mut decision = decision.clone();
        if seeded::is(Bug::Budget) {
            decision.assignments.iter_mut().for_each(|of| of.keeps = 0);
        }
        let less = preempt::preempted(&decision, entry.uid(), told, term.epoch);
        let mut after = entry.status.clone();
        after.decision = Some(less);
        status::gave_way(&mut after, entry.generation(), &Time(now));
        let chain = written(&entry, after, Vec::new());
        let row = self.refusal_row(&entry, &chain, None, term.epoch);
        self.around.metrics.preempted(victim.claim.as_str());
        self.unplaced.sleep(victim.key.clone(), None);
        self.start(term, chain, None, row);
    }
}

/// Whether what its decision says is brought about.
fn is_rendered(entry: &Entry) -> bool {
    entry.decided().is_some()
        && !entry.spec.suspend
        && is_true(&entry.status.conditions, ConditionType::Accepted)
}
