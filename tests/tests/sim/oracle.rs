//! What must hold after every write that the API server accepts, from its objects and from the
//! members' nodes and pods alone. Shares no function with what it judges.

mod finished;
mod rest;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::time::Instant;

use super::member::Member;
use super::sim::Who;
use super::store::{Intent, Key, Store, meta};

/// Namespace and name of a Workload.
type Name = (String, String);
/// Member and component.
type Place = (String, String);

/// What is held at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hold {
    replicas: i64,
    cpu: i64,
}

/// What counts of one tenant's quota, in thousandths of processors.
#[derive(Clone, Debug, Default)]
struct Line {
    guaranteed: i64,
    nominal: i64,
    ceiling: i64,
}

/// The oracle, with what it remembers.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The tenant above each.
    pub(crate) parents: BTreeMap<String, Option<String>>,
    /// The tenant of each namespace.
    pub(crate) tenants: BTreeMap<String, String>,
    held: BTreeMap<Name, BTreeMap<Place, Hold>>,
    lines: BTreeMap<String, Line>,
    /// Decision of each generation of each Workload, by uid.
    decided: BTreeMap<(String, i64), String>,
    /// Highest epoch that was accepted.
    epoch: i64,
    /// Parts of Jobs that their members reported as finished: uid and generation of the Workload, then
    /// member and component.
    ended: BTreeSet<(String, i64, String, String)>,
    /// When each was last short of what it asks for.
    short: BTreeMap<Key, Instant>,
    /// How many made room for another, by what right.
    pub(crate) rooms: BTreeMap<String, u64>,
    pub(crate) violations: Vec<String>,
}

/// Thousandths of an amount of processors.
pub(crate) fn milli(text: &str) -> i64 {
    match text.strip_suffix('m') {
        Some(milli) => milli.parse().expect("a number"),
        None => match text.split_once('.') {
            None => text.parse::<i64>().expect("a number") * 1000,
            Some((whole, part)) => {
                let part = format!("{part:0<3}");
                whole.parse::<i64>().expect("a number") * 1000 + part.parse::<i64>().unwrap()
            }
        },
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn add(sum: &mut BTreeMap<Place, Hold>, member: &str, assignment: &Value) {
    if !assignment["finished"].is_null() {
        return;
    }
    let place = (member.to_owned(), text(assignment, "component").to_owned());
    let hold = sum.entry(place).or_default();
    hold.replicas += assignment["replicas"].as_i64().unwrap_or(0);
    hold.cpu += assignment["charge"]["cpu"].as_str().map_or(0, milli);
}

fn larger(one: &mut BTreeMap<Place, Hold>, other: BTreeMap<Place, Hold>) {
    for (place, hold) in other {
        let held = one.entry(place).or_default();
        held.replicas = held.replicas.max(hold.replicas);
        held.cpu = held.cpu.max(hold.cpu);
    }
}

pub(crate) fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// The assignments of a decision or of a Work's spec that have not finished.
fn running(of: &Value) -> impl Iterator<Item = &Value> {
    list(of, "assignments").filter(|part| part["finished"].is_null())
}

fn member_of(namespace: &str) -> &str {
    namespace.strip_prefix("heyun-member-").unwrap_or_default()
}

/// What the decision of a Workload holds, with what it releases.
fn by_decision(workload: &Value) -> BTreeMap<Place, Hold> {
    let decision = &workload["status"]["decision"];
    let mut sum = BTreeMap::new();
    for assignment in list(decision, "assignments").chain(list(decision, "releasing")) {
        add(&mut sum, text(assignment, "member"), assignment);
    }
    sum
}

/// Whether a Work belongs to this Workload.
fn owns(name: &Name, work: &Value) -> bool {
    let of = &work["spec"]["workload"];
    text(of, "namespace") == name.0 && text(of, "name") == name.1
}

/// The Workload that a Work belongs to.
pub(crate) fn owner(work: &Value) -> Name {
    let of = &work["spec"]["workload"];
    (
        text(of, "namespace").to_owned(),
        text(of, "name").to_owned(),
    )
}

/// Whether a condition of this kind is true.
pub(crate) fn is(object: &Value, kind: &str) -> bool {
    list(&object["status"], "conditions").any(|c| c["type"] == kind && c["status"] == "True")
}

/// What a Workload holds: by its decision and by its Works, the larger at each place.
fn held(store: &Store, name: &Name) -> BTreeMap<Place, Hold> {
    let mut works = BTreeMap::new();
    for (key, work) in store.list("works", "") {
        if owns(name, work) {
            let reported = |of: &&Value| finished::is_reported(work, of);
            for assignment in list(&work["spec"], "assignments").filter(|of| !reported(of)) {
                add(&mut works, member_of(&key.namespace), assignment);
            }
        }
    }
    let workload = store.get("workloads", &name.0, &name.1);
    let mut held = workload.map(by_decision).unwrap_or_default();
    larger(&mut held, works);
    held.retain(|_, hold| *hold != Hold::default());
    held
}

impl Oracle {
    /// What a write breaks.
    pub(crate) fn see(
        &mut self,
        who: Who,
        intent: &Intent,
        store: &Store,
        members: &[Member],
    ) -> Vec<String> {
        let key = &intent.key;
        let any = intent
            .new
            .as_deref()
            .or(intent.old.as_deref())
            .expect("it was written");
        let mut said = Vec::new();
        let name = match key.res.as_str() {
            "workloads" => (key.namespace.clone(), key.name.clone()),
            "works" => owner(any),
            "quotas" => (String::new(), String::new()),
            _ => return said,
        };
        let before = matches!(who, Who::Hub(_)).then(|| (self.charges(), self.assigned()));
        if key.res == "quotas" {
            self.lines.insert(key.name.clone(), line(any));
        } else {
            let held = held(store, &name);
            self.held.insert(name.clone(), held);
        }
        self.ends(intent, &mut said);
        self.note_short(intent);
        if let Some((charged, assigned)) = before {
            self.excess(&charged, &assigned, members, &mut said);
            match key.res.as_str() {
                "workloads" => self.decision(intent, store, &mut said),
                "works" => self.work(intent, store, members, &name, &mut said),
                _ => {}
            }
        }
        for member in members {
            said.extend(self.too_many(member));
        }
        self.violations.extend(said.iter().cloned());
        said
    }

    /// What is broken by pods that a member has just begun or ended.
    pub(crate) fn pods(&mut self, member: &Member) -> Vec<String> {
        let said = self.too_many(member);
        self.violations.extend(said.iter().cloned());
        said
    }

    /// Pods that nobody is charged for.
    fn too_many(&self, member: &Member) -> Vec<String> {
        let mut held: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for places in self.held.values() {
            for ((at, component), hold) in places {
                if *at == member.name {
                    // Workloads of a simulation have different names, and so their components.
                    *held.entry((at, component)).or_default() += hold.replicas;
                }
            }
        }
        let mut said = Vec::new();
        for ((work, component), pods) in &member.pods {
            let covered = held.get(&(member.name.as_str(), component.as_str()));
            let pods = i64::try_from(pods.len()).unwrap();
            if pods > covered.copied().unwrap_or(0) {
                said.push(format!(
                    "{pods} pods of {work} {component} on {}, held are {covered:?}",
                    member.name
                ));
            }
        }
        said
    }

    fn own(&self) -> BTreeMap<&str, i64> {
        let mut own: BTreeMap<&str, i64> = BTreeMap::new();
        for ((namespace, _), places) in &self.held {
            let tenant = &self.tenants[namespace];
            *own.entry(tenant).or_default() += places.values().map(|h| h.cpu).sum::<i64>();
        }
        own
    }

    /// charge(n) = own + Σ over children of max(charge, guaranteed).
    fn charge(&self, own: &BTreeMap<&str, i64>, tenant: &str) -> i64 {
        let children = self
            .parents
            .iter()
            .filter(|(_, p)| p.as_deref() == Some(tenant));
        let below: i64 = children
            .map(|(child, _)| {
                let least = self.lines.get(child).map_or(0, |line| line.guaranteed);
                self.charge(own, child).max(least)
            })
            .sum();
        own.get(tenant).copied().unwrap_or(0) + below
    }

    fn charges(&self) -> BTreeMap<String, i64> {
        let own = self.own();
        let each = self
            .parents
            .keys()
            .map(|t| (t.clone(), self.charge(&own, t)));
        each.collect()
    }

    fn most(&self, tenant: &str) -> i64 {
        let Some(line) = self.lines.get(tenant) else {
            return 0;
        };
        match self.parents[tenant] {
            None => line.nominal,
            Some(_) => line.ceiling,
        }
    }

    /// What a tenant may still be charged, by the formula of the quota tree.
    fn available(&self, tenant: &str) -> i64 {
        let charge = self.charge(&self.own(), tenant);
        let rest = self.most(tenant) - charge;
        match &self.parents[tenant] {
            None => rest,
            Some(parent) => {
                let line = self.lines.get(tenant).cloned().unwrap_or_default();
                let own = (line.guaranteed - charge).max(0);
                rest.min(own + self.available(parent).max(0))
            }
        }
    }

    fn assigned(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for ((member, _), hold) in self.held.values().flatten() {
            *sums.entry(member.clone()).or_default() += hold.cpu;
        }
        sums
    }

    /// Invariant 2: nothing beyond what counts, or it did not grow.
    fn excess(
        &self,
        charged: &BTreeMap<String, i64>,
        assigned: &BTreeMap<String, i64>,
        members: &[Member],
        said: &mut Vec<String>,
    ) {
        for (tenant, charge) in self.charges() {
            let most = self.most(&tenant);
            let before = charged.get(&tenant).copied().unwrap_or(0);
            if charge > most && charge > before {
                said.push(format!(
                    "{tenant} is charged {charge} of {most}, before {before}"
                ));
            }
        }
        let now = Instant::now();
        for (member, sum) in self.assigned() {
            let before = assigned.get(&member).copied().unwrap_or(0);
            let known = members.iter().find(|m| m.name == member);
            let most = known.map_or(0, |m| m.capacity(m.lenient.is_some_and(|at| now < at)));
            if sum > most && sum > before {
                said.push(format!(
                    "{member} is assigned {sum} of {most}, before {before}"
                ));
            }
        }
    }

    /// One decision for each generation, made of the generation that it is written on; epochs grow.
    fn decision(&mut self, intent: &Intent, store: &Store, said: &mut Vec<String>) {
        let Some(new) = &intent.new else { return };
        let (was, is) = (
            intent
                .old
                .as_ref()
                .map_or(&Value::Null, |old| &old["status"]["decision"]),
            &new["status"]["decision"],
        );
        if was == is || is.is_null() {
            return;
        }
        let key = &intent.key;
        self.epoch(&is["epoch"], key, said);
        let (id, generation) = (text(is, "id"), is["generation"].as_i64().unwrap_or(0));
        let now = new["metadata"]["generation"].as_i64().unwrap_or(0);
        let name = (key.namespace.clone(), key.name.clone());
        let works = store
            .list("works", "")
            .filter(|(_, work)| owns(&name, work));
        let mut carried = works.map(|(_, work)| text(&work["spec"], "decision"));
        // One that never came about goes back to the one that its Works carry.
        let goes_back = generation != now && carried.any(|carried| carried == id);
        if goes_back {
            self.decided
                .insert((meta(new, "uid").to_owned(), generation), id.to_owned());
        }
        if text(was, "id") != id {
            let gives_way = !is["preempted"].is_null();
            if generation != now && !gives_way && !goes_back {
                said.push(format!(
                    "{key}: decision {id} of generation {generation}, on {now}"
                ));
            }
            if !new["metadata"]["deletionTimestamp"].is_null() {
                said.push(format!("{key}: decision {id} of a Workload that goes"));
            }
        }
        let of = (meta(new, "uid").to_owned(), generation);
        let gives_way = !is["preempted"].is_null() && was["preempted"].is_null();
        if gives_way {
            self.makes_room(key, new, store, said);
            let claim = text(&is["preempted"], "claim").to_owned();
            *self.rooms.entry(claim).or_default() += 1;
        }
        if is["returned"] == true && was["returned"] != true {
            // It left the other member for this one, whose decision was of the same generation.
            let home = list(is, "assignments").all(|part| part["member"] == "m0");
            let away = list(was, "assignments").any(|part| part["member"] != "m0");
            if !home || !away || was["generation"] != is["generation"] {
                said.push(format!("{key}: decision {id} goes back from {was}"));
            }
            self.decided.insert(of.clone(), id.to_owned());
        }
        let first = self.decided.entry(of).or_insert_with(|| id.to_owned());
        if gives_way || !was["preempted"].is_null() {
            // It gave something up, or has it back.
            id.clone_into(first);
        }
        if first != id {
            said.push(format!(
                "{key}: generation {generation} was {first}, now {id}"
            ));
        }
    }

    fn epoch(&mut self, epoch: &Value, key: &super::store::Key, said: &mut Vec<String>) {
        let epoch = epoch.as_i64().unwrap_or(0);
        if epoch < self.epoch {
            said.push(format!(
                "{key}: epoch {epoch} was accepted after {}",
                self.epoch
            ));
        }
        self.epoch = self.epoch.max(epoch);
    }

    /// No Work without the decision that it carries, and no last healthy copy that goes.
    fn work(
        &mut self,
        intent: &Intent,
        store: &Store,
        members: &[Member],
        name: &Name,
        said: &mut Vec<String>,
    ) {
        let key = &intent.key;
        let old = intent.old.as_deref().unwrap_or(&Value::Null);
        let workload = store.get("workloads", &name.0, &name.1);
        let member = member_of(&key.namespace);
        if let Some(new) = intent
            .new
            .as_deref()
            .filter(|new| old["spec"] != new["spec"])
        {
            self.epoch(&new["spec"]["epoch"], key, said);
            if new["spec"]["retire"].is_null() {
                let decided = workload.map(by_decision).unwrap_or_default();
                for assignment in running(&new["spec"]) {
                    let place = (member.to_owned(), text(assignment, "component").to_owned());
                    let replicas = assignment["replicas"].as_i64().unwrap_or(0);
                    if decided
                        .get(&place)
                        .is_none_or(|hold| hold.replicas < replicas)
                    {
                        said.push(format!("{key}: {replicas} that no decision holds"));
                    }
                }
            }
        }
        let retires = |object: &Value| !object["spec"]["retire"].is_null();
        let goes = intent.new.as_deref().is_none_or(retires) && !retires(old);
        let needed = workload.is_some_and(|w| {
            let gave_way = !w["status"]["decision"]["preempted"].is_null();
            w["metadata"]["deletionTimestamp"].is_null() && !gave_way
        });
        let calm = members.iter().all(|m| m.lenient.is_none());
        if goes && needed && calm && is(old, "Healthy") {
            let others = store.list("works", "").filter(|(k, other)| {
                *k != key && owns(name, other) && !retires(other) && is(other, "Healthy")
            });
            if others.count() == 0 {
                said.push(format!("{key}: the last healthy copy goes"));
            }
        }
    }
}

fn line(quota: &Value) -> Line {
    let effective = &quota["status"]["effective"];
    let found = list(effective, "resources").find(|line| line["resource"] == "cpu");
    let number = |field: &str| found.and_then(|line| line[field].as_str()).map(milli);
    let nominal = number("nominal").unwrap_or(0);
    Line {
        guaranteed: number("guaranteed").unwrap_or(0),
        nominal,
        ceiling: number("ceiling").unwrap_or(nominal),
    }
}
