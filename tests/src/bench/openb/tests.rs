use crate::bench::random::Random;

use super::federation::Bound;
use super::node::Seat;
use super::trace::{Gpu, Machine};
use super::*;

fn machine(cpu: i64, devices: i64, model: &str) -> Machine {
    Machine {
        cpu,
        memory: cpu * 4,
        devices,
        model: model.to_owned(),
    }
}

fn pod(name: &str, cpu: i64, gpu: Gpu) -> Pod {
    Pod {
        name: name.to_owned(),
        cpu,
        memory: cpu * 2,
        gpu,
        models: Vec::new(),
        created: 0,
    }
}

/// Nodes and pods of the trace's shape; the pods take between a half and three quarters of the
/// devices. The last two fit nowhere.
fn generated(seed: u64) -> Trace {
    let kinds = [
        machine(32_000, 0, ""),
        machine(96_000, 2, "T4"),
        machine(96_000, 8, "G2"),
    ];
    let machines = (0..36).map(|place| kinds[place % kinds.len()].clone());
    let mut random = Random::new(seed);
    let mut pods = Vec::new();
    for number in 0..100 {
        let name = format!("pod-{number}");
        let share = i64::try_from(random.index(9)).unwrap() * 100 + 100;
        pods.push(match random.index(10) {
            0..3 => pod(&name, 4000, Gpu::None),
            3..8 => pod(&name, 4000, Gpu::Share(share)),
            8 => pod(&name, 8000, Gpu::Devices(1)),
            _ => Pod {
                models: vec!["G2".to_owned(), "A10".to_owned()],
                ..pod(&name, 32_000, Gpu::Devices(4))
            },
        });
    }
    pods.push(pod("too-many-devices", 1000, Gpu::Devices(16)));
    pods.push(pod("too-many-cores", 200_000, Gpu::None));
    Trace {
        machines: machines.collect(),
        pods,
    }
}

#[test]
fn a_generated_cluster_is_packed_as_well_as_a_flat_one() {
    for seed in 1..4 {
        let report = measured(&generated(seed), seed).unwrap();
        for figures in [&report.by_model, &report.by_chance, &report.worse] {
            let placed = (figures.pods, figures.placed, figures.flat_placed);
            assert_eq!(placed, (102, 100, 100), "seed {seed}: {report}");
            let wrong = (figures.broken, figures.unholdable);
            assert_eq!(wrong, (0, 0), "seed {seed}: {report}");
            let behind = format!("{:.3}", figures.behind_flat_percent);
            assert_eq!(behind, "0.000", "seed {seed}: {report}");
        }
    }
}

#[test]
fn a_full_cluster_is_never_promised_twice() {
    let mut trace = generated(7);
    trace.pods = (0..3)
        .flat_map(|round| {
            let again = trace.pods.iter().cloned();
            again.map(move |pod| Pod {
                name: format!("{}-{round}", pod.name),
                ..pod
            })
        })
        .collect();
    let report = measured(&trace, 7).unwrap();
    for figures in [&report.by_model, &report.by_chance] {
        assert!(figures.placed < 300, "{report}");
        let wrong = (figures.broken, figures.unholdable);
        assert_eq!(wrong, (0, 0), "{report}");
    }
}

#[test]
fn sums_promise_what_no_node_holds_and_shapes_do_not() {
    let small = machine(4000, 0, "");
    let mut machines = vec![small; 4];
    machines.push(machine(8000, 0, ""));
    let pods = [pod("large", 8000, Gpu::None)];
    let (cluster, deal) = (Cluster::new(&machines), [0, 0, 0, 0, 1]);
    assert_eq!(rivals::flat(&cluster, &pods), [0]);
    let lured = rivals::naive(&cluster, &deal, &pods);
    assert_eq!(lured, Vec::<usize>::new(), "16 cores, but no 8 on a node");
    let run = federation::run(&cluster, &deal, &pods).unwrap();
    let went = run.bound.iter().map(|of| (of.member, of.seat.node));
    assert_eq!(went.collect::<Vec<_>>(), [(1, 4)]);
    assert_eq!(run.broken, 0);
}

#[test]
fn what_does_not_hold_is_found() {
    let machines = [machine(8000, 2, "T4"), machine(8000, 0, "")];
    let pods = [
        pod("a", 4000, Gpu::Share(600)),
        pod("b", 2000, Gpu::Share(600)),
        pod("c", 6000, Gpu::None),
    ];
    let bound = |pod: usize, node: usize, devices: &[usize]| Bound {
        pod,
        member: 0,
        seat: Seat {
            node,
            devices: devices.to_vec(),
        },
    };
    let wrong =
        |deal: &[usize], bound: &[Bound]| federation::unholdable(&machines, deal, &pods, bound);
    let apart = [bound(0, 0, &[0]), bound(1, 0, &[1]), bound(2, 1, &[])];
    assert_eq!(wrong(&[0, 0], &apart), 0);
    assert_eq!(wrong(&[0, 3], &apart), 1, "another member's node");
    let one_device = [bound(0, 0, &[0]), bound(1, 0, &[0])];
    assert_eq!(wrong(&[0, 0], &one_device), 1);
    assert_eq!(wrong(&[0, 0], &[bound(0, 0, &[2])]), 1, "no such device");
    assert_eq!(wrong(&[0, 0], &[bound(0, 0, &[])]), 1, "on no device");
    let too_many_cores = [bound(0, 0, &[0]), bound(2, 0, &[])];
    assert_eq!(wrong(&[0, 0], &too_many_cores), 1);
    let twice = [bound(2, 1, &[]), bound(2, 0, &[])];
    assert_eq!(wrong(&[0, 0], &twice), 1, "one pod in two places");
}

#[test]
fn shares_are_percent() {
    let shown = |part, whole| format!("{:.3}", percent(part, whole));
    assert_eq!(shown(1, 3), "33.333");
    assert_eq!(shown(-1, 4), "-25.000");
    assert_eq!(shown(5, 0), "0.000");
}

#[test]
fn the_worse_way_to_deal_stands_on_top() {
    let report = measured(&generated(1), 1).unwrap();
    let of = |placed: i64, behind: f64| Figures {
        placed,
        behind_flat_percent: behind,
        broken: 1,
        ..report.by_model.clone()
    };
    let top = worse(&of(90, -1.0), &of(80, 0.5));
    assert_eq!((top.placed, top.broken), (80, 2));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["placed"], 100);
    assert_eq!(json["by_chance"]["flat_placed"], 100);
}
