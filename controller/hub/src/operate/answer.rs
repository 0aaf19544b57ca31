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
            Question::Subtree { tenant, reply } => {
                let answer = self.subtree(tenant.as_deref());
                let _ = reply.send(answer);
            }
        }
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
        let decision = entry.status.decision.clone();
        let current = decision
            .as_ref()
            .is_some_and(|d| d.generation == entry.generation());
        let id = decision
            .as_ref()
            .filter(|_| current)
            .map(|d| d.id.clone())
            .unwrap_or_default();
        // A verdict from before its images had to be asked about says nothing of now.
        if !current && let Some(refusal) = self.sight_at(0).unknown_platforms(entry) {
            return Ok(refused(Some(entry), &refusal));
        }
        let about = heyun_plan::explain::About {
            decision: &id,
            unchecked: &[],
        };
        let kept = self.verdicts.get(key, &id);
        if let Some(kept) = kept.filter(|kept| kept.tells_of_all()) {
            return Ok(heyun_plan::explain::why(kept, &about));
        }
        let judged = self.judge_alone(key);
        match (self.verdicts.get(key, &id).cloned(), judged) {
            (Some(mut kept), judged) => {
                if let Ok(judged) = judged {
                    kept.complete(judged);
                }
                Ok(heyun_plan::explain::why(&kept, &about))
            }
            (None, Ok(verdict)) => Ok(heyun_plan::explain::why(&verdict, &about)),
            (None, Err(refusal)) => Ok(refused(self.world.workloads.get(key), &refusal)),
        }
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
