//! What happened that can let in one that waits, as the world takes it in.

use std::collections::BTreeSet;

use heyun_crds::{Flavor, MemberCluster, Quota, Sketch};
use heyun_plan::observe::happened as to;
use heyun_scheduler::quota::Key;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::Held;
use heyun_scheduler::wake::Event;
use kube::ResourceExt as _;

use super::Named as _;
use super::{Dirty, World};
use crate::seeded::{self, Bug};
use crate::watch::Change;

/// With more events at once, all that wait are woken instead.
const MOST: usize = 4096;

/// Events, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened(BTreeSet<Event>);

impl Happened {
    /// Notes an event.
    pub fn note(&mut self, event: Event) {
        if self.0.len() < MOST {
            self.0.insert(event);
        } else {
            self.0 = BTreeSet::from([Event::Anything]);
        }
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each event.
    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.0.iter()
    }
}

impl Extend<Event> for Happened {
    fn extend<T: IntoIterator<Item = Event>>(&mut self, events: T) {
        events.into_iter().for_each(|event| self.note(event));
    }
}

impl IntoIterator for Happened {
    type Item = Event;
    type IntoIter = std::collections::btree_set::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl World {
    /// A tenant and all above it, the root last; none where it has no place in the tree.
    pub fn lineage(&self, tenant: &str) -> Vec<String> {
        let lineage = self.tree.lineage(tenant);
        lineage.map(|node| node.name.clone()).collect()
    }

    /// The tenant of a namespace and all above it.
    pub fn lineage_of(&self, namespace: &str) -> Vec<String> {
        let tenant = self.tree.tenant_of(namespace);
        tenant.map_or_else(Vec::new, |tenant| self.lineage(&tenant.name))
    }

    /// The flavor as an event on a member names it: where the member has red lines, all share them.
    pub fn flavor_at(&self, member: &str, flavor: &str) -> Option<String> {
        let lined = self.members.get(member);
        let lined = lined.is_some_and(|of| !of.spec.max_utilization.is_empty());
        (!lined).then(|| flavor.to_owned())
    }

    /// What is held no longer by a Workload, or by a Work of it: another may have it.
    pub fn freed(&self, key: &WorkloadKey, before: &Held, now: &Held) -> Vec<Event> {
        let freed = parted(before, now);
        if freed.is_empty() || seeded::is(Bug::Unblock) {
            return Vec::new();
        }
        let tenants = if seeded::is(Bug::Above) {
            let own = self.tree.tenant_of(&key.namespace);
            own.map(|own| own.name.clone()).into_iter().collect()
        } else {
            self.lineage_of(&key.namespace)
        };
        let mut events = vec![Event::Entitled {
            tenants: tenants.clone(),
        }];
        if self.has_rules(&key.namespace) {
            // Where it was leaving, others may come now.
            events.push(self.seen_otherwise(&key.namespace));
        }
        for (member, flavor, resources) in freed {
            events.push(Event::CapacityFreed {
                member: member.to_owned(),
                flavor: self.flavor_at(member, flavor),
            });
            events.extend(resources.into_iter().map(|resource| Event::QuotaReleased {
                tenants: tenants.clone(),
                key: Key::new(flavor, resource),
            }));
        }
        events
    }

    /// What a sketch that comes means to those that wait; none where it does not say all.
    pub(super) fn seen_sketch(&self, change: &Change<Sketch>) -> Option<Vec<Event>> {
        let Change::Apply(new) = change else {
            return None;
        };
        let member = new.table_name();
        let lined = self.flavor_at(&member, "").is_none();
        let before = self.sketches.get(&member);
        Some(to::to_sketch(&member, lined, before, new))
    }

    /// Holds a member as it was written, with what that means to those that wait.
    pub fn put_member(&mut self, object: MemberCluster, happened: &mut Happened) {
        let events = to::to_member(self.members.get(&object.name_any()), &object);
        if self.members.put(object).is_some() {
            happened.extend(events);
        }
    }

    /// Notes that what counts of a tenant's quota changed; `moved`: it stands elsewhere in the tree.
    pub fn note_quota(&self, tenant: &str, moved: bool, dirty: &mut Dirty) {
        // Without its place it is not known whom it concerns.
        let tenants = if moved {
            Vec::new()
        } else {
            self.lineage(tenant)
        };
        let claims = [
            Event::Entitled {
                tenants: tenants.clone(),
            },
            Event::Stands {
                tenants: tenants.clone(),
                priority: i32::MAX,
                borrows: true,
            },
            Event::QuotaChanged { tenants },
        ];
        dirty.happened.extend(claims);
    }

    /// Whether what counts of a Quota has another parent than what is held of it.
    pub fn is_moved(&self, new: &Quota) -> bool {
        let parent = |of: &Quota| of.effective().and_then(|of| of.parent.clone());
        let held = self.quotas.get(&new.name_any());
        held.is_some_and(|held| parent(held) != parent(new))
    }

    /// Whether a Flavor says what the one held says: then only its status changed.
    pub(super) fn flavor_is(&self, new: &Flavor) -> bool {
        let held = self.flavors.get(&new.name_any());
        held.is_some_and(|held| held.spec == new.spec)
    }

    /// That others of its tenant see a Workload otherwise.
    pub(super) fn seen_otherwise(&self, namespace: &str) -> Event {
        let tenant = self.tree.tenant_of(namespace);
        let tenant = tenant.map(|tenant| tenant.name.clone());
        Event::NeighbourChanged { tenant }
    }
}

/// Where less is held than before: member, flavor, and the resources of which less is charged.
pub fn parted<'h>(before: &'h Held, now: &Held) -> Vec<(&'h str, &'h str, Vec<&'h str>)> {
    let mut parted = Vec::new();
    for had in &before.entries {
        let place = (&had.member, &had.component, &had.flavor);
        let mut all = now.entries.iter();
        let has = all.find(|has| (&has.member, &has.component, &has.flavor) == place);
        let less =
            |resource: &str, amount: i64| has.is_none_or(|has| has.charge.get(resource) < amount);
        let charge = had.charge.iter();
        let resources: Vec<&str> = charge
            .filter(|(resource, amount)| less(resource, *amount))
            .map(|(resource, _)| resource)
            .collect();
        let fewer = has.is_none_or(|has| has.replicas < had.replicas);
        if fewer || !resources.is_empty() {
            parted.push((&*had.member, &*had.flavor, resources));
        }
    }
    parted
}
