//! Components that are alike to capacity: judged once, remembered while nothing changes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::{Fleet, Profile, Site};
use crate::capacity::{Each, Flying, Nodes, Takes, room_left, slots, takes};
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
    /// Slots with nothing in flight; nodes do not change during a batch.
    total: Option<i64>,
    /// How many are left, at a version of what is in flight.
    left: Option<(u64, i64)>,
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
        let known = cell.get();
        if let Some((version, left)) = known.left
            && version == of.version
        {
            return left;
        }
        let nodes = class.nodes(fleet, lot);
        let total = known
            .total
            .unwrap_or_else(|| slots(nodes.clone(), &class.each));
        let takes = |group: &Flying| class.takes(group);
        let sum = |resource: usize| of.flown.get(resource).copied().unwrap_or(0);
        let left = room_left(total, nodes, of.flying.iter(), sum, &class.each, takes);
        cell.set(Room {
            total: Some(total),
            left: Some((of.version, left)),
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
    fn takes(&self, group: &Flying) -> Takes {
        let mut known = self.takes.borrow_mut();
        if known.len() <= group.size {
            known.resize(group.size + 1, None);
        }
        match known.get_mut(group.size) {
            Some(known) => *known.get_or_insert_with(|| takes(&group.each, &self.each)),
            None => takes(&group.each, &self.each),
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
