//! One member for one request: rules first, then its nodes.

use std::collections::BTreeSet;

use super::{Choice, Part, Seat, bounds, no_larger};
use crate::capacity::amount_of;
use crate::filter::{refusal, refusals};
use crate::fleet::class::{ARCH, Class, Classes, Judgement};
use crate::fleet::{Fleet, Site};
use crate::request::{Division, DivisionKind, WhenUnsatisfiable};
use crate::rules::{Rules, selects, topology};
use crate::verdict::{Filter, Reason, Refusal};

/// Judges a member by everything but its nodes.
pub(super) fn seat(site: &Site<'_>, rules: &Rules<'_>, parts: &[Part<'_>]) -> Seat {
    let mut refusals = refusals(site, rules);
    division(site, rules, parts, &mut refusals);
    if site.member.sketch.is_none() && !parts.is_empty() {
        refusals.push(refusal(Filter::Capacity, Reason::NoSketch, None));
    }
    let terms = &rules.request.placement.affinity;
    let mut tiers = u64::from(terms.is_empty());
    for (index, term) in terms.iter().enumerate().take(64) {
        if selects(term, site) {
            tiers |= 1_u64 << index;
        }
    }
    let expelled = refusals.iter().any(|refusal| !refusal.keeps);
    Seat {
        barred: !refusals.is_empty(),
        expelled,
        refusals,
        tiers,
        scores: None,
    }
}

fn division(site: &Site<'_>, rules: &Rules<'_>, parts: &[Part<'_>], found: &mut Vec<Refusal>) {
    let placement = &rules.request.placement;
    let weights = &placement.division.weights;
    let weighted = placement.division.kind == DivisionKind::Weighted && !weights.is_empty();
    if weighted && weights.get(site.name).is_none_or(|weight| *weight == 0) {
        found.push(refusal(Filter::Division, Reason::NoWeight, None));
    }
    if !parts
        .iter()
        .any(|part| part.component.division == Division::Divided)
    {
        return;
    }
    let hard = |when| when == WhenUnsatisfiable::DoNotSchedule;
    for spread in placement
        .spread
        .iter()
        .filter(|spread| hard(spread.when_unsatisfiable))
    {
        if topology(site, &spread.topology_key).is_none() {
            let reason = Reason::NoTopology {
                key: spread.topology_key.clone(),
            };
            found.push(refusal(Filter::Topology, reason, None));
        }
    }
}

/// What a component may use on a member: the flavor it has there first, then by preference.
pub(super) fn choices(
    fleet: &Fleet<'_>,
    classes: &mut Classes<'_>,
    rules: &Rules<'_>,
    part: &Part<'_>,
    index: usize,
    barred: bool,
) -> Vec<Choice> {
    let Some(site) = fleet.sites.get(index) else {
        return Vec::new();
    };
    let known = classes
        .get(part.class)
        .is_some_and(|class| reported(site, class));
    let prev = part.prev(index);
    let mut choices = Vec::new();
    for flavor in &rules.flavors {
        let lot = fleet.lot_of(index, *flavor);
        let credit = credit(fleet, classes, part, index, *flavor, lot);
        let room = match lot {
            Some(lot) if known && (!barred || prev > 0) => classes.room(fleet, part.class, lot),
            _ => 0,
        };
        let room = match (barred, credit) {
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
    choices.sort_by_key(|choice| choice.credit == 0);
    choices
}

/// Replicas that are held in a flavor and may stay: they are no smaller than what is wanted now,
/// and the nodes that are seen do not contradict it.
fn credit(
    fleet: &Fleet<'_>,
    classes: &Classes<'_>,
    part: &Part<'_>,
    site: usize,
    flavor: usize,
    lot: Option<usize>,
) -> i64 {
    let name = fleet.flavors.get(flavor).copied().unwrap_or("");
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

/// Whether the sketch tells nodes apart by every label that the class names.
fn reported(site: &Site<'_>, class: &Class) -> bool {
    let sketch = site.member.sketch.as_ref();
    sketch.is_some_and(|sketch| class.keys.iter().all(|key| sketch.keys.contains(key)))
}

/// Refuses a member on which no component finds nodes, with the reason for each component.
pub(super) fn judge_nodes(
    fleet: &Fleet<'_>,
    classes: &mut Classes<'_>,
    rules: &Rules<'_>,
    parts: &[Part<'_>],
    index: usize,
    seat: &mut Seat,
) {
    let Some(site) = fleet.sites.get(index) else {
        return;
    };
    if site.member.sketch.is_none() {
        return;
    }
    let needing = parts
        .iter()
        .filter(|part| part.wanted > 0 || part.on_every_node());
    let mut found: Vec<Refusal> = Vec::new();
    for part in needing {
        let fits = fits(fleet, classes, rules, part, index, seat.barred);
        let (lo, hi) = bounds(rules.request, part.component, site.name);
        let enough = if part.on_every_node() {
            1
        } else {
            least(part, lo)
        };
        if fits.min(hi) >= enough {
            return;
        }
        let reason = node_reason(fleet, classes, rules, part, index, fits);
        if !found
            .iter()
            .any(|known| same_kind(&known.reason, &reason.reason))
        {
            found.push(reason);
        }
    }
    seat.barred |= !found.is_empty();
    seat.refusals.append(&mut found);
    seat.expelled = seat.refusals.iter().any(|refusal| !refusal.keeps);
}

/// How many replicas a member could have; of a member that is refused by other rules, as if it
/// were not.
fn fits(
    fleet: &Fleet<'_>,
    classes: &mut Classes<'_>,
    rules: &Rules<'_>,
    part: &Part<'_>,
    index: usize,
    barred: bool,
) -> i64 {
    let held = part
        .choices(index)
        .iter()
        .map(Choice::most)
        .max()
        .unwrap_or(0);
    if !barred && !part.on_every_node() {
        return held;
    }
    let mut most = held;
    let reported = match (fleet.sites.get(index), classes.get(part.class)) {
        (Some(site), Some(class)) => reported(site, class),
        _ => false,
    };
    for lot in rules
        .flavors
        .iter()
        .filter_map(|flavor| fleet.lot_of(index, *flavor))
    {
        if reported {
            most = most.max(classes.room(fleet, part.class, lot));
        }
    }
    most
}

fn same_kind(left: &Reason, right: &Reason) -> bool {
    left.code() == right.code()
        && matches!(
            left,
            Reason::FlavorMissing { .. } | Reason::SketchLabel { .. }
        )
}

/// The fewest replicas that are of use on one member.
fn least(part: &Part<'_>, lo: i64) -> i64 {
    match part.component.division {
        Division::OneMember => part.wanted.max(1),
        Division::Divided | Division::EveryMatchingNode => lo,
    }
}

/// Why a component finds no nodes on a member, of which `fits` replicas fit.
fn node_reason(
    fleet: &Fleet<'_>,
    classes: &Classes<'_>,
    rules: &Rules<'_>,
    part: &Part<'_>,
    index: usize,
    fits: i64,
) -> Refusal {
    let component = part.component.name.clone();
    let (Some(site), Some(class)) = (fleet.sites.get(index), classes.get(part.class)) else {
        return refusal(Filter::Nodes, Reason::NoNodeMatches { component }, None);
    };
    let sketch = site.member.sketch.as_ref();
    let missing = class
        .keys
        .iter()
        .find(|key| sketch.is_none_or(|sketch| !sketch.keys.contains(*key)));
    if let Some(key) = missing {
        let reason = Reason::SketchLabel {
            component,
            key: key.clone(),
        };
        return refusal(Filter::Nodes, reason, None);
    }
    let lots: Vec<usize> = rules
        .flavors
        .iter()
        .filter_map(|flavor| fleet.lot_of(index, *flavor))
        .collect();
    if lots.is_empty() {
        return flavor_missing(fleet, rules, site);
    }
    let profiles = lots
        .iter()
        .filter_map(|lot| fleet.lots.get(*lot))
        .flat_map(|lot| &lot.nodes);
    let judged: Vec<Judgement> = profiles
        .map(|(profile, _)| class.judged(*profile))
        .collect();
    if judged
        .iter()
        .all(|judged| *judged == Judgement::Architecture)
    {
        let has = architectures(fleet, &lots);
        let needs = class.architectures.clone().unwrap_or_default();
        let reason = Reason::Architecture {
            component,
            needs,
            has,
        };
        return refusal(Filter::Architecture, reason, None);
    }
    if !judged.contains(&Judgement::Takes) {
        return refusal(Filter::Nodes, Reason::NoNodeMatches { component }, None);
    }
    no_room(fleet, class, rules, part, site, &lots, fits)
}

fn flavor_missing(fleet: &Fleet<'_>, rules: &Rules<'_>, site: &Site<'_>) -> Refusal {
    let name = |flavor: &usize| fleet.flavors.get(*flavor).map(|name| (*name).to_owned());
    let lots = site.lots.clone().filter_map(|lot| fleet.lots.get(lot));
    let has: BTreeSet<String> = lots.filter_map(|lot| name(&lot.flavor)).collect();
    let allowed = rules.flavors.iter().filter_map(name).collect();
    let reason = Reason::FlavorMissing { allowed, has };
    refusal(Filter::Flavors, reason, rules.flavor_authority.clone())
}

fn architectures(fleet: &Fleet<'_>, lots: &[usize]) -> BTreeSet<String> {
    let nodes = lots
        .iter()
        .filter_map(|lot| fleet.lots.get(*lot))
        .flat_map(|lot| &lot.nodes);
    let profiles = nodes.filter_map(|(profile, _)| fleet.profiles.get(*profile));
    profiles
        .filter_map(|profile| profile.labels.get(ARCH).cloned())
        .collect()
}

/// The shortage, told by the node that comes nearest to holding a replica.
fn no_room(
    fleet: &Fleet<'_>,
    class: &Class,
    rules: &Rules<'_>,
    part: &Part<'_>,
    site: &Site<'_>,
    lots: &[usize],
    fits: i64,
) -> Refusal {
    let component = part.component.name.clone();
    let (lo, hi) = bounds(rules.request, part.component, site.name);
    let divided = part.component.division == Division::Divided;
    if divided && fits > 0 {
        let reason = Reason::BelowMinimum {
            component,
            fits: fits.min(hi),
            min: lo,
        };
        return refusal(Filter::Division, reason, None);
    }
    let short = |lot: &usize| {
        class.nodes(fleet, *lot).map(|nodes| {
            let shares = class.each.iter().map(|(resource, needed)| {
                let free = nodes.free.get(*resource).copied().unwrap_or(0);
                let share = i128::from(free) * 1_000_000 / i128::from((*needed).max(1));
                (share, *resource, *needed, free)
            });
            shares.min().unwrap_or((0, 0, 0, 0))
        })
    };
    let best = lots.iter().flat_map(short).max().unwrap_or((0, 0, 0, 0));
    let (_, resource, needed, best_free) = best;
    let resource = resource_name(fleet, part, resource);
    let wanted = least(part, lo);
    let reason = Reason::Capacity {
        component,
        resource,
        needed,
        best_free,
        fits,
        wanted,
    };
    refusal(Filter::Capacity, reason, None)
}

/// The name of a resource; one that no node has is told by the component's own names.
fn resource_name(fleet: &Fleet<'_>, part: &Part<'_>, id: usize) -> String {
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
