//! What holds for every fleet and every batch.

use std::sync::Arc;

use proptest::prelude::*;

use crate::check::check;
use crate::config::Config;
use crate::fixtures::{NOW, commit, component, member, quota, request, with, world};
use crate::request::*;
use crate::resources::Resources;
use crate::schedule::schedule;
use crate::snapshot::*;
use crate::verdict::{MemberState, Outcome, Verdict};

pub(crate) fn members() -> impl Strategy<Value = Vec<Member>> {
    let one = (
        (1_i64..4, 1_i64..9, 0_u8..12, any::<bool>()),
        (0_usize..3, 0_usize..3, 0_usize..4),
        prop::collection::vec((1_i64..3000, 0_i64..4), 0..3),
        red_lines(),
    );
    prop::collection::vec(one, 1..7).prop_map(|all| {
        let built = all
            .into_iter()
            .enumerate()
            .map(|(index, (size, place, flying, lines))| {
                let (nodes, cores, state, arm) = size;
                let (provider, zone, region) = place;
                let flavor = if arm { "arm" } else { "amd" };
                let mut of = member(&format!("m{index}"), flavor, nodes, cores);
                ["huawei", "alibaba", ""][provider].clone_into(&mut of.provider);
                ["cegn-common", "internet", "cegn-common"][zone].clone_into(&mut of.zone);
                ["guangzhou", "panyu", "shenzhen", "guangzhou"][region].clone_into(&mut of.region);
                of.in_flight = flying
                    .into_iter()
                    .map(|(cpu, replicas)| InFlight {
                        flavor: flavor.to_owned(),
                        per_replica: Resources::new().with("cpu", cpu),
                        replicas,
                    })
                    .collect();
                of.red_lines = lines;
                if let Some(sketch) = &mut of.sketch {
                    let small = Shape {
                        count: 1,
                        ..sketch.shapes[0].clone()
                    };
                    let free = Resources::new().with("cpu", 1700).with("memory", 1 << 30);
                    let labels = small.labels.clone();
                    sketch.shapes.push(Shape {
                        labels,
                        free,
                        ..small
                    });
                }
                match state {
                    0 => of.readiness = Readiness::Unknown { since: NOW - 5 },
                    1 => of.unschedulable = true,
                    2 => of.sketch = None,
                    3 => {
                        of.mlps = Some(Mlps {
                            level: 2,
                            valid_until: None,
                        });
                    }
                    4 => {
                        of.taints = vec![Taint {
                            key: "k".to_owned(),
                            value: String::new(),
                            effect: TaintEffect::NoSchedule,
                        }];
                    }
                    _ => {}
                }
                of
            });
        built.collect()
    })
}

/// Seldom a line; of a resource that all ask for, that some do, or that each pod is one of.
fn red_lines() -> impl Strategy<Value = std::collections::BTreeMap<String, RedLine>> {
    let line = (
        prop::sample::select(vec!["cpu", "cpu", "pods", "memory"]),
        0_u8..101,
        prop::option::weighted(0.9, 0_i64..24),
        0_i64..12,
    );
    let line = line.prop_map(|(resource, percent, allocatable, requested)| {
        let unit = if resource == "cpu" { 1000 } else { 1 };
        let line = RedLine {
            percent,
            allocatable: allocatable.map(|of| of * unit),
            requested: requested * unit,
        };
        (resource.to_owned(), line)
    });
    let some = prop::collection::btree_map(Just(()), line, 0..2);
    some.prop_map(|some| some.into_values().collect())
}

fn spreads() -> impl Strategy<Value = Vec<SpreadConstraint>> {
    let one = (
        prop::sample::select(vec!["provider", "zone", "member", "region"]),
        prop::option::of(1_i64..4),
        prop::option::of(1_i64..3),
        prop::option::of(2_i64..4),
        any::<bool>(),
    );
    let one = one.prop_map(
        |(key, max_skew, min_groups, max_groups, soft)| SpreadConstraint {
            topology_key: key.to_owned(),
            within: None,
            max_skew,
            min_groups,
            max_groups,
            when_unsatisfiable: if soft {
                WhenUnsatisfiable::ScheduleAnyway
            } else {
                WhenUnsatisfiable::DoNotSchedule
            },
        },
    );
    (prop::collection::vec(one, 0..3), any::<bool>()).prop_map(|(mut all, nest)| {
        if let ([outer, inner], true) = (all.as_mut_slice(), nest) {
            inner.within = Some(outer.topology_key.clone());
        }
        all
    })
}

fn component_rules() -> impl Strategy<Value = Option<ComponentRule>> {
    let keys = prop::sample::select(vec!["provider", "zone", "member", "region"]);
    (keys, any::<bool>(), 0_u8..3).prop_map(|(key, apart, given)| {
        let kind = if apart {
            ComponentKind::Apart
        } else {
            ComponentKind::Together
        };
        let topology_key = key.to_owned();
        (given == 0).then_some(ComponentRule { kind, topology_key })
    })
}

/// Rules for others by the label `app`, most of them hard.
fn neighbours() -> impl Strategy<Value = Vec<NeighbourRule>> {
    let key = prop::sample::select(vec!["provider", "zone", "member", "region"]);
    let app = prop::sample::select(vec![
        (LabelOp::In, "a"),
        (LabelOp::In, "b"),
        (LabelOp::NotIn, "a"),
        (LabelOp::Exists, ""),
    ]);
    let one = (key, app, any::<bool>(), 0_u8..4);
    let one = one.prop_map(|(key, (op, app), apart, soft)| NeighbourRule {
        kind: if apart {
            NeighbourKind::Apart
        } else {
            NeighbourKind::Near
        },
        selector: vec![LabelRequirement {
            key: "app".to_owned(),
            op,
            values: vec![app.to_owned()],
        }],
        topology_key: key.to_owned(),
        when_unsatisfiable: if soft == 0 {
            WhenUnsatisfiable::ScheduleAnyway
        } else {
            WhenUnsatisfiable::DoNotSchedule
        },
    });
    prop_oneof![Just(Vec::new()), prop::collection::vec(one, 1..3)]
}

fn placements() -> impl Strategy<Value = PlacementSpec> {
    (
        (
            0_usize..4,
            prop::option::of(1_i64..3),
            prop::option::of(3_i64..6),
        ),
        (spreads(), component_rules(), neighbours()),
        (any::<bool>(), any::<bool>(), 0_usize..4),
    )
        .prop_map(
            |((kind, min, max), (spread, components, neighbours), (zone, level, tiers))| {
                PlacementSpec {
                    division: DivisionSpec {
                        kind: [
                            DivisionKind::Aggregated,
                            DivisionKind::ByCapacity,
                            DivisionKind::Weighted,
                            DivisionKind::Duplicated,
                        ][kind],
                        min_per_member: min,
                        max_per_member: max,
                        ..DivisionSpec::default()
                    },
                    spread,
                    neighbours,
                    components: components
                        .filter(|of| of.kind != ComponentKind::Apart || kind != 3),
                    requirements: Requirements {
                        zone: zone.then(|| "cegn-common".to_owned()),
                        mlps_level: level.then_some(3),
                        ..Requirements::default()
                    },
                    affinity: ["huawei", "alibaba"]
                        .into_iter()
                        .take(if tiers > 1 { 0 } else { 2 })
                        .map(|provider| AffinityTerm {
                            name: provider.to_owned(),
                            providers: [provider.to_owned()].into(),
                            ..AffinityTerm::default()
                        })
                        .collect(),
                    ..PlacementSpec::default()
                }
            },
        )
}

pub(crate) fn requests() -> impl Strategy<Value = Vec<Request>> {
    let part = (0_i64..7, 1_i64..3000, 0_usize..8, 0_i64..60);
    let one = (
        prop::collection::vec(part, 0..4),
        placements(),
        0_i32..3,
        (
            0_i64..3,
            prop::option::of(prop::sample::select(vec!["a", "b"])),
        ),
    );
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let built =
            all.into_iter().enumerate().map(
                |(index, (parts, placement, priority, (created, app)))| {
                    let parts = parts.into_iter().enumerate().map(
                        |(index, (replicas, cpu, kind, surge))| Component {
                            division: match kind {
                                0 => Division::EveryMatchingNode,
                                1 | 2 => Division::OneMember,
                                _ => Division::Divided,
                            },
                            surge: Surge::Percent(surge),
                            pinned_data: kind == 2,
                            ..component(&format!("c{index}"), replicas, cpu)
                        },
                    );
                    Request {
                        created,
                        priority,
                        placement,
                        labels: app
                            .map(|app| ("app".to_owned(), app.to_owned()))
                            .into_iter()
                            .collect(),
                        ..request(&format!("w{index}"), parts.collect())
                    }
                },
            );
        built.collect()
    })
}

pub(crate) fn fleets() -> impl Strategy<Value = Snapshot> {
    (members(), prop::option::of(0_i64..12_000)).prop_map(|(members, arm)| {
        let mut snapshot = with(world(), members);
        if let Some(arm) = arm {
            quota(&mut snapshot, "civil-affairs", arm / 2, arm);
        }
        let agency = snapshot.tenants.get_mut("civil-affairs").unwrap();
        agency.guardrails.residency = Some(["guangzhou".to_owned()].into());
        snapshot
    })
}

fn text(verdicts: &[Verdict]) -> String {
    serde_json::to_string(verdicts).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The checker finds nothing, every request has a verdict, every member is explained.
    #[test]
    fn every_batch_passes_the_checker(snapshot in fleets(), requests in requests()) {
        let config = Config::default();
        let verdicts = schedule(&snapshot, &requests, &config);
        let broken = check(&snapshot, &requests, &verdicts, &config);
        prop_assert!(broken.is_empty(), "{:#?}", broken);
        for verdict in &verdicts {
            for member in &verdict.members {
                let bare = member.state == MemberState::Filtered && member.refusals.is_empty();
                prop_assert!(!bare);
            }
        }
    }

    /// The order of the requests changes nothing, and neither does doing it again.
    #[test]
    fn permuting_the_requests_changes_nothing(
        snapshot in fleets(),
        (requests, permuted) in requests().prop_flat_map(|all| {
            (Just(all.clone()), Just(all).prop_shuffle())
        }),
    ) {
        let config = Config::default();
        let first = text(&schedule(&snapshot, &requests, &config));
        prop_assert_eq!(&first, &text(&schedule(&snapshot, &permuted, &config)));
        let again: Snapshot = serde_json::from_str(&serde_json::to_string(&snapshot).unwrap()).unwrap();
        prop_assert_eq!(&first, &text(&schedule(&again, &requests, &config)));
    }

    /// What is placed and committed stays as it is when it is decided again, and changes of the
    /// replicas pass the checker too.
    #[test]
    fn committed_work_stays(snapshot in fleets(), requests in requests(), scale in 0_i64..10) {
        let config = Config::default();
        let mut snapshot = snapshot;
        let mut requests = requests;
        let verdicts = schedule(&snapshot, &requests, &config);
        for request in &mut requests {
            let verdict = verdicts.iter().find(|verdict| verdict.key == request.key).unwrap();
            commit(&mut snapshot, request, verdict);
        }
        let again = schedule(&snapshot, &requests, &config);
        for verdict in &again {
            let before = verdicts.iter().find(|before| before.key == verdict.key).unwrap();
            if let Outcome::Placed(placed) = &before.outcome {
                let Outcome::Placed(now) = &verdict.outcome else {
                    return Err(TestCaseError::fail(format!("{placed:#?} became {:#?}", verdict.outcome)));
                };
                prop_assert_eq!(&placed.assignments, &now.assignments);
                prop_assert!(now.increase.is_empty());
            }
        }
        for request in &mut requests {
            for component in &mut request.components {
                component.replicas = (component.replicas + scale) % 9;
            }
        }
        let scaled = schedule(&snapshot, &requests, &config);
        let broken = check(&snapshot, &requests, &scaled, &config);
        prop_assert!(broken.is_empty(), "{:#?}", broken);
    }

    /// No number makes it panic, and the checker neither.
    #[test]
    fn no_number_makes_it_panic(
        snapshot in fleets(),
        requests in requests(),
        wild in prop::collection::vec(prop::sample::select(vec![
            i64::MIN, i64::MIN + 1, -1, 0, 1, 1_000_000, 1 << 40, i64::MAX - 1, i64::MAX,
        ]), 16),
    ) {
        let mut snapshot = snapshot;
        let mut requests = requests;
        let mut wild = wild.into_iter().cycle();
        let mut next = || wild.next().unwrap();
        snapshot.now = next();
        for of in snapshot.members.values_mut().map(Arc::make_mut) {
            of.readiness = Readiness::NotReady { since: next() };
            for flight in &mut of.in_flight {
                flight.replicas = next();
                flight.per_replica.set("cpu", next());
            }
            for shape in of.sketch.iter_mut().flat_map(|sketch| &mut sketch.shapes) {
                shape.count = next();
                shape.free.set("cpu", next());
                shape.free.set("pods", next());
            }
            for line in of.red_lines.values_mut() {
                line.allocatable = Some(next());
                line.requested = next();
            }
            for prices in of.prices.values_mut().flat_map(|of| of.values_mut()) {
                *prices = next();
            }
        }
        for request in &mut requests {
            let held = Held {
                entries: request
                    .components
                    .iter()
                    .map(|component| HeldEntry {
                        member: "m0".to_owned(),
                        component: component.name.clone(),
                        flavor: "arm".to_owned(),
                        replicas: next(),
                        per_replica: Resources::new().with("cpu", next()),
                        charge: Resources::new().with("cpu", next()),
                    })
                    .collect(),
            };
            snapshot.held.insert(request.key.clone(), held);
            request.created = next();
            for component in &mut request.components {
                component.replicas = next();
                component.surge = Surge::Absolute(next());
                component.per_replica.set("cpu", next());
            }
            for spread in &mut request.placement.spread {
                spread.max_skew = Some(next());
                spread.min_groups = Some(next());
            }
            request.placement.division.min_per_member = Some(next());
        }
        let config = Config::default();
        let verdicts = schedule(&snapshot, &requests, &config);
        let _ = check(&snapshot, &requests, &verdicts, &config);
    }
}
