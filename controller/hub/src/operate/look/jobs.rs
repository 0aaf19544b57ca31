//! What has finished, looked at by one who has just begun to lead and knows what it lists alone.

use heyun_crds::common::Finished;
use heyun_crds::work::{ObjectState, WorkSpec, WorkStatus, WorkloadKey as WorkOf};
use heyun_crds::workload::{Assignment, Manifest, WorkloadSpec, WorkloadStatus};
use heyun_plan::member_names::work_name;
use serde_json::json;

use super::tests::{look, member, tenant, world};
use super::*;
use crate::watch::{Change, Seen};

const EPOCH: i64 = 9;

fn ended(generation: i64) -> Finished {
    Finished {
        state: Finished::COMPLETE.to_owned(),
        at: "2027-01-01T00:00:00Z".to_owned(),
        generation,
        completions: None,
    }
}

fn part(finished: Option<Finished>) -> Assignment {
    Assignment {
        component: "Job/j".to_owned(),
        member: "city".to_owned(),
        flavor: "-".to_owned(),
        replicas: 1,
        finished,
        ..Assignment::default()
    }
}

/// `ns/web` of generation 2, a Job: with what its decision says, of which generation, and what its
/// Work carries and reports.
struct Given {
    decided: Option<(i64, Option<Finished>)>,
    work: Option<(Option<Finished>, Option<Finished>)>,
    suspend: bool,
}

impl Given {
    fn world(self) -> World {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
            "spec": {"template": {"spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "r.example/a:1"}]}}},
        });
        let spec = WorkloadSpec {
            manifests: vec![Manifest(job)],
            suspend: self.suspend,
            ..WorkloadSpec::default()
        };
        let mut workload = Workload::new("web", spec);
        workload.metadata.namespace = Some("ns".to_owned());
        workload.metadata.resource_version = Some("5".to_owned());
        workload.metadata.generation = Some(2);
        let generation = self
            .decided
            .as_ref()
            .map_or(2, |(generation, _)| *generation);
        let decision = self.decided.map(|(generation, finished)| Decision {
            id: "d1".to_owned(),
            generation,
            epoch: 1,
            assignments: vec![part(finished)],
            ..Decision::default()
        });
        workload.status = Some(WorkloadStatus {
            decision,
            ..WorkloadStatus::default()
        });
        let mut seen = vec![
            tenant(),
            Seen::MemberCluster(Change::Apply(member())),
            Seen::Workload(Change::Apply(Box::new(workload))),
        ];
        let work = self
            .work
            .map(|(carried, reported)| work(generation, carried, reported));
        seen.extend(work.map(|work| Seen::Work(Change::Apply(Box::new(work)))));
        let mut world = world(seen).0;
        world.plant();
        world
    }
}

fn work(generation: i64, carried: Option<Finished>, reported: Option<Finished>) -> Work {
    let spec = WorkSpec {
        workload: WorkOf {
            namespace: "ns".to_owned(),
            name: "web".to_owned(),
            uid: String::new(),
            generation,
        },
        decision: "d1".to_owned(),
        assignments: vec![part(carried)],
        ..WorkSpec::default()
    };
    let mut work = Work::new(&work_name("ns", "web"), spec);
    work.metadata.namespace = Some("heyun-member-city".to_owned());
    work.metadata.uid = Some("u".to_owned());
    work.metadata.resource_version = Some("7".to_owned());
    let object = ObjectState {
        kind: "Job".to_owned(),
        name: "j".to_owned(),
        finished: reported,
        ..ObjectState::default()
    };
    work.status = Some(WorkStatus {
        objects: vec![object],
        ..WorkStatus::default()
    });
    work
}

/// What is written of the decision: the Job's end, with its epoch; `None` where it is decided on.
fn looked(given: Given, again: bool) -> Option<(Option<Finished>, i64)> {
    match look(&given.world(), EPOCH, again) {
        Look::Write(chain) => {
            let decision = chain.status.unwrap().after.decision.unwrap();
            Some((decision.assignments[0].finished.clone(), decision.epoch))
        }
        Look::Decide(_) => None,
        _ => panic!("there is something to write or to decide"),
    }
}

#[test]
fn what_is_over_is_decided_on_no_more_for_its_generation() {
    let decided = |generation, finished| Given {
        decided: Some((generation, finished)),
        work: None,
        suspend: false,
    };
    let over = looked(decided(2, Some(ended(2))), true);
    assert_eq!(over, Some((Some(ended(2)), 1)));
    assert_eq!(looked(decided(2, None), true), None);
    assert_eq!(
        looked(decided(1, Some(ended(1))), false),
        None,
        "it runs anew"
    );
}

#[test]
fn who_takes_over_records_what_was_reported_to_the_one_before() {
    for again in [false, true] {
        let reported = Given {
            decided: Some((2, None)),
            work: Some((None, Some(ended(2)))),
            suspend: false,
        };
        assert_eq!(looked(reported, again), Some((Some(ended(2)), EPOCH)));
    }
    // Of what is decided no more, too.
    let suspended = Given {
        decided: Some((1, None)),
        work: Some((None, Some(ended(1)))),
        suspend: true,
    };
    assert_eq!(looked(suspended, false), Some((Some(ended(1)), EPOCH)));
}

#[test]
fn a_status_that_was_wiped_comes_back_with_what_had_finished() {
    let lost = |generation| Given {
        decided: None,
        work: Some((Some(ended(generation)), None)),
        suspend: false,
    };
    assert_eq!(looked(lost(2), false), Some((Some(ended(2)), EPOCH)));
    assert_eq!(
        looked(lost(1), false),
        None,
        "of an earlier generation: it runs anew"
    );
}
