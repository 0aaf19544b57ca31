//! What watches say of members, Workloads and Works: what they show changes more than a table.

use heyun_crds::{MemberCluster, Work, Workload};
use heyun_plan::member_names::{member_of_namespace, work_name};
use heyun_plan::observe::happened as to;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::wake::Event;
use kube::ResourceExt;

use super::{Dirty, Entry, WorkEntry, WorkKey, World};
use crate::watch::Change;

impl World {
    /// Takes in a member. Where one leaves, or joins again, every Workload on it is looked at.
    pub(super) fn see_member(&mut self, change: Change<MemberCluster>, dirty: &mut Dirty) {
        let shown = match &change {
            Change::Apply(member) => Some(member.name_any()),
            _ => None,
        };
        let joins = shown.filter(|name| self.members.get(name).is_none());
        let told = match &change {
            Change::Apply(new) => Some(to::to_member(self.members.get(&new.name_any()), new)),
            _ => None,
        };
        let effect = self.members.take(change);
        self.note(effect.completed);
        for name in &effect.names {
            let member = name.clone();
            let any = || vec![Event::MemberChanged { member }];
            dirty.happened.extend(told.clone().unwrap_or_else(any));
            if self.has_left(name) {
                let first = WorkKey {
                    member: name.clone(),
                    name: String::new(),
                };
                let there = self.works.range(first..);
                let there = there.take_while(|(key, _)| key.member == *name);
                dirty
                    .workloads
                    .extend(there.map(|(_, entry)| entry.workload.clone()));
            }
        }
        if let Some(name) = joins {
            let placed = self.workloads.values().filter(|e| e.is_placed_on(&name));
            dirty
                .workloads
                .extend(placed.map(|entry| entry.key.clone()));
        }
        dirty.members.extend(effect.names);
    }

    /// Takes in a Workload.
    pub(super) fn see_workload(&mut self, change: Change<Workload>, dirty: &mut Dirty) {
        match change {
            Change::Begin => self.listed_workloads.begin(self.workloads.keys()),
            Change::Apply(object) => {
                let key = Entry::key_of(&object.metadata);
                if self.listed_workloads.saw(&key) {
                    dirty.workloads.insert(key);
                }
                self.put_workload(*object, dirty);
            }
            Change::Delete(object) => {
                self.lose_workload(&Entry::key_of(&object.metadata), dirty);
            }
            Change::Complete => {
                let list = self.listed_workloads.complete();
                for key in list.gone {
                    self.lose_workload(&key, dirty);
                }
                self.note(list.first);
            }
            Change::Unreadable {
                namespace,
                name,
                error,
                gone,
            } => {
                let key = WorkloadKey::new(namespace.unwrap_or_default(), name);
                if gone {
                    self.lose_workload(&key, dirty);
                    return;
                }
                if self.listed_workloads.cannot_read(key.clone()) {
                    tracing::error!(workload = %key, error, "a Workload cannot be read");
                }
            }
        }
    }

    fn lose_workload(&mut self, key: &WorkloadKey, dirty: &mut Dirty) {
        if self.listed_workloads.saw(key) {
            dirty.workloads.insert(key.clone());
        }
        self.drop_workload(key, dirty);
    }

    /// Takes in a Work.
    pub(super) fn see_work(&mut self, change: Change<Work>, dirty: &mut Dirty) {
        match change {
            Change::Begin => self.listed_works.begin(self.works.keys()),
            Change::Apply(object) => {
                let Some(key) = WorkEntry::key_of(&object.metadata) else {
                    return;
                };
                if self.listed_works.saw(&key) {
                    dirty.workloads.insert(WorkEntry::workload_of(&object));
                }
                self.put_work(*object, dirty);
            }
            Change::Delete(object) => {
                if let Some(key) = WorkEntry::key_of(&object.metadata) {
                    self.lose_work(&key, dirty);
                }
            }
            Change::Complete => {
                let list = self.listed_works.complete();
                for key in list.gone {
                    self.lose_work(&key, dirty);
                }
                self.note(list.first);
            }
            Change::Unreadable {
                namespace,
                name,
                error,
                gone,
            } => {
                let Some(member) = namespace.as_deref().and_then(member_of_namespace) else {
                    return;
                };
                let member = member.to_owned();
                let key = WorkKey { member, name };
                if gone {
                    self.lose_work(&key, dirty);
                    return;
                }
                if self.listed_works.cannot_read(key.clone()) {
                    let (member, name) = (key.member, key.name);
                    tracing::error!(member, name, error, "a Work cannot be read");
                }
            }
        }
    }

    fn lose_work(&mut self, key: &WorkKey, dirty: &mut Dirty) {
        if self.listed_works.saw(key) {
            self.work_is_known(key, dirty);
        }
        self.drop_work(key, dirty);
    }

    /// A Work that could not be read is gone: its Workload is looked at again. A Work that was
    /// never read tells whose it was by its name alone.
    fn work_is_known(&self, key: &WorkKey, dirty: &mut Dirty) {
        let known = self.workloads.keys();
        let whose = known.filter(|w| work_name(&w.namespace, &w.name) == key.name);
        dirty.workloads.extend(whose.cloned());
    }
}
