//! The world as the loop knows it: every object of ours, without manifests parsed.
//!
//! A plain structure, synchronous and without I/O: watches and finished writes change it, the
//! loop reads it. An object that comes late (an older resourceVersion than the one held) changes
//! nothing.

mod entry;
mod happened;
mod kinds;
mod listing;
mod neighbours;
mod packed;
mod requests;
mod watched;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::flavor::FlavorSpec;
use heyun_crds::labels::{ARCH, TENANT_UID};
use heyun_crds::{
    Approval, ApprovalPolicy, Flavor, MemberCluster, Placement, PriceBook, Quota, ResourceRequest,
    Sketch, Tenant, Work, Workload,
};
use heyun_plan::member_names::work_name;
use heyun_plan::preempt::Class;
use heyun_plan::tenants::{self, TenantTree};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::Held;
use heyun_scheduler::wake::Event;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::ResourceExt;

pub use entry::{Entry, WorkEntry, digest, version};
pub use happened::{Happened, parted};
pub use kinds::{Named, Table};
pub use listing::Listing;
pub use packed::Packed;

use crate::watch::{Change, KINDS, Seen};

/// Most label keys that a sketch tells apart.
const LABEL_KEYS_MAX: usize = 64;
/// Label keys that each namespace's Workloads get before any other's get more.
const LABEL_KEYS_EACH: usize = 4;

/// Name of a Work with the member it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkKey {
    /// The member.
    pub member: String,
    /// Name of the Work.
    pub name: String,
}

/// What changed since the loop last looked, by what it has to look at.
#[derive(Debug, Default)]
pub struct Dirty {
    /// Workloads that changed themselves, or whose Works did.
    pub workloads: BTreeSet<WorkloadKey>,
    /// Tenants, or namespaces of theirs, changed.
    pub tenants: bool,
    /// Quotas changed, or what is granted to them.
    pub quotas: bool,
    /// What is shown of ResourceRequests may have changed.
    pub requests: bool,
    /// Members that changed in spec or status.
    pub members: BTreeSet<String>,
    /// Flavors changed.
    pub flavors: bool,
    /// Placements that changed, as namespace/name.
    pub placements: BTreeSet<WorkloadKey>,
    /// What happened that may let in what waits: capacity, quota, readiness, a release.
    pub happened: Happened,
}

/// Every object of ours.
#[derive(Debug, Default)]
pub struct World {
    /// Members by name.
    pub members: Table<MemberCluster>,
    /// Sketches by member.
    pub sketches: Table<Sketch>,
    /// Flavors by name.
    pub flavors: Table<Flavor>,
    /// Tenants by name.
    pub tenants: Table<Tenant>,
    /// Quotas by name, which is the tenant's.
    pub quotas: Table<Quota>,
    /// ResourceRequests by namespace/name.
    pub requests: Table<ResourceRequest>,
    /// Approvals by namespace/name.
    pub approvals: Table<Approval>,
    /// ApprovalPolicies by name.
    pub policies: Table<ApprovalPolicy>,
    /// Placements by namespace/name.
    pub placements: Table<Placement>,
    /// Workloads by namespace/name.
    pub workloads: BTreeMap<WorkloadKey, Box<Entry>>,
    /// Works by member and name.
    pub works: BTreeMap<WorkKey, Box<WorkEntry>>,
    /// Works of each Workload.
    pub works_of: BTreeMap<WorkloadKey, BTreeSet<WorkKey>>,
    /// Namespaces of the hub, by name.
    pub namespaces: Table<Namespace>,
    /// PriorityClasses of the hub, by name.
    pub priorities: Table<PriorityClass>,
    /// Price books by name.
    pub prices: Table<PriceBook>,
    /// The tenant tree, computed from `tenants` and `namespaces`.
    pub tree: TenantTree,
    /// Specs of the Flavors, by name.
    pub flavor_specs: BTreeMap<String, FlavorSpec>,
    /// Workloads of which the decision or a Work changed since this was last taken.
    pub touched: BTreeSet<WorkloadKey>,
    ruled: neighbours::Ruled,
    listed_workloads: Listing<WorkloadKey>,
    listed_works: Listing<WorkKey>,
    complete: usize,
    highest: i64,
}

impl World {
    /// Whether every kind was listed once.
    pub fn is_complete(&self) -> bool {
        self.complete >= KINDS
    }

    /// Highest epoch that was seen in any decision or Work.
    pub fn highest_epoch(&self) -> i64 {
        self.highest
    }

    /// Takes in what a watch saw.
    pub fn see(&mut self, seen: Seen, dirty: &mut Dirty) {
        match seen {
            Seen::MemberCluster(change) => self.see_member(change, dirty),
            Seen::Sketch(change) => self.see_sketch(change, dirty),
            Seen::Flavor(change) => {
                // What is shown of it follows from the members.
                let same = matches!(&change, Change::Apply(new) if self.flavor_is(new));
                let effect = self.flavors.take(change);
                self.note(effect.completed);
                if effect.changed() && !same {
                    dirty.happened.note(Event::FlavorChanged);
                }
                dirty.flavors |= effect.changed();
                self.flavor_specs = self
                    .flavors
                    .iter()
                    .map(|(n, f)| (n.clone(), f.spec.clone()))
                    .collect();
            }
            Seen::Tenant(change) => {
                // What it means to those that wait is told once the tree is planted anew.
                let effect = self.tenants.take(change);
                self.note(effect.completed);
                dirty.tenants |= effect.changed();
            }
            Seen::Quota(change) => {
                // What is shown of it follows from the rest, and is shown when that changes.
                let same = matches!(&change, Change::Apply(new) if self.quota_is(new));
                let moved = matches!(&change, Change::Apply(new) if self.is_moved(new));
                let effect = self.quotas.take(change);
                self.note(effect.completed);
                for name in effect.names.iter().filter(|_| !same) {
                    self.note_quota(name, moved, dirty);
                }
                dirty.quotas |= effect.changed() && !same;
                dirty.requests |= effect.changed() && !same;
            }
            Seen::ResourceRequest(change) => {
                let effect = self.requests.take(change);
                self.see_requests(effect, dirty);
            }
            Seen::Approval(change) => {
                let effect = self.approvals.take(change);
                self.see_requests(effect, dirty);
            }
            Seen::ApprovalPolicy(change) => {
                let effect = self.policies.take(change);
                self.see_requests(effect, dirty);
            }
            Seen::Placement(change) => self.see_placement(change, dirty),
            Seen::Namespace(change) => {
                // Whose it is alone matters: others write labels and annotations there too.
                let same = matches!(&change, Change::Apply(new) if self.namespace_is(new));
                let effect = self.namespaces.take(change);
                self.note(effect.completed);
                dirty.tenants |= effect.completed || effect.changed() && !same;
            }
            Seen::PriorityClass(change) => {
                let effect = self.priorities.take(change);
                self.note(effect.completed);
                dirty.tenants |= effect.changed();
                if effect.changed() {
                    // A class says who goes before whom, and who makes room.
                    dirty.happened.note(Event::Anything);
                }
            }
            Seen::PriceBook(change) => {
                // What is decided next sees it: no price moves what is placed, or lets in what waits.
                let effect = self.prices.take(change);
                self.note(effect.completed);
            }
            Seen::Workload(change) => self.see_workload(change, dirty),
            Seen::Work(change) => self.see_work(change, dirty),
            // No object of ours: the loop takes it in beside the world.
            Seen::Secrets { .. } => {}
        }
    }

    fn see_sketch(&mut self, change: Change<Sketch>, dirty: &mut Dirty) {
        let seen = self.seen_sketch(&change);
        let effect = self.sketches.take(change);
        self.note(effect.completed);
        for member in &effect.names {
            let told = seen.clone().unwrap_or_else(|| {
                let (member, flavor) = (member.clone(), None);
                vec![Event::SketchChanged { member, flavor }]
            });
            dirty.happened.extend(told);
        }
        dirty.members.extend(effect.names);
    }

    fn see_placement(&mut self, change: Change<Placement>, dirty: &mut Dirty) {
        let same = matches!(&change, Change::Apply(new) if self.placement_is(new));
        let effect = self.placements.take(change);
        self.note(effect.completed);
        if !same {
            let names = effect.names.iter();
            let changed = names.filter_map(|name| name.parse().ok()).collect();
            let others = self.note_placements(&changed).into_iter();
            let others = others.map(|namespace| self.seen_otherwise(&namespace));
            dirty.happened.extend(others);
            dirty.placements.extend(changed);
        }
    }

    /// What a PriorityClass says; none where it does not exist.
    pub fn class(&self, name: &str) -> Option<Class> {
        self.priorities.get(name).map(Class::read)
    }

    /// The class of a Workload; one that names none that exists has none.
    pub fn class_of(&self, entry: &Entry) -> Class {
        let class = entry.spec.priority_class_name.as_deref();
        class
            .and_then(|name| self.class(name))
            .unwrap_or(Class::NONE)
    }

    /// Whether there is no such member. One that cannot be read has not left.
    pub fn has_left(&self, member: &str) -> bool {
        self.members.get(member).is_none() && !self.members.is_unread(member)
    }

    /// Whether something is there of a Workload that cannot be read: itself, or a Work of it. What
    /// it asks for, or where it runs, is not known then.
    pub fn is_unread(&self, key: &WorkloadKey) -> bool {
        if self.listed_workloads.unread().contains(key) {
            return true;
        }
        let works = self.listed_works.unread();
        if works.is_empty() {
            return false;
        }
        let name = work_name(&key.namespace, &key.name);
        works.iter().any(|work| work.name == name)
    }

    /// Computes the tenant tree anew.
    pub fn plant(&mut self) {
        let uid = |namespace: &Namespace| namespace.labels().get(TENANT_UID).cloned();
        let around = tenants::Surroundings {
            namespaces: self
                .namespaces
                .iter()
                .map(|(n, o)| (n.clone(), uid(o)))
                .collect(),
            priorities: self
                .priorities
                .iter()
                .map(|(n, o)| (n.clone(), o.value.unwrap_or(0)))
                .collect(),
        };
        let all: Vec<Tenant> = self.tenants.values().cloned().collect();
        self.tree = tenants::tree_in(&all, &around);
    }

    /// Whether a Namespace is held that belongs to whom this one says, and is as much alive.
    fn namespace_is(&self, new: &Namespace) -> bool {
        let told = |namespace: &Namespace| {
            let leaving = namespace.metadata.deletion_timestamp.is_some();
            (namespace.labels().get(TENANT_UID).cloned(), leaving)
        };
        self.namespaces
            .get(&new.name_any())
            .is_some_and(|held| told(held) == told(new))
    }

    /// Whether a Placement says what the one held says: then only its status changed.
    fn placement_is(&self, new: &Placement) -> bool {
        self.placements
            .get(&new.table_name())
            .is_some_and(|held| held.spec == new.spec)
    }

    /// Whether a Quota asks for what the one held asks for, and the same of it counts.
    fn quota_is(&self, new: &Quota) -> bool {
        self.quotas.get(&new.name_any()).is_some_and(|held| {
            let (now, then) = (&new.metadata, &held.metadata);
            now.uid == then.uid
                && now.generation == then.generation
                && now.deletion_timestamp == then.deletion_timestamp
                && new.effective() == held.effective()
        })
    }

    fn note(&mut self, completed: bool) {
        if completed {
            self.complete += 1;
        }
    }

    /// Holds a Workload unless one as new is held: most that a watch shows the hub wrote itself.
    pub fn put_workload(&mut self, object: Workload, dirty: &mut Dirty) {
        let key = Entry::key_of(&object.metadata);
        let before = self.workloads.get(&key).map(AsRef::as_ref);
        if before.is_some_and(|before| before.version >= version(&object.metadata)) {
            return;
        }
        let entry = Entry::read(object, before);
        if let Some(before) = before {
            let freed = self.freed(&entry.key, &before.held, &entry.held);
            dirty.happened.extend(freed);
        }
        if self.is_seen_otherwise(before, &entry) {
            let event = self.seen_otherwise(&entry.key.namespace);
            dirty.happened.note(event);
        }
        let decision = entry.status.decision.as_ref();
        self.highest = self.highest.max(decision.map_or(0, |d| d.epoch));
        dirty.workloads.insert(key.clone());
        self.touched.insert(key.clone());
        self.workloads.insert(key.clone(), Box::new(entry));
        self.note_workload(&key);
    }

    fn drop_workload(&mut self, key: &WorkloadKey, dirty: &mut Dirty) {
        if let Some(entry) = self.workloads.remove(key) {
            dirty.workloads.insert(key.clone());
            self.touched.insert(key.clone());
            let freed = self.freed(key, &entry.held, &Held::default());
            dirty.happened.extend(freed);
            self.note_workload(key);
        }
    }

    /// Holds a Work of a member unless one as new is held.
    pub fn put_work(&mut self, object: Work, dirty: &mut Dirty) {
        let key = WorkEntry::key_of(&object.metadata);
        let before = key.and_then(|key| self.works.get(&key)).map(AsRef::as_ref);
        if before.is_some_and(|before| before.version >= version(&object.metadata)) {
            return;
        }
        let Some(entry) = WorkEntry::read(object, before) else {
            return;
        };
        if let Some(before) = before {
            let freed = self.freed(&entry.workload, &before.held, &entry.held);
            dirty.happened.extend(freed);
        }
        self.highest = self.highest.max(entry.epoch);
        dirty.workloads.insert(entry.workload.clone());
        self.touched.insert(entry.workload.clone());
        self.works_of
            .entry(entry.workload.clone())
            .or_default()
            .insert(entry.key.clone());
        self.works.insert(entry.key.clone(), Box::new(entry));
    }

    fn drop_work(&mut self, key: &WorkKey, dirty: &mut Dirty) {
        let Some(entry) = self.works.remove(key) else {
            return;
        };
        if let Some(works) = self.works_of.get_mut(&entry.workload) {
            works.remove(key);
            if works.is_empty() {
                self.works_of.remove(&entry.workload);
            }
        }
        self.touched.insert(entry.workload.clone());
        let freed = self.freed(&entry.workload, &entry.held, &Held::default());
        dirty.happened.extend(freed);
        dirty.workloads.insert(entry.workload);
    }

    /// Node labels that any Flavor names, the one that architectures are told by, and those that
    /// Workloads name: what a sketch must tell apart. Flavors come first; of what is left no
    /// namespace takes more than a few while others want some.
    pub fn label_keys(&self) -> BTreeSet<String> {
        let mut keys: BTreeSet<String> = BTreeSet::from([ARCH.to_owned()]);
        for spec in self.flavor_specs.values() {
            keys.extend(spec.node_selector.match_labels.keys().cloned());
        }
        let mut wanted: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
        for (key, entry) in &self.workloads {
            let named = entry
                .label_keys
                .iter()
                .filter(|named| !keys.contains(*named));
            if entry.label_keys.is_empty() {
                continue;
            }
            wanted.entry(&key.namespace).or_default().extend(named);
        }
        let share = |named: &BTreeSet<&String>| -> Vec<String> {
            let first = named.iter().take(LABEL_KEYS_EACH);
            first.map(|key| (*key).clone()).collect()
        };
        let rest = |named: &BTreeSet<&String>| -> Vec<String> {
            let more = named.iter().skip(LABEL_KEYS_EACH);
            more.map(|key| (*key).clone()).collect()
        };
        let more: Vec<String> = wanted
            .values()
            .flat_map(share)
            .chain(wanted.values().flat_map(rest))
            .collect();
        for key in more {
            if keys.len() >= LABEL_KEYS_MAX {
                break;
            }
            keys.insert(key);
        }
        keys.into_iter().take(LABEL_KEYS_MAX).collect()
    }

    /// Workloads of a namespace that use one of these Secrets.
    pub fn using_secrets(&self, namespace: &str, names: &BTreeSet<String>) -> Vec<WorkloadKey> {
        self.workloads
            .range(WorkloadKey::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .filter(|(_, entry)| !entry.secrets.is_disjoint(names))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Names of the Secrets that any Workload uses, by namespace.
    pub fn secrets_in_use(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut in_use: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entry in self.workloads.values() {
            if !entry.secrets.is_empty() {
                in_use
                    .entry(entry.key.namespace.as_str())
                    .or_default()
                    .extend(entry.secrets.iter().map(String::as_str));
            }
        }
        in_use
    }

    /// The Works of a Workload.
    pub fn works_of(&self, key: &WorkloadKey) -> impl Iterator<Item = &WorkEntry> {
        self.works_of
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(|k| self.works.get(k).map(AsRef::as_ref))
    }
}

#[cfg(test)]
mod tests;
