//! Components that are alike to capacity: judged once, remembered while nothing changes.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU32;

use super::numbered::Alike;
use super::{Fleet, Profile};
use crate::capacity::{Each, Nodes, Taken, Takes, slots};
use crate::labels::{pass_all, tolerated, untolerated};
use crate::request::{Component, LabelRequirement, Request, Toleration};
use crate::resources::Resources;

/// The node label of the architecture.
pub(crate) const ARCH: &str = "kubernetes.io/arch";

/// The most remembered answers; beyond it all are forgotten.
const REMEMBERED: usize = 4_000_000;

/// What capacity depends on.
struct Likeness {
    per_replica: Resources,
    node_selector: BTreeMap<String, String>,
    node_affinity: Vec<Vec<LabelRequirement>>,
    tolerations: Vec<Toleration>,
    architectures: BTreeSet<String>,
    required: BTreeSet<String>,
}

impl Likeness {
    fn of(component: &Component, required: &BTreeSet<String>) -> Self {
        Self {
            per_replica: component.per_replica.clone(),
            node_selector: component.node_selector.clone(),
            node_affinity: component.node_affinity.clone(),
            tolerations: component.tolerations.clone(),
            architectures: component.architectures.clone(),
            required: required.clone(),
        }
    }

    fn is_of(&self, component: &Component, required: &BTreeSet<String>) -> bool {
        self.per_replica == component.per_replica
            && self.node_selector == component.node_selector
            && self.node_affinity == component.node_affinity
            && self.tolerations == component.tolerations
            && self.architectures == component.architectures
            && self.required == *required
    }

    /// Equal for those that are alike. Others may share it, which costs a comparison and no more.
    fn fingerprint(component: &Component, required: &BTreeSet<String>) -> u64 {
        let mut hasher = DefaultHasher::new();
        component.per_replica.hash(&mut hasher);
        component.node_selector.hash(&mut hasher);
        component.node_affinity.hash(&mut hasher);
        component.tolerations.hash(&mut hasher);
        component.architectures.hash(&mut hasher);
        required.hash(&mut hasher);
        hasher.finish()
    }
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

/// What one replica costs by a list of prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    /// For an hour, in thousandths of the price's unit, so that small requests differ.
    pub(crate) sum: i128,
    /// The resources that the list names a price of, one bit each in the order of what is requested.
    pub(crate) of: u64,
}

/// What components that are alike have in common.
pub(crate) struct Class {
    likeness: Likeness,
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
    totals: Vec<Cell<Total>>,
    counts: RefCell<Vec<Count>>,
    takes: RefCell<Vec<Option<Takes>>>,
    prices: RefCell<Prices>,
}

/// What is remembered of a lot.
#[derive(Clone, Copy, Default)]
struct Room {
    /// The lot's stamp then; 0: not looked at yet.
    stamp: u32,
    /// Its place among the counts.
    count: Option<NonZeroU32>,
    /// How many slots are left.
    left: i64,
}

/// The slots of a lot with nothing in flight. Apart from what else is remembered and as short as
/// can be: most lots that have changed are idle again, and what is far away in memory costs more to
/// get than to compute.
#[derive(Clone, Copy, Default)]
struct Total {
    /// The lot's stamp with nothing in flight; 0: its slots were not counted yet.
    idle: u32,
    /// How many slots.
    slots: u32,
}

/// What is in flight to a lot.
#[derive(Clone, Copy, Default)]
struct Count {
    /// The version of the lot.
    version: u32,
    /// What it takes, as far as the lot's log was read.
    taken: Taken,
    /// How far that is.
    read: usize,
}

/// What one replica costs by each list of prices, as far as it was found out.
#[derive(Default)]
pub(crate) struct Prices(Vec<(i64, u64)>);

impl Prices {
    /// What stands for one that was not found out: a price of more resources than there are.
    const UNKNOWN: u64 = u64::MAX;

    /// The price by the list of a number. One that is beyond all bounds is found out each time: as
    /// short numbers three times as many are close together, and they are read for each member.
    pub(crate) fn of(&mut self, list: usize, find: impl FnOnce() -> Price) -> Price {
        if let Some((sum, of)) = self.0.get(list).copied()
            && of != Self::UNKNOWN
        {
            let sum = sum.into();
            return Price { sum, of };
        }
        let price = find();
        if self.0.len() <= list {
            self.0.resize(list.saturating_add(1), (0, Self::UNKNOWN));
        }
        if let (Some(place), Ok(sum)) = (self.0.get_mut(list), i64::try_from(price.sum)) {
            *place = (sum, price.of);
        }
        price
    }
}

/// All classes.
#[derive(Default)]
pub(crate) struct Classes(Alike<Class>);

impl Classes {
    /// The classes of a request's components, in their order.
    pub(crate) fn of(&mut self, fleet: &Fleet, request: &Request) -> Vec<usize> {
        if self.0.len().saturating_mul(fleet.lots.len()) > REMEMBERED {
            *self = Self::default();
        }
        let required = &request.placement.requirements.arch;
        let components = request.components.iter();
        components
            .map(|component| self.one(fleet, component, required))
            .collect()
    }

    fn one(&mut self, fleet: &Fleet, component: &Component, required: &BTreeSet<String>) -> usize {
        let id = self.0.number(
            Likeness::fingerprint(component, required),
            |class| class.likeness.is_of(component, required),
            || Class::new(fleet, component, required),
        );
        if let Some(class) = self.0.get_mut(id) {
            class.catch_up(fleet);
        }
        id
    }

    /// One class.
    pub(crate) fn get(&self, id: usize) -> Option<&Class> {
        self.0.get(id)
    }
}

impl Class {
    fn new(fleet: &Fleet, component: &Component, required: &BTreeSet<String>) -> Self {
        let architectures = allowed(&component.architectures, required);
        let mut keys: BTreeSet<String> = component.node_selector.keys().cloned().collect();
        let affinity = component.node_affinity.iter().flatten();
        keys.extend(affinity.map(|requirement| requirement.key.clone()));
        if architectures.is_some() {
            keys.insert(ARCH.to_owned());
        }
        Self {
            likeness: Likeness::of(component, required),
            each: fleet.each(&component.per_replica),
            reported: Vec::new(),
            judged: Vec::new(),
            rooms: vec![Cell::default(); fleet.lots.len()],
            totals: vec![Cell::default(); fleet.lots.len()],
            counts: RefCell::new(vec![Count::default()]),
            takes: RefCell::default(),
            prices: RefCell::default(),
            keys,
            architectures,
        }
    }

    /// Judges what has come up since.
    fn catch_up(&mut self, fleet: &Fleet) {
        let profiles = fleet.profiles.all();
        for profile in profiles.get(self.judged.len()..).unwrap_or_default() {
            let judged = judge(fleet, profile, &self.likeness, self.architectures.as_ref());
            self.judged.push(judged);
        }
        let sets = fleet.key_sets.all();
        for set in sets.get(self.reported.len()..).unwrap_or_default() {
            let all = self.keys.iter().all(|key| set.contains(key));
            self.reported.push(all);
        }
    }

    /// How many replicas fit on a lot now.
    pub(crate) fn room(&self, fleet: &Fleet, lot: usize) -> i64 {
        let Some(cell) = self.rooms.get(lot) else {
            return 0;
        };
        let known = cell.get();
        let stamp = fleet.stamp(lot);
        if known.stamp == stamp {
            return known.left;
        }
        self.look(fleet, lot, stamp, cell)
    }

    #[cold]
    fn look(&self, fleet: &Fleet, lot: usize, stamp: u32, cell: &Cell<Room>) -> i64 {
        let mut count = cell.get().count;
        let total = self.total(fleet, lot);
        let left = if stamp == fleet.idle_stamp(lot) {
            total
        } else {
            let mut counts = self.counts.borrow_mut();
            if count.is_none() {
                // The first place is taken from the start, so none is 0.
                count = u32::try_from(counts.len()).ok().and_then(NonZeroU32::new);
                counts.push(Count::default());
            }
            let place = count.and_then(|place| usize::try_from(place.get()).ok());
            let count = place.and_then(|place| counts.get_mut(place));
            count.map_or(0, |count| self.left(fleet, lot, total, count))
        };
        cell.set(Room { stamp, count, left });
        left
    }

    /// The slots of a lot with nothing in flight.
    fn total(&self, fleet: &Fleet, lot: usize) -> i64 {
        let idle = fleet.idle_stamp(lot);
        let known = self
            .totals
            .get(lot)
            .filter(|known| known.get().idle == idle);
        if let Some(known) = known {
            return known.get().slots.into();
        }
        let total = slots(self.nodes(fleet, lot), &self.each);
        // More than that are counted each time.
        if let (Some(place), Ok(slots)) = (self.totals.get(lot), u32::try_from(total)) {
            place.set(Total { idle, slots });
        }
        total
    }

    /// Brings a count up to what is in flight now; returns how many of the slots are left.
    fn left(&self, fleet: &Fleet, lot: usize, total: i64, count: &mut Count) -> i64 {
        let Some(of) = fleet.lots.get(lot) else {
            return 0;
        };
        if count.version != of.version {
            *count = Count {
                version: of.version,
                ..Count::default()
            };
        }
        let mut takes = self.takes.borrow_mut();
        for (size, replicas) in of.log.get(count.read..).unwrap_or_default() {
            if let Some(flown) = fleet.sizes.get(*size) {
                let takes = self.takes(&mut takes, *size, flown);
                count.taken.add(flown, *replicas, takes, &self.each);
            }
        }
        count.read = of.log.len();
        let sum = |resource: usize| of.flown.get(resource).copied().unwrap_or(0);
        let nodes = self.nodes(fleet, lot);
        count.taken.left(total, nodes, &self.each, sum)
    }

    /// What one replica costs.
    pub(crate) fn prices(&self) -> RefMut<'_, Prices> {
        self.prices.borrow_mut()
    }

    /// Whether the member's sketch tells nodes apart by every label that the component names.
    pub(crate) fn is_reported(&self, fleet: &Fleet, site: usize) -> bool {
        fleet
            .key_set(site)
            .and_then(|set| self.reported.get(set))
            .is_some_and(|reported| *reported)
    }

    /// What a size in flight takes from slots of this class.
    fn takes(&self, known: &mut Vec<Option<Takes>>, size: usize, flown: &Each) -> Takes {
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
        fleet: &'f Fleet,
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
    fleet: &Fleet,
    profile: &Profile,
    component: &Likeness,
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
            .any(|term| !term.is_empty() && pass_all(&profile.labels, term));
    let flavor = fleet.flavor_name(profile.flavor);
    let flavor = fleet.snapshot.flavors.get(flavor);
    let carried = flavor.map_or(&[][..], |flavor| flavor.tolerations.as_slice());
    let all = |taint: &_| tolerated(taint, component.tolerations.iter().chain(carried));
    let matches = selected && affine && untolerated(&profile.taints, &all).is_none();
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

    use super::{Classes, Price, Prices};
    use crate::capacity;
    use crate::fixtures::{component, member, request, with, world};
    use crate::fleet::Fleet;
    use crate::resources::Resources;

    #[test]
    fn a_price_is_found_out_once_and_one_beyond_all_bounds_each_time() {
        let mut prices = Prices::default();
        let price = |sum: i128| Price { sum, of: 1 };
        let mut of = |list, sum| prices.of(list, || price(sum));
        assert_eq!(of(2, 7), price(7));
        // One before it was not found out with it.
        assert_eq!(of(0, 3), price(3));
        assert_eq!((of(2, 8), of(0, 8)), (price(7), price(3)));
        assert_eq!(of(1, 1 << 100), price(1 << 100));
        assert_eq!(of(1, 5), price(5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// What is added up as it comes is what is found from all that is in flight, also after it
        /// was forgotten and when the nodes are others.
        #[test]
        fn remembered_room_is_room_from_scratch(
            sizes in prop::collection::vec((1_i64..5, 1_i64..5), 1..4),
            events in prop::collection::vec(
                (0_usize..2, 1_i64..6, 1_i64..6, 1_i64..4, 0_u8..8),
                0..16,
            ),
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
            let mut fleet = Fleet::new(snapshot, 30);
            let mut classes = Classes::default();
            let ids: Vec<usize> =
                requests.iter().map(|request| classes.of(&fleet, request)[0]).collect();
            for (site, cpu, memory, replicas, event) in events {
                let lot = fleet.lot_of(site, fleet.flavor("arm").unwrap()).unwrap();
                let flown = Resources::new().with("cpu", cpu * 500).with("memory", memory << 29);
                let each = fleet.each(&flown);
                match event {
                    0 => fleet.forget(),
                    1 => {
                        let name = ["a", "b"][site];
                        let other = member(name, "arm", replicas, 4 * cpu);
                        fleet.set_member(name, other.into()).unwrap();
                    }
                    _ => fleet.assume(lot, each, replicas),
                }
                // Some are asked for now and then only.
                for id in ids.iter().skip(usize::try_from(replicas).unwrap() % 2) {
                    let class = classes.get(*id).unwrap();
                    let scratch = capacity::room(
                        class.nodes(&fleet, lot),
                        fleet.lots[lot].flying.iter(),
                        &class.each,
                    );
                    prop_assert_eq!(class.room(&fleet, lot), scratch);
                }
            }
        }
    }
}
