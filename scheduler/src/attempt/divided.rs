//! Components that divide over members.

use super::{Attempt, Bound, Failure, Stop, outer_key};
use crate::case::{Choice, Part};
use crate::divide::{Rule, Slot, divide};
use crate::request::DivisionKind;
use crate::spread::{Spread, chain_to, several, spread, steady};

/// One member in the division of a component: the choice it would use.
#[derive(Clone, Copy)]
struct Offer<'p> {
    site: usize,
    choice: &'p Choice,
    /// The fewest replicas there, if any.
    least: i64,
    /// The most that the member could have in all.
    room: i64,
    /// The most that it is to have.
    most: i64,
}

impl Attempt<'_, '_, '_> {
    /// Divides a component over the sites.
    pub(super) fn divided(
        &mut self,
        index: usize,
        sites: &[usize],
        spreads: &[Bound],
        rule: Rule,
    ) -> Result<(), Stop> {
        let Some(part) = self.part(index) else {
            return Ok(());
        };
        let mut order = self.by_preference(part, sites);
        self.only_where_data_is(part, &mut order)?;
        let first = self.offers(part, &order, false);
        let mut failure = match self.solve(part, &first, spreads, rule) {
            Ok(shares) if self.all_affordable(part, &first, &shares) => {
                self.take_all(index, &first, &shares);
                return Ok(());
            }
            Ok(_) => Failure::Budget,
            Err(failure) => failure,
        };
        let second = if failure == Failure::Budget {
            vec![self.levelled(part, &first), self.rationed(part, &order)]
        } else {
            vec![self.offers(part, &order, true)]
        };
        for offers in second {
            match self.solve(part, &offers, spreads, rule) {
                Ok(shares) if self.all_affordable(part, &offers, &shares) => {
                    self.take_all(index, &offers, &shares);
                    return Ok(());
                }
                Ok(_) => failure = Failure::Budget,
                Err(_) => {}
            }
        }
        Err(failure.into())
    }

    /// What each site offers: its first choice with room, or the roomiest one.
    fn offers<'p>(&self, part: &'p Part<'_>, order: &[usize], roomiest: bool) -> Vec<Offer<'p>> {
        let mut offers = Vec::with_capacity(order.len());
        for site in order {
            let (lo, hi) = self.case.bounds(part, *site);
            let weighed = self.case.choices(part, *site).iter().map(|choice| {
                let room = self.most_now(part, choice);
                Offer {
                    site: *site,
                    choice,
                    least: lo,
                    room,
                    most: room.min(hi).min(part.wanted),
                }
            });
            let mut weighed = weighed.filter(|offer| offer.most >= lo);
            let best = if roomiest {
                // The first of the roomiest.
                weighed.reduce(|best, next| if next.most > best.most { next } else { best })
            } else {
                weighed.find(|offer| {
                    let enough = offer.most.min(lo.max(1));
                    self.affords(part, *site, offer.choice, enough)
                })
            };
            offers.extend(best);
        }
        offers
    }

    /// The offers cut to an equal height, the highest that the purse covers; what is left of it
    /// goes to the first.
    fn levelled<'p>(&self, part: &Part<'_>, offers: &[Offer<'p>]) -> Vec<Offer<'p>> {
        let heights = |level: i64| -> Vec<i64> {
            offers
                .iter()
                .map(|offer| offer.most.min(level.max(offer.choice.credit)))
                .collect()
        };
        let (mut low, mut high) = (0_i64, part.wanted);
        while low < high {
            let middle = low + (high - low + 1) / 2;
            if self.all_affordable(part, offers, &heights(middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let mut cut = heights(low);
        for index in 0..cut.len() {
            let room = offers
                .get(index)
                .is_some_and(|offer| cut.get(index).is_some_and(|share| *share < offer.most));
            if room && let Some(share) = cut.get_mut(index) {
                *share += 1;
            }
            if room
                && !self.all_affordable(part, offers, &cut)
                && let Some(share) = cut.get_mut(index)
            {
                *share -= 1;
            }
        }
        let cut = offers.iter().zip(cut);
        cut.map(|(offer, most)| Offer { most, ..*offer }).collect()
    }

    /// Offers that the purse covers together: each site in order takes what it can, in the first
    /// flavor that leaves it enough.
    fn rationed<'p>(&self, part: &'p Part<'_>, order: &[usize]) -> Vec<Offer<'p>> {
        let Some(mut purse) = self.purse.clone() else {
            return Vec::new();
        };
        let mut offers = Vec::new();
        for site in order {
            let (lo, hi) = self.case.bounds(part, *site);
            for choice in self.case.choices(part, *site) {
                let flavor = self.case.fleet.flavor_name(choice.flavor);
                let covered =
                    |most: i64| purse.covers(choice.flavor, part.increase(*site, flavor, most));
                let room = self.most_now(part, choice);
                let most = largest(room.min(hi).min(part.wanted), covered);
                if most >= lo.max(1) {
                    purse.spend(choice.flavor, part.increase(*site, flavor, most));
                    offers.push(Offer {
                        site: *site,
                        choice,
                        least: lo,
                        room,
                        most,
                    });
                    break;
                }
            }
        }
        offers
    }

    fn all_affordable(&self, part: &Part<'_>, offers: &[Offer<'_>], shares: &[i64]) -> bool {
        let Some(mut purse) = self.purse.clone() else {
            return true;
        };
        offers.iter().zip(shares).all(|(offer, share)| {
            let flavor = self.case.fleet.flavor_name(offer.choice.flavor);
            let grown = || part.increase(offer.site, flavor, *share);
            let covered = purse.covers(offer.choice.flavor, grown());
            purse.spend(offer.choice.flavor, grown());
            covered
        })
    }

    fn take_all(&mut self, index: usize, offers: &[Offer<'_>], shares: &[i64]) {
        for (offer, share) in offers.iter().zip(shares).filter(|(_, share)| **share > 0) {
            self.take(index, offer.site, offer.choice, *share);
        }
    }

    /// The shares of the offers, or why there are none.
    fn solve(
        &self,
        part: &Part<'_>,
        offers: &[Offer<'_>],
        spreads: &[Bound],
        rule: Rule,
    ) -> Result<Vec<i64>, Failure> {
        let slots: Vec<Slot> = offers.iter().map(|offer| self.slot(part, offer)).collect();
        let constraints: Vec<Spread> = spreads
            .iter()
            .map(|bound| bound.spread.over(offers.iter().map(|offer| offer.site)))
            .collect();
        if let Some(there) = steady(&slots, &constraints, part.wanted) {
            return Ok(there);
        }
        let shares = if self.ranks.is_some() {
            let ranks: Vec<u32> = offers.iter().map(|offer| self.rank(offer.site)).collect();
            let shares = ranked(&slots, &ranks, part.wanted, rule);
            shares.filter(|shares| constraints.iter().all(|one| one.kept_by(shares)))
        } else {
            several(&slots, &constraints, part.wanted, rule)
        };
        if let Some(shares) = shares {
            return Ok(shares);
        }
        Err(self.why(part, &slots, &constraints, spreads, rule))
    }

    fn slot(&self, part: &Part<'_>, offer: &Offer<'_>) -> Slot {
        let division = &self.case.request.placement.division;
        let given = || division.weights.get(self.case.fleet.name(offer.site));
        let weight = match division.kind {
            DivisionKind::Weighted => given().map_or(1, |weight| i64::from(*weight)),
            _ => offer.room,
        };
        Slot {
            prev: part.prev(offer.site),
            lo: offer.least,
            hi: offer.most,
            weight,
        }
    }

    fn why(
        &self,
        part: &Part<'_>,
        slots: &[Slot],
        constraints: &[Spread],
        spreads: &[Bound],
        rule: Rule,
    ) -> Failure {
        let component = part.component.name.clone();
        let fits = slots
            .iter()
            .fold(0_i64, |sum, slot| sum.saturating_add(slot.hi));
        if fits < part.wanted {
            // Bounds per member may be what is short, and not the members' room.
            let free = self.case.order.iter().fold(0_i64, |sum, site| {
                let most = self
                    .case
                    .choices(part, *site)
                    .iter()
                    .map(|choice| self.most_now(part, choice));
                sum.saturating_add(most.max().unwrap_or(0))
            });
            if free < part.wanted || self.purse.is_some() || slots.len() < self.case.order.len() {
                return Failure::Capacity {
                    component,
                    needed: part.wanted,
                    fits,
                };
            }
        }
        let members = i64::try_from(slots.len()).unwrap_or(i64::MAX);
        let divisible = divide(slots, part.wanted, rule).is_some();
        if !divisible || constraints.is_empty() {
            return Failure::Division {
                component,
                replicas: part.wanted,
                members,
            };
        }
        let broken = constraints.iter().zip(spreads).enumerate();
        let broken = broken.map(|(index, pair)| (chain_to(constraints, index), pair));
        let mut broken =
            broken.filter(|(chain, _)| spread(slots, chain, part.wanted, rule).is_none());
        let broken = broken.next().map(|(_, pair)| pair);
        let Some((one, bound)) = broken.or(constraints.last().zip(spreads.last())) else {
            return Failure::Division {
                component,
                replicas: part.wanted,
                members,
            };
        };
        let room: Vec<i64> = slots.iter().map(|slot| slot.hi).collect();
        let groups = one
            .counts(&room)
            .into_iter()
            .filter(|count| *count > 0)
            .count();
        let groups = i64::try_from(groups).unwrap_or(i64::MAX);
        Failure::Spread {
            key: bound.key.clone(),
            within: outer_key(spreads, one),
            component,
            groups,
            replicas: part.wanted,
        }
    }
}

/// Divides `total` over slots of several ranks: a rank gets only what the ones before cannot hold,
/// and what it has.
fn ranked(slots: &[Slot], ranks: &[u32], total: i64, rule: Rule) -> Option<Vec<i64>> {
    let mut answer = vec![0; slots.len()];
    let mut left = total;
    let mut distinct = ranks.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let kept = |rank: u32| {
        let kept = slots.iter().zip(ranks).filter(|(_, of)| **of == rank);
        kept.fold(0_i64, |sum, (slot, _)| sum.saturating_add(slot.kept()))
    };
    let mut later = distinct
        .iter()
        .fold(0_i64, |sum, rank| sum.saturating_add(kept(*rank)));
    for rank in distinct {
        let mine = ranks.iter().enumerate().filter(|(_, of)| **of == rank);
        let mine: Vec<usize> = mine.map(|(index, _)| index).collect();
        let inner: Vec<Slot> = mine
            .iter()
            .filter_map(|index| slots.get(*index).copied())
            .collect();
        later = later.saturating_sub(kept(rank));
        let room = inner
            .iter()
            .fold(0_i64, |sum, slot| sum.saturating_add(slot.hi));
        let part = left
            .saturating_sub(later)
            .max(left.min(kept(rank)))
            .min(room);
        let Some(shares) = divide(&inner, part, rule) else {
            continue;
        };
        for (index, share) in mine.iter().zip(&shares) {
            if let Some(place) = answer.get_mut(*index) {
                *place = *share;
            }
            left = left.saturating_sub(*share);
        }
    }
    (left == 0).then_some(answer)
}

/// The largest number up to `most` that is allowed; 0 when 1 is not.
fn largest(most: i64, allowed: impl Fn(i64) -> bool) -> i64 {
    let (mut low, mut high) = (0_i64, most.max(0));
    while low < high {
        let middle = low + (high - low + 1) / 2;
        if allowed(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
