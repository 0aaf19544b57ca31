use heyun_crds::work::WorkSpec;
use heyun_crds::workload::Decision;

use super::settle::{Outcome, holds, outcome};
use super::*;

#[test]
fn a_work_of_a_member_that_left_goes_and_what_runs_there_stays() {
    let mut work = Work::new("web", WorkSpec::default());
    work.metadata.finalizers = Some(vec![FINALIZER.to_owned(), "example.org/other".to_owned()]);
    let usual = retired(work.clone(), 7, false);
    assert_eq!((usual.spec.retire, usual.spec.epoch), (Some(7), 7));
    assert_eq!(usual.spec.deletion_policy, DeletionPolicy::Delete);
    assert_eq!(usual.metadata.finalizers, work.metadata.finalizers);
    let left = retired(work, 7, true);
    assert_eq!((left.spec.retire, left.spec.epoch), (Some(7), 7));
    assert_eq!(left.spec.deletion_policy, DeletionPolicy::Orphan);
    let kept = vec!["example.org/other".to_owned()];
    assert_eq!(left.metadata.finalizers, Some(kept));
}

#[test]
fn a_work_that_goes_is_not_deleted_twice() {
    let mut work = Work::new("web", WorkSpec::default());
    assert!(!is_going(&work, false));
    let now = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
    work.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    assert!(is_going(&work, false));
    // Without an executor its finalizer is still ours to take off.
    assert!(!is_going(&work, true));
}

fn decided(id: &str) -> WorkloadStatus {
    WorkloadStatus {
        decision: Some(Decision {
            id: id.to_owned(),
            ..Decision::default()
        }),
        ..WorkloadStatus::default()
    }
}

/// The write of decision `d1`.
fn first() -> StatusWrite {
    StatusWrite {
        before: WorkloadStatus::default(),
        after: decided("d1"),
    }
}

fn found(uid: &str, version: &str, status: Option<WorkloadStatus>) -> Workload {
    Workload {
        metadata: ObjectMeta {
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        },
        status,
        ..Workload::default()
    }
}

#[test]
fn a_read_settles_only_for_the_same_object_with_the_same_decision() {
    let meta = found("u", "7", None).metadata;
    let said = |uid, status| holds(&found(uid, "8", status), &meta, &first());
    assert!(said("u", Some(decided("d1"))));
    assert!(!said("u", Some(decided("d2"))));
    assert!(!said("u", None));
    assert!(!said("v", Some(decided("d1"))));
}

#[test]
fn a_status_without_a_new_decision_is_there_when_all_of_it_is() {
    let meta = found("u", "7", None).metadata;
    let told = |note: &str| WorkloadStatus {
        selector: note.to_owned(),
        ..decided("d1")
    };
    let write = StatusWrite {
        before: decided("d1"),
        after: told("it waits"),
    };
    let said = |status| holds(&found("u", "8", Some(status)), &meta, &write);
    assert!(said(told("it waits")));
    // The decision stands as before; that it waits was not said.
    assert!(!said(decided("d1")));
}

#[test]
fn what_may_still_land_is_not_called_lost() {
    let meta = found("u", "7", None).metadata;
    let said = |found: Option<&Workload>| outcome(found, &meta, &first());
    assert_eq!(said(Some(&found("u", "7", None))), Outcome::Open);
    let written = found("u", "8", Some(decided("d1")));
    assert_eq!(said(Some(&written)), Outcome::Written);
    // Another's write came first: ours asks for a version that is no more.
    assert_eq!(said(Some(&found("u", "8", None))), Outcome::NotWritten);
    assert_eq!(said(None), Outcome::NotWritten);
}

#[test]
fn a_server_that_ran_out_of_time_does_not_know_what_it_wrote() {
    let answer = |code| {
        let status = kube::core::Status::failure("any", "Any").with_code(code);
        is_settled(&kube::Error::Api(Box::new(status)))
    };
    assert!(answer(409) && answer(422) && answer(429));
    assert!(!answer(500) && !answer(504));
    assert!(!is_settled(&kube::Error::Service("reset".into())));
}
