//! Nodes with what is free on them, and the one best fit that every contender binds by.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::trace::{Gpu, Machine, Pod, WHOLE};

/// The flavor of nodes without devices, and its index.
const CPU: (usize, &str) = (0, "cpu");

/// The flavors by preference: an index is a rank.
#[derive(Clone, Debug)]
pub(super) struct Flavors {
    names: Vec<String>,
}

impl Flavors {
    /// `cpu`, then one flavor per model. The trace has no prices, so a model counts as cheap when
    /// its nodes have many cores beside each device: a pod without devices that must go there
    /// takes the least away from those that need them.
    fn of(machines: &[Machine]) -> Self {
        let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for machine in machines.iter().filter(|machine| machine.devices > 0) {
            let (cpu, devices) = sums.entry(&machine.model).or_default();
            *cpu += machine.cpu;
            *devices += machine.devices;
        }
        let mut models: Vec<(i64, &str)> = sums
            .into_iter()
            .map(|(model, (cpu, devices))| (cpu / devices, model))
            .collect();
        models.sort_by_key(|(cores, model)| (Reverse(*cores), *model));
        let models = models.into_iter().map(|(_, model)| model.to_owned());
        Self {
            names: std::iter::once(CPU.1.to_owned()).chain(models).collect(),
        }
    }

    /// The names, the preferred first.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a flavor.
    pub(super) fn name(&self, flavor: usize) -> &str {
        self.names.get(flavor).map_or("", String::as_str)
    }

    /// The flavor of a name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// The flavors that a pod may use, the preferred first.
    pub(super) fn allowed(&self, pod: &Pod) -> Vec<usize> {
        let allows = |(flavor, name): (usize, &String)| {
            let has_what_it_needs = flavor != CPU.0 || pod.gpu == Gpu::None;
            let named = pod.models.is_empty() || pod.models.contains(name);
            (has_what_it_needs && named).then_some(flavor)
        };
        self.names.iter().enumerate().filter_map(allows).collect()
    }
}

/// A node with what is free on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Its flavor.
    pub(super) flavor: usize,
    /// Millicores.
    pub(super) cpu: i64,
    /// MiB.
    pub(super) memory: i64,
    /// Thousandths of each device.
    pub(super) devices: Vec<i64>,
}

/// What a pod would leave on a node; the least is the tightest fit. In this order: the rank of the
/// flavor, for a pod without devices; thousandths of devices, for one with; millicores; MiB.
type Left = (usize, i64, i64, i64);

impl Node {
    /// How many devices are wholly free.
    pub(super) fn free_devices(&self) -> i64 {
        self.devices.iter().map(|free| free / WHOLE).sum()
    }

    /// The largest share that one device can give.
    pub(super) fn largest_share(&self) -> i64 {
        self.devices.iter().copied().max().unwrap_or(0)
    }

    /// What a pod would leave; `None` when the node does not hold it.
    fn left(&self, pod: &Pod) -> Option<Left> {
        let holds = match pod.gpu {
            Gpu::None => true,
            Gpu::Share(share) => share <= self.largest_share(),
            Gpu::Devices(devices) => devices <= self.free_devices(),
        };
        let (cpu, memory) = (self.cpu - pod.cpu, self.memory - pod.memory);
        if !holds || cpu < 0 || memory < 0 {
            return None;
        }
        if pod.gpu == Gpu::None {
            return Some((self.flavor, 0, cpu, memory));
        }
        let free: i64 = self.devices.iter().sum();
        Some((0, free - pod.gpu.milli(), cpu, memory))
    }

    /// Puts a pod on the node, which holds it; answers the devices it is on. A share goes to the
    /// device with the least that is enough, so that whole ones stay whole.
    fn take(&mut self, pod: &Pod) -> Vec<usize> {
        self.cpu -= pod.cpu;
        self.memory -= pod.memory;
        let mut free: Vec<(&mut i64, usize)> = self.devices.iter_mut().zip(0..).collect();
        free.sort();
        let (each, devices) = match pod.gpu {
            Gpu::None => return Vec::new(),
            Gpu::Share(share) => (share, 1),
            Gpu::Devices(devices) => (WHOLE, devices),
        };
        let enough = free.into_iter().filter(|(free, _)| **free >= each);
        let taken = enough.zip(0..devices).map(|((free, device), _)| {
            *free -= each;
            device
        });
        taken.collect()
    }
}

/// Where a pod was bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// The node, by its place in the trace.
    pub(super) node: usize,
    /// The devices, by their place on the node.
    pub(super) devices: Vec<usize>,
}

/// All nodes of the trace, whoever they belong to.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) flavors: Flavors,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// The nodes with nothing on them.
    pub(super) fn new(machines: &[Machine]) -> Self {
        let flavors = Flavors::of(machines);
        let node = |machine: &Machine| Node {
            flavor: flavors.find(&machine.model).unwrap_or(CPU.0),
            cpu: machine.cpu,
            memory: machine.memory,
            devices: (0..machine.devices).map(|_| WHOLE).collect(),
        };
        Self {
            nodes: machines.iter().map(node).collect(),
            flavors,
        }
    }

    /// Binds a pod to the tightest of some nodes, among those of the flavors; `None` when none of
    /// them holds it.
    pub(super) fn bind(&mut self, among: &[usize], flavors: &[usize], pod: &Pod) -> Option<Seat> {
        let fit = |place: &usize| {
            let node = self.nodes.get(*place)?;
            let allowed = flavors.contains(&node.flavor);
            let left = node.left(pod).filter(|_| allowed)?;
            Some((left, *place))
        };
        let (_, node) = among.iter().filter_map(fit).min()?;
        let devices = self.nodes.get_mut(node)?.take(pod);
        Some(Seat { node, devices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(cpu: i64, devices: &[i64]) -> Node {
        Node {
            flavor: usize::from(!devices.is_empty()),
            cpu,
            memory: 1 << 20,
            devices: devices.to_vec(),
        }
    }

    fn cluster(nodes: Vec<Node>) -> Cluster {
        let names = ["cpu", "T4"].map(str::to_owned).to_vec();
        Cluster {
            flavors: Flavors { names },
            nodes,
        }
    }

    fn pod(cpu: i64, gpu: Gpu) -> Pod {
        Pod {
            name: "a".to_owned(),
            cpu,
            memory: 1,
            gpu,
            models: Vec::new(),
            created: 0,
        }
    }

    fn bound(cluster: &mut Cluster, pod: &Pod) -> Option<(usize, Vec<usize>)> {
        let all: Vec<usize> = (0..cluster.nodes.len()).collect();
        let allowed = cluster.flavors.allowed(pod);
        let seat = cluster.bind(&all, &allowed, pod)?;
        Some((seat.node, seat.devices))
    }

    #[test]
    fn best_fit_picks_the_tightest() {
        let mut cpus = cluster(vec![node(8000, &[]), node(5000, &[]), node(3000, &[])]);
        assert_eq!(bound(&mut cpus, &pod(4000, Gpu::None)), Some((1, vec![])));
        assert_eq!(bound(&mut cpus, &pod(4000, Gpu::None)), Some((0, vec![])));
        assert_eq!(bound(&mut cpus, &pod(4000, Gpu::None)), Some((0, vec![])));
        assert_eq!(bound(&mut cpus, &pod(4000, Gpu::None)), None);
        let whole = pod(1000, Gpu::Devices(2));
        let mut gpus = cluster(vec![
            node(8000, &[1000, 1000, 1000]),
            node(8000, &[1000, 900]),
            node(8000, &[1000, 500, 1000]),
        ]);
        assert_eq!(bound(&mut gpus, &whole), Some((2, vec![0, 2])));
        assert_eq!(bound(&mut gpus, &whole), Some((0, vec![0, 1])));
        assert_eq!(bound(&mut gpus, &whole), None, "two devices of one node");
    }

    #[test]
    fn a_share_goes_to_the_fullest_device_that_holds_it() {
        let share = pod(1000, Gpu::Share(400));
        let mut gpus = cluster(vec![node(8000, &[1000, 300, 500, 900])]);
        assert_eq!(bound(&mut gpus, &share), Some((0, vec![2])));
        assert_eq!(bound(&mut gpus, &share), Some((0, vec![3])));
        assert_eq!(gpus.nodes[0].devices, [1000, 300, 100, 500]);
        let mut scattered = cluster(vec![node(8000, &[300, 300, 300])]);
        assert_eq!(
            bound(&mut scattered, &share),
            None,
            "a share is of one device"
        );
    }

    #[test]
    fn a_pod_without_devices_goes_where_none_are_while_it_can() {
        let mut both = cluster(vec![node(4000, &[1000]), node(9000, &[])]);
        let small = pod(4000, Gpu::None);
        let nodes: Vec<Option<usize>> = (0..4)
            .map(|_| bound(&mut both, &small).map(|(node, _)| node))
            .collect();
        assert_eq!(nodes, [Some(1), Some(1), Some(0), None]);
    }

    #[test]
    fn flavors_are_ranked_by_the_cores_beside_a_device() {
        let machine = |cpu: i64, devices: i64, model: &str| Machine {
            cpu,
            memory: 1,
            devices,
            model: model.to_owned(),
        };
        let machines = [
            machine(96_000, 8, "G2"),
            machine(104_000, 2, "T4"),
            machine(32_000, 0, ""),
            machine(12_000, 1, "A1"),
        ];
        let flavors = Flavors::of(&machines);
        assert_eq!(flavors.names(), ["cpu", "T4", "A1", "G2"]);
        assert_eq!(flavors.allowed(&pod(1, Gpu::None)), [0, 1, 2, 3]);
        assert_eq!(flavors.allowed(&pod(1, Gpu::Share(1))), [1, 2, 3]);
        let mut choosy = pod(1, Gpu::Devices(1));
        choosy.models = ["G2", "T4", "H9"].map(str::to_owned).to_vec();
        assert_eq!(flavors.allowed(&choosy), [1, 3]);
    }
}
