//! A country for benchmarks of the scheduler alone: tenants, quotas, members and requests as they
//! are in practice, made from a seed. The same seed gives the same country.

mod bind;
mod land;
mod member;
mod request;
mod tenant;

use std::collections::BTreeMap;

use heyun_scheduler::quota::{Line, QuotaTree};
use heyun_scheduler::{Request, Snapshot};

use super::random::Random;
pub(in crate::bench) use bind::bind;
use land::Land;

/// The moment of the snapshot: 2026-11-23T00:00:00Z.
const NOW: i64 = 1_795_392_000;
/// Bytes in a GiB.
const GIB: i64 = 1 << 30;
/// More of a resource than anybody asks for.
const PLENTY: i64 = 1 << 50;

/// What the scheduler is given.
#[derive(Clone, Debug)]
pub struct Nation {
    /// What the hub knows. Nothing is placed yet.
    pub snapshot: Snapshot,
    /// What is to be decided, the oldest first.
    pub requests: Vec<Request>,
}

/// The administration of China: 31 provinces, 333 prefectures and 2,844 counties under `cn`, each
/// with one member and two agencies, which ask for `workloads` workloads.
///
/// The members have 1.4 times what is asked for, of cpu and of memory. With few workloads they have
/// more: a node is never so small that the largest replica does not fit.
pub fn country(workloads: usize, seed: u64) -> Nation {
    let mut random = Random::new(seed);
    let land = land::country(&mut random);
    build(land, workloads, &mut random)
}

/// So many members in 31 provinces under `cn`. Agencies of the country ask for about half of the
/// requests and may go to all members; agencies of a province mostly stay in it.
pub fn fleet(members: usize, requests: usize, seed: u64) -> Nation {
    build(land::fleet(members), requests, &mut Random::new(seed))
}

/// So many provinces, in each so many cities, in each of these so many counties with a member each.
/// Quota is plenty.
pub fn grid(sizes: [usize; 3], requests: usize, seed: u64) -> Nation {
    let mut nation = build(land::grid(sizes), requests, &mut Random::new(seed));
    let mut nodes = nation.snapshot.quotas.export();
    for line in nodes.iter_mut().flat_map(|node| node.lines.values_mut()) {
        *line = Line {
            guaranteed: 0,
            nominal: PLENTY,
            ceiling: PLENTY,
        };
    }
    let (quotas, problems) = QuotaTree::build(&nodes);
    debug_assert_eq!(problems, Vec::new());
    nation.snapshot.quotas = quotas;
    nation
}

fn build(mut land: Land, workloads: usize, random: &mut Random) -> Nation {
    let mut members = member::members(&land, random);
    land.weigh(&members);
    let agencies = tenant::agencies(&land, random);
    let (requests, asked) = request::requests(workloads, &land, &agencies, &members, random);
    member::fit(&mut members, &asked);
    let nodes = tenant::quotas(&land, &agencies, &member::capacity(&members));
    let (quotas, problems) = QuotaTree::build(&nodes);
    debug_assert_eq!(problems, Vec::new());
    let named = members.into_iter();
    let named = named.map(|of| (of.name.clone(), of.into()));
    let snapshot = Snapshot {
        now: NOW,
        members: named.collect(),
        flavors: member::flavors(),
        tenants: tenant::tenants(&land, &agencies),
        quotas,
        held: BTreeMap::new(),
        neighbours: BTreeMap::new(),
    };
    Nation { snapshot, requests }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use heyun_scheduler::quota::violations;
    use heyun_scheduler::snapshot::TenantKind;
    use heyun_scheduler::{Config, Outcome, schedule};

    use super::*;

    fn json(nation: &Nation) -> (String, String) {
        let snapshot = serde_json::to_string(&nation.snapshot).unwrap();
        (snapshot, serde_json::to_string(&nation.requests).unwrap())
    }

    fn valid(nation: &Nation) {
        let tree = &nation.snapshot.quotas;
        let nodes = tree.export();
        assert_eq!(nodes.len(), nation.snapshot.tenants.len());
        assert_eq!(QuotaTree::build(&nodes).1, Vec::new());
        assert_eq!(violations(&nodes, 100), Vec::new());
    }

    #[test]
    fn the_country_has_all_its_divisions_with_a_member_each() {
        let nation = country(100, 7);
        let Snapshot {
            members, tenants, ..
        } = &nation.snapshot;
        assert_eq!((members.len(), nation.requests.len()), (3208, 100));
        let tier = |tier: &str| {
            let of = members.values().filter(|of| of.labels["tier"] == tier);
            of.count()
        };
        assert_eq!(
            (tier("province"), tier("city"), tier("county")),
            (31, 333, 2844)
        );
        let regions = tenants.values().filter(|of| of.kind == TenantKind::Region);
        assert_eq!((regions.count(), tenants.len()), (1 + 3208, 1 + 3 * 3208));
        for (name, member) in members {
            assert_eq!((&member.region, &member.owner), (name, name));
            assert!(tenants.contains_key(name), "{name}");
        }
        let sound = members.values().filter(|of| member::is_sound(of)).count();
        assert!((3100..3190).contains(&sound), "{sound}");
    }

    #[test]
    fn the_quota_trees_are_valid() {
        valid(&country(100, 7));
        valid(&fleet(500, 100, 7));
        valid(&fleet(20, 50, 1));
    }

    #[test]
    fn a_grid_has_a_member_in_each_county() {
        let nation = grid([3, 2, 4], 1, 7);
        let names: BTreeSet<&str> = nation.snapshot.members.keys().map(String::as_str).collect();
        assert_eq!((names.len(), nation.requests.len()), (24, 1));
        assert!(names.contains("p03-c02-x04"), "{names:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_nation() {
        assert_eq!(json(&country(200, 7)), json(&country(200, 7)));
        assert_eq!(json(&fleet(40, 60, 7)), json(&fleet(40, 60, 7)));
        assert_ne!(json(&fleet(40, 60, 7)), json(&fleet(40, 60, 8)));
    }

    #[test]
    fn the_whole_country_has_room_for_what_is_asked() {
        let nation = country(100_000, 7);
        for resource in ["cpu", "memory"] {
            let asked = nation.requests.iter().map(request::asks);
            let asked: i64 = asked.map(|of| of.get(resource)).sum();
            let sketches = nation.snapshot.members.values().map(|of| &of.sketch);
            let shapes = sketches.flatten().flat_map(|sketch| &sketch.shapes);
            let free: i64 = shapes.map(|of| of.count * of.free.get(resource)).sum();
            let percent = i128::from(free) * 100 / i128::from(asked);
            assert!((138..=142).contains(&percent), "{resource}: {percent} %");
        }
        let components = nation.requests.iter().flat_map(|of| &of.components);
        let sizes: BTreeSet<_> = components
            .map(|of| (&of.per_replica, &of.architectures))
            .collect();
        assert!((150..=220).contains(&sizes.len()), "{} sizes", sizes.len());
    }

    #[test]
    fn a_small_fleet_takes_most_of_its_requests() {
        let nation = fleet(20, 50, 1);
        let config = Config::default();
        let verdicts = schedule(&nation.snapshot, &nation.requests, &config);
        let outcomes = verdicts.iter().map(|of| &of.outcome);
        let placed = outcomes.filter(|of| matches!(of, Outcome::Placed(_)));
        let placed = placed.count();
        assert_eq!(verdicts.len(), 50);
        assert!(placed > 40, "{placed} of 50");
    }
}
