use std::collections::{BTreeMap, BTreeSet};

use crate::fixtures::*;
use crate::quota::{Amounts, Key, QuotaTree};
use crate::request::*;
use crate::resources::Resources;
use crate::snapshot::*;
use crate::verdict::{MemberState, Outcome, WorkloadReason};

fn two_members(cores: i64) -> Snapshot {
    with(
        world(),
        [member("a", "arm", 1, cores), member("b", "arm", 1, cores)],
    )
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn two_members_of_ten_take_six_each_of_one_and_a_half() {
    let snapshot = two_members(10);
    let requests: Vec<Request> = (0..20)
        .map(|index| {
            request(
                &format!("w{index:02}"),
                vec![component("Deployment/web", 1, 1500)],
            )
        })
        .collect();
    let verdicts = decide_all(&snapshot, &requests);
    let mut counts = BTreeMap::new();
    for verdict in &verdicts {
        *counts.entry(shown(verdict).join(",")).or_insert(0) += 1;
    }
    assert_eq!(counts["Deployment/web@a/arm=1"], 6);
    assert_eq!(counts["Deployment/web@b/arm=1"], 6);
    assert_eq!(counts["NoMemberFits"], 8);
    assert!(
        verdicts
            .iter()
            .all(|v| !matches!(v.outcome, Outcome::Rejected(_)))
    );
}

#[test]
fn an_application_of_many_parts_stays_together() {
    let snapshot = with(
        world(),
        [member("a", "arm", 3, 8), member("b", "arm", 4, 8)],
    );
    let parts = ["web", "worker", "cache"]
        .map(|name| component(name, 3, 1000))
        .to_vec();
    let verdict = decide(&snapshot, &request("app", parts));
    assert_eq!(
        shown(&verdict),
        ["cache@b/arm=3", "web@b/arm=3", "worker@b/arm=3"]
    );
}

#[test]
fn what_one_member_cannot_hold_goes_on_to_the_next() {
    let snapshot = two_members(10);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 15, 1000)]));
    assert_eq!(shown(&verdict), ["web@a/arm=10", "web@b/arm=5"]);
}

#[test]
fn all_or_nothing() {
    let snapshot = two_members(10);
    let verdict = decide(
        &snapshot,
        &request(
            "app",
            vec![component("a", 15, 1000), component("b", 6, 1000)],
        ),
    );
    let reason = verdict.outcome.reason().unwrap();
    assert_eq!(
        reason,
        &WorkloadReason::NoCapacity {
            component: "b".to_owned(),
            needed: 6,
            fits: 5
        }
    );
}

#[test]
fn capacity_divides_in_proportion() {
    let snapshot = with(
        world(),
        [member("a", "arm", 3, 10), member("b", "arm", 1, 10)],
    );
    let mut app = request("app", vec![component("web", 8, 1000)]);
    app.placement.division.kind = DivisionKind::ByCapacity;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=6", "web@b/arm=2"]
    );
    app.placement.division.kind = DivisionKind::Weighted;
    app.placement.division.weights = [("a".to_owned(), 1), ("b".to_owned(), 3)].into();
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=2", "web@b/arm=6"]
    );
    app.placement.division.kind = DivisionKind::Duplicated;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=8", "web@b/arm=8"]
    );
}

#[test]
fn a_weight_of_nothing_refuses_a_member() {
    let snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 4, 1000)]);
    app.placement.division.kind = DivisionKind::Weighted;
    app.placement.division.weights = [("b".to_owned(), 1)].into();
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@b/arm=4"]);
    assert_eq!(refused(&verdict, "a"), ["NoWeight"]);
}

#[test]
fn scaling_moves_nothing() {
    let mut snapshot = with(
        world(),
        [member("a", "arm", 3, 10), member("b", "arm", 3, 10)],
    );
    let mut app = request("app", vec![component("web", 6, 1000)]);
    app.placement.division.kind = DivisionKind::ByCapacity;
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    assert_eq!(shown(&first), ["web@a/arm=3", "web@b/arm=3"]);
    snapshot = with(snapshot, [member("c", "arm", 9, 10)]);
    assert_eq!(shown(&decide(&snapshot, &app)), shown(&first));
    app.components[0].replicas = 8;
    let grown = decide(&snapshot, &app);
    assert_eq!(shown(&grown), ["web@a/arm=3", "web@b/arm=3", "web@c/arm=2"]);
    app.components[0].replicas = 4;
    let shrunk = decide(&snapshot, &app);
    assert_eq!(shown(&shrunk), ["web@a/arm=2", "web@b/arm=2"]);
    assert!(shrunk.outcome.placed().unwrap().increase.is_empty());
}

#[test]
fn a_full_member_keeps_what_it_has() {
    let mut snapshot = two_members(4);
    let mut app = request("app", vec![component("web", 4, 1000)]);
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    assert_eq!(shown(&first), ["web@a/arm=4"]);
    app.generation = 2;
    assert_eq!(shown(&decide(&snapshot, &app)), ["web@a/arm=4"]);
    app.components[0].replicas = 6;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=4", "web@b/arm=2"]
    );
}

#[test]
fn an_unreachable_member_keeps_its_replicas_and_gets_none() {
    let mut snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 4, 1000)]);
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    snapshot.member_mut("a").unwrap().readiness = Readiness::Unknown { since: NOW - 47 };
    app.components[0].replicas = 7;
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@a/arm=4", "web@b/arm=3"]);
    assert_eq!(refused(&verdict, "a"), ["Unreachable"]);
    let other = decide(
        &snapshot,
        &request("other", vec![component("web", 4, 1000)]),
    );
    assert_eq!(shown(&other), ["web@b/arm=4"]);
}

#[test]
fn every_hard_rule_is_named() {
    let mut far = member("far", "arm", 1, 1);
    far.region = "shenzhen".to_owned();
    far.zone = "internet".to_owned();
    far.mlps = Some(Mlps {
        level: 2,
        valid_until: Some(NOW - 1),
    });
    far.readiness = Readiness::NotReady { since: NOW - 47 };
    far.unschedulable = true;
    far.apis = Some(BTreeSet::new());
    let mut snapshot = with(world(), [far, member("near", "arm", 4, 8)]);
    let city = snapshot.tenants.get_mut("guangzhou").unwrap();
    city.guardrails.residency = Some(names(&["guangzhou"]));
    city.guardrails.mlps_level = Some(3);
    let agency = snapshot.tenants.get_mut("civil-affairs").unwrap();
    agency.guardrails.zones = Some(names(&["cegn-common"]));
    let mut app = request("app", vec![component("web", 4, 2000)]);
    app.required_apis = names(&["apps/v1/Deployment"]);
    app.required_classes = names(&["storage/fast"]);
    let verdict = decide(&snapshot, &app);
    assert_eq!(
        refused(&verdict, "far"),
        [
            "NotReady",
            "Unschedulable",
            "Zone",
            "MlpsLevel",
            "MlpsExpired",
            "Residency",
            "ApiMissing",
            "ClassMissing",
            "Capacity"
        ]
    );
    assert_eq!(refused(&verdict, "near"), ["ClassMissing"]);
    assert_eq!(shown(&verdict), ["NoMemberFits"]);
    let far = verdict.members.iter().find(|m| m.member == "far").unwrap();
    let texts: Vec<String> = far.refusals.iter().map(crate::text::refusal).collect();
    assert_eq!(texts[0], "NotReady: not ready for 47 s (tolerated 30 s)");
    assert_eq!(
        texts[5],
        "Residency: stands in shenzhen, allowed is guangzhou; decided by: guangzhou security administrators"
    );
    assert_eq!(texts[8], "Capacity: web needs 2 cpu, best node has 1 free");
}

#[test]
fn residency_is_containment_in_the_tree() {
    let mut county = member("county", "arm", 1, 8);
    county.region = "panyu".to_owned();
    let mut city = member("city", "arm", 1, 8);
    city.region = "guangzhou".to_owned();
    let mut province = member("province", "arm", 9, 8);
    province.region = "guangdong".to_owned();
    let mut nowhere = member("nowhere", "arm", 9, 8);
    nowhere.region = String::new();
    let mut snapshot = with(world(), [county, city, province, nowhere]);
    let agency = snapshot.tenants.get_mut("civil-affairs").unwrap();
    agency.guardrails.residency = Some(names(&["guangzhou"]));
    let mut app = request("app", vec![component("web", 2, 1000)]);
    app.placement.division.kind = DivisionKind::Duplicated;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@city/arm=2", "web@county/arm=2"]
    );
}

#[test]
fn the_first_tier_that_holds_it_wins() {
    let mut home = member("home", "arm", 1, 4);
    home.owner = "guangzhou".to_owned();
    let mut cloud = member("cloud", "arm", 9, 8);
    cloud.owner = "guangdong".to_owned();
    let mut snapshot = with(world(), [home, cloud]);
    let tier = |name: &str, owner: &str| AffinityTerm {
        name: name.to_owned(),
        owners: names(&[owner]),
        ..AffinityTerm::default()
    };
    let mut app = request("app", vec![component("web", 3, 1000)]);
    app.placement.affinity = vec![tier("home", "guangzhou"), tier("province", "guangdong")];
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@home/arm=3"]);
    assert_eq!(verdict.tier.as_deref(), Some("home"));
    commit(&mut snapshot, &mut app, &verdict);
    app.components[0].replicas = 6;
    let verdict = decide(&snapshot, &app);
    assert_eq!(verdict.tier, None);
    assert_eq!(shown(&verdict), ["web@cloud/arm=2", "web@home/arm=4"]);
    commit(&mut snapshot, &mut app, &verdict);
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        shown(&verdict),
        "it stays where it is"
    );
    app.components[0].replicas = 5;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@cloud/arm=1", "web@home/arm=4"]
    );
    let other = Request {
        key: WorkloadKey::new("civil-affairs", "other"),
        previous: Vec::new(),
        ..app
    };
    let verdict = decide(&snapshot, &other);
    assert_eq!(verdict.tier.as_deref(), Some("province"));
    assert_eq!(shown(&verdict), ["web@cloud/arm=5"]);
}

#[test]
fn quota_refuses_with_its_numbers() {
    let mut snapshot = two_members(10);
    quota(&mut snapshot, "civil-affairs", 2000, 2000);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 6, 1000)]));
    assert_eq!(
        crate::text::verdict(&verdict),
        "QuotaExceeded: needs 6 cpu of arm, 2 left in civil-affairs; bound by the ceiling of civil-affairs"
    );
    quota(&mut snapshot, "guangzhou", 2000, 2000);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 6, 1000)]));
    assert_eq!(shown(&verdict), ["Oversubscribed"]);
}

#[test]
fn a_second_flavor_takes_what_quota_leaves_over() {
    let mut snapshot = with(
        world(),
        [
            member("a", "arm", 1, 10),
            member("b", "arm", 1, 10),
            member("c", "amd", 1, 10),
        ],
    );
    quota(&mut snapshot, "civil-affairs", 4000, 4000);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 6, 1000)]));
    assert_eq!(shown(&verdict), ["web@c/amd=6"]);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 12, 1000)]));
    assert_eq!(shown(&verdict), ["web@a/arm=4", "web@c/amd=8"]);
}

#[test]
fn surge_is_charged_per_member() {
    let mut snapshot = two_members(10);
    quota(&mut snapshot, "civil-affairs", 7000, 7000);
    let mut app = request("app", vec![component("web", 5, 1000)]);
    app.components[0].surge = Surge::Percent(25);
    let verdict = decide(&snapshot, &app);
    let placed = verdict.outcome.placed().unwrap();
    assert_eq!(
        placed.reserved.values().copied().collect::<Vec<i64>>(),
        [7000]
    );
    app.components[0].replicas = 6;
    assert_eq!(shown(&decide(&snapshot, &app)), ["QuotaExceeded"]);
}

#[test]
fn a_batch_charges_as_it_goes() {
    let mut snapshot = two_members(10);
    quota(&mut snapshot, "civil-affairs", 5000, 5000);
    let requests: Vec<Request> = (0..3)
        .map(|i| request(&format!("w{i}"), vec![component("web", 1, 2000)]))
        .collect();
    let codes: Vec<&str> = decide_all(&snapshot, &requests)
        .iter()
        .map(|verdict| verdict.outcome.code())
        .collect();
    assert_eq!(codes, ["Placed", "Placed", "Waiting"]);
}

#[test]
fn priority_goes_first_then_age_then_name() {
    let snapshot = with(world(), [member("a", "arm", 1, 1)]);
    let one = |name: &str, priority, created| Request {
        created,
        priority,
        ..request(name, vec![component("web", 1, 1000)])
    };
    let requests = [one("old", 0, 1), one("new", 0, 2), one("urgent", 9, 3)];
    let verdicts = decide_all(&snapshot, &requests);
    let order: Vec<&str> = verdicts
        .iter()
        .map(|verdict| verdict.key.name.as_str())
        .collect();
    assert_eq!(order, ["urgent", "old", "new"]);
    assert_eq!(verdicts[0].outcome.code(), "Placed");
    assert_eq!(verdicts[1].outcome.code(), "Waiting");
}

#[test]
fn images_decide_on_architectures() {
    let snapshot = with(
        world(),
        [member("a", "arm", 2, 10), member("x", "amd", 1, 10)],
    );
    let mut app = request("app", vec![component("web", 4, 1000)]);
    app.components[0].architectures = names(&["amd64"]);
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@x/amd=4"]);
    assert_eq!(refused(&verdict, "a"), ["Architecture"]);
    app.placement.requirements.arch = names(&["arm64"]);
    assert_eq!(shown(&decide(&snapshot, &app)), ["NoMemberFits"]);
}

#[test]
fn a_label_that_no_sketch_reports_is_waited_for() {
    let snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 1, 1000)]);
    app.components[0].node_selector = [("disk".to_owned(), "ssd".to_owned())].into();
    let verdict = decide(&snapshot, &app);
    assert_eq!(
        verdict.outcome,
        Outcome::Waiting(WorkloadReason::SketchLabel {
            key: "disk".to_owned()
        })
    );
}

#[test]
fn no_sketch_is_unknown_and_not_zero() {
    let mut silent = member("silent", "arm", 1, 10);
    silent.sketch = None;
    let snapshot = with(world(), [silent]);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 1, 1000)]));
    assert_eq!(verdict.outcome.code(), "Waiting");
    assert_eq!(refused(&verdict, "silent"), ["NoSketch"]);
}

#[test]
fn one_member_kinds_do_not_divide_and_data_stays() {
    let mut snapshot = two_members(10);
    let mut app = request("db", vec![component("StatefulSet/db", 3, 2000)]);
    app.components[0].division = Division::OneMember;
    app.components[0].pinned_data = true;
    let first = decide(&snapshot, &app);
    assert_eq!(shown(&first), ["StatefulSet/db@a/arm=3"]);
    commit(&mut snapshot, &mut app, &first);
    app.components[0].replicas = 6;
    assert_eq!(shown(&decide(&snapshot, &app)), ["NoCapacity"]);
    snapshot.member_mut("a").unwrap().zone = "internet".to_owned();
    app.placement.requirements.zone = Some("cegn-common".to_owned());
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["DataPinned"]);
    assert!(crate::text::verdict(&verdict).contains("holds data on a"));
}

#[test]
fn a_daemon_runs_on_every_node_of_the_chosen_members() {
    let snapshot = with(
        world(),
        [member("a", "arm", 3, 4), member("b", "arm", 7, 4)],
    );
    let mut daemon = component("DaemonSet/log", 0, 100);
    daemon.division = Division::EveryMatchingNode;
    let mut app = request("app", vec![component("web", 2, 1000), daemon]);
    app.placement.affinity = vec![AffinityTerm {
        name: "a".to_owned(),
        members: names(&["a"]),
        ..AffinityTerm::default()
    }];
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["DaemonSet/log@a/arm=3", "web@a/arm=2"]);
}

#[test]
fn spread_is_kept_or_the_workload_waits() {
    let mut b = member("b", "arm", 1, 10);
    b.provider = "alibaba".to_owned();
    let snapshot = with(
        world(),
        [member("a", "arm", 1, 10), b, member("c", "arm", 1, 10)],
    );
    let mut app = request("app", vec![component("web", 6, 1000)]);
    app.placement.spread = vec![SpreadConstraint {
        topology_key: "provider".to_owned(),
        max_skew: Some(1),
        min_groups: Some(2),
        ..SpreadConstraint::default()
    }];
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@a/arm=3", "web@b/arm=3"]);
    app.placement.spread[0].min_groups = Some(3);
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["SpreadUnsatisfiable"]);
    app.placement.spread[0].when_unsatisfiable = WhenUnsatisfiable::ScheduleAnyway;
    let verdict = decide(&snapshot, &app);
    assert_eq!(verdict.outcome.code(), "Placed");
    assert_eq!(verdict.relaxed, names(&["provider"]));
}

#[test]
fn nothing_to_run_is_carried() {
    let snapshot = two_members(1);
    let mut app = request("settings", Vec::new());
    assert_eq!(shown(&decide(&snapshot, &app)), ["+a"]);
    app.placement.division.kind = DivisionKind::Duplicated;
    assert_eq!(shown(&decide(&snapshot, &app)), ["+a", "+b"]);
}

#[test]
fn no_replicas_keep_the_objects_where_they_are() {
    let mut snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 15, 1000)]);
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    app.components[0].replicas = 0;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=0", "web@b/arm=0"]
    );
}

#[test]
fn larger_replicas_must_fit_as_new_ones() {
    let mut snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 5, 1000)]);
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    app.components[0].per_replica = Resources::new().with("cpu", 2000);
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@a/arm=2", "web@b/arm=3"]);
}

#[test]
fn bounds_per_member_are_kept() {
    let snapshot = with(
        world(),
        ["a", "b", "c"].map(|name| member(name, "arm", 1, 10)),
    );
    let mut app = request("app", vec![component("web", 7, 1000)]);
    app.placement.division.max_per_member = Some(3);
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=3", "web@b/arm=3", "web@c/arm=1"]
    );
    app.placement.division.max_per_member = Some(2);
    assert_eq!(shown(&decide(&snapshot, &app)), ["DivisionUnsatisfiable"]);
    app.placement.division.kind = DivisionKind::ByCapacity;
    app.placement.division.max_per_member = None;
    app.placement.division.min_per_member = Some(3);
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=4", "web@b/arm=3"]
    );
}

#[test]
fn contradictions_are_rejected_with_their_fix() {
    let snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 7, 1000)]);
    app.placement.division.min_per_member = Some(3);
    app.placement.division.max_per_member = Some(2);
    let verdict = decide(&snapshot, &app);
    assert!(matches!(
        verdict.outcome,
        Outcome::Rejected(WorkloadReason::Invalid { .. })
    ));
    app.tenant = "nobody".to_owned();
    app.placement = PlacementSpec::default();
    assert_eq!(shown(&decide(&snapshot, &app)), ["TenantUnknown"]);
}

#[test]
fn members_that_could_have_taken_it_are_feasible() {
    let snapshot = two_members(10);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 1, 1000)]));
    let states: Vec<MemberState> = verdict.members.iter().map(|member| member.state).collect();
    assert_eq!(states, [MemberState::Chosen, MemberState::Feasible]);
    assert!(verdict.members.iter().all(|member| member.scores.is_some()));
}

#[test]
fn a_snapshot_survives_its_own_text() {
    let mut snapshot = two_members(10);
    let mut app = request("app", vec![component("web", 3, 1000)]);
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    let text = serde_json::to_string(&snapshot).unwrap();
    let again: Snapshot = serde_json::from_str(&text).unwrap();
    let left = serde_json::to_string(&decide(&snapshot, &app)).unwrap();
    let right = serde_json::to_string(&decide(&again, &app)).unwrap();
    assert_eq!(left, right);
}

/// The divisions that comparisons of code prefixes break on: a city without counties, a county
/// directly under its province, and a district of a municipality.
#[test]
fn levels_of_the_region_tree_are_topologies() {
    let snapshot = regions();
    let standing = [
        ("a", "panyu", ["guangdong", "guangzhou", "panyu"]),
        ("b", "guangzhou", ["guangdong", "guangzhou", "guangzhou"]),
        ("c", "dongguan", ["guangdong", "dongguan", "dongguan"]),
        ("d", "wuzhishan", ["hainan", "wuzhishan", "wuzhishan"]),
        ("e", "hainan-zone", ["hainan", "hainan-zone", "hainan-zone"]),
        ("f", "hainan", ["hainan", "hainan", "hainan"]),
    ];
    let members = standing.map(|(name, region, _)| {
        let mut one = member(name, "arm", 2, 8);
        one.region = region.to_owned();
        one
    });
    let snapshot = with(snapshot, members);
    let fleet = crate::fleet::Fleet::new(snapshot.clone(), 30);
    let keys = ["region/provincial", "region/prefectural", "region/county"];
    for (site, (name, _, expected)) in fleet.sites.iter().zip(standing) {
        let found = keys.map(|key| crate::rules::topology(site, key).unwrap_or(""));
        assert_eq!(found, expected, "{name}");
    }
    // Two provinces, evenly: the checker judges by a walk of its own.
    let mut app = request("app", vec![component("web", 8, 1000)]);
    app.placement.spread = vec![SpreadConstraint {
        topology_key: "region/provincial".to_owned(),
        max_skew: Some(0),
        min_groups: Some(2),
        ..SpreadConstraint::default()
    }];
    let verdict = decide(&snapshot, &app);
    let placed = verdict.outcome.placed().expect("placed");
    let in_hainan = placed.assignments.iter();
    let in_hainan = in_hainan.filter(|of| ["d", "e", "f"].contains(&of.member.as_str()));
    assert_eq!(in_hainan.map(|of| of.replicas).sum::<i64>(), 4);
    app.placement.spread[0].topology_key = "region/prefectural".to_owned();
    app.placement.spread[0].min_groups = Some(5);
    let verdict = decide(&snapshot, &app);
    assert!(verdict.outcome.placed().is_none(), "8 over 5 without skew");
    app.placement.spread[0].max_skew = Some(1);
    let verdict = decide(&snapshot, &app);
    assert!(verdict.outcome.placed().is_some(), "{:?}", verdict.outcome);
}

#[test]
fn a_region_without_a_tenant_is_known_by_its_name() {
    let mut one = member("one", "arm", 1, 8);
    one.region = "new-district".to_owned();
    let mut snapshot = with(world(), [one, member("two", "arm", 1, 8)]);
    let agency = snapshot.tenants.get_mut("civil-affairs").unwrap();
    agency.guardrails.residency = Some(names(&["new-district"]));
    let app = request("app", vec![component("web", 2, 1000)]);
    let verdict = decide(&snapshot, &app);
    assert_eq!(shown(&verdict), ["web@one/arm=2"]);
}

/// Two agencies of one city that share what it has: `health` borrows, `civil-affairs` does not.
fn two_agencies(each: i64) -> Snapshot {
    let mut snapshot = with(world(), [member("a", "arm", 4, 16)]);
    let health = Tenant {
        parent: Some("guangzhou".to_owned()),
        ..Tenant::default()
    };
    snapshot.tenants.insert("health".to_owned(), health);
    quota(&mut snapshot, "civil-affairs", each, 1 << 40);
    let mut nodes = snapshot.quotas.export();
    let key = Key::new("arm", "cpu");
    for node in &mut nodes {
        let nominal = match &*node.name {
            "health" | "civil-affairs" => each,
            "guangzhou" => 2 * each,
            _ => 1 << 40,
        };
        let line = node.lines.entry(key.clone()).or_default();
        line.nominal = nominal;
        line.ceiling = 1 << 40;
    }
    snapshot.quotas = QuotaTree::build(&nodes).0;
    snapshot
}

#[test]
fn of_equal_priority_who_borrows_least_is_decided_first() {
    let mut snapshot = two_agencies(4000);
    let health = snapshot.quotas.node("health").unwrap();
    let used = Amounts::from([(Key::new("arm", "cpu"), 6000)]);
    snapshot.quotas.charge(health, &used).unwrap();
    let mut old = request("old", vec![component("web", 1, 1000)]);
    old.tenant = "health".to_owned();
    old.created = 1;
    let mut young = request("young", vec![component("web", 1, 1000)]);
    young.created = 9;
    let asked = [old.clone(), young.clone()];
    let order = |asked: &[Request]| -> Vec<String> {
        let verdicts = decide_all(&snapshot, asked);
        let names = verdicts.iter().map(|of| of.key.name.clone());
        names.collect()
    };
    assert_eq!(order(&asked), ["young", "old"]);
    // Priority comes before fairness, and an emergency before priority.
    old.priority = 5;
    assert_eq!(order(&[old.clone(), young.clone()]), ["old", "young"]);
    young.emergency = true;
    assert_eq!(order(&[old, young]), ["young", "old"]);
}

#[test]
fn tenants_take_turns_as_they_come_to_borrow() {
    let snapshot = two_agencies(1000);
    let mut asked = Vec::new();
    for (name, tenant) in [("c", "civil-affairs"), ("h", "health")] {
        for number in 0..4 {
            let mut one = request(&format!("{name}{number}"), vec![component("web", 1, 1000)]);
            one.tenant = tenant.to_owned();
            // All of one are older than any of the other.
            one.created = if tenant == "health" { 10 } else { 1 } + number;
            asked.push(one);
        }
    }
    let names: Vec<String> = decide_all(&snapshot, &asked)
        .iter()
        .map(|of| of.key.name.clone())
        .collect();
    // The first of each is within its nominal; from then on the one that borrows less goes.
    assert_eq!(names, ["c0", "c1", "h0", "h1", "c2", "h2", "c3", "h3"]);
}
