//! One attempt to place a whole workload on some of the members: all of it or nothing.

mod apart;
mod copies;
mod divided;
mod every_node;
mod purse;
mod single;

use std::collections::{BTreeMap, BTreeSet};

use crate::capacity::{Flying, amount_of, room};
use crate::case::{Case, Choice, Part};
use crate::divide::Rule;
use crate::quota::{Amounts, Key, Shortfall};
use crate::request::{Division, DivisionKind};
use crate::spread::Spread;

pub(crate) use purse::Purse;

/// The most members that are left out because a component for every node does not fit there.
const MAX_BANS: usize = 64;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No member is left to choose from.
    NoMember,
    /// A component has too little room.
    Capacity {
        component: String,
        needed: i64,
        fits: i64,
    },
    /// A component cannot be divided within its bounds.
    Division {
        component: String,
        replicas: i64,
        members: i64,
    },
    /// A component cannot be spread.
    Spread {
        key: String,
        within: Option<String>,
        component: String,
        groups: i64,
        replicas: i64,
    },
    /// Components cannot stand together or apart.
    Components { groups: i64 },
    /// The quota does not cover it.
    Quota(Shortfall),
    /// The budget per flavor of an attempt within quota does not cover a component.
    Budget,
    /// A component holds data on a member that may not have it any more.
    Pinned { component: String, member: String },
}

/// Replicas of a component on a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// The flavor.
    pub(crate) flavor: usize,
    /// The lot, if nodes of the flavor are seen.
    pub(crate) lot: Option<usize>,
    /// Replicas.
    pub(crate) replicas: i64,
    /// Of these, replicas that are new there.
    pub(crate) new: i64,
}

/// What an attempt has found: picks by (component, site), and sites for what is carried along.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// By component and site.
    pub(crate) picks: BTreeMap<(usize, usize), Pick>,
    /// Sites of a workload without components.
    pub(crate) carried: BTreeSet<usize>,
}

/// A spread constraint over the members of the fleet.
#[derive(Clone)]
pub(crate) struct Bound {
    /// Its topology key.
    pub(crate) key: String,
    /// What it asks; a slot is a member.
    pub(crate) spread: Spread,
}

/// The affinity term of each site, where members of several are used: earlier ones are filled
/// first.
pub(crate) type Ranks = BTreeMap<usize, u32>;

/// What an attempt may use.
pub(crate) struct Terms<'t> {
    /// Sites, the best first.
    pub(crate) sites: &'t [usize],
    /// Their terms, when there are several.
    pub(crate) ranks: Option<&'t Ranks>,
    /// Spread constraints, an outer one before what is within it.
    pub(crate) spreads: &'t [Bound],
    /// The group of each member of the fleet, where no two components may share one.
    pub(crate) apart: Option<&'t [Option<usize>]>,
    /// The workload leaves what it has elsewhere.
    pub(crate) returns: bool,
    /// What quota leaves; `None`: quota is looked at afterwards.
    pub(crate) purse: Option<Purse<'t>>,
}

/// An attempt under way.
#[derive(Clone)]
pub(super) struct Attempt<'t, 'c, 'a> {
    case: &'t Case<'c, 'a>,
    ranks: Option<&'t Ranks>,
    plan: Plan,
    flown: Vec<(usize, Flying)>,
    purse: Option<Purse<'t>>,
}

/// Places the whole workload, or says why not.
pub(crate) fn attempt(case: &Case<'_, '_>, terms: &Terms<'_>) -> Result<Plan, Failure> {
    let mut sites = terms.sites.to_vec();
    for _ in 0..MAX_BANS {
        if sites.is_empty() {
            return Err(Failure::NoMember);
        }
        let start = Attempt {
            case,
            ranks: terms.ranks,
            plan: Plan::default(),
            flown: Vec::new(),
            purse: terms.purse.clone(),
        };
        match start.run(&sites, terms) {
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Banned(site)) => sites.retain(|other| *other != site),
            Ok(plan) => return Ok(plan),
        }
    }
    Err(Failure::NoMember)
}

/// Why one run ended without a plan.
enum Stop {
    /// For good.
    Failed(Failure),
    /// Because of one site: without it there may be a plan.
    Banned(usize),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'t, 'a> Attempt<'t, '_, 'a> {
    fn run(mut self, sites: &[usize], terms: &Terms<'_>) -> Result<Plan, Stop> {
        let spreads = terms.spreads;
        let kind = self.case.request.placement.division.kind;
        if self.case.parts.is_empty() {
            self.carry(sites, spreads);
            return Ok(self.plan);
        }
        let aggregated = kind == DivisionKind::Aggregated;
        if let Some(groups) = terms.apart.filter(|_| self.have_replicas() > 1) {
            return self.apart(sites, spreads, groups);
        }
        if aggregated && let Some(plan) = self.together(sites, terms) {
            return Ok(plan);
        }
        for index in self.in_turn(Division::OneMember) {
            self.one_member(index, sites)?;
        }
        if kind == DivisionKind::Duplicated {
            self.duplicated(sites, spreads)?;
        } else {
            let rule = self.rule();
            for index in self.in_turn(Division::Divided) {
                self.divided(index, sites, spreads, rule)?;
            }
        }
        self.without_replicas(sites);
        self.on_every_node(sites)?;
        Ok(self.plan)
    }

    /// How many components have replicas to place.
    fn have_replicas(&self) -> usize {
        self.case
            .parts
            .iter()
            .filter(|part| part.wanted > 0)
            .count()
    }

    /// The rule by which components divide.
    fn rule(&self) -> Rule {
        match self.case.request.placement.division.kind {
            DivisionKind::Aggregated => Rule::Fewest,
            _ => Rule::Proportional,
        }
    }

    /// The components of one kind that have replicas to place: those that stay first, then those
    /// with most to place.
    fn in_turn(&self, division: Division) -> Vec<usize> {
        let parts = self.case.parts.iter().enumerate();
        let mut turn: Vec<usize> = parts
            .filter(|(_, part)| part.component.division == division && part.wanted > 0)
            .map(|(index, _)| index)
            .collect();
        turn.sort_by_key(|index| {
            let part = self.case.parts.get(*index);
            let pinned = part.is_some_and(|part| part.component.pinned_data);
            let size = part.map_or(0, |part| {
                part.each.iter().fold(0_i128, |size, (_, amount)| {
                    size.max(i128::from(*amount) * i128::from(part.wanted))
                })
            });
            (!pinned, std::cmp::Reverse(size), *index)
        });
        turn
    }

    fn part(&self, index: usize) -> Option<&'t Part<'a>> {
        self.case.parts.get(index)
    }

    /// How many more replicas fit for a choice, what this attempt has placed counted.
    fn room_now(&self, part: &Part<'a>, choice: &Choice) -> i64 {
        let Some(lot) = choice.lot.filter(|_| choice.room > 0) else {
            return choice.room;
        };
        let below = self.below_lines(part, lot);
        if !self.flown.iter().any(|(of, _)| *of == lot) {
            return choice.room.min(below);
        }
        let (Some(class), Some(of)) = (self.case.class(part), self.case.fleet.lots.get(lot)) else {
            return 0;
        };
        let own = self
            .flown
            .iter()
            .filter(|(of, _)| *of == lot)
            .map(|(_, flying)| flying);
        let flying = of.flying.iter().chain(own);
        room(class.nodes(self.case.fleet, lot), flying, &part.each).min(choice.room.min(below))
    }

    /// How many more replicas the red lines of a lot's member leave room for, what this attempt has
    /// placed there in any flavor counted.
    fn below_lines(&self, part: &Part<'a>, lot: usize) -> i64 {
        let fleet = self.case.fleet;
        if !fleet.has_lines(lot) {
            return i64::MAX;
        }
        let site = fleet.site_of_lot(lot);
        fleet.below_lines(site, &part.each, |resource| {
            let here = self.flown.iter();
            let here = here.filter(|(of, _)| fleet.site_of_lot(*of) == site);
            here.fold(0_i64, |sum, (_, flying)| {
                let amount = amount_of(&flying.each, resource);
                sum.saturating_add(amount.saturating_mul(flying.replicas))
            })
        })
    }

    /// The most replicas of a choice in all.
    fn most_now(&self, part: &Part<'a>, choice: &Choice) -> i64 {
        choice.credit.saturating_add(self.room_now(part, choice))
    }

    /// Takes replicas on a site.
    fn take(&mut self, index: usize, site: usize, choice: &Choice, replicas: i64) {
        let Some(part) = self.part(index) else { return };
        let new = replicas.saturating_sub(choice.credit).max(0);
        if let (Some(lot), true) = (choice.lot, new > 0) {
            self.flown.push((
                lot,
                Flying {
                    each: part.each.clone(),
                    replicas: new,
                },
            ));
        }
        if let Some(purse) = &mut self.purse {
            let flavor = self.case.fleet.flavor_name(choice.flavor);
            purse.spend(choice.flavor, part.increase(site, flavor, replicas));
        }
        let pick = Pick {
            flavor: choice.flavor,
            lot: choice.lot,
            replicas,
            new,
        };
        self.plan.picks.insert((index, site), pick);
    }

    /// Whether the purse covers replicas on a site; always, when there is none.
    fn affords(&self, part: &Part<'a>, site: usize, choice: &Choice, replicas: i64) -> bool {
        let Some(purse) = &self.purse else {
            return true;
        };
        let flavor = self.case.fleet.flavor_name(choice.flavor);
        purse.covers(choice.flavor, part.increase(site, flavor, replicas))
    }

    /// The sites that are used so far.
    fn used(&self) -> BTreeSet<usize> {
        self.plan.picks.keys().map(|(_, site)| *site).collect()
    }

    /// Sites in the order in which a component should try them: where the workload already goes,
    /// then where the component is, then by score.
    fn by_preference(&self, part: &Part<'a>, sites: &[usize]) -> Vec<usize> {
        let new = self.plan.picks.is_empty() && self.case.previous_sites().is_empty();
        if new && self.ranks.is_none() {
            return sites.to_vec();
        }
        let used = self.used();
        let together = self.case.request.placement.division.kind == DivisionKind::Aggregated;
        let mut order: Vec<((bool, u32, bool, bool), usize)> = sites
            .iter()
            .map(|site| {
                let there = part
                    .previous
                    .get(site)
                    .is_some_and(|replicas| *replicas > 0);
                let key = (
                    !there,
                    self.rank(*site),
                    !(together && used.contains(site)),
                    !self.case.has_any(*site),
                );
                (key, *site)
            })
            .collect();
        // Stable: among equals the order by score stays.
        order.sort_by_key(|(key, _)| *key);
        order.into_iter().map(|(_, site)| site).collect()
    }

    /// The affinity term of a site; 0 when only one is used.
    fn rank(&self, site: usize) -> u32 {
        self.ranks
            .and_then(|ranks| ranks.get(&site))
            .copied()
            .unwrap_or(0)
    }

    /// Where the objects go when nothing runs pods.
    fn carry(&mut self, sites: &[usize], spreads: &[Bound]) {
        let kept: Vec<usize> = sites
            .iter()
            .copied()
            .filter(|site| self.case.carried(*site))
            .collect();
        if self.case.request.placement.division.kind == DivisionKind::Duplicated {
            self.plan.carried.extend(sites);
        } else if kept.is_empty() {
            let wanted = spreads
                .iter()
                .map(|bound| bound.spread.min_groups)
                .max()
                .unwrap_or(1);
            let wanted = usize::try_from(wanted).unwrap_or(1).max(1);
            self.plan.carried.extend(sites.iter().take(wanted));
        } else {
            self.plan.carried.extend(kept);
        }
    }

    /// Components with 0 replicas keep their objects where they are, else where the others go.
    fn without_replicas(&mut self, sites: &[usize]) {
        for (index, part) in self.case.parts.iter().enumerate() {
            if part.component.runs_pods() {
                continue;
            }
            // Data that is pinned stays, whatever members the others are tried on.
            let pinned = part.component.pinned_data;
            let mut there: Vec<usize> = part.previous.keys().copied().collect();
            there.retain(|site| pinned || sites.contains(site));
            if there.is_empty() {
                there = self.used().into_iter().take(1).collect();
            }
            if there.is_empty() {
                there = sites.iter().copied().take(1).collect();
            }
            for site in there {
                let flavor = self.flavor_without_replicas(part, site);
                if let Some(flavor) = flavor {
                    let pick = Pick {
                        flavor,
                        lot: None,
                        replicas: 0,
                        new: 0,
                    };
                    self.plan.picks.insert((index, site), pick);
                }
            }
        }
    }

    /// The flavor that is named for no replicas: the one of before, else one that would do.
    fn flavor_without_replicas(&self, part: &Part<'a>, site: usize) -> Option<usize> {
        let fleet = self.case.fleet;
        let allowed = &self.case.rules.flavors;
        let name = fleet.sites.get(site).map_or("", |site| &*site.name);
        let mut previous = self.case.request.previous.iter();
        let before = previous
            .find(|before| before.component == part.component.name && before.member == name);
        let before = before.and_then(|before| fleet.flavor(&before.flavor));
        before
            .filter(|flavor| allowed.contains(flavor))
            .or_else(|| {
                self.case
                    .choices(part, site)
                    .first()
                    .map(|choice| choice.flavor)
            })
            .or_else(|| {
                allowed
                    .iter()
                    .copied()
                    .find(|flavor| fleet.lot_of(site, *flavor).is_some())
            })
            .or_else(|| allowed.first().copied())
    }
}

/// The key of the constraint that another is within.
fn outer_key(spreads: &[Bound], one: &Spread) -> Option<String> {
    let outer = one.within?;
    let of = spreads.iter().find(|other| other.spread.place == outer);
    of.map(|bound| bound.key.clone())
}

/// By how much the tenant's charge grows with a plan, per flavor and resource.
pub(crate) fn increase(case: &Case<'_, '_>, plan: &Plan) -> Amounts {
    let mut grown = Amounts::new();
    for ((index, site), pick) in &plan.picks {
        let (Some(part), Some(flavor)) =
            (case.parts.get(*index), case.fleet.flavors.get(pick.flavor))
        else {
            continue;
        };
        for (resource, amount) in part.increase(*site, flavor, pick.replicas) {
            if amount > 0 {
                let sum = grown.entry(Key::new(flavor, resource)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
    }
    grown
}
