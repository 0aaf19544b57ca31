//! The groups of one scope, and how a total is divided over them.

use std::cmp::Reverse;

use super::bits::Bits;
use super::totals::{Limits, Span, next};
use crate::divide::{Rule, Slot, sum, within};

/// The most windows of group sizes that are compared for the least movement.
const WINDOWS: i64 = 256;

/// The most words, of 64 cells each, that one table of sums may keep.
const TABLE_WORDS: u64 = 1 << 21;

/// The groups of one scope as slots of a division of their own.
pub(super) struct Groups {
    /// What each group takes in all.
    sums: Vec<Slot>,
    /// Groups that can take something: what is there first, then in order of preference.
    order: Vec<usize>,
    limits: Limits,
}

impl Groups {
    /// Groups with the rank of each in the order of preference.
    pub(super) fn new(sums: Vec<Slot>, ranks: &[usize], limits: Limits) -> Self {
        let mut order: Vec<usize> = (0..sums.len())
            .filter(|group| sums.get(*group).is_some_and(Slot::usable))
            .collect();
        order.sort_by_key(|group| {
            let kept = sums.get(*group).map_or(0, Slot::kept);
            (kept == 0, ranks.get(*group).copied(), *group)
        });
        Self {
            sums,
            order,
            limits,
        }
    }

    /// The shares of the groups, each 0 or any number between its bounds; all groups have the same
    /// least number. `None` when there are none that keep the limits.
    pub(super) fn shares(&self, total: i64, rule: Rule) -> Option<Vec<i64>> {
        let mut roomiest = self.order.clone();
        roomiest.sort_by_key(|group| Reverse(self.sum_of(*group).hi));
        let mut numbers = self.numbers(total, rule).into_iter();
        numbers.find_map(|number| {
            let chosen = self.pick(&roomiest, number, total)?;
            self.divide(&chosen, total, rule)
        })
    }

    fn sum_of(&self, group: usize) -> Slot {
        self.sums.get(group).copied().unwrap_or_default()
    }

    /// The numbers of groups to try, the preferred first. What is there stays in its groups where
    /// that is allowed; else an even spread takes as many groups as it can, others as few.
    fn numbers(&self, total: i64, rule: Rule) -> Vec<i64> {
        let least = self.limits.least_groups(total);
        let there = i64::try_from(self.order.len()).unwrap_or(i64::MAX);
        let most = self.limits.most.unwrap_or(there).min(there).min(total);
        let mut numbers: Vec<i64> = (least..=most).collect();
        let wide = self.limits.skew.is_some() || rule == Rule::Proportional;
        if wide {
            numbers.reverse();
        }
        let kept: Vec<i64> = self
            .order
            .iter()
            .map(|group| self.sum_of(*group).kept())
            .filter(|kept| *kept > 0)
            .collect();
        if !kept.is_empty() {
            let held = i64::try_from(kept.len()).unwrap_or(i64::MAX);
            let new = total.saturating_sub(sum(&kept)).max(0);
            let grow = self.limits.skew.is_none() && rule == Rule::Proportional;
            let start = if grow { held.saturating_add(new) } else { held };
            let start = start.clamp(least.min(most), most.max(least));
            numbers.sort_by_key(|number| number.saturating_sub(start).saturating_abs());
        }
        numbers
    }

    /// `number` groups that together can take `total`, chosen in order of preference: each is
    /// taken if the roomiest of the others can complete it.
    fn pick(&self, roomiest: &[usize], number: i64, total: i64) -> Option<Vec<usize>> {
        let number = usize::try_from(number).ok()?;
        let mut taken = vec![false; self.sums.len()];
        if !self.can_hold(roomiest, &taken, number, total) {
            return None;
        }
        if number == self.order.len() {
            return Some(self.order.clone());
        }
        let mut chosen: Vec<usize> = Vec::with_capacity(number);
        for group in &self.order {
            if chosen.len() == number {
                break;
            }
            mark(&mut taken, *group, true);
            chosen.push(*group);
            if !self.can_hold(roomiest, &taken, number.saturating_sub(chosen.len()), total) {
                mark(&mut taken, *group, false);
                chosen.pop();
            }
        }
        (chosen.len() == number).then_some(chosen)
    }

    /// Whether the groups that are taken, with `missing` of the roomiest others, can take `total`.
    fn can_hold(&self, roomiest: &[usize], taken: &[bool], missing: usize, total: i64) -> bool {
        let mut left = missing;
        let all: Vec<Slot> = roomiest
            .iter()
            .filter(|group| {
                let taken = taken.get(**group).copied().unwrap_or(false);
                let completes = !taken && left > 0;
                left = left.saturating_sub(usize::from(completes));
                taken || completes
            })
            .map(|group| self.sum_of(*group))
            .collect();
        let least = all
            .iter()
            .fold(0_i64, |least, slot| least.saturating_add(slot.lo));
        left == 0 && least <= total && highest(&all, self.limits.skew, total) >= total
    }

    /// Divides over the chosen groups.
    fn divide(&self, chosen: &[usize], total: i64, rule: Rule) -> Option<Vec<i64>> {
        let sums: Vec<Slot> = chosen.iter().map(|group| self.sum_of(*group)).collect();
        let mut best: Option<(i64, Vec<i64>)> = None;
        for bounded in windows(&sums, self.limits.skew, total) {
            let shares = within(&bounded, total, rule);
            let moved = moved(sums.iter().zip(&shares));
            if best.as_ref().is_none_or(|(least, _)| moved < *least) {
                best = Some((moved, shares));
            }
            if moved == 0 {
                break;
            }
        }
        let (_, shares) = best?;
        let mut answer = vec![0; self.sums.len()];
        for (group, share) in chosen.iter().zip(shares) {
            *answer.get_mut(*group)? = share;
        }
        Some(answer)
    }

    /// As [`Groups::shares`], for groups that can take what the spans say. `None` also when it
    /// takes more work than is left.
    pub(super) fn tabled(
        &self,
        spans: &[Vec<Span>],
        total: i64,
        rule: Rule,
        work: &mut u64,
    ) -> Option<Vec<i64>> {
        let skew = self.limits.skew.filter(|skew| *skew < total);
        for number in self.numbers(total, rule) {
            let equal = total.checked_div(number)?;
            let bottom = match skew {
                None => equal,
                // Below this the fullest group would stand higher than the skew allows.
                Some(skew) => total
                    .saturating_add(number.saturating_sub(1))
                    .checked_div(number)?
                    .saturating_sub(skew),
            };
            let mut best: Option<(i64, Vec<i64>)> = None;
            for floor in (bottom.max(1)..=equal).rev() {
                let window = skew.map_or((1, total), |skew| (floor, floor.saturating_add(skew)));
                let tables = self.tables(spans, window, (number, total), work);
                let Some(tables) = tables else {
                    return best.map(|(_, shares)| shares);
                };
                let Some(shares) = self.read(&tables, spans, window, (number, total), rule) else {
                    continue;
                };
                let moved = moved(self.sums.iter().zip(&shares));
                if best.as_ref().is_none_or(|(least, _)| moved < *least) {
                    best = Some((moved, shares));
                }
                if moved == 0 {
                    break;
                }
            }
            if let Some((_, shares)) = best {
                return Some(shares);
            }
        }
        None
    }

    /// For each place in the order, the sums that the groups from there on can take, by how many of
    /// them are in use.
    fn tables(
        &self,
        spans: &[Vec<Span>],
        window: Span,
        (number, total): (i64, i64),
        work: &mut u64,
    ) -> Option<Vec<Vec<Bits>>> {
        let start = Bits::zero(total);
        let groups = u64::try_from(self.order.len()).unwrap_or(u64::MAX);
        let rows = number.unsigned_abs().saturating_add(1);
        let size = groups.saturating_mul(rows).saturating_mul(start.words());
        if size > TABLE_WORDS {
            return None;
        }
        let limits = Limits {
            most: Some(number),
            ..self.limits
        };
        let mut tables = vec![vec![start]];
        for group in self.order.iter().rev() {
            let rows = tables.last()?.clone();
            tables.push(next(rows, spans.get(*group)?, window, limits, work)?);
        }
        tables.reverse();
        Some(tables)
    }

    /// Reads shares out of the tables: each group in order takes what is nearest to what it wants,
    /// of what the groups after it can complete.
    fn read(
        &self,
        tables: &[Vec<Bits>],
        spans: &[Vec<Span>],
        window: Span,
        (number, total): (i64, i64),
        rule: Rule,
    ) -> Option<Vec<i64>> {
        let holds = |place: usize, number: usize, total: i64| {
            let row = tables.get(place).and_then(|rows| rows.get(number));
            row.is_some_and(|row| row.has(total))
        };
        let mut number = usize::try_from(number).ok()?;
        let mut left = total;
        if !holds(0, number, left) {
            return None;
        }
        let mut answer = vec![0; self.sums.len()];
        for (place, group) in self.order.iter().enumerate() {
            let after = place.saturating_add(1);
            let Some(fewer) = number.checked_sub(1) else {
                break;
            };
            let spans = spans.get(*group)?;
            let wanted = self.wanted(place, left, fewer, rule);
            let wanted = wanted.clamp(window.0, window.1).min(left);
            let fits = |share: i64| {
                let inside = |span: &Span| (span.0..=span.1).contains(&share);
                (window.0..=window.1).contains(&share)
                    && spans.iter().any(inside)
                    && holds(after, fewer, left.saturating_sub(share))
            };
            let mut shares = (0..=left).flat_map(|away| {
                let (above, below) = (wanted.saturating_add(away), wanted.saturating_sub(away));
                [above, below]
            });
            if let Some(share) = shares.find(|share| *share <= left && fits(*share)) {
                *answer.get_mut(*group)? = share;
                left = left.saturating_sub(share);
                number = fewer;
            } else if !holds(after, number, left) {
                return None;
            }
        }
        (left == 0 && number == 0).then_some(answer)
    }

    /// What a group wants of what is left: what it has; a new one all, or its share by weight.
    fn wanted(&self, place: usize, left: i64, others: usize, rule: Rule) -> i64 {
        let slots = self
            .order
            .iter()
            .skip(place)
            .map(|group| self.sum_of(*group));
        let slots: Vec<Slot> = slots.take(others.saturating_add(1)).collect();
        let slot = slots.first().copied().unwrap_or_default();
        if slot.kept() > 0 {
            return slot.kept();
        }
        if rule == Rule::Fewest {
            return slot.hi.min(left);
        }
        let all: i128 = slots.iter().map(|slot| i128::from(slot.weight)).sum();
        let share = i128::from(slot.weight).saturating_mul(i128::from(left));
        let share = share.checked_div(all).unwrap_or(0);
        i64::try_from(share).unwrap_or(left)
    }
}

fn mark(taken: &mut [bool], group: usize, value: bool) {
    if let Some(place) = taken.get_mut(group) {
        *place = value;
    }
}

/// How many replicas leave where they are.
fn moved<'s>(shares: impl Iterator<Item = (&'s Slot, &'s i64)>) -> i64 {
    shares.fold(0_i64, |moved, (slot, share)| {
        moved.saturating_add(slot.kept().saturating_sub(*share).max(0))
    })
}

/// The most that groups can take when none may exceed the least filled by more than `max_skew`:
/// the higher that one stands the more, and it can stand at its own room or at an equal share.
fn highest(groups: &[Slot], max_skew: Option<i64>, total: i64) -> i64 {
    let level = level(groups, total);
    groups.iter().fold(0_i64, |sum, slot| {
        let most = max_skew.map_or(slot.hi, |skew| slot.hi.min(level.saturating_add(skew)));
        sum.saturating_add(most)
    })
}

/// The highest at which the least filled group can stand.
fn level(groups: &[Slot], total: i64) -> i64 {
    let number = i64::try_from(groups.len()).unwrap_or(i64::MAX);
    let equal = total.checked_div(number).unwrap_or(total);
    groups
        .iter()
        .map(|slot| slot.hi)
        .min()
        .unwrap_or(0)
        .min(equal)
}

/// The bounds that keep the skew, one set per height of the least filled group, the highest first.
fn windows(groups: &[Slot], max_skew: Option<i64>, total: i64) -> impl Iterator<Item = Vec<Slot>> {
    let top = level(groups, total);
    let number = i64::try_from(groups.len()).unwrap_or(i64::MAX).max(1);
    let least = groups.iter().map(|slot| slot.lo).max().unwrap_or(1);
    let skew = max_skew.filter(|skew| *skew < total);
    let bottom = match skew {
        None => top,
        // Below this the fullest group would stand higher than the skew allows.
        Some(skew) => total
            .saturating_add(number.saturating_sub(1))
            .checked_div(number)
            .unwrap_or(total)
            .saturating_sub(skew)
            .max(least.min(top))
            .max(top.saturating_sub(WINDOWS)),
    };
    let groups = groups.to_vec();
    (bottom..=top)
        .rev()
        .map(move |floor| {
            let bounded = groups.iter().map(|slot| match skew {
                None => *slot,
                Some(skew) => Slot {
                    lo: slot.lo.max(floor),
                    hi: slot.hi.min(floor.saturating_add(skew)),
                    ..*slot
                },
            });
            bounded.collect::<Vec<Slot>>()
        })
        .filter(move |bounded: &Vec<Slot>| {
            let least = bounded
                .iter()
                .fold(0_i64, |sum, slot| sum.saturating_add(slot.lo));
            let most = bounded
                .iter()
                .fold(0_i64, |sum, slot| sum.saturating_add(slot.hi));
            least <= total && total <= most && bounded.iter().all(|slot| slot.lo <= slot.hi)
        })
}
