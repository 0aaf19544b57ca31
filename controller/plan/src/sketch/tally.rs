//! From the book to what stands in the Sketch.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Flavor;
use heyun_crds::common::{ResourceMap, Taint};
use heyun_crds::flavor::ResourceCapacity;
use heyun_crds::labels::ARCH;
use heyun_crds::member_cluster::{FlavorCapacity, NodeCounts};
use heyun_crds::quantity::Quantity;
use heyun_crds::sketch::{Bound, Revision, Shape, SketchStatus};
use heyun_scheduler::quantity::format_amount;
use heyun_scheduler::quota::NO_FLAVOR;
use heyun_scheduler::resources::PODS;

use super::{Load, NodeFacts, Reserve, SketchBook};

/// Most label keys that shapes are told apart by.
pub const LABEL_KEYS_MAX: usize = 64;
/// Most shapes of a sketch, so that it stays well below what etcd takes for one object. Above
/// it free amounts are rounded down until there are no more.
pub const SHAPES_MAX: usize = 2048;

/// What a book says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// The status of the Sketch; its revision is the writer's to set.
    pub status: SketchStatus,
    /// Capacity per flavor and resource of the nodes that take pods, less what is kept back; the
    /// flavor of nodes that no Flavor matches is `-`.
    pub capacity: Vec<FlavorCapacity>,
    /// Nodes that are ready, and all.
    pub nodes: NodeCounts,
    /// Nodes that several Flavors of equal precedence match: none of these holds, and they are
    /// offered to nobody.
    pub ties: Vec<FlavorTie>,
    /// How often free amounts were made coarser to keep within [`SHAPES_MAX`]; 0: they are exact.
    pub coarseness: u32,
}

/// Flavors of equal precedence that match the same nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlavorTie {
    /// Their names, sorted.
    pub flavors: Vec<String>,
    /// How many nodes they share.
    pub nodes: u32,
    /// One of these nodes.
    pub example: String,
}

/// What nodes of one shape have in common.
type ShapeKey = (
    Option<String>,
    BTreeMap<String, String>,
    Vec<Taint>,
    BTreeMap<String, i64>,
);

/// Allocatable and requested amounts by flavor and resource.
type Sums = BTreeMap<(String, String), (i128, i128)>;

impl SketchBook {
    /// Says what stands in the Sketch: `keys` are the node labels that any Flavor or Workload
    /// names (the first 64 count), `reserve` is kept back on each node. Nodes that are not ready
    /// or cordoned are counted and not offered.
    pub fn tally(&self, flavors: &[Flavor], keys: &BTreeSet<String>, reserve: &Reserve) -> Tally {
        let keys = label_keys(keys);
        let mut ties: BTreeMap<Vec<String>, FlavorTie> = BTreeMap::new();
        let mut shapes: BTreeMap<ShapeKey, u32> = BTreeMap::new();
        let mut sums = Sums::new();
        let mut ready = 0_u32;
        let mut flavor_of: BTreeMap<&str, &str> = BTreeMap::new();
        let empty = Load::default();
        for (name, node) in &self.nodes {
            ready = ready.saturating_add(u32::from(node.ready));
            let holders = matching(flavors, &node.labels);
            let flavor = match holders.as_slice() {
                [one] => Some(*one),
                _ => None,
            };
            flavor_of.insert(name, flavor.unwrap_or(NO_FLAVOR));
            if !node.ready || node.unschedulable {
                continue;
            }
            if holders.len() > 1 {
                note_tie(&mut ties, &holders, name);
            }
            let load = self.loads.get(name).unwrap_or(&empty);
            add_sums(&mut sums, flavor.unwrap_or(NO_FLAVOR), node, load, reserve);
            let labels = keys
                .iter()
                .filter_map(|k| Some((k.clone(), node.labels.get(k)?.clone())));
            let key = (
                flavor.map(str::to_owned),
                labels.collect(),
                node.taints.clone(),
                free(node, load, reserve),
            );
            let count = shapes.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        let (shapes, coarseness) = within_bound(shapes);
        Tally {
            status: SketchStatus {
                revision: Revision::default(),
                nodes: shapes
                    .values()
                    .fold(0, |sum: u32, count| sum.saturating_add(*count)),
                label_keys: keys,
                shapes: shapes.into_iter().map(shape).collect(),
                totals: totals(&sums),
                bound: self.bound(&flavor_of),
            },
            capacity: capacity(sums),
            nodes: NodeCounts {
                ready,
                total: u32::try_from(self.nodes.len()).unwrap_or(u32::MAX),
            },
            ties: ties.into_values().collect(),
            coarseness,
        }
    }

    /// Pods of ours by Work, component and the flavor of their nodes.
    fn bound(&self, flavor_of: &BTreeMap<&str, &str>) -> Vec<Bound> {
        let mut sums: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for ((work, component, node), replicas) in &self.bound {
            let flavor = flavor_of.get(node.as_str()).copied().unwrap_or(NO_FLAVOR);
            let sum = sums.entry((work, component, flavor)).or_default();
            *sum = sum.saturating_add(*replicas);
        }
        let each = sums
            .into_iter()
            .map(|((work, component, flavor), replicas)| Bound {
                work: work.to_owned(),
                component: component.to_owned(),
                replicas,
                flavor: Some(flavor.to_owned()),
            });
        each.collect()
    }
}

/// The keys that count, sorted: the architecture, then as many of the others as are allowed.
fn label_keys(wanted: &BTreeSet<String>) -> Vec<String> {
    let others = wanted
        .iter()
        .filter(|k| *k != ARCH)
        .take(LABEL_KEYS_MAX.saturating_sub(1));
    let keys: BTreeSet<String> = others.cloned().chain([ARCH.to_owned()]).collect();
    keys.into_iter().collect()
}

/// Names of the Flavors of highest precedence among those that match a node, sorted.
fn matching<'f>(flavors: &'f [Flavor], labels: &BTreeMap<String, String>) -> Vec<&'f str> {
    let matches = |flavor: &&Flavor| {
        let mut wanted = flavor.spec.node_selector.match_labels.iter();
        wanted.all(|(key, value)| labels.get(key) == Some(value))
    };
    let all: Vec<&Flavor> = flavors.iter().filter(matches).collect();
    let highest = all.iter().map(|f| f.spec.precedence).max();
    let top = all.iter().filter(|f| Some(f.spec.precedence) == highest);
    let mut names: Vec<&str> = top.filter_map(|f| f.metadata.name.as_deref()).collect();
    names.sort_unstable();
    names
}

fn note_tie(ties: &mut BTreeMap<Vec<String>, FlavorTie>, flavors: &[&str], node: &str) {
    let flavors: Vec<String> = flavors.iter().map(|f| (*f).to_owned()).collect();
    let tie = ties.entry(flavors.clone()).or_insert_with(|| FlavorTie {
        flavors,
        nodes: 0,
        example: node.to_owned(),
    });
    tie.nodes = tie.nodes.saturating_add(1);
}

fn add_sums(sums: &mut Sums, flavor: &str, node: &NodeFacts, load: &Load, reserve: &Reserve) {
    for (name, offered) in node.allocatable.iter().filter(|(_, amount)| *amount > 0) {
        let (allocatable, requested) = sums
            .entry((flavor.to_owned(), name.to_owned()))
            .or_default();
        let given = offered.saturating_sub(reserve.of(name, offered));
        *allocatable = allocatable.saturating_add(i128::from(given));
        *requested = requested.saturating_add(load.of(name));
    }
}

impl Load {
    fn of(&self, resource: &str) -> i128 {
        if resource == PODS {
            return i128::from(self.pods);
        }
        self.requests.get(resource).copied().unwrap_or(0)
    }
}

/// The same over all flavors.
fn totals(sums: &Sums) -> Vec<ResourceCapacity> {
    let mut all: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
    for ((_, resource), (allocatable, requested)) in sums {
        let sum = all.entry(resource).or_default();
        sum.0 = sum.0.saturating_add(*allocatable);
        sum.1 = sum.1.saturating_add(*requested);
    }
    let each = all.into_iter().map(|(resource, sum)| ResourceCapacity {
        resource: resource.to_owned(),
        allocatable: written(resource, sum.0),
        requested: written(resource, sum.1),
    });
    each.collect()
}

fn written(resource: &str, sum: i128) -> Quantity {
    let amount = i64::try_from(sum).unwrap_or(i64::MAX);
    Quantity(format_amount(resource, amount))
}

fn capacity(sums: Sums) -> Vec<FlavorCapacity> {
    let each =
        sums.into_iter().map(
            |((flavor, resource), (allocatable, requested))| FlavorCapacity {
                flavor,
                allocatable: written(&resource, allocatable),
                requested: written(&resource, requested),
                resource,
            },
        );
    each.collect()
}

/// What is left on a node of each resource it offers; never below 0.
fn free(node: &NodeFacts, load: &Load, reserve: &Reserve) -> BTreeMap<String, i64> {
    let mut free = BTreeMap::new();
    for (name, offered) in node.allocatable.iter().filter(|(_, amount)| *amount > 0) {
        let given = offered.saturating_sub(reserve.of(name, offered));
        let left = i128::from(given).saturating_sub(load.of(name)).max(0);
        free.insert(name.to_owned(), i64::try_from(left).unwrap_or(i64::MAX));
    }
    free
}

/// How often amounts are halved in precision before shapes are left out instead.
const COARSENESS_MAX: u32 = 24;

/// The same nodes in at most [`SHAPES_MAX`] shapes, and how coarse they became. Rounding down
/// never offers what is not there; nodes of shapes beyond the bound are not offered at all.
fn within_bound(mut shapes: BTreeMap<ShapeKey, u32>) -> (BTreeMap<ShapeKey, u32>, u32) {
    let mut coarseness = 0_u32;
    while shapes.len() > SHAPES_MAX && coarseness < COARSENESS_MAX {
        coarseness = coarseness.saturating_add(1);
        let mut coarser: BTreeMap<ShapeKey, u32> = BTreeMap::new();
        for ((flavor, labels, taints, mut free), count) in shapes {
            for (name, amount) in &mut free {
                let step = step(name, coarseness);
                *amount = amount.saturating_sub(amount.checked_rem(step).unwrap_or(0));
            }
            let sum = coarser.entry((flavor, labels, taints, free)).or_default();
            *sum = sum.saturating_add(count);
        }
        shapes = coarser;
    }
    if shapes.len() > SHAPES_MAX {
        shapes = shapes.into_iter().take(SHAPES_MAX).collect();
    }
    (shapes, coarseness)
}

/// What amounts are rounded down to a multiple of. Devices stay exact.
fn step(resource: &str, coarseness: u32) -> i64 {
    let least: i64 = match resource {
        PODS => 1,
        "cpu" => 50,
        "memory" | "ephemeral-storage" => 32 << 20,
        _ => return 1,
    };
    least.checked_shl(coarseness).unwrap_or(i64::MAX)
}

fn shape((key, count): (ShapeKey, u32)) -> Shape {
    let (flavor, labels, taints, free) = key;
    let text = |(name, amount): (String, i64)| {
        let written = Quantity(format_amount(&name, amount));
        (name, written)
    };
    let free: ResourceMap = free.into_iter().map(text).collect();
    Shape {
        count,
        flavor,
        labels,
        taints,
        free,
    }
}
