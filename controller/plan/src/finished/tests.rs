use super::*;
use crate::decide::{decision, same};
use crate::interpret::Interpreted;
use crate::observe::held::{held, held_from_works};
use crate::preempt;
use heyun_crds::Workload;
use heyun_crds::quantity::Quantity;
use heyun_crds::work::{ObjectState, WorkSpec, WorkStatus};
use heyun_crds::workload::{Preempted, WorkloadStatus};
use serde_json::json;

const AT: &str = "2027-05-01T08:05:00Z";

fn job_with(status: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"parallelism": 2, "completions": 5}, "status": status})
}

fn ended(kind: &str) -> Value {
    json!([{"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2027-05-01T08:04:00Z"},
        {"type": kind, "status": "True", "lastTransitionTime": AT}])
}

#[test]
fn a_job_is_over_by_its_condition_and_once_its_pods_have_ended() {
    for state in ["Complete", "Failed"] {
        let over = of(&job_with(json!({"conditions": ended(state)}))).unwrap();
        assert_eq!((over.state.as_str(), over.at.as_str()), (state, AT));
        assert_eq!(over.completions, Some(5));
        assert_eq!(over.sentence(), format!("{state} since {AT}"));
        for counted in ["active", "terminating"] {
            let some = json!({"conditions": ended(state), counted: 1});
            assert_eq!(of(&job_with(some)), None, "{counted}");
            let none = json!({"conditions": ended(state), counted: 0});
            assert!(of(&job_with(none)).is_some(), "{counted}");
        }
    }
    for other in ["Suspended", "FailureTarget", "SuccessCriteriaMet"] {
        let conditions = json!({"conditions": [{"type": other, "status": "True"}]});
        assert_eq!(of(&job_with(conditions)), None, "{other}");
    }
    let taken_back = json!({"conditions": [{"type": "Complete", "status": "False"}]});
    assert_eq!(of(&job_with(taken_back)), None);
    assert_eq!(of(&job_with(Value::Null)), None);
}

#[test]
fn a_pod_is_over_by_its_phase_unless_it_is_always_restarted() {
    let pod = |policy: Option<&str>, phase: &str| {
        let containers = json!([{"state": {"terminated": {"finishedAt": "2027-05-01T08:00:00Z"}}},
            {"state": {"terminated": {"finishedAt": AT}}}]);
        let status = json!({"phase": phase, "containerStatuses": containers});
        of(
            &json!({"apiVersion": "v1", "kind": "Pod", "spec": {"restartPolicy": policy},
            "status": status}),
        )
    };
    let over = pod(Some("Never"), "Succeeded").unwrap();
    assert_eq!((over.state.as_str(), over.at.as_str()), ("Succeeded", AT));
    assert!(over.is_well());
    assert!(!pod(Some("OnFailure"), "Failed").unwrap().is_well());
    assert_eq!(pod(Some("Never"), "Running"), None);
    assert_eq!(pod(Some("Always"), "Failed"), None, "put off its node");
    assert_eq!(pod(None, "Failed"), None, "the default is Always");
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "status": {"conditions": ended("Complete")}});
    assert_eq!(of(&deployment), None);
}

fn cpu(of: i32) -> [(String, Quantity); 1] {
    [("cpu".to_owned(), Quantity::from(&*of.to_string()))]
}

fn part(component: &str, member: &str, replicas: i32) -> Assignment {
    Assignment {
        member: member.to_owned(),
        flavor: "x".to_owned(),
        component: component.to_owned(),
        replicas,
        requests: cpu(1).into(),
        charge: cpu(replicas).into(),
        ..Assignment::default()
    }
}

fn done(generation: i64, completions: i32) -> Finished {
    Finished {
        state: "Complete".to_owned(),
        at: AT.to_owned(),
        generation,
        completions: Some(completions),
    }
}

fn decided(parts: &[Assignment]) -> Decision {
    let mut decision = Decision {
        id: "d1".to_owned(),
        generation: 4,
        epoch: 3,
        assignments: parts.to_vec(),
        ..Decision::default()
    };
    decision.reserved = crate::decide::reserved(&decision);
    decision
}

/// The Work on a member, with what it reports as finished.
fn work(decision: &Decision, member: &str, finished: &[(&str, Finished)]) -> Work {
    let here = decision.assignments.iter().filter(|a| a.member == member);
    let mut spec = WorkSpec {
        decision: decision.id.clone(),
        assignments: here.cloned().collect(),
        ..WorkSpec::default()
    };
    spec.workload.generation = decision.generation;
    let mut work = Work::new("w", spec);
    work.metadata.namespace = Some(heyun_crds::labels::member_namespace(member));
    let object = |(component, finished): &(&str, Finished)| {
        let (kind, name) = component.split_once('/').unwrap();
        ObjectState {
            kind: kind.to_owned(),
            name: name.to_owned(),
            finished: Some(finished.clone()),
            ..ObjectState::default()
        }
    };
    work.status = Some(WorkStatus {
        objects: finished.iter().map(object).collect(),
        ..WorkStatus::default()
    });
    work
}

fn holds(decision: &Decision) -> Vec<String> {
    let status = WorkloadStatus {
        decision: Some(decision.clone()),
        ..WorkloadStatus::default()
    };
    let workload = Workload {
        status: Some(status),
        ..Workload::default()
    };
    shown(&held(&workload))
}

fn shown(held: &heyun_scheduler::snapshot::Held) -> Vec<String> {
    let each = held.entries.iter();
    each.map(|e| format!("{}@{} {}", e.component, e.member, e.replicas))
        .collect()
}

#[test]
fn what_a_member_reports_is_recorded_and_charged_no_more_under_the_same_id() {
    let first = decided(&[
        part("Deployment/web", "a", 1),
        part("Job/j", "a", 2),
        part("Job/j", "b", 1),
    ]);
    let works = [
        work(&first, "a", &[("Job/j", done(4, 3))]),
        work(&first, "b", &[]),
    ];
    let recorded = confirm(&first, &works, 7).unwrap();
    assert_eq!((recorded.id.as_str(), recorded.epoch), ("d1", 7));
    assert!(!same(&first, &recorded), "it is to be written");
    assert_eq!(holds(&first).len(), 3);
    assert_eq!(holds(&recorded), ["Deployment/web@a 1", "Job/j@b 1"]);
    assert_eq!(recorded.reserved[0].amount.0, "2");
    assert!(!is_over(&recorded) && ending(&recorded).is_none());
    assert_eq!(confirm(&recorded, &works, 8), None, "it is no news");
    // The Works of before say no more either, though nothing is rendered yet.
    assert_eq!(
        shown(&held_from_works(&works)),
        ["Deployment/web@a 1", "Job/j@b 1"]
    );
}

#[test]
fn what_finished_for_another_generation_is_no_end_of_this_one() {
    let first = decided(&[part("Job/j", "a", 2)]);
    let before = [work(&first, "a", &[("Job/j", done(3, 3))])];
    assert_eq!(confirm(&first, &before, 7), None);
    assert_eq!(shown(&held_from_works(&before)), ["Job/j@a 2"]);
    // A Work that is still of the generation before tells of that.
    let mut older = work(&first, "a", &[("Job/j", done(3, 3))]);
    older.spec.workload.generation = 3;
    assert_eq!(confirm(&first, &[older], 7), None);
}

#[test]
fn all_of_it_is_over_when_every_part_is_and_it_gave_nothing_up() {
    let first = decided(&[part("Job/j", "a", 2), part("Job/j", "b", 1)]);
    let mut over = first.clone();
    for part in &mut over.assignments {
        part.finished = Some(done(4, 1));
    }
    assert!(is_over(&over));
    let (reason, message) = ending(&over).unwrap();
    assert_eq!(reason, Reason::Complete);
    assert_eq!(
        message,
        format!("Job/j on a: Complete since {AT}; Job/j on b: Complete since {AT}")
    );
    over.assignments[1].finished.as_mut().unwrap().state = "Failed".to_owned();
    assert_eq!(ending(&over).unwrap().0, Reason::Failed);
    assert_eq!(told(&over).len(), 2);
    assert!(!is_over(&first) && !is_over(&Decision::default()));
    over.preempted = Some(Preempted::default());
    assert!(!is_over(&over), "the rest waits");
}

#[test]
fn who_makes_room_gives_nothing_of_what_has_finished_and_keeps_the_record() {
    let mut first = decided(&[part("Deployment/web", "a", 1), part("Job/j", "b", 2)]);
    first.assignments[1].finished = Some(done(4, 3));
    let less = preempt::preempted(&first, "uid", Preempted::default(), 8);
    assert_eq!(less.assignments, [first.assignments[1].clone()]);
    let goes: Vec<&str> = less
        .releasing
        .iter()
        .map(|of| of.component.as_str())
        .collect();
    assert_eq!(goes, ["Deployment/web"]);
}

fn asked(name: &str, replicas: i64) -> Component {
    Component {
        name: name.to_owned(),
        replicas,
        ..Component::default()
    }
}

#[test]
fn the_rest_of_a_divided_job_is_asked_for_and_not_where_it_did_its_part() {
    let mut first = decided(&[
        part("Deployment/web", "a", 1),
        part("Job/j", "a", 2),
        part("Job/j", "b", 3),
    ]);
    let all = || vec![asked("Deployment/web", 1), asked("Job/j", 5)];
    assert_eq!(left(all(), Some(&first), (4, false), |_| Some(5)), all());
    first.assignments[1].finished = Some(done(4, 3));
    let rest = left(all(), Some(&first), (4, false), |_| Some(5));
    assert_eq!(rest[1].replicas, 3);
    assert_eq!(rest[1].bounds["a"].max, Some(0));
    assert!(!rest[1].bounds.contains_key("b"));
    assert_eq!(rest[0], all()[0]);
    assert_eq!(
        left(all(), Some(&first), (5, false), |_| Some(5)),
        all(),
        "a new generation"
    );
    // Where each member runs all of it, what is left is all of it on the others.
    assert_eq!(left(all(), Some(&first), (4, true), |_| Some(5)), all());
    first.assignments[2].finished = Some(done(4, 2));
    for duplicated in [false, true] {
        assert_eq!(
            left(all(), Some(&first), (4, duplicated), |_| Some(5)),
            [all()[0].clone()]
        );
    }
}

#[test]
fn a_part_that_others_gave_up_is_asked_for_while_completions_are_left() {
    let mut first = decided(&[part("Job/j", "a", 2)]);
    first.assignments[0].finished = Some(done(4, 3));
    let of = |all: Option<i64>| left(vec![asked("Job/j", 5)], Some(&first), (4, false), |_| all);
    assert_eq!(of(Some(8))[0].replicas, 3);
    assert_eq!(of(Some(3)), [], "it did all of them, with fewer at once");
    assert_eq!(of(None), [], "one that ends says that all is done");
}

#[test]
fn a_decision_that_replaces_another_keeps_the_record_of_its_generation_alone() {
    let mut first = decided(&[part("Job/j", "a", 2), part("Job/j", "b", 3)]);
    first.assignments[0].finished = Some(done(4, 3));
    let placed = |generation| {
        let assignment = |member: &str, replicas| heyun_scheduler::verdict::PlacedAssignment {
            component: "Job/j".to_owned(),
            member: member.to_owned(),
            flavor: "x".to_owned(),
            replicas,
            requests: heyun_scheduler::Resources::new(),
            charge: heyun_scheduler::Resources::new().with("cpu", replicas * 1000),
        };
        let outcome = heyun_scheduler::verdict::Outcome::Placed(heyun_scheduler::verdict::Placed {
            // The one on `a` is there where each member runs all of it.
            assignments: vec![assignment("a", 3), assignment("c", 3)],
            ..Default::default()
        });
        let mut verdict = crate::decide::tests::verdict(outcome);
        verdict.generation = generation;
        let now = "2027-05-01T09:00:00Z".parse().unwrap();
        decision(&verdict, &Interpreted::default(), Some(&first), 8, now).unwrap()
    };
    let next = placed(4);
    let shape = |decision: &Decision| -> Vec<(String, i32, bool)> {
        let each = decision.assignments.iter();
        each.map(|a| (a.member.clone(), a.replicas, a.finished.is_some()))
            .collect()
    };
    let expected = [("a", 2, true), ("c", 3, false)].map(|(m, n, f)| (m.to_owned(), n, f));
    assert_eq!(shape(&next), expected);
    let goes: Vec<&str> = next.releasing.iter().map(|a| a.member.as_str()).collect();
    assert_eq!(goes, ["b"], "what has finished holds nothing that could go");
    let anew = [("a", 3, false), ("c", 3, false)].map(|(m, n, f)| (m.to_owned(), n, f));
    assert_eq!(shape(&placed(5)), anew);
}
