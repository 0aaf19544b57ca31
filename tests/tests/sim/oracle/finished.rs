//! What has finished: charged no more, and never made again for its generation.

use serde_json::Value;

use super::super::member::Member;
use super::super::store::{Intent, Key, meta};
use super::{Oracle, list, member_of, text};

/// Whether the member reports an assignment of its Work as finished, for the generation of the Work.
pub(super) fn is_reported(work: &Value, assignment: &Value) -> bool {
    let generation = &work["spec"]["workload"]["generation"];
    let component = text(assignment, "component").split_once('/');
    list(&work["status"], "objects").any(|object| {
        component == Some((text(object, "kind"), text(object, "name")))
            && object["finished"]["generation"] == *generation
    })
}

/// The parts of a Workload that have finished for the generation that it is of.
fn ended(workload: &Value) -> impl Iterator<Item = &Value> {
    let decision = &workload["status"]["decision"];
    let current = decision["generation"] == workload["metadata"]["generation"];
    let parts = list(decision, "assignments").filter(move |_| current);
    parts.filter(|part| !part["finished"].is_null())
}

/// Whether one of these is on that member.
pub(super) fn did_its_part(workload: &Value, member: &str) -> bool {
    ended(workload).any(|part| part["member"] == member)
}

/// Replicas of these.
pub(super) fn done(workload: &Value) -> i64 {
    ended(workload)
        .filter_map(|part| part["replicas"].as_i64())
        .sum()
}

impl Oracle {
    /// Remembers what a member reports, and says what a decision makes of it: a record is of what was
    /// reported, stays for the generation, and counts for what was asked.
    pub(super) fn ends(&mut self, intent: &Intent, said: &mut Vec<String>) {
        let Some(new) = &intent.new else { return };
        let key = &intent.key;
        if key.res == "works" {
            let of = &new["spec"]["workload"];
            let generation = of["generation"].as_i64().unwrap_or(0);
            for part in list(&new["spec"], "assignments") {
                if is_reported(new, part) {
                    self.ended.insert((
                        text(of, "uid").to_owned(),
                        generation,
                        member_of(&key.namespace).to_owned(),
                        text(part, "component").to_owned(),
                    ));
                }
            }
            return;
        }
        let decision = &new["status"]["decision"];
        let was = intent
            .old
            .as_ref()
            .map_or(&Value::Null, |old| &old["status"]["decision"]);
        if key.res != "workloads" || decision == was {
            return;
        }
        let generation = decision["generation"].as_i64().unwrap_or(0);
        for part in list(decision, "assignments").filter(|part| !part["finished"].is_null()) {
            let (member, component) = (text(part, "member"), text(part, "component"));
            let of = (
                meta(new, "uid").to_owned(),
                generation,
                member.to_owned(),
                component.to_owned(),
            );
            if !self.ended.contains(&of) {
                said.push(format!("{key}: {component} on {member} has not finished"));
            }
        }
        if was["generation"] != decision["generation"] {
            return;
        }
        for part in list(was, "assignments").filter(|part| !part["finished"].is_null()) {
            if !list(decision, "assignments").any(|now| now == part) {
                said.push(format!(
                    "{key}: the record is gone that {part} has finished"
                ));
            }
        }
    }

    /// What runs on a member for a generation for which it has reported the end there.
    pub(crate) fn runs(&mut self, member: &Member, key: &Key, work: &Value) -> Vec<String> {
        let of = &work["spec"]["workload"];
        let generation = of["generation"].as_i64().unwrap_or(0);
        let pods = member.pods.iter();
        let pods = pods.filter(|((work, _), pods)| *work == key.name && !pods.is_empty());
        let again = pods.filter(|((_, component), _)| {
            let place = (
                text(of, "uid").to_owned(),
                generation,
                member.name.clone(),
                component.clone(),
            );
            self.ended.contains(&place)
        });
        let said: Vec<String> = again
            .map(|((_, component), _)| format!("{key}: {component} runs again on {}", member.name))
            .collect();
        self.violations.extend(said.iter().cloned());
        said
    }

    /// Whether an assignment is charged that has finished for the generation of its decision.
    pub(super) fn is_charged(&self, workload: &Value, assignment: &Value) -> bool {
        let generation = workload["status"]["decision"]["generation"]
            .as_i64()
            .unwrap_or(0);
        let place = (
            meta(workload, "uid").to_owned(),
            generation,
            text(assignment, "member").to_owned(),
            text(assignment, "component").to_owned(),
        );
        assignment["finished"].is_null() && self.ended.contains(&place)
    }
}
