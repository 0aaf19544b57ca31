//! What became of a write whose answer was lost.

use std::time::Duration;

use heyun_crds::work::WorkSpec;
use heyun_crds::{Work, Workload};
use heyun_member::error::{Attempts, Class, Classify as _};
use kube::Api;
use kube::core::ObjectMeta;

use super::{CommitError, StatusWrite, Writer};
use crate::seeded::{self, Bug};

/// Between two reads of a Work that may have been written.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Whether an answer says that nothing was written. A server that ran out of time (504), or whose
/// etcd did (500), does not know itself.
pub(crate) fn is_settled(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code < 500)
}

/// Reads until it is known whether a status was written.
pub(super) async fn settle(
    writer: &Writer,
    api: &Api<Workload>,
    meta: &ObjectMeta,
    write: &StatusWrite,
    asked: Duration,
    error: kube::Error,
) -> Result<Option<Workload>, CommitError> {
    let name = meta.name.as_deref().unwrap_or_default();
    let mut attempts = Attempts::default();
    loop {
        // A leader after us reads everything anew before it decides.
        writer.check()?;
        let pause = match api.get_opt(name).await {
            Ok(found) => match outcome(found.as_ref(), meta, write) {
                Outcome::Written => return Ok(found),
                Outcome::NotWritten => return Err(error.into()),
                Outcome::Open => {
                    let since = writer.clock.monotonic().saturating_sub(asked);
                    if since >= writer.deadline {
                        return Err(error.into());
                    }
                    writer.deadline.saturating_sub(since)
                }
            },
            // Whatever the read failed of, its answer may be another next time.
            Err(failed) => {
                let delay = attempts.failed(name, failed.class());
                delay
                    .or_else(|| attempts.failed(name, Class::Bug))
                    .unwrap_or(writer.deadline)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// What a read tells of a write whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there.
    Written,
    /// It is not, and cannot come any more.
    NotWritten,
    /// It may still be under way, until its deadline.
    Open,
}

pub(super) fn outcome(found: Option<&Workload>, meta: &ObjectMeta, write: &StatusWrite) -> Outcome {
    match found {
        Some(found) if holds(found, meta, write) => Outcome::Written,
        // It asked for the version that it was made from: it came from there or never.
        Some(found) if found.metadata.resource_version == meta.resource_version => Outcome::Open,
        _ => Outcome::NotWritten,
    }
}

/// Whether a Workload is the same object and has what was to be written: the decision, where that
/// changes, whatever else was written since; where it does not, all of the status.
pub(super) fn holds(found: &Workload, meta: &ObjectMeta, write: &StatusWrite) -> bool {
    let status = found.status.as_ref();
    let decision = status.and_then(|s| s.decision.as_ref());
    let all = write.before.decision == write.after.decision && !seeded::is(Bug::Said);
    let written = if all {
        status == Some(&write.after)
    } else {
        decision == write.after.decision.as_ref()
    };
    found.metadata.uid == meta.uid && written
}

/// Reads until it is known whether a Work was written: made where there was none (`seen` is empty), or
/// changed from the version that was seen. One that came after its Workload was looked at again would
/// run, and be charged, what was taken for never begun. One that was made by a leader before us is
/// taken in; one that another changed meanwhile is not what was `wanted`, and never will be.
pub(super) async fn wrote(
    writer: &Writer,
    api: &Api<Work>,
    wanted: &WorkSpec,
    name: &str,
    seen: &str,
    asked: Duration,
    error: kube::Error,
) -> Result<Option<Work>, CommitError> {
    loop {
        writer.check()?;
        let over = writer.clock.monotonic().saturating_sub(asked) >= writer.deadline;
        let found = api.get_opt(name).await;
        let is_news = |work: &Work| work.metadata.resource_version.as_deref() != Some(seen);
        let is_ours = |work: &Work| {
            seen.is_empty()
                || (&work.spec.decision, work.spec.epoch) == (&wanted.decision, wanted.epoch)
        };
        match found {
            Ok(Some(work)) if is_news(&work) && is_ours(&work) => return Ok(Some(work)),
            Ok(Some(work)) if is_news(&work) => return Err(error.into()),
            Ok(_) if over => return Err(error.into()),
            Ok(_) | Err(_) => tokio::time::sleep(READ_AGAIN).await,
        }
    }
}
