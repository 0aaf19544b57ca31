use super::*;
use crate::interpret::{Context, interpret};
use heyun_crds::conditions::is_true;
use heyun_crds::labels;
use heyun_crds::placement::PlacementSpec;
use heyun_crds::work::{ObjectState, WorkSpec, WorkStatus};
use heyun_crds::workload::{Assignment, Manifest, WorkloadSpec};
use heyun_scheduler::resources::Resources;

const WEB: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 12
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i}]}
";

fn at(second: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(second).unwrap())
}

fn decision() -> Decision {
    let part = |(member, replicas): (&str, i32)| Assignment {
        member: member.to_owned(),
        flavor: "x".to_owned(),
        component: "Deployment/web".to_owned(),
        replicas,
        ..Assignment::default()
    };
    Decision {
        id: "d1".to_owned(),
        generation: 4,
        assignments: [("gz", 8), ("province", 4)].map(part).into(),
        ..Decision::default()
    }
}

fn workload() -> Workload {
    let spec = WorkloadSpec {
        manifests: vec![Manifest(serde_yaml::from_str(WEB).unwrap())],
        ..WorkloadSpec::default()
    };
    let mut workload = Workload::new("web", spec);
    workload.metadata.generation = Some(4);
    let mut status = WorkloadStatus::default();
    for kind in [
        ConditionType::Accepted,
        ConditionType::QuotaReserved,
        ConditionType::Scheduled,
    ] {
        set_condition(
            &mut status.conditions,
            kind,
            Some(true),
            "Ok",
            "",
            Some(4),
            &at(1),
        );
    }
    workload.status = Some(status);
    workload
}

fn work(member: &str, desired: i32, ready: i32) -> Work {
    let spec = WorkSpec {
        decision: "d1".to_owned(),
        ..WorkSpec::default()
    };
    let mut work = Work::new("web-0", spec);
    work.metadata.namespace = Some(labels::member_namespace(member));
    work.metadata.generation = Some(1);
    let mut status = WorkStatus {
        observed_generation: 1,
        applied_decision: "d1".to_owned(),
        objects: vec![ObjectState {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            desired: Some(desired),
            ready: Some(ready),
            ..ObjectState::default()
        }],
        ..WorkStatus::default()
    };
    let (is, reason, message) = if ready >= desired {
        (true, "Healthy", String::new())
    } else {
        (
            false,
            "Progressing",
            format!("Deployment/web has {ready} of {desired} ready"),
        )
    };
    let conditions = &mut status.conditions;
    set_condition(
        conditions,
        ConditionType::Applied,
        Some(true),
        "Ok",
        "",
        None,
        &at(1),
    );
    set_condition(
        conditions,
        ConditionType::Healthy,
        Some(is),
        reason,
        &message,
        None,
        &at(1),
    );
    work.status = Some(status);
    work
}

fn run(
    workload: &Workload,
    decision: Option<&Decision>,
    works: &[Work],
    lost: &[&str],
) -> Aggregate {
    let context = Context {
        namespace: "civil",
        placement: &PlacementSpec::default(),
        default_requests: &Resources::new(),
    };
    let interpreted = interpret(&workload.spec, &context).unwrap();
    status(&Input {
        workload,
        interpreted: Some(&interpreted),
        decision,
        works,
        unreachable: &lost.iter().map(|&name| name.to_owned()).collect(),
        now: &at(100),
    })
}

fn shown(aggregate: &Aggregate) -> Vec<String> {
    [
        ConditionType::Applied,
        ConditionType::Healthy,
        ConditionType::Ready,
    ]
    .iter()
    .map(|kind| {
        let c = condition(&aggregate.status.conditions, *kind).unwrap();
        assert_eq!(c.observed_generation, Some(4));
        format!("{} {}", c.status, c.reason)
    })
    .collect()
}

#[test]
fn all_applied_and_healthy_is_ready() {
    let works = [work("gz", 8, 8), work("province", 4, 4)];
    let found = run(&workload(), Some(&decision()), &works, &[]);
    assert_eq!(shown(&found), ["True Ok", "True Healthy", "True Healthy"]);
    let summary = &found.status.summary;
    assert_eq!(summary.replicas, "12/12");
    assert_eq!(summary.members, "gz:8,province:4");
    assert_eq!(summary.reason, "Healthy");
    assert_eq!(
        (found.status.replicas, found.status.selector.as_str()),
        (12, "app=web")
    );
    assert!(found.changed);
}

#[test]
fn states_on_the_way() {
    type Change = fn(&mut [Work]);
    type Case<'a> = (&'a str, Change, &'a [&'a str], [&'a str; 3], &'a str);
    let cases: [Case<'_>; 5] = [
        (
            "one member lags",
            |works| works[1] = work("province", 4, 1),
            &[],
            ["True Ok", "False Progressing", "False Progressing"],
            "Progressing: province: Deployment/web has 1 of 4 ready",
        ),
        (
            "a Work of an older decision",
            |works| works[0].spec.decision = "d0".to_owned(),
            &[],
            ["False Applying", "False Applying", "False Applying"],
            "Applying: gz: the decision is not applied yet",
        ),
        (
            "a status of an older spec",
            |works| works[0].metadata.generation = Some(2),
            &[],
            ["False Applying", "False Applying", "False Applying"],
            "Applying: gz: the decision is not applied yet",
        ),
        (
            "a failure is told before a wait",
            |works| {
                works[0].metadata.generation = Some(2);
                let conditions = &mut works[1].status.as_mut().unwrap().conditions;
                let applied = ConditionType::Applied;
                set_condition(
                    conditions,
                    applied,
                    Some(false),
                    "ObjectExists",
                    "Service/web",
                    None,
                    &at(1),
                );
            },
            &[],
            ["False ObjectExists", "False Applying", "False ObjectExists"],
            "ObjectExists: province: Service/web; gz: the decision is not applied yet",
        ),
        (
            "unreachable is unknown",
            |_| {},
            &["gz"],
            ["True Ok", "Unknown Unreachable", "Unknown Unreachable"],
            "Unreachable: gz: does not answer; last seen 8 of 8 ready",
        ),
    ];
    for (name, change, lost, expected, reason) in cases {
        let mut works = [work("gz", 8, 8), work("province", 4, 4)];
        change(&mut works);
        let found = run(&workload(), Some(&decision()), &works, lost);
        assert_eq!(shown(&found), expected, "{name}");
        assert_eq!(found.status.summary.reason, reason, "{name}");
        assert_ne!(found.status.members[0].reason, "", "{name}: worst first");
    }
}

#[test]
fn without_a_decision_the_reason_is_the_schedulers() {
    let mut workload = workload();
    let conditions = &mut workload.status.as_mut().unwrap().conditions;
    let message = "needs 6 cpu of general-amd64, 2 left in civil";
    set_condition(
        conditions,
        ConditionType::Scheduled,
        Some(false),
        "QuotaExceeded",
        message,
        Some(4),
        &at(2),
    );
    let found = run(&workload, None, &[], &[]);
    assert_eq!(
        shown(&found),
        ["False Pending", "Unknown Pending", "False QuotaExceeded"]
    );
    assert_eq!(
        found.status.summary.reason,
        format!("QuotaExceeded: {message}")
    );
    assert_eq!(found.status.summary.replicas, "0/12");
    assert_eq!(found.status.summary.members, "-");
}

#[test]
fn a_condition_of_an_older_generation_does_not_count() {
    let mut workload = workload();
    workload.metadata.generation = Some(5);
    let works = [work("gz", 8, 8), work("province", 4, 4)];
    let found = run(&workload, Some(&decision()), &works, &[]);
    let ready = condition(&found.status.conditions, ConditionType::Ready).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Pending")
    );
    assert_eq!(ready.message, "generation 5 is not Accepted yet");
}

#[test]
fn what_is_removed_elsewhere_is_shown_and_holds_up_nothing() {
    let mut old = work("old", 2, 2);
    old.spec.decision = "d0".to_owned();
    old.spec.retire = Some(3);
    let works = [work("gz", 8, 8), work("province", 4, 4), old];
    let found = run(&workload(), Some(&decision()), &works, &[]);
    assert_eq!(shown(&found), ["True Ok", "True Healthy", "True Healthy"]);
    assert_eq!(found.status.members[0].reason, "Terminating");
    assert_eq!(found.status.summary.members, "gz:8,province:4");
    assert_eq!(found.status.summary.replicas, "12/12");
}

#[test]
fn nothing_new_is_no_write() {
    let works = [work("gz", 8, 8), work("province", 4, 4)];
    let mut workload = workload();
    let first = run(&workload, Some(&decision()), &works, &[]);
    workload.status = Some(first.status.clone());
    let again = run(&workload, Some(&decision()), &works, &[]);
    assert!(!again.changed);
    assert_eq!(again.status, first.status);
}

#[test]
fn members_and_texts_are_bounded() {
    let mut decision = decision();
    decision.assignments = (0..300)
        .map(|n| Assignment {
            member: format!("m{n:03}"),
            component: "Deployment/web".to_owned(),
            replicas: 1,
            ..Assignment::default()
        })
        .collect();
    let found = run(&workload(), Some(&decision), &[], &[]);
    assert_eq!(found.status.members.len(), STATUS_MEMBERS_MAX);
    assert!(found.status.summary.members.ends_with(",+294"));
    assert!(found.status.summary.reason.len() <= SUMMARY_REASON_BYTES);
    assert_eq!(found.status.summary.replicas, "0/300");
}

/// A decision of which all, or only what is on `gz`, has finished.
fn ended(all: bool, state: &str) -> Decision {
    let mut decision = decision();
    for part in &mut decision.assignments {
        part.component = "Job/web".to_owned();
        if all || part.member == "gz" {
            part.finished = Some(heyun_crds::common::Finished {
                state: state.to_owned(),
                at: "2027-05-01T08:05:00Z".to_owned(),
                generation: 4,
                completions: None,
            });
        }
    }
    decision
}

#[test]
fn a_workload_of_which_all_has_finished_says_so_whatever_became_of_its_members() {
    let decision = ended(true, "Complete");
    // One Work is gone, and the other member does not answer.
    let works = [work("gz", 8, 3)];
    let over = run(&workload(), Some(&decision), &works, &["gz"]);
    let said = |of: &Aggregate| {
        let found = condition(&of.status.conditions, ConditionType::Finished);
        found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone()))
    };
    let (status, reason, message) = said(&over).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "Complete"));
    assert_eq!(
        message,
        "Job/web on gz: Complete since 2027-05-01T08:05:00Z; Job/web on province: Complete since 2027-05-01T08:05:00Z"
    );
    assert_eq!(over.status.summary.reason, "Complete");
    assert!(is_true(&over.status.conditions, ConditionType::Ready));
    let there = &over.status.members[0];
    assert!(there.applied && there.healthy, "{there:?}");
    assert_eq!(there.reason, "Complete");

    let failed = run(&workload(), Some(&ended(true, "Failed")), &works, &["gz"]);
    assert_eq!(said(&failed).unwrap().1, "Failed");
    assert_eq!(failed.status.summary.reason, "Failed");
    assert!(!is_true(&failed.status.conditions, ConditionType::Healthy));

    // A part that runs is as it is, and a new generation is no longer over.
    let part = run(&workload(), Some(&ended(false, "Complete")), &works, &[]);
    assert_eq!(said(&part), None);
    let mut again = workload();
    again.status.as_mut().unwrap().conditions = over.status.conditions.clone();
    again.metadata.generation = Some(5);
    assert_eq!(said(&run(&again, Some(&decision), &works, &[])), None);
}
