use proptest::prelude::*;

use super::{Each, Flying, Nodes, room, roomy, slots};

fn nodes(list: &[(i64, &[i64])]) -> Vec<Nodes> {
    list.iter()
        .map(|(count, free)| Nodes {
            count: *count,
            free: free.iter().copied().collect(),
        })
        .collect()
}

fn left(nodes: &[Nodes], flying: &[Flying], each: &Each) -> i64 {
    room(nodes.iter(), flying.iter(), each)
}

/// The fewest replicas that fit after any packing of the pods in flight, by trying them all. A pod
/// that fits nowhere takes nothing.
fn worst(free: &mut Vec<Vec<i64>>, flying: &[Each], each: &Each) -> i64 {
    let Some((first, rest)) = flying.split_first() else {
        return free
            .iter()
            .map(|node| {
                each.iter()
                    .map(|(resource, amount)| node[*resource] / amount)
                    .min()
                    .unwrap()
            })
            .sum();
    };
    let mut least = i64::MAX;
    for node in 0..free.len() {
        if first
            .iter()
            .all(|(resource, amount)| free[node][*resource] >= *amount)
        {
            for (resource, amount) in first {
                free[node][*resource] -= amount;
            }
            least = least.min(worst(free, rest, each));
            for (resource, amount) in first {
                free[node][*resource] += amount;
            }
        }
    }
    if least == i64::MAX {
        worst(free, rest, each)
    } else {
        least
    }
}

fn worst_nodes(free: &mut Vec<i64>, flying: &[i64], each: i64) -> i64 {
    let roomy = |free: &[i64]| free.iter().map(|free| i64::from(*free >= each)).sum();
    let Some((first, rest)) = flying.split_first() else {
        return roomy(free);
    };
    let mut least = None;
    for node in 0..free.len() {
        if free[node] >= *first {
            free[node] -= first;
            let now = worst_nodes(free, rest, each);
            least = Some(least.map_or(now, |least: i64| least.min(now)));
            free[node] += first;
        }
    }
    least.unwrap_or_else(|| worst_nodes(free, rest, each))
}

#[test]
fn two_members_of_ten_hold_six_of_one_and_a_half() {
    let member = nodes(&[(1, &[10_000])]);
    let each: Each = vec![(0, 1500)];
    for placed in 0..6 {
        let flying = [Flying {
            each: each.clone(),
            replicas: placed,
        }];
        assert_eq!(left(&member, &flying, &each), 6 - placed);
    }
}

#[test]
fn small_pods_in_flight_do_not_take_a_whole_slot_each() {
    let member = nodes(&[(1000, &[31_000])]);
    let flying = [Flying {
        each: vec![(0, 100)],
        replicas: 100,
    }];
    let each: Each = vec![(0, 4000)];
    assert_eq!(left(&member, &[], &each), 7000);
    assert_eq!(left(&member, &flying, &each), 6997);
}

#[test]
fn a_resource_that_no_node_has_fits_nowhere() {
    let member = nodes(&[(3, &[1000])]);
    assert_eq!(slots(member.iter(), &vec![(4, 1)]), 0);
    assert_eq!(slots(member.iter(), &Vec::new()), super::PLENTY);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The room is never more than what the worst packing leaves.
    #[test]
    fn room_is_safe_for_every_packing(
        free in prop::collection::vec(prop::collection::vec(0_i64..13, 2), 1..4),
        flying in prop::collection::vec((1_i64..7, 1_i64..7), 0..5),
        each in (1_i64..7, 1_i64..7),
    ) {
        let each: Each = vec![(0, each.0), (1, each.1)];
        let flown: Vec<Each> = flying.iter().map(|(cpu, memory)| vec![(0, *cpu), (1, *memory)]).collect();
        let groups: Vec<Flying> = flown.iter().map(|each| Flying { each: each.clone(), replicas: 1 }).collect();
        let shapes: Vec<Nodes> = free.iter().map(|free| Nodes { count: 1, free: free.iter().copied().collect() }).collect();
        let answer = left(&shapes, &groups, &each);
        prop_assert!(answer <= worst(&mut free.clone(), &flown, &each));
    }

    /// As many nodes have room for one replica, whatever the packing.
    #[test]
    fn roomy_is_safe_for_every_packing(
        free in prop::collection::vec(0_i64..13, 1..4),
        flying in prop::collection::vec(1_i64..7, 0..5),
        each in 1_i64..7,
    ) {
        let one: Each = vec![(0, each)];
        let groups: Vec<Flying> =
            flying.iter().map(|cpu| Flying { each: vec![(0, *cpu)], replicas: 1 }).collect();
        let shapes: Vec<Nodes> =
            free.iter().map(|free| Nodes { count: 1, free: [*free].into_iter().collect() }).collect();
        let answer = roomy(shapes.iter(), groups.iter(), &one);
        prop_assert!(answer <= worst_nodes(&mut free.clone(), &flying, each));
    }

    /// Where all are of one size the room is exact.
    #[test]
    fn room_is_exact_for_one_size(
        free in prop::collection::vec(0_i64..40, 1..6),
        each in 1_i64..9,
        flying in 0_i64..10,
    ) {
        let each: Each = vec![(0, each)];
        let shapes: Vec<Nodes> = free.iter().map(|free| Nodes { count: 1, free: [*free].into_iter().collect() }).collect();
        let total = slots(shapes.iter(), &each);
        let groups = [Flying { each: each.clone(), replicas: flying }];
        prop_assert_eq!(left(&shapes, &groups, &each), (total - flying).max(0));
    }
}
