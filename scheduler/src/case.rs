//! One request against the fleet: who may take what, judged once and used by every attempt.

mod seat;
mod seats;

use std::collections::BTreeMap;

use crate::capacity::{Each, amount_of};
use crate::config::{Config, ScoreWeights};
use crate::fleet::Fleet;
use crate::fleet::class::{Class, Classes};
use crate::fleet::policy::{self, Policies};
use crate::fleet::topology::Topologies;
use crate::neighbours::{Around, Neighbours};
use crate::request::{Component, Division, DivisionKind, Request};
use crate::resources::{PODS, Resources};
use crate::rules::Rules;
use crate::score::{self, Rated};
use crate::snapshot::HeldEntry;
use crate::verdict::Refusal;
use seat::View;
pub(crate) use seats::{Seat, Seats};

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
    /// The bounds on every member; `None`: some have their own.
    everywhere: Option<(i64, i64)>,
    /// The choices of all seats, one seat after the other, the preferred first.
    choices: Vec<Choice>,
    /// Where the choices of each seat end.
    ends: Vec<usize>,
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

    /// The choices on a seat.
    pub(crate) fn on_seat(&self, seat: usize) -> &[Choice] {
        let first = seat.checked_sub(1).and_then(|before| self.ends.get(before));
        let (first, end) = (first.copied().unwrap_or(0), self.ends.get(seat));
        end.and_then(|end| self.choices.get(first..*end))
            .unwrap_or_default()
    }

    /// The fewest replicas on a member if any, and the most.
    fn bounds<'n>(&self, request: &Request, member: impl FnOnce() -> &'n str) -> (i64, i64) {
        self.everywhere
            .unwrap_or_else(|| bounds(request, self.component, member))
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
    pub(crate) fleet: &'a Fleet,
    /// The classes of its components.
    pub(crate) classes: &'c Classes,
    /// What members have at the keys over which it spreads.
    pub(crate) topologies: &'c Topologies,
    /// The request.
    pub(crate) request: &'a Request,
    /// Its rules.
    pub(crate) rules: Rules<'a>,
    /// The weights of its scores.
    pub(crate) weights: ScoreWeights,
    /// Every member where the rules do not forbid the work, by name.
    pub(crate) seats: Seats,
    /// Every component.
    pub(crate) parts: Vec<Part<'a>>,
    /// Where other workloads of its tenant are.
    pub(crate) around: Around<'a>,
    /// Sites that are not expelled, the best first.
    pub(crate) order: Vec<usize>,
    buffers: &'c mut Buffers,
}

/// What is remembered between the decisions of a batch.
#[derive(Default)]
pub(crate) struct Memory {
    /// What was judged of components.
    pub(crate) classes: Classes,
    /// What was judged by rules.
    pub(crate) policies: Policies,
    /// What members have at topology keys.
    pub(crate) topologies: Topologies,
    /// Memory that decisions use one after the other.
    buffers: Buffers,
}

/// Memory that a case gives back when it is done: what a decision writes down of every member is
/// large enough to be dear where it is asked of the system each time.
#[derive(Default)]
struct Buffers {
    choices: Vec<Vec<Choice>>,
    ends: Vec<Vec<usize>>,
    seats: Vec<Seat>,
    seat_of: Vec<u32>,
    rated: Rated,
}

impl Drop for Case<'_, '_> {
    fn drop(&mut self) {
        for part in &mut self.parts {
            self.buffers.choices.push(std::mem::take(&mut part.choices));
            self.buffers.ends.push(std::mem::take(&mut part.ends));
        }
        self.buffers.seats = std::mem::take(&mut self.seats.all);
        self.buffers.seat_of = std::mem::take(&mut self.seats.seat_of);
    }
}

impl<'c, 'a> Case<'c, 'a> {
    /// Judges every member for a request.
    pub(crate) fn new(
        fleet: &'a Fleet,
        memory: &'c mut Memory,
        request: &'a Request,
        config: &Config,
        neighbours: &Neighbours<'a>,
    ) -> Self {
        let rules = Rules::new(fleet, request, config.tolerated_not_ready_seconds);
        let Memory {
            classes,
            policies,
            topologies,
            buffers,
        } = memory;
        let spread = request.placement.spread.iter();
        let spread = spread.map(|over| &over.topology_key);
        let between = request.placement.components.iter();
        topologies.look(fleet, spread.chain(between.map(|rule| &rule.topology_key)));
        let policy = policies.of(fleet, request, &rules);
        let ids = classes.of(fleet, request);
        let classes = &*classes;
        let mut parts: Vec<Part<'a>> = request
            .components
            .iter()
            .zip(ids)
            .map(|(component, class)| part(fleet, classes, request, component, class))
            .collect();
        let all = std::mem::take(&mut buffers.seats);
        let seat_of = std::mem::take(&mut buffers.seat_of);
        let mut seats = Seats::new(policy, fleet.sites.len(), (all, seat_of));
        let around = Around::new(fleet, request, neighbours);
        seats.judge_around(fleet, &around);
        seats.mark_all(fleet, request, &parts);
        for part in &mut parts {
            part.choices = buffers.choices.pop().unwrap_or_default();
            part.ends = buffers.ends.pop().unwrap_or_default();
            seat::choose(fleet, classes, &rules, &mut seats.all, part);
        }
        // Most have room for something: the others are looked at again.
        let others = seats.all.iter_mut().enumerate();
        for (index, seat) in others.filter(|(_, seat)| !seat.finds_nodes) {
            let view = View {
                fleet,
                classes,
                rules: &rules,
                parts: &parts,
                site: seat.site,
                seat: Some(index),
                barred: seat.barred(),
            };
            seat::judge_nodes(&view, &mut seat.codes);
        }
        let weights = request.placement.weights.unwrap_or(config.weights);
        let all = &mut seats.all;
        score::rate(
            fleet,
            classes,
            &rules,
            &parts,
            weights,
            all,
            &mut buffers.rated,
        );
        let order = score::order(&seats.all);
        Self {
            fleet,
            classes,
            topologies,
            request,
            rules,
            weights,
            seats,
            parts,
            around,
            order,
            buffers,
        }
    }

    /// A site's seat, unless its rules forbid the work there.
    pub(crate) fn seat(&self, site: usize) -> Option<&Seat> {
        self.seats.all.get(self.seats.number(site)?)
    }

    /// The choices of a component on a site.
    pub(crate) fn choices<'p>(&self, part: &'p Part<'_>, site: usize) -> &'p [Choice] {
        self.seats
            .number(site)
            .map(|seat| part.on_seat(seat))
            .unwrap_or_default()
    }

    /// Everything that refuses a site, as it is told.
    pub(crate) fn refusals(&self, site: usize) -> Vec<Refusal> {
        let mut found = Vec::new();
        let Some(of) = self.fleet.sites.get(site) else {
            return found;
        };
        policy::judge(of, &self.rules, &mut found);
        self.around.judge(of, &mut found);
        let view = View {
            fleet: self.fleet,
            classes: self.classes,
            rules: &self.rules,
            parts: &self.parts,
            site,
            seat: self.seats.number(site),
            barred: !found.is_empty(),
        };
        seat::judge_nodes(&view, &mut found);
        // Most members have one; a batch of verdicts has very many members.
        found.shrink_to_fit();
        found
    }

    /// The bounds of a component on a site: the fewest if any, and the most.
    pub(crate) fn bounds(&self, part: &Part<'a>, site: usize) -> (i64, i64) {
        part.bounds(self.request, || self.fleet.name(site))
    }

    /// The most replicas of a component on a site, the others not counted.
    pub(crate) fn most(&self, part: &Part<'a>, site: usize) -> i64 {
        let choices = self.choices(part, site).iter();
        let most = choices.map(Choice::most).max().unwrap_or(0);
        most.min(self.bounds(part, site).1)
    }

    /// A component's class.
    pub(crate) fn class(&self, part: &Part<'a>) -> Option<&'c Class> {
        self.classes.get(part.class)
    }

    /// Whether a site has anything of this workload.
    pub(crate) fn has_any(&self, site: usize) -> bool {
        self.seat(site).is_some_and(|seat| seat.has_any)
    }

    /// Puts those sites first that keep more of the soft rules for other workloads, or have something
    /// of this one already. The sites that keep all, which are tried alone; `None`: all do, or none.
    pub(crate) fn wished(&self, sites: &mut [usize]) -> Option<Vec<usize>> {
        if !self.around.wishes() {
            return None;
        }
        let unwished = |site: &usize| match self.fleet.sites.get(*site) {
            Some(of) if !self.has_any(*site) => self.around.unwished(of),
            _ => 0,
        };
        sites.sort_by_cached_key(unwished);
        let kept = sites.iter().take_while(|site| unwished(site) == 0);
        let kept: Vec<usize> = kept.copied().collect();
        (!kept.is_empty() && kept.len() < sites.len()).then_some(kept)
    }

    /// The sites that have something of this workload and on which rules do not forbid it.
    pub(crate) fn previous_sites(&self) -> Vec<usize> {
        let there = self
            .seats
            .iter()
            .filter(|seat| seat.has_any && !seat.expelled());
        there.map(|seat| seat.site).collect()
    }

    /// Whether the committed decision carries the objects to a site.
    pub(crate) fn carried(&self, site: usize) -> bool {
        let name = self.fleet.name(site);
        self.request
            .previous_carried
            .iter()
            .any(|carried| carried == name)
    }
}

/// The bounds of a component on a member: the fewest if any, and the most.
fn bounds<'n>(
    request: &Request,
    component: &Component,
    member: impl FnOnce() -> &'n str,
) -> (i64, i64) {
    let division = &request.placement.division;
    let bounded = !component.bounds.is_empty();
    let own = bounded.then(|| component.bounds.get(member())).flatten();
    let general = component.division == Division::Divided;
    let min = own.map_or(division.min_per_member.filter(|_| general), |own| own.min);
    let max = own.map_or(division.max_per_member.filter(|_| general), |own| own.max);
    let full = general && division.kind == DivisionKind::Duplicated;
    let min = if full { 1 } else { min.unwrap_or(1).max(1) };
    (min, max.unwrap_or(i64::MAX).max(0))
}

fn part<'a>(
    fleet: &'a Fleet,
    classes: &Classes,
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
        everywhere: component
            .bounds
            .is_empty()
            .then(|| bounds(request, component, || "")),
        choices: Vec::new(),
        ends: Vec::new(),
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
