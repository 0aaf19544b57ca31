//! The snapshot made ready for many decisions: names as numbers, shapes as rows, and the capacity
//! that earlier decisions of the batch have taken.
//!
//! It lives as long as flavors, tenants and the list of members stay the same: what one member says
//! of itself is taken in at a cost that depends on that member alone.

mod brief;
pub(crate) mod class;
mod kind;
mod lines;
mod lot;
mod numbered;
pub(crate) mod policy;
pub(crate) mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::capacity::{Each, Free, PLENTY};
use crate::neighbours::Neighbourhood;
use crate::resources::{PODS, Resources};
use crate::snapshot::{Level, Member, Readiness, Snapshot, Taint};

use brief::{Brief, Mark, Place};
use kind::Kind;
pub(crate) use lines::Left;
pub(crate) use lot::Lot;
use numbered::Numbered;

/// The longest path from a tenant to its root that is followed; a longer one is a cycle.
pub(crate) const MAX_DEPTH: usize = 64;

/// The fleet at one moment.
pub(crate) struct Fleet {
    /// What it was made from.
    pub(crate) snapshot: Snapshot,
    /// Members by name.
    pub(crate) sites: Vec<Site>,
    /// Nodes of one flavor on one member: all flavors of the first member, then of the next.
    pub(crate) lots: Vec<Lot>,
    /// What every decision looks at of every member: close together, since it is read so often.
    briefs: Vec<Brief>,
    /// What every new policy looks at of every member.
    places: Vec<Place>,
    /// The same of every lot.
    marks: Vec<Mark>,
    /// What is left below the red lines of every member.
    lines: Vec<Vec<Left>>,
    /// How many members have one.
    lined: usize,
    /// How many numbers it began with.
    fresh: usize,
    /// The last stamp that was given.
    pub(crate) stamped: u32,
    /// Flavors by name.
    pub(crate) flavors: Vec<String>,
    /// Distinct sets of APIs and classes that members offer.
    pub(crate) offers: Numbered<Offer>,
    /// Distinct kinds of members, as far as the rules ask but for where they stand and what they
    /// offer.
    kinds: Numbered<Kind>,
    /// A member of each kind, of which nothing else is known.
    pub(crate) of_kind: Vec<Member>,
    /// Distinct sets of node labels that sketches tell apart.
    pub(crate) key_sets: Numbered<BTreeSet<String>>,
    /// Distinct kinds of nodes.
    pub(crate) profiles: Numbered<Profile>,
    /// Distinct lists of prices of one flavor.
    pub(crate) prices: Numbered<BTreeMap<String, i64>>,
    /// What was ever in flight, by size: each has a number.
    pub(crate) sizes: Numbered<Each>,
    /// Members of which the rules may say something else now, one after the other.
    pub(crate) changed: Vec<usize>,
    /// When the rules say something else of a member though nothing changed but the time.
    turns: BTreeSet<(i64, usize)>,
    /// Seconds for which a member that is not ready is tolerated.
    tolerated: i64,
    resources: BTreeMap<String, usize>,
    /// How many members name each resource on their nodes.
    named: BTreeMap<String, usize>,
    /// Numbers of the regions in which members stand.
    regions: BTreeMap<String, NonZeroU32>,
    /// Lots in which something was assumed since the last [`Fleet::forget`].
    assumed: Vec<usize>,
    /// Who is where, as far as workloads ask.
    pub(crate) neighbours: Neighbourhood,
}

/// What a member offers to manifests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offer {
    /// The APIs it serves; `None` while they are not known.
    pub(crate) apis: Option<BTreeSet<String>>,
    /// The platform's classes that it maps.
    pub(crate) classes: BTreeSet<String>,
}

/// One member.
pub(crate) struct Site {
    /// Its name.
    pub(crate) name: String,
    /// What the snapshot says of it.
    pub(crate) member: Arc<Member>,
    /// The region on whose ground it stands, and every region above.
    pub(crate) regions: Vec<String>,
    /// The same as numbers: see [`Fleet::region_id`].
    pub(crate) region_ids: Vec<NonZeroU32>,
    /// Their levels of government.
    pub(crate) levels: Vec<Option<Level>>,
    /// The number of its kind.
    pub(crate) kind: usize,
    /// The number of what it offers.
    pub(crate) offer: usize,
    /// The number of the set of node labels that its sketch tells apart; `None` without a sketch.
    key_set: Option<usize>,
}

/// What tells nodes apart besides their free amounts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Profile {
    /// The flavor, as an index into [`Fleet::flavors`].
    pub(crate) flavor: usize,
    /// Labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Taints.
    pub(crate) taints: Vec<Taint>,
}

/// A member that the fleet does not know, or that names other resources than all others: the fleet
/// is to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unlike;

impl Fleet {
    /// The fleet of a snapshot before any decision; a member that is not ready is tolerated for so
    /// many seconds.
    pub(crate) fn new(snapshot: Snapshot, tolerated: i64) -> Self {
        let flavors: Vec<String> = snapshot.flavors.keys().cloned().collect();
        let members: Vec<Arc<Member>> = snapshot.members.values().map(Arc::clone).collect();
        let mut named: BTreeMap<String, usize> = BTreeMap::new();
        for member in &members {
            for name in resource_names(member) {
                *named.entry(name.to_owned()).or_default() += 1;
            }
        }
        let names = named.keys().filter(|name| *name != PODS);
        let ids = names.zip(1..).map(|(name, id)| (name.clone(), id));
        let resources = ids.chain([(PODS.to_owned(), 0)]).collect();
        let names: Vec<String> = snapshot.members.keys().cloned().collect();
        let lots = members.len() * flavors.len();
        let mut fleet = Self {
            neighbours: Neighbourhood::new(&snapshot),
            snapshot,
            sites: Vec::with_capacity(members.len()),
            lots: std::iter::repeat_with(Lot::default).take(lots).collect(),
            briefs: Vec::with_capacity(members.len()),
            places: Vec::with_capacity(members.len()),
            marks: vec![Mark::default(); lots],
            lines: vec![Vec::new(); members.len()],
            lined: 0,
            fresh: 0,
            stamped: 0,
            flavors,
            offers: Numbered::default(),
            kinds: Numbered::default(),
            of_kind: Vec::new(),
            key_sets: Numbered::default(),
            profiles: Numbered::default(),
            prices: Numbered::default(),
            sizes: Numbered::default(),
            changed: Vec::new(),
            turns: BTreeSet::new(),
            tolerated,
            resources,
            named,
            regions: BTreeMap::new(),
            assumed: Vec::new(),
        };
        for (index, (name, member)) in names.into_iter().zip(members).enumerate() {
            let site = fleet.site_of(name, member);
            fleet.turns.extend(fleet.turn(&site.member, index));
            fleet.briefs.push(Brief::of(&site));
            fleet.places.push(Place::of(&site));
            fleet.sites.push(site);
            fleet.fill(index);
        }
        fleet.fresh = fleet.numbers();
        fleet
    }

    fn site_of(&mut self, name: String, member: Arc<Member>) -> Site {
        let regions: Vec<String> = ancestors(&self.snapshot, &member.region)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let level = |region: &String| self.snapshot.tenants.get(region)?.level;
        let levels = regions.iter().map(level).collect();
        let region_ids = regions.iter().map(|region| self.number_region(region));
        let region_ids = region_ids.collect();
        let offer = self.offers.number(&Offer {
            apis: member.apis.clone(),
            classes: member.classes.clone(),
        });
        let kind = self.kinds.number(&Kind::of(&member));
        if let Some(kind) = self.kinds.get(kind).filter(|_| kind == self.of_kind.len()) {
            self.of_kind.push(kind.member());
        }
        let sketch = member.sketch.as_ref();
        Site {
            name,
            kind,
            regions,
            region_ids,
            levels,
            offer,
            key_set: sketch.map(|sketch| self.key_sets.number(&sketch.keys)),
            member,
        }
    }

    /// How many numbers were given since the fleet was made: they stay when nothing has them any more.
    pub(crate) fn numbers(&self) -> usize {
        let now = [
            self.kinds.all().len(),
            self.offers.all().len(),
            self.key_sets.all().len(),
            self.profiles.all().len(),
            self.prices.all().len(),
            self.sizes.all().len(),
        ];
        let all = now
            .iter()
            .fold(0_usize, |sum, one| sum.saturating_add(*one));
        all.saturating_sub(self.fresh)
    }

    /// When the rules turn for a member: the first second in which it is not tolerated any more, and
    /// the first in which its filing is not valid.
    fn turn(&self, member: &Member, site: usize) -> impl Iterator<Item = (i64, usize)> + use<> {
        let expired = member.mlps.and_then(|filing| filing.valid_until);
        let unready = match member.readiness {
            Readiness::NotReady { since } => Some(since.saturating_add(self.tolerated)),
            _ => None,
        };
        let turns = expired.into_iter().chain(unready);
        turns.map(move |last| (last.saturating_add(1), site))
    }

    /// Sets the moment of the decisions.
    pub(crate) fn set_now(&mut self, now: i64) {
        let (from, to) = (self.snapshot.now.min(now), self.snapshot.now.max(now));
        self.snapshot.now = now;
        let turned = self.turns.range((from.saturating_add(1), 0)..);
        let turned = turned.take_while(|(at, _)| *at <= to);
        self.changed.extend(turned.map(|(_, site)| *site));
    }

    /// Takes in what a member is now; costs what that member has.
    ///
    /// # Errors
    /// Where the fleet has to be made anew; the snapshot has the member all the same.
    pub(crate) fn set_member(&mut self, name: &str, member: Arc<Member>) -> Result<(), Unlike> {
        let before = self.snapshot.members.get(name).map(Arc::clone);
        self.snapshot
            .members
            .insert(name.to_owned(), Arc::clone(&member));
        let (Some(before), Some(index)) = (before, self.site(name)) else {
            return Err(Unlike);
        };
        self.count_names(&before, &member)?;
        if speaks_to_rules(&before, &member) {
            let old: Vec<_> = self.turn(&before, index).collect();
            for turn in old {
                self.turns.remove(&turn);
            }
            self.turns.extend(self.turn(&member, index));
            let site = self.site_of(name.to_owned(), member);
            if let Some(brief) = self.briefs.get_mut(index) {
                *brief = Brief::of(&site);
            }
            if let Some(place) = self.places.get_mut(index) {
                *place = Place::of(&site);
            }
            if let Some(place) = self.sites.get_mut(index) {
                *place = site;
            }
            self.changed.push(index);
        } else if let Some(site) = self.sites.get_mut(index) {
            site.member = member;
        }
        self.fill(index);
        Ok(())
    }

    /// Counts which resources nodes name.
    fn count_names(&mut self, before: &Member, after: &Member) -> Result<(), Unlike> {
        let (old, new) = (resource_names(before), resource_names(after));
        let mut unlike = false;
        for name in old.difference(&new) {
            if let Some(count) = self.named.get_mut(*name) {
                *count = count.saturating_sub(1);
                unlike |= *count == 0;
            }
        }
        for name in new.difference(&old) {
            match self.named.get_mut(*name) {
                Some(count) => *count = count.saturating_add(1),
                None => unlike = true,
            }
        }
        if unlike { Err(Unlike) } else { Ok(()) }
    }

    /// The index of a flavor.
    pub(crate) fn flavor(&self, name: &str) -> Option<usize> {
        let found = self.flavors.binary_search_by(|flavor| (**flavor).cmp(name));
        found.ok()
    }

    /// The name of a flavor.
    pub(crate) fn flavor_name(&self, flavor: usize) -> &str {
        self.flavors.get(flavor).map_or("", String::as_str)
    }

    fn number_region(&mut self, name: &str) -> NonZeroU32 {
        if let Some(known) = self.regions.get(name) {
            return *known;
        }
        let next = u32::try_from(self.regions.len()).unwrap_or(u32::MAX);
        let next = NonZeroU32::MIN.saturating_add(next);
        self.regions.insert(name.to_owned(), next);
        next
    }

    /// The number of a region; `None` when no member stands in it.
    pub(crate) fn region_id(&self, name: &str) -> Option<NonZeroU32> {
        self.regions.get(name).copied()
    }

    /// The name of a member.
    pub(crate) fn name(&self, site: usize) -> &str {
        self.sites.get(site).map_or("", |site| &*site.name)
    }

    /// The index of a member.
    pub(crate) fn site(&self, name: &str) -> Option<usize> {
        let found = self.sites.binary_search_by(|site| (*site.name).cmp(name));
        found.ok()
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
    pub(crate) fn resource_name(&self, id: usize) -> &str {
        self.resources
            .iter()
            .find(|(_, known)| **known == id)
            .map_or("", |(name, _)| name)
    }

    fn row(&self, free: &Resources) -> Free {
        let mut row = Free::from_elem(0, self.resources.len());
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
}

/// Whether the rules look at anything that differs.
fn speaks_to_rules(before: &Member, after: &Member) -> bool {
    fn facts(member: &Member) -> impl PartialEq + '_ {
        let keys = member.sketch.as_ref().map(|sketch| &sketch.keys);
        (
            (&member.labels, member.readiness, member.unschedulable),
            (&member.taints, &member.provider, &member.operator),
            (&member.zone, member.mlps, &member.region, &member.owner),
            (&member.apis, &member.classes, keys),
        )
    }
    facts(before) != facts(after)
}

/// The resources that a member's nodes name.
fn resource_names(member: &Member) -> BTreeSet<&str> {
    let shapes = member.sketch.iter().flat_map(|sketch| &sketch.shapes);
    let free = shapes.flat_map(|shape| shape.free.iter());
    free.map(|(name, _)| name).collect()
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
