//! A workload that is returning goes back to an earlier term, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::properties::{fleets, requests};
use crate::check::check;
use crate::config::{Config, ScoreWeights};
use crate::engine::{Engine, Taken, taken};
use crate::fixtures::{commit, component, decide, member, quota, request, shown, with, world};
use crate::quota::Key;
use crate::request::{AffinityTerm, Division, DivisionKind, Request};
use crate::schedule::schedule;
use crate::snapshot::{Snapshot, Taint, TaintEffect};
use crate::verdict::Verdict;

/// A term of the members of one owner.
fn term(name: &str) -> AffinityTerm {
    AffinityTerm {
        name: name.to_owned(),
        owners: [name.to_owned()].into(),
        ..AffinityTerm::default()
    }
}

/// Members of a city, of the region above and of another city, in terms of this order.
fn three() -> Snapshot {
    let members = [
        ("home-1", "guangzhou"),
        ("home-2", "guangzhou"),
        ("cloud", "guangdong"),
        ("far", "shenzhen"),
    ];
    let members = members.map(|(name, owner)| {
        let mut one = member(name, "arm", 1, 4);
        owner.clone_into(&mut one.owner);
        one
    });
    with(world(), members)
}

fn app(replicas: i64) -> Request {
    let mut app = request("app", vec![component("web", replicas, 1000)]);
    app.placement.affinity = ["guangzhou", "guangdong", "shenzhen"].map(term).into();
    app
}

fn close(snapshot: &mut Snapshot, members: &[&str], closed: bool) {
    for name in members {
        snapshot.member_mut(name).expect("a member").unschedulable = closed;
    }
}

fn returning(app: &Request) -> Request {
    Request {
        returning: true,
        ..app.clone()
    }
}

/// Places it while some members are closed, and opens these again.
fn placed_without(snapshot: &mut Snapshot, app: &mut Request, closed: &[&str]) -> Verdict {
    close(snapshot, closed, true);
    let verdict = decide(snapshot, app);
    commit(snapshot, app, &verdict);
    close(snapshot, closed, false);
    verdict
}

#[test]
fn it_goes_back_to_the_first_term_that_holds_all_of_it() {
    let (mut snapshot, mut app) = (three(), app(3));
    let first = placed_without(&mut snapshot, &mut app, &["home-1", "home-2", "cloud"]);
    assert_eq!(shown(&first), ["web@far/arm=3"]);
    let stays = decide(&snapshot, &app);
    assert_eq!(shown(&stays), shown(&first));
    assert!(!stays.returned);
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["web@home-1/arm=3"]);
    assert_eq!(
        (back.tier.as_deref(), back.returned),
        (Some("guangzhou"), true)
    );
    // Home is too small for it all on one member, and the term between holds it.
    close(&mut snapshot, &["home-1", "home-2"], true);
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["web@cloud/arm=3"]);
    commit(&mut snapshot, &mut app, &back);
    close(&mut snapshot, &["home-1", "home-2"], false);
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["web@home-1/arm=3"]);
    commit(&mut snapshot, &mut app, &back);
    assert!(!decide(&snapshot, &returning(&app)).returned, "it is home");
}

#[test]
fn what_is_spilled_goes_back_and_what_is_home_stays() {
    let (mut snapshot, mut app) = (three(), app(5));
    // Neither term holds five alone: four at home, one above.
    close(&mut snapshot, &["far"], true);
    let spilled = placed_without(&mut snapshot, &mut app, &["home-2"]);
    assert_eq!(shown(&spilled), ["web@cloud/arm=1", "web@home-1/arm=4"]);
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["web@home-1/arm=4", "web@home-2/arm=1"]);
    assert!(back.returned);
    // A later term that holds all of it is no better for the four.
    close(&mut snapshot, &["home-2"], true);
    close(&mut snapshot, &["far"], false);
    let cores = &mut snapshot.member_mut("cloud").unwrap().sketch;
    cores.as_mut().unwrap().shapes[0].count = 9;
    let stays = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&stays), shown(&spilled));
    assert!(!stays.returned);
}

#[test]
fn all_or_nothing_goes_back_and_pinned_data_does_not() {
    let (mut snapshot, mut app) = (three(), app(3));
    app.components.push(component("db", 1, 1000));
    app.components[1].division = Division::OneMember;
    placed_without(&mut snapshot, &mut app, &["home-1", "home-2"]);
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["db@home-1/arm=1", "web@home-1/arm=3"]);
    app.components[1].pinned_data = true;
    let stays = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&stays), ["db@cloud/arm=1", "web@cloud/arm=3"]);
    app.components[1].pinned_data = false;
    close(&mut snapshot, &["home-2"], true);
    let home = snapshot.member_mut("home-1").unwrap();
    home.sketch.as_mut().unwrap().shapes[0]
        .free
        .set("cpu", 3999);
    assert!(!decide(&snapshot, &returning(&app)).returned);
}

#[test]
fn it_goes_back_together_where_one_member_holds_it() {
    let (mut snapshot, mut app) = (three(), app(3));
    app.components.push(component("db", 2, 1000));
    app.components[1].division = Division::OneMember;
    app.placement.weights = Some(ScoreWeights {
        preference: 100,
        ..ScoreWeights::default()
    });
    for name in ["cloud", "home-2"] {
        let large = snapshot.member_mut(name).unwrap();
        large.sketch.as_mut().unwrap().shapes[0]
            .free
            .set("cpu", 8000);
    }
    placed_without(&mut snapshot, &mut app, &["home-1", "home-2"]);
    // The first of the two, which either component would take alone.
    snapshot.member_mut("home-2").unwrap().taints = vec![Taint {
        key: "spare".to_owned(),
        value: String::new(),
        effect: TaintEffect::PreferNoSchedule,
    }];
    let back = decide(&snapshot, &returning(&app));
    assert_eq!(shown(&back), ["db@home-2/arm=2", "web@home-2/arm=3"]);
}

#[test]
fn quota_covers_both_places_meanwhile() {
    let (mut snapshot, mut app) = (three(), app(3));
    placed_without(&mut snapshot, &mut app, &["home-1", "home-2"]);
    let key = Key::new("arm", "cpu");
    for (ceiling, returned) in [(5999, false), (6000, true)] {
        let mut tight = snapshot.clone();
        quota(&mut tight, "civil-affairs", ceiling, ceiling);
        let node = tight.quotas.node("civil-affairs").unwrap();
        tight
            .quotas
            .charge(node, &[(key.clone(), 3000)].into())
            .unwrap();
        assert_eq!(decide(&tight, &returning(&app)).returned, returned);
    }
}

#[test]
fn what_others_could_use_is_not_idle() {
    let (mut snapshot, mut app) = (three(), app(3));
    placed_without(&mut snapshot, &mut app, &["home-1", "home-2", "cloud"]);
    let app = returning(&app);
    let back = decide(&snapshot, &app);
    let takes = taken(&app, back.outcome.placed().unwrap());
    let room = |member: &str| Taken {
        member: member.to_owned(),
        flavor: "arm".to_owned(),
        resources: ["cpu".to_owned()].into(),
    };
    assert_eq!(takes, [room("home-1")]);
    // What stays where it is takes nothing.
    let stays = decide(
        &snapshot,
        &Request {
            returning: false,
            ..app.clone()
        },
    );
    assert_eq!(taken(&app, stays.outcome.placed().unwrap()), []);

    let other = request("other", vec![component("web", 9, 1000)]);
    let mut engine = Engine::new(snapshot, Config::default());
    let mut could = |of: &Request| engine.could_use(of, &takes);
    assert!(could(&other), "too large for now, and yet");
    let mut elsewhere = other.clone();
    elsewhere.placement.affinity = vec![term("shenzhen")];
    assert!(!could(&elsewhere));
    let mut amd = other.clone();
    amd.placement.flavors = vec!["amd".to_owned()];
    assert!(!could(&amd));
    amd.placement.flavors.push("arm".to_owned());
    assert!(could(&amd));
    let memory = crate::Resources::new().with("memory", 1).with("pods", 1);
    let mut other_resource = other.clone();
    other_resource.components[0].per_replica = memory;
    assert!(!could(&other_resource));
    let mut asleep = other;
    asleep.components[0].replicas = 0;
    assert!(!could(&asleep));
    asleep.components[0].division = Division::EveryMatchingNode;
    assert!(could(&asleep), "one for each node");
}

#[test]
fn what_is_borrowed_for_it_is_not_idle() {
    let mut snapshot = three();
    quota(&mut snapshot, "civil-affairs", 4000, 9000);
    let mut engine = Engine::new(snapshot, Config::default());
    let key = Key::new("arm", "cpu");
    let more = |amount: i64| [(key.clone(), amount)].into();
    assert!(!engine.borrows_more("civil-affairs", &more(4000)));
    assert!(engine.borrows_more("civil-affairs", &more(4001)));
    let node = engine.snapshot().quotas.node("civil-affairs").unwrap();
    assert_eq!(engine.snapshot().quotas.own_charge(node, &key), 0);
    assert!(!engine.borrows_more("civil-affairs", &more(0)));
}

/// The terms of a member by name, from scratch: those of the properties name a provider each.
fn first_terms(snapshot: &Snapshot, request: &Request) -> BTreeMap<String, usize> {
    let mut terms = BTreeMap::new();
    for (name, member) in &snapshot.members {
        let affinity = &request.placement.affinity;
        let of = affinity
            .iter()
            .position(|term| term.providers.contains(&member.provider));
        terms.insert(name.clone(), of.unwrap_or(0));
    }
    terms
}

fn members(verdict: &Verdict) -> BTreeSet<String> {
    let placed = verdict.outcome.placed().expect("placed");
    placed.members().into_iter().map(str::to_owned).collect()
}

fn previous(request: &Request) -> BTreeSet<String> {
    let assigned = request.previous.iter().map(|before| &before.member);
    assigned.chain(&request.previous_carried).cloned().collect()
}

/// On how many members it is if there is no term but this one, where it is placed.
fn alone_in(snapshot: &Snapshot, request: &Request, tier: usize) -> Option<usize> {
    let mut alone = request.clone();
    alone.returning = false;
    alone.placement.affinity = vec![request.placement.affinity[tier].clone()];
    let verdict = decide(snapshot, &alone);
    verdict.outcome.placed()?;
    Some(members(&verdict).len())
}

/// What holds of one request that was placed while part of the fleet was closed.
fn holds(snapshot: &Snapshot, request: &Request) -> Result<Verdict, TestCaseError> {
    let config = Config::default();
    let ask = |request: &Request| {
        let all = std::slice::from_ref(request);
        let verdict = schedule(snapshot, all, &config).remove(0);
        let broken = check(snapshot, all, std::slice::from_ref(&verdict), &config);
        (verdict, broken)
    };
    let (stays, _) = ask(&Request {
        returning: false,
        ..request.clone()
    });
    let (back, broken) = ask(&returning(request));
    prop_assert!(broken.is_empty(), "{broken:#?}");
    let terms = first_terms(snapshot, request);
    let before: BTreeSet<usize> = previous(request).iter().map(|name| terms[name]).collect();
    let held = |tier: usize| alone_in(snapshot, request, tier).is_some();
    if back.returned {
        let now: BTreeSet<usize> = members(&back).iter().map(|name| terms[name]).collect();
        prop_assert!(now.last() <= before.first(), "{before:?} {now:?}");
        prop_assert!(now.last() < before.last(), "{before:?} {now:?}");
        let tier = *now.last().unwrap();
        prop_assert!((0..tier).all(|earlier| !held(earlier)));
        let whole = request.placement.division.kind == DivisionKind::Aggregated
            && alone_in(snapshot, request, tier) == Some(1);
        prop_assert!(!whole || members(&back).len() == 1, "torn apart");
        for part in request.components.iter().filter(|part| part.pinned_data) {
            let mine = request
                .previous
                .iter()
                .filter(|of| of.component == part.name);
            prop_assert!(
                mine.map(|of| &of.member)
                    .all(|name| members(&back).contains(name))
            );
        }
    } else {
        let same = Verdict {
            inputs_hash: stays.inputs_hash.clone(),
            ..back.clone()
        };
        let text = |verdict: &Verdict| serde_json::to_string(verdict).unwrap();
        prop_assert_eq!(text(&same), text(&stays));
        let (first, last) = (before.first(), before.last());
        let earlier = 0..last.copied().unwrap_or(0);
        let mut earlier = earlier.filter(|tier| Some(tier) <= first);
        prop_assert!(earlier.all(|tier| !held(tier)), "{before:?}");
    }
    Ok(back)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// It goes back where an earlier term holds all of it, never to a later one, and otherwise says
    /// what it says without; it comes to an end.
    #[test]
    fn it_goes_back_or_says_what_it_says_without(
        fleet in fleets(),
        mut requests in requests(),
        closed in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut shut = fleet.clone();
        for (member, shuts) in shut.members.values_mut().map(Arc::make_mut).zip(&closed) {
            if member.provider == "huawei" || *shuts {
                member.unschedulable = true;
            }
        }
        for request in &mut requests {
            let verdict = schedule(&shut, std::slice::from_ref(request), &Config::default()).remove(0);
            commit(&mut shut, request, &verdict);
        }
        for (name, member) in &mut shut.members {
            Arc::make_mut(member).unschedulable = fleet.members[name].unschedulable;
        }
        for request in &mut requests {
            if previous(request).is_empty() || request.placement.affinity.is_empty() {
                prop_assert!(!holds(&shut, request)?.returned);
                continue;
            }
            let terms = request.placement.affinity.len();
            for turn in 0..=terms {
                let back = holds(&shut, request)?;
                if !back.returned {
                    break;
                }
                prop_assert!(turn < terms, "back and forth");
                commit(&mut shut, request, &back);
            }
        }
    }
}
