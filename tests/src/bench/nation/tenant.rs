//! Tenants: a region for each division, two agencies under each, their guardrails and quotas.

use std::collections::{BTreeMap, BTreeSet};

use heyun_scheduler::Member;
use heyun_scheduler::quota::{Amounts, Key, Line, QuotaNode};
use heyun_scheduler::resources::{CPU, MEMORY};
use heyun_scheduler::snapshot::{Guardrails, Tenant, TenantKind};

use super::land::{Land, ROOT, Tier};
use super::member::{COMMON, is_sound};
use super::{GIB, NOW};
use crate::bench::random::Random;

/// An agency of a division.
pub(super) struct Agency {
    /// The name of its tenant.
    pub(super) name: String,
    /// Its division.
    pub(super) division: usize,
    /// The division on whose ground its work must stand; [`ROOT`]: anywhere.
    pub(super) scope: usize,
    /// The lowest level of a member.
    level: Option<u8>,
    /// The zones that are allowed.
    zones: Option<BTreeSet<String>>,
    /// Its quota does not suffice.
    tight: bool,
}

impl Agency {
    /// Whether a member takes its work, wherever it stands.
    pub(super) fn suits(&self, member: &Member) -> bool {
        let filed = |level: u8| {
            member.mlps.is_some_and(|filing| {
                filing.level >= level && filing.valid_until.is_none_or(|until| until >= NOW)
            })
        };
        let zones = self.zones.as_ref();
        is_sound(member)
            && self.level.is_none_or(filed)
            && zones.is_none_or(|zones| zones.contains(&member.zone))
    }

    fn guardrails(&self, land: &Land) -> Guardrails {
        let bound = self.scope != ROOT;
        Guardrails {
            residency: bound.then(|| BTreeSet::from([land.name(self.scope)])),
            zones: self.zones.clone(),
            mlps_level: self.level,
            ..Guardrails::default()
        }
    }
}

/// Two agencies under each division; under the country only where it asks for something. Of those
/// under a division 70 % must stay in their province, 12 % in their prefecture, and 2 % have too
/// little quota; a third of all needs level 3.
pub(super) fn agencies(land: &Land, random: &mut Random) -> Vec<Agency> {
    let mut agencies = Vec::new();
    let first = usize::from(!land.flat);
    for division in first..land.divisions.len() {
        for name in ["civil", "health"] {
            let of = land.province(division);
            let scope = match random.range(0, 99) {
                0..=69 => of,
                70..=81 => land.at(division, Tier::City).unwrap_or(of),
                _ => ROOT,
            };
            let zones: &[&str] = match random.range(0, 99) {
                0..=14 => &[COMMON],
                15..=19 => &[COMMON, "cegn-dedicated"],
                _ => &[],
            };
            let zones: BTreeSet<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
            agencies.push(Agency {
                name: format!("{}-{name}", land.name(division)),
                division,
                scope,
                level: random.percent(33).then_some(3),
                zones: Some(zones).filter(|zones| !zones.is_empty()),
                tight: random.percent(2) && division != ROOT,
            });
        }
    }
    agencies
}

/// The tenants of all divisions and agencies.
pub(super) fn tenants(land: &Land, agencies: &[Agency]) -> BTreeMap<String, Tenant> {
    let regions = land.divisions.iter().map(|division| {
        let tenant = Tenant {
            parent: division.parent.map(|parent| land.name(parent)),
            kind: TenantKind::Region,
            level: Some(division.tier.level()),
            ..Tenant::default()
        };
        (division.name.clone(), tenant)
    });
    let agencies = agencies.iter().map(|agency| {
        let tenant = Tenant {
            parent: Some(land.name(agency.division)),
            kind: TenantKind::Agency,
            level: None,
            guardrails: agency.guardrails(land),
        };
        (agency.name.clone(), tenant)
    });
    regions.chain(agencies).collect()
}

/// The quotas of all divisions and agencies. The country has half as much again as the members
/// have. Each division has the share of what it and all below it ask for, and an agency nine
/// twentieths of what its division asks for itself. A fifth is guaranteed, and borrowing may
/// double an agency's nominal.
pub(super) fn quotas(land: &Land, agencies: &[Agency], capacity: &Amounts) -> Vec<QuotaNode> {
    let mut weights: Vec<i64> = land.divisions.iter().map(|of| of.weight).collect();
    for index in (1..weights.len()).rev() {
        let own = weights[index];
        if let Some(parent) = land.divisions[index].parent {
            weights[parent] += own;
        }
    }
    let whole = weights[ROOT].max(1) * 100;
    let node = |name: &str, parent: Option<usize>, part: i64, kind: Kind| {
        let lines = capacity.iter().map(|(key, has)| {
            let line = line(key, *has, (part, whole), kind);
            (key.clone(), line)
        });
        QuotaNode {
            name: name.to_owned(),
            parent: parent.map(|parent| land.name(parent)),
            lines: lines.collect(),
            ..QuotaNode::default()
        }
    };
    let regions = land.divisions.iter().zip(&weights);
    let regions = regions.map(|(division, weight)| {
        let kind = match division.parent {
            None => Kind::Root,
            Some(_) => Kind::Region,
        };
        node(&division.name, division.parent, weight * 100, kind)
    });
    let agencies = agencies.iter().map(|agency| {
        let part = land.divisions[agency.division].weight * 45;
        let kind = if agency.tight {
            Kind::Tight
        } else {
            Kind::Agency
        };
        node(&agency.name, Some(agency.division), part, kind)
    });
    regions.chain(agencies).collect()
}

/// Whose quota a line is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Root,
    Region,
    Agency,
    Tight,
}

/// A line of the `part` of the `whole`.
fn line(key: &Key, has: i64, (part, whole): (i64, i64), kind: Kind) -> Line {
    let share = |tenths: i64| {
        let amount = i128::from(has) * i128::from(tenths) * i128::from(part);
        i64::try_from(amount / (i128::from(whole) * 10)).unwrap_or(i64::MAX)
    };
    // So that a small agency can have a workload of any size.
    let extra = match key.resource.as_str() {
        CPU => 16_000,
        MEMORY => 64 * GIB,
        _ => 8,
    };
    let (guaranteed, nominal) = (share(3), share(15));
    let ceiling = match kind {
        Kind::Root => nominal,
        Kind::Region => nominal * 3 + extra * 8,
        Kind::Agency => nominal * 2 + extra,
        Kind::Tight => {
            let nominal = nominal / 8;
            return Line {
                guaranteed: 0,
                nominal,
                ceiling: nominal,
            };
        }
    };
    Line {
        guaranteed,
        nominal,
        ceiling,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::nation::land;

    #[test]
    fn guardrails_are_mixed_as_told() {
        let mut random = Random::new(3);
        let land = land::country(&mut random);
        let agencies = agencies(&land, &mut random);
        assert_eq!(agencies.len(), 2 * 3208);
        let percent = |is: fn(&Agency, &Land) -> bool| {
            let count = agencies.iter().filter(|agency| is(agency, &land)).count();
            count * 100 / agencies.len()
        };
        let of_province = percent(|agency, land| agency.scope == land.province(agency.division));
        let anywhere = percent(|agency, _| agency.scope == ROOT);
        let third = percent(|agency, _| agency.level == Some(3));
        let tight = percent(|agency, _| agency.tight);
        assert!((67..=76).contains(&of_province), "{of_province} %");
        assert!((15..=21).contains(&anywhere), "{anywhere} %");
        assert!((30..=36).contains(&third), "{third} %");
        assert!((1..=3).contains(&tight), "{tight} %");
    }

    #[test]
    fn no_line_is_more_than_its_parents() {
        let key = Key::new("general-amd64", CPU);
        let of = |part, kind| line(&key, 1_000_000, (part, 300), kind);
        let (root, region) = (of(300, Kind::Root), of(100, Kind::Region));
        let (agency, tight) = (of(45, Kind::Agency), of(45, Kind::Tight));
        assert_eq!((root.nominal, root.ceiling), (1_500_000, 1_500_000));
        assert_eq!((region.guaranteed, region.nominal), (100_000, 500_000));
        assert_eq!((agency.guaranteed, agency.nominal), (45_000, 225_000));
        assert_eq!((agency.ceiling, region.ceiling), (466_000, 1_628_000));
        assert_eq!((tight.nominal, tight.ceiling), (28_125, 28_125));
    }
}
