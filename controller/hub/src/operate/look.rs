//! One Workload, looked at: what there is to write, or what there is to decide. Pure.

mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::conditions::{ConditionType, Reason, is_true};
use heyun_crds::labels::FINALIZER;
use heyun_crds::placement::PlacementSpec;
use heyun_crds::workload::{Decision, WorkloadStatus};
use heyun_crds::{Work, Workload};
use heyun_plan::diff::{self, Existing, Step};
use heyun_plan::interpret::Interpreted;
use heyun_plan::member_names::member_of_namespace;
use heyun_plan::render::{self, RenderedWork};
use heyun_plan::tenants::TenantNode;
use heyun_plan::{aggregate, decide, finished, observe};
use heyun_scheduler::Resources;
use heyun_scheduler::config::ScoreWeights;
use heyun_scheduler::request::{Request, WorkloadKey};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::images::{Ask, Images};
use super::orphaned;
use super::secrets::Secrets;
use crate::commit::{Chain, StatusWrite};
use crate::images::Registries;
use crate::seeded::{self, Bug};
use crate::world::{Entry, WorkEntry, World};
use wanted::{Wanted, compared};

/// What there is to do about one Workload.
pub(super) enum Look {
    /// Nothing.
    Nothing,
    /// Something is to be written.
    Write(Box<Chain>),
    /// A decision is needed.
    Decide(Box<Candidate>),
    /// Secrets must be read before anything can be rendered.
    Secrets(Vec<String>),
    /// Registries must be asked about images before anything can be decided.
    Images(Vec<Ask>),
}

/// A Workload that needs a decision, with all that is known of it.
pub(super) struct Candidate {
    /// What the scheduler is asked.
    pub request: Request,
    /// The same, understood.
    pub facts: Facts,
    /// The decision that what follows replaces.
    pub previous: Option<Decision>,
}

impl Candidate {
    /// Whether all that it would place has finished.
    fn is_done(&self) -> bool {
        let nothing = self.request.components.is_empty();
        nothing && !self.facts.interpreted.components.is_empty()
    }
}

/// A Workload that was understood.
pub(super) struct Facts {
    /// The Workload with its manifests.
    pub workload: Workload,
    /// What its manifests mean.
    pub interpreted: Interpreted,
    /// The placement in effect.
    pub placement: PlacementSpec,
    /// Its tenant.
    pub tenant: TenantNode,
}

/// Why a Workload is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Reason code.
    pub reason: Reason,
    /// Names value, place and fix.
    pub message: String,
}

/// What a look depends on besides the world.
pub(super) struct Sight<'a> {
    /// The world.
    pub world: &'a World,
    /// Secrets that were read.
    pub secrets: &'a Secrets,
    /// What registries told of images.
    pub images: &'a Images,
    /// Registries that are asked; `None`: none is.
    pub registries: Option<&'a Registries>,
    /// What containers are charged that ask for nothing.
    pub default_requests: &'a Resources,
    /// Weights of the scores where a placement gives none.
    pub weights: ScoreWeights,
    /// Members that do not answer.
    pub unreachable: &'a BTreeSet<String>,
    /// Epoch of this term.
    pub epoch: i64,
    /// Now.
    pub now: Time,
}

impl Sight<'_> {
    /// Looks at one Workload. `again` asks for a new decision even where one stands.
    pub(super) fn look(&self, key: &WorkloadKey, again: bool) -> Look {
        if self.world.is_unread(key) {
            // It is there, in words of a later version: what it asks for is not known.
            return Look::Nothing;
        }
        if let Some(chain) = self.abandon(key) {
            return Look::Write(Box::new(chain));
        }
        let Some(entry) = self.world.workloads.get(key) else {
            return self.look_at_orphans(key);
        };
        if entry.deleting() {
            return self.look_at_deletion(entry);
        }
        let mut facts = match self.facts(entry) {
            Ok(facts) => facts,
            Err(refusal) => return self.refuse(entry, &refusal),
        };
        // A decision that was lost is taken from the Works that carry it: adopted, not placed again.
        let decision = self.previous(entry, &facts);
        let standing = decision.filter(|d| d.generation == entry.generation());
        match standing {
            Some(decision) if !again || finished::is_over(&decision) => {
                self.follow(entry, &facts, decision)
            }
            _ if entry.spec.suspend => self.suspend(entry),
            standing => match self.platforms(entry, &mut facts) {
                Ok(()) => {
                    let candidate = self.candidate(entry, facts);
                    match standing.filter(|_| candidate.is_done()) {
                        // What made room has ended since, and waits for nothing.
                        Some(decision) => {
                            let over = finished::over(decision, self.epoch);
                            self.follow(entry, &candidate.facts, over)
                        }
                        None => Look::Decide(Box::new(candidate)),
                    }
                }
                Err(unready) => self.unready(entry, &facts, standing, unready),
            },
        }
    }

    /// The Workload as a question to the scheduler.
    pub(super) fn candidate(&self, entry: &Entry, facts: Facts) -> Candidate {
        let previous = self.replaces(entry, &facts);
        let quota = self.world.quotas.get(&facts.tenant.name);
        let request = observe::request::request(&observe::request::Input {
            workload: &facts.workload,
            interpreted: &facts.interpreted,
            placement: &facts.placement,
            tenant: &facts.tenant.name,
            flavors: &self.world.flavor_specs,
            quota_flavors: &quota.map(observe::quota::flavors).unwrap_or_default(),
            class: &self.world.class_of(entry),
            previous: previous.as_ref(),
            weights: self.weights,
        });
        Candidate {
            request,
            facts,
            previous,
        }
    }

    /// The decision in force, with what has finished since; one that was lost is rebuilt from the
    /// Works that carry it.
    pub(super) fn previous(&self, entry: &Entry, facts: &Facts) -> Option<Decision> {
        let decision = self.in_force(entry, facts)?;
        Some(self.finished(decision, &entry.key))
    }

    /// The same, for a decision that is to replace it.
    fn replaces(&self, entry: &Entry, facts: &Facts) -> Option<Decision> {
        let mut decision = self.previous(entry, facts)?;
        if seeded::is(Bug::Anew) {
            let parts = decision.assignments.iter_mut();
            parts.for_each(|part| part.finished = None);
        }
        Some(decision)
    }

    /// The decision with what its members report as finished.
    pub(super) fn finished(&self, decision: Decision, key: &WorkloadKey) -> Decision {
        if !finished::may_end(&decision) || seeded::is(Bug::Finished) {
            return decision;
        }
        let recorded = finished::confirm(&decision, &self.works(key), self.epoch);
        recorded.unwrap_or(decision)
    }

    fn in_force(&self, entry: &Entry, facts: &Facts) -> Option<Decision> {
        if let Some(decision) = &entry.status.decision {
            return Some(decision.clone());
        }
        let works = self.works(&entry.key);
        let Facts {
            interpreted,
            placement,
            ..
        } = facts;
        let adopted = decide::adopted(
            &works,
            entry.generation(),
            interpreted,
            placement,
            self.epoch,
        );
        adopted
            .or_else(|| orphaned::decision(self.world, &entry.key, interpreted, &placement.flavors))
    }

    /// The Works of a Workload, without manifests.
    pub(super) fn works(&self, key: &WorkloadKey) -> Vec<Work> {
        self.world.works_of(key).map(|w| w.work.get()).collect()
    }

    /// A decision stands: what it asks for is compared with what is there.
    pub(super) fn follow(&self, entry: &Entry, facts: &Facts, mut decision: Decision) -> Look {
        let hashes = match self.hashes(entry, &facts.interpreted) {
            Ok(hashes) => hashes,
            Err(missing) => return Look::Secrets(missing),
        };
        let works = self.works(&entry.key);
        if let Some(less) = decide::confirm_released(&decision, &works, self.epoch) {
            decision = less;
        }
        let after = super::status::standing(entry, &decision, &self.now);
        let steps = match self.steps(entry, facts, &decision, &hashes) {
            Ok(steps) => steps,
            Err(refusal) => return self.refuse(entry, &refusal),
        };
        let after = self.aggregate(facts, Some(&decision), after, &works);
        Self::chain(entry, after, steps)
    }

    /// The status with what the Works report.
    pub(super) fn aggregate(
        &self,
        facts: &Facts,
        decision: Option<&Decision>,
        status: WorkloadStatus,
        works: &[Work],
    ) -> WorkloadStatus {
        let bare = Workload {
            metadata: facts.workload.metadata.clone(),
            spec: facts.workload.spec.clone(),
            status: Some(status),
        };
        let aggregate = aggregate::status(&aggregate::Input {
            workload: &bare,
            interpreted: Some(&facts.interpreted),
            decision,
            works,
            unreachable: self.unreachable,
            now: &self.now,
        });
        aggregate.status
    }

    /// The writes that bring the Works of a decision about.
    pub(super) fn steps(
        &self,
        entry: &Entry,
        facts: &Facts,
        decision: &Decision,
        hashes: &BTreeMap<String, String>,
    ) -> Result<Vec<Step>, Refusal> {
        let wanted = render::works(&render::Input {
            workload: &facts.workload,
            interpreted: &facts.interpreted,
            placement: &facts.placement,
            decision,
            epoch: self.epoch,
            tenant: &facts.tenant,
            members: self.world.members.map(),
            flavors: &self.world.flavor_specs,
            secrets: hashes,
        })
        .map_err(|e| Refusal {
            reason: Reason::Invalid,
            message: e.to_string(),
        })?;
        let held: Vec<&WorkEntry> = self.world.works_of(&entry.key).collect();
        let wanted: Vec<Wanted> = wanted
            .into_iter()
            .map(|work| Wanted::of(work, &held))
            .collect();
        let existing = compared(&wanted, &held);
        let replaced = Self::replaced(&wanted, &held);
        let wanted: Vec<RenderedWork> = wanted.into_iter().map(|of| of.work).collect();
        let mut steps = diff::works(&wanted, &existing);
        self.spare_unread(&mut steps);
        if !replaced && !seeded::is(Bug::LastCopy) {
            // The last healthy copy is not removed before its replacement is healthy. What is on
            // members that have left was let go before.
            steps.retain(|step| matches!(step, Step::Create(_) | Step::Update { .. }));
        }
        Ok(steps)
    }

    /// Leaves out what would go from members that cannot be read.
    pub(super) fn spare_unread(&self, steps: &mut Vec<Step>) {
        steps.retain(|step| match step {
            Step::Retire(existing) | Step::Delete(existing) => !self.is_unread(existing),
            Step::Create(_) | Step::Update { .. } => true,
        });
    }

    /// Whether what is wanted stands: each Work is there and healthy as it is now. One of which all
    /// has finished replaces nothing.
    fn replaced(wanted: &[Wanted], held: &[&WorkEntry]) -> bool {
        wanted.iter().all(|wanted| {
            finished::all(&wanted.work.spec.assignments)
                || held
                    .iter()
                    .any(|entry| wanted.is_said_by(entry) && is_healthy(&entry.work.get()))
        })
    }

    /// The Works whose member has left: they go first, whatever becomes of the rest. Nobody but the
    /// hub lets them go, and what runs there stays.
    fn abandon(&self, key: &WorkloadKey) -> Option<Chain> {
        let going = |work: &Work| {
            let mut finalizers = work.metadata.finalizers.iter().flatten();
            work.metadata.deletion_timestamp.is_none() || finalizers.any(|f| f == FINALIZER)
        };
        let works = self.world.works_of(key);
        let left = works.filter(|w| self.world.has_left(&w.key.member));
        let left = left.map(|entry| entry.work.get()).filter(going);
        let steps: Vec<Step> = left.map(|work| Step::Delete(as_seen(&work))).collect();
        if steps.is_empty() {
            return None;
        }
        let entry = self.world.workloads.get(key);
        Some(Chain {
            abandon: true,
            steps,
            ..entry.map_or_else(|| nameless(key), |entry| bare(entry))
        })
    }

    /// Whether the member of a Work is there and cannot be read: nothing goes for its sake.
    fn is_unread(&self, existing: &Existing) -> bool {
        member_of_namespace(&existing.namespace)
            .is_some_and(|member| self.world.members.is_unread(member))
    }

    /// Hashes of the Secrets that go along, or the names of those that were not read yet.
    pub(super) fn hashes(
        &self,
        entry: &Entry,
        interpreted: &Interpreted,
    ) -> Result<BTreeMap<String, String>, Vec<String>> {
        let names = interpreted.secrets.keys();
        self.secrets.hashes(&entry.key.namespace, names)
    }

    /// No Workload: its Works go, as their own deletion policy says.
    fn look_at_orphans(&self, key: &WorkloadKey) -> Look {
        let steps = diff::works(&[], &self.works(key));
        if steps.is_empty() {
            return Look::Nothing;
        }
        Look::Write(Box::new(Chain {
            steps,
            ..nameless(key)
        }))
    }

    /// Being deleted: first its Works go, then our finalizer.
    fn look_at_deletion(&self, entry: &Entry) -> Look {
        let works = self.works(&entry.key);
        if works.is_empty() {
            if !entry.finalized() {
                return Look::Nothing;
            }
            return Look::Write(Box::new(Chain {
                finalizer: Some(false),
                ..bare(entry)
            }));
        }
        let steps = diff::works(&[], &works);
        if steps.is_empty() {
            return Look::Nothing;
        }
        Look::Write(Box::new(Chain {
            steps,
            ..bare(entry)
        }))
    }

    pub(super) fn chain(entry: &Entry, after: WorkloadStatus, steps: Vec<Step>) -> Look {
        let chain = written(entry, after, steps);
        if chain.is_empty() {
            Look::Nothing
        } else {
            Look::Write(Box::new(chain))
        }
    }
}

/// Whether a Work is healthy as it now is.
pub(super) fn is_healthy(work: &Work) -> bool {
    work.status.as_ref().is_some_and(|status| {
        Some(status.observed_generation) == work.metadata.generation
            && is_true(&status.conditions, ConditionType::Healthy)
    })
}

/// A chain that writes what differs.
pub(super) fn written(entry: &Entry, after: WorkloadStatus, steps: Vec<Step>) -> Chain {
    let status = (after != entry.status).then(|| StatusWrite {
        before: entry.status.clone(),
        after,
    });
    Chain {
        finalizer: (!entry.finalized()).then_some(true),
        status,
        steps,
        ..bare(entry)
    }
}

fn bare(entry: &Entry) -> Chain {
    Chain {
        key: entry.key.clone(),
        meta: entry.meta.clone(),
        traceparent: entry.traceparent().map(str::to_owned),
        finalizer: None,
        status: None,
        steps: Vec::new(),
        abandon: false,
    }
}

/// A chain of a Workload that is not there.
fn nameless(key: &WorkloadKey) -> Chain {
    Chain {
        key: key.clone(),
        meta: ObjectMeta {
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            ..ObjectMeta::default()
        },
        traceparent: None,
        finalizer: None,
        status: None,
        steps: Vec::new(),
        abandon: false,
    }
}

fn as_seen(work: &Work) -> Existing {
    let meta = &work.metadata;
    Existing {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        resource_version: meta.resource_version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod jobs;
#[cfg(test)]
pub(super) mod tests;
