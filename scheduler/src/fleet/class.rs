//! Components that are alike to capacity: judged once, remembered while nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fleet, Profile};
use crate::capacity::{Each, Nodes, room};
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
    rooms: Vec<Option<(u64, i64)>>,
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
    pub(crate) fn room(&mut self, fleet: &Fleet<'_>, id: usize, lot: usize) -> i64 {
        let (Some(class), Some(of)) = (self.classes.get_mut(id), fleet.lots.get(lot)) else {
            return 0;
        };
        if let Some(Some((version, known))) = class.rooms.get(lot)
            && *version == of.version
        {
            return *known;
        }
        let now = room(class.nodes(fleet, lot), of.flying.iter(), &class.each);
        if let Some(cell) = class.rooms.get_mut(lot) {
            *cell = Some((of.version, now));
        }
        now
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
            judged: fleet.profiles.iter().map(judge).collect(),
            rooms: vec![None; fleet.lots.len()],
            keys,
            architectures,
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
