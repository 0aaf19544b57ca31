//! What every Workload holds, kept up to date by what changes: a batch then costs what changed,
//! not all there is.

use std::collections::{BTreeMap, BTreeSet};

use heyun_plan::member_names;
use heyun_plan::observe::{self, HeldBy, held};
use heyun_scheduler::quota::Amounts;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::Held;

use super::Operator;
use crate::seeded::{self, Bug};
use crate::world::WorkEntry;

/// What each Workload holds, with those of which that may have changed.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    all: BTreeMap<WorkloadKey, HeldBy>,
    touched: BTreeSet<WorkloadKey>,
    everything: bool,
}

impl Holdings {
    /// What each holds, as of the last refresh.
    pub(super) fn all(&self) -> &BTreeMap<WorkloadKey, HeldBy> {
        &self.all
    }

    /// What this one holds may have changed.
    pub(super) fn touch(&mut self, key: WorkloadKey) {
        self.touched.insert(key);
    }

    /// What anyone holds, or for which tenant, may have changed.
    pub(super) fn touch_all(&mut self) {
        self.everything = true;
    }
}

impl Operator {
    /// Brings up to date what is held.
    pub(super) fn refresh_held(&mut self) {
        let mut touched = std::mem::take(&mut self.holdings.touched);
        touched.append(&mut self.world.touched);
        if std::mem::take(&mut self.holdings.everything) {
            self.holdings.all.clear();
            self.scene.clear();
            touched = self
                .world
                .workloads
                .keys()
                .chain(self.world.works_of.keys())
                .cloned()
                .collect();
        }
        for key in touched {
            let held = self.held_by(&key);
            let before = self.holdings.all.get(&key);
            if before == held.as_ref() {
                continue;
            }
            self.scene.hold(&key, before, held.as_ref());
            match held {
                Some(held) => self.holdings.all.insert(key, held),
                None => self.holdings.all.remove(&key),
            };
        }
    }

    /// What is charged to each tenant.
    pub(super) fn charges(&mut self) -> BTreeMap<String, Amounts> {
        self.refresh_held();
        observe::quota::charges(self.holdings.all.values())
    }

    /// What one Workload holds: its decision, what a chain under way commits, and its Works.
    fn held_by(&self, key: &WorkloadKey) -> Option<HeldBy> {
        let works: Vec<&WorkEntry> = self.world.works_of(key).collect();
        let entries = works
            .iter()
            .flat_map(|work| work.held.entries.iter().cloned());
        let mut held = Held {
            entries: entries.collect(),
        };
        if let Some(entry) = self.world.workloads.get(key) {
            held = if seeded::is(Bug::Twice) {
                twice(&entry.held, held)
            } else {
                held::max(&entry.held, &held)
            };
        }
        if let Some(assumed) = self.assumed.get(key)
            && !seeded::is(Bug::Assumed)
        {
            held = held::max(&held, &assumed.held);
        }
        if held.entries.is_empty() {
            return None;
        }
        let assumed = self
            .assumed
            .get(key)
            .and_then(|assumed| assumed.on.as_ref());
        let told = self.world.has_rules(&key.namespace);
        let entry = self.world.workloads.get(key);
        let keeps = held::keeps(entry.and_then(|entry| entry.status.decision.as_ref()));
        Some(HeldBy {
            tenant: self.tenant_of(key, &works),
            work: member_names::work_name(&key.namespace, &key.name),
            neighbour: told.then(|| self.world.neighbour(key, assumed, &held)),
            held,
            keeps,
        })
    }
}

/// What is decided and what its Works say, added up: a bug that is sown.
fn twice(decided: &Held, mut works: Held) -> Held {
    works.entries.extend(decided.entries.iter().cloned());
    works
}
