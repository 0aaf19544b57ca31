//! Several constraints at once: a search that is verified, not exhaustive.

use super::{Spread, spread};
use crate::divide::{Rule, Slot, sum};

/// The most single moves that repair a division.
const REPAIRS: usize = 10_000;

/// The most replicas that are placed one by one; above it they go in equal lots.
const STEPS: i64 = 20_000;

/// Divides `total` so that all constraints are kept. With one constraint this is exact. With
/// several, `None` can also mean that the search has found none.
pub(crate) fn several(
    slots: &[Slot],
    constraints: &[Spread],
    total: i64,
    rule: Rule,
) -> Option<Vec<i64>> {
    match constraints {
        [] => crate::divide::divide(slots, total, rule),
        [one] => spread(slots, one, total, rule),
        all => {
            if let Some(answer) = all.iter().find_map(|one| {
                let answer = spread(slots, one, total, rule)?;
                all.iter()
                    .all(|other| other.kept_by(&answer))
                    .then_some(answer)
            }) {
                return Some(answer);
            }
            let narrowed = narrow(slots, all, total, rule)?;
            let mut shares = evenly(&narrowed, all, total)?;
            repair(&mut shares, &narrowed, all);
            let kept = all.iter().all(|one| one.kept_by(&shares)) && minimums(&shares, slots);
            kept.then_some(shares)
        }
    }
}

/// Takes the slots of groups that a constraint's own best division leaves out, one constraint
/// after the other.
fn narrow(slots: &[Slot], all: &[Spread], total: i64, rule: Rule) -> Option<Vec<Slot>> {
    let mut narrowed = slots.to_vec();
    for one in all {
        let answer = spread(&narrowed, one, total, rule)?;
        let counts = one.counts(&answer);
        let limited = one.max_groups.is_some();
        for (slot, group) in narrowed.iter_mut().zip(&one.group_of) {
            let used = group.is_some_and(|group| counts.get(group).is_some_and(|count| *count > 0));
            if group.is_none() || (limited && !used) {
                slot.hi = 0;
            }
        }
    }
    Some(narrowed)
}

/// Starts from what is there and adds or takes replicas where the groups are emptiest or fullest.
fn evenly(slots: &[Slot], all: &[Spread], total: i64) -> Option<Vec<i64>> {
    let mut shares: Vec<i64> = slots.iter().map(Slot::kept).collect();
    let lot = total.checked_div(STEPS).unwrap_or(0).saturating_add(1);
    loop {
        let missing = total.saturating_sub(sum(&shares));
        if missing == 0 {
            return Some(shares);
        }
        let step = missing.clamp(lot.saturating_neg(), lot);
        let index = if step > 0 {
            best(
                slots,
                |index, slot| shares.get(index).is_some_and(|share| *share < slot.hi),
                |i| height(all, &shares, i),
            )?
        } else {
            best(
                slots,
                |index, _| shares.get(index).is_some_and(|share| *share > 0),
                |i| height(all, &shares, i).saturating_neg(),
            )?
        };
        if let (Some(share), Some(slot)) = (shares.get_mut(index), slots.get(index)) {
            let moved = share.saturating_add(step).clamp(0, slot.hi.max(*share));
            *share = moved;
        }
    }
}

/// How full the groups of a slot are: the sum over the constraints.
fn height(all: &[Spread], shares: &[i64], index: usize) -> i64 {
    all.iter().fold(0_i64, |height, one| {
        let counts = one.counts(shares);
        let group = one.group_of.get(index).copied().flatten();
        let count = group
            .and_then(|group| counts.get(group).copied())
            .unwrap_or(0);
        height.saturating_add(count)
    })
}

fn best(
    slots: &[Slot],
    allowed: impl Fn(usize, &Slot) -> bool,
    price: impl Fn(usize) -> i64,
) -> Option<usize> {
    let candidates = slots
        .iter()
        .enumerate()
        .filter(|(index, slot)| allowed(*index, slot));
    candidates
        .map(|(index, _)| index)
        .min_by_key(|index| (price(*index), *index))
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

fn improving(
    shares: &mut [i64],
    slots: &[Slot],
    all: &[Spread],
    broken: i64,
) -> Option<(usize, usize)> {
    for from in 0..slots.len() {
        if shares.get(from).is_none_or(|share| *share == 0) {
            continue;
        }
        for (to, slot) in slots.iter().enumerate() {
            if from == to || shares.get(to).is_none_or(|share| *share >= slot.hi) {
                continue;
            }
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
    all.iter().fold(0_i64, |broken, one| {
        let used: Vec<i64> = one
            .counts(shares)
            .into_iter()
            .filter(|count| *count > 0)
            .collect();
        let groups = i64::try_from(used.len()).unwrap_or(i64::MAX);
        let spread = match (used.iter().max(), used.iter().min()) {
            (Some(most), Some(least)) => most.saturating_sub(*least),
            _ => 0,
        };
        let over = one
            .max_groups
            .map_or(0, |max| groups.saturating_sub(max).max(0));
        let under = one.least_groups(sum(shares)).saturating_sub(groups).max(0);
        let skew = one
            .max_skew
            .map_or(0, |skew| spread.saturating_sub(skew).max(0));
        broken
            .saturating_add(over)
            .saturating_add(under)
            .saturating_add(skew)
    })
}

fn minimums(shares: &[i64], slots: &[Slot]) -> bool {
    shares
        .iter()
        .zip(slots)
        .all(|(share, slot)| *share == 0 || *share >= slot.lo)
}
