//! Members: flavors, nodes, what they are filed and labelled with, and how much room they have.

use std::collections::{BTreeMap, BTreeSet};

use heyun_scheduler::quota::{Amounts, Key};
use heyun_scheduler::request::{LabelOp, LabelRequirement, Toleration, TolerationOp};
use heyun_scheduler::resources::{CPU, MEMORY, PODS};
use heyun_scheduler::snapshot::{Flavor, Mlps, Readiness, Shape, Sketch, Taint, TaintEffect};
use heyun_scheduler::{Member, Resources};

use super::land::{Land, Tier};
use super::{GIB, NOW};
use crate::bench::random::Random;

/// The flavor that every member has.
pub(super) const GENERAL: &str = "general-amd64";
/// The flavor of domestic machines.
pub(super) const XINCHUANG: &str = "xinchuang-arm64";
/// The flavor of nodes with devices.
pub(super) const GPU: &str = "gpu-amd64";
/// The resource of devices.
pub(super) const DEVICE: &str = "nvidia.com/gpu";
/// The zone of most members.
pub(super) const COMMON: &str = "cegn-common";

const ARCH_LABEL: &str = "kubernetes.io/arch";
const XINCHUANG_LABEL: &str = "heyun.dev/xinchuang";
const DEVICE_LABEL: &str = "nvidia.com/gpu.present";
const PROVIDERS: [&str; 5] = ["huawei", "inspur", "tianqiong", "xinghe", "yunhai"];
const APIS: [&str; 7] = [
    "v1/ConfigMap",
    "v1/Secret",
    "v1/Service",
    "apps/v1/Deployment",
    "apps/v1/StatefulSet",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
];
const DAY: i64 = 86_400;
/// What the members have, in thousandths of what is asked for.
const ROOM: i64 = 1400;
/// The least that is made of a node's first size, in thousandths: the smallest node keeps 4 cores
/// and 16 GiB.
const LEAST: i64 = 600;

/// The flavors. No node matches two; the order of precedence is that of preference.
pub(super) fn flavors() -> BTreeMap<String, Flavor> {
    let label = |key: &str, op: LabelOp, values: &[&str]| LabelRequirement {
        key: key.to_owned(),
        op,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let flavor = |precedence: i64, node_selector: Vec<LabelRequirement>| Flavor {
        node_selector,
        precedence,
        ..Flavor::default()
    };
    let amd64 = || label(ARCH_LABEL, LabelOp::In, &["amd64"]);
    let none = label(DEVICE_LABEL, LabelOp::DoesNotExist, &[]);
    let some = label(DEVICE_LABEL, LabelOp::Exists, &[]);
    let domestic = vec![
        label(ARCH_LABEL, LabelOp::In, &["arm64"]),
        label(XINCHUANG_LABEL, LabelOp::In, &["true"]),
    ];
    let gpu = Flavor {
        tolerations: vec![Toleration {
            key: Some(DEVICE.to_owned()),
            op: TolerationOp::Exists,
            ..Toleration::default()
        }],
        ..flavor(10, vec![amd64(), some])
    };
    BTreeMap::from([
        (GENERAL.to_owned(), flavor(30, vec![amd64(), none])),
        (XINCHUANG.to_owned(), flavor(20, domestic)),
        (GPU.to_owned(), gpu),
    ])
}

/// The members of all divisions, in the order of the divisions, with nodes of a first size.
pub(super) fn members(land: &Land, random: &mut Random) -> Vec<Member> {
    let mut members = Vec::new();
    for (index, division) in land.divisions.iter().enumerate() {
        let province = land.province(index);
        for number in 0..division.own {
            let (name, tier) = if land.flat {
                let tier = match number {
                    0 => Tier::Province,
                    1..=4 => Tier::City,
                    _ => Tier::County,
                };
                (format!("{}-m{:02}", division.name, number + 1), tier)
            } else {
                (division.name.clone(), division.tier)
            };
            let mut member = member(tier, province, random);
            let operator = random.one_of(&["bigdata", "cloud"]);
            member.name = name;
            member.operator = format!("{}-{operator}", land.name(province));
            member.region.clone_from(&division.name);
            member.owner.clone_from(&division.name);
            members.push(member);
        }
    }
    members
}

fn member(tier: Tier, province: usize, random: &mut Random) -> Member {
    let shapes = shapes(tier, random);
    // Each province has a provider that it prefers.
    let provider = if random.percent(50) {
        PROVIDERS[province % PROVIDERS.len()]
    } else {
        random.one_of(&PROVIDERS)
    };
    let zone = match random.range(0, 99) {
        0..=5 if tier != Tier::Province => "cegn-dedicated",
        6..=7 if tier != Tier::Province => "cegn-internet",
        _ => COMMON,
    };
    let keys = [ARCH_LABEL, XINCHUANG_LABEL, DEVICE_LABEL].map(str::to_owned);
    let classes = ["storage/standard", "ingress/default"].map(str::to_owned);
    let mut member = Member {
        labels: BTreeMap::from([("tier".to_owned(), tier.label().to_owned())]),
        readiness: Readiness::Ready,
        provider: provider.to_owned(),
        zone: zone.to_owned(),
        mlps: Some(mlps(tier, random)),
        apis: Some(APIS.map(str::to_owned).into()),
        classes: classes.into(),
        prices: prices(&shapes, random),
        sketch: Some(Sketch {
            keys: keys.into(),
            shapes,
        }),
        ..Member::default()
    };
    if tier != Tier::Province {
        trouble(&mut member, random);
    }
    member
}

fn mlps(tier: Tier, random: &mut Random) -> Mlps {
    let level = match tier {
        Tier::Country | Tier::Province => random.one_of(&[3, 3, 3, 4]),
        Tier::City => random.one_of(&[2, 3, 3, 3, 3, 4]),
        Tier::County => random.one_of(&[2, 2, 3, 3, 3]),
    };
    let expired = tier != Tier::Province && random.percent(1);
    let days = if expired { -1 } else { random.range(30, 1000) };
    let valid_until = Some(NOW + days * DAY);
    Mlps { level, valid_until }
}

/// Two members of a hundred are not ready, cordoned or tainted; those of provinces never are.
fn trouble(member: &mut Member, random: &mut Random) {
    match random.range(0, 999) {
        0..=4 => member.readiness = Readiness::NotReady { since: NOW - 600 },
        5..=7 => member.readiness = Readiness::Unknown { since: NOW - 900 },
        8..=13 => member.unschedulable = true,
        14..=19 => member.taints.push(Taint {
            key: "heyun.dev/maintenance".to_owned(),
            value: String::new(),
            effect: TaintEffect::NoSchedule,
        }),
        _ => {}
    }
}

/// Whether a member is ready and takes new work from all.
pub(super) fn is_sound(member: &Member) -> bool {
    member.readiness == Readiness::Ready && !member.unschedulable && member.taints.is_empty()
}

/// About 40 nodes for a province, 20 for a city, 8 for a county. Some members have nodes of
/// domestic machines and some have devices.
fn shapes(tier: Tier, random: &mut Random) -> Vec<Shape> {
    let (nodes, sizes, xinchuang, gpu, with_devices) = match tier {
        Tier::Country | Tier::Province => (random.range(36, 44), random.range(2, 3), 80, 100, 5),
        Tier::City => (random.range(18, 22), random.range(1, 3), 60, 25, 2),
        Tier::County => (random.range(7, 9), random.range(1, 2), 35, 2, 1),
    };
    let domestic = if random.percent(xinchuang) {
        nodes * 35 / 100
    } else {
        0
    };
    let devices = if random.percent(gpu) { with_devices } else { 0 };
    let general = nodes - domestic - devices;
    let mut counts: Vec<(&str, i64)> = (0..sizes)
        .map(|number| {
            let one_more = i64::from(number < general % sizes);
            (GENERAL, general / sizes + one_more)
        })
        .collect();
    counts.extend([(XINCHUANG, domestic), (GPU, devices)]);
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    counts
        .map(|(flavor, count)| shape(flavor, count, random))
        .collect()
}

fn shape(flavor: &str, count: i64, random: &mut Random) -> Shape {
    let cores: i64 = if flavor == GPU {
        32
    } else {
        random.one_of(&[8, 12, 16, 24, 32])
    };
    let memory = cores * 4 * GIB / 1000 * random.range(850, 1150);
    let mut free = Resources::new()
        .with(CPU, cores * random.range(850, 1150))
        .with(MEMORY, memory)
        .with(PODS, 110);
    let arch = if flavor == XINCHUANG {
        "arm64"
    } else {
        "amd64"
    };
    let mut labels = BTreeMap::from([(ARCH_LABEL.to_owned(), arch.to_owned())]);
    let mut taints = Vec::new();
    if flavor == XINCHUANG {
        labels.insert(XINCHUANG_LABEL.to_owned(), "true".to_owned());
    }
    if flavor == GPU {
        labels.insert(DEVICE_LABEL.to_owned(), "true".to_owned());
        free.set(DEVICE, 8);
        taints.push(Taint {
            key: DEVICE.to_owned(),
            value: "present".to_owned(),
            effect: TaintEffect::NoSchedule,
        });
    }
    Shape {
        count,
        flavor: Some(flavor.to_owned()),
        labels,
        taints,
        free,
    }
}

/// Prices of the flavors that the member has, around a common one.
fn prices(shapes: &[Shape], random: &mut Random) -> BTreeMap<String, BTreeMap<String, i64>> {
    let flavors: BTreeSet<&str> = shapes
        .iter()
        .filter_map(|of| of.flavor.as_deref())
        .collect();
    let mut prices = BTreeMap::new();
    for flavor in flavors {
        let percent = random.range(80, 120);
        let mut of: BTreeMap<String, i64> = [(CPU, 50_000), (MEMORY, 12_000)]
            .map(|(resource, price)| (resource.to_owned(), price * percent / 100))
            .into();
        if flavor == GPU {
            of.insert(DEVICE.to_owned(), 6_000_000 * percent / 100);
        }
        prices.insert(flavor.to_owned(), of);
    }
    prices
}

fn shapes_of(member: &Member) -> impl Iterator<Item = &Shape> {
    member.sketch.iter().flat_map(|sketch| &sketch.shapes)
}

/// How many nodes a member has.
pub(super) fn nodes(member: &Member) -> i64 {
    shapes_of(member).map(|shape| shape.count).sum()
}

/// What all members have per flavor and resource, without pods.
pub(super) fn capacity(members: &[Member]) -> Amounts {
    let mut capacity = Amounts::new();
    for shape in members.iter().flat_map(shapes_of) {
        let flavor = shape.flavor.as_deref().unwrap_or_default();
        let free = shape.free.iter().filter(|(resource, _)| *resource != PODS);
        for (resource, amount) in free {
            *capacity.entry(Key::new(flavor, resource)).or_default() += shape.count * amount;
        }
    }
    capacity
}

/// Sizes all nodes so that the members have [`ROOM`] for what is asked of cpu and of memory, and
/// not less than [`LEAST`] allows.
pub(super) fn fit(members: &mut [Member], asked: &Resources) {
    for resource in [CPU, MEMORY] {
        let shapes = members.iter().flat_map(shapes_of);
        let has: i64 = shapes.map(|of| of.count * of.free.get(resource)).sum();
        let wanted = i128::from(asked.get(resource)) * i128::from(ROOM);
        let permille = wanted / i128::from(has.max(1));
        let permille = i64::try_from(permille).unwrap_or(LEAST).max(LEAST);
        let sketches = members.iter_mut().filter_map(|of| of.sketch.as_mut());
        for shape in sketches.flat_map(|sketch| &mut sketch.shapes) {
            let free = shape.free.get(resource);
            shape.free.set(resource, free * permille / 1000);
        }
    }
}
