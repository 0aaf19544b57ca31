//! Rules of Workloads for others of their tenant: which tenants have some, and what of a Workload the
//! others see. Where no one has such a rule nothing is told of anyone.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::placement::{PlacementSpec, WorkloadTerm};
use heyun_plan::observe::neighbours::{members, neighbour};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::{Held, Neighbour};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Entry, World};

/// By namespace, the Workloads and Placements in it that have rules for other Workloads.
pub(super) type Ruled = BTreeMap<String, BTreeSet<Ruler>>;

/// What has rules, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ruler {
    /// A Workload, in its own placement.
    Workload(String),
    /// A Placement.
    Placement(String),
}

impl World {
    /// Whether some Workload of the tenant that has this namespace may have a rule for others.
    pub fn has_rules(&self, namespace: &str) -> bool {
        if self.ruled.is_empty() {
            return false;
        }
        let tenant = self.tree.tenant_of(namespace);
        let mut namespaces = tenant.iter().flat_map(|tenant| &tenant.namespaces);
        namespaces.any(|name| self.ruled.contains_key(name))
    }

    /// The namespaces of all tenants that have rules.
    pub fn told(&self) -> BTreeSet<String> {
        let ruled = self.ruled.keys();
        let tenants = ruled.filter_map(|namespace| self.tree.tenant_of(namespace));
        tenants
            .flat_map(|tenant| tenant.namespaces.iter().cloned())
            .collect()
    }

    /// How others see a Workload that holds this. `next` are the members that it is about to use;
    /// `None`: those of its decision.
    pub fn neighbour(
        &self,
        key: &WorkloadKey,
        next: Option<&BTreeSet<String>>,
        held: &Held,
    ) -> Neighbour {
        let Some(entry) = self.workloads.get(key) else {
            // Its labels went with it.
            return neighbour(&ObjectMeta::default(), None, BTreeSet::new(), held);
        };
        let on = next.cloned().unwrap_or_else(|| uses(entry));
        neighbour(&entry.meta, self.placement_of(entry), on, held)
    }

    /// The placement in effect; `None` where it names one that is not there.
    pub fn placement_of<'w>(&'w self, entry: &'w Entry) -> Option<&'w PlacementSpec> {
        let Some(reference) = &entry.spec.placement_ref else {
            return entry.spec.placement.as_ref();
        };
        let name = format!("{}/{}", entry.key.namespace, reference.name);
        self.placements.get(&name).map(|placement| &placement.spec)
    }

    /// Whether others see a Workload in another way than before. Of one that has come nobody has seen
    /// anything.
    pub(super) fn is_seen_otherwise(&self, before: Option<&Entry>, now: &Entry) -> bool {
        fn rules<'w>(world: &'w World, entry: &'w Entry) -> Option<&'w [WorkloadTerm]> {
            let placement = world.placement_of(entry);
            placement.map(|placement| placement.workloads.as_slice())
        }
        self.has_rules(&now.key.namespace)
            && match before {
                None => !uses(now).is_empty(),
                Some(before) => {
                    before.meta.labels != now.meta.labels
                        || uses(before) != uses(now)
                        || rules(self, before) != rules(self, now)
                }
            }
    }

    /// Notes whether a Workload has rules of its own.
    pub(super) fn note_workload(&mut self, key: &WorkloadKey) {
        let own = self.workloads.get(key);
        let own = own.and_then(|entry| entry.spec.placement.as_ref());
        let has = own.is_some_and(|placement| !placement.workloads.is_empty());
        self.note_ruler(&key.namespace, Ruler::Workload(key.name.clone()), has);
    }

    /// Notes whether Placements that changed have rules; the namespaces in which one has or had some.
    /// What others see of the Workloads that use it is told anew.
    pub(super) fn note_placements(&mut self, changed: &BTreeSet<WorkloadKey>) -> BTreeSet<String> {
        let mut any = BTreeSet::new();
        for key in changed {
            let found = self.placements.get(&key.to_string());
            let has = found.is_some_and(|placement| !placement.spec.workloads.is_empty());
            let ruler = Ruler::Placement(key.name.clone());
            let had = self.note_ruler(&key.namespace, ruler, has);
            if has || had {
                any.insert(key.namespace.clone());
                let using = self.in_namespace(&key.namespace).filter(|entry| {
                    let reference = entry.spec.placement_ref.as_ref();
                    reference.is_some_and(|reference| reference.name == key.name)
                });
                let using: Vec<WorkloadKey> = using.map(|entry| entry.key.clone()).collect();
                self.touched.extend(using);
            }
        }
        any
    }

    /// Notes one that has rules or has none; whether it had some. With the first and the last of a tenant, what is told of
    /// its Workloads begins or ends.
    fn note_ruler(&mut self, namespace: &str, ruler: Ruler, has: bool) -> bool {
        let rulers = self.ruled.get(namespace);
        let had = rulers.is_some_and(|rulers| rulers.contains(&ruler));
        if has == had {
            return had;
        }
        let before = self.has_rules(namespace);
        if has {
            let rulers = self.ruled.entry(namespace.to_owned()).or_default();
            rulers.insert(ruler);
        } else if let Some(rulers) = self.ruled.get_mut(namespace) {
            rulers.remove(&ruler);
            if rulers.is_empty() {
                self.ruled.remove(namespace);
            }
        }
        if self.has_rules(namespace) == before {
            return had;
        }
        let tenant = self.tree.tenant_of(namespace);
        let namespaces = tenant.iter().flat_map(|tenant| &tenant.namespaces);
        let all = namespaces.flat_map(|name| self.in_namespace(name));
        let all: Vec<WorkloadKey> = all.map(|entry| entry.key.clone()).collect();
        self.touched.extend(all);
        had
    }

    fn in_namespace<'w>(&'w self, namespace: &'w str) -> impl Iterator<Item = &'w Entry> {
        let from = self.workloads.range(WorkloadKey::new(namespace, "")..);
        let here = from.take_while(move |(key, _)| key.namespace == namespace);
        here.map(|(_, entry)| &**entry)
    }
}

/// The members that its decision uses; none of one that goes.
fn uses(entry: &Entry) -> BTreeSet<String> {
    let decision = entry.status.decision.as_ref().filter(|_| !entry.deleting());
    decision.map(members).unwrap_or_default()
}
