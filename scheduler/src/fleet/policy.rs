//! Requests that are alike to the rules: every member is judged once for all of them, and again when
//! it has changed.
//!
//! The rules depend on the tenant, the placement and the names in the manifests, and on what is said
//! of a member besides its nodes. What depends on nodes is `class.rs`.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::numbered::Alike;
use super::{Fleet, Offer, Site};
use crate::filter::{self, Sink};
use crate::request::{
    Division, DivisionKind, PlacementSpec, Request, Requirements, Toleration, WhenUnsatisfiable,
};
use crate::rules::{Rules, topology};
use crate::snapshot::Member;
use crate::verdict::{Code, Codes, Counts, Reason};

/// The most members that are remembered over all policies; beyond it all are forgotten.
const REMEMBERED: usize = 12_000_000;

/// What the rules depend on but for the placement's wishes.
struct Ground {
    tenant: String,
    apis: BTreeSet<String>,
    classes: BTreeSet<String>,
    runs_pods: bool,
    requirements: Requirements,
    tolerations: Vec<Toleration>,
}

impl Ground {
    fn of(request: &Request) -> Self {
        Self {
            tenant: request.tenant.clone(),
            apis: request.required_apis.clone(),
            classes: request.required_classes.clone(),
            runs_pods: !request.components.is_empty(),
            requirements: request.placement.requirements.clone(),
            tolerations: request.placement.tolerations.clone(),
        }
    }

    fn is_of(&self, request: &Request) -> bool {
        self.tenant == request.tenant
            && self.apis == request.required_apis
            && self.classes == request.required_classes
            && self.runs_pods != request.components.is_empty()
            && self.requirements == request.placement.requirements
            && self.tolerations == request.placement.tolerations
    }

    fn fingerprint(request: &Request) -> u64 {
        let mut hasher = DefaultHasher::new();
        request.tenant.hash(&mut hasher);
        request.required_apis.hash(&mut hasher);
        request.required_classes.hash(&mut hasher);
        request.components.is_empty().hash(&mut hasher);
        request.placement.requirements.hash(&mut hasher);
        request.placement.tolerations.hash(&mut hasher);
        hasher.finish()
    }
}

/// What all rules depend on.
struct Likeness {
    /// The number of its ground.
    ground: usize,
    divides: bool,
    placement: PlacementSpec,
}

impl Likeness {
    fn of(ground: usize, request: &Request) -> Self {
        Self {
            ground,
            divides: divides(request),
            placement: request.placement.clone(),
        }
    }

    fn is_of(&self, ground: usize, request: &Request) -> bool {
        self.ground == ground
            && self.divides == divides(request)
            && self.placement == request.placement
    }

    fn fingerprint(ground: usize, request: &Request) -> u64 {
        let mut hasher = DefaultHasher::new();
        ground.hash(&mut hasher);
        divides(request).hash(&mut hasher);
        request.placement.hash(&mut hasher);
        hasher.finish()
    }
}

/// A member where the rules do not forbid the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// The member, as an index into [`Fleet::sites`]: half as long as others, since very many of
    /// these are remembered.
    site: u32,
    /// The rules that keep new work away.
    pub(crate) codes: Codes,
    /// The affinity terms it belongs to, one bit each.
    pub(crate) tiers: u64,
}

impl Open {
    fn new(site: usize, codes: Codes, tiers: u64) -> Self {
        let site = u32::try_from(site).unwrap_or(u32::MAX);
        Self { site, codes, tiers }
    }

    /// The member, as an index into [`Fleet::sites`].
    pub(crate) fn site(&self) -> usize {
        usize::try_from(self.site).unwrap_or(usize::MAX)
    }
}

/// What the rules say of every member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Members where the rules do not forbid the work, by name.
    pub(crate) open: Vec<Open>,
    /// What the rules say of each member.
    codes: Vec<Codes>,
    /// Of those that are not open, how many each code refuses.
    pub(crate) closed: Counts,
    /// How far the fleet's list of changes was read.
    read: usize,
}

/// All policies.
#[derive(Default)]
pub(crate) struct Policies {
    grounds: Alike<(Ground, Policy)>,
    known: Alike<(Likeness, Arc<Policy>)>,
    remembered: usize,
}

impl Policies {
    /// The policy of a request.
    pub(crate) fn of(
        &mut self,
        fleet: &Fleet,
        request: &Request,
        rules: &Rules<'_>,
    ) -> Arc<Policy> {
        if self.remembered > REMEMBERED {
            *self = Self::default();
        }
        let Self {
            grounds,
            known,
            remembered,
        } = self;
        let ground = grounds.number(
            Ground::fingerprint(request),
            |(ground, _)| ground.is_of(request),
            || {
                let policy = Policy::ground(fleet, rules);
                *remembered = remembered.saturating_add(policy.size());
                (Ground::of(request), policy)
            },
        );
        let number = known.number(
            Likeness::fingerprint(ground, request),
            |(likeness, _)| likeness.is_of(ground, request),
            || {
                let policy = grounds.get_mut(ground).map(|(_, policy)| {
                    policy.catch_up(fleet, |site| grounded(site, fleet, rules));
                    policy.wished(fleet, rules)
                });
                let policy = policy.unwrap_or_default();
                *remembered = remembered.saturating_add(policy.size());
                (Likeness::of(ground, request), Arc::new(policy))
            },
        );
        let Some((_, policy)) = known.get_mut(number) else {
            return Arc::default();
        };
        if policy.read < fleet.changed.len() {
            Arc::make_mut(policy).catch_up(fleet, |site| wished(site, fleet, rules));
        }
        Arc::clone(policy)
    }
}

impl Policy {
    /// What is said whatever the placement wishes.
    fn ground(fleet: &Fleet, rules: &Rules<'_>) -> Self {
        let offers = fleet.offers.all().iter();
        let offers: Vec<Codes> = offers.map(|offer| offered(offer, rules)).collect();
        let kinds = fleet.of_kind.iter();
        let kinds: Vec<Codes> = kinds.map(|member| kind(member, rules)).collect();
        let sites = (0..fleet.sites.len()).map(|site| {
            let (kind, offer) = fleet.kind_and_offer(site);
            let kind = kinds.get(kind).copied().unwrap_or_default();
            let offer = offers.get(offer).copied().unwrap_or_default();
            (standing(site, kind.and(offer), fleet, rules), 0)
        });
        Self::of(fleet, sites)
    }

    /// The same with what the placement wishes. A member that is closed already is not looked at.
    fn wished(&self, fleet: &Fleet, rules: &Rules<'_>) -> Self {
        let mut policy = Self {
            open: Vec::with_capacity(self.open.len()),
            codes: self.codes.clone(),
            closed: self.closed,
            read: fleet.changed.len(),
        };
        for open in &self.open {
            let Some(site) = fleet.sites.get(open.site()) else {
                continue;
            };
            let (codes, tiers) = wishes(site, rules, open.codes);
            policy.put(open.site(), codes, tiers);
        }
        // Wishes leave few of them open, and it is kept for long.
        policy.open.shrink_to_fit();
        policy
    }

    fn of(fleet: &Fleet, judged: impl Iterator<Item = (Codes, u64)>) -> Self {
        let mut policy = Self {
            codes: Vec::with_capacity(fleet.sites.len()),
            read: fleet.changed.len(),
            ..Self::default()
        };
        for (site, (codes, tiers)) in judged.enumerate() {
            policy.codes.push(Codes::default());
            policy.put(site, codes, tiers);
        }
        policy
    }

    /// Says of the next member by name what the rules say of it.
    fn put(&mut self, site: usize, codes: Codes, tiers: u64) {
        if let Some(place) = self.codes.get_mut(site) {
            *place = codes;
        }
        if !codes.keep() {
            self.closed.add(codes);
            return;
        }
        self.open.push(Open::new(site, codes, tiers));
    }

    fn size(&self) -> usize {
        self.codes.len().saturating_add(self.open.len())
    }

    /// Whether a member is among those that are open.
    pub(crate) fn is_open(&self, site: usize) -> bool {
        self.codes.get(site).is_some_and(|codes| codes.keep())
    }

    /// Judges again what has changed since.
    fn catch_up(&mut self, fleet: &Fleet, judge: impl Fn(usize) -> (Codes, u64)) {
        let news = fleet.changed.get(self.read..).unwrap_or_default();
        self.read = fleet.changed.len();
        let mut news = news.to_vec();
        news.sort_unstable();
        news.dedup();
        for site in news {
            let Some(before) = self.codes.get(site).copied() else {
                continue;
            };
            let (codes, tiers) = judge(site);
            if let Some(place) = self.codes.get_mut(site) {
                *place = codes;
            }
            if !before.keep() {
                self.closed.take(before);
            }
            if !codes.keep() {
                self.closed.add(codes);
            }
            match (
                self.open.binary_search_by_key(&site, Open::site),
                codes.keep(),
            ) {
                (Ok(seat), true) => {
                    if let Some(open) = self.open.get_mut(seat) {
                        *open = Open::new(site, codes, tiers);
                    }
                }
                (Ok(seat), false) => drop(self.open.remove(seat)),
                (Err(seat), true) => self.open.insert(seat, Open::new(site, codes, tiers)),
                (Err(_), false) => {}
            }
        }
    }

    /// So many of the members that are not open, the nearest: those that the placement's wishes alone
    /// keep away come first, then those with the fewest rules against them.
    pub(crate) fn nearest_closed(&self, most: usize) -> impl Iterator<Item = usize> {
        let sites = self.codes.iter().enumerate();
        let closed = sites.filter(|(_, codes)| !codes.keep());
        let mut closed: Vec<_> = closed
            .map(|(site, codes)| (!codes.speak_of_wishes(), codes.len(), site))
            .collect();
        if closed.len() > most {
            closed.select_nth_unstable(most);
            closed.truncate(most);
        }
        closed.into_iter().map(|(.., site)| site)
    }
}

/// What a set of offers lacks.
fn offered(offer: &Offer, rules: &Rules<'_>) -> Codes {
    let mut codes = Codes::default();
    filter::apis(offer.apis.as_ref(), "", rules, &mut codes);
    filter::classes(&offer.classes, rules, &mut codes);
    codes
}

/// What is said of all members of a kind.
fn kind(member: &Member, rules: &Rules<'_>) -> Codes {
    let mut codes = Codes::default();
    filter::kind(member, rules, &mut codes);
    codes
}

/// What is said of a member besides what is said of its kind and its offer.
fn standing(site: usize, mut codes: Codes, fleet: &Fleet, rules: &Rules<'_>) -> Codes {
    let mut residency = rules.residency.iter();
    if !residency.all(|rule| fleet.stands_in(site, &rule.value.ids)) {
        codes.insert(Code::Residency);
    }
    if fleet.key_set(site).is_none() && !rules.request.components.is_empty() {
        codes.insert(Code::NoSketch);
    }
    codes
}

/// What is said of a member whatever the placement wishes.
fn grounded(site: usize, fleet: &Fleet, rules: &Rules<'_>) -> (Codes, u64) {
    let (of_kind, offer) = fleet.kind_and_offer(site);
    let of_kind = fleet.of_kind.get(of_kind).map(|member| kind(member, rules));
    let offer = fleet.offers.get(offer).map(|offer| offered(offer, rules));
    let codes = of_kind.unwrap_or_default().and(offer.unwrap_or_default());
    (standing(site, codes, fleet, rules), 0)
}

/// The same with what the placement wishes.
fn wished(site: usize, fleet: &Fleet, rules: &Rules<'_>) -> (Codes, u64) {
    let (codes, tiers) = grounded(site, fleet, rules);
    let of = fleet.sites.get(site);
    of.map_or((codes, tiers), |of| wishes(of, rules, codes))
}

/// Adds to a member that the ground leaves open what the placement wishes.
fn wishes(site: &Site, rules: &Rules<'_>, mut codes: Codes) -> (Codes, u64) {
    if !codes.keep() {
        return (codes, 0);
    }
    filter::affinity(site, rules, &mut codes);
    division(site, rules, &mut codes);
    let tiers = if codes.keep() { tiers(site, rules) } else { 0 };
    (codes, tiers)
}

/// The affinity terms that a member belongs to, one bit each.
pub(crate) fn tiers(site: &Site, rules: &Rules<'_>) -> u64 {
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
pub(crate) fn judge<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    let member = &site.member;
    filter::ground(site, rules, sink);
    filter::apis(member.apis.as_ref(), &member.operator, rules, sink);
    filter::classes(&member.classes, rules, sink);
    filter::affinity(site, rules, sink);
    division(site, rules, sink);
    sketch(site, rules, sink);
}

fn sketch<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    if site.member.sketch.is_none() && !rules.request.components.is_empty() {
        sink.refuse(Code::NoSketch, || (Reason::NoSketch, None));
    }
}

fn division<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    let placement = &rules.request.placement;
    let weights = &placement.division.weights;
    let weighted = placement.division.kind == DivisionKind::Weighted && !weights.is_empty();
    if weighted && weights.get(&site.name).is_none_or(|weight| *weight == 0) {
        sink.refuse(Code::NoWeight, || (Reason::NoWeight, None));
    }
    let components = placement.components.as_ref();
    let between = components.filter(|_| !rules.request.components.is_empty());
    let between = between.map(|rule| rule.topology_key.as_str());
    if let Some(key) = between.filter(|key| topology(site, key).is_none()) {
        sink.refuse(Code::NoTopology, || {
            let key = key.to_owned();
            (Reason::NoTopology { key }, None)
        });
    }
    if !divides(rules.request) {
        return;
    }
    let hard = |when| when == WhenUnsatisfiable::DoNotSchedule;
    let spreads = placement.spread.iter();
    let others = spreads.filter(|spread| between != Some(&spread.topology_key));
    for spread in others.filter(|spread| hard(spread.when_unsatisfiable)) {
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
