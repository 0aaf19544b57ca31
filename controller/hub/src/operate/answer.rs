//! Answers to the questions of the aggregated API.

use heyun_scheduler::request::WorkloadKey;

use super::Operator;
use crate::ask::{AskError, Question};
use heyun_crds::query::Why;

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
                    let mut why = super::look::refused(entry, &refusal);
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
