//! Requests that are alike to the rules: every member is judged once for all of them.
//!
//! The rules depend on the tenant, the placement and the names in the manifests, and on what stays
//! the same during a batch. What depends on nodes is `class.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Fleet, Site};
use crate::filter::{self, Sink};
use crate::request::{
    Division, DivisionKind, PlacementSpec, Request, Requirements, Toleration, WhenUnsatisfiable,
};
use crate::rules::{Rules, topology};
use crate::verdict::{Code, Codes, Reason};

/// The most members that are remembered over all policies; beyond it all are forgotten.
const REMEMBERED: usize = 8_000_000;
/// The most members that a policy remembers of those where its rules forbid the work.
const NEAREST: usize = 16;

/// What the rules depend on but for the placement's wishes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ground<'a> {
    tenant: &'a str,
    apis: &'a BTreeSet<String>,
    classes: &'a BTreeSet<String>,
    runs_pods: bool,
    requirements: &'a Requirements,
    tolerations: &'a [Toleration],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness<'a> {
    ground: Ground<'a>,
    divides: bool,
    placement: &'a PlacementSpec,
}

/// A member where the rules do not forbid the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// The member, as an index into [`Fleet::sites`].
    pub(crate) site: usize,
    /// The rules that keep new work away.
    pub(crate) codes: Codes,
    /// The affinity terms it belongs to, one bit each.
    pub(crate) tiers: u64,
}

/// What the rules say of every member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Members where the rules do not forbid the work, by name.
    pub(crate) open: Vec<Open>,
    /// Of the others, how many each code refuses.
    pub(crate) closed: BTreeMap<Code, u32>,
    /// Of the others, those that come nearest: the placement's wishes alone stand against them, or
    /// the fewest rules.
    pub(crate) nearest_closed: Vec<usize>,
}

/// All policies of a batch.
#[derive(Default)]
pub(crate) struct Policies<'a> {
    grounds: BTreeMap<Ground<'a>, Rc<Policy>>,
    known: BTreeMap<Likeness<'a>, Rc<Policy>>,
    remembered: usize,
}

impl<'a> Policies<'a> {
    /// The policy of a request.
    pub(crate) fn of(
        &mut self,
        fleet: &Fleet<'a>,
        request: &'a Request,
        rules: &Rules<'a>,
    ) -> Rc<Policy> {
        let ground = Ground {
            tenant: &request.tenant,
            apis: &request.required_apis,
            classes: &request.required_classes,
            runs_pods: !request.components.is_empty(),
            requirements: &request.placement.requirements,
            tolerations: &request.placement.tolerations,
        };
        let likeness = Likeness {
            ground,
            divides: divides(request),
            placement: &request.placement,
        };
        if let Some(known) = self.known.get(&likeness) {
            return Rc::clone(known);
        }
        if self.remembered > REMEMBERED {
            *self = Self::default();
        }
        let ground = if let Some(known) = self.grounds.get(&ground) {
            Rc::clone(known)
        } else {
            let made = Rc::new(Policy::ground(fleet, rules));
            self.remembered += made.open.len();
            self.grounds.insert(ground, Rc::clone(&made));
            made
        };
        let policy = Rc::new(ground.wished(fleet, rules));
        self.remembered += policy.open.len();
        self.known.insert(likeness, Rc::clone(&policy));
        policy
    }
}

impl Policy {
    /// What is said whatever the placement wishes.
    fn ground(fleet: &Fleet<'_>, rules: &Rules<'_>) -> Self {
        let offers: Vec<Codes> = fleet
            .offer_sets
            .iter()
            .map(|site| {
                let mut codes = Codes::default();
                if let Some(site) = fleet.sites.get(*site) {
                    filter::apis(site, rules, &mut codes);
                    filter::classes(site, rules, &mut codes);
                }
                codes
            })
            .collect();
        let sites = fleet.sites.iter().enumerate().map(|(index, site)| {
            let mut codes = offers.get(site.offer_set).copied().unwrap_or_default();
            filter::ground(site, rules, &mut codes);
            sketch(site, rules, &mut codes);
            Open {
                site: index,
                codes,
                tiers: 0,
            }
        });
        Self::sorted(sites, Self::default())
    }

    /// The same with what the placement wishes. A member that is closed already is not looked at.
    fn wished(&self, fleet: &Fleet<'_>, rules: &Rules<'_>) -> Self {
        let sites = self.open.iter().filter_map(|open| {
            let site = fleet.sites.get(open.site)?;
            let mut codes = open.codes;
            filter::affinity(site, rules, &mut codes);
            division(site, rules, &mut codes);
            let tiers = if codes.keep() { tiers(site, rules) } else { 0 };
            Some(Open {
                codes,
                tiers,
                ..*open
            })
        });
        let closed = Self {
            closed: self.closed.clone(),
            nearest_closed: self.nearest_closed.clone(),
            open: Vec::new(),
        };
        Self::sorted(sites, closed)
    }

    /// Puts members where the rules forbid the work to those that are closed.
    fn sorted(sites: impl Iterator<Item = Open>, mut policy: Self) -> Self {
        let mut closed: Vec<(u32, usize)> = Vec::new();
        for open in sites {
            if open.codes.keep() {
                policy.open.push(open);
                continue;
            }
            closed.push((open.codes.len(), open.site));
            for code in open.codes.iter() {
                *policy.closed.entry(code).or_default() += 1;
            }
        }
        closed.sort_unstable();
        let nearest = closed.into_iter().map(|(_, site)| site);
        let nearest = nearest.chain(std::mem::take(&mut policy.nearest_closed));
        policy.nearest_closed = nearest.take(NEAREST).collect();
        policy
    }
}

/// The affinity terms that a member belongs to, one bit each.
pub(crate) fn tiers(site: &Site<'_>, rules: &Rules<'_>) -> u64 {
    let terms = &rules.terms;
    let mut tiers = u64::from(terms.is_empty());
    for (index, term) in terms.iter().enumerate().take(64) {
        if term.selects(site) {
            tiers |= 1_u64 << index;
        }
    }
    tiers
}

/// Everything that refuses a member but its nodes, in the order of the filters.
pub(crate) fn judge<S: Sink>(site: &Site<'_>, rules: &Rules<'_>, sink: &mut S) {
    filter::ground(site, rules, sink);
    filter::apis(site, rules, sink);
    filter::classes(site, rules, sink);
    filter::affinity(site, rules, sink);
    division(site, rules, sink);
    sketch(site, rules, sink);
}

fn sketch<S: Sink>(site: &Site<'_>, rules: &Rules<'_>, sink: &mut S) {
    if site.member.sketch.is_none() && !rules.request.components.is_empty() {
        sink.refuse(Code::NoSketch, || (Reason::NoSketch, None));
    }
}

fn division<S: Sink>(site: &Site<'_>, rules: &Rules<'_>, sink: &mut S) {
    let placement = &rules.request.placement;
    let weights = &placement.division.weights;
    let weighted = placement.division.kind == DivisionKind::Weighted && !weights.is_empty();
    if weighted && weights.get(site.name).is_none_or(|weight| *weight == 0) {
        sink.refuse(Code::NoWeight, || (Reason::NoWeight, None));
    }
    if !divides(rules.request) {
        return;
    }
    let hard = |when| when == WhenUnsatisfiable::DoNotSchedule;
    let spreads = placement.spread.iter();
    for spread in spreads.filter(|spread| hard(spread.when_unsatisfiable)) {
        if topology(site, &spread.topology_key).is_none() {
            sink.refuse(Code::NoTopology, || {
                let key = spread.topology_key.clone();
                (Reason::NoTopology { key }, None)
            });
        }
    }
}

fn divides(request: &Request) -> bool {
    let mut components = request.components.iter();
    components.any(|component| component.division == Division::Divided)
}
