//! Several constraints at once: exact where they nest, else a search that is verified, not
//! exhaustive.

use super::{Spread, spread};
use crate::divide::{Rule, Slot, sum};

/// The most single moves that repair a division.
const REPAIRS: usize = 200;

/// The most slots that a repair looks at on either side.
const CANDIDATES: usize = 16;

/// The most replicas that are placed one by one; above it they go in equal lots.
const STEPS: i64 = 20_000;

/// What is there, if it is all that is wanted and keeps every hard constraint: then nothing moves.
pub(crate) fn steady(slots: &[Slot], constraints: &[Spread], total: i64) -> Option<Vec<i64>> {
    let there: Vec<i64> = slots.iter().map(Slot::kept).collect();
    let mut hard = constraints.iter().filter(|one| !one.soft);
    let stays = sum(&there) == total && minimums(&there, slots);
    (stays && hard.all(|one| one.kept_by(&there))).then_some(there)
}

/// The constraint at an index with all that it is within, the outermost first.
pub(crate) fn chain_to(all: &[Spread], index: usize) -> Vec<&Spread> {
    let mut chain: Vec<&Spread> = Vec::new();
    let mut next = all.get(index);
    while let Some(one) = next.filter(|_| chain.len() < all.len()) {
        chain.push(one);
        next = one
            .within
            .and_then(|outer| all.iter().find(|other| other.place == outer));
    }
    chain.reverse();
    chain
}

/// The chains that are no part of a longer one.
fn chains(all: &[Spread]) -> Vec<Vec<&Spread>> {
    let innermost = |one: &Spread| all.iter().all(|other| other.within != Some(one.place));
    let ends = all.iter().enumerate().filter(|(_, one)| innermost(one));
    ends.map(|(index, _)| chain_to(all, index)).collect()
}

/// Divides `total` so that all constraints are kept. With one constraint, or when each is within
/// the one before, this is exact. With others together, `None` can also mean that the search has
/// found none.
pub(crate) fn several(
    slots: &[Slot],
    constraints: &[Spread],
    total: i64,
    rule: Rule,
) -> Option<Vec<i64>> {
    let chains = chains(constraints);
    match chains.as_slice() {
        [] => crate::divide::divide(slots, total, rule),
        [one] => spread(slots, one, total, rule),
        chains => {
            if let Some(answer) = chains.iter().find_map(|chain| {
                let answer = spread(slots, chain, total, rule)?;
                constraints
                    .iter()
                    .all(|other| other.kept_by(&answer))
                    .then_some(answer)
            }) {
                return Some(answer);
            }
            let narrowed = narrow(slots, chains, total, rule)?;
            let mut shares = evenly(&narrowed, constraints, total)?;
            repair(&mut shares, &narrowed, constraints);
            let kept = constraints.iter().all(|one| one.kept_by(&shares));
            (kept && minimums(&shares, slots)).then_some(shares)
        }
    }
}

/// Takes the slots of groups that a chain's own best division leaves out, one chain after the
/// other.
fn narrow(slots: &[Slot], chains: &[Vec<&Spread>], total: i64, rule: Rule) -> Option<Vec<Slot>> {
    let mut narrowed = slots.to_vec();
    for chain in chains {
        let answer = spread(&narrowed, chain, total, rule)?;
        for one in chain {
            let counts = one.counts(&answer);
            let limited = one.max_groups.is_some();
            for (slot, group) in narrowed.iter_mut().zip(&one.group_of) {
                let count = group.and_then(|group| counts.get(group));
                let used = count.is_some_and(|count| *count > 0);
                if group.is_none() || (limited && !used) {
                    slot.hi = 0;
                }
            }
        }
    }
    Some(narrowed)
}

/// Starts from what is there and adds or takes replicas where the groups are emptiest or fullest.
fn evenly(slots: &[Slot], all: &[Spread], total: i64) -> Option<Vec<i64>> {
    let mut shares: Vec<i64> = slots.iter().map(Slot::kept).collect();
    let mut counts: Vec<Vec<i64>> = all.iter().map(|one| one.counts(&shares)).collect();
    let lot = total.checked_div(STEPS).unwrap_or(0).saturating_add(1);
    let mut missing = total.saturating_sub(sum(&shares));
    while missing != 0 {
        let step = missing.clamp(lot.saturating_neg(), lot);
        let heights = (0..slots.len()).map(|index| height(all, &counts, index));
        let places = heights.zip(slots).zip(&shares).enumerate();
        let best = if step > 0 {
            let open = places.filter(|(_, ((_, slot), share))| **share < slot.hi);
            open.map(|(index, ((height, _), _))| (height, index)).min()
        } else {
            let taken = places.filter(|(_, (_, share))| **share > 0);
            let fullest = taken.map(|(index, ((height, _), _))| (height.saturating_neg(), index));
            fullest.min()
        };
        let (_, index) = best?;
        let (share, slot) = (shares.get_mut(index)?, slots.get(index)?);
        let next = share.saturating_add(step).clamp(0, slot.hi.max(*share));
        let moved = next.saturating_sub(*share);
        *share = next;
        missing = missing.saturating_sub(moved);
        for (one, counts) in all.iter().zip(&mut counts) {
            let group = one.group(index);
            if let Some(count) = group.and_then(|group| counts.get_mut(group)) {
                *count = count.saturating_add(moved);
            }
        }
    }
    Some(shares)
}

/// How full the groups of a slot are: the sum over the constraints.
fn height(all: &[Spread], counts: &[Vec<i64>], index: usize) -> i64 {
    all.iter().zip(counts).fold(0_i64, |height, (one, counts)| {
        let group = one.group(index);
        let count = group.and_then(|group| counts.get(group).copied());
        height.saturating_add(count.unwrap_or(0))
    })
}

/// Moves one replica at a time while that lowers the sum by which constraints are broken.
fn repair(shares: &mut [i64], slots: &[Slot], all: &[Spread]) {
    for _ in 0..REPAIRS {
        let broken = violation(all, shares);
        if broken == 0 {
            return;
        }
        let Some((from, to)) = improving(shares, slots, all, broken) else {
            return;
        };
        shift(shares, from, to);
    }
}

/// The first single move, of the fullest slots' replicas to the emptiest slots, that helps.
fn improving(
    shares: &mut [i64],
    slots: &[Slot],
    all: &[Spread],
    broken: i64,
) -> Option<(usize, usize)> {
    let counts: Vec<Vec<i64>> = all.iter().map(|one| one.counts(shares)).collect();
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|index| (height(all, &counts, *index), *index));
    let share = |index: usize| shares.get(index).copied().unwrap_or(0);
    let open = |index: usize| slots.get(index).is_some_and(|slot| share(index) < slot.hi);
    let to: Vec<usize> = order
        .iter()
        .copied()
        .filter(|index| open(*index))
        .take(CANDIDATES)
        .collect();
    let fullest = order.into_iter().rev().filter(|index| share(*index) > 0);
    let from: Vec<usize> = fullest.take(CANDIDATES).collect();
    for from in from {
        for to in to.iter().copied().filter(|to| *to != from) {
            shift(shares, from, to);
            let better = violation(all, shares) < broken;
            shift(shares, to, from);
            if better {
                return Some((from, to));
            }
        }
    }
    None
}

fn shift(shares: &mut [i64], from: usize, to: usize) {
    if let Some(share) = shares.get_mut(from) {
        *share = share.saturating_sub(1);
    }
    if let Some(share) = shares.get_mut(to) {
        *share = share.saturating_add(1);
    }
}

/// By how much the constraints are broken in all.
fn violation(all: &[Spread], shares: &[i64]) -> i64 {
    let scopes = all.iter().map(|one| (one, one.used(shares)));
    scopes.fold(0_i64, |broken, (one, scopes)| {
        scopes.iter().fold(broken, |broken, used| {
            let groups = i64::try_from(used.len()).unwrap_or(i64::MAX);
            let spread = match (used.iter().max(), used.iter().min()) {
                (Some(most), Some(least)) => most.saturating_sub(*least),
                _ => return broken,
            };
            let over = one
                .max_groups
                .map_or(0, |max| groups.saturating_sub(max).max(0));
            let under = one
                .limits()
                .least_groups(sum(used))
                .saturating_sub(groups)
                .max(0);
            let skew = one
                .max_skew
                .map_or(0, |skew| spread.saturating_sub(skew).max(0));
            broken
                .saturating_add(over)
                .saturating_add(under)
                .saturating_add(skew)
        })
    })
}

fn minimums(shares: &[i64], slots: &[Slot]) -> bool {
    shares
        .iter()
        .zip(slots)
        .all(|(share, slot)| *share == 0 || *share >= slot.lo)
}
