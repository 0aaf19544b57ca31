//! Workloads of one tenant, near one another or apart.
//!
//! A rule speaks of other workloads of the same tenant by their labels. It is judged once for each
//! request, after the rules that many requests share, and of a request without rules only those are
//! looked at that keep others away.

use std::collections::{BTreeMap, BTreeSet};

use crate::filter::Sink;
use crate::fleet::{Fleet, Site};
use crate::labels::pass_all;
use crate::request::{Component, NeighbourKind, NeighbourRule, Request, WorkloadKey};
use crate::rules::topology;
use crate::snapshot::{Neighbour, Snapshot};
use crate::verdict::{Code, Placed, Reason};

/// Workloads that a decision depends on, by name.
pub(crate) type Neighbours<'a> = BTreeMap<&'a WorkloadKey, &'a Neighbour>;

/// By tenant, workloads that keep others away.
type Keeping = BTreeMap<String, BTreeSet<WorkloadKey>>;

/// What is known of who is where, besides the snapshot.
#[derive(Default)]
pub(crate) struct Neighbourhood {
    /// Those of the snapshot that keep others away.
    keeping: Keeping,
    /// By tenant, what this batch has placed: it counts instead of what the snapshot says.
    placed: BTreeMap<String, BTreeMap<WorkloadKey, Neighbour>>,
    /// Those of them that keep others away.
    placed_keeping: Keeping,
}

impl Neighbourhood {
    /// Of a snapshot, before anything is placed.
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let mut hood = Self::default();
        for (tenant, all) in &snapshot.neighbours {
            for (key, of) in all.iter().filter(|(_, of)| !of.keeps_out.is_empty()) {
                hood.note(tenant, key, Some(of));
            }
        }
        hood
    }

    /// Takes in what the snapshot now says of one; `None`: nothing any more.
    pub(crate) fn note(&mut self, tenant: &str, key: &WorkloadKey, of: Option<&Neighbour>) {
        if of.is_some_and(|of| !of.keeps_out.is_empty()) {
            let keeping = self.keeping.entry(tenant.to_owned()).or_default();
            keeping.insert(key.clone());
        } else if let Some(keeping) = self.keeping.get_mut(tenant) {
            keeping.remove(key);
            if keeping.is_empty() {
                self.keeping.remove(tenant);
            }
        }
    }

    /// Whether nobody keeps others away.
    pub(crate) fn keeps_nobody_out(&self) -> bool {
        self.keeping.is_empty() && self.placed_keeping.is_empty()
    }

    /// Takes in what a decision has placed, for those after it. What the workload leaves is not
    /// gone yet.
    pub(crate) fn follow(&mut self, snapshot: &Snapshot, request: &Request, placed: &Placed) {
        let (tenant, key) = (&request.tenant, &request.key);
        let used = placed.assignments.iter().filter(|of| of.replicas > 0);
        let on: BTreeSet<String> = used.map(|of| of.member.clone()).collect();
        let known = snapshot.neighbours.get(tenant).and_then(|all| all.get(key));
        let known = known
            .into_iter()
            .flat_map(|of| of.on.iter().chain(&of.leaving));
        let held = snapshot.held.get(key).into_iter();
        let held = held.flat_map(|held| &held.entries);
        let held = held.filter(|entry| entry.replicas > 0);
        let before = known.chain(held.map(|entry| &entry.member));
        let leaving = before.filter(|member| !on.contains(*member)).cloned();
        let rules = request.placement.neighbours.iter();
        let of = Neighbour {
            labels: request.labels.clone(),
            keeps_out: rules.filter(|rule| rule.keeps_out()).cloned().collect(),
            leaving: leaving.collect(),
            on,
        };
        if !of.keeps_out.is_empty() {
            let keeping = self.placed_keeping.entry(tenant.clone()).or_default();
            keeping.insert(key.clone());
        }
        let all = self.placed.entry(tenant.clone()).or_default();
        all.insert(key.clone(), of);
    }

    /// Forgets what was placed.
    pub(crate) fn forget(&mut self) {
        self.placed.clear();
        self.placed_keeping.clear();
    }

    /// The workloads that a decision depends on: those that its rules select, and those that keep it
    /// away. By name.
    pub(crate) fn of<'s>(&'s self, snapshot: &'s Snapshot, request: &Request) -> Neighbours<'s> {
        let tenant = &request.tenant;
        let rules = &request.placement.neighbours;
        if rules.is_empty() && self.keeps_nobody_out() {
            return BTreeMap::new();
        }
        let known = snapshot.neighbours.get(tenant);
        let placed = self.placed.get(tenant);
        let mut found = BTreeMap::new();
        if rules.is_empty() {
            let get = |key| placed.and_then(|all| all.get_key_value(key));
            let known = |key| get(key).or_else(|| known?.get_key_value(key));
            let keeping = [&self.keeping, &self.placed_keeping].into_iter();
            let keeping = keeping.filter_map(|of| of.get(tenant)).flatten();
            found.extend(keeping.filter_map(known));
        } else {
            found.extend(known.into_iter().flatten());
            found.extend(placed.into_iter().flatten());
        }
        found.retain(|key, of| {
            let kept_out = of.keeps_out.iter();
            let mut kept_out = kept_out.filter(|rule| pass_all(&request.labels, &rule.selector));
            let selected = |rule: &NeighbourRule| pass_all(&of.labels, &rule.selector);
            **key != request.key && (kept_out.next().is_some() || rules.iter().any(selected))
        });
        found
    }
}

/// By value of a key, the first workload that is in its group.
type Groups<'a> = BTreeMap<&'a str, &'a WorkloadKey>;

/// What the neighbours of a request mean for it.
#[derive(Default)]
pub(crate) struct Around<'a> {
    rules: Vec<Ruled<'a>>,
    keepers: Vec<Keeper<'a>>,
}

/// A rule of the request.
struct Ruled<'a> {
    rule: &'a NeighbourRule,
    /// Where those that it selects have replicas.
    there: Groups<'a>,
    /// Where some are not confirmed as gone.
    leaving: Groups<'a>,
    /// No other is anywhere, and it selects the request itself.
    begins: bool,
}

/// A rule of another workload that keeps the request away.
struct Keeper<'a> {
    rule: &'a NeighbourRule,
    workload: &'a WorkloadKey,
    groups: BTreeSet<&'a str>,
}

impl<'a> Around<'a> {
    /// What is around a request: these are the workloads that it depends on.
    pub(crate) fn new(fleet: &'a Fleet, request: &'a Request, neighbours: &Neighbours<'a>) -> Self {
        // One without a pod anywhere is nowhere, and no rule speaks of it.
        if !request.components.iter().any(Component::runs_pods) {
            return Self::default();
        }
        let rules = request.placement.neighbours.iter();
        let rules = rules.map(|rule| Ruled::new(fleet, request, rule, neighbours));
        let mut keepers = Vec::new();
        for (workload, of) in neighbours {
            let rules = of.keeps_out.iter();
            for rule in rules.filter(|rule| pass_all(&request.labels, &rule.selector)) {
                let members = of.on.iter().chain(&of.leaving);
                let groups = members.filter_map(|member| group(fleet, member, &rule.topology_key));
                keepers.push(Keeper {
                    rule,
                    workload,
                    groups: groups.collect(),
                });
            }
        }
        Self {
            rules: rules.collect(),
            keepers,
        }
    }

    /// Whether nothing is to be judged.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.keepers.is_empty()
    }

    /// Refuses a member where a hard rule, its own or another's, does.
    pub(crate) fn judge<S: Sink>(&self, site: &Site, sink: &mut S) {
        let hard = self.rules.iter().filter(|of| of.rule.is_hard());
        for ruled in hard {
            if let Some(code) = ruled.refuses(site) {
                sink.refuse(code, || (ruled.reason(site, code), None));
            }
        }
        for keeper in &self.keepers {
            let group = topology(site, &keeper.rule.topology_key);
            if let Some(group) = group.filter(|group| keeper.groups.contains(group)) {
                sink.refuse(Code::KeptOut, || (keeper.reason(group), None));
            }
        }
    }

    /// Whether it has soft rules.
    pub(crate) fn wishes(&self) -> bool {
        self.soft().next().is_some()
    }

    fn soft(&self) -> impl Iterator<Item = &Ruled<'a>> {
        self.rules.iter().filter(|of| !of.rule.is_hard())
    }

    /// How many soft rules a member does not keep.
    pub(crate) fn unwished(&self, site: &Site) -> usize {
        let broken = self.soft().filter(|of| of.refuses(site).is_some());
        broken.count()
    }

    /// The topology keys of soft rules that one of these members does not keep.
    pub(crate) fn not_kept<'s>(
        &self,
        sites: impl Iterator<Item = &'s Site> + Clone,
    ) -> BTreeSet<String> {
        let broken = self
            .soft()
            .filter(|of| sites.clone().any(|site| of.refuses(site).is_some()));
        broken.map(|of| of.rule.topology_key.clone()).collect()
    }

    /// A hard rule that asks for workloads that are nowhere.
    pub(crate) fn awaited(&self) -> Option<&'a NeighbourRule> {
        let mut rules = self.rules.iter();
        let awaited = rules.find(|of| {
            let near = of.rule.kind == NeighbourKind::Near && of.rule.is_hard();
            near && of.there.is_empty() && !of.begins
        });
        awaited.map(|of| of.rule)
    }
}

impl<'a> Ruled<'a> {
    fn new(
        fleet: &'a Fleet,
        request: &'a Request,
        rule: &'a NeighbourRule,
        neighbours: &Neighbours<'a>,
    ) -> Self {
        let key = &rule.topology_key;
        let mut of = Self {
            rule,
            there: Groups::new(),
            leaving: Groups::new(),
            begins: false,
        };
        let all = neighbours.iter();
        for (workload, one) in all.filter(|(_, one)| pass_all(&one.labels, &rule.selector)) {
            for (members, groups) in [(&one.on, &mut of.there), (&one.leaving, &mut of.leaving)] {
                for group in members
                    .iter()
                    .filter_map(|member| group(fleet, member, key))
                {
                    groups.entry(group).or_insert(workload);
                }
            }
        }
        if rule.kind == NeighbourKind::Near && pass_all(&request.labels, &rule.selector) {
            of.begins = of.there.is_empty();
            // It is one of those that it asks for.
            let own = request.previous.iter().filter(|of| of.replicas > 0);
            for group in own.filter_map(|of| group(fleet, &of.member, key)) {
                of.there.entry(group).or_insert(&request.key);
            }
        }
        of
    }

    /// What refuses a member, if anything does.
    fn refuses(&self, site: &Site) -> Option<Code> {
        let Some(group) = topology(site, &self.rule.topology_key) else {
            return Some(Code::NoTopology);
        };
        match self.rule.kind {
            NeighbourKind::Near => {
                let near = self.begins || self.there.contains_key(group);
                (!near).then_some(Code::NoNeighbour)
            }
            NeighbourKind::Apart if self.there.contains_key(group) => Some(Code::Neighbour),
            NeighbourKind::Apart => {
                let leaving = self.leaving.contains_key(group);
                leaving.then_some(Code::NeighbourLeaving)
            }
        }
    }

    fn reason(&self, site: &Site, code: Code) -> Reason {
        let (selector, key) = (self.rule.selector.clone(), self.rule.topology_key.clone());
        let Some(group) = topology(site, &key) else {
            return Reason::NoTopology { key };
        };
        let leaving = code == Code::NeighbourLeaving;
        let groups = if leaving { &self.leaving } else { &self.there };
        match groups.get(group).filter(|_| code != Code::NoNeighbour) {
            Some(workload) => Reason::Neighbour {
                workload: WorkloadKey::clone(workload),
                selector,
                group: group.to_owned(),
                key,
                leaving,
            },
            None => Reason::NoNeighbour {
                selector,
                group: group.to_owned(),
                key,
            },
        }
    }
}

impl Keeper<'_> {
    fn reason(&self, group: &str) -> Reason {
        Reason::KeptOut {
            workload: self.workload.clone(),
            selector: self.rule.selector.clone(),
            key: self.rule.topology_key.clone(),
            group: group.to_owned(),
        }
    }
}

/// The value of a key on a member; `None` for one that has left or has none.
fn group<'a>(fleet: &'a Fleet, member: &str, key: &str) -> Option<&'a str> {
    let site = fleet.sites.get(fleet.site(member)?)?;
    topology(site, key)
}

#[cfg(test)]
mod tests;
