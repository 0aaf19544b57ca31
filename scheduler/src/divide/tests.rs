use proptest::prelude::*;

use super::{Rule, Slot, divide, largest_remainder, sum};
use crate::fixtures::divisions;

fn fresh(bounds: &[(i64, i64, i64)]) -> Vec<Slot> {
    let slot = |(lo, hi, weight): &(i64, i64, i64)| Slot {
        prev: 0,
        lo: *lo,
        hi: *hi,
        weight: *weight,
    };
    bounds.iter().map(slot).collect()
}

fn moved(slots: &[Slot], answer: &[i64]) -> i64 {
    slots
        .iter()
        .zip(answer)
        .map(|(slot, now)| (slot.prev - now).max(0))
        .sum()
}

#[test]
fn weights_divide_by_largest_remainder() {
    assert_eq!(largest_remainder(&[1, 1, 1], 10), [4, 3, 3]);
    assert_eq!(largest_remainder(&[7, 2, 1], 7), [5, 1, 1]);
    assert_eq!(largest_remainder(&[0, 0], 3), [2, 1]);
    assert_eq!(largest_remainder(&[], 3), [0_i64; 0]);
}

#[test]
fn bounds_pass_the_rest_on() {
    let slots = fresh(&[(1, 2, 50), (1, 100, 25), (1, 100, 25)]);
    assert_eq!(divide(&slots, 12, Rule::Proportional), Some(vec![2, 5, 5]));
}

#[test]
fn aggregated_takes_the_best_slot_that_holds_all() {
    let slots = fresh(&[(1, 5, 1), (1, 20, 1), (1, 30, 1)]);
    assert_eq!(divide(&slots, 12, Rule::Fewest), Some(vec![0, 12, 0]));
    assert_eq!(divide(&slots, 32, Rule::Fewest), Some(vec![5, 0, 27]));
}

#[test]
fn aggregated_scale_down_empties_the_smallest() {
    let mut slots = fresh(&[(1, 9, 1), (1, 9, 1), (1, 9, 1)]);
    for (slot, prev) in slots.iter_mut().zip([3, 9, 4]) {
        slot.prev = prev;
    }
    assert_eq!(divide(&slots, 12, Rule::Fewest), Some(vec![0, 9, 3]));
}

#[test]
fn nothing_moves_when_a_slot_is_added() {
    let mut slots = fresh(&[(1, 50, 50), (1, 50, 50), (1, 99, 99)]);
    slots[0].prev = 6;
    slots[1].prev = 6;
    assert_eq!(divide(&slots, 12, Rule::Proportional), Some(vec![6, 6, 0]));
    assert_eq!(divide(&slots, 14, Rule::Proportional), Some(vec![6, 6, 2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// A division is found exactly when one exists, and it is within the bounds.
    #[test]
    fn divide_finds_what_brute_force_finds(
        slots in prop::collection::vec((0_i64..5, 1_i64..5, 0_i64..8, 0_i64..6), 1..5),
        total in 1_i64..14,
        fewest in any::<bool>(),
    ) {
        let slots: Vec<Slot> =
            slots.into_iter().map(|(prev, lo, hi, weight)| Slot { prev, lo, hi, weight }).collect();
        let rule = if fewest { Rule::Fewest } else { Rule::Proportional };
        let every = divisions(&slots, total);
        match divide(&slots, total, rule) {
            None => prop_assert!(every.is_empty(), "missed {:?}", every.first()),
            Some(answer) => prop_assert!(every.contains(&answer), "{answer:?} is out of bounds"),
        }
    }

    /// Where least numbers do not interfere, no division moves less.
    #[test]
    fn divide_moves_as_little_as_brute_force(
        slots in prop::collection::vec((0_i64..6, 0_i64..8, 0_i64..6), 1..5),
        total in 1_i64..14,
        fewest in any::<bool>(),
    ) {
        let slots: Vec<Slot> =
            slots.into_iter().map(|(prev, hi, weight)| Slot { prev, lo: 1, hi, weight }).collect();
        let rule = if fewest { Rule::Fewest } else { Rule::Proportional };
        if let Some(answer) = divide(&slots, total, rule) {
            let least = divisions(&slots, total).iter().map(|one| moved(&slots, one)).min();
            prop_assert_eq!(Some(moved(&slots, &answer)), least);
        }
    }

    /// Each share differs from the exact one by less than 1, and they add up.
    #[test]
    fn largest_remainder_is_within_one(
        weights in prop::collection::vec(0_i64..1000, 1..8),
        total in 0_i64..10_000,
    ) {
        let shares = largest_remainder(&weights, total);
        prop_assert_eq!(sum(&shares), total);
        let all: i64 = weights.iter().sum();
        if all > 0 {
            for (weight, share) in weights.iter().zip(&shares) {
                prop_assert!((share * all - weight * total).abs() < all);
            }
        }
    }
}
