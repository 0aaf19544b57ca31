//! The federation: the scheduler picks a member by its sketch, and the member binds by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use heyun_scheduler::quota::{Key, Line, NO_FLAVOR, QuotaNode, QuotaTree};
use heyun_scheduler::request::{Division, PlacementSpec};
use heyun_scheduler::resources::{CPU, MEMORY};
use heyun_scheduler::snapshot::{Flavor, Readiness, Shape, Sketch, Tenant, TenantKind};
use heyun_scheduler::verdict::WorkloadReason;
use heyun_scheduler::{
    Component, Config, Member, Outcome, Request, Resources, Snapshot, WorkloadKey, schedule,
};

use super::super::Result;
use super::deal;
use super::node::{Cluster, Flavors, Node, Seat};
use super::trace::{Gpu, Machine, Pod, WHOLE};

/// Devices of a node that are wholly free.
const DEVICES: &str = "heyun.dev/gpu-devices";
/// The largest share that one device of a node can give, in thousandths.
const SHARE: &str = "heyun.dev/gpu-milli";
/// What quota counts.
const RESOURCES: [&str; 4] = [CPU, MEMORY, DEVICES, SHARE];
/// More of anything than the trace asks for: quota is not the question.
const PLENTY: i64 = 1 << 50;
/// Bytes in a MiB.
const MIB: i64 = 1 << 20;
/// The tenant above.
const REGION: &str = "region";
/// The tenant that is charged.
const AGENCY: &str = "agency";

/// A pod that runs.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// The pod, by its place in the trace.
    pub(super) pod: usize,
    /// The member the scheduler chose.
    pub(super) member: usize,
    /// Where the member put it.
    pub(super) seat: Seat,
}

/// What became of all pods.
pub(super) struct Run {
    /// Those that run.
    pub(super) bound: Vec<Bound>,
    /// Those that were sent to a member whose nodes do not hold them.
    pub(super) broken: i64,
    /// How long it took.
    pub(super) time: Duration,
}

/// Submits every pod in turn.
pub(super) fn run(cluster: &Cluster, deal: &[usize], pods: &[Pod]) -> Result<Run> {
    let mut federation = Federation::new(cluster.clone(), deal)?;
    let (began, mut bound, mut broken) = (Instant::now(), Vec::new(), 0);
    for (place, pod) in pods.iter().enumerate() {
        let Some((member, flavor)) = federation.decide(pod)? else {
            continue;
        };
        match federation.bind(member, flavor, pod) {
            Some(seat) => bound.push(Bound {
                pod: place,
                member,
                seat,
            }),
            None => broken += 1,
        }
    }
    Ok(Run {
        bound,
        broken,
        time: began.elapsed(),
    })
}

/// The hub and its members.
struct Federation {
    cluster: Cluster,
    /// The nodes of each member.
    homes: Vec<Vec<usize>>,
    /// The name of each member.
    names: Vec<String>,
    snapshot: Snapshot,
    config: Config,
}

impl Federation {
    fn new(cluster: Cluster, deal: &[usize]) -> Result<Self> {
        let homes = deal::homes(deal);
        let names: Vec<String> = (0..homes.len()).map(|n| format!("member-{n:02}")).collect();
        let snapshot = snapshot(&cluster.flavors)?;
        let mut federation = Self {
            cluster,
            homes,
            names,
            snapshot,
            config: Config::default(),
        };
        for member in 0..federation.names.len() {
            federation.report(member);
        }
        Ok(federation)
    }

    /// The member and the flavor for a pod; `None` when the scheduler says that there is no room.
    fn decide(&self, pod: &Pod) -> Result<Option<(usize, usize)>> {
        let request = request(&self.cluster.flavors, pod);
        let verdicts = schedule(&self.snapshot, &[request], &self.config);
        let name = &pod.name;
        let Some(verdict) = verdicts.first() else {
            return Err(format!("pod {name}: the scheduler gave no verdict").into());
        };
        let placed = match &verdict.outcome {
            Outcome::Placed(placed) => placed,
            Outcome::Waiting(reason) | Outcome::Rejected(reason) if is_room(reason) => {
                return Ok(None);
            }
            // Anything else is a mistake of this benchmark, not a figure of it.
            other => return Err(format!("pod {name}: {other:?}").into()),
        };
        let assigned = match placed.assignments.as_slice() {
            [assigned] if assigned.replicas == 1 => assigned,
            other => return Err(format!("pod {name}: assigned {other:?}").into()),
        };
        let member = self.names.iter().position(|of| *of == assigned.member);
        let flavor = self.cluster.flavors.find(&assigned.flavor);
        match member.zip(flavor) {
            Some(found) => Ok(Some(found)),
            None => Err(format!("pod {name}: assigned {assigned:?}").into()),
        }
    }

    /// The member binds the pod and reports what is left.
    fn bind(&mut self, member: usize, flavor: usize, pod: &Pod) -> Option<Seat> {
        let home = self.homes.get(member)?;
        let seat = self.cluster.bind(home, &[flavor], pod)?;
        self.report(member);
        Some(seat)
    }

    /// Puts a member as it is now into the snapshot.
    fn report(&mut self, member: usize) {
        let (Some(home), Some(name)) = (self.homes.get(member), self.names.get(member)) else {
            return;
        };
        let reported = Member {
            name: name.clone(),
            readiness: Readiness::Ready,
            sketch: Some(sketch(&self.cluster, home)),
            ..Member::default()
        };
        self.snapshot.members.insert(name.clone(), reported.into());
    }
}

/// Whether a reason says that no member has room now.
fn is_room(reason: &WorkloadReason) -> bool {
    matches!(
        reason,
        WorkloadReason::NoMemberFits { .. } | WorkloadReason::NoCapacity { .. }
    )
}

/// Nodes that are alike counted as one shape.
fn sketch(cluster: &Cluster, home: &[usize]) -> Sketch {
    let mut counts: BTreeMap<(usize, Resources), i64> = BTreeMap::new();
    for node in home.iter().filter_map(|node| cluster.nodes.get(*node)) {
        *counts.entry((node.flavor, free(node))).or_default() += 1;
    }
    let shape = |((flavor, free), count)| Shape {
        count,
        flavor: Some(cluster.flavors.name(flavor).to_owned()),
        free,
        ..Shape::default()
    };
    Sketch {
        keys: BTreeSet::new(),
        shapes: counts.into_iter().map(shape).collect(),
    }
}

/// What is free on a node. Sums alone would hide whether devices are whole, so it says both what
/// whole-device pods and what shares ask: for one replica that is exact.
fn free(node: &Node) -> Resources {
    let free = Resources::new()
        .with(CPU, node.cpu)
        .with(MEMORY, node.memory * MIB);
    if node.devices.is_empty() {
        return free;
    }
    free.with(DEVICES, node.free_devices())
        .with(SHARE, node.largest_share())
}

/// A pod as a Workload of one replica.
fn request(flavors: &Flavors, pod: &Pod) -> Request {
    let asked = Resources::new()
        .with(CPU, pod.cpu)
        .with(MEMORY, pod.memory * MIB);
    let per_replica = match pod.gpu {
        Gpu::None => asked,
        Gpu::Share(share) => asked.with(SHARE, share),
        Gpu::Devices(devices) => asked.with(DEVICES, devices),
    };
    let component = Component {
        name: "Deployment/pod".to_owned(),
        replicas: 1,
        per_replica,
        division: Division::OneMember,
        ..Component::default()
    };
    let allowed = flavors.allowed(pod).into_iter();
    let mut allowed: Vec<String> = allowed.map(|of| flavors.name(of).to_owned()).collect();
    if allowed.is_empty() {
        // An empty list would allow every flavor; no node has this one.
        allowed.push(NO_FLAVOR.to_owned());
    }
    Request {
        key: WorkloadKey::new(AGENCY, pod.name.clone()),
        uid: pod.name.clone(),
        generation: 1,
        tenant: AGENCY.to_owned(),
        created: pod.created,
        components: vec![component],
        placement: PlacementSpec {
            flavors: allowed,
            ..PlacementSpec::default()
        },
        ..Request::default()
    }
}

/// The hub's side without members: flavors, two tenants, and quota for all of it. Nothing is ever
/// charged, since quota must not be what stops a pod.
fn snapshot(flavors: &Flavors) -> Result<Snapshot> {
    let region = Tenant {
        kind: TenantKind::Region,
        ..Tenant::default()
    };
    let agency = Tenant {
        parent: Some(REGION.to_owned()),
        ..Tenant::default()
    };
    let names = flavors.names().iter();
    Ok(Snapshot {
        now: 0,
        members: BTreeMap::new(),
        flavors: names
            .map(|name| (name.clone(), Flavor::default()))
            .collect(),
        tenants: BTreeMap::from([(REGION.to_owned(), region), (AGENCY.to_owned(), agency)]),
        quotas: quotas(flavors)?,
        held: BTreeMap::new(),
        neighbours: BTreeMap::new(),
    })
}

fn quotas(flavors: &Flavors) -> Result<QuotaTree> {
    let line = Line {
        guaranteed: 0,
        nominal: PLENTY,
        ceiling: PLENTY,
    };
    let keys = flavors.names().iter();
    let keys = keys.flat_map(|flavor| RESOURCES.map(|resource| Key::new(flavor, resource)));
    let lines: BTreeMap<Key, Line> = keys.map(|key| (key, line)).collect();
    let node = |name: &str, parent: Option<&str>| QuotaNode {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        lines: lines.clone(),
        ..QuotaNode::default()
    };
    let (tree, problems) = QuotaTree::build(&[node(REGION, None), node(AGENCY, Some(REGION))]);
    match problems.first() {
        Some(problem) => Err(problem.to_string().into()),
        None => Ok(tree),
    }
}

/// How many pods do not hold where they are said to run. It knows nothing of how they were bound:
/// it adds them up on empty nodes and looks at every bound.
pub(super) fn unholdable(
    machines: &[Machine],
    deal: &[usize],
    pods: &[Pod],
    bound: &[Bound],
) -> i64 {
    let mut used: Vec<Used> = machines.iter().map(|_| Used::default()).collect();
    let mut seen = BTreeSet::new();
    let mut wrong = 0;
    for of in bound {
        let node = of.seat.node;
        let holds = match (machines.get(node), used.get_mut(node), pods.get(of.pod)) {
            (Some(machine), Some(used), Some(pod)) => {
                let there = deal.get(node) == Some(&of.member) && seen.insert(of.pod);
                there && used.add(machine, pod, &of.seat.devices)
            }
            _ => false,
        };
        wrong += i64::from(!holds);
    }
    wrong
}

/// What pods take of one node.
#[derive(Clone, Debug, Default)]
struct Used {
    cpu: i64,
    memory: i64,
    /// Thousandths by device.
    devices: BTreeMap<usize, i64>,
}

impl Used {
    /// Adds a pod on these devices, unless the node does not hold it.
    fn add(&mut self, machine: &Machine, pod: &Pod, devices: &[usize]) -> bool {
        let (each, count) = match pod.gpu {
            Gpu::None => (0, 0),
            Gpu::Share(share) => (share, 1),
            Gpu::Devices(devices) => (WHOLE, devices),
        };
        let mut with = self.clone();
        with.cpu += pod.cpu;
        with.memory += pod.memory;
        for device in devices {
            *with.devices.entry(*device).or_default() += each;
        }
        let sizes = with.cpu <= machine.cpu && with.memory <= machine.memory;
        let model = pod.models.is_empty() || pod.models.contains(&machine.model);
        let distinct: BTreeSet<&usize> = devices.iter().collect();
        let counted = |number: usize| i64::try_from(number) == Ok(count);
        let asked = counted(devices.len()) && counted(distinct.len());
        let exists = |device: &usize| i64::try_from(*device).is_ok_and(|of| of < machine.devices);
        let exist = devices.iter().all(exists);
        let shared = with.devices.values().all(|used| *used <= WHOLE);
        let holds = sizes && model && asked && exist && shared;
        if holds {
            *self = with;
        }
        holds
    }
}
