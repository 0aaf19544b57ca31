//! Division of replicas over slots (members, or groups of members): bounds, proportions by largest
//! remainder, and the least movement from what is there.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod select;

use select::select;

/// Something that can take replicas. Slots come in order of preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What it has now.
    pub(crate) prev: i64,
    /// The fewest it takes if it takes any; at least 1.
    pub(crate) lo: i64,
    /// The most it takes.
    pub(crate) hi: i64,
    /// Its share in a proportional division.
    pub(crate) weight: i64,
}

impl Slot {
    /// Whether it can take anything.
    pub(crate) fn usable(&self) -> bool {
        self.hi >= self.lo.max(1)
    }

    /// What it can keep of what it has.
    pub(crate) fn kept(&self) -> i64 {
        if self.usable() {
            self.prev.clamp(0, self.hi)
        } else {
            0
        }
    }
}

/// How a division chooses among what the bounds allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// As few slots as hold it.
    Fewest,
    /// In proportion to the weights.
    Proportional,
}

/// Divides `total`: each slot gets 0 or between its bounds. What is there moves as little as the
/// bounds allow. `None` when no division within the bounds exists.
pub(crate) fn divide(slots: &[Slot], total: i64, rule: Rule) -> Option<Vec<i64>> {
    if total <= 0 {
        return Some(vec![0; slots.len()]);
    }
    let used = select(slots, total, rule)?;
    let chosen: Vec<Slot> = used
        .iter()
        .filter_map(|index| slots.get(*index).copied())
        .collect();
    let shares = within(&chosen, total, rule);
    let mut answer = vec![0; slots.len()];
    for (index, share) in used.iter().zip(shares) {
        if let Some(place) = answer.get_mut(*index) {
            *place = share;
        }
    }
    Some(answer)
}

/// Divides `total` over slots that all take part: the sum of `lo` is at most `total`, the sum of
/// `hi` at least.
pub(crate) fn within(slots: &[Slot], total: i64, rule: Rule) -> Vec<i64> {
    let mut shares: Vec<i64> = slots
        .iter()
        .map(|slot| slot.prev.clamp(slot.lo, slot.hi.max(slot.lo)))
        .collect();
    let missing = total.saturating_sub(sum(&shares));
    match rule {
        Rule::Proportional => {
            let target = proportional(slots, total);
            approach(&mut shares, &target, missing);
        }
        Rule::Fewest if missing >= 0 => fill(&mut shares, slots, missing),
        Rule::Fewest => drain(&mut shares, slots, missing.saturating_neg()),
    }
    shares
}

/// Adds to the slots in order, those that have most first, each up to its bound.
fn fill(shares: &mut [i64], slots: &[Slot], missing: i64) {
    let mut left = missing;
    for index in fullest_first(slots) {
        if let (Some(share), Some(slot)) = (shares.get_mut(index), slots.get(index)) {
            let added = slot.hi.saturating_sub(*share).min(left).max(0);
            *share = share.saturating_add(added);
            left = left.saturating_sub(added);
        }
    }
}

/// Takes from the slots in order, those that have least first, each down to its bound.
fn drain(shares: &mut [i64], slots: &[Slot], excess: i64) {
    let mut left = excess;
    for index in fullest_first(slots).into_iter().rev() {
        if let (Some(share), Some(slot)) = (shares.get_mut(index), slots.get(index)) {
            let taken = share.saturating_sub(slot.lo).min(left).max(0);
            *share = share.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
    }
}

fn fullest_first(slots: &[Slot]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(slots.get(*index).map_or(0, |slot| slot.prev)));
    order
}

/// Moves `shares` towards `target` by `missing` replicas (negative: takes them away), never beyond
/// the target, in proportion to the distance.
fn approach(shares: &mut [i64], target: &[i64], missing: i64) {
    let sign = missing.signum();
    let gaps: Vec<i64> = shares
        .iter()
        .zip(target)
        .map(|(share, target)| target.saturating_sub(*share).saturating_mul(sign).max(0))
        .collect();
    let steps = largest_remainder(&gaps, missing.saturating_abs());
    for (share, step) in shares.iter_mut().zip(steps) {
        *share = share.saturating_add(step.saturating_mul(sign));
    }
}

/// Divides `total` in proportion to `weights`: each gets its exact share rounded down or up, the
/// largest remainders up, the earlier first among equals. All zero: equal weights.
pub fn largest_remainder(weights: &[i64], total: i64) -> Vec<i64> {
    let all: i128 = weights
        .iter()
        .map(|weight| i128::from((*weight).max(0)))
        .sum();
    let equal = all == 0;
    let whole = if equal {
        i128::try_from(weights.len()).unwrap_or(1).max(1)
    } else {
        all
    };
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given = 0_i64;
    for (index, weight) in weights.iter().enumerate() {
        let weight = if equal {
            1
        } else {
            i128::from((*weight).max(0))
        };
        let exact = weight.saturating_mul(i128::from(total.max(0)));
        let share = exact.checked_div(whole).unwrap_or(0);
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        remainders.push((
            std::cmp::Reverse(exact.checked_rem(whole).unwrap_or(0)),
            index,
        ));
        shares.push(share);
        given = given.saturating_add(share);
    }
    remainders.sort_unstable();
    let left = usize::try_from(total.max(0).saturating_sub(given)).unwrap_or(0);
    for (_, index) in remainders.into_iter().take(left) {
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(1);
        }
    }
    shares
}

/// The proportional division within bounds: slots whose proportional share is out of bounds stand
/// at the bound, the others share the rest by largest remainder.
fn proportional(slots: &[Slot], total: i64) -> Vec<i64> {
    let mut fixed: Vec<Option<i64>> = vec![None; slots.len()];
    // Each turn fixes at least one slot.
    for _ in 0..=slots.len() {
        let rest = fixed
            .iter()
            .flatten()
            .fold(total, |rest, share| rest.saturating_sub(*share));
        let free: Vec<usize> = open(&fixed);
        let weights = weights_of(slots, &free);
        let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        let mut balance = 0_i128;
        let mut low = Vec::new();
        let mut high = Vec::new();
        for (index, weight) in free.iter().zip(&weights) {
            let Some(slot) = slots.get(*index) else {
                continue;
            };
            let exact = i128::from(*weight).saturating_mul(i128::from(rest));
            let (lo, hi) = (
                i128::from(slot.lo).saturating_mul(all),
                i128::from(slot.hi).saturating_mul(all),
            );
            if exact < lo {
                balance = balance.saturating_add(lo.saturating_sub(exact));
                low.push(*index);
            } else if exact > hi {
                balance = balance.saturating_sub(exact.saturating_sub(hi));
                high.push(*index);
            }
        }
        if low.is_empty() && high.is_empty() {
            for (index, share) in free.iter().zip(largest_remainder(&weights, rest)) {
                if let Some(place) = fixed.get_mut(*index) {
                    *place = Some(share);
                }
            }
            break;
        }
        fix(
            &mut fixed,
            if balance >= 0 { &low } else { &[] },
            slots,
            |slot| slot.lo,
        );
        fix(
            &mut fixed,
            if balance <= 0 { &high } else { &[] },
            slots,
            |slot| slot.hi,
        );
    }
    fixed.into_iter().map(|share| share.unwrap_or(0)).collect()
}

fn open(fixed: &[Option<i64>]) -> Vec<usize> {
    let open = fixed
        .iter()
        .enumerate()
        .filter(|(_, share)| share.is_none());
    open.map(|(index, _)| index).collect()
}

/// The weights of some slots; all 1 when they are all 0.
fn weights_of(slots: &[Slot], indices: &[usize]) -> Vec<i64> {
    let weights = indices
        .iter()
        .map(|index| slots.get(*index).map_or(0, |slot| slot.weight.max(0)));
    let weights: Vec<i64> = weights.collect();
    if weights.iter().all(|weight| *weight == 0) {
        vec![1; weights.len()]
    } else {
        weights
    }
}

fn fix(fixed: &mut [Option<i64>], indices: &[usize], slots: &[Slot], bound: impl Fn(&Slot) -> i64) {
    for index in indices {
        if let (Some(place), Some(slot)) = (fixed.get_mut(*index), slots.get(*index)) {
            *place = Some(bound(slot));
        }
    }
}

/// The sum, at most `i64::MAX`.
pub(crate) fn sum(numbers: &[i64]) -> i64 {
    numbers
        .iter()
        .fold(0_i64, |sum, number| sum.saturating_add(*number))
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests;
