//! Nodes of one flavor on one member, and what is in flight to them.

use super::{Fleet, Profile};
use crate::capacity::{Each, Flying, Nodes};

/// Nodes of one flavor on one member.
#[derive(Default)]
pub(crate) struct Lot {
    /// Nodes with the numbers of their profiles; none: the member has none of that flavor.
    pub(crate) nodes: Vec<(usize, Nodes)>,
    /// What is in flight, one group per size.
    pub(crate) flying: Vec<Flying>,
    /// The sum of what is in flight, per resource id.
    pub(crate) flown: Vec<i64>,
    /// What came into flight, one after the other: the number of its size, and replicas.
    pub(crate) log: Vec<(usize, i64)>,
    /// How often what is in flight was counted from the start: what was made of the log before does
    /// not count.
    pub(crate) version: u32,
}

impl Lot {
    fn empty(&mut self) {
        self.flying.clear();
        self.flown.clear();
        self.log.clear();
        self.version = self.version.saturating_add(1);
    }

    fn fly(&mut self, each: Each, size: usize, replicas: i64) {
        if replicas <= 0 {
            return;
        }
        self.log.push((size, replicas));
        for (resource, amount) in &each {
            if self.flown.len() <= *resource {
                self.flown.resize(*resource + 1, 0);
            }
            if let Some(sum) = self.flown.get_mut(*resource) {
                *sum = sum.saturating_add(amount.saturating_mul(replicas));
            }
        }
        match self.flying.iter_mut().find(|group| group.each == each) {
            Some(group) => group.replicas = group.replicas.saturating_add(replicas),
            None => self.flying.push(Flying { each, replicas }),
        }
    }
}

impl Fleet {
    /// The lot of a flavor on a site, if the member has such nodes.
    pub(crate) fn lot_of(&self, site: usize, flavor: usize) -> Option<usize> {
        let lot = self.place(site, flavor)?;
        (self.stamp(lot) != 0).then_some(lot)
    }

    /// The flavors of which a site has nodes.
    pub(crate) fn flavors_on(&self, site: usize) -> impl Iterator<Item = usize> {
        let flavors = 0..self.flavors.len();
        flavors.filter(move |flavor| self.lot_of(site, *flavor).is_some())
    }

    fn place(&self, site: usize, flavor: usize) -> Option<usize> {
        let flavors = self.flavors.len();
        (flavor < flavors).then(|| site * flavors + flavor)
    }

    /// The site that a lot is of.
    pub(crate) fn site_of_lot(&self, lot: usize) -> usize {
        lot.checked_div(self.flavors.len()).unwrap_or(usize::MAX)
    }

    /// A number that is another one whenever the lot is: what was found out at a stamp holds as long
    /// as the lot has it. 0: it has no nodes.
    pub(crate) fn stamp(&self, lot: usize) -> u32 {
        self.marks.get(lot).map_or(0, |mark| mark.stamp)
    }

    /// The number of a lot's list of prices; `None`: the member names none for the flavor.
    pub(crate) fn prices_of(&self, lot: usize) -> Option<usize> {
        let prices = self.marks.get(lot)?.prices?;
        usize::try_from(prices).ok()
    }

    /// The stamp of a lot when nothing is in flight to it: another one whenever its nodes are others.
    pub(crate) fn idle_stamp(&self, lot: usize) -> u32 {
        self.marks.get(lot).map_or(0, |mark| mark.idle)
    }

    fn stamp_anew(&mut self, lot: usize) {
        if let (Some(of), Some(mark)) = (self.lots.get(lot), self.marks.get_mut(lot)) {
            mark.stamp = if of.nodes.is_empty() {
                0
            } else if of.log.is_empty() {
                // What was found out before a batch holds again when it is forgotten.
                mark.idle
            } else {
                self.stamped = self.stamped.saturating_add(1);
                self.stamped
            };
        }
    }

    /// Makes the lots of a site what its member says.
    pub(super) fn fill(&mut self, site: usize) {
        let Some(member) = self
            .sites
            .get(site)
            .map(|of| std::sync::Arc::clone(&of.member))
        else {
            return;
        };
        for flavor in 0..self.flavors.len() {
            let prices = member.prices.get(self.flavor_name(flavor));
            let prices = prices.map(|prices| self.prices.number(prices));
            let Some(lot) = self.place(site, flavor) else {
                continue;
            };
            if let Some(mark) = self.marks.get_mut(lot) {
                mark.prices = prices.and_then(|prices| u32::try_from(prices).ok());
                self.stamped = self.stamped.saturating_add(1);
                mark.idle = self.stamped;
            }
            if let Some(lot) = self.lots.get_mut(lot) {
                lot.nodes.clear();
            }
        }
        for shape in member.sketch.iter().flat_map(|sketch| &sketch.shapes) {
            let named = shape.flavor.as_deref();
            let Some(flavor) = named.and_then(|name| self.flavor(name)) else {
                continue;
            };
            let profile = self.profiles.number(&Profile {
                flavor,
                labels: shape.labels.clone(),
                taints: shape.taints.clone(),
            });
            let nodes = Nodes {
                count: shape.count.max(0),
                free: self.row(&shape.free),
            };
            let lot = self
                .place(site, flavor)
                .and_then(|lot| self.lots.get_mut(lot));
            if let Some(lot) = lot {
                lot.nodes.push((profile, nodes));
            }
        }
        for flavor in 0..self.flavors.len() {
            self.fly_again(site, flavor);
        }
        self.draw_lines(site);
    }

    /// Leaves in flight to a lot what its member says, and nothing else.
    fn fly_again(&mut self, site: usize, flavor: usize) {
        let Some(lot) = self.place(site, flavor) else {
            return;
        };
        if let Some(of) = self.lots.get_mut(lot) {
            of.empty();
        }
        let there = self.lots.get(lot).is_some_and(|of| !of.nodes.is_empty());
        if there
            && let Some(member) = self
                .sites
                .get(site)
                .map(|of| std::sync::Arc::clone(&of.member))
        {
            let name = self.flavor_name(flavor);
            let flights = member.in_flight.iter();
            let flights: Vec<_> = flights.filter(|flight| flight.flavor == name).collect();
            for flight in flights {
                let each = self.each(&flight.per_replica);
                self.fly(lot, each, flight.replicas);
            }
        }
        self.stamp_anew(lot);
    }

    fn fly(&mut self, lot: usize, each: Each, replicas: i64) {
        let size = self.sizes.number(&each);
        if let Some(of) = self.lots.get_mut(lot) {
            of.fly(each, size, replicas);
        }
    }

    /// Counts replicas as in flight to a lot until [`Fleet::forget`].
    pub(crate) fn assume(&mut self, lot: usize, each: Each, replicas: i64) {
        self.take_below_lines(lot, &each, replicas);
        self.fly(lot, each, replicas);
        self.stamp_anew(lot);
        self.assumed.push(lot);
    }

    /// Forgets what was assumed.
    pub(crate) fn forget(&mut self) {
        self.neighbours.forget();
        let mut lots = std::mem::take(&mut self.assumed);
        lots.sort_unstable();
        lots.dedup();
        for lot in lots {
            let site = self.site_of_lot(lot);
            if let Some(flavor) = lot.checked_rem(self.flavors.len()) {
                self.fly_again(site, flavor);
                self.draw_lines(site);
            }
        }
    }
}
