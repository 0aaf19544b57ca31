//! Spreads that nest, from the request to the verdict; the checker looks at each.

use std::collections::BTreeMap;

use crate::fixtures::{commit, component, decide, member, regions, request, shown, with, world};
use crate::request::{DivisionKind, Request, SpreadConstraint, WhenUnsatisfiable};
use crate::snapshot::Snapshot;
use crate::text;
use crate::verdict::Verdict;

/// A member in each of the regions, and in the second province one of its own.
fn provinces() -> Snapshot {
    let snapshot = regions();
    let standing = [
        ("a", "panyu"),
        ("b", "huadu"),
        ("c", "dongguan"),
        ("d", "wuzhishan"),
        ("e", "hainan-zone"),
        ("f", "hainan"),
    ];
    let members = standing.map(|(name, region)| {
        let mut one = member(name, "arm", 4, 8);
        one.region = region.to_owned();
        one
    });
    with(snapshot, members)
}

fn over(key: &str, within: Option<&str>, min_groups: i64, max_skew: i64) -> SpreadConstraint {
    SpreadConstraint {
        topology_key: key.to_owned(),
        within: within.map(str::to_owned),
        min_groups: Some(min_groups),
        max_skew: Some(max_skew),
        ..SpreadConstraint::default()
    }
}

fn provinces_and_cities() -> Vec<SpreadConstraint> {
    // The inner one first: their order means nothing.
    vec![
        over("region/prefectural", Some("region/provincial"), 2, 1),
        over("region/provincial", None, 2, 2),
    ]
}

fn web(replicas: i64) -> Request {
    let mut app = request("app", vec![component("web", replicas, 500)]);
    app.placement.spread = provinces_and_cities();
    app
}

fn by_member(verdict: &Verdict) -> BTreeMap<String, i64> {
    let placed = verdict.outcome.placed().expect("placed");
    let shares = placed.assignments.iter();
    shares.map(|of| (of.member.clone(), of.replicas)).collect()
}

fn on(verdict: &Verdict, members: &[&str]) -> i64 {
    let shares = by_member(verdict);
    members.iter().filter_map(|name| shares.get(*name)).sum()
}

#[test]
fn provinces_and_inside_each_cities_are_spread() {
    let snapshot = provinces();
    for replicas in 1..=40 {
        let verdict = decide(&snapshot, &web(replicas));
        let guangdong = [on(&verdict, &["a", "b"]), on(&verdict, &["c"])];
        let hainan = [
            on(&verdict, &["d"]),
            on(&verdict, &["e"]),
            on(&verdict, &["f"]),
        ];
        let (one, other): (i64, i64) = (guangdong.iter().sum(), hainan.iter().sum());
        assert_eq!(one + other, replicas);
        assert!((one - other).abs() <= 2 || replicas == 1, "{verdict:#?}");
        assert!((guangdong[0] - guangdong[1]).abs() <= 1, "{verdict:#?}");
        let used = hainan.iter().filter(|of| **of > 0).count();
        assert!(used >= 2 || other < 2, "{verdict:#?}");
    }
    // As many groups as constraints ask for, and no more of the third level.
    let mut app = web(12);
    let mut counties = over("region/county", Some("region/prefectural"), 2, 0);
    app.placement.spread.push(counties.clone());
    let verdict = decide(&snapshot, &app);
    assert_eq!(
        shown(&verdict),
        ["SpreadUnsatisfiable"],
        "Dongguan has no counties"
    );
    (counties.min_groups, counties.max_skew) = (None, Some(1));
    app.placement.spread[2] = counties;
    let verdict = decide(&snapshot, &app);
    let (panyu, huadu) = (on(&verdict, &["a"]), on(&verdict, &["b"]));
    assert!(panyu > 0 && huadu > 0 && (panyu - huadu).abs() <= 1);
}

#[test]
fn scaling_by_one_moves_nothing() {
    for kind in [DivisionKind::Aggregated, DivisionKind::ByCapacity] {
        let mut snapshot = provinces();
        let mut app = web(6);
        app.placement.division.kind = kind;
        for replicas in 6..=30 {
            app.components[0].replicas = replicas;
            let verdict = decide(&snapshot, &app);
            let now = by_member(&verdict);
            let stays =
                |before: &crate::request::Assignment| now[&before.member] >= before.replicas;
            assert!(app.previous.iter().all(stays), "{:?} {now:?}", app.previous);
            commit(&mut snapshot, &mut app, &verdict);
        }
    }
}

#[test]
fn soft_constraints_that_nest_are_loosened() {
    let snapshot = provinces();
    let mut app = web(12);
    // Three cities are nowhere in Guangdong.
    app.placement.spread[0].min_groups = Some(3);
    let verdict = decide(&snapshot, &app);
    let reason = verdict.outcome.reason().expect("waits");
    assert_eq!(
        text::workload_reason(reason),
        "12 replicas of web cannot be spread over region/prefectural within region/provincial as \
         asked: 5 groups have room"
    );
    app.placement.spread[0].when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway;
    let verdict = decide(&snapshot, &app);
    assert_eq!(verdict.relaxed, ["region/prefectural".to_owned()].into());
    assert_eq!(on(&verdict, &["a", "b", "c"]), 6, "the other holds");
    // The outer one is given up, and the inner holds inside the groups of its key.
    let mut app = web(12);
    app.placement.spread[1].min_groups = Some(3);
    app.placement.spread[1].when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway;
    let verdict = decide(&snapshot, &app);
    assert_eq!(verdict.relaxed, ["region/provincial".to_owned()].into());
    // Neither can be had.
    app.placement.spread[0].min_groups = Some(4);
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["SpreadUnsatisfiable"]);
    app.placement.spread[0].when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway;
    let verdict = decide(&snapshot, &app);
    assert_eq!(verdict.relaxed.len(), 2);
}

#[test]
fn more_groups_than_there_are_leave_a_soft_spread_even() {
    let members = ["a", "b", "c"].map(|name| {
        let mut one = member(name, "arm", 2, 8);
        one.provider = name.to_owned();
        one
    });
    let snapshot = with(world(), members);
    let mut app = request("app", vec![component("web", 6, 1000)]);
    app.placement.spread = vec![SpreadConstraint {
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        ..over("provider", None, 4, 1)
    }];
    let verdict = decide(&snapshot, &app);
    let even = ["a", "b", "c"].map(|name| (name.to_owned(), 2));
    assert_eq!(by_member(&verdict), even.into());
    assert_eq!(verdict.relaxed, ["provider".to_owned()].into());
}

#[test]
fn copies_go_where_an_outer_group_has_enough_inner_ones() {
    let snapshot = provinces();
    let mut app = web(2);
    app.placement.division.kind = DivisionKind::Duplicated;
    app.placement.spread = vec![
        over("region/provincial", None, 1, 6),
        over("region/prefectural", Some("region/provincial"), 3, 2),
    ];
    let verdict = decide(&snapshot, &app);
    let copies = [("d", 2), ("e", 2), ("f", 2)].map(|(name, copy)| (name.to_owned(), copy));
    assert_eq!(by_member(&verdict), copies.into(), "Guangdong has two");
    app.placement.spread[1].min_groups = Some(2);
    app.placement.spread[1].max_groups = Some(2);
    app.placement.spread[1].max_skew = Some(0);
    let verdict = decide(&snapshot, &app);
    assert_eq!(by_member(&verdict).len(), 4, "two in each: {verdict:#?}");
    app.placement.spread[1].min_groups = Some(4);
    app.placement.spread[1].max_groups = None;
    assert_eq!(shown(&decide(&snapshot, &app)), ["SpreadUnsatisfiable"]);
}

#[test]
fn what_nests_in_nothing_or_in_a_circle_is_refused() {
    let snapshot = provinces();
    let problem = |nesting: &[(&str, &str)]| {
        let mut app = web(2);
        let all = nesting.iter();
        let all = all.map(|(key, within)| {
            over(key, Some(within).filter(|of| !of.is_empty()).copied(), 1, 1)
        });
        app.placement.spread = all.collect();
        let verdict = decide(&snapshot, &app);
        assert_eq!(shown(&verdict), ["Invalid"]);
        text::workload_reason(verdict.outcome.reason().expect("refused"))
    };
    let missing = problem(&[("provider", ""), ("zone", "region")]);
    assert!(
        missing.contains(
            "spread over zone is within region, over which there is no spread: add one, or leave \
             within out"
        ),
        "{missing}"
    );
    let alone = problem(&[("zone", "zone")]);
    assert!(
        alone.contains("spread over zone within zone is a circle"),
        "{alone}"
    );
    let round = problem(&[("member", "zone"), ("zone", "region"), ("region", "zone")]);
    assert!(
        round.contains(
            "spread over zone within region within zone is a circle: leave one within out"
        ),
        "{round}"
    );
}
