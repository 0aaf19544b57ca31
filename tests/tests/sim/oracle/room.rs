//! Who makes room for another: by right, and down to what it keeps.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::store::{Intent, Key, Store};
use super::{Oracle, list, milli, running, text};

/// The value of the class that a Workload names.
fn priority(workload: &Value, store: &Store) -> i64 {
    let class = text(&workload["spec"], "priorityClassName");
    let class = store.get("priorityclasses", "", class);
    class.map_or(0, |class| class["value"].as_i64().unwrap_or(0))
}

/// How much later a write may come than what was decided on: who was asked for may have asked for less
/// meanwhile, and be placed.
const LATE: Duration = Duration::from_secs(5);

/// Whether a Workload has less than it asks for. That it is being deleted the hub may not have seen.
fn waits(workload: &Value) -> bool {
    let decision = &workload["status"]["decision"];
    decision["generation"] != workload["metadata"]["generation"] || !decision["preempted"].is_null()
}

impl Oracle {
    /// Notes until when a Workload was short of what it asks for.
    pub(super) fn note_short(&mut self, intent: &Intent) {
        let was_short = intent.old.as_deref().is_some_and(waits);
        if intent.key.res == "workloads" && was_short {
            self.short.insert(intent.key.clone(), Instant::now());
        }
    }

    fn was_short(&self, key: &Key) -> bool {
        let until = self.short.get(key);
        until.is_some_and(|until| until.elapsed() <= LATE)
    }

    /// What is wrong with that a Workload makes room.
    pub(super) fn makes_room(&self, key: &Key, new: &Value, store: &Store, said: &mut Vec<String>) {
        let decision = &new["status"]["decision"];
        let tenant = &self.tenants[&key.namespace];
        let claim = text(&decision["preempted"], "claim");
        let others = || {
            let all = store.list("workloads", "");
            all.filter(|(other, of)| *other != key && (waits(of) || self.was_short(other)))
        };
        let by_right = match claim {
            "Lower" => others().any(|(other, of)| {
                self.tenants[&other.namespace] == *tenant
                    && priority(of, store) > priority(new, store)
            }),
            "Borrowed" => {
                // All that was charged before, and others are asked to go at the same time.
                let nominal = self.lines.get(tenant).map_or(0, |line| line.nominal);
                let charge = self.charge(&self.own(), tenant);
                let asked = others().any(|(other, _)| self.tenants[&other.namespace] != *tenant);
                asked && charge > nominal
            }
            _ => false,
        };
        if !by_right {
            said.push(format!("{key} makes room, and need not: {claim}"));
        }
        let keeps = new["spec"]["manifests"][1]["spec"]["minAvailable"].as_i64();
        let left = running(decision).map(|a| a["replicas"].as_i64().unwrap_or(0));
        let goes = list(decision, "releasing");
        for gone in goes.filter(|_| keeps.is_some()) {
            let member = text(gone, "member");
            let stays = running(decision).find(|a| text(a, "member") == member);
            let stays = stays.map_or(0, |a| a["replicas"].as_i64().unwrap_or(0));
            let had = stays + gone["replicas"].as_i64().unwrap_or(0);
            if stays < keeps.unwrap_or(0).min(had) {
                said.push(format!(
                    "{key} keeps {stays} of {had} on {member}, not {keeps:?}"
                ));
            }
        }
        if left.sum::<i64>() > 0 && keeps.is_none() {
            said.push(format!("{key} keeps what nothing asks it to keep"));
        }
        let charged: i64 = list(decision, "assignments")
            .map(|a| a["charge"]["cpu"].as_str().map_or(0, milli))
            .sum();
        if charged < 0 {
            said.push(format!("{key} is charged {charged}"));
        }
    }
}
