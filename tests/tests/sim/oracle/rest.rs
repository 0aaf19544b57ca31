//! What may not be left when faults have stopped and all has come to rest.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::member::Member;
use super::super::objects::asked as asked_for;
use super::super::store::{Key, Store};
use super::finished::{did_its_part, done};
use super::{Oracle, is, list, owner, owns, running, text};

impl Oracle {
    /// What may not be left when all has come to rest.
    pub(crate) fn rest(&self, store: &Store, members: &[Member]) -> Vec<String> {
        let mut said = Vec::new();
        let mut named: BTreeSet<(String, String)> = BTreeSet::new();
        for (key, workload) in store.list("workloads", "") {
            self.settled(key, workload, store, members, &mut said, &mut named);
        }
        for (key, work) in store.list("works", "") {
            if !named.contains(&(key.namespace.clone(), key.name.clone())) {
                said.push(format!("{key} of {:?} is nobody's", owner(work)));
            }
        }
        for member in members {
            let namespace = member.namespace();
            for (work, component) in member.pods.keys() {
                if store.get("works", &namespace, work).is_none() {
                    said.push(format!("pods of {work} {component} are nobody's"));
                }
            }
            if member.is_whole() && !member.all_bound() && !member.could_bind() {
                said.push(format!("{}: pods without a node", member.name));
            }
        }
        said
    }

    fn settled(
        &self,
        key: &Key,
        workload: &Value,
        store: &Store,
        members: &[Member],
        said: &mut Vec<String>,
        named: &mut BTreeSet<(String, String)>,
    ) {
        if !workload["metadata"]["deletionTimestamp"].is_null() {
            said.push(format!("{key} is still going"));
            return;
        }
        let decision = &workload["status"]["decision"];
        let generation = &workload["metadata"]["generation"];
        let mut healthy = true;
        for assignment in list(decision, "assignments") {
            let namespace = format!("heyun-member-{}", text(assignment, "member"));
            let work = store.list("works", &namespace);
            let name = (key.namespace.clone(), key.name.clone());
            let found = work.into_iter().find(|(_, work)| owns(&name, work));
            match found {
                Some((work, object)) if object["spec"]["decision"] == decision["id"] => {
                    named.insert((work.namespace.clone(), work.name.clone()));
                    healthy &= is(object, "Healthy");
                    if self.is_charged(workload, assignment) {
                        said.push(format!("{key}: what has finished is charged: {assignment}"));
                    }
                }
                // It went with what made room beside it.
                _ if !assignment["finished"].is_null() => {}
                _ => said.push(format!("{key}: no Work of its decision on {namespace}")),
            }
        }
        if !healthy {
            // What it replaces stays until a node comes back.
            let own = (key.namespace.clone(), key.name.clone());
            let works = store.list("works", "").filter(|(_, work)| owns(&own, work));
            named.extend(works.map(|(k, _)| (k.namespace.clone(), k.name.clone())));
        } else if list(decision, "releasing").next().is_some() {
            said.push(format!("{key} still releases"));
        }
        if decision["generation"] == *generation && decision["preempted"].is_null() {
            if let Some(place) = self.could_go_back(key, workload, members) {
                said.push(format!("{key} stays away, and home holds it: {place}"));
            }
            return;
        }
        let scheduled = list(&workload["status"], "conditions")
            .find(|c| c["type"] == "Scheduled" || c["type"] == "QuotaReserved");
        let told = scheduled.is_some_and(|c| c["observedGeneration"] == *generation);
        if !told {
            said.push(format!("{key} waits without a word"));
        }
        if let Some(place) = self.would_fit(key, workload, members) {
            said.push(format!("{key} waits, and fits: {place}"));
        }
    }

    /// Whether all of a Workload that may go back would fit in its first term now, by quota and nodes.
    fn could_go_back(&self, key: &Key, workload: &Value, members: &[Member]) -> Option<String> {
        if workload["spec"]["placement"]["return"].is_null() {
            return None;
        }
        let asked = asked_for(workload);
        let parts = list(&workload["status"]["decision"], "assignments");
        let there = parts.filter(|part| part["member"] == "m0");
        let has: i64 = there
            .map(|part| part["replicas"].as_i64().unwrap_or(0))
            .sum();
        let more = asked.replicas - has;
        if more <= 0 || !members.iter().all(Member::is_whole) {
            return None;
        }
        let home = &members[0];
        let free = (0..home.nodes.len()).map(|n| (home.free(n) / asked.cpu).max(0));
        let (room, left) = (
            free.sum::<i64>(),
            self.available(&self.tenants[&key.namespace]),
        );
        (room >= more && more * asked.cpu <= left).then(|| format!("room for {room}, asked {more}"))
    }

    /// Whether what a Workload asks for more would fit now, by quota and by nodes.
    fn would_fit(&self, key: &Key, workload: &Value, members: &[Member]) -> Option<String> {
        let asked = asked_for(workload);
        let has: i64 = running(&workload["status"]["decision"])
            .filter(|a| {
                asked
                    .member
                    .as_deref()
                    .is_none_or(|m| text(a, "member") == m)
            })
            .map(|a| a["replicas"].as_i64().unwrap_or(0))
            .sum();
        let held = self.held.get(&(key.namespace.clone(), key.name.clone()));
        let held: i64 = held.into_iter().flatten().map(|(_, hold)| hold.cpu).sum();
        let more = asked.replicas - has - done(workload);
        let lost = members.iter().flat_map(|m| &m.nodes).any(|node| !node.up);
        if lost && more <= 0 {
            // What it has may have lost its nodes, and then it does not fit as it is.
            return None;
        }
        let room: i64 = members
            .iter()
            .filter(|m| asked.member.as_deref().is_none_or(|name| m.name == name))
            .filter(|m| !did_its_part(workload, &m.name))
            .map(|member| {
                let up = (0..member.nodes.len()).filter(|n| member.nodes[*n].up);
                up.map(|n| (member.free(n) / asked.cpu).max(0)).sum::<i64>()
            })
            .sum();
        // What moves is charged at both places until it has moved.
        let grows = if asked.member.is_some() {
            more * asked.cpu
        } else {
            (asked.replicas - done(workload)) * asked.cpu - held
        };
        let covered = self.available(&self.tenants[&key.namespace]);
        (room >= more && grows <= covered)
            .then(|| format!("room for {room}, asked {more}; quota {covered} for {grows}"))
    }
}
