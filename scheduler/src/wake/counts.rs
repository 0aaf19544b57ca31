//! Who is woken and who is not, case by case; and that those that wait cost little.

use std::mem::size_of;

use super::{Event, Pool, Wait, of_member};
use crate::config::Config;
use crate::engine::Engine;
use crate::fixtures::{commit, component, decide, member, quota, request, with, world};
use crate::quota::{Key, QuotaTree};
use crate::request::{DivisionKind, Request, WorkloadKey};
use crate::schedule::decide_all;
use crate::snapshot::{Member, Readiness, Snapshot};
use crate::verdict::EventKind;

/// What a request waits for.
fn wait(snapshot: &Snapshot, request: &Request, pool: &mut Pool) -> Wait {
    let mut engine = Engine::new(snapshot.clone(), Config::default());
    let verdict = decide_all(&mut engine, std::slice::from_ref(request)).remove(0);
    assert!(verdict.outcome.placed().is_none(), "{verdict:#?}");
    let about = engine.about(request);
    Wait::of(request, &verdict, about, pool)
}

fn lineage(tenants: &[&str]) -> Vec<String> {
    tenants.iter().map(|&of| of.to_owned()).collect()
}

fn released(tenants: &[&str], flavor: &str, resource: &str) -> Event {
    Event::QuotaReleased {
        tenants: lineage(tenants),
        key: Key::new(flavor, resource),
    }
}

fn freed(member: &str, flavor: &str) -> Event {
    Event::CapacityFreed {
        member: member.to_owned(),
        flavor: Some(flavor.to_owned()),
    }
}

fn of_arm(name: &str, replicas: i64) -> Request {
    let mut app = request(name, vec![component("web", replicas, 1000)]);
    app.placement.flavors = vec!["arm".to_owned()];
    app
}

const AGENCY: [&str; 3] = ["civil-affairs", "guangzhou", "guangdong"];

#[test]
fn what_all_keep_is_small() {
    assert!(size_of::<Wait>() <= 64, "{} bytes", size_of::<Wait>());
    let snapshot = with(world(), [member("a", "arm", 1, 4)]);
    let mut pool = Pool::default();
    let mut kept = Vec::new();
    for index in 0..1000 {
        kept.push(wait(&snapshot, &of_arm(&format!("w{index}"), 9), &mut pool));
    }
    assert!(pool.kept() < 8, "{} for all alike", pool.kept());
    drop(kept);
    for index in 0..1000 {
        let mut one = of_arm("w", 9);
        one.placement.flavors.push(format!("f{index}"));
        wait(&snapshot, &one, &mut pool);
    }
    assert!(
        pool.kept() < 600,
        "{} of which most are nobody's",
        pool.kept()
    );
}

/// Of 1,000 that wait for a tenant's quota only what is released or changes there wakes any.
#[test]
fn a_quota_that_is_used_up_wakes_nobody_by_what_happens_elsewhere() {
    let mut snapshot = with(
        world(),
        [member("a", "arm", 8, 64), member("b", "amd", 8, 64)],
    );
    quota(&mut snapshot, "civil-affairs", 1000, 1000);
    let mut pool = Pool::default();
    let all: Vec<Wait> = (0..1000)
        .map(|index| wait(&snapshot, &of_arm(&format!("w{index}"), 2), &mut pool))
        .collect();
    let woken = |event: Event| all.iter().filter(|of| of.is_woken_by(&event)).count();
    assert_eq!(woken(freed("a", "arm")), 0, "there is room already");
    assert_eq!(woken(released(&["shenzhen", "guangdong"], "arm", "cpu")), 0);
    assert_eq!(woken(released(&AGENCY, "amd", "cpu")), 0, "another flavor");
    assert_eq!(
        woken(released(&AGENCY, "arm", "memory")),
        0,
        "another resource"
    );
    let tenants = lineage(&["shenzhen", "guangdong"]);
    assert_eq!(woken(Event::QuotaChanged { tenants }), 0);
    let member = "a".to_owned();
    assert_eq!(woken(Event::MemberReady { member }), 0);
    assert_eq!(woken(released(&AGENCY, "arm", "cpu")), 1000);
    let tenants = lineage(&AGENCY);
    assert_eq!(woken(Event::QuotaChanged { tenants }), 1000);
    assert_eq!(woken(Event::Anything), 1000);
}

/// What is released by one below the tenant whose number binds lets in one beside it.
#[test]
fn a_number_above_wakes_all_below_it() {
    let mut snapshot = with(world(), [member("a", "arm", 8, 64)]);
    quota(&mut snapshot, "guangzhou", 1000, 1000);
    let app = of_arm("app", 2);
    let waits = wait(&snapshot, &app, &mut Pool::default());
    assert!(waits.is_woken_by(&released(
        &["panyu", "guangzhou", "guangdong"],
        "arm",
        "cpu"
    )));
    assert!(!waits.is_woken_by(&released(&["shenzhen", "guangdong"], "arm", "cpu")));
    let words = waits.words().join("; ");
    assert!(
        words.starts_with("guangzhou or a tenant below it releases cpu of arm"),
        "{words}"
    );
}

/// Of 1,000 on ten members each, one member's event wakes those alone that may go there.
#[test]
fn a_member_wakes_those_alone_that_may_go_there() {
    let names: Vec<String> = (0..100).map(|index| format!("m{index:02}")).collect();
    let members = names.iter().map(|name| member(name, "arm", 1, 1));
    let snapshot = with(world(), members);
    let mut pool = Pool::default();
    let all: Vec<Wait> = (0..1000)
        .map(|index| {
            let mut app = of_arm(&format!("w{index}"), 20);
            let home = names[index % 10 * 10..].iter().take(10);
            let term = crate::request::AffinityTerm {
                name: "home".to_owned(),
                members: home.cloned().collect(),
                ..crate::request::AffinityTerm::default()
            };
            app.placement.affinity = vec![term];
            wait(&snapshot, &app, &mut pool)
        })
        .collect();
    let woken = |event: Event| all.iter().filter(|of| of.is_woken_by(&event)).count();
    assert_eq!(woken(freed("m05", "arm")), 100);
    assert_eq!(woken(freed("m05", "amd")), 0);
    let member = "m99".to_owned();
    assert_eq!(woken(Event::MemberReady { member }), 100);
    let member = "new".to_owned();
    assert_eq!(woken(Event::MemberReady { member }), 0, "it has not joined");
    let member = "new".to_owned();
    assert_eq!(woken(Event::MemberChanged { member }), 1000);
    assert!(pool.kept() < 20, "{}", pool.kept());
}

/// Copies on each member: where others take the room on one, quota covers the rest.
#[test]
fn copies_may_fit_better_when_others_take_room() {
    let mut snapshot = with(
        world(),
        [member("a", "arm", 1, 4), member("b", "arm", 1, 4)],
    );
    quota(&mut snapshot, "civil-affairs", 3000, 3000);
    let mut copies = of_arm("copies", 2);
    copies.placement.division.kind = DivisionKind::Duplicated;
    let waits = wait(&snapshot, &copies, &mut Pool::default());
    let mut other = of_arm("other", 4);
    other.tenant = "shenzhen".to_owned();
    other.key = WorkloadKey::new("shenzhen", "other");
    other.placement.exclude = ["b".to_owned()].into();
    let verdict = decide(&snapshot, &other);
    commit(&mut snapshot, &mut other, &verdict);
    assert!(decide(&snapshot, &copies).outcome.placed().is_some());
    assert!(waits.is_woken_by(&Event::CapacityTaken {
        member: "a".to_owned(),
        flavor: Some("arm".to_owned()),
    }));
    // One that is divided is let in by room alone, never by less of it.
    let plain = wait(&snapshot, &of_arm("plain", 9), &mut Pool::default());
    assert!(!plain.kinds().has(EventKind::CapacityTaken));
}

#[test]
fn who_may_have_others_make_room_is_told_of_those_that_may_have_to() {
    let snapshot = with(world(), [member("a", "arm", 1, 4)]);
    let stands = |tenants: &[&str], priority, borrows| Event::Stands {
        tenants: lineage(tenants),
        priority,
        borrows,
    };
    let mut app = of_arm("app", 9);
    app.priority = 5;
    let mut pool = Pool::default();
    let meek = wait(&snapshot, &app, &mut pool);
    app.preempts = true;
    let waits = wait(&snapshot, &app, &mut pool);
    app.emergency = true;
    let urgent = wait(&snapshot, &app, &mut pool);
    let other = ["shenzhen", "guangdong"];
    let told = |event: &Event| [&meek, &waits, &urgent].map(|of| of.is_woken_by(event));
    assert_eq!(told(&stands(&AGENCY, 1, false)), [false, true, true]);
    assert_eq!(told(&stands(&AGENCY, 5, false)), [false, false, false]);
    assert_eq!(told(&stands(&other, 1, false)), [false, false, true]);
    assert_eq!(told(&stands(&other, 9, true)), [false, true, true]);
    let entitled = |tenants: &[&str]| Event::Entitled {
        tenants: lineage(tenants),
    };
    assert_eq!(told(&entitled(&AGENCY)), [false, true, true]);
    assert_eq!(told(&entitled(&other)), [false, false, false]);
}

#[test]
fn a_member_that_is_seen_as_before_is_no_event() {
    let before = member("a", "arm", 2, 4);
    let after = |change: &dyn Fn(&mut Member)| {
        let mut after = before.clone();
        change(&mut after);
        of_member(Some(&before), Some(&after))
    };
    assert_eq!(after(&|_| {}), []);
    let priced = after(&|of| {
        of.prices
            .insert("arm".to_owned(), [("cpu".to_owned(), 1)].into());
    });
    assert_eq!(priced, [], "no price lets anyone in");
    let name = || "a".to_owned();
    let ready = after(&|of| of.readiness = Readiness::Unknown { since: 1 });
    assert_eq!(ready, [Event::MemberReady { member: name() }]);
    let ruled = after(&|of| of.zone = "internet".to_owned());
    assert_eq!(ruled, [Event::MemberChanged { member: name() }]);
    let grown = after(&|of| of.sketch.as_mut().unwrap().shapes[0].count = 3);
    let flavor = Some("arm".to_owned());
    assert_eq!(
        grown,
        [Event::SketchChanged {
            member: name(),
            flavor
        }]
    );
    let unseen = after(&|of| of.sketch = None);
    let flavor = None;
    assert_eq!(
        unseen,
        [Event::SketchChanged {
            member: name(),
            flavor
        }]
    );
}

/// A tenant's own quota says which flavors it may take where nothing else does.
#[test]
fn one_that_waits_for_a_place_asks_its_own_quota_alone() {
    let snapshot = with(world(), [member("a", "arm", 1, 4)]);
    let waits = wait(&snapshot, &of_arm("app", 9), &mut Pool::default());
    let changed = |tenants: &[&str]| Event::QuotaChanged {
        tenants: lineage(tenants),
    };
    assert!(waits.is_woken_by(&changed(&AGENCY)));
    assert!(!waits.is_woken_by(&changed(&["guangzhou", "guangdong"])));
    // Without a place in the tree any may be what it lacks.
    let mut lost = snapshot;
    lost.quotas = QuotaTree::default();
    let waits = wait(&lost, &of_arm("app", 9), &mut Pool::default());
    assert!(waits.is_woken_by(&changed(&["guangzhou", "guangdong"])));
}
