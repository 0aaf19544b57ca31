use super::*;
use crate::interpret::{Context, interpret};
use crate::observe::held::{held, held_from_works};
use heyun_crds::Workload;
use heyun_crds::work::{WorkSpec, WorkStatus};
use heyun_crds::workload::{Manifest, WorkloadSpec, WorkloadStatus};
use heyun_scheduler::config::ScoreWeights;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::verdict::{Outcome, Placed, WorkloadReason};

fn now() -> jiff::Timestamp {
    "2027-05-01T08:00:00.5Z".parse().unwrap()
}

/// `member:flavor:replicas`, each of 1 cpu with a quarter on top for surge.
fn placed(parts: &[(&str, &str, i64)]) -> Verdict {
    let assignments = parts
        .iter()
        .map(|&(member, flavor, replicas)| PlacedAssignment {
            component: "Deployment/web".to_owned(),
            member: member.to_owned(),
            flavor: flavor.to_owned(),
            replicas,
            requests: Resources::new().with("cpu", 1000),
            charge: Resources::new().with("cpu", (replicas + replicas / 4) * 1000),
        });
    verdict(Outcome::Placed(Placed {
        assignments: assignments.collect(),
        ..Placed::default()
    }))
}

pub(crate) fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        key: WorkloadKey::new("civil", "web"),
        uid: "uid-w".to_owned(),
        generation: 4,
        tenant: "civil".to_owned(),
        inputs_hash: "abc".to_owned(),
        outcome,
        returned: false,
        tier: None,
        weights: ScoreWeights::default(),
        evaluated: 0,
        feasible: 0,
        refused: BTreeMap::new(),
        members: Vec::new(),
        relaxed: BTreeSet::new(),
        relaxed_neighbours: BTreeSet::new(),
        unchecked: BTreeSet::new(),
    }
}

fn decide(parts: &[(&str, &str, i64)], previous: Option<&Decision>) -> Decision {
    decision(&placed(parts), &Interpreted::default(), previous, 3, now()).unwrap()
}

fn shape(assignments: &[Assignment]) -> Vec<String> {
    let cpu = |a: &Assignment| a.charge.get("cpu").map_or("0", |q| q.0.as_str()).to_owned();
    let each = assignments.iter();
    each.map(|a| format!("{}/{} {} ({} cpu)", a.member, a.flavor, a.replicas, cpu(a)))
        .collect()
}

fn work(member: &str, decision: &Decision, applied: bool) -> Work {
    let assignments = decision.assignments.iter().filter(|a| a.member == member);
    let mut work = Work::new(
        "web-0",
        WorkSpec {
            decision: decision.id.clone(),
            epoch: 3,
            assignments: assignments.cloned().collect(),
            ..WorkSpec::default()
        },
    );
    work.metadata.namespace = Some(labels::member_namespace(member));
    work.metadata.generation = Some(2);
    work.status = Some(WorkStatus {
        observed_generation: 2,
        applied_decision: if applied {
            decision.id.clone()
        } else {
            String::new()
        },
        ..WorkStatus::default()
    });
    work
}

#[test]
fn a_decision_says_in_which_term_it_stands_and_whether_it_went_back() {
    let verdict = Verdict {
        tier: Some("home".to_owned()),
        returned: true,
        ..placed(&[("a", "x", 2)])
    };
    let of =
        |verdict: &Verdict| decision(verdict, &Interpreted::default(), None, 3, now()).unwrap();
    let back = of(&verdict);
    assert_eq!((back.tier.as_str(), back.returned), ("home", true));
    // Who stands there anyway has not gone back; who stands elsewhere is told of anew.
    let stays = Verdict {
        returned: false,
        ..verdict.clone()
    };
    assert!(same(&back, &of(&stays)));
    let several = Verdict {
        tier: None,
        ..stays
    };
    assert_eq!(of(&several).tier, "");
    assert!(!same(&back, &of(&several)));
}

#[test]
fn a_first_decision_reserves_what_it_assigns() {
    let first = decide(&[("b", "x", 4), ("a", "x", 8)], None);
    assert_eq!(
        shape(&first.assignments),
        ["a/x 8 (10 cpu)", "b/x 4 (5 cpu)"]
    );
    assert_eq!(first.id.len(), 10);
    assert_eq!(first.decided_at, "2027-05-01T08:00:00Z");
    assert_eq!((first.generation, first.epoch), (4, 3));
    assert!(first.releasing.is_empty());
    assert_eq!(first.reserved[0].amount.0, "15", "with surge");
}

#[test]
fn ids_follow_what_is_decided_and_nothing_else() {
    let one = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let again = decide(&[("b", "x", 4), ("a", "x", 8)], Some(&one));
    assert_eq!(one.id, again.id);
    assert!(same(&one, &again));
    let other = decide(&[("a", "x", 9), ("b", "x", 4)], None);
    assert_ne!(one.id, other.id);
    assert!(!same(&one, &other));
    let late = Decision {
        epoch: 9,
        decided_at: String::new(),
        id: "x".to_owned(),
        ..one.clone()
    };
    assert!(same(&one, &late));
    assert!(!same(
        &one,
        &Decision {
            generation: 5,
            ..one.clone()
        }
    ));
}

#[test]
fn what_is_not_placed_makes_no_decision() {
    let waiting = verdict(Outcome::Waiting(WorkloadReason::NoMembers));
    assert_eq!(
        decision(&waiting, &Interpreted::default(), None, 3, now()),
        None
    );
}

#[test]
fn what_goes_stays_charged_until_it_is_confirmed() {
    // (before, after, releasing)
    type Parts<'a> = &'a [(&'a str, &'a str, i64)];
    let cases: &[(Parts<'_>, Parts<'_>, &[&str])] = &[
        (&[("a", "x", 8)], &[("a", "x", 8)], &[]),
        (&[("a", "x", 8)], &[("a", "x", 12)], &[]),
        (&[("a", "x", 8)], &[("a", "x", 4)], &["a/x 4 (5 cpu)"]),
        (&[("a", "x", 8)], &[("b", "x", 8)], &["a/x 8 (10 cpu)"]),
        (&[("a", "x", 8)], &[("a", "y", 8)], &["a/x 8 (10 cpu)"]),
        (
            &[("a", "x", 8), ("b", "x", 4)],
            &[("a", "x", 12)],
            &["b/x 4 (5 cpu)"],
        ),
        (&[("a", "x", 0)], &[("b", "x", 8)], &[]),
    ];
    for (before, after, expected) in cases {
        let first = decide(before, None);
        let second = decide(after, Some(&first));
        assert_eq!(
            shape(&second.releasing),
            *expected,
            "{before:?} to {after:?}"
        );
        let total: i64 = places(&second)
            .values()
            .map(|at| at.charge.get("cpu"))
            .sum();
        let reserved = second
            .reserved
            .iter()
            .map(|r| r.amount.0.parse::<i64>().unwrap());
        assert_eq!(
            reserved.sum::<i64>(),
            total / 1000,
            "reserved is all that is charged"
        );
    }
}

#[test]
fn what_an_earlier_decision_released_is_carried_on() {
    let first = decide(&[("a", "x", 8)], None);
    let second = decide(&[("b", "x", 8)], Some(&first));
    let third = decide(&[("c", "x", 8)], Some(&second));
    assert_eq!(
        shape(&third.releasing),
        ["a/x 8 (10 cpu)", "b/x 8 (10 cpu)"]
    );
    // Back to where it was before anything was confirmed: it is assigned, and charged once.
    let back = decide(&[("a", "x", 8)], Some(&third));
    assert_eq!(shape(&back.releasing), ["b/x 8 (10 cpu)", "c/x 8 (10 cpu)"]);
    assert_eq!(back.id, first.id);
}

#[test]
fn larger_requests_release_nothing_and_smaller_ones_the_difference() {
    let mut bigger = placed(&[("a", "x", 4)]);
    if let Outcome::Placed(placed) = &mut bigger.outcome {
        placed.assignments[0].requests = Resources::new().with("cpu", 2000);
        placed.assignments[0].charge = Resources::new().with("cpu", 10_000);
    }
    let big = decision(&bigger, &Interpreted::default(), None, 3, now()).unwrap();
    let small = decide(&[("a", "x", 4)], Some(&big));
    assert_eq!(shape(&small.releasing), ["a/x 0 (5 cpu)"]);
    let grown = decision(
        &bigger,
        &Interpreted::default(),
        Some(&decide(&[("a", "x", 4)], None)),
        3,
        now(),
    )
    .unwrap();
    assert!(grown.releasing.is_empty());
}

#[test]
fn a_release_is_confirmed_by_the_applied_decision_or_by_the_work_being_gone() {
    let first = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let second = decide(&[("a", "x", 4), ("c", "x", 8)], Some(&first));
    assert_eq!(second.releasing.len(), 2);
    // (what is changed of a's and b's Works, who is still releasing)
    let confirm = |works: &[Work]| {
        confirm_released(&second, works, 7).map(|d| {
            d.releasing
                .iter()
                .map(|a| a.member.clone())
                .collect::<Vec<_>>()
        })
    };
    let (a_waits, b_waits) = (work("a", &first, true), work("b", &first, true));
    assert_eq!(
        confirm(&[a_waits.clone(), b_waits.clone()]),
        None,
        "an older decision confirms nothing"
    );
    let a_applies = work("a", &second, false);
    assert_eq!(confirm(&[a_applies, b_waits.clone()]), None);
    let mut a_stale = work("a", &second, true);
    a_stale.metadata.generation = Some(3);
    assert_eq!(
        confirm(&[a_stale, b_waits.clone()]),
        None,
        "a status of an older spec"
    );
    let a_done = work("a", &second, true);
    assert_eq!(
        confirm(&[a_done.clone(), b_waits]),
        Some(vec!["b".to_owned()])
    );
    let mut b_retired = work("b", &second, true);
    b_retired.spec.retire = Some(3);
    assert_eq!(
        confirm(&[a_done.clone(), b_retired]),
        Some(vec!["b".to_owned()]),
        "retired is not gone"
    );
    assert_eq!(confirm(std::slice::from_ref(&a_done)), Some(vec![]), "gone");
    let settled = confirm_released(&second, &[a_done], 7).unwrap();
    assert_eq!(
        (settled.epoch, settled.id.as_str()),
        (7, second.id.as_str())
    );
    assert_eq!(settled.reserved[0].amount.0, "15");
    assert_eq!(
        confirm_released(&settled, &[], 7),
        None,
        "nothing left to confirm"
    );
}

#[test]
fn held_is_the_larger_of_decision_and_works() {
    let first = decide(&[("a", "x", 8)], None);
    let second = decide(&[("b", "x", 8)], Some(&first));
    let mut workload = Workload::new("web", WorkloadSpec::default());
    workload.status = Some(WorkloadStatus {
        decision: Some(second.clone()),
        ..WorkloadStatus::default()
    });
    let works = [work("a", &first, true)];
    let show = |held: &heyun_scheduler::snapshot::Held| -> Vec<String> {
        held.entries
            .iter()
            .map(|e| format!("{} {} {}", e.member, e.replicas, e.charge.get("cpu")))
            .collect()
    };
    assert_eq!(show(&held(&workload)), ["a 8 10000", "b 8 10000"]);
    assert_eq!(show(&held_from_works(&works)), ["a 8 10000"]);
    workload.status = None;
    let both = crate::observe::held::of(&workload, &works);
    assert_eq!(
        show(&both),
        ["a 8 10000"],
        "a wiped status holds what its Works say"
    );
}

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 12
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, resources: {requests: {cpu: "1"}}}]}
"#;

fn interpreted(replicas: i32) -> Interpreted {
    let spec = WorkloadSpec {
        manifests: vec![Manifest(serde_yaml::from_str(WEB).unwrap())],
        replicas: Some(replicas),
        ..WorkloadSpec::default()
    };
    let context = Context {
        namespace: "civil",
        placement: &PlacementSpec::default(),
        default_requests: &Resources::new(),
    };
    interpret(&spec, &context).unwrap()
}

#[test]
fn a_lost_decision_is_rebuilt_from_its_works() {
    let lost = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let works = [work("a", &lost, true), work("b", &lost, true)];
    let placement = PlacementSpec::default();
    let found = adopted(&works, 1, &interpreted(12), &placement, 9).unwrap();
    assert_eq!((found.generation, found.epoch, &found.id), (1, 9, &lost.id));
    assert_eq!(found.assignments, lost.assignments);
    assert_eq!(found.reserved, lost.reserved);
    let changed = adopted(&works, 1, &interpreted(20), &placement, 9).unwrap();
    assert_eq!(
        changed.generation, 0,
        "what the manifests mean now is decided again"
    );
    assert_eq!(changed.assignments, lost.assignments);
    assert_eq!(adopted(&[], 1, &interpreted(12), &placement, 9), None);
}

#[test]
fn what_was_never_begun_is_not_held() {
    let decision = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let both = [work("a", &decision, true), work("b", &decision, false)];
    assert_eq!(begun(&decision, &both, 9), None);
    let less = begun(&decision, &both[..1], 9).unwrap();
    assert_eq!(shape(&less.assignments), ["a/x 8 (10 cpu)"]);
    assert_eq!((less.epoch, &less.id), (9, &decision.id));
    assert_ne!(less.reserved, decision.reserved);
    let nothing = begun(&decision, &[], 9).unwrap();
    assert!(nothing.assignments.is_empty() && nothing.reserved.is_empty());
}

/// It made room for another, finished, and its Work went before the next generation was decided.
#[test]
fn what_has_finished_came_about_though_its_work_is_gone() {
    let mut decision = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    decision.assignments[0].finished = Some(heyun_crds::common::Finished::default());
    let less = begun(&decision, &[], 9).unwrap();
    assert_eq!(less.assignments, decision.assignments[..1]);
    assert!(less.reserved.is_empty(), "it holds nothing");
    assert_eq!(begun(&less, &[], 9), None);
}

#[test]
fn what_never_came_about_is_what_runs() {
    let first = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let second = decide(&[("a", "x", 4), ("b", "x", 8)], Some(&first));
    // The leader died before it wrote a Work of the second.
    let old = [work("a", &first, true), work("b", &first, true)];
    let back = begun(&second, &old, 9).unwrap();
    assert_eq!(back.id, first.id);
    assert_eq!(back.assignments, first.assignments);
    assert!(back.releasing.is_empty());
    assert_eq!(begun(&back, &old, 9), None);
    // One was written: the other is as it runs.
    let mixed = [work("a", &second, true), work("b", &first, true)];
    let back = begun(&second, &mixed, 9).unwrap();
    assert_eq!(back.id, second.id);
    assert_eq!(shape(&back.assignments), ["a/x 4 (5 cpu)", "b/x 4 (5 cpu)"]);
    // What its member did not confirm may run as either says.
    let unsure = [work("a", &first, false), work("b", &second, true)];
    assert_eq!(begun(&second, &unsure, 9), None);
}

/// Its pins moved it away, the leader died before a Work was written, and the next generation waits.
#[test]
fn what_was_never_given_up_is_what_runs() {
    let first = decide(&[("b", "x", 8)], None);
    let second = decide(&[("a", "x", 8)], Some(&first));
    let old = [work("b", &first, true)];
    let back = begun(&second, &old, 9).unwrap();
    assert_eq!(back.id, first.id);
    assert_eq!(back.assignments, first.assignments);
    assert!(back.releasing.is_empty());
    assert_eq!(confirm_released(&back, &old, 9), None);
    // Where it goes to was begun: it leaves when that is ready.
    let both = [work("a", &second, true), work("b", &first, true)];
    assert_eq!(begun(&second, &both, 9), None);
    // Where nothing runs any more nothing comes back.
    let third = decide(
        &[("c", "x", 8)],
        Some(&decide(&[("a", "x", 4), ("b", "x", 8)], None)),
    );
    let back = begun(&third, &old, 9).unwrap();
    assert_eq!(shape(&back.assignments), ["b/x 8 (10 cpu)"]);
    assert_eq!(shape(&back.releasing), ["a/x 4 (5 cpu)"]);
    // A decision that was begun and releases on its own members is what it is.
    let fewer = decide(&[("b", "x", 2)], Some(&first));
    assert_eq!(begun(&fewer, &[work("b", &fewer, true)], 9), None);
    // What made room for another is given up all the same.
    let way = Decision {
        preempted: Some(heyun_crds::workload::Preempted::default()),
        ..second.clone()
    };
    let less = begun(&way, &old, 9).unwrap();
    assert_eq!((&less.id, shape(&less.assignments)), (&way.id, Vec::new()));
    assert_eq!(less.releasing, way.releasing);
    // What is being retired is given up.
    let mut retired = work("b", &first, true);
    retired.spec.retire = Some(9);
    let leaving = [work("a", &second, true), retired];
    assert_eq!(begun(&second, &leaving, 9), None);
}

#[test]
fn works_of_two_decisions_are_taken_together_and_decided_again() {
    let first = decide(&[("a", "x", 8), ("b", "x", 4)], None);
    let second = decide(&[("a", "x", 4), ("b", "x", 8)], Some(&first));
    let mut retired = work("c", &decide(&[("c", "x", 2)], None), true);
    retired.spec.retire = Some(2);
    let works = [work("a", &first, true), work("b", &second, true), retired];
    let found = adopted(&works, 1, &interpreted(12), &PlacementSpec::default(), 9).unwrap();
    assert_eq!(found.generation, 0);
    assert_eq!(
        shape(&found.assignments),
        ["a/x 8 (10 cpu)", "b/x 8 (10 cpu)"]
    );
    assert_eq!(shape(&found.releasing), ["c/x 2 (2 cpu)"]);
}

#[test]
fn amounts_beyond_the_api_are_never_wrapped() {
    let huge = Resources::new()
        .with("memory", i64::MAX)
        .with("cpu", i64::MAX);
    assert_eq!(amounts::taken(&amounts::to_map(&huge)), huge);
    let beyond = [(
        "memory".to_owned(),
        heyun_crds::quantity::Quantity::from("1e30"),
    )]
    .into();
    assert_eq!(amounts::taken(&beyond).get("memory"), i64::MAX);
    assert_eq!(amounts::free(&beyond).get("memory"), 0);
}
