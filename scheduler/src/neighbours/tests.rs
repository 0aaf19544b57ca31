use proptest::prelude::*;

use crate::check::check;
use crate::config::Config;
use crate::engine::Engine;
use crate::fixtures::{
    commit, component, decide, decide_all, member, refused, request, shown, with, world,
};
use crate::request::{
    LabelOp, LabelRequirement, NeighbourKind, NeighbourRule, Request, WhenUnsatisfiable,
    WorkloadKey,
};
use crate::snapshot::{Member, Neighbour, Snapshot, Tenant};
use crate::text;
use crate::verdict::{EventKind, Outcome, Verdict, WorkloadReason};

const TENANT: &str = "civil-affairs";

/// Two members in one zone and one in another.
fn zones() -> Snapshot {
    let place = |name: &str, zone: &str| Member {
        zone: zone.to_owned(),
        ..member(name, "arm", 1, 4)
    };
    let all = [place("a1", "a"), place("a2", "a"), place("b1", "b")];
    with(world(), all)
}

fn rule(kind: NeighbourKind, app: &str, key: &str) -> NeighbourRule {
    NeighbourRule {
        kind,
        selector: vec![LabelRequirement {
            key: "app".to_owned(),
            op: LabelOp::In,
            values: vec![app.to_owned()],
        }],
        topology_key: key.to_owned(),
        ..NeighbourRule::default()
    }
}

fn near(app: &str) -> NeighbourRule {
    rule(NeighbourKind::Near, app, "zone")
}

fn apart(app: &str) -> NeighbourRule {
    rule(NeighbourKind::Apart, app, "zone")
}

fn soft(rule: NeighbourRule) -> NeighbourRule {
    NeighbourRule {
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        ..rule
    }
}

/// So many replicas of a core each, labelled by the workload's own name.
fn asked(name: &str, replicas: i64, rules: impl IntoIterator<Item = NeighbourRule>) -> Request {
    let mut asked = request(name, vec![component("web", replicas, 1000)]);
    asked.labels.insert("app".to_owned(), name.to_owned());
    asked.placement.neighbours.extend(rules);
    asked
}

/// Places a workload on these members alone, and commits it.
fn stands(snapshot: &mut Snapshot, request: &Request, members: &[&str]) -> Request {
    let mut there = request.clone();
    for name in snapshot.members.keys() {
        if !members.contains(&name.as_str()) {
            there.placement.exclude.insert(name.clone());
        }
    }
    let verdict = decide(snapshot, &there);
    assert!(verdict.outcome.placed().is_some(), "{:?}", verdict.outcome);
    commit(snapshot, &mut there, &verdict);
    there.placement.exclude.clear();
    there
}

/// What is known of one that holds something.
fn of<'s>(snapshot: &'s mut Snapshot, name: &str) -> &'s mut Neighbour {
    let all = snapshot.neighbours.get_mut(TENANT).unwrap();
    all.get_mut(&WorkloadKey::new(TENANT, name)).unwrap()
}

fn said(verdict: &Verdict, name: &str) -> Vec<String> {
    let of = verdict.members.iter().find(|of| of.member == name).unwrap();
    of.refusals.iter().map(text::refusal).collect()
}

#[test]
fn near_is_where_the_others_have_replicas() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["b1"]);
    let verdict = decide(&snapshot, &asked("web", 3, [near("db")]));
    assert_eq!(shown(&verdict), ["web@b1/arm=3"]);
    let expected = "WorkloadAffinity: no workload that app=db selects has replicas in zone a";
    assert_eq!(said(&verdict, "a1"), [expected]);
    // What does not fit there goes nowhere else, and none of it.
    let verdict = decide(&snapshot, &asked("web", 4, [near("db")]));
    assert_eq!(shown(&verdict), ["NoCapacity"]);
    // The group and not the member is meant; one of several is enough.
    stands(&mut snapshot, &asked("cache", 1, []), &["a2"]);
    let verdict = decide(&snapshot, &asked("web", 4, [near("cache")]));
    assert_eq!(shown(&verdict), ["web@a1/arm=4"]);
    let both = decide(&snapshot, &asked("web", 1, [near("cache"), near("db")]));
    assert_eq!(shown(&both), ["NoMemberFits"], "no zone has both");
}

#[test]
fn near_nobody_waits_unless_it_is_one_of_them() {
    let snapshot = zones();
    let verdict = decide(&snapshot, &asked("web", 1, [near("db")]));
    let Outcome::Waiting(reason @ WorkloadReason::NoNeighbour { .. }) = &verdict.outcome else {
        panic!("{:?}", verdict.outcome)
    };
    let expected = "WorkloadAffinity: it is to be near workloads that app=db selects, by zone, and \
                    no other of the tenant has replicas";
    assert_eq!(text::verdict(&verdict), expected);
    assert!(reason.unblocked_by().contains(&EventKind::NeighbourChanged));
    assert_eq!(refused(&verdict, "a1"), ["WorkloadAffinity"]);

    // It may begin, wherever it finds room; then its own replicas are company enough.
    let mut snapshot = zones();
    let mut own = asked("db", 9, [near("db")]);
    let first = decide(&snapshot, &own);
    assert_eq!(first.outcome.placed().unwrap().members().len(), 3);
    commit(&mut snapshot, &mut own, &first);
    own.components[0].replicas = 10;
    assert!(decide(&snapshot, &own).outcome.placed().is_some());
    // Another of them stays with it.
    let mut snapshot = zones();
    stands(&mut snapshot, &own.clone(), &["a1", "a2", "b1"]);
    of(&mut snapshot, "db").on = ["b1".to_owned()].into();
    let mut second = asked("second", 1, [near("db")]);
    second.labels.insert("app".to_owned(), "db".to_owned());
    let refused = refused(&decide(&snapshot, &second), "a1");
    assert!(refused.contains(&"WorkloadAffinity"), "{refused:?}");
}

#[test]
fn what_is_leaving_is_no_company_and_still_in_the_way() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["b1"]);
    let one = of(&mut snapshot, "db");
    one.leaving = std::mem::take(&mut one.on);
    let verdict = decide(&snapshot, &asked("web", 1, [near("db")]));
    assert_eq!(shown(&verdict), ["WorkloadAffinity"]);
    let verdict = decide(&snapshot, &asked("web", 1, [apart("db")]));
    let expected = "WorkloadAntiAffinity: civil-affairs/db, which app=db selects, is still leaving \
                    zone b";
    assert_eq!(said(&verdict, "b1"), [expected]);
    // One that is there already is not driven away by what goes; it does not grow there either.
    let mut there = stands(&mut snapshot, &asked("web", 2, []), &["b1"]);
    there.placement.neighbours.push(apart("db"));
    assert_eq!(shown(&decide(&snapshot, &there)), ["web@b1/arm=2"]);
    there.components[0].replicas = 3;
    assert_eq!(
        shown(&decide(&snapshot, &there)),
        ["web@a1/arm=1", "web@b1/arm=2"]
    );
}

#[test]
fn apart_is_kept_from_both_sides() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["a2"]);
    let mut web = asked("web", 1, [apart("db")]);
    let verdict = decide(&snapshot, &web);
    assert_eq!(shown(&verdict), ["web@b1/arm=1"]);
    let expected = "WorkloadAntiAffinity: civil-affairs/db, which app=db selects, has replicas in \
                    zone a";
    assert_eq!(said(&verdict, "a1"), [expected]);
    commit(&mut snapshot, &mut web, &verdict);
    // `other` says nothing, and is kept out where it is selected.
    let mut other = asked("other", 5, []);
    assert_eq!(refused(&decide(&snapshot, &other), "b1"), [""; 0]);
    other.labels.insert("app".to_owned(), "db".to_owned());
    let verdict = decide(&snapshot, &other);
    assert_eq!(shown(&verdict), ["web@a1/arm=4", "web@a2/arm=1"]);
    let expected =
        "WorkloadAntiAffinity: civil-affairs/web keeps what app=db selects out of zone b";
    assert_eq!(said(&verdict, "b1"), [expected]);
    // Also while the one that keeps it out is leaving, and not when its rule is a wish.
    let one = of(&mut snapshot, "web");
    one.leaving = std::mem::take(&mut one.on);
    assert_eq!(
        refused(&decide(&snapshot, &other), "b1"),
        ["WorkloadAntiAffinity"]
    );
    of(&mut snapshot, "web").keeps_out.clear();
    assert_eq!(refused(&decide(&snapshot, &other), "b1"), [""; 0]);
}

#[test]
fn a_rule_moves_its_own_workload_and_not_another() {
    let mut snapshot = zones();
    let mut web = stands(&mut snapshot, &asked("web", 1, []), &["b1"]);
    let db = stands(&mut snapshot, &asked("db", 1, []), &["b1"]);
    web.placement.neighbours.push(apart("db"));
    of(&mut snapshot, "web").keeps_out.push(apart("db"));
    assert_eq!(shown(&decide(&snapshot, &web)), ["web@a1/arm=1"]);
    // What `db` has it keeps; it gets nothing more there.
    assert_eq!(shown(&decide(&snapshot, &db)), ["web@b1/arm=1"]);
    let mut more = db;
    more.components[0].replicas = 2;
    assert_eq!(
        shown(&decide(&snapshot, &more)),
        ["web@a1/arm=1", "web@b1/arm=1"]
    );
}

#[test]
fn another_tenant_is_neither_seen_nor_kept_away() {
    let mut snapshot = zones();
    let health = Tenant {
        parent: Some("guangzhou".to_owned()),
        ..Tenant::default()
    };
    snapshot.tenants.insert("health".to_owned(), health);
    crate::fixtures::quota(&mut snapshot, "civil-affairs", 1 << 40, 1 << 40);
    stands(&mut snapshot, &asked("db", 1, [apart("web")]), &["a1"]);
    let mut web = asked("web", 1, []);
    web.tenant = "health".to_owned();
    assert_eq!(refused(&decide(&snapshot, &web), "a1"), [""; 0]);
    web.placement.neighbours = vec![near("db")];
    assert_eq!(shown(&decide(&snapshot, &web)), ["WorkloadAffinity"]);
    web.placement.neighbours = vec![apart("db")];
    assert_eq!(refused(&decide(&snapshot, &web), "a1"), [""; 0]);
    // All of one tenant's namespaces are one.
    web.tenant = TENANT.to_owned();
    web.key.namespace = "civil-affairs-test".to_owned();
    assert_eq!(refused(&decide(&snapshot, &web), "a1").len(), 2);
}

#[test]
fn decisions_of_one_batch_see_each_other() {
    let snapshot = zones();
    let first = Request {
        priority: 1,
        ..asked("db", 1, [])
    };
    let all = [
        asked("near", 5, [near("db")]),
        first.clone(),
        asked("apart", 1, [apart("db")]),
    ];
    let verdicts = decide_all(&snapshot, &all);
    let names: Vec<_> = verdicts.iter().map(|of| of.key.name.clone()).collect();
    assert_eq!(names, ["db", "apart", "near"]);
    assert_eq!(shown(&verdicts[0]), ["web@a1/arm=1"]);
    assert_eq!(shown(&verdicts[1]), ["web@b1/arm=1"]);
    assert_eq!(shown(&verdicts[2]), ["web@a1/arm=1", "web@a2/arm=4"]);
    // Two that keep apart from each other do not share a zone, whoever comes first.
    let each = |name: &str| {
        let mut of = asked(name, 1, [apart("x")]);
        of.labels.insert("app".to_owned(), "x".to_owned());
        of
    };
    let verdicts = decide_all(&snapshot, &[each("one"), each("two"), each("three")]);
    let outcomes: Vec<_> = verdicts.iter().map(|of| shown(of).remove(0)).collect();
    assert_eq!(outcomes, ["web@a1/arm=1", "web@b1/arm=1", "NoMemberFits"]);
    // One that moves in the batch is still in the way where it was, and no company there.
    let mut snapshot = zones();
    let mut db = stands(&mut snapshot, &first, &["b1"]);
    db.placement.exclude.insert("b1".to_owned());
    let verdicts = decide_all(
        &snapshot,
        &[db, all[0].clone(), asked("not", 1, [apart("db")])],
    );
    assert_eq!(shown(&verdicts[0]), ["web@a1/arm=1"]);
    assert_eq!(shown(&verdicts[1]), ["web@a1/arm=1", "web@a2/arm=4"]);
    assert_eq!(shown(&verdicts[2]), ["NoMemberFits"]);
}

#[test]
fn a_wish_is_kept_where_all_of_it_can_be() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["b1"]);
    let verdict = decide(&snapshot, &asked("web", 3, [soft(near("db"))]));
    assert_eq!(shown(&verdict), ["web@b1/arm=3"]);
    assert!(verdict.relaxed_neighbours.is_empty());
    // Else members that keep it come first, and the verdict says so.
    let verdict = decide(&snapshot, &asked("web", 5, [soft(near("db"))]));
    assert_eq!(shown(&verdict), ["web@a1/arm=2", "web@b1/arm=3"]);
    assert_eq!(verdict.relaxed_neighbours, ["zone".to_owned()].into());
    let verdict = decide(&snapshot, &asked("web", 8, [soft(apart("db"))]));
    assert_eq!(shown(&verdict), ["web@a1/arm=4", "web@a2/arm=4"]);
    let verdict = decide(&snapshot, &asked("web", 9, [soft(apart("db"))]));
    assert_eq!(verdict.relaxed_neighbours, ["zone".to_owned()].into());
    let verdict = decide(&snapshot, &asked("web", 1, [soft(near("nobody"))]));
    assert_eq!(shown(&verdict), ["web@a1/arm=1"]);
    // It moves nothing that is there.
    let mut web = stands(&mut snapshot, &asked("web", 1, []), &["a2"]);
    web.placement.neighbours = vec![soft(near("db"))];
    web.components[0].replicas = 2;
    assert_eq!(shown(&decide(&snapshot, &web)), ["web@a2/arm=2"]);
}

#[test]
fn a_member_without_a_value_has_no_neighbours() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["a1"]);
    for kind in [NeighbourKind::Near, NeighbourKind::Apart] {
        let rule = rule(kind, "db", "label:rack");
        let verdict = decide(&snapshot, &asked("web", 1, [rule]));
        assert_eq!(refused(&verdict, "a1")[0], "NoTopology");
    }
    // Nor does it keep others out.
    of(&mut snapshot, "db").keeps_out = vec![rule(NeighbourKind::Apart, "web", "label:rack")];
    assert_eq!(
        refused(&decide(&snapshot, &asked("web", 1, [])), "a1"),
        [""; 0]
    );
    for key in ["", "label:", "region/city"] {
        let rule = rule(NeighbourKind::Near, "db", key);
        let verdict = decide(&snapshot, &asked("web", 1, [rule]));
        let said = text::verdict(&verdict);
        assert!(
            said.contains("workloads Affinity has topologyKey"),
            "{said}"
        );
    }
}

#[test]
fn the_hash_takes_in_those_that_count_and_no_others() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["a1"]);
    stands(&mut snapshot, &asked("other", 1, []), &["a1"]);
    let web = asked("web", 1, [near("db")]);
    let silent = asked("silent", 1, []);
    let hashes = |snapshot: &Snapshot| [&web, &silent].map(|of| decide(snapshot, of).inputs_hash);
    let [first, quiet] = hashes(&snapshot);
    of(&mut snapshot, "other").on.insert("b1".to_owned());
    assert_eq!(hashes(&snapshot), [first.clone(), quiet.clone()]);
    of(&mut snapshot, "db").on.insert("b1".to_owned());
    let [second, same] = hashes(&snapshot);
    assert!(second != first && same == quiet);
    of(&mut snapshot, "other").keeps_out.push(apart("silent"));
    assert_ne!(hashes(&snapshot)[1], quiet);
}

#[test]
fn the_checker_finds_each_broken_rule() {
    let mut snapshot = zones();
    stands(&mut snapshot, &asked("db", 1, []), &["a1"]);
    let rules_of = |snapshot: &Snapshot, asked: &Request, decided: &Request| {
        let all = std::slice::from_ref(decided);
        let config = Config::default();
        let verdicts = crate::schedule::schedule(snapshot, all, &config);
        let found = check(snapshot, std::slice::from_ref(asked), &verdicts, &config);
        let texts = found.iter().map(ToString::to_string);
        texts
            .filter(|text| text.contains("workload"))
            .collect::<Vec<_>>()
    };
    let free = |exclude: &[&str]| {
        let mut free = asked("web", 1, []);
        free.placement.exclude = exclude.iter().map(|&name| name.to_owned()).collect();
        free
    };
    let (on_a, on_b) = (free(&["b1"]), free(&["a1", "a2"]));
    let ruled = |rule| asked("web", 1, [rule]);
    let broken = |rule, at: &str| vec![format!("civil-affairs/web on {at} breaks rule {rule}")];
    let nothing = Vec::<String>::new();
    assert_eq!(rules_of(&snapshot, &ruled(near("db")), &on_a), nothing);
    let near_broken = broken("near other workloads", "b1");
    assert_eq!(rules_of(&snapshot, &ruled(near("db")), &on_b), near_broken);
    assert_eq!(rules_of(&snapshot, &ruled(near("x")), &on_b), near_broken);
    assert_eq!(rules_of(&snapshot, &ruled(near("web")), &on_b), nothing);
    let apart_broken = broken("apart from other workloads", "a2");
    assert_eq!(
        rules_of(&snapshot, &ruled(apart("db")), &on_a),
        apart_broken
    );
    assert_eq!(rules_of(&snapshot, &ruled(apart("db")), &on_b), nothing);
    of(&mut snapshot, "db").keeps_out.push(apart("web"));
    let silent = asked("web", 1, []);
    let unruled = |snapshot: &Snapshot, decided: &Request| {
        // The verdict of a snapshot in which nobody keeps anybody out.
        let mut blind = snapshot.clone();
        blind.neighbours.clear();
        let (all, config) = (std::slice::from_ref(decided), Config::default());
        let verdicts = crate::schedule::schedule(&blind, all, &config);
        let found = check(snapshot, std::slice::from_ref(&silent), &verdicts, &config);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let kept_out = broken("kept out by another workload", "a2");
    assert_eq!(unruled(&snapshot, &on_a), kept_out);
    assert_eq!(unruled(&snapshot, &on_b), nothing);
}

#[test]
fn a_batch_that_ends_is_forgotten() {
    let mut engine = Engine::new(zones(), Config::default());
    let db = asked("db", 1, [apart("web")]);
    let web = asked("web", 1, [near("db")]);
    let first = engine.batch().decide(&web);
    {
        let mut batch = engine.batch();
        assert!(batch.decide(&db).outcome.placed().is_some());
        assert_eq!(refused(&batch.decide(&web), "a1").len(), 1);
    }
    assert_eq!(engine.batch().decide(&web), first);
}

/// Which members a request may use, by the definition.
fn allowed(snapshot: &Snapshot, asked: &Request, wishes: bool) -> Vec<String> {
    let value = |name: &str, key: &str| match key {
        "zone" => snapshot.members[name].zone.clone(),
        _ => name.to_owned(),
    };
    let selects = |rule: &NeighbourRule, labels: &std::collections::BTreeMap<String, String>| {
        let wanted = &rule.selector[0].values[0];
        labels.get("app") == Some(wanted)
    };
    let all: Vec<_> = snapshot
        .neighbours
        .get(TENANT)
        .into_iter()
        .flatten()
        .collect();
    let fine = |name: &str| {
        let own = asked.placement.neighbours.iter().all(|rule| {
            let key = &rule.topology_key;
            let same = |other: &String| value(other, key) == value(name, key);
            let mut meant = all.iter().filter(|(_, of)| selects(rule, &of.labels));
            let none = meant.clone().all(|(_, of)| of.on.is_empty());
            let kept = match rule.kind {
                NeighbourKind::Near => {
                    meant.any(|(_, of)| of.on.iter().any(same))
                        || none && selects(rule, &asked.labels)
                }
                NeighbourKind::Apart => {
                    !meant.any(|(_, of)| of.on.iter().chain(&of.leaving).any(same))
                }
            };
            kept || !(rule.is_hard() || wishes)
        });
        let out = all.iter().any(|(_, of)| {
            of.keeps_out.iter().any(|rule| {
                let key = &rule.topology_key;
                let same = |other: &String| value(other, key) == value(name, key);
                selects(rule, &asked.labels) && of.on.iter().chain(&of.leaving).any(same)
            })
        });
        own && !out
    };
    let names = snapshot.members.keys();
    names.filter(|name| fine(name)).cloned().collect()
}

fn any_rule() -> impl Strategy<Value = NeighbourRule> {
    let app = prop::sample::select(vec!["x", "y"]);
    let key = prop::sample::select(vec!["zone", "member"]);
    (any::<bool>(), app, key, 0_u8..3).prop_map(|(apart, app, key, wish)| {
        let kind = if apart {
            NeighbourKind::Apart
        } else {
            NeighbourKind::Near
        };
        let one = rule(kind, app, key);
        if wish == 0 { soft(one) } else { one }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A workload is placed exactly where brute force finds room for it, on no other members, and
    /// keeps its wishes exactly where all of it can.
    #[test]
    fn it_is_placed_where_brute_force_finds_room(
        zones in prop::collection::vec((0_usize..3, 1_i64..4), 1..6),
        others in prop::collection::vec(
            (
                prop::sample::select(vec!["x", "y", "z"]),
                prop::collection::btree_set(0_usize..6, 0..3),
                prop::collection::btree_set(0_usize..6, 0..2),
                prop::collection::vec(any_rule(), 0..2),
            ),
            0..4,
        ),
        (app, replicas) in (prop::sample::select(vec!["x", "y", "z"]), 1_i64..9),
        rules in prop::collection::vec(any_rule(), 0..3),
    ) {
        let members = zones.iter().enumerate().map(|(index, (zone, cores))| Member {
            zone: ["a", "b", "c"][*zone].to_owned(),
            ..member(&format!("m{index}"), "arm", 1, *cores)
        });
        let mut snapshot = with(world(), members);
        let named = |all: &std::collections::BTreeSet<usize>| {
            let names = all.iter().filter(|index| **index < zones.len());
            names.map(|index| format!("m{index}")).collect::<std::collections::BTreeSet<_>>()
        };
        for (index, (app, on, leaving, rules)) in others.iter().enumerate() {
            let of = Neighbour {
                labels: [("app".to_owned(), (*app).to_owned())].into(),
                keeps_out: rules.iter().filter(|rule| rule.keeps_out()).cloned().collect(),
                on: named(on),
                leaving: named(leaving),
            };
            let all = snapshot.neighbours.entry(TENANT.to_owned()).or_default();
            all.insert(WorkloadKey::new(TENANT, format!("o{index}")), of);
        }
        let mut web = asked("web", replicas, rules);
        web.labels.insert("app".to_owned(), app.to_owned());
        let verdict = decide(&snapshot, &web);
        let room = |names: &[String]| {
            let index = |name: &String| name[1..].parse::<usize>().unwrap();
            names.iter().map(|name| zones[index(name)].1).sum::<i64>()
        };
        let (may, wished) = (allowed(&snapshot, &web, false), allowed(&snapshot, &web, true));
        let placed = verdict.outcome.placed();
        prop_assert_eq!(placed.is_some(), room(&may) >= replicas, "{:?}", &verdict.outcome);
        if let Some(placed) = placed {
            for name in placed.members() {
                prop_assert!(may.iter().any(|of| of == name), "{} is not allowed", name);
            }
            let kept = verdict.relaxed_neighbours.is_empty();
            prop_assert_eq!(kept, room(&wished) >= replicas);
        }
    }
}
