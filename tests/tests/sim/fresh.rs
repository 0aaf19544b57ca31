//! Nobody sleeps who would be placed: when all has come to rest another leads, who knows nothing of
//! what anyone waits for and so looks at all once. It finds nothing to decide.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sim::{Shared, lock};

/// What is decided for each Workload: the id of its decision, and whether it made room.
pub(crate) type Decided = BTreeMap<String, (Value, Value)>;

/// What is decided now.
pub(crate) fn decided(sim: &Shared) -> Decided {
    let sim = lock(sim);
    let workloads = sim.store.list("workloads", "");
    let decisions = workloads.map(|(key, workload)| {
        let decision = &workload["status"]["decision"];
        let of = (decision["id"].clone(), decision["preempted"].clone());
        (key.to_string(), of)
    });
    decisions.collect()
}

/// Those that are decided otherwise since: they slept, and would have been placed, or could have had
/// others make room.
pub(crate) fn judge(sim: &Shared, before: &Decided) {
    let now = decided(sim);
    let mut sim = lock(sim);
    for (key, of) in &now {
        let was = before.get(key);
        if was != Some(of) {
            let said = format!("{key} slept: {was:?} is {of:?} once all are looked at");
            sim.note(format_args!("VIOLATION {said}"));
            sim.oracle.violations.push(said);
        }
    }
}
