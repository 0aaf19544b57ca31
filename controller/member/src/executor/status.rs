//! From the states of objects to the status of a Work. Pure.

use std::collections::BTreeMap;

use heyun_crds::common::Finished;
use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::work::{ObjectState, Work, WorkStatus};
use heyun_crds::workload::Assignment;
use heyun_plan::finished;
use heyun_plan::interpret::is_component;
use heyun_plan::live::Live;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::seen::{KindKey, ObjectKey, Seen};

/// Most objects that a condition names.
const NAMED_MAX: usize = 3;

/// The state of an object that is not applied as wanted.
pub(super) fn state(key: &ObjectKey, reason: Reason, message: &str) -> ObjectState {
    ObjectState {
        api_version: key.kind.api_version.clone(),
        kind: key.kind.kind.clone(),
        name: key.name.clone(),
        reason: reason.as_str().to_owned(),
        message: message.to_owned(),
        ..ObjectState::default()
    }
}

/// The state of an object that is applied as wanted.
pub(super) fn applied(key: &ObjectKey, seen: &Seen) -> ObjectState {
    let fares = &seen.assessed;
    ObjectState {
        uid: seen.uid.clone(),
        applied: true,
        healthy: fares.healthy,
        desired: fares.desired,
        ready: fares.ready,
        reason: fares.reason.clone(),
        message: fares.message.clone(),
        ..state(key, Reason::Ok, "")
    }
}

/// The state of an object that is there, where it may have run to its end for the generation that
/// the Work is of; `known` is what was known of that before. Once it has, it has: what was made anew
/// under its name by somebody else is not the Work's.
pub(super) fn finish(
    state: &mut ObjectState,
    work: &Work,
    seen: Option<&Seen>,
    known: Option<Finished>,
) {
    let now = seen.filter(|_| state.applied);
    let now = now.and_then(|seen| seen.assessed.finished.clone());
    let now = now.map(|ended| Finished {
        generation: work.spec.workload.generation,
        ..ended
    });
    state.finished = known.or(now);
}

/// What the Work's status says of an object by that name.
pub(super) fn before<'w>(work: &'w Work, key: &ObjectKey) -> Option<&'w ObjectState> {
    let mut objects = work.status.iter().flat_map(|status| &status.objects);
    objects.find(|object| is_state_of(object, key))
}

/// The state of an object that ran to its end and is gone: what was reported of it stays.
pub(super) fn gone(work: &Work, key: &ObjectKey, finished: Finished) -> ObjectState {
    let before = before(work, key);
    let message = format!("{}; it is gone and is not made again", finished.sentence());
    let reason = if finished.is_well() {
        Reason::Complete
    } else {
        Reason::Failed
    };
    ObjectState {
        applied: true,
        healthy: finished.is_well(),
        desired: before.and_then(|object| object.desired),
        ready: before.and_then(|object| object.ready),
        finished: Some(finished),
        ..state(key, reason, &message)
    }
}

/// That an object ran to its end for the generation that the Work is of: as the hub has recorded it,
/// else as this Work's status says.
pub(super) fn finished(work: &Work, key: &ObjectKey) -> Option<Finished> {
    let component = format!("{}/{}", key.kind.kind, key.name);
    let mut parts = work.spec.assignments.iter();
    let part = parts.find(|part| part.component == component)?;
    let reported = || finished::reported(work, &component).cloned();
    part.finished.clone().or_else(reported)
}

/// The key of an object of the inventory.
pub(super) fn key_of(state: &ObjectState, namespace: &str) -> ObjectKey {
    ObjectKey {
        kind: KindKey {
            api_version: state.api_version.clone(),
            kind: state.kind.clone(),
        },
        namespace: namespace.to_owned(),
        name: state.name.clone(),
    }
}

/// Whether a state speaks of that object.
pub(super) fn is_state_of(state: &ObjectState, key: &ObjectKey) -> bool {
    state.api_version == key.kind.api_version
        && state.kind == key.kind.kind
        && state.name == key.name
}

/// The status of a Work: states in order, conditions, and the decision that is in force in full
/// when `settled`.
pub(super) fn put_together(
    work: &Work,
    objects: Vec<ObjectState>,
    settled: bool,
    now: &Time,
) -> WorkStatus {
    let generation = work.metadata.generation.unwrap_or_default();
    let before = work.status.clone().unwrap_or_default();
    let mut status = WorkStatus {
        observed_generation: generation,
        applied_decision: if settled {
            work.spec.decision.clone()
        } else {
            before.applied_decision
        },
        conditions: before.conditions,
        objects,
    };
    let verdicts = [
        (
            ConditionType::Applied,
            verdict(&status.objects, Reason::Applying, |o| {
                o.applied || is_going(o)
            }),
        ),
        (
            ConditionType::Healthy,
            verdict(&status.objects, Reason::Progressing, |o| {
                o.healthy || is_going(o)
            }),
        ),
    ];
    for (kind, (holds, reason, message)) in verdicts {
        set_condition(
            &mut status.conditions,
            kind,
            Some(holds),
            &reason,
            &message,
            Some(generation),
            now,
        );
    }
    let drifted: Vec<&ObjectState> = status.objects.iter().filter(|o| o.drifted).collect();
    let (reason, message) = match drifted.first() {
        None => (Reason::Ok.as_str().to_owned(), String::new()),
        Some(first) => (first.reason.clone(), named(&drifted, status.objects.len())),
    };
    let holds = Some(!drifted.is_empty());
    set_condition(
        &mut status.conditions,
        ConditionType::Drifted,
        holds,
        &reason,
        &message,
        Some(generation),
        now,
    );
    status
}

/// Objects on their way out say nothing about what is wanted.
fn is_going(state: &ObjectState) -> bool {
    state.reason == Reason::Terminating.as_str()
}

fn verdict(
    objects: &[ObjectState],
    otherwise: Reason,
    holds: impl Fn(&ObjectState) -> bool,
) -> (bool, String, String) {
    let bad: Vec<&ObjectState> = objects.iter().filter(|o| !holds(o)).collect();
    let Some(first) = bad.iter().find(|o| !o.message.is_empty()).or(bad.first()) else {
        return (true, Reason::Ok.as_str().to_owned(), String::new());
    };
    let reason = if first.reason.is_empty() {
        otherwise.as_str()
    } else {
        &first.reason
    };
    (false, reason.to_owned(), named(&bad, objects.len()))
}

fn named(bad: &[&ObjectState], of: usize) -> String {
    if let [first, _, ..] = bad
        && !first.message.is_empty()
        && bad.iter().all(|o| o.message == first.message)
    {
        return first.message.clone();
    }
    let each = bad.iter().take(NAMED_MAX).map(|o| {
        if o.message.is_empty() {
            format!("{}/{}", o.kind, o.name)
        } else {
            format!("{}/{}: {}", o.kind, o.name, o.message)
        }
    });
    let list = each.collect::<Vec<_>>().join("; ");
    let more = bad.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        format!("{} of {of}: {list}; and {more} more", bad.len())
    } else {
        list
    }
}

/// What stands in the way of a Work, in one line.
pub(super) fn obstacle(status: &WorkStatus) -> Option<String> {
    let condition = status
        .conditions
        .iter()
        .find(|c| c.type_ == "Applied" && c.status == "False")?;
    Some(format!("{}: {}", condition.reason, condition.message))
}

/// Whether what an earlier decision held beyond this one is gone: there are no pods but of
/// assigned components, and of these no more, and none that request more, than is charged.
pub(super) fn is_settled(work: &Work, pods: &BTreeMap<String, Live>) -> bool {
    let assigned = |component: &str| {
        let mut each = work.spec.assignments.iter();
        each.find(|a| is_component(component, &a.component))
    };
    pods.keys().all(|component| assigned(component).is_some())
        && work.spec.assignments.iter().all(|assignment| {
            let mut live = Live::default();
            for (component, own) in pods {
                if is_component(component, &assignment.component) {
                    live.join(own);
                }
            }
            let count = i64::from(live.pods());
            pods_at_most(work, assignment).is_none_or(|most| count <= most)
                && live.is_charged(assignment)
        })
}

/// How many pods a component may have by its assignment: its replicas, or as many as its
/// autoscaler may make of them, and what a rolling update adds; all of it is charged. `None`: its
/// kind does not tell.
fn pods_at_most(work: &Work, assignment: &Assignment) -> Option<i64> {
    let (kind, name) = assignment.component.split_once('/')?;
    let text = |m: &Value, pointer: &str| {
        m.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let manifests = || work.spec.manifests.iter().map(|m| &m.0);
    let scaled = manifests().find(|m| {
        text(m, "/spec/scaleTargetRef/kind").as_deref() == Some(kind)
            && text(m, "/spec/scaleTargetRef/name").as_deref() == Some(name)
    });
    let most = scaled.and_then(|m| m.pointer("/spec/maxReplicas").and_then(Value::as_i64));
    let replicas = i64::from(assignment.replicas).max(most.unwrap_or(0));
    match kind {
        "Deployment" => {
            let manifest = manifests().find(|m| {
                text(m, "/kind").as_deref() == Some(kind)
                    && text(m, "/metadata/name").as_deref() == Some(name)
            });
            Some(replicas + manifest.map_or(0, |m| surge(m, replicas)))
        }
        "StatefulSet" | "ReplicaSet" | "Pod" => Some(replicas),
        _ => None,
    }
}

/// What a rolling update of a Deployment adds, as its controller counts it: 25 % by default,
/// rounded up.
fn surge(manifest: &Value, replicas: i64) -> i64 {
    if manifest
        .pointer("/spec/strategy/type")
        .and_then(Value::as_str)
        == Some("Recreate")
    {
        return 0;
    }
    let percent = |n: i64| (replicas.saturating_mul(n).saturating_add(99)) / 100;
    match manifest.pointer("/spec/strategy/rollingUpdate/maxSurge") {
        Some(Value::Number(n)) => n.as_i64().unwrap_or(0),
        Some(Value::String(text)) => match text.strip_suffix('%') {
            Some(n) => percent(n.parse().unwrap_or(0)),
            None => text.parse().unwrap_or(0),
        },
        _ => percent(25),
    }
}

#[cfg(test)]
mod tests {
    use heyun_crds::conditions::{condition, is_true};
    use heyun_crds::work::WorkSpec;
    use heyun_crds::workload::Manifest;
    use heyun_plan::live::Ask;
    use heyun_plan::sketch::from_pod;
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        let kind = KindKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
        };
        ObjectKey {
            kind,
            namespace: "a".into(),
            name: name.into(),
        }
    }

    fn now() -> Time {
        Time("2027-01-01T00:00:00Z".parse().unwrap())
    }

    fn work() -> Work {
        let mut work = Work::new(
            "w",
            WorkSpec {
                decision: "d2".into(),
                ..WorkSpec::default()
            },
        );
        work.metadata.generation = Some(4);
        work
    }

    fn well(name: &str) -> ObjectState {
        let mut seen = Seen {
            uid: "u".into(),
            ..Seen::default()
        };
        seen.assessed.healthy = true;
        applied(&key(name), &seen)
    }

    #[test]
    fn all_well_is_applied_healthy_and_in_force() {
        let status = put_together(&work(), vec![well("a"), well("b")], true, &now());
        assert!(is_true(&status.conditions, ConditionType::Applied));
        assert!(is_true(&status.conditions, ConditionType::Healthy));
        assert_eq!(
            condition(&status.conditions, ConditionType::Drifted)
                .unwrap()
                .status,
            "False"
        );
        assert_eq!(
            (status.applied_decision.as_str(), status.observed_generation),
            ("d2", 4)
        );
    }

    #[test]
    fn one_failure_is_named_and_the_earlier_decision_stays_in_force() {
        let failed = state(
            &key("b"),
            Reason::Immutable,
            "spec.selector cannot be changed",
        );
        let mut work = work();
        work.status = Some(WorkStatus {
            applied_decision: "d1".into(),
            ..WorkStatus::default()
        });
        let status = put_together(&work, vec![well("a"), failed], false, &now());
        let applied = condition(&status.conditions, ConditionType::Applied).unwrap();
        assert_eq!(
            (applied.status.as_str(), applied.reason.as_str()),
            ("False", "Immutable")
        );
        assert!(
            applied.message.contains("Deployment/b: spec.selector"),
            "{}",
            applied.message
        );
        assert_eq!(status.applied_decision, "d1");
        assert!(obstacle(&status).unwrap().starts_with("Immutable"));
    }

    #[test]
    fn nothing_but_time_changes_when_the_states_are_the_same() {
        let mut work = work();
        work.status = Some(put_together(&work, vec![well("a")], true, &now()));
        let later = Time("2027-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(
            put_together(&work, vec![well("a")], true, &later),
            work.status.unwrap()
        );
    }

    #[test]
    fn a_rolling_update_may_have_what_is_charged_for_it() {
        let mut work = work();
        let assignment = |component: &str| Assignment {
            component: component.into(),
            replicas: 10,
            ..Assignment::default()
        };
        let manifest = |strategy: Value| json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"strategy": strategy}});
        for (strategy, most) in [
            (Value::Null, 13),
            (json!({"type": "Recreate"}), 10),
            (json!({"rollingUpdate": {"maxSurge": 2}}), 12),
            (json!({"rollingUpdate": {"maxSurge": "11%"}}), 12),
        ] {
            work.spec.manifests = vec![Manifest(manifest(strategy))];
            assert_eq!(
                pods_at_most(&work, &assignment("Deployment/web")),
                Some(most)
            );
        }
        assert_eq!(pods_at_most(&work, &assignment("StatefulSet/db")), Some(10));
        assert_eq!(pods_at_most(&work, &assignment("CronJob/x")), None);
    }

    #[test]
    fn a_decision_is_in_force_when_only_its_own_pods_are_left() {
        let mut work = work();
        let assignment = |component: &str| Assignment {
            component: component.into(),
            replicas: 2,
            ..Assignment::default()
        };
        work.spec.assignments = vec![assignment("StatefulSet/db")];
        let pods = |counts: &[(&str, u32)]| {
            let live = |count: u32| {
                let mut live = Live::default();
                for _ in 0..count {
                    live.add(&Ask::default());
                }
                live
            };
            let each = counts.iter();
            each.map(|(c, n)| ((*c).to_owned(), live(*n)))
                .collect::<BTreeMap<_, _>>()
        };
        assert!(is_settled(&work, &pods(&[])));
        assert!(is_settled(&work, &pods(&[("statefulset-db", 2)])));
        assert!(!is_settled(&work, &pods(&[("statefulset-db", 3)])));
        assert!(!is_settled(
            &work,
            &pods(&[("statefulset-db", 2), ("deployment-web", 1)])
        ));
        let autoscaler = json!({"kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 5,
            "scaleTargetRef": {"kind": "StatefulSet", "name": "db"}}});
        work.spec.manifests = vec![Manifest(autoscaler)];
        assert!(is_settled(&work, &pods(&[("statefulset-db", 5)])));
    }

    #[test]
    fn a_decision_is_not_in_force_while_its_pods_are_larger_than_it_charges() {
        let mut work = work();
        let assignment = json!({"member": "m", "flavor": "f", "component": "StatefulSet/db",
            "replicas": 2, "requests": {"cpu": "10m"}, "charge": {"cpu": "20m"}});
        work.spec.assignments = vec![serde_json::from_value(assignment).unwrap()];
        let pods = |sizes: [&str; 2]| {
            let mut live = Live::default();
            for cpu in sizes {
                let pod = json!({"metadata": {}, "spec": {"containers": [
                    {"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
                live.add(&Ask::of(&from_pod(&serde_json::from_value(pod).unwrap())));
            }
            BTreeMap::from([("statefulset-db".to_owned(), live)])
        };
        // `OnDelete`: the number is right, the one that was not deleted is not.
        assert!(!is_settled(&work, &pods(["10m", "10"])));
        assert!(is_settled(&work, &pods(["10m", "10m"])));
    }

    fn job() -> ObjectKey {
        let kind = KindKey {
            api_version: "batch/v1".into(),
            kind: "Job".into(),
        };
        ObjectKey { kind, ..key("j") }
    }

    /// A Work of generation 4 of its Workload, with a Job.
    fn with_job() -> Work {
        let mut work = work();
        work.spec.workload.generation = 4;
        work.spec.assignments = vec![Assignment {
            component: "Job/j".into(),
            replicas: 2,
            ..Assignment::default()
        }];
        work
    }

    fn complete(generation: i64) -> Finished {
        Finished {
            state: "Complete".into(),
            at: "2027-05-01T08:05:00Z".into(),
            generation,
            completions: Some(5),
        }
    }

    /// What the pass before wrote of the Job.
    fn reported(generation: i64) -> WorkStatus {
        let object = ObjectState {
            desired: Some(2),
            ready: Some(2),
            finished: Some(complete(generation)),
            ..state(&job(), Reason::Ok, "")
        };
        WorkStatus {
            objects: vec![object],
            ..WorkStatus::default()
        }
    }

    #[test]
    fn that_a_job_has_finished_is_known_from_the_work_or_from_what_was_reported() {
        let mut work = with_job();
        assert_eq!(finished(&work, &job()), None);
        work.status = Some(reported(4));
        assert_eq!(finished(&work, &job()), Some(complete(4)));
        // For another generation it runs anew.
        work.status = Some(reported(3));
        assert_eq!(finished(&work, &job()), None);
        // A Work that was made anew knows by what it carries.
        work.status = None;
        work.spec.assignments[0].finished = Some(complete(4));
        assert_eq!(finished(&work, &job()), Some(complete(4)));
        assert_eq!(finished(&work, &key("j")), None, "a Deployment of its name");
    }

    #[test]
    fn a_job_that_has_finished_and_is_gone_is_as_it_was() {
        let mut work = with_job();
        work.status = Some(reported(4));
        let there = gone(&work, &job(), complete(4));
        assert!(there.applied && there.healthy);
        assert_eq!((there.desired, there.ready), (Some(2), Some(2)));
        assert_eq!(there.finished, Some(complete(4)));
        assert_eq!(
            there.message,
            "Complete since 2027-05-01T08:05:00Z; it is gone and is not made again"
        );
        work.status = Some(put_together(&work, vec![there.clone()], true, &now()));
        assert_eq!(gone(&work, &job(), complete(4)), there, "no more writes");
        let failed = Finished {
            state: "Failed".into(),
            ..complete(4)
        };
        let failed = gone(&work, &job(), failed);
        assert!(failed.applied && !failed.healthy);
        assert_eq!(failed.reason, "Failed");
    }

    #[test]
    fn the_end_of_a_job_is_reported_for_the_generation_of_the_work_and_stays() {
        let work = with_job();
        let mut seen = Seen::default();
        let after = |seen: &Seen, known: Option<Finished>| {
            let mut state = applied(&job(), seen);
            finish(&mut state, &work, Some(seen), known);
            state.finished
        };
        assert_eq!(after(&seen, None), None);
        // Somebody made it anew under its name: it is over all the same.
        assert_eq!(after(&seen, Some(complete(4))), Some(complete(4)));
        seen.assessed.finished = Some(complete(0));
        assert_eq!(after(&seen, None), Some(complete(4)));
        // What is there is not what the Work asks for.
        let mut refused = state(&job(), Reason::Immutable, "");
        finish(&mut refused, &work, Some(&seen), None);
        assert_eq!(refused.finished, None);
    }
}
