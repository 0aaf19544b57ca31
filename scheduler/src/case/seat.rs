//! One member for one request: rules first, then its nodes.

use std::collections::BTreeSet;

use super::{Choice, Part, Seat, no_larger};
use crate::capacity::amount_of;
use crate::filter::Sink;
use crate::fleet::class::{ARCH, Class, Classes, Judgement};
use crate::fleet::{Fleet, Site};
use crate::request::Division;
use crate::rules::Rules;
use crate::verdict::{Authority, Code, Reason};

/// A member whose nodes are judged.
pub(super) struct View<'v, 'a> {
    pub(super) fleet: &'v Fleet,
    pub(super) classes: &'v Classes,
    pub(super) rules: &'v Rules<'a>,
    pub(super) parts: &'v [Part<'a>],
    /// The member.
    pub(super) site: usize,
    /// The number of its seat, unless its rules forbid the work.
    pub(super) seat: Option<usize>,
    /// Something else keeps new work away.
    pub(super) barred: bool,
}

/// Finds what a component may use on each seat: the flavor it has there first, then by preference.
/// Marks the seats on which that is of use.
pub(super) fn choose(
    fleet: &Fleet,
    classes: &Classes,
    rules: &Rules<'_>,
    seats: &mut [Seat],
    part: &mut Part<'_>,
) {
    let mut choices = std::mem::take(&mut part.choices);
    let mut ends = std::mem::take(&mut part.ends);
    choices.clear();
    ends.clear();
    let class = classes.get(part.class);
    let judged = part.component.runs_pods() && !part.on_every_node();
    for seat in seats {
        let first = choices.len();
        let known = class.is_some_and(|class| class.is_reported(fleet, seat.site));
        let lined = !fleet.lines(seat.site).is_empty();
        let prev = part.prev(seat.site);
        for flavor in &rules.flavors {
            let lot = fleet.lot_of(seat.site, *flavor);
            let credit = credit(fleet, classes, part, seat.site, *flavor, lot);
            let room = match lot {
                Some(lot) if known && (!seat.barred() || prev > 0) => {
                    class.map_or(0, |class| class.room(fleet, lot))
                }
                _ => 0,
            };
            let room = if lined && room > 0 {
                room.min(fleet.below_lines(seat.site, &part.each, |_| 0))
            } else {
                room
            };
            let room = match (seat.barred(), credit) {
                (false, _) => room,
                // Larger replicas than before: as many as there were, if they fit.
                (true, 0) => room.min(prev),
                (true, _) => 0,
            };
            if credit > 0 || room > 0 {
                choices.push(Choice {
                    flavor: *flavor,
                    lot,
                    credit,
                    room,
                });
            }
        }
        if let Some(here) = choices.get_mut(first..).filter(|_| !part.held.is_empty()) {
            here.sort_by_key(|choice| choice.credit == 0);
        }
        if judged && !seat.barred() {
            let most = choices.iter().skip(first).map(Choice::most).max();
            let (enough, hi) = useful(rules, part, || fleet.name(seat.site));
            seat.finds_nodes |= most.unwrap_or(0).min(hi) >= enough;
        }
        ends.push(choices.len());
    }
    part.choices = choices;
    part.ends = ends;
}

/// Replicas that are held in a flavor and may stay: they are no smaller than what is wanted now,
/// and the nodes that are seen do not contradict it.
fn credit(
    fleet: &Fleet,
    classes: &Classes,
    part: &Part<'_>,
    site: usize,
    flavor: usize,
    lot: Option<usize>,
) -> i64 {
    if part.held.is_empty() {
        return 0;
    }
    let name = fleet.flavor_name(flavor);
    let Some(entry) = part.held_in(site, name) else {
        return 0;
    };
    let shown = lot
        .and_then(|lot| fleet.lots.get(lot))
        .is_some_and(|lot| !lot.nodes.is_empty());
    let class = classes.get(part.class);
    let matching = match (class, lot) {
        (Some(class), Some(lot)) => class.nodes(fleet, lot).next().is_some(),
        _ => false,
    };
    let fits = no_larger(&part.each, &fleet.each(&entry.per_replica));
    if fits && (matching || !shown) {
        entry.replicas.max(0)
    } else {
        0
    }
}

/// Refuses a member on which no component finds nodes, with the reason for each component.
pub(super) fn judge_nodes<S: Sink>(view: &View<'_, '_>, sink: &mut S) {
    if view.fleet.key_set(view.site).is_none() {
        // Without a sketch nothing is known of its nodes.
        return;
    }
    let needing = || {
        let parts = view.parts.iter();
        parts.filter(|part| part.component.runs_pods())
    };
    let finds = |part: &Part<'_>| {
        let (enough, hi) = view.useful(part);
        view.fits(part).min(hi) >= enough
    };
    if needing().any(finds) {
        return;
    }
    let Some(site) = view.fleet.sites.get(view.site) else {
        return;
    };
    let mut told = BTreeSet::new();
    for part in needing() {
        let code = view.code(part);
        let once = matches!(code, Code::FlavorMissing | Code::SketchLabel);
        if !once || told.insert(code) {
            sink.refuse(code, || view.reason(site, part, code));
        }
    }
}

/// The fewest replicas that are of use on a member, and the most it may have.
fn useful<'n>(rules: &Rules<'_>, part: &Part<'_>, member: impl FnOnce() -> &'n str) -> (i64, i64) {
    let (lo, hi) = part.bounds(rules.request, member);
    let enough = if part.on_every_node() {
        1
    } else {
        least(part, lo)
    };
    (enough, hi)
}

/// The fewest replicas that are of use on one member.
fn least(part: &Part<'_>, lo: i64) -> i64 {
    match part.component.division {
        Division::OneMember => part.wanted.max(1),
        Division::Divided | Division::EveryMatchingNode => lo,
    }
}

impl View<'_, '_> {
    /// The fewest replicas that are of use on the member, and the most it may have.
    fn useful(&self, part: &Part<'_>) -> (i64, i64) {
        useful(self.rules, part, || self.fleet.name(self.site))
    }

    /// How many replicas a member could have; of a member that is refused by other rules, as if it
    /// were not.
    fn fits(&self, part: &Part<'_>) -> i64 {
        let choices = self.seat.map(|seat| part.on_seat(seat)).unwrap_or_default();
        let held = choices.iter().map(Choice::most).max().unwrap_or(0);
        if !self.barred && !part.on_every_node() {
            return held;
        }
        let class = self.class(part);
        let Some(class) = class.filter(|class| class.is_reported(self.fleet, self.site)) else {
            return held;
        };
        let below = self.fleet.below_lines(self.site, &class.each, |_| 0);
        self.on_nodes(class).min(below).max(held)
    }

    /// How many more replicas find nodes, whatever the red lines.
    fn on_nodes(&self, class: &Class) -> i64 {
        let rooms = self.lots().map(|lot| class.room(self.fleet, lot));
        rooms.max().unwrap_or(0)
    }

    fn class(&self, part: &Part<'_>) -> Option<&Class> {
        self.classes.get(part.class)
    }

    /// The lots of flavors that are allowed.
    fn lots(&self) -> impl Iterator<Item = usize> {
        let flavors = self.rules.flavors.iter();
        flavors.filter_map(|flavor| self.fleet.lot_of(self.site, *flavor))
    }

    /// The kinds of nodes in those lots, as the component's class judges them.
    fn judged(&self, class: &Class) -> impl Iterator<Item = Judgement> {
        let lots = self.lots().filter_map(|lot| self.fleet.lots.get(lot));
        lots.flat_map(|lot| &lot.nodes)
            .map(|(profile, _)| class.judged(*profile))
    }

    /// What it is that keeps a component from finding nodes.
    fn code(&self, part: &Part<'_>) -> Code {
        let Some(class) = self.class(part) else {
            return Code::NoNodeMatches;
        };
        if !class.is_reported(self.fleet, self.site) {
            return Code::SketchLabel;
        }
        if self.lots().next().is_none() {
            return Code::FlavorMissing;
        }
        if self
            .judged(class)
            .all(|judged| judged == Judgement::Architecture)
        {
            return Code::Architecture;
        }
        if !self.judged(class).any(|judged| judged == Judgement::Takes) {
            return Code::NoNodeMatches;
        }
        if self.is_kept_by_lines(part, class) {
            return Code::Utilization;
        }
        let divided = part.component.division == Division::Divided;
        if divided && self.fits(part) > 0 {
            Code::BelowMinimum
        } else {
            Code::Capacity
        }
    }

    /// Whether nodes have the room that a red line does not give.
    fn is_kept_by_lines(&self, part: &Part<'_>, class: &Class) -> bool {
        if self.fleet.lines(self.site).is_empty() {
            return false;
        }
        let (enough, hi) = self.useful(part);
        let below = self.fleet.below_lines(self.site, &class.each, |_| 0);
        below < enough && self.on_nodes(class).min(hi) >= enough
    }

    /// The same with its numbers, and who may decide.
    fn reason(&self, site: &Site, part: &Part<'_>, code: Code) -> (Reason, Option<Authority>) {
        let component = part.component.name.clone();
        let class = self.class(part);
        let reason = match (code, class) {
            (Code::SketchLabel, Some(class)) => {
                let sketch = site.member.sketch.as_ref();
                let mut keys = class.keys.iter();
                let missing = keys.find(|key| sketch.is_none_or(|of| !of.keys.contains(*key)));
                let key = missing.cloned().unwrap_or_default();
                Reason::SketchLabel { component, key }
            }
            (Code::FlavorMissing, _) => return self.flavor_missing(),
            (Code::Architecture, Some(class)) => Reason::Architecture {
                component,
                needs: class.architectures.clone().unwrap_or_default(),
                has: self.architectures(),
            },
            (Code::BelowMinimum, _) => {
                let (min, hi) = part.bounds(self.rules.request, || &*site.name);
                let fits = self.fits(part).min(hi);
                Reason::BelowMinimum {
                    component,
                    fits,
                    min,
                }
            }
            (Code::Capacity, Some(class)) => self.no_room(site, part, class),
            (Code::Utilization, Some(class)) => {
                let decided_by = Some(Authority::PlatformAdministrators);
                return (self.at_the_line(site, part, class), decided_by);
            }
            _ => Reason::NoNodeMatches { component },
        };
        (reason, None)
    }

    fn flavor_missing(&self) -> (Reason, Option<Authority>) {
        let fleet = self.fleet;
        let name = |flavor: usize| fleet.flavor_name(flavor).to_owned();
        let has: BTreeSet<String> = fleet.flavors_on(self.site).map(name).collect();
        let allowed = self.rules.flavors.iter();
        let allowed = allowed.map(|flavor| name(*flavor)).collect();
        let reason = Reason::FlavorMissing { allowed, has };
        (reason, self.rules.flavor_authority.clone())
    }

    fn architectures(&self) -> BTreeSet<String> {
        let lots = self.lots().filter_map(|lot| self.fleet.lots.get(lot));
        let nodes = lots.flat_map(|lot| &lot.nodes);
        let profiles = nodes.filter_map(|(profile, _)| self.fleet.profiles.get(*profile));
        profiles
            .filter_map(|profile| profile.labels.get(ARCH).cloned())
            .collect()
    }

    /// The red line that leaves least.
    fn at_the_line(&self, site: &Site, part: &Part<'_>, class: &Class) -> Reason {
        let (lo, _) = part.bounds(self.rules.request, || &*site.name);
        let tightest = self.fleet.tightest_line(self.site, &class.each);
        let (resource, left) = tightest.map_or(("", 0), |(name, left)| (name, left.amount));
        let line = site.member.red_lines.get(resource).copied();
        let line = line.unwrap_or_default();
        Reason::Utilization {
            component: part.component.name.clone(),
            resource: resource.to_owned(),
            percent: line.percent,
            allocatable: line.allocatable,
            requested: line.limit().saturating_sub(left),
            needed: tightest.map_or(0, |(_, left)| amount_of(&class.each, left.resource)),
            wanted: least(part, lo),
        }
    }

    /// The shortage, told by the node that comes nearest to holding a replica.
    fn no_room(&self, site: &Site, part: &Part<'_>, class: &Class) -> Reason {
        let (lo, _) = part.bounds(self.rules.request, || &*site.name);
        let short = |lot: usize| {
            class.nodes(self.fleet, lot).map(|nodes| {
                let shares = class.each.iter().map(|(resource, needed)| {
                    let free = nodes.free.get(*resource).copied().unwrap_or(0);
                    let share = i128::from(free) * 1_000_000 / i128::from((*needed).max(1));
                    (share, *resource, *needed, free)
                });
                shares.min().unwrap_or((0, 0, 0, 0))
            })
        };
        let best = self.lots().flat_map(short).max().unwrap_or((0, 0, 0, 0));
        let (_, resource, needed, best_free) = best;
        Reason::Capacity {
            component: part.component.name.clone(),
            resource: resource_name(self.fleet, part, resource),
            needed,
            best_free,
            fits: self.fits(part),
            wanted: least(part, lo),
        }
    }
}

/// The name of a resource; one that no node has is told by the component's own names.
fn resource_name(fleet: &Fleet, part: &Part<'_>, id: usize) -> String {
    let name = fleet.resource_name(id);
    if !name.is_empty() {
        return name.to_owned();
    }
    let requested = part.component.per_replica.iter();
    let mut unknown = requested.filter(|(name, amount)| {
        *amount > 0 && amount_of(&fleet.each(&[(*name, 1)].into_iter().collect()), id) > 0
    });
    unknown
        .next()
        .map_or_else(String::new, |(name, _)| name.to_owned())
}
