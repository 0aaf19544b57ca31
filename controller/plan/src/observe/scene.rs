//! The scheduler's engine, kept up with the hub's objects: a batch costs what changed, not all there
//! is.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::{MemberCluster, PriceBook, Sketch};
use heyun_scheduler::quota::Problem;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::{HeldEntry, Neighbour};
use heyun_scheduler::{Config, Engine, Snapshot};

use super::prices::Prices;
use super::{HeldBy, Inputs};

/// What a member was made from, by the versions of its objects.
type Versions = (Option<String>, Option<String>);
/// Prices with what they were made from: the versions of their books.
type Priced = (Vec<(Option<String>, Option<String>)>, Prices);

/// The engine with what it was made from.
#[derive(Default)]
pub struct Scene {
    engine: Option<Engine>,
    /// Of each member, what the engine was told of.
    told: BTreeMap<String, Versions>,
    /// What the price books say, and since when no price has begun.
    prices: Priced,
    priced_since: Option<i64>,
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

    /// What was decided on last.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.engine.as_ref().map(Engine::snapshot)
    }

    /// Others see a Workload in another way than they did.
    fn see(&mut self, key: &WorkloadKey, before: Option<&HeldBy>, after: Option<&HeldBy>) {
        fn told(by: Option<&HeldBy>) -> Option<(&String, &Neighbour)> {
            let by = by?;
            Some((&by.tenant, by.neighbour.as_ref()?))
        }
        let (before, after) = (told(before), told(after));
        if before == after {
            return;
        }
        if let Some((tenant, _)) = before {
            self.seen.insert((tenant.clone(), key.clone()), None);
        }
        if let Some((tenant, of)) = after {
            let seen = (tenant.clone(), key.clone());
            self.seen.insert(seen, Some(of.clone()));
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
                flavors,
                tenants,
                quotas,
                held,
                neighbours: super::seen(inputs.held),
                ..Snapshot::default()
            };
            Engine::new(snapshot, config.clone())
        };
        self.bring_members(&mut engine, inputs);
        (self.engine.insert(engine), problems)
    }

    fn bring_members(&mut self, engine: &mut Engine, inputs: &Inputs<'_>) {
        let repriced = self.reprice(inputs);
        let touched = std::mem::take(&mut self.touched);
        let mut told = std::mem::take(&mut self.told);
        let mut changed = Vec::new();
        for (object, sketch) in inputs.members {
            let name = object.metadata.name.clone().unwrap_or_default();
            let versions = versions(object, *sketch);
            let same = told.remove(&name).is_some_and(|before| before == versions);
            if !same || repriced || touched.contains(&name) {
                changed.push(self.member(object, *sketch, inputs).into());
            }
            self.told.insert(name, versions);
        }
        engine.set_members(changed, told.into_keys());
    }

    /// Takes in the price books; whether another price counts anywhere. It seldom does, so that every
    /// member is made anew then.
    fn reprice(&mut self, inputs: &Inputs<'_>) -> bool {
        let version = |book: &&PriceBook| {
            let meta = &book.metadata;
            (meta.name.clone(), meta.resource_version.clone())
        };
        let versions: Vec<_> = inputs.prices.iter().map(version).collect();
        let other = self.prices.0 != versions;
        if other {
            self.prices = (versions, Prices::of(inputs.prices));
        }
        let since = self.prices.1.unchanged_since(inputs.now);
        std::mem::replace(&mut self.priced_since, since) != since || other
    }

    fn member(
        &self,
        object: &MemberCluster,
        sketch: Option<&Sketch>,
        inputs: &Inputs<'_>,
    ) -> heyun_scheduler::Member {
        let held = inputs.held;
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
        let prices = self.prices.1.at(name, &object.spec.provider, inputs.now);
        super::member(object, sketch, &here, prices)
    }
}

fn versions(object: &MemberCluster, sketch: Option<&Sketch>) -> Versions {
    (
        object.metadata.resource_version.clone(),
        sketch.and_then(|sketch| sketch.metadata.resource_version.clone()),
    )
}
