//! The status of a MemberCluster, from what is known of it. Pure.

use heyun_crds::MemberCluster;
use heyun_crds::conditions::{ConditionType, Reason, condition, set_condition};
use heyun_crds::member_cluster::MemberClusterStatus;
use heyun_member::error::Class;
use heyun_member::probe::{Probe, ProbeFailure};
use heyun_member::watch::Summary;
use heyun_member::worker::MemberEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::prepare::Refusal;

/// Failures in a row before a member counts as unreachable.
const FAILURES: u32 = 2;

/// What is known of a member in this term.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Why it has no worker.
    pub refusal: Option<Refusal>,
    probed: Option<Result<Probe, ProbeFailure>>,
    failures: u32,
    summary: Option<Summary>,
    /// Why nothing is written there.
    closed: Option<(Reason, String)>,
}

impl Known {
    /// Whether a failure is the first in a row and does not count yet.
    pub(super) fn forgives(&mut self, failure: &ProbeFailure) -> bool {
        self.failures = self.failures.saturating_add(1);
        failure.class == Class::Unreachable
            && self.failures < FAILURES
            && matches!(self.probed, Some(Ok(_)))
    }

    /// Takes in what a worker reported.
    pub(super) fn take(&mut self, event: MemberEvent) {
        match event {
            MemberEvent::Probed(probed) => {
                if probed.is_ok() {
                    self.failures = 0;
                }
                self.probed = Some(probed);
            }
            MemberEvent::Counted(summary) => self.summary = Some(summary),
            MemberEvent::FenceRaised { .. } => self.closed = None,
            MemberEvent::FenceRefused { message } => {
                self.closed = Some((Reason::FenceAhead, message));
            }
            MemberEvent::Recovering { message } => {
                self.closed = Some((Reason::Recovering, message));
            }
        }
    }
}

/// Whether the last thing known of a member is that it did not answer.
pub(super) fn is_unreachable(object: &MemberCluster) -> bool {
    let conditions = object.status.as_ref().map_or(&[][..], |s| &s.conditions);
    condition(conditions, ConditionType::Ready).is_some_and(|c| c.status == "Unknown")
}

/// The status that a member should have. What is not known keeps what was written.
pub(super) fn status(object: &MemberCluster, known: &Known, now: &Time) -> MemberClusterStatus {
    let mut status = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    let mut set = |kind, ok, reason: Reason, message: &str| {
        let conditions = &mut status.conditions;
        set_condition(
            conditions,
            kind,
            ok,
            reason.as_str(),
            message,
            Some(generation),
            now,
        );
    };
    let refused = known.refusal.as_ref();
    match refused {
        Some(refusal) if refusal.reason != Reason::Pending => {
            set(
                ConditionType::Accepted,
                Some(false),
                refusal.reason,
                &refusal.message,
            );
        }
        _ => set(ConditionType::Accepted, Some(true), Reason::Ok, ""),
    }
    let ready = ready(known);
    if let Some((ok, reason, message)) = &ready {
        set(ConditionType::Ready, *ok, *reason, message);
    }
    if let Some((ok, reason, message)) = schedulable(object, known, ready.as_ref()) {
        set(ConditionType::Schedulable, Some(ok), reason, &message);
    }
    if let Some(Ok(probe)) = &known.probed {
        status.version.clone_from(&probe.version);
        status.cluster_id.clone_from(&probe.cluster_id);
        if status.apis != *probe.apis {
            status.apis = probe.apis.to_vec();
        }
    }
    if let Some(summary) = &known.summary {
        status.nodes = summary.nodes;
        status.capacity.clone_from(&summary.capacity);
    }
    status
}

/// Whether the member answers: `None` while nobody asked.
fn ready(known: &Known) -> Option<(Option<bool>, Reason, String)> {
    if let Some(refusal) = &known.refusal {
        return Some((Some(false), refusal.reason, refusal.message.clone()));
    }
    Some(match known.probed.as_ref()? {
        Ok(probe) if probe.ready => (Some(true), Reason::Healthy, String::new()),
        Ok(probe) => (Some(false), Reason::NotReady, probe.message.clone()),
        Err(failure) if failure.class == Class::Denied => (
            Some(false),
            Reason::CredentialInvalid,
            failure.message.clone(),
        ),
        Err(failure) => (None, Reason::Unreachable, failure.message.clone()),
    })
}

/// Whether new work may go there.
fn schedulable(
    object: &MemberCluster,
    known: &Known,
    ready: Option<&(Option<bool>, Reason, String)>,
) -> Option<(bool, Reason, String)> {
    if object.spec.unschedulable {
        let message = "spec.unschedulable is true: `heyun cluster uncordon` opens it";
        return Some((false, Reason::Cordoned, message.to_owned()));
    }
    if let Some((reason, message)) = &known.closed {
        return Some((false, *reason, message.clone()));
    }
    let (ok, reason, message) = ready?;
    Some(match ok {
        Some(true) => (true, Reason::Ok, String::new()),
        _ => (false, *reason, message.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::conditions::is_true;
    use std::sync::Arc;

    fn probe() -> Probe {
        Probe {
            ready: true,
            message: String::new(),
            version: "v1.36.3".into(),
            cluster_id: "c".into(),
            apis: Arc::new(vec!["v1/Pod".into()]),
        }
    }

    fn now() -> Time {
        Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH)
    }

    fn unreachable() -> ProbeFailure {
        ProbeFailure {
            class: Class::Unreachable,
            message: "no answer".into(),
        }
    }

    #[test]
    fn one_failure_is_forgiven_and_two_are_unknown_not_false() {
        let mut known = Known::default();
        known.take(MemberEvent::Probed(Ok(probe())));
        assert!(known.forgives(&unreachable()));
        assert!(!known.forgives(&unreachable()));
        known.take(MemberEvent::Probed(Err(unreachable())));
        let mut object = MemberCluster::default();
        object.status = Some(status(&object, &known, &now()));
        assert!(is_unreachable(&object));
        let conditions = &object.status.as_ref().unwrap().conditions;
        assert!(!is_true(conditions, ConditionType::Schedulable));
    }

    #[test]
    fn what_was_known_stays_when_a_member_does_not_answer() {
        let mut known = Known::default();
        known.take(MemberEvent::Probed(Ok(probe())));
        let mut object = MemberCluster::default();
        object.status = Some(status(&object, &known, &now()));
        let mut later = Known::default();
        later.take(MemberEvent::Probed(Err(unreachable())));
        let status = status(&object, &later, &now());
        assert_eq!((status.version.as_str(), status.apis.len()), ("v1.36.3", 1));
    }

    #[test]
    fn a_cordoned_member_is_ready_and_not_schedulable() {
        let mut known = Known::default();
        known.take(MemberEvent::Probed(Ok(probe())));
        let mut object = MemberCluster::default();
        object.spec.unschedulable = true;
        let status = status(&object, &known, &now());
        assert!(is_true(&status.conditions, ConditionType::Ready));
        assert!(!is_true(&status.conditions, ConditionType::Schedulable));
    }
}
