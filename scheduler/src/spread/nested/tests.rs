use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::totals::{Limits, of_any, of_level};
use super::super::{Spread, several, spread};
use crate::divide::{Rule, Slot, sum};
use crate::fixtures::divisions;

/// What one constraint asks: skew, fewest and most groups.
type Asked = (Option<i64>, i64, Option<i64>);

/// Constraints that nest, over members with a path of values each.
fn chain(paths: &[Vec<usize>], asked: &[Asked]) -> Vec<Spread> {
    let build = |(level, (max_skew, min_groups, max_groups)): (usize, &Asked)| {
        let mut groups: BTreeMap<&[usize], usize> = BTreeMap::new();
        let mut above: BTreeMap<&[usize], usize> = BTreeMap::new();
        let mut outer = Vec::new();
        let mut group_of = Vec::new();
        for path in paths {
            let next = above.len();
            let lies_in = *above.entry(&path[..level]).or_insert(next);
            let group = *groups.entry(&path[..=level]).or_insert(outer.len());
            if group == outer.len() {
                outer.push(lies_in);
            }
            group_of.push(Some(group));
        }
        Spread {
            place: level,
            within: level.checked_sub(1),
            group_of,
            outer,
            max_skew: *max_skew,
            min_groups: *min_groups,
            max_groups: *max_groups,
            soft: false,
        }
    };
    asked.iter().enumerate().map(build).collect()
}

fn solve(slots: &[Slot], chain: &[Spread], total: i64, rule: Rule) -> Option<Vec<i64>> {
    let chain: Vec<&Spread> = chain.iter().collect();
    spread(slots, &chain, total, rule)
}

fn slot(prev: i64, hi: i64) -> Slot {
    Slot {
        prev,
        lo: 1,
        hi,
        weight: hi,
    }
}

/// Written apart from what it judges.
fn keeps(shares: &[i64], paths: &[Vec<usize>], asked: &[Asked]) -> bool {
    asked.iter().enumerate().all(|(level, (skew, min, max))| {
        let mut scopes: BTreeMap<&[usize], BTreeMap<usize, i64>> = BTreeMap::new();
        for (share, path) in shares.iter().zip(paths) {
            if *share > 0 {
                let groups = scopes.entry(&path[..level]).or_default();
                *groups.entry(path[level]).or_default() += share;
            }
        }
        scopes.values().all(|groups| {
            let total: i64 = groups.values().sum();
            let used = i64::try_from(groups.len()).unwrap();
            let skewed = groups.values().max().unwrap() - groups.values().min().unwrap();
            used >= *min.min(&total)
                && max.is_none_or(|max| used <= max)
                && skew.is_none_or(|skew| skewed <= skew)
        })
    })
}

/// Three provinces of two cities of two members each, all alike.
fn country(hi: i64) -> (Vec<Slot>, Vec<Vec<usize>>) {
    let paths: Vec<Vec<usize>> = (0..12).map(|of| vec![of / 4, of / 2 % 2]).collect();
    (vec![slot(0, hi); 12], paths)
}

fn by_province(shares: &[i64]) -> Vec<i64> {
    shares.chunks(4).map(|of| of.iter().sum()).collect()
}

#[test]
fn provinces_evenly_and_in_each_its_cities() {
    let (slots, paths) = country(9);
    let asked = [(Some(2), 3, None), (Some(1), 2, None)];
    let chain = chain(&paths, &asked);
    for total in 1..=60 {
        let answer = solve(&slots, &chain, total, Rule::Fewest).unwrap();
        assert_eq!(sum(&answer), total);
        assert!(keeps(&answer, &paths, &asked), "{total}: {answer:?}");
    }
}

#[test]
fn a_province_takes_what_its_cities_can_take_evenly() {
    let (mut slots, paths) = country(9);
    // The first province has a city with room for two only.
    (slots[0].hi, slots[1].hi) = (1, 1);
    let asked = [(None, 1, Some(1)), (Some(1), 2, None)];
    let chain = chain(&paths, &asked);
    let answer = solve(&slots, &chain, 5, Rule::Fewest).unwrap();
    assert_eq!(by_province(&answer), [5, 0, 0]);
    let answer = solve(&slots, &chain, 6, Rule::Fewest).unwrap();
    assert_eq!(by_province(&answer), [0, 6, 0], "3 + 3, and not 2 + 4");
}

#[test]
fn one_value_in_two_outer_groups_is_two_groups() {
    // Zone 0 in both provinces: each has one zone, and may not be asked for two.
    let paths = vec![vec![0, 0], vec![1, 0]];
    let slots = [slot(0, 9), slot(0, 9)];
    let asked = [(Some(1), 2, None), (None, 2, None)];
    assert_eq!(solve(&slots, &chain(&paths, &asked), 4, Rule::Fewest), None);
    let asked = [(Some(1), 2, None), (None, 1, Some(1))];
    let answer = solve(&slots, &chain(&paths, &asked), 4, Rule::Fewest);
    assert_eq!(answer, Some(vec![2, 2]));
}

#[test]
fn scaling_by_one_moves_nothing() {
    let (slots, paths) = country(9);
    let asked = [(Some(2), 3, None), (Some(1), 2, None)];
    let chain = chain(&paths, &asked);
    for rule in [Rule::Fewest, Rule::Proportional] {
        let mut there = solve(&slots, &chain, 1, rule).unwrap();
        for total in (2..=60).chain((1..60).rev()) {
            let now: Vec<Slot> = there.iter().map(|prev| slot(*prev, 9)).collect();
            let next = solve(&now, &chain, total, rule).unwrap();
            let grown = next.iter().zip(&there).filter(|(next, there)| next > there);
            let shrunk = next.iter().zip(&there).filter(|(next, there)| next < there);
            let (grown, shrunk) = (grown.count(), shrunk.count());
            assert_eq!(grown.min(shrunk), 0, "{rule:?} {total}: {there:?} {next:?}");
            there = next;
        }
    }
}

#[test]
fn nested_and_independent_constraints_are_all_kept() {
    let (slots, paths) = country(9);
    let mut all = chain(&paths, &[(Some(1), 3, None), (Some(1), 2, None)]);
    let provider: Vec<Vec<usize>> = (0..12).map(|of| vec![of % 2]).collect();
    let mut other = chain(&provider, &[(Some(2), 2, None)]).remove(0);
    other.place = 2;
    all.push(other);
    let answer = several(&slots, &all, 12, Rule::Proportional).unwrap();
    assert!(all.iter().all(|one| one.kept_by(&answer)), "{answer:?}");
}

#[test]
fn large_inputs_are_divided() {
    let paths: Vec<Vec<usize>> = (0..3069).map(|of| vec![of / 99, of / 9 % 11]).collect();
    let slots: Vec<Slot> = (0..3069).map(|of| slot(0, 1 + of % 7)).collect();
    let asked = [(Some(20), 31, None), (Some(2), 5, Some(10))];
    let answer = solve(&slots, &chain(&paths, &asked), 9000, Rule::Proportional).unwrap();
    assert!(keeps(&answer, &paths, &asked));
    assert_eq!(sum(&answer), 9000);
}

/// Where the least numbers leave gaps and tables would be too large, an answer is still right.
#[test]
fn beyond_the_work_for_tables_answers_are_still_right() {
    let paths: Vec<Vec<usize>> = (0..900).map(|of| vec![of / 30, of / 3 % 10]).collect();
    let slots: Vec<Slot> = (0..900)
        .map(|of| Slot {
            prev: 0,
            lo: 40 + of % 3,
            hi: 50 + of % 7,
            weight: 1,
        })
        .collect();
    let asked = [(Some(200), 10, None), (Some(60), 4, None)];
    let answer = solve(&slots, &chain(&paths, &asked), 20_000, Rule::Proportional);
    let answer = answer.expect("there is plenty of room");
    assert!(keeps(&answer, &paths, &asked));
    let fits = |(share, of): (&i64, &Slot)| *share == 0 || (of.lo..=of.hi).contains(share);
    assert!(answer.iter().zip(&slots).all(fits));
}

fn members() -> impl Strategy<Value = Vec<(Vec<usize>, Slot)>> {
    let path = prop::collection::vec(0_usize..2, 2);
    let bounds = (1_i64..4, 0_i64..5, 0_i64..4, 1_i64..4);
    let one = (0_usize..3, path, bounds).prop_map(|(first, rest, (lo, hi, prev, weight))| {
        let slot = Slot {
            prev,
            lo,
            hi,
            weight,
        };
        (vec![first, rest[0], rest[1]], slot)
    });
    // Half of the fleets have a least number of 1 everywhere, as most have.
    (prop::collection::vec(one, 1..7), any::<bool>()).prop_map(|(mut all, plain)| {
        for (_, slot) in all.iter_mut().filter(|_| plain) {
            slot.lo = 1;
        }
        all
    })
}

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let one = (
        prop::option::of(0_i64..3),
        1_i64..4,
        prop::option::of(1_i64..4),
    );
    prop::collection::vec(one, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    /// A nested spread is found exactly when one exists, and it keeps every constraint.
    #[test]
    fn nested_finds_what_brute_force_finds(
        members in members(),
        asked in asked(),
        total in 1_i64..9,
        fewest in any::<bool>(),
    ) {
        let (paths, slots): (Vec<_>, Vec<Slot>) = members.into_iter().unzip();
        let rule = if fewest { Rule::Fewest } else { Rule::Proportional };
        let chain = chain(&paths, &asked);
        let every = divisions(&slots, total);
        let exists = every.iter().any(|shares| keeps(shares, &paths, &asked));
        match several(&slots, &chain, total, rule) {
            None => prop_assert!(!exists),
            Some(answer) => {
                prop_assert!(every.contains(&answer), "{answer:?}");
                prop_assert!(keeps(&answer, &paths, &asked), "{answer:?}");
            }
        }
        for shares in &every {
            let kept = chain.iter().all(|one| one.kept_by(shares));
            prop_assert_eq!(kept, keeps(shares, &paths, &asked), "{:?}", shares);
        }
    }

    /// The totals by sorting are those by tables.
    #[test]
    fn totals_are_the_same_by_sorting_and_by_tables(
        room in prop::collection::vec(0_i64..7, 1..6),
        lo in 1_i64..4,
        skew in prop::option::of(1_i64..4),
        least in 1_i64..5,
        most in prop::option::of(1_i64..6),
        cap in 1_i64..80,
    ) {
        let limits = Limits { least, most, skew };
        let mut spans: Vec<(i64, i64)> = room.iter().map(|more| (lo, lo + more)).collect();
        let parts: Vec<Vec<(i64, i64)>> = spans.iter().map(|span| vec![*span]).collect();
        let tabled = of_any(&parts, limits, cap, &mut u64::MAX.clone()).unwrap();
        let sorted = of_level(&mut spans, limits, cap);
        prop_assert_eq!(sorted.spans(), tabled.spans());
    }
}
