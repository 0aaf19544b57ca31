//! Red lines, in decisions and in batches.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::check::{Violation, check};
use crate::config::Config;
use crate::fixtures::*;
use crate::request::{Division, Request};
use crate::resources::Resources;
use crate::schedule::schedule;
use crate::snapshot::{InFlight, Member, RedLine, Snapshot};
use crate::text;
use crate::verdict::{Outcome, Verdict};

/// A member of four nodes of four cores each, with a red line of cpu.
fn lined(name: &str, percent: u8, requested: i64) -> Member {
    let mut of = member(name, "arm", 4, 4);
    let line = RedLine {
        percent,
        allocatable: Some(16_000),
        requested,
    };
    of.red_lines.insert("cpu".to_owned(), line);
    of
}

fn refusal(verdict: &Verdict, member: &str) -> String {
    let of = verdict.members.iter().find(|of| of.member == member);
    let texts = of.unwrap().refusals.iter();
    let texts: Vec<String> = texts
        .map(|of| format!("{}; {}", text::refusal(of), text::unblocked_by(of)))
        .collect();
    texts.join(" | ")
}

#[test]
fn a_red_line_leaves_the_rest_to_others_and_is_told_with_its_numbers() {
    // 85% of 16 cores are 13.6, of which 10 are requested.
    let snapshot = with(world(), [lined("a", 85, 10_000), member("b", "arm", 1, 4)]);
    let four = request("four", vec![component("web", 4, 1000)]);
    let verdict = decide(&snapshot, &four);
    assert_eq!(shown(&verdict), ["web@b/arm=4"]);
    let six = request("six", vec![component("web", 6, 1000)]);
    assert_eq!(
        shown(&decide(&snapshot, &six)),
        ["web@a/arm=2", "web@b/arm=4"]
    );
    let mut whole = six;
    whole.components[0].division = Division::OneMember;
    let verdict = decide(&snapshot, &whole);
    assert_eq!(refused(&verdict, "b"), ["Capacity"]);
    assert_eq!(
        refusal(&verdict, "a"),
        "Utilization: web needs 6 × 1 cpu, the red line is 85% of 16 and 10 is requested; decided \
         by: platform administrators; less requested there, or maxUtilization of cpu above 85%"
    );
    assert!(matches!(verdict.outcome, Outcome::Waiting(_)));
}

#[test]
fn what_is_on_its_way_counts_to_the_last_replica() {
    let mut of = lined("a", 50, 3_000);
    of.in_flight.push(InFlight {
        flavor: "arm".to_owned(),
        per_replica: Resources::new().with("cpu", 500),
        replicas: 4,
    });
    // 8 − 3 − 2 cores are left.
    let snapshot = with(world(), [of]);
    let asked = |replicas| request("app", vec![component("web", replicas, 1000)]);
    assert_eq!(shown(&decide(&snapshot, &asked(3))), ["web@a/arm=3"]);
    assert_eq!(shown(&decide(&snapshot, &asked(4))), ["NoCapacity"]);
}

#[test]
fn one_line_holds_for_all_components_and_flavors_of_a_member() {
    let mut of = lined("a", 50, 4_000);
    let amd = member("x", "amd", 4, 4).sketch.unwrap().shapes.remove(0);
    of.sketch.as_mut().unwrap().shapes.push(amd);
    let snapshot = with(world(), [of]);
    let mut web = component("web", 2, 1000);
    web.node_selector
        .insert("kubernetes.io/arch".to_owned(), "arm64".to_owned());
    let mut db = component("db", 2, 1000);
    db.node_selector
        .insert("kubernetes.io/arch".to_owned(), "amd64".to_owned());
    let four = request("app", vec![web.clone(), db.clone()]);
    assert_eq!(
        shown(&decide(&snapshot, &four)),
        ["db@a/amd=2", "web@a/arm=2"]
    );
    db.replicas = 3;
    let five = request("app", vec![web.clone(), db.clone()]);
    assert_eq!(shown(&decide(&snapshot, &five)), ["NoCapacity"]);
    // A component for every node is no way around.
    db.division = Division::EveryMatchingNode;
    let nodes = request("app", vec![web, db.clone()]);
    assert_eq!(shown(&decide(&snapshot, &nodes)), ["NoMemberFits"]);
    db.per_replica.set("cpu", 3000);
    let mut full = snapshot;
    let line = full.member_mut("a").unwrap().red_lines.get_mut("cpu");
    line.unwrap().requested = 6_000;
    let verdict = decide(&full, &request("app", vec![db]));
    assert_eq!(refused(&verdict, "a"), ["Utilization"]);
}

#[test]
fn decisions_of_a_batch_share_a_line_and_the_next_batch_begins_anew() {
    let snapshot = with(world(), [lined("a", 50, 5_000)]);
    let asked = ["one", "two"].map(|name| request(name, vec![component("web", 2, 1000)]));
    let verdicts = decide_all(&snapshot, &asked);
    assert_eq!(shown(&verdicts[0]), ["web@a/arm=2"]);
    assert_eq!(shown(&verdicts[1]), ["NoCapacity"]);
    let mut engine = crate::engine::Engine::new(snapshot, Config::default());
    for _ in 0..3 {
        let again = crate::schedule::decide_all(&mut engine, &asked);
        assert_eq!(again, verdicts);
    }
}

#[test]
fn what_is_there_stays_when_a_line_is_passed_and_grows_elsewhere() {
    let mut snapshot = with(world(), [member("a", "arm", 4, 4)]);
    let mut app = request("app", vec![component("web", 4, 1000)]);
    let verdict = decide(&snapshot, &app);
    commit(&mut snapshot, &mut app, &verdict);
    let mut of = lined("a", 10, 12_000);
    of.in_flight
        .clone_from(&snapshot.members.get("a").unwrap().in_flight);
    let mut snapshot = with(snapshot, [of, member("b", "arm", 4, 4)]);
    assert_eq!(shown(&decide(&snapshot, &app)), ["web@a/arm=4"]);
    app.components[0].replicas = 6;
    assert_eq!(
        shown(&decide(&snapshot, &app)),
        ["web@a/arm=4", "web@b/arm=2"]
    );
    snapshot.members.remove("b");
    assert_eq!(shown(&decide(&snapshot, &app)), ["NoCapacity"]);
}

#[test]
fn what_is_not_known_or_asked_for_by_none() {
    let mut of = lined("a", 100, 0);
    let line = of.red_lines.get_mut("cpu").unwrap();
    line.allocatable = None;
    let gpu = RedLine {
        percent: 0,
        ..RedLine::default()
    };
    of.red_lines.insert("example.com/gpu".to_owned(), gpu);
    let snapshot = with(world(), [of]);
    let verdict = decide(&snapshot, &request("app", vec![component("web", 1, 1000)]));
    let told = refusal(&verdict, "a");
    assert!(told.contains("upgrade it"), "{told}");
    // Of a resource that a workload does not ask for, no line keeps it away.
    let mut idle = component("web", 1, 0);
    idle.per_replica = Resources::new().with("memory", 1 << 30);
    let verdict = decide(&snapshot, &request("idle", vec![idle]));
    assert_eq!(shown(&verdict), ["web@a/arm=1"]);
}

#[test]
fn the_checker_finds_what_passes_a_line() {
    let below = with(world(), [lined("a", 50, 5_000)]);
    let asked = [request("app", vec![component("web", 3, 1000)])];
    let config = Config::default();
    let verdicts = schedule(&below, &asked, &config);
    assert_eq!(check(&below, &asked, &verdicts, &config), []);
    let passed = with(world(), [lined("a", 49, 5_000)]);
    let found = check(&passed, &asked, &verdicts, &config);
    let broken = Violation::RedLine {
        member: "a".to_owned(),
        resource: "cpu".to_owned(),
        requested: 8_000,
        limit: 7_840,
    };
    assert_eq!(found, [broken]);
}

/// Members whose nodes hold anything, so that lines alone bind.
fn wide() -> impl Strategy<Value = Vec<Member>> {
    let line = (0_u8..101, 0_i64..30, 0_i64..12);
    let one = (
        prop::option::of(line.clone()),
        prop::option::of(line),
        (0_i64..4, 1_i64..3000),
    );
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let built = all.into_iter().enumerate();
        let built = built.map(|(index, (cpu, memory, (replicas, each)))| {
            let mut of = member(&format!("m{index}"), "arm", 60, 64);
            for (resource, line, unit) in [("cpu", cpu, 1000), ("memory", memory, 1 << 30)] {
                if let Some((percent, allocatable, requested)) = line {
                    let line = RedLine {
                        percent,
                        allocatable: Some(allocatable * unit),
                        requested: requested * unit,
                    };
                    of.red_lines.insert(resource.to_owned(), line);
                }
            }
            of.in_flight.push(InFlight {
                flavor: "arm".to_owned(),
                per_replica: Resources::new().with("cpu", each),
                replicas,
            });
            of
        });
        built.collect()
    })
}

fn asked() -> impl Strategy<Value = Vec<Request>> {
    let one = (1_i64..12, 1_i64..4000, 0_i64..3 << 30);
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let built = all.into_iter().enumerate();
        let built = built.map(|(index, (replicas, cpu, memory))| {
            let mut web = component("web", replicas, cpu);
            web.per_replica.set("memory", memory);
            request(&format!("w{index}"), vec![web])
        });
        built.collect()
    })
}

/// How many replicas a member takes, by adding one after the other.
fn by_counting(of: &Member, each: &Resources, used: &BTreeMap<String, i64>, most: i64) -> i64 {
    let holds = |count: i64| {
        of.red_lines.iter().all(|(resource, line)| {
            let asks = each.get(resource);
            let flying = of.in_flight.iter();
            let flying: i64 = flying
                .map(|f| f.replicas * f.per_replica.get(resource))
                .sum();
            let before = line.requested + flying + used.get(resource).copied().unwrap_or(0);
            asks == 0
                || (before + count * asks) * 100
                    <= line.allocatable.unwrap() * i64::from(line.percent)
        })
    };
    let mut count = 0;
    while count < most && holds(count + 1) {
        count += 1;
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Where lines alone bind, a workload is placed exactly where counting one by one finds room,
    /// through a whole batch.
    #[test]
    fn lines_leave_what_counting_leaves(members in wide(), asked in asked()) {
        let snapshot: Snapshot = with(world(), members);
        let config = Config::default();
        let verdicts = schedule(&snapshot, &asked, &config);
        prop_assert_eq!(check(&snapshot, &asked, &verdicts, &config), Vec::new());
        let mut used: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for verdict in &verdicts {
            let request = asked.iter().find(|of| of.key == verdict.key).unwrap();
            let web = &request.components[0];
            let none = BTreeMap::new();
            let fits: BTreeMap<&str, i64> = snapshot.members.iter().map(|(name, of)| {
                let used = used.get(name).unwrap_or(&none);
                (name.as_str(), by_counting(of, &web.per_replica, used, web.replicas))
            }).collect();
            let all: i64 = fits.values().sum();
            let Outcome::Placed(placed) = &verdict.outcome else {
                prop_assert!(all < web.replicas, "{:?} of {}", fits, web.replicas);
                continue;
            };
            for assignment in &placed.assignments {
                prop_assert!(assignment.replicas <= fits[assignment.member.as_str()]);
                let used = used.entry(assignment.member.clone()).or_default();
                for (resource, amount) in web.per_replica.iter() {
                    *used.entry(resource.to_owned()).or_default() += amount * assignment.replicas;
                }
            }
        }
    }
}
