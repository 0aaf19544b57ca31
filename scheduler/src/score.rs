//! Scores: whole numbers from 0 to 100, each explained by its name, and their weighted mean.

use std::cell::RefMut;
use std::collections::BTreeMap;

use crate::case::{Choice, Part, Seat};
use crate::config::ScoreWeights;
use crate::fleet::Fleet;
use crate::fleet::class::{Classes, Price, Prices};
use crate::labels::tolerated;
use crate::resources::{CPU, Resources};
use crate::rules::Rules;
use crate::snapshot::TaintEffect;
use crate::verdict::Scores;

/// Bytes in a GiB: prices of what is counted in bytes are per GiB.
const GIB: i128 = 1 << 30;
/// Beyond it one price is like another; a hundred times it still is a number.
const DEAREST: i128 = 1 << 118;
/// The cost score of a member whose price is not known, where that of others is.
const UNPRICED: u8 = 50;

/// What is found of every seat before any is rated: memory that is used again.
#[derive(Default)]
pub(crate) struct Rated(Vec<Found>);

/// What is found of one seat.
#[derive(Clone, Copy)]
struct Found {
    /// The most replicas of the main component.
    room: i64,
    /// What one of them costs.
    price: Price,
    /// How much the flavor is preferred that it would take.
    preference: u8,
}

/// Rates every member that is not expelled.
pub(crate) fn rate(
    fleet: &Fleet,
    classes: &Classes,
    rules: &Rules<'_>,
    parts: &[Part<'_>],
    weights: ScoreWeights,
    seats: &mut [Seat],
    Rated(found): &mut Rated,
) {
    let mut look = Look::new(fleet, classes, rules, parts);
    found.clear();
    let numbered = seats.iter().enumerate();
    found.extend(numbered.map(|(index, seat)| look.at(index, seat.site)));
    let roomiest = found.iter().map(|of| of.room).max().unwrap_or(0);
    let range = Range::of(seats, found);
    let wanted: i64 = parts
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.wanted));
    for (seat, of) in seats.iter_mut().zip(found.iter()) {
        if seat.expelled() {
            continue;
        }
        let stability = if seat.has_any {
            let there = parts
                .iter()
                .fold(0_i64, |sum, part| sum.saturating_add(part.prev(seat.site)));
            percent(there.into(), wanted.into(), 0)
        } else {
            0
        };
        seat.scores = Scores {
            balance: percent(of.room.into(), roomiest.into(), 100),
            stability,
            preference: of.preference,
            ..range.score(of.price)
        };
        seat.scores.total = mean(seat.scores, weights);
    }
}

/// Sites that are not expelled, the best first, by name among equals.
pub(crate) fn order(seats: &[Seat]) -> Vec<usize> {
    // By counting: there are 101 scores, and seats stand by name already.
    let slot = |seat: &Seat| usize::from(100_u8.saturating_sub(seat.scores.total));
    let mut starts = [0_usize; 102];
    for seat in seats.iter().filter(|seat| !seat.expelled()) {
        if let Some(next) = starts.get_mut(slot(seat).saturating_add(1)) {
            *next = next.saturating_add(1);
        }
    }
    let mut sum = 0_usize;
    for start in &mut starts {
        sum = sum.saturating_add(*start);
        *start = sum;
    }
    let mut order = vec![0; sum];
    for seat in seats.iter().filter(|seat| !seat.expelled()) {
        if let Some(start) = starts.get_mut(slot(seat)) {
            if let Some(place) = order.get_mut(*start) {
                *place = seat.site;
            }
            *start = start.saturating_add(1);
        }
    }
    order
}

/// What a replica costs on the members that may have one.
struct Range {
    /// The resources of which one of them at least has a price. A member that lacks the price of any
    /// of these would look cheaper than it is: its price is not known.
    of: u64,
    cheapest: i128,
    dearest: i128,
}

impl Range {
    fn of(seats: &[Seat], found: &[Found]) -> Self {
        let may = |seat: &Seat| !seat.barred() || (seat.has_any && !seat.expelled());
        let may = || {
            let both = seats.iter().zip(found).filter(|(seat, _)| may(seat));
            both.map(|(_, found)| found.price)
        };
        let of = may().fold(0, |of, price| of | price.of);
        let known = may().filter(|price| price.of == of);
        let (mut cheapest, mut dearest) = (i128::MAX, i128::MIN);
        for price in known {
            cheapest = cheapest.min(price.sum);
            dearest = dearest.max(price.sum);
        }
        Self {
            of,
            cheapest,
            dearest,
        }
    }

    /// The score of a price, with nothing else. Where no member has a price all are alike.
    fn score(&self, price: Price) -> Scores {
        let known = price.of & self.of == self.of;
        let spread = self.dearest.saturating_sub(self.cheapest);
        let cost = match (self.of, known) {
            (0, _) => 100,
            (_, false) => UNPRICED,
            (_, true) => percent(self.dearest.saturating_sub(price.sum), spread, 100),
        };
        Scores {
            cost,
            unpriced: !known,
            ..Scores::default()
        }
    }
}

/// What is looked at of each seat: its choices of the main component, which has most to place.
struct Look<'l, 'a> {
    fleet: &'l Fleet,
    rules: &'l Rules<'a>,
    main: Option<(&'l Part<'a>, RefMut<'l, Prices>)>,
    /// How much each flavor is preferred: by its place in the order of preference.
    preferred: Vec<u8>,
}

impl<'l, 'a> Look<'l, 'a> {
    fn new(
        fleet: &'l Fleet,
        classes: &'l Classes,
        rules: &'l Rules<'a>,
        parts: &'l [Part<'a>],
    ) -> Self {
        let placed = parts.iter().filter(|part| part.wanted > 0);
        let main = placed.max_by_key(|part| part.wanted);
        let mut preferred = vec![0; fleet.flavors.len()];
        let all = rules.flavors.len();
        for (place, flavor) in rules.flavors.iter().enumerate() {
            if let Some(score) = preferred.get_mut(*flavor) {
                *score = percent(all.saturating_sub(place) as i128, all as i128, 100);
            }
        }
        Self {
            fleet,
            rules,
            main: main.and_then(|part| Some((part, classes.get(part.class)?.prices()))),
            preferred,
        }
    }

    fn at(&mut self, seat: usize, site: usize) -> Found {
        let Some((part, prices)) = &mut self.main else {
            return Found {
                room: 0,
                price: Price::default(),
                preference: self.liked(site, 100),
            };
        };
        let choices = part.on_seat(seat);
        let first = choices.first();
        let score = first.and_then(|choice| self.preferred.get(choice.flavor));
        let price = first.and_then(|choice| price(self.fleet, part, prices, choice, site));
        Found {
            room: choices.iter().map(Choice::most).max().unwrap_or(0),
            price: price.unwrap_or_default(),
            preference: self.liked(site, score.copied().unwrap_or(0)),
        }
    }

    /// Half of a score where a soft taint is not tolerated.
    fn liked(&self, site: usize, score: u8) -> u8 {
        let tolerations = &self.rules.request.placement.tolerations;
        let disliked = || {
            let of = self.fleet.sites.get(site).into_iter();
            let mut taints = of.flat_map(|of| &of.member.taints);
            taints.any(|taint| {
                taint.effect == TaintEffect::PreferNoSchedule && !tolerated(taint, tolerations)
            })
        };
        if self.fleet.is_disliked(site) && disliked() {
            score / 2
        } else {
            score
        }
    }
}

/// The price of one replica for an hour, in the flavor it would take.
fn price(
    fleet: &Fleet,
    part: &Part<'_>,
    known: &mut Prices,
    choice: &Choice,
    site: usize,
) -> Option<Price> {
    let price = |prices| price_of(&part.component.per_replica, prices);
    if let Some(lot) = choice.lot {
        let number = fleet.prices_of(lot)?;
        let prices = fleet.prices.get(number)?;
        return Some(known.of(number, || price(prices)));
    }
    let member = &fleet.sites.get(site)?.member;
    let prices = member.prices.get(fleet.flavor_name(choice.flavor))?;
    Some(price(prices))
}

fn price_of(amounts: &Resources, prices: &BTreeMap<String, i64>) -> Price {
    let mut whole = Price::default();
    let requested = amounts.iter().filter(|(_, amount)| *amount > 0);
    for (place, (resource, amount)) in requested.enumerate() {
        if let Some(price) = prices.get(resource) {
            // A thousandth of the price's unit keeps small requests apart.
            let cost = i128::from(amount) * i128::from(*price);
            let cost = cost.saturating_mul(1000) / unit(resource);
            whole.sum = whole.sum.saturating_add(cost).clamp(0, DEAREST);
            whole.of |= 1 << place.min(63);
        }
    }
    whole
}

/// How many of an amount make one of what a price is for.
fn unit(resource: &str) -> i128 {
    let tail = resource.rsplit('/').next().unwrap_or(resource);
    if resource == CPU {
        1000
    } else if matches!(tail, "memory" | "storage" | "ephemeral-storage")
        || tail.starts_with("hugepages-")
    {
        GIB
    } else {
        1
    }
}

fn percent(part: i128, whole: i128, of_nothing: u8) -> u8 {
    if whole <= 0 {
        return of_nothing;
    }
    // Nearly always small, and a division of 64 bits is many times faster.
    if let (Ok(part), Ok(whole)) = (u32::try_from(part.clamp(0, whole)), u32::try_from(whole)) {
        let share = u64::from(part) * 100 / u64::from(whole);
        return u8::try_from(share).unwrap_or(100);
    }
    u8::try_from((part.clamp(0, whole) * 100) / whole).unwrap_or(100)
}

fn mean(scores: Scores, weights: ScoreWeights) -> u8 {
    let weighted = [
        (scores.balance, weights.balance),
        (scores.stability, weights.stability),
        (scores.cost, weights.cost),
        (scores.preference, weights.preference),
    ];
    let all: u64 = weighted.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let sum: u64 = weighted
        .iter()
        .map(|(score, weight)| u64::from(*score) * if all == 0 { 1 } else { u64::from(*weight) })
        .sum();
    let whole = if all == 0 { 4 } else { all };
    u8::try_from(sum / whole).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::{Scores, mean, percent};
    use crate::config::ScoreWeights;
    use crate::fixtures::{component, decide, member, refused, request, shown, with, world};

    #[test]
    fn the_total_is_the_weighted_mean() {
        let scores = Scores {
            balance: 100,
            stability: 0,
            cost: 50,
            preference: 100,
            ..Scores::default()
        };
        let weights = ScoreWeights {
            balance: 1,
            stability: 1,
            cost: 2,
            preference: 0,
        };
        assert_eq!(mean(scores, weights), 50);
        let none = ScoreWeights {
            balance: 0,
            stability: 0,
            cost: 0,
            preference: 0,
        };
        assert_eq!(mean(scores, none), 62);
    }

    /// A ready member of two cores with prices of `arm`, in millionths.
    fn priced(name: &str, prices: &[(&str, i64)]) -> crate::Member {
        let mut of = member(name, "arm", 2, 8);
        let prices = prices.iter();
        let prices = prices.map(|(resource, price)| ((*resource).to_owned(), *price));
        let of_flavor = of.prices.entry("arm".to_owned()).or_default();
        of_flavor.extend(prices);
        of
    }

    /// Cost score of each member, and whether its price is not known.
    fn costs(members: impl IntoIterator<Item = crate::Member>) -> Vec<(u8, bool)> {
        let mut web = component("web", 2, 1000);
        web.per_replica.set("memory", 1 << 30);
        let verdict = decide(&with(world(), members), &request("app", vec![web]));
        let scores = verdict.members.iter().filter_map(|of| of.scores);
        scores.map(|of| (of.cost, of.unpriced)).collect()
    }

    #[test]
    fn the_cheapest_is_100_the_dearest_0_and_the_rest_between() {
        let whole = |name, cpu| priced(name, &[("cpu", cpu), ("memory", 10_000)]);
        let found = costs([
            whole("a", 100_000),
            whole("b", 140_000),
            whole("c", 300_000),
        ]);
        assert_eq!(found, [(100, false), (80, false), (0, false)]);
        // The price is that of what a replica asks for: one core and a GiB.
        let dear = priced("d", &[("cpu", 50_000), ("memory", 260_000)]);
        let found = costs([whole("a", 100_000), whole("c", 300_000), dear]);
        assert_eq!(found, [(100, false), (0, false), (0, false)]);
        let found = costs([whole("a", 1), whole("b", 1)]);
        assert_eq!(found, [(100, false), (100, false)]);
    }

    #[test]
    fn a_price_that_is_not_known_or_not_whole_is_neutral() {
        let whole = |name, cpu| priced(name, &[("cpu", cpu), ("memory", 10_000)]);
        let half = priced("b", &[("cpu", 1)]);
        let none = member("c", "arm", 2, 8);
        let found = costs([whole("a", 100_000), half, none, whole("d", 200_000)]);
        assert_eq!(found, [(100, false), (50, true), (50, true), (0, false)]);
        // Where none is known all are alike.
        let found = costs([member("a", "arm", 2, 8), member("b", "arm", 2, 8)]);
        assert_eq!(found, [(100, false), (100, false)]);
        // A resource that none has a price of does not count.
        let found = costs([priced("a", &[("cpu", 1)]), priced("b", &[("cpu", 2)])]);
        assert_eq!(found, [(100, false), (0, false)]);
    }

    #[test]
    fn members_that_may_not_have_it_set_no_price() {
        // Its nodes hold one replica, and a member takes at least two.
        let mut small = priced("c", &[("cpu", 1)]);
        small.sketch = member("c", "arm", 1, 1).sketch;
        let members = [
            priced("a", &[("cpu", 10)]),
            priced("b", &[("cpu", 20)]),
            small,
        ];
        let mut app = request("app", vec![component("web", 2, 1000)]);
        app.placement.division.min_per_member = Some(2);
        let verdict = decide(&with(world(), members), &app);
        assert_eq!(refused(&verdict, "c"), ["BelowMinimum"]);
        let scores = verdict.members.iter().filter_map(|of| of.scores);
        let found: Vec<u8> = scores.map(|of| of.cost).collect();
        assert_eq!(found, [100, 0]);
    }

    #[test]
    fn weights_decide_whether_the_cheap_or_the_roomy_is_taken() {
        let mut dear = priced("a", &[("cpu", 20)]);
        dear.sketch.as_mut().unwrap().shapes[0].count = 4;
        let snapshot = with(world(), [dear, priced("b", &[("cpu", 10)])]);
        let mut app = request("app", vec![component("web", 1, 1000)]);
        assert_eq!(shown(&decide(&snapshot, &app)), ["web@a/arm=1"]);
        app.placement.weights = Some("cost=100".parse().unwrap());
        assert_eq!(shown(&decide(&snapshot, &app)), ["web@b/arm=1"]);
    }

    #[test]
    fn shares_of_nothing_are_given() {
        assert_eq!(percent(3, 0, 100), 100);
        assert_eq!(percent(1, 3, 0), 33);
    }
}
