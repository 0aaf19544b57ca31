//! A member with its agent, simulated: pods on nodes, a sketch, the statuses of Works.
//!
//! It acts one write at a time, with pauses between, in an order that is drawn; pods go to any node
//! that holds them, as a cluster's own scheduler may choose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::oracle::list;
use super::sim::{Shared, Sim, Who, lock};
use super::store::{Key, Write, meta};

pub(crate) const FLAVOR: &str = "general";
const FINALIZER: &str = "heyun.dev/finalizer";
/// Memory of a node, and of each pod: never what is short.
const NODE_MIB: i64 = 65_536;
pub(crate) const POD_MIB: i64 = 128;

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// In thousandths.
    pub(crate) cpu: i64,
    pub(crate) up: bool,
}

/// One pod.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) node: Option<usize>,
    pub(crate) cpu: i64,
}

/// Pods by the name of their Work and their component.
pub(crate) type Pods = BTreeMap<(String, String), Vec<Pod>>;

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pods: Pods,
    /// Jobs that are complete and still there, by the name of their Work and their component.
    pub(crate) complete: BTreeSet<(String, String)>,
    /// Until when what the hub knows of its nodes may be older than what is true.
    pub(crate) lenient: Option<Instant>,
    /// Until when nobody reaches it.
    pub(crate) away: Option<Instant>,
    stale: bool,
    revision: u64,
    /// Counts what became of its nodes, pods and Jobs.
    turns: u64,
}

/// Works of which nothing is to be done, as they are on their member at this count of its turns.
type Settled = BTreeMap<Key, (Arc<Value>, u64)>;

impl Member {
    pub(crate) fn new(name: &str, nodes: Vec<i64>) -> Self {
        let node = |cpu| Node { cpu, up: true };
        Self {
            name: name.to_owned(),
            nodes: nodes.into_iter().map(node).collect(),
            pods: Pods::new(),
            complete: BTreeSet::new(),
            lenient: None,
            away: None,
            stale: true,
            revision: 0,
            turns: 0,
        }
    }

    pub(crate) fn namespace(&self) -> String {
        format!("heyun-member-{}", self.name)
    }

    /// Processor time of all nodes, in thousandths; of those that are gone too where it is asked.
    pub(crate) fn capacity(&self, gone_too: bool) -> i64 {
        self.nodes
            .iter()
            .filter(|n| n.up || gone_too)
            .map(|n| n.cpu)
            .sum()
    }

    pub(crate) fn free(&self, node: usize) -> i64 {
        let here = self
            .pods
            .values()
            .flatten()
            .filter(|pod| pod.node == Some(node));
        let taken: i64 = here.map(|pod| pod.cpu).sum();
        self.nodes[node].cpu - taken
    }

    /// Whether all its nodes are up, and have been for long enough.
    pub(crate) fn is_whole(&self) -> bool {
        self.nodes.iter().all(|node| node.up) && self.lenient.is_none()
    }

    /// Whether all pods would find nodes in some order, the largest first. A decision is safe for
    /// every packing of what was decided before it, and not where the later pods come first: see ADR
    /// 0009.
    pub(crate) fn could_bind(&self) -> bool {
        let mut sizes: Vec<i64> = self.pods.values().flatten().map(|pod| pod.cpu).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        let up = self.nodes.iter().filter(|node| node.up);
        let mut free: Vec<i64> = up.map(|node| node.cpu).collect();
        sizes.into_iter().all(|size| {
            let node = free.iter_mut().find(|free| **free >= size);
            node.map(|free| *free -= size).is_some()
        })
    }

    /// Whether every pod is on a node.
    pub(crate) fn all_bound(&self) -> bool {
        self.pods.values().flatten().all(|pod| pod.node.is_some())
    }

    /// Whether a component of a Work has pods, and each is on a node.
    fn runs(&self, place: &(String, String)) -> bool {
        let pods = self.pods.get(place).map_or(&[][..], Vec::as_slice);
        !pods.is_empty() && pods.iter().all(|pod| pod.node.is_some())
    }

    /// A node goes, with its pods, or comes back.
    pub(crate) fn turn(&mut self, node: usize, up: bool) {
        self.nodes[node].up = up;
        if !up {
            let here = self.pods.values_mut().flatten();
            here.filter(|pod| pod.node == Some(node))
                .for_each(|pod| pod.node = None);
        }
        self.lenient = Some(Instant::now() + Duration::from_mins(1));
        self.has_turned();
    }

    /// Other nodes, pods or Jobs: they are to be told of.
    fn has_turned(&mut self) {
        self.turns += 1;
        self.stale = true;
    }

    fn sketch(&mut self) -> Value {
        self.revision += 1;
        let up = (0..self.nodes.len()).filter(|n| self.nodes[*n].up);
        let shape = |node| {
            let pods = self
                .pods
                .values()
                .flatten()
                .filter(|p| p.node == Some(node))
                .count();
            let memory = NODE_MIB - POD_MIB * i64::try_from(pods).unwrap();
            json!({
                "count": 1, "flavor": FLAVOR, "labels": {"kubernetes.io/arch": "amd64"},
                "free": {
                    "cpu": format!("{}m", self.free(node)), "memory": format!("{memory}Mi"),
                    "pods": "100",
                },
            })
        };
        let shapes: Vec<Value> = up.map(shape).collect();
        let bound = self.pods.iter().map(|((work, component), pods)| {
            let bound = pods.iter().filter(|pod| pod.node.is_some()).count();
            json!({"work": work, "component": component, "replicas": bound, "flavor": FLAVOR})
        });
        json!({
            "revision": {"instance": "sim", "number": self.revision},
            "nodes": shapes.len(), "shapes": shapes, "bound": bound.collect::<Vec<_>>(),
            "labelKeys": ["kubernetes.io/arch"],
        })
    }

    /// Makes the pods of a Work what it asks for, as far as there are nodes; true where any changed.
    fn tend(&mut self, sim: &mut Sim, work: &str, wanted: &BTreeMap<String, (usize, i64)>) -> bool {
        let mut changed = false;
        let known: Vec<_> = self
            .pods
            .keys()
            .filter(|(w, _)| w == work)
            .cloned()
            .collect();
        for key in known {
            if !wanted.contains_key(&key.1) {
                self.pods.remove(&key);
                changed = true;
            }
        }
        for (component, (replicas, cpu)) in wanted {
            let key = (work.to_owned(), component.clone());
            let pods = self.pods.entry(key.clone()).or_default();
            changed |= pods.len() != *replicas;
            pods.sort_by_key(|pod| pod.node.is_none());
            pods.truncate(*replicas);
            while pods.len() < *replicas {
                pods.push(Pod {
                    node: None,
                    cpu: *cpu,
                });
            }
            for at in 0..*replicas {
                let pod = self.pods[&key][at].clone();
                if pod.node.is_some() {
                    continue;
                }
                let fits = |n: &usize| self.nodes[*n].up && self.free(*n) >= pod.cpu;
                let nodes: Vec<usize> = (0..self.nodes.len()).filter(fits).collect();
                if !nodes.is_empty() {
                    let node = sim.random.one_of(&nodes);
                    self.pods.get_mut(&key).expect("entered above")[at].node = Some(node);
                    changed = true;
                }
            }
        }
        self.pods.retain(|_, pods| !pods.is_empty());
        changed
    }
}

/// What a Work says of a Job that has finished for the generation that it is of: in what is assigned,
/// or as the member reported it before.
fn finished<'a>(work: &'a Value, component: &str) -> Option<&'a Value> {
    let part = parts(work).find(|part| part["component"] == component)?;
    if !part["finished"].is_null() {
        return Some(&part["finished"]);
    }
    let (_, name) = component.split_once('/')?;
    let object = list(&work["status"], "objects").find(|object| object["name"] == name)?;
    let generation = &work["spec"]["workload"]["generation"];
    (object["finished"]["generation"] == *generation).then(|| &object["finished"])
}

/// What a Work has on its member.
fn parts(work: &Value) -> impl Iterator<Item = &Value> {
    list(&work["spec"], "assignments")
}

/// The component of what is a Job.
fn job(part: &Value) -> Option<&str> {
    let component = part["component"].as_str()?;
    component.starts_with("Job/").then_some(component)
}

/// Whether a Job of a Work runs, or is to be deleted: something will come of it by itself.
fn is_lively(member: &Member, key: &Key, work: &Value) -> bool {
    parts(work).any(|part| {
        let Some(component) = job(part) else {
            return false;
        };
        let place = (key.name.clone(), component.to_owned());
        let goes = member.complete.contains(&place) && !part["finished"].is_null();
        member.runs(&place) || goes
    })
}

/// Jobs end, and those whose end is recorded are deleted; true where any did.
fn pass(sim: &mut Sim, member: &mut Member, key: &Key, work: &Value) -> bool {
    if !work["metadata"]["deletionTimestamp"].is_null() {
        member.complete.retain(|(of, _)| *of != key.name);
        return false;
    }
    for part in parts(work) {
        let Some(component) = job(part) else { continue };
        let place = (key.name.clone(), component.to_owned());
        if member.complete.contains(&place) {
            if !part["finished"].is_null() && sim.random.permille(500) {
                sim.note(format_args!(
                    "{key}: {component} is deleted by its time to live"
                ));
                member.turns += 1;
                return member.complete.remove(&place);
            }
        } else if member.runs(&place) && sim.random.permille(20) {
            sim.note(format_args!("{key}: {component} is complete"));
            member.pods.remove(&place);
            member.complete.insert(place);
            member.has_turned();
            return true;
        }
    }
    false
}

/// What a Work asks for, by component: replicas and thousandths of each.
fn wanted(member: &Member, name: &str, work: &Value) -> BTreeMap<String, (usize, i64)> {
    let mut wanted = BTreeMap::new();
    if !work["metadata"]["deletionTimestamp"].is_null() {
        return wanted;
    }
    for assignment in parts(work) {
        let component = assignment["component"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let is_there = member
            .complete
            .contains(&(name.to_owned(), component.clone()));
        if is_there || finished(work, &component).is_some() {
            continue;
        }
        let replicas = usize::try_from(assignment["replicas"].as_i64().unwrap_or(0)).unwrap();
        let cpu = super::oracle::milli(assignment["requests"]["cpu"].as_str().unwrap_or("0"));
        wanted.insert(component, (replicas, cpu));
    }
    wanted
}

/// The agent of the member of this number, for as long as the simulation lasts.
pub(crate) async fn agent(sim: Shared, number: usize) {
    let changed = Arc::clone(&lock(&sim).changed);
    let mut seen = u64::MAX;
    let mut settled = Settled::new();
    loop {
        let told = changed.notified();
        let mut told = std::pin::pin!(told);
        told.as_mut().enable();
        let (pause, away) = {
            let mut sim = lock(&sim);
            let most = if sim.faults.slow > 0 { 400 } else { 20 };
            let pause = Duration::from_millis(sim.random.between(1, most));
            (
                pause,
                sim.members[number]
                    .away
                    .filter(|until| *until > Instant::now()),
            )
        };
        if let Some(until) = away {
            tokio::time::sleep_until(until).await;
            seen = u64::MAX;
            continue;
        }
        let more = {
            let mut sim = lock(&sim);
            let version = sim.store.version;
            (version != seen || sim.members[number].stale) && {
                let more = act(&mut sim, number, &mut settled);
                if !more {
                    seen = sim.store.version;
                }
                more
            }
        };
        if !more {
            told.await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// One thing that is to be done, if there is any.
fn act(sim: &mut Sim, number: usize, settled: &mut Settled) -> bool {
    let mut member = sim.members[number].clone();
    let namespace = member.namespace();
    let works = sim.store.list("works", &namespace);
    let works: Vec<(Key, Arc<Value>)> = works.map(|(k, v)| (k.clone(), Arc::clone(v))).collect();
    let mut todo = Vec::new();
    if member.stale {
        todo.push(None);
    }
    for at in 0..works.len() {
        todo.push(Some(at));
    }
    while !todo.is_empty() {
        let at = usize::try_from(sim.random.between(0, todo.len() as u64 - 1)).unwrap();
        let Some(at) = todo.swap_remove(at) else {
            let sketch = member.sketch();
            member.stale = false;
            sim.members[number] = member;
            let key = Key::new("sketches", &namespace, "sketch");
            sim.merge_status(Who::Member, &key, sketch);
            return true;
        };
        let (key, work) = &works[at];
        if pass(sim, &mut member, key, work) {
            sim.members[number] = member;
            return true;
        }
        let is_known = |(as_it_was, turns): &(Arc<Value>, u64)| {
            Arc::ptr_eq(as_it_was, work) && *turns == member.turns
        };
        if settled.get(key).is_some_and(is_known) {
            continue;
        }
        let wanted = wanted(&member, &key.name, work);
        if member.tend(sim, &key.name, &wanted) {
            member.has_turned();
            for said in sim.oracle.runs(&member, key, work) {
                sim.note(format_args!("VIOLATION {said}"));
            }
            sim.note(format_args!(
                "pods of {key} on {} nodes",
                member.nodes.len()
            ));
            sim.members[number] = member;
            for said in sim.oracle.pods(&sim.members[number]) {
                sim.note(format_args!("VIOLATION {said}"));
            }
            return true;
        }
        if report(sim, &member, key, work) {
            return true;
        }
        settled.insert(key.clone(), (Arc::clone(work), member.turns));
    }
    works
        .iter()
        .any(|(key, work)| is_lively(&member, key, work))
}

/// The Jobs of a Work that are over, as they are reported.
fn jobs(member: &Member, key: &Key, work: &Value) -> Vec<Value> {
    let told = |part: &Value| {
        let component = part["component"].as_str()?;
        let (kind, name) = component.split_once('/')?;
        let is_there = member
            .complete
            .contains(&(key.name.clone(), component.to_owned()));
        let manifest = list(&work["spec"], "manifests").find(|of| of["kind"] == kind);
        let completions = manifest.map(|of| &of["spec"]["completions"]);
        let now = || {
            json!({
                "state": "Complete", "at": "2027-01-15T08:00:00Z",
                "generation": work["spec"]["workload"]["generation"], "completions": completions,
            })
        };
        let ended = finished(work, component)
            .cloned()
            .or_else(|| is_there.then(now))?;
        Some(json!({
            "apiVersion": "batch/v1", "kind": kind, "name": name, "applied": true,
            "healthy": true, "finished": ended,
        }))
    };
    parts(work).filter_map(told).collect()
}

/// Reports what became of a Work; true where there was anything new.
fn report(sim: &mut Sim, member: &Member, key: &Key, work: &Value) -> bool {
    if !work["metadata"]["deletionTimestamp"].is_null() {
        let patch = json!({"metadata": {
            "finalizers": null, "resourceVersion": meta(work, "resourceVersion"),
        }});
        let finalized = work["metadata"]["finalizers"].as_array();
        debug_assert!(finalized.is_some_and(|f| f.iter().any(|f| f == FINALIZER)));
        return sim.put(Who::Member, key, Write::Merge(patch, false));
    }
    let pods = member
        .pods
        .iter()
        .filter(|((name, _), _)| *name == key.name);
    let pending = pods
        .flat_map(|(_, pods)| pods)
        .any(|pod| pod.node.is_none());
    let generation = work["metadata"]["generation"].as_i64().unwrap_or(0);
    let ok = if pending { "False" } else { "True" };
    let condition = |kind: &str, ok: &str| {
        json!({
            "type": kind, "status": ok, "reason": if ok == "True" { "Ok" } else { "Progressing" },
            "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2027-01-15T08:00:00Z",
        })
    };
    let mut status = json!({
        "observedGeneration": generation,
        "appliedDecision": work["spec"]["decision"],
        "conditions": [condition("Applied", "True"), condition("Healthy", ok)],
    });
    let objects = jobs(member, key, work);
    if !objects.is_empty() {
        status["objects"] = Value::Array(objects);
    }
    if work["status"] == status {
        return false;
    }
    sim.merge_status(Who::Member, key, status)
}
