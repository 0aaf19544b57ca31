//! Components that are alike to capacity: judged once, remembered while nothing changes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::{Fleet, Profile, Site};
use crate::capacity::{Each, Nodes, Taken, Takes, slots};
use crate::labels::{pass_all, tolerated, untolerated};
use crate::request::{Component, LabelRequirement, Request, Toleration};
use crate::resources::Resources;

/// The node label of the architecture.
pub(crate) const ARCH: &str = "kubernetes.io/arch";

/// The most remembered answers; beyond it all are forgotten.
const REMEMBERED: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness<'a> {
    per_replica: &'a Resources,
    node_selector: &'a BTreeMap<String, String>,
    node_affinity: &'a [Vec<LabelRequirement>],
    tolerations: &'a [Toleration],
    architectures: &'a BTreeSet<String>,
    required: &'a BTreeSet<String>,
}

/// Why a kind of node takes no replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It takes them.
    Takes,
    /// The images do not run on its architecture.
    Architecture,
    /// Selector, affinity or taints.
    Mismatch,
}

/// What components that are alike have in common.
pub(crate) struct Class {
    /// What one replica requests.
    pub(crate) each: Each,
    /// Node label keys that the component names.
    pub(crate) keys: BTreeSet<String>,
    /// Architectures that are allowed; `None`: any.
    pub(crate) architectures: Option<BTreeSet<String>>,
    judged: Vec<Judgement>,
    /// Whether a set of labels that sketches tell apart has all that the component names.
    reported: Vec<bool>,
    rooms: Vec<Cell<Room>>,
    takes: RefCell<Vec<Option<Takes>>>,
    prices: Vec<Cell<Option<i128>>>,
}

/// What is remembered of a lot.
#[derive(Clone, Copy, Default)]
struct Room {
    /// Slots with nothing in flight, which do not change during a batch; `None`: not looked at yet.
    total: Option<i64>,
    /// What is in flight, as far as the lot's log was read.
    taken: Taken,
    /// How far that is.
    read: usize,
    /// How many slots are left then.
    left: i64,
}

/// All classes of a batch.
#[derive(Default)]
pub(crate) struct Classes<'a> {
    ids: BTreeMap<Likeness<'a>, usize>,
    classes: Vec<Class>,
}

impl<'a> Classes<'a> {
    /// The classes of a request's components, in their order.
    pub(crate) fn of(&mut self, fleet: &Fleet<'a>, request: &'a Request) -> Vec<usize> {
        if self.classes.len().saturating_mul(fleet.lots.len()) > REMEMBERED {
            self.ids.clear();
            self.classes.clear();
        }
        let required = &request.placement.requirements.arch;
        request
            .components
            .iter()
            .map(|component| {
                let likeness = Likeness {
                    per_replica: &component.per_replica,
                    node_selector: &component.node_selector,
                    node_affinity: &component.node_affinity,
                    tolerations: &component.tolerations,
                    architectures: &component.architectures,
                    required,
                };
                *self.ids.entry(likeness).or_insert_with(|| {
                    self.classes.push(Class::new(fleet, component, required));
                    self.classes.len() - 1
                })
            })
            .collect()
    }

    /// One class.
    pub(crate) fn get(&self, id: usize) -> Option<&Class> {
        self.classes.get(id)
    }

    /// How many replicas of a class fit on a lot now.
    pub(crate) fn room(&self, fleet: &Fleet<'_>, id: usize, lot: usize) -> i64 {
        let (Some(class), Some(of)) = (self.classes.get(id), fleet.lots.get(lot)) else {
            return 0;
        };
        let Some(cell) = class.rooms.get(lot) else {
            return 0;
        };
        let mut known = cell.get();
        if known.total.is_some() && known.read == of.log.len() {
            return known.left;
        }
        let nodes = class.nodes(fleet, lot);
        let total = known
            .total
            .unwrap_or_else(|| slots(nodes.clone(), &class.each));
        for (size, replicas) in of.log.get(known.read..).unwrap_or_default() {
            if let Some(flown) = fleet.sizes.get(*size) {
                let takes = class.takes(*size, flown);
                known.taken.add(flown, *replicas, takes, &class.each);
            }
        }
        let sum = |resource: usize| of.flown.get(resource).copied().unwrap_or(0);
        let left = known.taken.left(total, nodes, &class.each, sum);
        cell.set(Room {
            total: Some(total),
            read: of.log.len(),
            left,
            ..known
        });
        left
    }
}

impl Class {
    fn new(fleet: &Fleet<'_>, component: &Component, required: &BTreeSet<String>) -> Self {
        let architectures = allowed(&component.architectures, required);
        let mut keys: BTreeSet<String> = component.node_selector.keys().cloned().collect();
        let affinity = component.node_affinity.iter().flatten();
        keys.extend(affinity.map(|requirement| requirement.key.clone()));
        if architectures.is_some() {
            keys.insert(ARCH.to_owned());
        }
        let judge =
            |profile: &Profile<'_>| judge(fleet, profile, component, architectures.as_ref());
        Self {
            each: fleet.each(&component.per_replica),
            reported: fleet
                .key_sets
                .iter()
                .map(|set| keys.iter().all(|key| set.contains(key)))
                .collect(),
            judged: fleet.profiles.iter().map(judge).collect(),
            rooms: vec![Cell::default(); fleet.lots.len()],
            takes: RefCell::default(),
            prices: vec![Cell::new(None); fleet.lots.len()],
            keys,
            architectures,
        }
    }

    /// The price of one replica on a lot, found out once.
    pub(crate) fn price(&self, lot: usize, find: impl FnOnce() -> i128) -> i128 {
        let cell = self.prices.get(lot);
        if let Some(known) = cell.and_then(Cell::get) {
            return known;
        }
        let price = find();
        if let Some(cell) = cell {
            cell.set(Some(price));
        }
        price
    }

    /// Whether the member's sketch tells nodes apart by every label that the component names.
    pub(crate) fn is_reported(&self, site: &Site<'_>) -> bool {
        site.key_set
            .and_then(|set| self.reported.get(set))
            .is_some_and(|reported| *reported)
    }

    /// What a size in flight takes from slots of this class.
    fn takes(&self, size: usize, flown: &Each) -> Takes {
        let mut known = self.takes.borrow_mut();
        if known.len() <= size {
            known.resize(size + 1, None);
        }
        match known.get_mut(size) {
            Some(known) => *known.get_or_insert_with(|| Takes::of(flown, &self.each)),
            None => Takes::of(flown, &self.each),
        }
    }

    /// What was judged of a kind of node.
    pub(crate) fn judged(&self, profile: usize) -> Judgement {
        self.judged
            .get(profile)
            .copied()
            .unwrap_or(Judgement::Mismatch)
    }

    /// The nodes of a lot that take replicas.
    pub(crate) fn nodes<'f>(
        &'f self,
        fleet: &'f Fleet<'_>,
        lot: usize,
    ) -> impl Iterator<Item = &'f Nodes> + Clone {
        let nodes = fleet
            .lots
            .get(lot)
            .map_or(&[][..], |lot| lot.nodes.as_slice());
        nodes
            .iter()
            .filter(|(profile, _)| self.judged(*profile) == Judgement::Takes)
            .map(|(_, nodes)| nodes)
    }
}

/// The architectures that both lists allow; `None` when neither names any.
fn allowed(images: &BTreeSet<String>, required: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    match (images.is_empty(), required.is_empty()) {
        (true, true) => None,
        (false, true) => Some(images.clone()),
        (true, false) => Some(required.clone()),
        (false, false) => Some(images.intersection(required).cloned().collect()),
    }
}

fn judge(
    fleet: &Fleet<'_>,
    profile: &Profile<'_>,
    component: &Component,
    architectures: Option<&BTreeSet<String>>,
) -> Judgement {
    let runs = architectures.is_none_or(|allowed| {
        profile
            .labels
            .get(ARCH)
            .is_some_and(|arch| allowed.contains(arch))
    });
    if !runs {
        return Judgement::Architecture;
    }
    let selected = component
        .node_selector
        .iter()
        .all(|(key, value)| profile.labels.get(key).is_some_and(|have| have == value));
    let terms = &component.node_affinity;
    // An empty term matches no node, as in Kubernetes.
    let affine = terms.is_empty()
        || terms
            .iter()
            .any(|term| !term.is_empty() && pass_all(profile.labels, term));
    let flavor = fleet
        .flavors
        .get(profile.flavor)
        .and_then(|name| fleet.snapshot.flavors.get(*name));
    let carried = flavor.map_or(&[][..], |flavor| flavor.tolerations.as_slice());
    let all = |taint: &_| tolerated(taint, component.tolerations.iter().chain(carried));
    let matches = selected && affine && untolerated(profile.taints, &all).is_none();
    if matches {
        Judgement::Takes
    } else {
        Judgement::Mismatch
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests compute with small numbers and stop at a panic"
)]
mod tests {
    use proptest::prelude::*;

    use super::Classes;
    use crate::capacity;
    use crate::fixtures::{component, member, request, with, world};
    use crate::fleet::Fleet;
    use crate::resources::Resources;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// What is added up as it comes is what is found from all that is in flight.
        #[test]
        fn remembered_room_is_room_from_scratch(
            sizes in prop::collection::vec((1_i64..5, 1_i64..5), 1..4),
            flights in prop::collection::vec((0_usize..2, 1_i64..6, 1_i64..6, 1_i64..4), 0..12),
        ) {
            let snapshot = with(world(), [member("a", "arm", 3, 8), member("b", "arm", 2, 16)]);
            let requests: Vec<_> = sizes
                .iter()
                .map(|(cpu, memory)| {
                    let mut one = component("web", 1, cpu * 500);
                    one.per_replica = one.per_replica.clone().with("memory", memory << 29);
                    request("app", vec![one])
                })
                .collect();
            let mut fleet = Fleet::new(&snapshot);
            let mut classes = Classes::default();
            let ids: Vec<usize> =
                requests.iter().map(|request| classes.of(&fleet, request)[0]).collect();
            for (lot, cpu, memory, replicas) in flights {
                let flown = Resources::new().with("cpu", cpu * 500).with("memory", memory << 29);
                let each = fleet.each(&flown);
                fleet.assume(lot, each, replicas);
                // Some are asked for now and then only.
                for id in ids.iter().skip(usize::try_from(replicas).unwrap() % 2) {
                    let class = classes.get(*id).unwrap();
                    let scratch = capacity::room(
                        class.nodes(&fleet, lot),
                        fleet.lots[lot].flying.iter(),
                        &class.each,
                    );
                    prop_assert_eq!(classes.room(&fleet, *id, lot), scratch);
                }
            }
        }
    }
}
