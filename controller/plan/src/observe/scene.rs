//! The scheduler's engine, kept up with the hub's objects: a batch costs what changed, not all there
//! is.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::{MemberCluster, Sketch};
use heyun_scheduler::quota::Problem;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::{HeldEntry, Neighbour};
use heyun_scheduler::{Config, Engine, Snapshot};

use super::{HeldBy, Inputs};

/// What a member was made from, by the versions of its objects.
type Versions = (Option<String>, Option<String>);

/// The engine with what it was made from.
#[derive(Default)]
pub struct Scene {
    engine: Option<Engine>,
    /// Of each member, what the engine was told of.
    told: BTreeMap<String, Versions>,
    /// Workloads that hold something on each member.
    holders: BTreeMap<String, BTreeSet<WorkloadKey>>,
    /// Members on which somebody holds something else than the engine was told.
    touched: BTreeSet<String>,
    /// Whom others see in another way than the engine was told: the last change of each.
    seen: BTreeMap<(String, WorkloadKey), Option<Neighbour>>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = self.told.len();
        f.debug_struct("Scene")
            .field("told", &told)
            .finish_non_exhaustive()
    }
}

impl Scene {
    /// A Workload holds something else than it did.
    pub fn hold(&mut self, key: &WorkloadKey, before: Option<&HeldBy>, after: Option<&HeldBy>) {
        for entry in before.into_iter().flat_map(|by| &by.held.entries) {
            if let Some(holders) = self.holders.get_mut(&entry.member) {
                holders.remove(key);
            }
            self.touched.insert(entry.member.clone());
        }
        self.see(key, before, after);
        for entry in after.into_iter().flat_map(|by| &by.held.entries) {
            let holders = self.holders.entry(entry.member.clone()).or_default();
            holders.insert(key.clone());
            self.touched.insert(entry.member.clone());
        }
    }

    /// Others see a Workload in another way than they did.
    fn see(&mut self, key: &WorkloadKey, before: Option<&HeldBy>, after: Option<&HeldBy>) {
        let told = |by: Option<&HeldBy>| {
            let by = by?;
            Some((by.tenant.clone(), by.neighbour.clone()?))
        };
        let (before, after) = (told(before), told(after));
        if before == after {
            return;
        }
        if let Some((tenant, _)) = before {
            self.seen.insert((tenant, key.clone()), None);
        }
        if let Some((tenant, of)) = after {
            self.seen.insert((tenant, key.clone()), Some(of));
        }
    }

    /// Forgets everything; the next [`Scene::bring_up`] costs as much as the first. What is held is
    /// to be told anew.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The engine as the objects are now, and what of the quotas has no place in it. What is held
    /// must have been told by [`Scene::hold`].
    pub fn bring_up(
        &mut self,
        inputs: &Inputs<'_>,
        config: &Config,
    ) -> (&mut Engine, Vec<Problem>) {
        let charges = super::quota::charges(inputs.held.values());
        let (quotas, problems) = super::quota::tree(inputs.quotas, inputs.tenants, &charges);
        let (flavors, tenants) = (super::flavors(inputs), super::tenants(inputs));
        let held = super::asked(inputs);
        let known = self.engine.take();
        let mut engine = if let Some(mut engine) = known.filter(|of| of.config() == config) {
            engine.set_rules(flavors, tenants);
            engine.set_now(inputs.now);
            engine.set_quotas(quotas);
            engine.set_held(held);
            let seen = std::mem::take(&mut self.seen).into_iter();
            engine.set_neighbours(seen.map(|((tenant, key), of)| (tenant, key, of)));
            engine
        } else {
            self.told.clear();
            self.seen.clear();
            let snapshot = Snapshot {
                now: inputs.now,
                members: BTreeMap::new(),
                flavors,
                tenants,
                quotas,
                held,
                neighbours: super::seen(inputs.held),
            };
            Engine::new(snapshot, config.clone())
        };
        self.bring_members(&mut engine, inputs);
        (self.engine.insert(engine), problems)
    }

    fn bring_members(&mut self, engine: &mut Engine, inputs: &Inputs<'_>) {
        let touched = std::mem::take(&mut self.touched);
        let mut told = std::mem::take(&mut self.told);
        let mut changed = Vec::new();
        for (object, sketch) in inputs.members {
            let name = object.metadata.name.clone().unwrap_or_default();
            let versions = versions(object, *sketch);
            let same = told.remove(&name).is_some_and(|before| before == versions);
            if !same || touched.contains(&name) {
                changed.push(self.member(object, *sketch, inputs.held).into());
            }
            self.told.insert(name, versions);
        }
        engine.set_members(changed, told.into_keys());
    }

    fn member(
        &self,
        object: &MemberCluster,
        sketch: Option<&Sketch>,
        held: &BTreeMap<WorkloadKey, HeldBy>,
    ) -> heyun_scheduler::Member {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let holders = self.holders.get(name).into_iter().flatten();
        let holders = holders.filter_map(|key| held.get(key));
        let here: Vec<(&str, &HeldEntry)> = holders
            .flat_map(|by| {
                let entries = by.held.entries.iter();
                let here = entries.filter(|entry| entry.member == name);
                here.map(|entry| (&*by.work, entry))
            })
            .collect();
        super::member(object, sketch, &here)
    }
}

fn versions(object: &MemberCluster, sketch: Option<&Sketch>) -> Versions {
    (
        object.metadata.resource_version.clone(),
        sketch.and_then(|sketch| sketch.metadata.resource_version.clone()),
    )
}
