//! Answers to the questions of the aggregated API.

use std::collections::BTreeSet;

use heyun_crds::conditions::Reason;
use heyun_crds::query::Why;
use heyun_plan::finished;
use heyun_plan::tenants::access;
use heyun_scheduler::request::WorkloadKey;

use super::Operator;
use super::look::Refusal;
use crate::ask::{AskError, Below, Listed, Question};
use crate::world::Entry;

impl Operator {
    /// Answers a question. One who no longer waits for the answer is no error.
    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Why { key, reply } => {
                let answer = self.why(&key);
                let _ = reply.send(answer);
            }
            Question::Tenant { namespace, reply } => {
                let answer = self.owner_of(&namespace);
                let _ = reply.send(answer);
            }
            Question::Subtree { tenant, reply } => {
                let answer = self.subtree(tenant.as_deref());
                let _ = reply.send(answer);
            }
            Question::Named {
                user,
                groups,
                reply,
            } => {
                let answer = self.named(&user, &groups);
                let _ = reply.send(answer);
            }
            Question::Below {
                what,
                roots,
                only,
                reply,
            } => {
                let answer = self.below(what, roots.as_deref(), only.as_deref());
                let _ = reply.send(answer);
            }
        }
    }

    fn owner_of(&self, namespace: &str) -> Result<String, AskError> {
        self.ready()?;
        let owner = self.world.tree.tenant_of(namespace);
        owner
            .map(|tenant| tenant.name.clone())
            .ok_or_else(|| AskError::NotFound(format!("a tenant with namespace {namespace}")))
    }

    fn subtree(&self, tenant: Option<&str>) -> Result<Vec<String>, AskError> {
        self.ready()?;
        let tree = &self.world.tree;
        if let Some(root) = tenant
            && tree.get(root).is_none()
        {
            return Err(AskError::NotFound(format!("tenant {root}")));
        }
        let inside = |name: &str| tenant.is_none_or(|root| tree.within(root, name));
        Ok(tree
            .iter()
            .map(|n| n.name.clone())
            .filter(|name| inside(name))
            .collect())
    }

    fn named(&self, user: &str, groups: &[String]) -> Result<Vec<String>, AskError> {
        self.ready()?;
        let named = access::named(&self.world.tree, user, groups);
        Ok(named.into_iter().map(str::to_owned).collect())
    }

    fn below(
        &self,
        what: Listed,
        roots: Option<&[String]>,
        only: Option<&str>,
    ) -> Result<Below, AskError> {
        self.ready()?;
        let tree = &self.world.tree;
        let homes: Option<BTreeSet<&str>> = roots.map(|roots| {
            let roots = roots.iter().map(String::as_str);
            roots.filter(|root| access::has_home(tree, root)).collect()
        });
        let inside = |tenant: &str| {
            homes.as_ref().is_none_or(|homes| {
                let mut lineage = tree.lineage(tenant);
                lineage.any(|node| homes.contains(node.name.as_str()))
            })
        };
        let asked = |name: &str| only.is_none_or(|only| only == name);
        Ok(match what {
            Listed::Tenants => {
                let all = self.world.tenants.iter();
                let found = all.filter(|(name, _)| asked(name) && inside(name));
                Below::Tenants(found.map(|(_, tenant)| tenant.clone()).collect())
            }
            Listed::Quotas => {
                let all = self.world.quotas.iter();
                let found = all.filter(|(name, quota)| asked(name) && inside(&quota.spec.tenant));
                Below::Quotas(found.map(|(_, quota)| quota.clone()).collect())
            }
        })
    }

    /// Nothing is answered before all has been read once.
    fn ready(&self) -> Result<(), AskError> {
        let read = self.world.is_complete();
        read.then_some(()).ok_or(AskError::NotReady)
    }

    /// Why a Workload is where it is, and whether it made room for another.
    fn why(&mut self, key: &WorkloadKey) -> Result<Why, AskError> {
        let mut why = self.verdict_on(key)?;
        let entry = self.world.workloads.get(key);
        let decision = entry.and_then(|entry| entry.status.decision.as_ref());
        let told = decision.and_then(|decision| decision.preempted.as_ref());
        why.preempted = told.map(heyun_plan::preempt::sentence).unwrap_or_default();
        why.finished = decision.map(finished::told).unwrap_or_default();
        Ok(why)
    }

    /// The verdict that was made, where it is still known; else what would be decided now. What a
    /// verdict over a large fleet did not tell of a member is what would be said of it now.
    fn verdict_on(&mut self, key: &WorkloadKey) -> Result<Why, AskError> {
        self.ready()?;
        let Some(entry) = self.world.workloads.get(key) else {
            return Err(AskError::NotFound(format!("workload {key}")));
        };
        let generation = entry.generation();
        let (mut id, mut decided_at, mut in_force) = (String::new(), String::new(), String::new());
        match &entry.status.decision {
            Some(decision) if decision.generation == generation => {
                (id, decided_at) = (decision.id.clone(), decision.decided_at.clone());
            }
            Some(earlier) => in_force.clone_from(&earlier.id),
            None => {}
        }
        // A verdict from before its images had to be asked about says nothing of now.
        if id.is_empty()
            && let Some(refusal) = self.sight_at(0).unknown_platforms(entry)
        {
            let mut why = refused(Some(entry), &refusal);
            why.in_force = in_force;
            return Ok(why);
        }
        let about = heyun_plan::explain::About {
            decision: &id,
            unchecked: &[],
        };
        let ending = entry.decided().and_then(finished::ending);
        let kept = self.verdicts.get(key, &id);
        if let (None, Some(ending)) = (&kept, ending) {
            let mut why = over(self.world.workloads.get(key).map(AsRef::as_ref), ending);
            (why.decision, why.decided_at) = (id, decided_at);
            return Ok(why);
        }
        let verdict = match kept {
            Some(kept) if kept.tells_of_all() => kept,
            Some(mut kept) => {
                if let Ok(judged) = self.judge_alone(key) {
                    kept.complete(judged);
                }
                kept
            }
            None => match self.judge_alone(key) {
                Ok(judged) => judged,
                Err(refusal) => {
                    let entry = self.world.workloads.get(key);
                    let mut why = refused(entry.map(AsRef::as_ref), &refusal);
                    why.in_force = in_force;
                    return Ok(why);
                }
            },
        };
        let mut why = heyun_plan::explain::why(&verdict, &about);
        why.decided_at = decided_at;
        why.in_force = in_force;
        why.queue = self.queue_of(key, &verdict);
        if !why.decision.is_empty() {
            why.back = self.return_of(key);
        }
        Ok(why)
    }
}

/// The answer to `why` for a Workload that is over, and of whose verdict nothing is known any more.
fn over(entry: Option<&Entry>, (reason, message): (Reason, String)) -> Why {
    let why = refused(entry, &Refusal { reason, message });
    Why {
        outcome: "Finished".to_owned(),
        ..why
    }
}

/// The answer to `why` for a Workload that the scheduler is not asked about.
fn refused(entry: Option<&Entry>, refusal: &Refusal) -> Why {
    let outcome = match refusal.reason {
        Reason::ImagePlatformsUnknown => "Waiting",
        _ => "Rejected",
    };
    let (key, generation) = entry.map_or_else(Default::default, |entry| {
        (entry.key.clone(), entry.generation())
    });
    let (reason, message) = (refusal.reason.as_str(), refusal.message.clone());
    heyun_plan::explain::refused(&key, generation, outcome, reason, message)
}
