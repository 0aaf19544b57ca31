use proptest::prelude::*;

use super::{Spread, several, spread};
use crate::divide::{Rule, Slot, sum};
use crate::fixtures::divisions;

fn slots(hi: &[i64]) -> Vec<Slot> {
    hi.iter()
        .map(|hi| Slot {
            prev: 0,
            lo: 1,
            hi: *hi,
            weight: *hi,
        })
        .collect()
}

fn over(groups: &[usize], max_skew: Option<i64>, min: i64, max: Option<i64>) -> Spread {
    let group_of = groups.iter().map(|group| Some(*group)).collect();
    Spread {
        place: 0,
        within: None,
        outer: vec![0; groups.iter().max().map_or(0, |last| last + 1)],
        group_of,
        max_skew,
        min_groups: min,
        max_groups: max,
        soft: false,
    }
}

/// Written apart from what it judges.
fn keeps(shares: &[i64], groups: &[usize], skew: Option<i64>, min: i64, max: Option<i64>) -> bool {
    let total: i64 = shares.iter().sum();
    let mut counts = std::collections::BTreeMap::new();
    for (share, group) in shares.iter().zip(groups) {
        *counts.entry(group).or_insert(0) += share;
    }
    counts.retain(|_, count| *count > 0);
    let used = i64::try_from(counts.len()).unwrap();
    let skewed = counts.values().max().unwrap() - counts.values().min().unwrap();
    used >= min.min(total) && max.is_none_or(|max| used <= max) && skew.is_none_or(|s| skewed <= s)
}

#[test]
fn an_even_spread_uses_all_groups() {
    let one = over(&[0, 1, 2], Some(1), 1, None);
    assert_eq!(
        spread(&slots(&[9, 9, 9]), &[&one], 7, Rule::Fewest),
        Some(vec![3, 2, 2])
    );
}

#[test]
fn too_few_groups_are_refused() {
    let one = over(&[0, 0, 1], None, 3, None);
    assert_eq!(spread(&slots(&[9, 9, 9]), &[&one], 7, Rule::Fewest), None);
}

#[test]
fn ten_of_thirty_one_groups() {
    let groups: Vec<usize> = (0..310).map(|member| member / 10).collect();
    let hi: Vec<i64> = (0..310).map(|member| 3 + member % 7).collect();
    let one = over(&groups, Some(2), 10, Some(10));
    let answer = spread(&slots(&hi), &[&one], 200, Rule::Proportional).unwrap();
    assert!(one.kept_by(&answer));
    assert_eq!(sum(&answer), 200);
}

#[test]
fn scaling_within_the_skew_moves_nothing() {
    let mut there = slots(&[20, 20]);
    there[0].prev = 5;
    there[1].prev = 3;
    let one = over(&[0, 1], Some(2), 1, None);
    assert_eq!(spread(&there, &[&one], 8, Rule::Fewest), Some(vec![5, 3]));
    let grown = spread(&there, &[&one], 10, Rule::Fewest).unwrap();
    assert!(grown[0] >= 5 && grown[1] >= 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2500))]

    /// A spread is found exactly when one exists, and it keeps the constraint.
    #[test]
    fn spread_finds_what_brute_force_finds(
        members in prop::collection::vec((0_usize..3, 0_i64..6, 0_i64..4), 1..6),
        skew in prop::option::of(0_i64..4),
        min in 1_i64..4,
        max in prop::option::of(1_i64..4),
        total in 1_i64..12,
        fewest in any::<bool>(),
    ) {
        let groups: Vec<usize> = members.iter().map(|(group, _, _)| *group).collect();
        let hi: Vec<i64> = members.iter().map(|(_, hi, _)| *hi).collect();
        let mut list = slots(&hi);
        for (slot, (_, _, prev)) in list.iter_mut().zip(&members) {
            slot.prev = *prev;
        }
        let one = over(&groups, skew, min, max);
        let rule = if fewest { Rule::Fewest } else { Rule::Proportional };
        let exists = divisions(&slots(&hi), total).iter().any(|shares| keeps(shares, &groups, skew, min, max));
        match spread(&list, &[&one], total, rule) {
            None => prop_assert!(!exists),
            Some(answer) => {
                prop_assert!(keeps(&answer, &groups, skew, min, max), "{answer:?}");
                prop_assert_eq!(sum(&answer), total);
                prop_assert!(answer.iter().zip(&hi).all(|(share, hi)| share <= hi && *share >= 0));
            }
        }
    }

    /// Several constraints: what is found keeps them all.
    #[test]
    fn several_constraints_are_all_kept(
        members in prop::collection::vec((0_usize..3, 0_usize..3, 0_i64..6), 1..6),
        skews in (prop::option::of(1_i64..4), prop::option::of(1_i64..4)),
        min in (1_i64..3, 1_i64..3),
        total in 1_i64..12,
    ) {
        let first: Vec<usize> = members.iter().map(|(group, _, _)| *group).collect();
        let second: Vec<usize> = members.iter().map(|(_, group, _)| *group).collect();
        let hi: Vec<i64> = members.iter().map(|(_, _, hi)| *hi).collect();
        let mut both = [over(&first, skews.0, min.0, None), over(&second, skews.1, min.1, None)];
        both[1].place = 1;
        if let Some(answer) = several(&slots(&hi), &both, total, Rule::Proportional) {
            prop_assert!(keeps(&answer, &first, skews.0, min.0, None));
            prop_assert!(keeps(&answer, &second, skews.1, min.1, None));
            prop_assert_eq!(sum(&answer), total);
        }
    }
}
