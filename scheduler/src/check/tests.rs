use super::{Violation, check};
use crate::config::Config;
use crate::fixtures::{component, member, quota, request, with, world};
use crate::request::{ComponentKind, ComponentRule, Request, SpreadConstraint};
use crate::schedule::schedule;
use crate::snapshot::{Readiness, Snapshot};
use crate::verdict::{Outcome, Placed, Verdict};

fn two() -> Snapshot {
    with(
        world(),
        [member("a", "arm", 1, 10), member("b", "arm", 1, 10)],
    )
}

/// What the checker says after a verdict was tampered with.
fn tampered(
    snapshot: &Snapshot,
    requests: &[Request],
    change: impl Fn(&mut Placed),
) -> Vec<Violation> {
    let config = Config::default();
    let mut verdicts = schedule(snapshot, requests, &config);
    assert_eq!(check(snapshot, requests, &verdicts, &config), Vec::new());
    for verdict in &mut verdicts {
        if let Outcome::Placed(placed) = &mut verdict.outcome {
            change(placed);
        }
    }
    check(snapshot, requests, &verdicts, &config)
}

fn says(found: &[Violation], wanted: &str) {
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        texts.iter().any(|text| text.contains(wanted)),
        "{wanted}: {texts:#?}"
    );
}

fn web(replicas: i64) -> Vec<Request> {
    vec![request("app", vec![component("web", replicas, 1000)])]
}

#[test]
fn over_commitment_is_found() {
    let found = tampered(&two(), &web(8), |placed| {
        placed.assignments[0].replicas = 11;
    });
    says(&found, "1 replicas of web fit on no node of a");
}

#[test]
fn two_batches_worth_on_one_member_is_found() {
    let requests: Vec<Request> = (0..4)
        .map(|i| request(&format!("w{i}"), vec![component("web", 4, 1000)]))
        .collect();
    let found = tampered(&two(), &requests, |placed| {
        placed.assignments[0].member = "a".to_owned();
    });
    says(&found, "fit on no node of a");
}

#[test]
fn quota_that_is_exceeded_is_found() {
    let mut small = two();
    quota(&mut small, "guangdong", 5000, 5000);
    let config = Config::default();
    let mut wide = small.clone();
    quota(&mut wide, "guangdong", 50_000, 50_000);
    let verdicts = schedule(&wide, &web(8), &config);
    says(
        &check(&small, &web(8), &verdicts, &config),
        "guangdong is charged 8000 of arm/cpu",
    );
}

#[test]
fn wrong_amounts_are_found() {
    let found = tampered(&two(), &web(8), |placed| placed.reserved.clear());
    says(&found, "reserved is not what is assigned");
    let found = tampered(&two(), &web(8), |placed| placed.increase.clear());
    says(&found, "increase is not what is assigned");
}

#[test]
fn lost_replicas_are_found() {
    let found = tampered(&two(), &web(8), |placed| placed.assignments[0].replicas = 7);
    says(&found, "the shares add up");
}

#[test]
fn broken_rules_are_found() {
    let mut requests = web(8);
    requests[0].placement.exclude.insert("b".to_owned());
    let there = |placed: &mut Placed| placed.assignments[0].member = "b".to_owned();
    says(&tampered(&two(), &requests, there), "rule exclude");
    let mut down = two();
    down.member_mut("b").unwrap().readiness = Readiness::Unknown { since: 0 };
    says(&tampered(&down, &web(8), there), "rule ready");
    let mut elsewhere = two();
    elsewhere.member_mut("b").unwrap().region = "shenzhen".to_owned();
    let city = elsewhere.tenants.get_mut("guangzhou").unwrap();
    city.guardrails.residency = Some(["guangzhou".to_owned()].into());
    says(
        &tampered(&elsewhere, &web(8), there),
        "rule guardrail residency",
    );
}

#[test]
fn a_broken_spread_is_found() {
    let mut requests = web(8);
    requests[0].placement.spread = vec![SpreadConstraint {
        topology_key: "member".to_owned(),
        max_skew: Some(1),
        min_groups: Some(2),
        ..SpreadConstraint::default()
    }];
    let found = tampered(&two(), &requests, |placed| {
        placed.assignments[0].replicas = 6;
        placed.assignments[1].replicas = 2;
    });
    says(&found, "spread");
}

#[test]
fn a_broken_spread_inside_a_group_is_found() {
    let mut snapshot = two();
    for (name, provider) in [("c", "alibaba"), ("d", "alibaba")] {
        let mut one = member(name, "arm", 1, 10);
        one.provider = provider.to_owned();
        snapshot = with(snapshot, [one]);
    }
    let mut requests = web(12);
    let over = |key: &str, within: Option<&str>| SpreadConstraint {
        topology_key: key.to_owned(),
        within: within.map(str::to_owned),
        max_skew: Some(2),
        min_groups: Some(2),
        ..SpreadConstraint::default()
    };
    requests[0].placement.spread = vec![over("provider", None), over("member", Some("provider"))];
    // Two against four in one provider alone.
    let within = tampered(&snapshot, &requests, |placed| {
        for (of, replicas) in placed.assignments.iter_mut().zip([2, 4, 3, 3]) {
            of.replicas = replicas;
        }
    });
    assert!(
        within.iter().all(|of| !of.to_string().contains("spread")),
        "{within:?}"
    );
    let found = tampered(&snapshot, &requests, |placed| {
        for (of, replicas) in placed.assignments.iter_mut().zip([1, 5, 3, 3]) {
            of.replicas = replicas;
        }
    });
    says(&found, "spread");
    // One member of a provider is none of two; over all members this would be in order.
    let found = tampered(&snapshot, &requests, |placed| {
        placed.assignments.remove(1);
        for (of, replicas) in placed.assignments.iter_mut().zip([5, 4, 3]) {
            of.replicas = replicas;
        }
    });
    says(&found, "spread");
    // In order inside each, though one against four over all.
    requests[0].components[0].replicas = 10;
    let inside = tampered(&snapshot, &requests, |placed| {
        assert_eq!(placed.assignments.len(), 4);
        for (of, replicas) in placed.assignments.iter_mut().zip([1, 3, 2, 4]) {
            of.replicas = replicas;
        }
    });
    assert!(
        inside.iter().all(|of| !of.to_string().contains("spread")),
        "{inside:?}"
    );
    // Without the group around it, that is not.
    requests[0].placement.spread[1].within = None;
    requests[0].placement.spread[1].min_groups = Some(4);
    let apart = tampered(&snapshot, &requests, |placed| {
        assert_eq!(placed.assignments.len(), 4);
        for (of, replicas) in placed.assignments.iter_mut().zip([1, 3, 2, 4]) {
            of.replicas = replicas;
        }
    });
    says(&apart, "spread");
    // Over all members these shares are.
    requests[0].components[0].replicas = 12;
    let apart = tampered(&snapshot, &requests, |placed| {
        for (of, replicas) in placed.assignments.iter_mut().zip([2, 4, 4, 2]) {
            of.replicas = replicas;
        }
    });
    assert!(
        apart.iter().all(|of| !of.to_string().contains("spread")),
        "{apart:?}"
    );
}

#[test]
fn components_that_do_not_stand_as_asked_are_found() {
    let mut requests = web(4);
    requests[0].components.push(component("db", 4, 100));
    let mut rule = ComponentRule {
        kind: ComponentKind::Together,
        topology_key: "member".to_owned(),
    };
    requests[0].placement.components = Some(rule.clone());
    let move_one = |placed: &mut Placed| {
        let of = &mut placed.assignments[0].member;
        let other = if of == "a" { "b" } else { "a" };
        other.clone_into(of);
    };
    says(&tampered(&two(), &requests, move_one), "together or apart");
    rule.kind = ComponentKind::Apart;
    requests[0].placement.components = Some(rule);
    says(&tampered(&two(), &requests, move_one), "together or apart");
}

#[test]
fn missing_verdicts_and_members_are_found() {
    let config = Config::default();
    let mut verdicts = schedule(&two(), &web(1), &config);
    verdicts[0].members.pop();
    says(
        &check(&two(), &web(1), &verdicts, &config),
        "b is not explained",
    );
    let none: Vec<Verdict> = Vec::new();
    says(&check(&two(), &web(1), &none, &config), "has 0 verdicts");
}
