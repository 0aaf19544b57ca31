//! A Job that is divided, through every step: it finishes member by member, and what is left of it is
//! placed again without what is done.

use heyun_crds::common::Finished;
use heyun_crds::work::{ObjectState, WorkStatus};
use serde_json::Value;

use super::*;
use crate::finished;

const JOB: &str = r"
apiVersion: batch/v1
kind: Job
metadata: {name: reindex}
spec:
  parallelism: 5
  completions: 12
  ttlSecondsAfterFinished: 60
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: registry.gd.example/reindex:1, resources: {requests: {cpu: '1', memory: 1Gi}}}]
";

fn reindex() -> Case {
    let placement =
        serde_yaml::from_str("{division: {type: ByCapacity}, flavors: [general-amd64]}");
    case(
        "reindex",
        "gd-health-booking",
        JOB,
        placement.unwrap(),
        None,
    )
}

fn spec(work: &RenderedWork) -> &Value {
    &work.spec.manifests[0].0["spec"]
}

fn completions(works: &[RenderedWork]) -> i64 {
    works
        .iter()
        .map(|of| spec(of)["completions"].as_i64().unwrap())
        .sum()
}

/// The Work as its member reports on it once the Job is complete there.
fn complete(rendered: &RenderedWork) -> Work {
    let mut work = seen(rendered);
    let object = ObjectState {
        kind: "Job".to_owned(),
        name: "reindex".to_owned(),
        applied: true,
        healthy: true,
        finished: Some(Finished {
            state: Finished::COMPLETE.to_owned(),
            at: "2027-05-01T08:05:00Z".to_owned(),
            generation: rendered.spec.workload.generation,
            completions: spec(rendered)["completions"]
                .as_i64()
                .map(|n| n.try_into().unwrap()),
        }),
        ..ObjectState::default()
    };
    work.status = Some(WorkStatus {
        objects: vec![object],
        ..WorkStatus::default()
    });
    work
}

fn record(case: &mut Case, decision: &Decision) {
    case.workload.status.as_mut().unwrap().decision = Some(decision.clone());
}

/// The province, where the Job is decided on two members, with what each got.
fn decided() -> (Province, Case, Decision, Vec<RenderedWork>) {
    let mut province = province();
    for (member, _) in &mut province.members {
        let apis = &mut member.status.as_mut().unwrap().apis;
        apis.push("batch/v1/Job".to_owned());
    }
    let mut case = reindex();
    let first = province.commit(&mut case);
    let works = province.render(&case, &first);
    let shape = (works.len(), sum(&first), completions(&works));
    assert_eq!(shape, (2, 5, 12), "{first:#?}");
    (province, case, first, works)
}

/// Members with whether what they have has finished.
fn places(decision: &Decision) -> Vec<(&str, bool)> {
    let parts = decision.assignments.iter();
    parts
        .map(|part| (part.member.as_str(), part.finished.is_some()))
        .collect()
}

#[test]
fn a_divided_job_ends_member_by_member_and_nothing_else_changes() {
    let (mut province, mut case, first, works) = decided();
    for work in &works {
        let ttl = &spec(work)["ttlSecondsAfterFinished"];
        assert!(ttl.is_null(), "its end is not recorded yet");
    }
    let (done, rest) = (&works[0], &works[1]);
    let reported = [complete(done), seen(rest)];
    let recorded = finished::confirm(&first, &reported, 2).unwrap();
    let ended = places(&recorded).into_iter().filter(|(_, ended)| *ended);
    assert_eq!(ended.count(), 1);
    record(&mut case, &recorded);
    province.hold(&case, &reported);
    let held = &province.held.values().next().unwrap().held;
    assert_eq!(held.entries.len(), 1, "the other part alone");
    let again = province.render(&case, &recorded);
    assert_eq!(spec(&again[0])["ttlSecondsAfterFinished"], 60);
    assert_eq!(spec(&again[0])["completions"], spec(done)["completions"]);
    assert_eq!(again[1].spec.manifests, rest.spec.manifests);
    let next = province.commit(&mut case);
    assert!(decide::same(&next, &recorded), "{next:#?}");
}

#[test]
fn what_is_left_of_a_divided_job_moves_without_what_is_done_and_then_all_is_over() {
    let (mut province, mut case, first, works) = decided();
    let reported = [complete(&works[0]), seen(&works[1])];
    let recorded = finished::confirm(&first, &reported, 2).unwrap();
    record(&mut case, &recorded);
    province.hold(&case, &reported);
    // The other member is left: what it has goes to neither.
    let of = |ended: bool| places(&recorded).into_iter().find(|(_, is)| *is == ended);
    let (done_at, other) = (of(true).unwrap().0, of(false).unwrap().0);
    case.placement.exclude = vec![other.to_owned()];
    let verdict = province.verdict(&case);
    let placed = verdict.outcome.placed();
    assert!(placed.is_none(), "there is no third member: {verdict:#?}");
    let mut third = province.members[1].clone();
    third.0.metadata.name = Some("a-third".to_owned());
    province.members.push(third);
    let moved = province.commit(&mut case);
    let mut at = places(&moved);
    at.sort_unstable();
    let mut expected = [("a-third", false), (done_at, true)];
    expected.sort_unstable();
    assert_eq!((at.as_slice(), sum(&moved)), (&expected[..], 5));
    let works = province.render(&case, &moved);
    let all = completions(&works);
    assert_eq!(all, 12, "no completion is counted twice or lost");

    let all: Vec<Work> = works.iter().map(complete).collect();
    let mut over = finished::confirm(&moved, &all, 3).unwrap();
    // What it moved from is gone meanwhile.
    over.releasing.clear();
    assert!(finished::is_over(&over));
    record(&mut case, &over);
    let by = held::held(&case.workload);
    assert!(by.entries.is_empty(), "{by:?}");

    // A status that was lost comes back from the Works with all that was recorded.
    let works: Vec<Work> = province.render(&case, &over).iter().map(seen).collect();
    let adopted =
        |generation| decide::adopted(&works, generation, &case.interpreted, &case.placement, 4);
    let same = adopted(1).unwrap();
    assert!(finished::is_over(&same) && same.generation == 1);
    // Of a new generation nothing is done: it is decided anew.
    assert_eq!(adopted(2).unwrap().generation, 0);
    case.workload.metadata.generation = Some(2);
    let anew = province.commit(&mut case);
    assert_eq!((sum(&anew), finished::told(&anew).len()), (5, 0));
}
