//! One request against the fleet: who may take what, judged once and used by every attempt.

mod seat;

use std::collections::BTreeMap;

use crate::capacity::{Each, amount_of};
use crate::config::{Config, ScoreWeights};
use crate::fleet::Fleet;
use crate::fleet::class::{Class, Classes};
use crate::request::{Component, Division, DivisionKind, Request};
use crate::resources::{PODS, Resources};
use crate::rules::Rules;
use crate::score;
use crate::snapshot::HeldEntry;
use crate::verdict::{Refusal, Scores};

/// A member as one request sees it.
pub(crate) struct Seat {
    /// Everything that refuses it.
    pub(crate) refusals: Vec<Refusal>,
    /// It gets nothing new.
    pub(crate) barred: bool,
    /// It may not even keep what it has.
    pub(crate) expelled: bool,
    /// The affinity terms it belongs to, one bit each.
    pub(crate) tiers: u64,
    /// Its scores, unless it is expelled.
    pub(crate) scores: Option<Scores>,
}

/// Nodes of one flavor on one member as a component may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// The flavor, as an index into [`Fleet::flavors`].
    pub(crate) flavor: usize,
    /// The lot; `None` when the member shows no nodes of that flavor now.
    pub(crate) lot: Option<usize>,
    /// Replicas that it holds and may keep.
    pub(crate) credit: i64,
    /// Replicas that fit besides.
    pub(crate) room: i64,
}

impl Choice {
    /// Replicas that it can have in all.
    pub(crate) fn most(&self) -> i64 {
        self.credit.saturating_add(self.room)
    }
}

/// A component with what each member may take of it.
pub(crate) struct Part<'a> {
    /// The component.
    pub(crate) component: &'a Component,
    /// Its class.
    pub(crate) class: usize,
    /// What one replica requests.
    pub(crate) each: Each,
    /// What one replica is charged, by resource name.
    pub(crate) charged: Vec<(&'a str, i64)>,
    /// Replicas to place; 0 for one per node.
    pub(crate) wanted: i64,
    /// The choices on each site, the preferred first.
    pub(crate) choices: Vec<Vec<Choice>>,
    /// Replicas that the committed decision assigns to each site.
    pub(crate) previous: BTreeMap<usize, i64>,
    /// What is held on each site.
    pub(crate) held: BTreeMap<usize, Vec<&'a HeldEntry>>,
}

impl<'a> Part<'a> {
    /// What it has on a site now.
    pub(crate) fn prev(&self, site: usize) -> i64 {
        self.previous.get(&site).copied().unwrap_or(0)
    }

    /// The choices on a site.
    pub(crate) fn choices(&self, site: usize) -> &[Choice] {
        self.choices.get(site).map_or(&[], Vec::as_slice)
    }

    /// Whether it runs one replica per node.
    pub(crate) fn on_every_node(&self) -> bool {
        self.component.division == Division::EveryMatchingNode
    }

    /// The entry held on a site in a flavor.
    pub(crate) fn held_in(&self, site: usize, flavor: &str) -> Option<&'a HeldEntry> {
        self.held
            .get(&site)?
            .iter()
            .find(|entry| entry.flavor == flavor)
            .copied()
    }

    /// By how much each charged resource grows when `replicas` stand on a site in a flavor.
    pub(crate) fn increase(
        &self,
        site: usize,
        flavor: &str,
        replicas: i64,
    ) -> impl Iterator<Item = (&'a str, i64)> {
        let pods = self.component.surge.pods(replicas);
        let held = self.held_in(site, flavor);
        self.charged.iter().map(move |(resource, amount)| {
            let before = held.map_or(0, |entry| entry.charge.get(resource).max(0));
            let now = amount.saturating_mul(pods);
            (*resource, now.saturating_sub(before).max(0))
        })
    }
}

/// One request against the fleet.
pub(crate) struct Case<'c, 'a> {
    /// The fleet.
    pub(crate) fleet: &'c Fleet<'a>,
    /// The classes of its components.
    pub(crate) classes: &'c Classes<'a>,
    /// The request.
    pub(crate) request: &'a Request,
    /// Its rules.
    pub(crate) rules: Rules<'a>,
    /// The weights of its scores.
    pub(crate) weights: ScoreWeights,
    /// Every member.
    pub(crate) seats: Vec<Seat>,
    /// Every component.
    pub(crate) parts: Vec<Part<'a>>,
    /// Sites that are not expelled, the best first.
    pub(crate) order: Vec<usize>,
}

impl<'c, 'a> Case<'c, 'a> {
    /// Judges every member for a request.
    pub(crate) fn new(
        fleet: &'c Fleet<'a>,
        classes: &'c mut Classes<'a>,
        request: &'a Request,
        config: &Config,
    ) -> Self {
        let rules = Rules::new(fleet, request, config.tolerated_not_ready_seconds);
        let ids = classes.of(fleet, request);
        let mut parts: Vec<Part<'a>> = request
            .components
            .iter()
            .zip(ids)
            .map(|(component, class)| part(fleet, classes, request, component, class))
            .collect();
        let mut seats: Vec<Seat> = fleet
            .sites
            .iter()
            .map(|site| seat::seat(site, &rules, &parts))
            .collect();
        for part in &mut parts {
            for (index, seat) in seats.iter().enumerate() {
                let choices = if seat.expelled {
                    Vec::new()
                } else {
                    seat::choices(fleet, classes, &rules, part, index, seat.barred)
                };
                part.choices.push(choices);
            }
        }
        for (index, seat) in seats.iter_mut().enumerate() {
            seat::judge_nodes(fleet, classes, &rules, &parts, index, seat);
        }
        let weights = request.placement.weights.unwrap_or(config.weights);
        score::rate(fleet, &rules, &parts, weights, &mut seats);
        let order = score::order(&seats);
        Self {
            fleet,
            classes,
            request,
            rules,
            weights,
            seats,
            parts,
            order,
        }
    }

    /// The bounds of a component on a site: the fewest if any, and the most.
    pub(crate) fn bounds(&self, part: &Part<'a>, site: usize) -> (i64, i64) {
        let name = self.fleet.sites.get(site).map_or("", |site| site.name);
        bounds(self.request, part.component, name)
    }

    /// A component's class.
    pub(crate) fn class(&self, part: &Part<'a>) -> Option<&'c Class> {
        self.classes.get(part.class)
    }

    /// Whether a site has anything of this workload.
    pub(crate) fn has_any(&self, site: usize) -> bool {
        self.parts
            .iter()
            .any(|part| part.previous.contains_key(&site))
            || self.carried(site)
    }

    /// The sites that have something of this workload.
    pub(crate) fn previous_sites(&self) -> Vec<usize> {
        (0..self.seats.len())
            .filter(|site| self.has_any(*site))
            .collect()
    }

    /// Whether the committed decision carries the objects to a site.
    pub(crate) fn carried(&self, site: usize) -> bool {
        let name = self.fleet.sites.get(site).map_or("", |site| site.name);
        self.request
            .previous_carried
            .iter()
            .any(|carried| carried == name)
    }
}

/// The bounds of a component on a member: the fewest if any, and the most.
pub(crate) fn bounds(request: &Request, component: &Component, member: &str) -> (i64, i64) {
    let division = &request.placement.division;
    let own = component.bounds.get(member);
    let general = component.division == Division::Divided;
    let min = own.map_or(division.min_per_member.filter(|_| general), |own| own.min);
    let max = own.map_or(division.max_per_member.filter(|_| general), |own| own.max);
    let full = general && division.kind == DivisionKind::Duplicated;
    let min = if full { 1 } else { min.unwrap_or(1).max(1) };
    (min, max.unwrap_or(i64::MAX).max(0))
}

fn part<'a>(
    fleet: &Fleet<'a>,
    classes: &Classes<'a>,
    request: &'a Request,
    component: &'a Component,
    class: usize,
) -> Part<'a> {
    let mut previous = BTreeMap::new();
    for assignment in request
        .previous
        .iter()
        .filter(|before| before.component == component.name)
    {
        if let Some(site) = fleet.site(&assignment.member) {
            previous.insert(site, assignment.replicas.max(0));
        }
    }
    let mut held: BTreeMap<usize, Vec<&HeldEntry>> = BTreeMap::new();
    let entries = fleet
        .snapshot
        .held
        .get(&request.key)
        .into_iter()
        .flat_map(|held| &held.entries);
    for entry in entries.filter(|entry| entry.component == component.name) {
        if let Some(site) = fleet.site(&entry.member) {
            held.entry(site).or_default().push(entry);
        }
    }
    let each = classes
        .get(class)
        .map(|class| class.each.clone())
        .unwrap_or_default();
    let every = component.division == Division::EveryMatchingNode;
    Part {
        component,
        class,
        each,
        charged: charged(&component.per_replica),
        wanted: if every { 0 } else { component.replicas.max(0) },
        choices: Vec::with_capacity(fleet.sites.len()),
        previous,
        held,
    }
}

/// What is charged to quota: every resource but `pods`.
pub(crate) fn charged(per_replica: &Resources) -> Vec<(&str, i64)> {
    per_replica
        .iter()
        .filter(|(name, amount)| *name != PODS && *amount > 0)
        .collect()
}

/// Whether a replica of now takes no more of anything than one that is held.
pub(crate) fn no_larger(each: &Each, held: &Each) -> bool {
    each.iter()
        .all(|(resource, amount)| *amount <= amount_of(held, *resource))
}
