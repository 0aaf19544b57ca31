//! What the ledger is told: decisions and usage, through a durable outbox.
//!
//! The ledger is history. With its database away scheduling goes on, entries wait on disk, and
//! drain later, exactly once. A leader that starts states all that is in force again: what was
//! committed just before a crash is thereby in the ledger too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heyun_crds::workload::Decision;
use heyun_ledger::{DecisionRow, Entry, Ledger, Outbox, UsageStep};
use heyun_member::clock::Clock;
use heyun_plan::member_names::short_hash;
use heyun_scheduler::quantity;
use heyun_scheduler::request::WorkloadKey;
use heyun_telemetry::Metrics;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Batches of entries that may wait in memory for the disk; beyond it the loop waits.
pub const QUEUE: usize = 1024;
/// Entries drained at once.
const DRAIN: u32 = 500;
/// Between two looks at an outbox that is empty or cannot be drained.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two closings of hours.
const CLOSING: Duration = Duration::from_mins(1);

/// Of whom a decision is told.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The Workload.
    pub key: &'a WorkloadKey,
    /// Its uid.
    pub uid: &'a str,
    /// Its tenant.
    pub tenant: &'a str,
}

/// The row of a decision.
pub fn decision(
    of: &Subject<'_>,
    decision: &Decision,
    outcome: &str,
    reason: &str,
    verdict: Arc<str>,
    now_us: i64,
) -> Entry {
    Entry::Decision(DecisionRow {
        workload_uid: of.uid.to_owned(),
        decision_id: decision.id.clone(),
        namespace: of.key.namespace.clone(),
        name: of.key.name.clone(),
        tenant: of.tenant.to_owned(),
        generation: decision.generation,
        epoch: decision.epoch,
        inputs_hash: decision.inputs_hash.clone(),
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        verdict,
        decided_at_us: now_us,
    })
}

/// A refusal, as it is known to the ledger.
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    /// Generation that was refused.
    pub generation: i64,
    /// Epoch of the leader.
    pub epoch: i64,
    /// Hash of the scheduler's inputs; empty where it was not asked.
    pub inputs_hash: &'a str,
    /// `Rejected` or `Waiting`.
    pub outcome: &'a str,
    /// Reason code.
    pub reason: &'a str,
    /// The verdict, or the sentence, as [`heyun_plan::explain::kept`] makes it.
    pub verdict: Arc<str>,
}

/// The row of a refusal. Its id tells it from others of the Workload.
pub fn refusal(of: &Subject<'_>, refusal: Refusal<'_>, now_us: i64) -> Entry {
    let generation = refusal.generation.to_string();
    let parts = [of.uid, &generation, refusal.outcome, refusal.reason];
    Entry::Decision(DecisionRow {
        workload_uid: of.uid.to_owned(),
        decision_id: short_hash(&parts),
        namespace: of.key.namespace.clone(),
        name: of.key.name.clone(),
        tenant: of.tenant.to_owned(),
        generation: refusal.generation,
        epoch: refusal.epoch,
        inputs_hash: refusal.inputs_hash.to_owned(),
        outcome: refusal.outcome.to_owned(),
        reason: refusal.reason.to_owned(),
        verdict: refusal.verdict,
        decided_at_us: now_us,
    })
}

/// Steps of usage from one decision to the next: what it holds from now on, and zero for what it
/// no longer holds. What is releasing is still held.
pub fn usage(
    of: &Subject<'_>,
    old: Option<&Decision>,
    new: Option<&Decision>,
    epoch: i64,
    now_us: i64,
) -> Vec<Entry> {
    let before = old.map(held).unwrap_or_default();
    let after = new.map(held).unwrap_or_default();
    let id = new.or(old).map(|d| d.id.clone()).unwrap_or_default();
    let gone = before
        .keys()
        .filter(|k| !after.contains_key(*k))
        .map(|k| (k, 0));
    after
        .iter()
        .filter(|(k, v)| before.get(*k) != Some(v))
        .map(|(k, v)| (k, *v))
        .chain(gone)
        .map(|((member, flavor, resource), amount)| {
            Entry::Usage(UsageStep {
                workload_uid: of.uid.to_owned(),
                member: member.clone(),
                flavor: flavor.clone(),
                resource: resource.clone(),
                at_us: now_us,
                epoch,
                amount,
                namespace: of.key.namespace.clone(),
                name: of.key.name.clone(),
                tenant: of.tenant.to_owned(),
                decision_id: id.clone(),
            })
        })
        .collect()
}

type Series = (String, String, String);

fn held(decision: &Decision) -> std::collections::BTreeMap<Series, i64> {
    let mut sums = std::collections::BTreeMap::new();
    let running = heyun_plan::finished::running(decision);
    for a in running.chain(&decision.releasing) {
        for (resource, text) in &a.charge {
            // The hub wrote these amounts itself; one that does not parse counts as nothing.
            let amount = quantity::amount(resource, &text.0).unwrap_or(0);
            let series = (a.member.clone(), a.flavor.clone(), resource.clone());
            let sum: &mut i64 = sums.entry(series).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
    }
    sums
}

/// Appends what comes, and drains it, until the senders are gone and `stop`.
pub async fn run(
    dir: PathBuf,
    ledger: Arc<Ledger>,
    mut entries: mpsc::Receiver<Vec<Entry>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let outbox = loop {
        match Outbox::open(&dir).await {
            Ok(outbox) => break outbox.with_metrics(metrics),
            Err(error) => {
                error!(%error, "the ledger's outbox cannot be opened: nothing is recorded");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    };
    let outbox = Arc::new(outbox);
    let draining = drain(Arc::clone(&outbox), ledger, clock, stop.clone());
    let appending = async {
        while let Some(batch) = entries.recv().await {
            if let Err(error) = outbox.append(&batch).await {
                error!(%error, entries = batch.len(), "the ledger's outbox refused entries");
            }
        }
    };
    tokio::join!(draining, appending);
    if let Some(outbox) = Arc::into_inner(outbox)
        && let Err(error) = outbox.close().await
    {
        warn!(%error, "the ledger's outbox was not closed");
    }
}

async fn drain(
    outbox: Arc<Outbox>,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut away = false;
    let mut closed = clock.monotonic();
    while !stop.is_cancelled() {
        let pause = match deliver(&outbox, &ledger).await {
            Ok(full) => {
                if std::mem::take(&mut away) {
                    info!("the ledger is back");
                }
                if full { Duration::ZERO } else { PAUSE }
            }
            Err(error) => {
                if !std::mem::replace(&mut away, true) {
                    warn!(%error, "the ledger is away: entries wait in the outbox");
                }
                PAUSE
            }
        };
        if !away && clock.monotonic().saturating_sub(closed) >= CLOSING {
            closed = clock.monotonic();
            if let Err(error) = ledger.close_hours(clock.now().as_microsecond()).await {
                warn!(%error, "hours of usage were not closed");
            }
            if let Err(error) = ledger.forget_decisions(clock.now().as_microsecond()).await {
                warn!(%error, "old decisions were not forgotten");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn deliver(
    outbox: &Outbox,
    ledger: &Ledger,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    ledger.migrate().await?;
    let drained = outbox.drain(ledger, DRAIN).await?;
    Ok(drained.full && drained.delivered > 0)
}

#[cfg(test)]
mod tests {
    use heyun_crds::common::Finished;
    use heyun_crds::quantity::Quantity;
    use heyun_crds::workload::Assignment;

    use super::*;

    #[test]
    fn what_has_finished_is_used_no_longer() {
        let part = Assignment {
            member: "city".to_owned(),
            component: "Job/j".to_owned(),
            flavor: "x".to_owned(),
            charge: [("cpu".to_owned(), Quantity::from("2"))].into(),
            ..Assignment::default()
        };
        let runs = Decision {
            assignments: vec![part.clone()],
            ..Decision::default()
        };
        let ended = Decision {
            assignments: vec![Assignment {
                finished: Some(Finished::default()),
                ..part
            }],
            ..Decision::default()
        };
        let key = WorkloadKey::new("ns", "j");
        let of = Subject {
            key: &key,
            uid: "u",
            tenant: "ns",
        };
        let amounts = |old: Option<&Decision>, new: Option<&Decision>| -> Vec<i64> {
            let steps = usage(&of, old, new, 1, 0).into_iter();
            steps
                .map(|step| match step {
                    Entry::Usage(step) => step.amount,
                    Entry::Decision(row) => panic!("{row:?}"),
                })
                .collect()
        };
        assert_eq!(amounts(None, Some(&runs)), [2000]);
        assert_eq!(amounts(Some(&runs), Some(&ended)), [0]);
        assert!(amounts(None, Some(&ended)).is_empty());
    }
}
