//! Which slots take part in a division.

use super::{Rule, Slot, sum};

/// The most cells of the table that decides among slots with different least numbers.
const TABLE_CELLS: i64 = 4_000_000;

/// Indices, ascending, of slots that together can take exactly `total`: the sum of their least
/// numbers is at most `total`, the sum of their most at least. `None` when there are none.
pub(super) fn select(slots: &[Slot], total: i64, rule: Rule) -> Option<Vec<usize>> {
    let usable: Vec<usize> = indices(slots, Slot::usable);
    let most = usable
        .iter()
        .fold(0_i64, |most, index| most.saturating_add(hi(slots, *index)));
    if most < total {
        return None;
    }
    let preferred = match rule {
        Rule::Proportional => widest(slots, &usable, total),
        Rule::Fewest => fewest(slots, &usable, total),
    };
    let mut chosen = if holds(slots, &preferred, total) {
        preferred
    } else {
        by_table(slots, &usable, total)?
    };
    chosen.sort_unstable();
    Some(chosen)
}

/// What is there first; of the others as many as the new replicas suffice for, in order.
fn widest(slots: &[Slot], usable: &[usize], total: i64) -> Vec<usize> {
    let (mut chosen, others): (Vec<usize>, Vec<usize>) =
        usable.iter().partition(|index| prev(slots, **index) > 0);
    let kept = chosen.iter().fold(0_i64, |kept, index| {
        kept.saturating_add(
            slots
                .get(*index)
                .map_or(0, Slot::kept)
                .max(lo(slots, *index)),
        )
    });
    drop_excess(slots, &mut chosen, total);
    let mut budget = total.saturating_sub(kept);
    let mut room = chosen
        .iter()
        .fold(0_i64, |room, index| room.saturating_add(hi(slots, *index)));
    let mut left = Vec::new();
    for index in others {
        let least = lo(slots, index);
        if least <= budget {
            budget = budget.saturating_sub(least);
            room = room.saturating_add(hi(slots, index));
            chosen.push(index);
        } else {
            left.push(index);
        }
    }
    if room < total {
        exchange(slots, &mut chosen, &left, total);
    }
    chosen
}

/// Drops slots that have least until the least numbers of the rest fit into `total`.
fn drop_excess(slots: &[Slot], chosen: &mut Vec<usize>, total: i64) {
    chosen.sort_by_key(|index| (std::cmp::Reverse(prev(slots, *index)), *index));
    let mut least = 0_i64;
    let mut keep = 0_usize;
    for index in chosen.iter() {
        least = least.saturating_add(lo(slots, *index));
        if least > total {
            break;
        }
        keep = keep.saturating_add(1);
    }
    chosen.truncate(keep);
}

/// Exchanges the smallest new slots for the roomiest that are left out, until `total` fits.
fn exchange(slots: &[Slot], chosen: &mut [usize], left: &[usize], total: i64) {
    let mut left = left.to_vec();
    left.sort_by_key(|index| (std::cmp::Reverse(hi(slots, *index)), *index));
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by_key(|place| {
        let index = chosen.get(*place).copied().unwrap_or(0);
        (
            prev(slots, index) > 0,
            hi(slots, index),
            std::cmp::Reverse(index),
        )
    });
    let mut room = chosen
        .iter()
        .fold(0_i64, |room, index| room.saturating_add(hi(slots, *index)));
    for (place, larger) in order.into_iter().zip(left) {
        if room >= total {
            return;
        }
        if let Some(smaller) = chosen.get_mut(place)
            && hi(slots, larger) > hi(slots, *smaller)
        {
            room = room
                .saturating_add(hi(slots, larger))
                .saturating_sub(hi(slots, *smaller));
            *smaller = larger;
        }
    }
}

/// What is there first, the fullest; then the best slot that holds all the rest, else the roomiest.
fn fewest(slots: &[Slot], usable: &[usize], total: i64) -> Vec<usize> {
    let (mut there, mut others): (Vec<usize>, Vec<usize>) =
        usable.iter().partition(|index| prev(slots, **index) > 0);
    there.sort_by_key(|index| (std::cmp::Reverse(prev(slots, *index)), *index));
    let mut chosen = Vec::new();
    let mut room = 0_i64;
    let mut kept = 0_i64;
    for index in there {
        // Scaling down: the fullest that together have enough already.
        if kept >= total {
            break;
        }
        kept = kept.saturating_add(slots.get(index).map_or(0, Slot::kept));
        room = room.saturating_add(hi(slots, index));
        chosen.push(index);
    }
    while room < total && !others.is_empty() {
        let needed = total.saturating_sub(room);
        let enough = others.iter().position(|index| hi(slots, *index) >= needed);
        let place = enough.unwrap_or_else(|| roomiest(slots, &others));
        let index = others.remove(place);
        room = room.saturating_add(hi(slots, index));
        chosen.push(index);
    }
    if !holds(slots, &chosen, total) {
        // What is there stands in the way: the roomiest alone need the fewest slots.
        let mut order = usable.to_vec();
        order.sort_by_key(|index| (std::cmp::Reverse(hi(slots, *index)), *index));
        chosen = prefix(slots, &order, total);
    }
    chosen
}

fn roomiest(slots: &[Slot], indices: &[usize]) -> usize {
    let places = indices.iter().enumerate();
    let best = places.max_by_key(|(place, index)| (hi(slots, **index), std::cmp::Reverse(*place)));
    best.map_or(0, |(place, _)| place)
}

fn prefix(slots: &[Slot], order: &[usize], total: i64) -> Vec<usize> {
    let mut room = 0_i64;
    let mut chosen = Vec::new();
    for index in order {
        if room >= total {
            break;
        }
        room = room.saturating_add(hi(slots, *index));
        chosen.push(*index);
    }
    chosen
}

/// Exact for slots with different least numbers: of the sets whose least numbers fit into `total`,
/// one with the most room. Beyond a bound on its size, slots with most room per least number.
fn by_table(slots: &[Slot], usable: &[usize], total: i64) -> Option<Vec<usize>> {
    let width = total.saturating_add(1);
    let cells = width.saturating_mul(i64::try_from(usable.len()).unwrap_or(i64::MAX));
    let chosen = if cells <= TABLE_CELLS {
        table(slots, usable, total)
    } else {
        greedy(slots, usable, total)
    };
    holds(slots, &chosen, total).then_some(chosen)
}

fn table(slots: &[Slot], usable: &[usize], total: i64) -> Vec<usize> {
    let width = usize::try_from(total).unwrap_or(0).saturating_add(1);
    let mut best = vec![0_i64; width];
    let mut taken: Vec<Vec<bool>> = Vec::with_capacity(usable.len());
    for index in usable {
        let least = usize::try_from(lo(slots, *index)).unwrap_or(usize::MAX);
        let mut row = vec![false; width];
        for weight in (least..width).rev() {
            let with = best.get(weight.saturating_sub(least)).copied().unwrap_or(0);
            let with = with.saturating_add(hi(slots, *index));
            if let (Some(cell), Some(mark)) = (best.get_mut(weight), row.get_mut(weight))
                && with > *cell
            {
                *cell = with;
                *mark = true;
            }
        }
        taken.push(row);
    }
    let mut weight = width.saturating_sub(1);
    let mut chosen = Vec::new();
    for (index, row) in usable.iter().zip(&taken).rev() {
        if row.get(weight).copied().unwrap_or(false) {
            chosen.push(*index);
            let least = usize::try_from(lo(slots, *index)).unwrap_or(0);
            weight = weight.saturating_sub(least);
        }
    }
    chosen
}

fn greedy(slots: &[Slot], usable: &[usize], total: i64) -> Vec<usize> {
    let mut order = usable.to_vec();
    order.sort_by(|left, right| {
        let ratio =
            |a: usize, b: usize| i128::from(hi(slots, a)).saturating_mul(i128::from(lo(slots, b)));
        ratio(*right, *left)
            .cmp(&ratio(*left, *right))
            .then(left.cmp(right))
    });
    let mut least = 0_i64;
    let mut chosen = Vec::new();
    for index in order {
        let with = least.saturating_add(lo(slots, index));
        if with <= total {
            least = with;
            chosen.push(index);
        }
    }
    chosen
}

fn holds(slots: &[Slot], chosen: &[usize], total: i64) -> bool {
    let least: Vec<i64> = chosen.iter().map(|index| lo(slots, *index)).collect();
    let most: Vec<i64> = chosen.iter().map(|index| hi(slots, *index)).collect();
    sum(&least) <= total && total <= sum(&most)
}

fn indices(slots: &[Slot], wanted: impl Fn(&Slot) -> bool) -> Vec<usize> {
    let slots = slots.iter().enumerate().filter(|(_, slot)| wanted(slot));
    slots.map(|(index, _)| index).collect()
}

fn lo(slots: &[Slot], index: usize) -> i64 {
    slots.get(index).map_or(1, |slot| slot.lo.max(1))
}

fn hi(slots: &[Slot], index: usize) -> i64 {
    slots.get(index).map_or(0, |slot| slot.hi)
}

fn prev(slots: &[Slot], index: usize) -> i64 {
    slots.get(index).map_or(0, Slot::kept)
}
