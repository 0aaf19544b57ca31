//! Answers to the questions of the aggregated API.

use heyun_crds::conditions::Reason;
use heyun_crds::query::{QUERY_GROUP, QUERY_VERSION, Why};
use heyun_scheduler::request::WorkloadKey;

use super::Operator;
use super::look::Refusal;
use crate::ask::{AskError, Question};
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
        }
    }

    /// When the decision of this id was made, if it is the one in force.
    fn decided_at(&self, key: &WorkloadKey, id: &str) -> String {
        let entry = self.world.workloads.get(key);
        let decision = entry.and_then(|entry| entry.status.decision.as_ref());
        let decision = decision.filter(|decision| !id.is_empty() && decision.id == id);
        decision.map(|d| d.decided_at.clone()).unwrap_or_default()
    }

    fn owner_of(&self, namespace: &str) -> Result<String, AskError> {
        if !self.world.is_complete() {
            return Err(AskError::NotReady);
        }
        let owner = self.world.tree.tenant_of(namespace);
        owner
            .map(|tenant| tenant.name.clone())
            .ok_or_else(|| AskError::NotFound(format!("a tenant with namespace {namespace}")))
    }

    fn subtree(&self, tenant: Option<&str>) -> Result<Vec<String>, AskError> {
        if !self.world.is_complete() {
            return Err(AskError::NotReady);
        }
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

    /// The verdict that was made, where it is still known; else what would be decided now. What a
    /// verdict over a large fleet did not tell of a member is what would be said of it now.
    fn why(&mut self, key: &WorkloadKey) -> Result<Why, AskError> {
        if !self.world.is_complete() {
            return Err(AskError::NotReady);
        }
        let Some(entry) = self.world.workloads.get(key) else {
            return Err(AskError::NotFound(format!("workload {key}")));
        };
        let generation = entry.generation();
        let (id, in_force) = match entry.status.decision.clone() {
            Some(decision) if decision.generation == generation => (decision.id, String::new()),
            Some(earlier) => (String::new(), earlier.id),
            None => (String::new(), String::new()),
        };
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
        let kept = self.verdicts.get(key, &id).cloned();
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
                    let mut why = refused(entry, &refusal);
                    why.in_force = in_force;
                    return Ok(why);
                }
            },
        };
        let mut why = heyun_plan::explain::why(&verdict, &about);
        why.decided_at = self.decided_at(key, &id);
        why.in_force = in_force;
        why.queue = self.queue_of(key, &verdict);
        Ok(why)
    }
}

/// The answer to `why` for a Workload that the scheduler is not asked about.
fn refused(entry: Option<&Entry>, refusal: &Refusal) -> Why {
    Why {
        api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        kind: "Why".to_owned(),
        namespace: entry.map(|e| e.key.namespace.clone()).unwrap_or_default(),
        name: entry.map(|e| e.key.name.clone()).unwrap_or_default(),
        generation: entry.map(Entry::generation).unwrap_or_default(),
        outcome: match refusal.reason {
            Reason::ImagePlatformsUnknown => "Waiting",
            _ => "Rejected",
        }
        .to_owned(),
        reason: refusal.reason.as_str().to_owned(),
        message: refusal.message.clone(),
        ..Why::default()
    }
}
