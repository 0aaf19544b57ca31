//! The snapshot made ready for many decisions: names as numbers, shapes as rows, and the capacity
//! that earlier decisions of the batch have taken.

pub(crate) mod class;
pub(crate) mod policy;

use std::collections::{BTreeMap, BTreeSet};

use crate::capacity::{Each, Flying, Nodes, PLENTY};
use crate::resources::{PODS, Resources};
use crate::snapshot::{Level, Member, Snapshot, Taint};

/// The longest path from a tenant to its root that is followed; a longer one is a cycle.
pub(crate) const MAX_DEPTH: usize = 64;

/// The fleet at one moment of the batch.
pub(crate) struct Fleet<'a> {
    /// What it was made from.
    pub(crate) snapshot: &'a Snapshot,
    /// Members by name.
    pub(crate) sites: Vec<Site<'a>>,
    /// Nodes of one flavor on one member.
    pub(crate) lots: Vec<Lot>,
    /// Flavors by name.
    pub(crate) flavors: Vec<&'a str>,
    /// Of each set of APIs and classes, one member that offers it.
    pub(crate) offer_sets: Vec<usize>,
    /// Distinct sets of node labels that sketches tell apart.
    pub(crate) key_sets: Vec<&'a BTreeSet<String>>,
    /// Distinct kinds of nodes.
    pub(crate) profiles: Vec<Profile<'a>>,
    /// What was ever in flight, by size: each has a number.
    pub(crate) sizes: Sizes,
    resources: BTreeMap<&'a str, usize>,
    /// Numbers of the regions in which members stand.
    regions: BTreeMap<&'a str, u32>,
}

/// Sizes of replicas, numbered as they come.
#[derive(Default)]
pub(crate) struct Sizes {
    numbers: BTreeMap<Each, usize>,
    by_number: Vec<Each>,
}

impl Sizes {
    fn number(&mut self, each: &Each) -> usize {
        if let Some(known) = self.numbers.get(each) {
            return *known;
        }
        let next = self.by_number.len();
        self.numbers.insert(each.clone(), next);
        self.by_number.push(each.clone());
        next
    }

    /// The size of a number.
    pub(crate) fn get(&self, number: usize) -> Option<&Each> {
        self.by_number.get(number)
    }
}

/// One member.
pub(crate) struct Site<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What the snapshot says of it.
    pub(crate) member: &'a Member,
    /// The region on whose ground it stands, and every region above.
    pub(crate) regions: Vec<&'a str>,
    /// The same as numbers: see [`Fleet::region_id`].
    pub(crate) region_ids: Vec<u32>,
    /// Their levels of government.
    pub(crate) levels: Vec<Option<Level>>,
    /// What it offers to manifests: members of one set serve the same APIs and map the same classes.
    pub(crate) offer_set: usize,
    /// The set of node labels that its sketch tells apart; `None` without a sketch.
    pub(crate) key_set: Option<usize>,
    /// Its lots, as indices into [`Fleet::lots`].
    pub(crate) lots: std::ops::Range<usize>,
}

/// Nodes of one flavor on one member.
pub(crate) struct Lot {
    /// The flavor, as an index into [`Fleet::flavors`].
    pub(crate) flavor: usize,
    /// Nodes with their profiles.
    pub(crate) nodes: Vec<(usize, Nodes)>,
    /// What is in flight, one group per size.
    pub(crate) flying: Vec<Flying>,
    /// The sum of what is in flight, per resource id.
    pub(crate) flown: Vec<i64>,
    /// What came into flight, one after the other: the number of its size, and replicas.
    pub(crate) log: Vec<(usize, i64)>,
}

/// What tells nodes apart besides their free amounts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Profile<'a> {
    /// The flavor, as an index into [`Fleet::flavors`].
    pub(crate) flavor: usize,
    /// Labels.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// Taints.
    pub(crate) taints: &'a [Taint],
}

impl<'a> Fleet<'a> {
    /// The fleet of a snapshot before any decision.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let flavors: Vec<&str> = snapshot.flavors.keys().map(String::as_str).collect();
        let mut fleet = Self {
            snapshot,
            sites: Vec::with_capacity(snapshot.members.len()),
            lots: Vec::new(),
            flavors,
            offer_sets: Vec::new(),
            key_sets: Vec::new(),
            profiles: Vec::new(),
            sizes: Sizes::default(),
            resources: resource_ids(snapshot),
            regions: BTreeMap::new(),
        };
        let mut profiles = BTreeMap::new();
        let mut offer_sets = BTreeMap::new();
        for (name, member) in &snapshot.members {
            let next = offer_sets.len();
            let offer_set = *offer_sets
                .entry((&member.apis, &member.classes))
                .or_insert(next);
            if offer_set == next {
                fleet.offer_sets.push(fleet.sites.len());
            }
            fleet.add(name, member, offer_set, &mut profiles);
        }
        fleet.number_key_sets();
        fleet
    }

    fn add(
        &mut self,
        name: &'a str,
        member: &'a Member,
        offer_set: usize,
        profiles: &mut BTreeMap<Profile<'a>, usize>,
    ) {
        let first = self.lots.len();
        let mut by_flavor: BTreeMap<usize, Lot> = BTreeMap::new();
        for shape in member.sketch.iter().flat_map(|sketch| &sketch.shapes) {
            let Some(flavor) = shape.flavor.as_deref().and_then(|name| self.flavor(name)) else {
                continue;
            };
            let profile = Profile {
                flavor,
                labels: &shape.labels,
                taints: &shape.taints,
            };
            let known = profiles.len();
            let id = *profiles.entry(profile).or_insert(known);
            if id == known {
                self.profiles.push(profile);
            }
            let nodes = Nodes {
                count: shape.count.max(0),
                free: self.row(&shape.free),
            };
            let lot = by_flavor.entry(flavor).or_insert_with(|| Lot {
                flavor,
                nodes: Vec::new(),
                flying: Vec::new(),
                flown: Vec::new(),
                log: Vec::new(),
            });
            lot.nodes.push((id, nodes));
        }
        for flight in &member.in_flight {
            let flavor = self.flavor(&flight.flavor);
            if let Some(lot) = flavor.and_then(|flavor| by_flavor.get_mut(&flavor)) {
                let each = self.each(&flight.per_replica);
                let size = self.sizes.number(&each);
                lot.fly(each, size, flight.replicas);
            }
        }
        self.lots.extend(by_flavor.into_values());
        let regions = ancestors(self.snapshot, &member.region);
        let level = |region: &&str| self.snapshot.tenants.get(*region)?.level;
        let levels = regions.iter().map(level).collect();
        let region_ids = regions.iter().map(|region| self.number_region(region));
        let region_ids = region_ids.collect();
        self.sites.push(Site {
            name,
            member,
            regions,
            region_ids,
            levels,
            offer_set,
            key_set: None,
            lots: first..self.lots.len(),
        });
    }

    fn number_key_sets(&mut self) {
        let mut known: BTreeMap<&BTreeSet<String>, usize> = BTreeMap::new();
        for site in &mut self.sites {
            let Some(sketch) = &site.member.sketch else {
                continue;
            };
            let next = known.len();
            let number = *known.entry(&sketch.keys).or_insert(next);
            if number == next {
                self.key_sets.push(&sketch.keys);
            }
            site.key_set = Some(number);
        }
    }

    /// The index of a flavor.
    pub(crate) fn flavor(&self, name: &str) -> Option<usize> {
        self.flavors.binary_search(&name).ok()
    }

    fn number_region(&mut self, name: &'a str) -> u32 {
        let next = u32::try_from(self.regions.len()).unwrap_or(u32::MAX);
        *self.regions.entry(name).or_insert(next)
    }

    /// The number of a region; `None` when no member stands in it.
    pub(crate) fn region_id(&self, name: &str) -> Option<u32> {
        self.regions.get(name).copied()
    }

    /// The index of a member.
    pub(crate) fn site(&self, name: &str) -> Option<usize> {
        self.sites.binary_search_by(|site| site.name.cmp(name)).ok()
    }

    /// A request per resource id, with one of `pods`; a resource that no node has gets an id
    /// beyond all rows.
    pub(crate) fn each(&self, per_replica: &Resources) -> Each {
        let beyond = self.resources.len();
        let id = |name: &str| self.resources.get(name).copied().unwrap_or(beyond);
        let mut each: Each = per_replica
            .iter()
            .filter(|(_, amount)| *amount > 0)
            .map(|(name, amount)| (id(name), amount))
            .collect();
        if per_replica.get(PODS) <= 0 {
            each.push((id(PODS), 1));
        }
        each.sort_unstable();
        each
    }

    /// The name of a resource id; empty for one that no node has.
    pub(crate) fn resource_name(&self, id: usize) -> &'a str {
        self.resources
            .iter()
            .find(|(_, known)| **known == id)
            .map_or("", |(name, _)| name)
    }

    fn row(&self, free: &Resources) -> Vec<i64> {
        let mut row = vec![0; self.resources.len()];
        for (name, id) in &self.resources {
            if let Some(cell) = row.get_mut(*id) {
                let unbounded = *name == PODS && !free.contains(PODS);
                *cell = if unbounded {
                    PLENTY
                } else {
                    free.get(name).clamp(0, i64::MAX)
                };
            }
        }
        row
    }

    /// Counts replicas as in flight on a lot.
    pub(crate) fn assume(&mut self, lot: usize, each: Each, replicas: i64) {
        let size = self.sizes.number(&each);
        if let Some(lot) = self.lots.get_mut(lot) {
            lot.fly(each, size, replicas);
        }
    }

    /// The lot of a flavor on a site.
    pub(crate) fn lot_of(&self, site: usize, flavor: usize) -> Option<usize> {
        let mut lots = self.sites.get(site)?.lots.clone();
        lots.find(|lot| self.lots.get(*lot).is_some_and(|lot| lot.flavor == flavor))
    }
}

impl Lot {
    fn fly(&mut self, each: Each, size: usize, replicas: i64) {
        if replicas <= 0 {
            return;
        }
        self.log.push((size, replicas));
        for (resource, amount) in &each {
            if self.flown.len() <= *resource {
                self.flown.resize(*resource + 1, 0);
            }
            if let Some(sum) = self.flown.get_mut(*resource) {
                *sum = sum.saturating_add(amount.saturating_mul(replicas));
            }
        }
        match self.flying.iter_mut().find(|group| group.each == each) {
            Some(group) => group.replicas = group.replicas.saturating_add(replicas),
            None => self.flying.push(Flying { each, replicas }),
        }
    }
}

fn resource_ids(snapshot: &Snapshot) -> BTreeMap<&str, usize> {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::from([(PODS, 0)]);
    let sketches = snapshot
        .members
        .values()
        .filter_map(|member| member.sketch.as_ref());
    for (name, _) in sketches
        .flat_map(|sketch| &sketch.shapes)
        .flat_map(|shape| shape.free.iter())
    {
        let next = ids.len();
        ids.entry(name).or_insert(next);
    }
    ids
}

/// A tenant and all above it, nearest first; at most [`MAX_DEPTH`].
pub(crate) fn ancestors<'a>(snapshot: &'a Snapshot, tenant: &'a str) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut at = Some(tenant).filter(|tenant| !tenant.is_empty());
    while let Some(name) = at {
        if path.len() >= MAX_DEPTH || path.contains(&name) {
            break;
        }
        path.push(name);
        at = snapshot
            .tenants
            .get(name)
            .and_then(|tenant| tenant.parent.as_deref());
    }
    path
}
