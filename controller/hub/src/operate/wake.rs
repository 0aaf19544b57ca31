//! From what happened to those that are looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use heyun_crds::MemberCluster;
use heyun_crds::workload::Decision;
use heyun_plan::observe;
use heyun_scheduler::preempt::Reservation;
use heyun_scheduler::quota::QuotaTree;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::{Held, Readiness};
use heyun_scheduler::wake::Event;

use super::Operator;
use crate::seeded::{self, Bug};
use crate::world::parted;

/// Least time between two rounds, however much happens.
const PAUSE: Duration = Duration::from_millis(500);
/// The same for what others take, which helps only by the chance of a search.
const PAUSE_TAKEN: Duration = Duration::from_secs(10);
/// Seconds between two looks at what only the time changes.
const TURNS_EVERY: i64 = 30;

impl Operator {
    /// Takes in what happened, and says when those whom it wakes are looked at.
    pub(super) fn take_events(&mut self) {
        self.note_turns();
        let happened = std::mem::take(&mut self.dirty.happened);
        if !happened.is_empty() {
            let taken = |event: &Event| matches!(event, Event::CapacityTaken { .. });
            let pause = if happened.iter().all(taken) {
                PAUSE_TAKEN
            } else {
                self.show_soon();
                PAUSE
            };
            let at = self.around.clock.monotonic() + pause;
            self.unblock_at = Some(self.unblock_at.map_or(at, |known| known.min(at)));
        }
        self.unplaced.begin_turn(happened);
    }

    /// Those whom what happened since the last round wakes.
    pub(super) fn wake(&mut self) -> Vec<WorkloadKey> {
        let borrowing = if self.unplaced.speaks_of_claims() {
            self.borrowing()
        } else {
            BTreeSet::new()
        };
        let woken = self.unplaced.wake(&borrowing);
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (_, kind) in &woken {
            let by = kind.map_or("Anything", |kind| kind.as_str());
            *counts.entry(by).or_default() += 1;
        }
        for (by, count) in counts {
            self.around.metrics.woken(by, count);
        }
        woken.into_iter().map(|(key, _)| key).collect()
    }

    /// The tenants that are charged above their nominal of anything, as things are now.
    fn borrowing(&mut self) -> BTreeSet<String> {
        let charges = self.charges();
        let quotas: Vec<_> = self.world.quotas.values().collect();
        let (tree, _) = observe::quota::tree(&quotas, &self.world.tree, &charges);
        let borrows = |tree: &QuotaTree, node| {
            let mut keys = tree.keys(node).into_iter();
            keys.any(|key| {
                let figures = tree.figures(node, &key);
                figures.borrowed > 0 || figures.debt > 0
            })
        };
        let nodes = tree.nodes().filter(|node| borrows(&tree, *node));
        nodes.map(|node| tree.name(node).to_owned()).collect()
    }

    /// What a chain that begins takes.
    pub(super) fn note_taken(&mut self, key: &WorkloadKey, held: &Held) {
        let nothing = Held::default();
        let before = self.world.workloads.get(key);
        let before = before.map_or(&nothing, |entry| &entry.held);
        let taken = parted(held, before).into_iter();
        let events = taken.map(|(member, flavor, _)| Event::CapacityTaken {
            member: member.to_owned(),
            flavor: self.world.flavor_at(member, flavor),
        });
        self.dirty.happened.extend(events);
    }

    /// What was decided and will not be taken: those after it were decided as if it were.
    pub(super) fn note_untaken(&mut self, key: &WorkloadKey, held: &Held) {
        let freed = self.world.freed(key, held, &Held::default());
        self.dirty.happened.extend(freed);
    }

    /// The same of a decision of which no chain begins yet.
    pub(super) fn does_not_begin(&mut self, key: &WorkloadKey, decision: Decision) {
        self.note_untaken(key, &super::conclude::committed(decision));
    }

    /// A chain has ended: its Workload may have to make room for those that were told otherwise
    /// meanwhile.
    pub(super) fn note_standing(&mut self, key: &WorkloadKey) {
        let Some(entry) = self.world.workloads.get(key) else {
            return;
        };
        if entry.status.decision.is_none() {
            return;
        }
        self.dirty.happened.note(Event::Stands {
            tenants: self.world.lineage_of(&key.namespace),
            priority: self.world.class_of(entry).value,
            borrows: true,
        });
    }

    /// What was kept for one that waited is anybody's.
    pub(super) fn note_unkept(&mut self, of: &Reservation) {
        if seeded::is(Bug::Unkept) {
            return;
        }
        let tenants = self.world.lineage(&of.tenant);
        let rooms = of.room.iter();
        let rooms = rooms.map(|room| Event::CapacityFreed {
            member: room.member.clone(),
            flavor: self.world.flavor_at(&room.member, &room.replicas.flavor),
        });
        self.dirty.happened.extend(rooms);
        let keys = of.increase.keys().cloned();
        self.dirty
            .happened
            .extend(keys.map(|key| Event::QuotaReleased {
                tenants: tenants.clone(),
                key,
            }));
    }

    /// Members that are refused from now on, though nothing changed but the time: for what no search
    /// meets in all ways that is as if others took what they have.
    fn note_turns(&mut self) {
        let now = self.around.clock.now().as_second();
        if now.saturating_sub(self.turned_at) < TURNS_EVERY {
            return;
        }
        let last = std::mem::replace(&mut self.turned_at, now);
        let tolerated = self.around.config.tolerated_not_ready_seconds;
        let turned = |member: &MemberCluster| {
            let unready = match observe::readiness(member) {
                Readiness::NotReady { since } => Some(since.saturating_add(tolerated)),
                _ => None,
            };
            let filing = observe::mlps(&member.spec.mlps);
            let expired = filing.and_then(|filing| filing.valid_until);
            let mut turns = [unready, expired].into_iter().flatten();
            turns.any(|at| (last..now).contains(&at))
        };
        let members = self.world.members.iter();
        let turned = members.filter(|(_, member)| turned(member));
        let events = turned.map(|(name, _)| Event::CapacityTaken {
            member: name.clone(),
            flavor: None,
        });
        self.dirty.happened.extend(events);
    }
}
