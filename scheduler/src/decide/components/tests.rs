//! Components together and apart.

use crate::fixtures::{commit, component, decide, member, refused, request, shown, with, world};
use crate::request::{
    Component, ComponentKind, ComponentRule, Division, DivisionKind, Request, SpreadConstraint,
    WhenUnsatisfiable,
};
use crate::snapshot::{Member, Snapshot};
use crate::text;
use crate::verdict::EventKind;

fn in_zone(name: &str, zone: &str, nodes: i64, cores: i64) -> Member {
    Member {
        zone: zone.to_owned(),
        ..member(name, "arm", nodes, cores)
    }
}

fn asked(kind: ComponentKind, key: &str, components: Vec<Component>) -> Request {
    let mut asked = request("app", components);
    asked.placement.components = Some(ComponentRule {
        kind,
        topology_key: key.to_owned(),
    });
    asked
}

/// One member in the zone `internet`, two in `cegn-common`.
fn zones() -> Snapshot {
    let members = [
        in_zone("a", "internet", 1, 8),
        in_zone("b", "cegn-common", 1, 6),
        in_zone("c", "cegn-common", 1, 6),
    ];
    with(world(), members)
}

fn web_and_db(web: i64, db: i64) -> Vec<Component> {
    let db = Component {
        division: Division::OneMember,
        ..component("db", db, 1000)
    };
    vec![component("web", web, 1000), db]
}

#[test]
fn together_takes_the_one_zone_that_holds_all() {
    let mut app = asked(ComponentKind::Together, "zone", web_and_db(6, 4));
    app.placement.division.kind = DivisionKind::ByCapacity;
    let verdict = decide(&zones(), &app);
    let there = shown(&verdict);
    assert!(there.iter().all(|of| !of.contains("@a/")), "{there:?}");
    assert!(there.len() > 2, "{there:?}");
    // Without the rule the other zone gets some.
    app.placement.components = None;
    let there = shown(&decide(&zones(), &app));
    assert!(there.iter().any(|of| of.contains("@a/")), "{there:?}");
}

#[test]
fn together_stays_where_it_is_and_waits_rather_than_leave_a_part_behind() {
    let mut snapshot = zones();
    let mut app = asked(ComponentKind::Together, "zone", web_and_db(3, 2));
    let first = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &first);
    assert_eq!(shown(&decide(&snapshot, &app)), shown(&first));
    app.components = web_and_db(10, 4);
    let verdict = decide(&snapshot, &app);
    let expected = "ComponentsUnsatisfiable: web, db cannot stand together in one group of zone: 2 \
                    groups have members that are left, none holds all replicas; room for all of \
                    them in one group would help";
    assert_eq!(text::verdict(&verdict), expected);
    assert!(verdict.kinds().has(EventKind::CapacityFreed));
    // What fits nowhere is told as such.
    app.components = web_and_db(30, 4);
    assert_eq!(shown(&decide(&snapshot, &app)), ["NoCapacity"]);
}

#[test]
fn apart_shares_no_member_and_daemon_sets_go_along() {
    let mut parts = web_and_db(3, 2);
    parts.push(Component {
        division: Division::EveryMatchingNode,
        ..component("logs", 0, 100)
    });
    let mut snapshot = zones();
    let mut app = asked(ComponentKind::Apart, "member", parts);
    let verdict = decide(&snapshot, &app);
    let there = shown(&verdict);
    assert_eq!(there.len(), 4, "{there:?}");
    let of = |name: &str| {
        let found = there.iter().find(|of| of.starts_with(name)).unwrap();
        found.split(['@', '/']).nth(1).unwrap().to_owned()
    };
    assert_ne!(of("web"), of("db"));
    commit(&mut snapshot, &mut app, &verdict);
    assert_eq!(shown(&decide(&snapshot, &app)), there);
    app.placement.components = None;
    app.previous.clear();
    app.key.name = "other".to_owned();
    let together = shown(&decide(&snapshot, &app));
    assert_eq!(together.len(), 3, "{together:?}");
}

#[test]
fn apart_a_component_that_fits_in_one_place_alone_gets_it() {
    for (big, small) in [("a", "b"), ("b", "a")] {
        let members = [member(big, "arm", 1, 4), member(small, "arm", 4, 1)];
        let snapshot = with(world(), members);
        let parts = vec![component("web", 4, 1000), component("batch", 1, 3500)];
        let verdict = decide(&snapshot, &asked(ComponentKind::Apart, "member", parts));
        let expected = [format!("batch@{big}/arm=1"), format!("web@{small}/arm=4")];
        assert_eq!(shown(&verdict), expected);
    }
}

#[test]
fn apart_waits_for_a_group_and_says_so() {
    let mut three = web_and_db(3, 2);
    three.push(component("worker", 1, 1000));
    let verdict = decide(&zones(), &asked(ComponentKind::Apart, "zone", three));
    let expected = "ComponentsUnsatisfiable: web, db, worker cannot stand apart over zone: 2 groups \
                    have members that are left, too few to hold each component in groups of its own; \
                    a further group or room in one would help";
    assert_eq!(text::verdict(&verdict), expected);
}

#[test]
fn apart_a_soft_spread_gives_way() {
    let mut app = asked(ComponentKind::Apart, "zone", web_and_db(3, 2));
    app.placement.spread = vec![SpreadConstraint {
        topology_key: "zone".to_owned(),
        min_groups: Some(2),
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        ..SpreadConstraint::default()
    }];
    let verdict = decide(&zones(), &app);
    assert!(verdict.outcome.placed().is_some());
    assert!(verdict.relaxed.contains("zone"));
}

#[test]
fn a_member_without_the_key_gets_nothing() {
    let mut snapshot = zones();
    for (name, rack) in [("a", "r1"), ("b", "r2")] {
        let labels = &mut snapshot.member_mut(name).unwrap().labels;
        labels.insert("rack".to_owned(), rack.to_owned());
    }
    let parts = web_and_db(3, 2);
    let verdict = decide(&snapshot, &asked(ComponentKind::Apart, "label:rack", parts));
    assert_eq!(refused(&verdict, "c"), ["NoTopology"]);
    assert!(verdict.outcome.placed().is_some());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let cases = [
        (
            "",
            "components Apart has topologyKey '': give one, such as zone or label:rack",
        ),
        (
            "region/city",
            "components Apart has topologyKey region/city, which is no level of regions: give \
             region/ with one of provincial, prefectural, county, township, or label:region/city \
             for a label",
        ),
    ];
    for (key, problem) in cases {
        let verdict = decide(
            &zones(),
            &asked(ComponentKind::Apart, key, web_and_db(1, 1)),
        );
        assert_eq!(text::verdict(&verdict), format!("Invalid: {problem}"));
    }
    let mut app = asked(ComponentKind::Apart, "zone", web_and_db(1, 1));
    app.placement.division.kind = DivisionKind::Duplicated;
    let verdict = decide(&zones(), &app);
    assert_eq!(
        text::verdict(&verdict),
        "Invalid: components Apart and division Duplicated contradict each other, since every \
         member gets every component: leave one out"
    );
}
