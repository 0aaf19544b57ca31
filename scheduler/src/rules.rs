//! The hard rules of one request: the tenant's guardrails along its path, and what the placement
//! adds to them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::fleet::{Fleet, Site, ancestors};
use crate::labels::pass_all;
use crate::request::{AffinityTerm, Request};
use crate::snapshot::Level;
use crate::verdict::Authority;

/// A rule with the tenant that has it; `None`: the placement has it.
#[derive(Clone, Debug)]
pub(crate) struct Rule<'a, T> {
    /// What is allowed or required.
    pub(crate) value: T,
    /// Who has the rule.
    pub(crate) tenant: Option<&'a str>,
}

impl<T> Rule<'_, T> {
    /// Who may decide on it: nobody besides the owner of the workload for its own placement.
    pub(crate) fn authority(&self) -> Option<Authority> {
        let tenant = self.tenant?.to_owned();
        Some(Authority::SecurityAdministrators { tenant })
    }
}

/// Regions on whose ground a member must stand.
#[derive(Clone, Debug)]
pub(crate) struct Regions<'a> {
    /// Their names.
    pub(crate) names: &'a BTreeSet<String>,
    pub(crate) ids: Vec<NonZeroU32>,
}

impl<'a> Regions<'a> {
    fn new(fleet: &Fleet, names: &'a BTreeSet<String>) -> Self {
        let ids = names.iter().filter_map(|name| fleet.region_id(name));
        Self {
            names,
            ids: ids.collect(),
        }
    }

    /// Whether a member stands in one of them or below: containment in the tree.
    pub(crate) fn hold(&self, site: &Site) -> bool {
        site.region_ids
            .iter()
            .any(|region| self.ids.contains(region))
    }
}

/// An affinity term.
pub(crate) struct Term<'a> {
    term: &'a AffinityTerm,
    regions: Regions<'a>,
}

impl Term<'_> {
    /// Whether it selects a member.
    pub(crate) fn selects(&self, site: &Site) -> bool {
        let one_of =
            |allowed: &BTreeSet<String>, value: &str| allowed.is_empty() || allowed.contains(value);
        let (term, member) = (self.term, &site.member);
        one_of(&term.members, &site.name)
            && one_of(&term.owners, &member.owner)
            && one_of(&term.providers, &member.provider)
            && one_of(&term.operators, &member.operator)
            && one_of(&term.zones, &member.zone)
            && (term.regions.is_empty() || self.regions.hold(site))
            && pass_all(&member.labels, &term.labels)
    }
}

/// All rules of one request.
pub(crate) struct Rules<'a> {
    /// The request.
    pub(crate) request: &'a Request,
    /// The moment of the decision.
    pub(crate) now: i64,
    /// Seconds for which a member that is not ready is tolerated.
    pub(crate) tolerated_not_ready: i64,
    /// The affinity terms of the placement, in their order.
    pub(crate) terms: Vec<Term<'a>>,
    /// Regions.
    pub(crate) residency: Vec<Rule<'a, Regions<'a>>>,
    /// Network zones; the placement's one zone apart.
    pub(crate) zones: Vec<Rule<'a, &'a BTreeSet<String>>>,
    /// Providers.
    pub(crate) providers: Vec<Rule<'a, &'a BTreeSet<String>>>,
    /// MLPS levels.
    pub(crate) levels: Vec<Rule<'a, u8>>,
    /// Flavors that are allowed, in order of preference, as indices of the fleet.
    pub(crate) flavors: Vec<usize>,
    /// The tenant whose rule forbids flavors that the placement allows.
    pub(crate) flavor_authority: Option<Authority>,
}

impl<'a> Rules<'a> {
    /// The rules of a request.
    pub(crate) fn new(fleet: &'a Fleet, request: &'a Request, tolerated_not_ready: i64) -> Self {
        let snapshot = &fleet.snapshot;
        let terms = request.placement.affinity.iter().map(|term| Term {
            term,
            regions: Regions::new(fleet, &term.regions),
        });
        let mut rules = Self {
            request,
            now: snapshot.now,
            tolerated_not_ready,
            terms: terms.collect(),
            residency: Vec::new(),
            zones: Vec::new(),
            providers: Vec::new(),
            levels: Vec::new(),
            flavors: preferred_flavors(fleet, request),
            flavor_authority: None,
        };
        let required = &request.placement.requirements;
        if !required.residency.is_empty() {
            rules.residency.push(Rule {
                value: Regions::new(fleet, &required.residency),
                tenant: None,
            });
        }
        if let Some(level) = required.mlps_level {
            rules.levels.push(Rule {
                value: level,
                tenant: None,
            });
        }
        for name in ancestors(snapshot, &request.tenant) {
            rules.add(fleet, name);
        }
        rules
    }

    fn add(&mut self, fleet: &'a Fleet, tenant: &'a str) {
        let Some(of) = fleet.snapshot.tenants.get(tenant) else {
            return;
        };
        let rails = &of.guardrails;
        let tenant = Some(tenant);
        self.residency
            .extend(rails.residency.as_ref().map(|names| Rule {
                value: Regions::new(fleet, names),
                tenant,
            }));
        self.zones
            .extend(rails.zones.as_ref().map(|value| Rule { value, tenant }));
        self.providers
            .extend(rails.providers.as_ref().map(|value| Rule { value, tenant }));
        self.levels
            .extend(rails.mlps_level.map(|value| Rule { value, tenant }));
        if let Some(allowed) = &rails.flavors {
            let before = self.flavors.len();
            self.flavors.retain(|flavor| {
                fleet
                    .flavors
                    .get(*flavor)
                    .is_some_and(|name| allowed.contains(name))
            });
            if self.flavors.len() < before {
                self.flavor_authority = Rule { value: (), tenant }.authority();
            }
        }
    }
}

fn preferred_flavors(fleet: &Fleet, request: &Request) -> Vec<usize> {
    let named = &request.placement.flavors;
    if !named.is_empty() {
        let mut flavors: Vec<usize> = Vec::new();
        for flavor in named.iter().filter_map(|name| fleet.flavor(name)) {
            if !flavors.contains(&flavor) {
                flavors.push(flavor);
            }
        }
        return flavors;
    }
    let mut all: Vec<usize> = (0..fleet.flavors.len()).collect();
    all.sort_by_key(|flavor| {
        let flavor = fleet.snapshot.flavors.get(fleet.flavor_name(*flavor));
        std::cmp::Reverse(flavor.map_or(0, |flavor| flavor.precedence))
    });
    all
}

/// The value of a topology key on a member; `None` when it has none.
pub(crate) fn topology<'s>(site: &'s Site, key: &str) -> Option<&'s str> {
    let member = &site.member;
    let value: &str = match key {
        "member" => &site.name,
        "provider" => &member.provider,
        "operator" => &member.operator,
        "zone" => &member.zone,
        "region" => &member.region,
        "owner" => &member.owner,
        "mlps" => LEVELS.get(usize::from(member.mlps?.level))?,
        "region/provincial" => region_at(site, Level::Provincial)?,
        "region/prefectural" => region_at(site, Level::Prefectural)?,
        "region/county" => region_at(site, Level::County)?,
        "region/township" => region_at(site, Level::Township)?,
        label => member
            .labels
            .get(label.strip_prefix("label:").unwrap_or(label))?,
    };
    Some(value).filter(|value| !value.is_empty())
}

/// The region of a level in which a member stands, else the highest below that level, else its own.
fn region_at(site: &Site, level: Level) -> Option<&str> {
    // From the member's own region upwards: the last that is not above the level.
    let path = site.regions.iter().zip(&site.levels);
    let below = path.take_while(|(_, of)| of.is_none_or(|of| of >= level));
    let highest = below.last().map(|(region, _)| region);
    highest.or(site.regions.first()).map(String::as_str)
}

/// The names of MLPS levels.
const LEVELS: [&str; 6] = ["", "1", "2", "3", "4", "5"];
