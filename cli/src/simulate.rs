//! What would be decided: the hub's own interpretation and scheduler, on a copy of its objects.
//! Nothing is written.

use std::collections::BTreeMap;

use heyun_crds::conditions::Reason;
use heyun_crds::labels::TENANT_UID;
use heyun_crds::placement::PlacementSpec;
use heyun_crds::query::Why;
use heyun_crds::quota::{EffectiveQuota, QuotaStatus};
use heyun_crds::workload::Decision;
use heyun_crds::{
    Flavor, MemberCluster, Placement, PriceBook, Quota, Sketch, Tenant, Work, Workload, labels,
};
use heyun_plan::interpret::{self, Interpreted, ManifestError};
use heyun_plan::observe::{self, HeldBy, held, neighbours};
use heyun_plan::preempt::Class;
use heyun_plan::replay::{Asked, Question, Recording};
use heyun_plan::tenants::{self, TenantTree};
use heyun_plan::{decide, finished, guard, member_names};
use heyun_scheduler::config::{Explained, ScoreWeights};
use heyun_scheduler::{Config, Request, Resources, WorkloadKey};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::apply::title;
use crate::ask::Hub;
use crate::error::{Error, Result};

/// The hub's objects, as far as a decision depends on them.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Members.
    pub members: Vec<MemberCluster>,
    /// Sketches, in `heyun-member-NAME`.
    pub sketches: Vec<Sketch>,
    /// Flavors.
    pub flavors: Vec<Flavor>,
    /// Tenants.
    pub tenants: Vec<Tenant>,
    /// Quotas.
    pub quotas: Vec<Quota>,
    /// Price books.
    pub prices: Vec<PriceBook>,
    /// Placements.
    pub placements: Vec<Placement>,
    /// Workloads.
    pub workloads: Vec<Workload>,
    /// Works.
    pub works: Vec<Work>,
    /// Namespaces, for the labels that tie them to tenants.
    pub namespaces: Vec<Namespace>,
    /// PriorityClasses.
    pub priorities: Vec<PriorityClass>,
    /// The weights that the hub was started with.
    pub weights: ScoreWeights,
}

impl World {
    /// From the hub.
    ///
    /// # Errors
    /// If the caller may not list one of the kinds: only the platform's people see all of them.
    pub async fn from_hub(hub: &Hub) -> Result<Self> {
        let (members, sketches, flavors, tenants, quotas) = tokio::try_join!(
            hub.all(None),
            hub.all(None),
            hub.all(None),
            hub.all(None),
            hub.all(None)
        )?;
        let (prices, placements, workloads, works, namespaces, priorities) = tokio::try_join!(
            hub.all(None),
            hub.all(None),
            hub.all(None),
            hub.all(None),
            hub.all(None),
            hub.all(None)
        )?;
        Ok(Self {
            members,
            sketches,
            flavors,
            tenants,
            quotas,
            prices,
            placements,
            workloads,
            works,
            namespaces,
            priorities,
            weights: ScoreWeights::default(),
        })
    }

    /// From documents of files; Lists are opened, kinds that decide nothing are left out. A Quota
    /// without a status counts as it is written.
    ///
    /// # Errors
    /// A document of a known kind that cannot be read.
    pub fn from_documents(documents: Vec<Value>) -> Result<Self> {
        let mut world = Self::default();
        let mut rest: Vec<Value> = documents.into_iter().rev().collect();
        while let Some(mut document) = rest.pop() {
            match document.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => rest.extend(items.into_iter().rev()),
                _ => world.add(document)?,
            }
        }
        for quota in world
            .quotas
            .iter_mut()
            .filter(|quota| quota.status.is_none())
        {
            quota.status = Some(as_written(quota, &world.tenants));
        }
        Ok(world)
    }

    fn add(&mut self, document: Value) -> Result<()> {
        let text = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (version, kind) = (text("apiVersion").to_owned(), text("kind").to_owned());
        match (version.as_str(), kind.as_str()) {
            (heyun_crds::API_VERSION, "MemberCluster") => put(&mut self.members, document),
            (heyun_crds::API_VERSION, "Sketch") => put(&mut self.sketches, document),
            (heyun_crds::API_VERSION, "Flavor") => put(&mut self.flavors, document),
            (heyun_crds::API_VERSION, "Tenant") => put(&mut self.tenants, document),
            (heyun_crds::API_VERSION, "Quota") => put(&mut self.quotas, document),
            (heyun_crds::API_VERSION, "PriceBook") => put(&mut self.prices, document),
            (heyun_crds::API_VERSION, "Placement") => put(&mut self.placements, document),
            (heyun_crds::API_VERSION, "Workload") => put(&mut self.workloads, document),
            (heyun_crds::API_VERSION, "Work") => put(&mut self.works, document),
            ("v1", "Namespace") => put(&mut self.namespaces, document),
            ("scheduling.k8s.io/v1", "PriorityClass") => put(&mut self.priorities, document),
            _ => Ok(()),
        }
    }

    fn tree(&self) -> TenantTree {
        let uid = |namespace: &Namespace| namespace.labels().get(TENANT_UID).cloned();
        let around = tenants::Surroundings {
            namespaces: self
                .namespaces
                .iter()
                .map(|n| (n.name_any(), uid(n)))
                .collect(),
            priorities: self
                .priorities
                .iter()
                .map(|class| (class.name_any(), class.value.unwrap_or(0)))
                .collect(),
        };
        tenants::tree_in(&self.tenants, &around)
    }

    /// A PriorityClass; none where it does not exist.
    fn class(&self, name: &str) -> Option<Class> {
        let mut classes = self.priorities.iter();
        classes
            .find(|class| class.name_any() == name)
            .map(Class::read)
    }

    fn works_of(&self, key: &WorkloadKey) -> Vec<Work> {
        let ours = |work: &&Work| {
            let of = &work.spec.workload;
            of.namespace == key.namespace && of.name == key.name
        };
        self.works.iter().filter(ours).cloned().collect()
    }

    /// What every Workload holds, of its decision and its Works the larger.
    fn held(&self, tree: &TenantTree) -> BTreeMap<WorkloadKey, HeldBy> {
        let mut all: BTreeMap<WorkloadKey, (Option<&Workload>, Vec<Work>)> = BTreeMap::new();
        for workload in &self.workloads {
            // The first of a name counts.
            all.entry(key(workload))
                .or_default()
                .0
                .get_or_insert(workload);
        }
        for work in &self.works {
            let of = &work.spec.workload;
            let key = WorkloadKey::new(of.namespace.clone(), of.name.clone());
            all.entry(key).or_default().1.push(work.clone());
        }
        let mut by = BTreeMap::new();
        for (key, (workload, works)) in all {
            let by_works = held::held_from_works(&works);
            let held = workload.map_or(by_works, |workload| held::of(workload, &works));
            if held.entries.is_empty() {
                continue;
            }
            let by_namespace = tree.tenant_of(&key.namespace).map(|node| node.name.clone());
            let tenant = by_namespace
                .or_else(|| works.first().map(|work| work.spec.tenant.clone()))
                .unwrap_or_default();
            let work = member_names::work_name(&key.namespace, &key.name);
            let status = workload.and_then(|workload| workload.status.as_ref());
            let decision = status.and_then(|status| status.decision.as_ref());
            let neighbour = workload.map(|workload| {
                let on = decision.map(neighbours::members).unwrap_or_default();
                let placement = placement(self, workload, &key.namespace).ok();
                neighbours::neighbour(&workload.metadata, placement.as_ref(), on, &held)
            });
            let keeps = held::keeps(decision);
            let holder = HeldBy {
                tenant,
                work,
                held,
                keeps,
                neighbour,
            };
            by.insert(key, holder);
        }
        by
    }
}

fn put<K: DeserializeOwned>(all: &mut Vec<K>, document: Value) -> Result<()> {
    let name = title(&document);
    let object = serde_json::from_value(document).map_err(|e| {
        Error::usage(format!("{name}: {e}")).hint("export it with kubectl get -o yaml")
    })?;
    all.push(object);
    Ok(())
}

fn as_written(quota: &Quota, tenants: &[Tenant]) -> QuotaStatus {
    let tenant = tenants
        .iter()
        .find(|tenant| tenant.name_any() == quota.spec.tenant);
    QuotaStatus {
        effective: Some(EffectiveQuota {
            generation: quota.metadata.generation.unwrap_or_default(),
            epoch: 0,
            parent: tenant.and_then(|tenant| tenant.spec.parent.clone()),
            resources: quota.spec.resources.clone(),
            grants: Vec::new(),
        }),
        ..QuotaStatus::default()
    }
}

fn key(workload: &Workload) -> WorkloadKey {
    WorkloadKey::new(
        workload.namespace().unwrap_or_default(),
        workload.name_any(),
    )
}

/// What would be decided about `workload` at `now`. Where the world holds one of that name, its
/// identity and its decision are those that count, as for an update.
pub fn simulate(world: &World, workload: &Workload, now: Timestamp) -> Why {
    let recording = record_one(world, workload, now);
    // Of one Workload that is asked there is one answer.
    recording.replay(None).pop().unwrap_or_default()
}

/// All that the decision about this one Workload depends on, as for [`simulate`].
pub fn record_one(world: &World, workload: &Workload, now: Timestamp) -> Recording {
    let workload = &placed_in(world, workload);
    let tree = world.tree();
    let config = Config {
        explained: Explained::ALL,
        weights: world.weights,
        ..Config::default()
    };
    let asked = asked(world, &tree, workload, &config);
    let workloads = BTreeMap::from([(key(workload), asked)]);
    Recording::new(config, snapshot(world, &tree, now), workloads)
}

/// All that decisions depend on, of every Workload: the requests and what the scheduler knows, and
/// nothing of the manifests beyond what they ask for.
pub fn record(world: &World, now: Timestamp) -> Recording {
    let tree = world.tree();
    let config = Config {
        weights: world.weights,
        ..Config::default()
    };
    let mut workloads = BTreeMap::new();
    for workload in &world.workloads {
        // One that leaves is not decided on.
        if workload.metadata.deletion_timestamp.is_none() {
            let key = key(workload);
            let of = || asked(world, &tree, workload, &config);
            workloads.entry(key).or_insert_with(of);
        }
    }
    Recording::new(config, snapshot(world, &tree, now), workloads)
}

/// The Workload as it would stand on the hub.
fn placed_in(world: &World, workload: &Workload) -> Workload {
    let mut new = workload.clone();
    new.status = None;
    let Some(old) = world.workloads.iter().find(|one| key(one) == key(workload)) else {
        new.metadata.generation.get_or_insert(1);
        return new;
    };
    let generation = old.metadata.generation.unwrap_or(1);
    let changed = i64::from(old.spec != new.spec);
    new.metadata.generation = Some(generation.saturating_add(changed));
    new.metadata.uid.clone_from(&old.metadata.uid);
    new.metadata
        .creation_timestamp
        .clone_from(&old.metadata.creation_timestamp);
    new.status.clone_from(&old.status);
    new
}

type Refusal = (Reason, String);

/// All faults as one refusal; the first gives the reason.
fn refusal(errors: &[ManifestError]) -> Refusal {
    let reason = errors.first().map_or(Reason::Invalid, |e| e.reason);
    (reason, interpret::summarize(errors))
}

/// What the scheduler is asked about a Workload, or why it is not.
fn asked(world: &World, tree: &TenantTree, workload: &Workload, config: &Config) -> Asked {
    let generation = workload.metadata.generation.unwrap_or_default();
    let placement_ref = workload.spec.placement_ref.as_ref();
    let mut asked = Asked {
        generation,
        decision: String::new(),
        placement_ref: placement_ref.map(|of| of.name.clone()).unwrap_or_default(),
        question: Question::refused(
            Reason::Suspended,
            "spec.suspend is true: set it to false to have it scheduled".to_owned(),
        ),
    };
    if workload.spec.suspend {
        return asked;
    }
    match request(world, tree, workload, config) {
        Ok((request, previous)) => {
            let current = previous.filter(|decision| decision.generation == generation);
            let ending = current.as_ref().and_then(finished::ending);
            asked.decision = current.map(|decision| decision.id).unwrap_or_default();
            asked.question = match ending {
                None => Question::Request(Box::new(request)),
                Some((reason, message)) => Question::refused(reason, message),
            };
        }
        Err((reason, message)) => asked.question = Question::refused(reason, message),
    }
    asked
}

fn request(
    world: &World,
    tree: &TenantTree,
    workload: &Workload,
    config: &Config,
) -> Result<(Request, Option<Decision>), Refusal> {
    let key = key(workload);
    let namespace = &key.namespace;
    let tenant = tree.tenant_of(namespace).ok_or_else(|| {
        let message = format!(
            "namespace {namespace} belongs to no tenant: a platform administrator adds it to \
             spec.namespaces of a Tenant"
        );
        (Reason::NoTenant, message)
    })?;
    let placement = placement(world, workload, namespace)?;
    let default_requests = default_requests();
    let context = interpret::Context {
        namespace,
        placement: &placement,
        default_requests: &default_requests,
    };
    let interpreted =
        interpret::interpret(&workload.spec, &context).map_err(|errors| refusal(&errors))?;
    let class = workload.spec.priority_class_name.as_deref();
    let class = class.and_then(|name| world.class(name));
    let class = class.unwrap_or(Class::NONE);
    let broken = guard::all_refusals(
        &workload.spec,
        &class,
        &guard::Context {
            tree,
            tenant,
            priority: &|name| world.class(name).map(|class| class.value),
        },
    );
    if !broken.is_empty() {
        return Err(refusal(&broken));
    }
    let previous = previous(world, workload, &interpreted, &placement);
    let quota = world
        .quotas
        .iter()
        .find(|quota| quota.spec.tenant == tenant.name);
    let flavors = world
        .flavors
        .iter()
        .map(|f| (f.name_any(), f.spec.clone()))
        .collect();
    let request = observe::request::request(&observe::request::Input {
        workload,
        interpreted: &interpreted,
        placement: &placement,
        tenant: &tenant.name,
        flavors: &flavors,
        quota_flavors: &quota.map(observe::quota::flavors).unwrap_or_default(),
        class: &class,
        previous: previous.as_ref(),
        weights: config.weights,
    });
    Ok((request, previous))
}

fn snapshot(world: &World, tree: &TenantTree, now: Timestamp) -> heyun_scheduler::Snapshot {
    let sketch = |member: &MemberCluster| {
        let namespace = labels::member_namespace(&member.name_any());
        world
            .sketches
            .iter()
            .find(|s| s.namespace().as_deref() == Some(&namespace))
    };
    let members: Vec<_> = world
        .members
        .iter()
        .map(|member| (member, sketch(member)))
        .collect();
    let inputs = observe::Inputs {
        members: &members,
        flavors: &world.flavors.iter().collect::<Vec<_>>(),
        tenants: tree,
        quotas: &world.quotas.iter().collect::<Vec<_>>(),
        prices: &world.prices.iter().collect::<Vec<_>>(),
        held: &world.held(tree),
        asked: None,
        now: now.as_second(),
    };
    observe::snapshot(&inputs).0
}

fn placement(
    world: &World,
    workload: &Workload,
    namespace: &str,
) -> Result<PlacementSpec, Refusal> {
    let Some(reference) = &workload.spec.placement_ref else {
        return Ok(workload.spec.placement.clone().unwrap_or_default());
    };
    let named = |placement: &&Placement| {
        placement.namespace().as_deref() == Some(namespace)
            && placement.name_any() == reference.name
    };
    world.placements.iter().find(named).map(|found| found.spec.clone()).ok_or_else(|| {
        let message = format!(
            "spec.placementRef.name: placement {namespace}/{} does not exist: create it, or write \
             spec.placement",
            reference.name
        );
        (Reason::NotFound, message)
    })
}

/// The decision in force; one that was lost is taken from the Works that carry it.
fn previous(
    world: &World,
    workload: &Workload,
    interpreted: &Interpreted,
    placement: &PlacementSpec,
) -> Option<Decision> {
    if let Some(decision) = workload
        .status
        .as_ref()
        .and_then(|status| status.decision.as_ref())
    {
        return Some(decision.clone());
    }
    let works = world.works_of(&key(workload));
    let generation = workload.metadata.generation.unwrap_or_default();
    decide::adopted(&works, generation, interpreted, placement, 0)
}

/// What the hub charges containers that ask for nothing.
fn default_requests() -> Resources {
    Resources::new().with("cpu", 100).with("memory", 128 << 20)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod situations;
