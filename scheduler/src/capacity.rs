//! How many replicas fit on a member's nodes, whatever nodes the replicas in flight will take.
//!
//! A replica that is assigned and not yet seen on a node may land on any node it fits. What is
//! left is therefore judged for the worst packing: of two bounds on what those replicas can take
//! away, each valid for every packing, the better one counts. The answer is never too high, and
//! exact where what is in flight has the size of what is asked for.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use smallvec::SmallVec;

/// What one replica requests: (resource id, amount above 0), by id.
pub(crate) type Each = Vec<(usize, i64)>;

/// More replicas than any member holds; where nothing is requested, this many fit.
pub(crate) const PLENTY: i64 = 1 << 40;

/// Free amounts by resource id. Nodes are looked at in every decision and most have few resources:
/// these stand beside the count, and not somewhere else in memory.
pub(crate) type Free = SmallVec<[i64; 4]>;

/// Nodes that are alike: how many, and what is free on each by resource id. A resource beyond the
/// end is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes {
    /// How many.
    pub(crate) count: i64,
    /// Free amounts.
    pub(crate) free: Free,
}

impl Nodes {
    fn free_of(&self, resource: usize) -> i64 {
        self.free.get(resource).copied().unwrap_or(0).max(0)
    }

    /// How many replicas fit on one of these nodes.
    pub(crate) fn fit(&self, each: &Each) -> i64 {
        let times = each.iter().map(|(resource, amount)| {
            self.free_of(*resource)
                .checked_div(*amount)
                .unwrap_or(PLENTY)
        });
        times.min().unwrap_or(PLENTY).min(PLENTY)
    }
}

/// Replicas in flight of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flying {
    /// What each requests.
    pub(crate) each: Each,
    /// How many.
    pub(crate) replicas: i64,
}

/// What replicas of one size take from slots of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takes {
    /// The most slots that one of them takes: no more than its largest share of one reaches into.
    slots: i64,
    /// They take a whole number of slots, and nothing is lost by counting slots.
    whole: bool,
}

impl Takes {
    /// What one of `flown` takes from slots of `each`.
    pub(crate) fn of(flown: &Each, each: &Each) -> Self {
        let most = each
            .iter()
            .map(|(resource, amount)| ceil_div(amount_of(flown, *resource), *amount));
        Self {
            slots: most.max().unwrap_or(0),
            whole: is_multiple(flown, each),
        }
    }
}

/// The most resources of a slot that are summed apart; of one with more, the rest is taken for
/// mixed, which is never too little.
const SUMMED: usize = 6;

/// What is in flight as slots of one size see it. It only grows, and is added to as that comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    /// Slots, by counting those of each replica.
    by_slots: i64,
    /// The same of replicas that take whole slots.
    wholes: i64,
    /// Amounts of those replicas, in the order of the slot's resources.
    whole_amounts: [i64; SUMMED],
}

impl Taken {
    /// Adds replicas in flight, of which each `takes` so much.
    pub(crate) fn add(&mut self, flown: &Each, replicas: i64, takes: Takes, each: &Each) {
        let replicas = replicas.max(0);
        let slots = takes.slots.saturating_mul(replicas);
        self.by_slots = self.by_slots.saturating_add(slots);
        if !takes.whole {
            return;
        }
        self.wholes = self.wholes.saturating_add(slots);
        // Both lists are by resource.
        let mut flown = flown.iter().peekable();
        for (sum, (resource, _)) in self.whole_amounts.iter_mut().zip(each) {
            while flown.next_if(|(of, _)| of < resource).is_some() {}
            if let Some((_, amount)) = flown.next_if(|(of, _)| of == resource) {
                *sum = sum.saturating_add(amount.saturating_mul(replicas));
            }
        }
    }

    /// How many of `total` slots on `nodes` are left, for every packing of what is in flight, of
    /// which `sum` is the amount of a resource. Three bounds hold for each packing; the best counts.
    pub(crate) fn left<'a>(
        &self,
        total: i64,
        nodes: impl Iterator<Item = &'a Nodes>,
        each: &Each,
        sum: impl Fn(usize) -> i64,
    ) -> i64 {
        let by_slots = self.by_slots;
        if total == 0 || by_slots == 0 {
            return total;
        }
        let mut market = Market::new(nodes, each, PLENTY);
        let (mut all, mut mixed) = (0_i64, self.wholes);
        let wholes = self.whole_amounts.iter().chain(std::iter::repeat(&0));
        for (of, whole) in each.iter().zip(wholes) {
            let sum = sum(of.0);
            if sum <= 0 {
                continue;
            }
            market.open(*of);
            all = all.saturating_add(market.bought(sum));
            let rest = sum.saturating_sub(*whole);
            if rest > 0 && self.wholes < by_slots {
                mixed = mixed.saturating_add(market.bought(rest));
            }
            // Both only grow: the other resources cannot make them the least any more.
            if all.min(mixed) >= by_slots {
                break;
            }
        }
        let taken = by_slots.min(all).min(mixed);
        total.saturating_sub(taken).max(0)
    }
}

/// How many replicas of `each` fit on `nodes`, for every packing of `flying`.
pub(crate) fn room<'a>(
    nodes: impl Iterator<Item = &'a Nodes> + Clone,
    flying: impl Iterator<Item = &'a Flying> + Clone,
    each: &Each,
) -> i64 {
    let mut taken = Taken::default();
    for group in flying.clone() {
        let takes = Takes::of(&group.each, each);
        taken.add(&group.each, group.replicas, takes, each);
    }
    let sum = |resource| amount_flown(flying.clone(), resource);
    taken.left(slots(nodes.clone(), each), nodes, each, sum)
}

/// On how many of `nodes` one replica of `each` fits, for every packing of `flying`.
pub(crate) fn roomy<'a>(
    nodes: impl Iterator<Item = &'a Nodes> + Clone,
    flying: impl Iterator<Item = &'a Flying> + Clone,
    each: &Each,
) -> i64 {
    let fitting = nodes.clone().filter(|nodes| nodes.fit(each) > 0);
    let total = fitting.fold(0_i64, |sum, nodes| sum.saturating_add(nodes.count.max(0)));
    // A replica in flight lands on one node and takes no other's room.
    let pods = flying.clone().fold(0_i64, |sum, group| {
        sum.saturating_add(group.replicas.max(0))
    });
    let taken = pods.min(amount_taken(nodes, flying, each, 1));
    total.saturating_sub(taken).max(0)
}

/// How many replicas of `each` fit on `nodes` with nothing in flight.
pub(crate) fn slots<'a>(nodes: impl Iterator<Item = &'a Nodes>, each: &Each) -> i64 {
    let sum = nodes.fold(0_i64, |sum, nodes| {
        sum.saturating_add(nodes.fit(each).saturating_mul(nodes.count.max(0)))
    });
    sum.min(PLENTY)
}

/// Whether each replica of the group takes a whole number of slots, so that nothing is lost by
/// counting slots.
fn is_multiple(flown: &Each, each: &Each) -> bool {
    let mut shares = each.iter().map(|(resource, amount)| {
        let flown = amount_of(flown, *resource);
        (
            flown.checked_div(*amount).unwrap_or(0),
            flown.checked_rem(*amount).unwrap_or(0),
        )
    });
    let largest = shares
        .clone()
        .map(|(whole, rest)| (whole, i64::from(rest > 0)))
        .max();
    let Some((whole, rest)) = largest else {
        return true;
    };
    rest == 0 && shares.all(|(share, rest)| share < whole || rest == 0)
}

/// The most slots that the sums of what is in flight can take, spread in the worst way as if they
/// were fluid: one resource at a time, cheapest slots first. Of a node at most `most` slots count.
fn amount_taken<'a>(
    nodes: impl Iterator<Item = &'a Nodes>,
    flying: impl Iterator<Item = &'a Flying> + Clone,
    each: &Each,
    most: i64,
) -> i64 {
    let mut market = Market::new(nodes, each, most);
    let sums = each
        .iter()
        .map(|of| (of, amount_flown(flying.clone(), of.0)));
    sums.filter(|(_, sum)| *sum > 0)
        .fold(0_i64, |taken, (of, sum)| {
            market.open(*of);
            taken.saturating_add(market.bought(sum))
        })
}

fn amount_flown<'a>(flying: impl Iterator<Item = &'a Flying>, resource: usize) -> i64 {
    flying.fold(0_i64, |sum, group| {
        let flown = amount_of(&group.each, resource);
        sum.saturating_add(flown.saturating_mul(group.replicas.max(0)))
    })
}

/// The slots of some nodes, by what taking each costs of one resource. A market is made for nearly
/// every member in every decision, and most have few kinds of nodes: these stay off the heap.
struct Market<'n> {
    /// Nodes with the slots that count on one of them.
    nodes: SmallVec<[(&'n Nodes, i64); 8]>,
    /// Prices, the lowest first, and how many slots are to be had at each.
    prices: SmallVec<[(i64, i64); 16]>,
}

impl<'n> Market<'n> {
    /// Of a node at most `most` slots count.
    fn new(nodes: impl Iterator<Item = &'n Nodes>, each: &Each, most: i64) -> Self {
        let fits = nodes.map(|nodes| (nodes, nodes.fit(each).min(most)));
        Self {
            nodes: fits.filter(|(of, fit)| *fit > 0 && of.count > 0).collect(),
            prices: SmallVec::new(),
        }
    }

    /// The prices in one resource. On a node the first slot costs what is left over beside all slots
    /// and one more, each further one `amount`.
    fn open(&mut self, (resource, amount): (usize, i64)) {
        self.prices.clear();
        for (nodes, fit) in &self.nodes {
            let spare = nodes
                .free_of(resource)
                .saturating_sub(amount.saturating_mul(*fit));
            let first = spare.saturating_add(1).max(1);
            let further = fit.saturating_sub(1);
            if first <= amount {
                self.prices.push((first, nodes.count));
                if further > 0 {
                    self.prices
                        .push((amount, further.saturating_mul(nodes.count)));
                }
            } else {
                // The first slot is the dearest: the mean price, which no choice of slots undercuts.
                let all = first.saturating_add(amount.saturating_mul(further));
                let mean = all.checked_div(*fit).unwrap_or(amount).max(1);
                self.prices.push((mean, fit.saturating_mul(nodes.count)));
            }
        }
        self.prices.sort_unstable();
    }

    /// How many slots `budget` of the resource can take.
    fn bought(&self, budget: i64) -> i64 {
        let mut left = budget;
        let mut taken = 0_i64;
        for (price, slots) in &self.prices {
            // All at this price, if they are paid for: no division is needed to know that.
            match price.checked_mul(*slots).filter(|all| *all <= left) {
                Some(all) => {
                    taken = taken.saturating_add(*slots);
                    left = left.saturating_sub(all);
                }
                None => {
                    return taken.saturating_add(left.checked_div(*price).unwrap_or(0));
                }
            }
        }
        taken
    }
}

/// The amount of one resource; 0 when it is not requested.
pub(crate) fn amount_of(each: &Each, resource: usize) -> i64 {
    each.iter()
        .find(|(id, _)| *id == resource)
        .map_or(0, |(_, amount)| *amount)
}

fn ceil_div(number: i64, by: i64) -> i64 {
    let whole = number.checked_div(by).unwrap_or(0);
    whole.saturating_add(i64::from(number.checked_rem(by).unwrap_or(0) > 0))
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests;
