#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Flavor;
use heyun_crds::common::{LabelEquals, Taint, TaintEffect};
use heyun_crds::flavor::FlavorSpec;
use heyun_crds::quantity::Quantity;
use heyun_crds::sketch::{Bound, SketchStatus};
use heyun_scheduler::resources::Resources;
use k8s_openapi::api::core::v1::{Node, Pod};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const GI: i64 = 1 << 30;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn flavor(name: &str, precedence: i32, selector: &[(&str, &str)]) -> Flavor {
    let node_selector = LabelEquals {
        match_labels: labels(selector),
    };
    Flavor::new(
        name,
        FlavorSpec {
            node_selector,
            precedence,
            tolerations: vec![],
        },
    )
}

fn node(name: &str, arch: &str) -> NodeFacts {
    NodeFacts {
        name: name.to_owned(),
        labels: labels(&[
            ("kubernetes.io/arch", arch),
            ("kubernetes.io/hostname", name),
        ]),
        ready: true,
        allocatable: Resources::new()
            .with("cpu", 8000)
            .with("memory", 16 * GI)
            .with("pods", 110),
        ..NodeFacts::default()
    }
}

fn pod(uid: &str, on: &str, cpu: i64) -> PodFacts {
    PodFacts {
        uid: uid.to_owned(),
        node: Some(on.to_owned()),
        requests: Resources::new().with("cpu", cpu).with("memory", GI),
        ..PodFacts::default()
    }
}

fn ours(uid: &str, on: &str) -> PodFacts {
    let (work, component) = (Some("web-1".to_owned()), Some("deployment-web".to_owned()));
    PodFacts {
        work,
        component,
        ..pod(uid, on, 500)
    }
}

fn tally(book: &SketchBook) -> Tally {
    let flavors = [
        flavor("general", 0, &[]),
        flavor("arm", 10, &[("kubernetes.io/arch", "arm64")]),
    ];
    book.tally(&flavors, &BTreeSet::new(), &Reserve::default())
}

fn free(status: &SketchStatus) -> Vec<(u32, Option<&str>, String)> {
    let cpu = |s: &heyun_crds::sketch::Shape| s.free["cpu"].0.clone();
    status
        .shapes
        .iter()
        .map(|s| (s.count, s.flavor.as_deref(), cpu(s)))
        .collect()
}

#[test]
fn nodes_are_counted_by_shape_with_what_their_pods_leave() {
    let mut book = SketchBook::new();
    for (name, arch) in [("a", "amd64"), ("b", "amd64"), ("c", "arm64")] {
        assert!(book.upsert_node(node(name, arch)));
    }
    assert!(!book.upsert_node(node("a", "amd64")), "nothing changed");
    assert_eq!(
        free(&tally(&book).status),
        [
            (2, Some("general"), "8".to_owned()),
            (1, Some("arm"), "8".to_owned())
        ]
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
    );
    assert!(book.upsert_pod(pod("1", "a", 2500)));
    assert!(!book.upsert_pod(pod("1", "a", 2500)), "nothing changed");
    let told = tally(&book);
    assert_eq!(
        free(&told.status),
        [
            (1, Some("arm"), "8".to_owned()),
            (1, Some("general"), "5500m".to_owned()),
            (1, Some("general"), "8".to_owned()),
        ]
    );
    let used = &told.status.shapes[1].free;
    assert_eq!(
        (used["memory"].0.as_str(), used["pods"].0.as_str()),
        ("15Gi", "109")
    );
    assert_eq!(told.status.nodes, 3);
    assert_eq!(told.status.label_keys, ["kubernetes.io/arch"]);
    let cpu = told
        .capacity
        .iter()
        .find(|c| c.flavor == "general" && c.resource == "cpu")
        .unwrap();
    assert_eq!(
        (cpu.allocatable.0.as_str(), cpu.requested.0.as_str()),
        ("16", "2500m")
    );
    // The same over all flavors, from the same pods, for red lines.
    let totals = told.status.totals.iter().map(|total| {
        let (allocatable, requested) = (&total.allocatable.0, &total.requested.0);
        (
            total.resource.as_str(),
            allocatable.as_str(),
            requested.as_str(),
        )
    });
    assert_eq!(
        totals.collect::<Vec<_>>(),
        [
            ("cpu", "24", "2500m"),
            ("memory", "48Gi", "1Gi"),
            ("pods", "330", "1")
        ]
    );
    assert!(book.remove_pod("1"));
    assert!(!book.remove_pod("1"));
    assert_eq!(free(&tally(&book).status).len(), 2);
}

#[test]
fn what_does_not_take_pods_is_counted_and_not_offered() {
    let mut book = SketchBook::new();
    book.upsert_node(NodeFacts {
        ready: false,
        ..node("down", "amd64")
    });
    book.upsert_node(NodeFacts {
        unschedulable: true,
        ..node("cordoned", "amd64")
    });
    book.upsert_node(node("up", "amd64"));
    let told = tally(&book);
    assert_eq!(
        (told.nodes.ready, told.nodes.total, told.status.nodes),
        (2, 3, 1)
    );
    let cpu = told.capacity.iter().find(|c| c.resource == "cpu").unwrap();
    assert_eq!(cpu.allocatable, Quantity::from("8"));
}

#[test]
fn the_highest_precedence_wins_and_a_tie_is_told() {
    let mut book = SketchBook::new();
    book.upsert_node(node("a", "arm64"));
    book.upsert_node(node("b", "arm64"));
    let arm = [("kubernetes.io/arch", "arm64")];
    let said = |flavors: &[Flavor]| book.tally(flavors, &BTreeSet::new(), &Reserve::default());
    let told = said(&[
        flavor("x", 5, &arm),
        flavor("y", 9, &arm),
        flavor("z", 99, &[("a", "b")]),
    ]);
    assert_eq!(told.status.shapes[0].flavor.as_deref(), Some("y"));
    let told = said(&[
        flavor("y", 5, &arm),
        flavor("x", 5, &arm),
        flavor("general", 0, &[]),
    ]);
    assert_eq!(told.status.shapes[0].flavor, None);
    let flavors = vec!["x".to_owned(), "y".to_owned()];
    assert_eq!(
        told.ties,
        [FlavorTie {
            flavors,
            nodes: 2,
            example: "a".to_owned()
        }]
    );
    assert!(told.capacity.iter().all(|c| c.flavor == "-"));
}

#[test]
fn the_reserve_is_kept_back_on_each_node_and_free_is_never_negative() {
    let mut book = SketchBook::new();
    book.upsert_node(node("a", "amd64"));
    let reserve = Reserve::parse(&labels(&[("cpu", "10%"), ("memory", "4Gi")])).unwrap();
    let said = |book: &SketchBook| book.tally(&[], &BTreeSet::new(), &reserve).status;
    let status = said(&book);
    assert_eq!(status.shapes[0].free["cpu"].0, "7200m");
    assert_eq!(status.shapes[0].free["memory"].0, "12Gi");
    book.upsert_pod(pod("1", "a", 7900));
    assert_eq!(said(&book).shapes[0].free["cpu"].0, "0");
}

#[test]
fn a_reserve_is_a_share_or_an_amount() {
    for (value, offered, kept) in [
        ("10%", 1001, Some(101)),
        ("0%", 1000, Some(0)),
        ("100%", 1000, Some(1000)),
        ("2", 1000, Some(1000)),
        ("500m", 1000, Some(500)),
        ("101%", 1000, None),
        ("%", 1000, None),
        ("-1", 1000, None),
        ("1.5%", 1000, None),
        ("", 1000, None),
        ("much", 1000, None),
    ] {
        let read = Reserve::parse(&labels(&[("cpu", value)]));
        assert_eq!(
            read.as_ref().ok().map(|r| r.of("cpu", offered)),
            kept,
            "{value}"
        );
        if let Err(error) = read {
            assert!(
                error.to_string().starts_with("spec.reserve.cpu: \""),
                "{error}"
            );
        }
    }
}

#[test]
fn what_is_bound_is_counted_by_work_and_component() {
    let mut book = SketchBook::new();
    book.upsert_pod(ours("1", "a"));
    book.upsert_pod(ours("2", "gone"));
    book.upsert_pod(PodFacts {
        node: None,
        ..ours("3", "a")
    });
    book.upsert_pod(PodFacts {
        terminal: true,
        ..ours("4", "a")
    });
    book.upsert_pod(pod("5", "a", 1));
    let bound = |replicas| {
        vec![Bound {
            work: "web-1".to_owned(),
            component: "deployment-web".to_owned(),
            replicas,
            flavor: Some("-".to_owned()),
        }]
    };
    assert_eq!(tally(&book).status.bound, bound(2));
    book.upsert_pod(PodFacts {
        terminal: true,
        ..ours("1", "a")
    });
    assert_eq!(tally(&book).status.bound, bound(1));
    book.remove_pod("2");
    assert_eq!(tally(&book).status.bound, []);
    assert_eq!(book.counts(), (0, 1));
}

#[test]
fn what_is_bound_is_told_by_the_flavor_of_its_node() {
    let mut book = SketchBook::new();
    book.upsert_node(node("a", "amd64"));
    book.upsert_node(NodeFacts {
        unschedulable: true,
        ..node("b", "amd64")
    });
    book.upsert_node(node("c", "arm64"));
    for (uid, on) in [("1", "a"), ("2", "b"), ("3", "c"), ("4", "gone")] {
        book.upsert_pod(ours(uid, on));
    }
    let flavors = [flavor("general", 0, &[("kubernetes.io/arch", "amd64")])];
    let told = book.tally(&flavors, &BTreeSet::new(), &Reserve::default());
    let counts: Vec<(&str, u32)> = told
        .status
        .bound
        .iter()
        .map(|b| (b.flavor.as_deref().unwrap(), b.replicas))
        .collect();
    assert_eq!(counts, [("-", 2), ("general", 2)]);
}

#[test]
fn shapes_are_told_apart_by_the_wanted_keys_and_by_taints() {
    let mut book = SketchBook::new();
    book.upsert_node(node("a", "amd64"));
    book.upsert_node(node("b", "amd64"));
    let taint = Taint {
        key: "t".to_owned(),
        value: String::new(),
        effect: TaintEffect::NoSchedule,
    };
    book.upsert_node(NodeFacts {
        taints: vec![taint],
        ..node("c", "amd64")
    });
    let count = |keys: &[&str]| {
        let keys = keys.iter().map(|k| (*k).to_owned()).collect();
        book.tally(&[], &keys, &Reserve::default())
            .status
            .shapes
            .len()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["kubernetes.io/hostname"]), 3);
    let many: BTreeSet<String> = (0..100).map(|i| format!("key-{i}")).collect();
    let keys = book
        .tally(&[], &many, &Reserve::default())
        .status
        .label_keys;
    assert_eq!(keys.len(), LABEL_KEYS_MAX);
    assert!(keys.contains(&"kubernetes.io/arch".to_owned()));
}

#[test]
fn many_shapes_are_rounded_down_to_the_bound() {
    let mut book = SketchBook::new();
    let nodes = i64::try_from(SHAPES_MAX).unwrap() * 2;
    for i in 0..nodes {
        let name = format!("n{i}");
        book.upsert_node(node(&name, "amd64"));
        book.upsert_pod(pod(&i.to_string(), &name, i));
    }
    let told = tally(&book);
    assert!(told.status.shapes.len() <= SHAPES_MAX && told.coarseness > 0);
    assert_eq!(i64::from(told.status.nodes), nodes);
    let offered: i64 = told
        .status
        .shapes
        .iter()
        .map(|s| {
            let cpu = heyun_scheduler::quantity::amount("cpu", &s.free["cpu"].0).unwrap();
            cpu * i64::from(s.count)
        })
        .sum();
    let exact: i64 = (0..nodes).map(|i| 8000 - i).sum();
    assert!(
        offered <= exact && offered > exact * 9 / 10,
        "{offered} of {exact}"
    );
}

#[test]
fn facts_are_read_from_nodes_and_pods() {
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "n", "labels": {"a": "b"}},
        "spec": {"unschedulable": true, "taints": [
            {"key": "z", "effect": "NoExecute"}, {"key": "a", "value": "v", "effect": "NoSchedule"},
        ]},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "3920m", "memory": "7Gi", "pods": "110", "odd": "??"},
        },
    }))
    .unwrap();
    let facts = from_node(&node);
    assert!(facts.ready && facts.unschedulable);
    assert_eq!(facts.taints[0].key, "a");
    assert_eq!(facts.allocatable.get("cpu"), 3920);
    assert!(!facts.allocatable.contains("odd"));

    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"uid": "u", "labels": {"heyun.dev/work": "web-1", "heyun.dev/component": "deployment-web"}},
        "spec": {
            "nodeName": "n", "overhead": {"cpu": "100m"},
            "containers": [
                {"name": "c", "resources": {"requests": {"cpu": "500m"}}},
                {"name": "d", "resources": {"limits": {"cpu": "1"}}},
            ],
            "initContainers": [{"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "10m"}}}],
        },
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "allocatedResources": {"cpu": "700m"},
        }]},
    }))
    .unwrap();
    let facts = from_pod(&pod);
    assert_eq!(facts.requests.get("cpu"), 700 + 1000 + 10 + 100);
    assert_eq!(facts.node.as_deref(), Some("n"));
    assert!(!facts.terminal);
    assert_eq!(facts.work.as_deref(), Some("web-1"));
    assert_eq!(facts.component.as_deref(), Some("deployment-web"));
}

/// One change of a member.
#[derive(Clone, Debug)]
enum Change {
    Node {
        name: u8,
        ready: bool,
        cpu: i64,
    },
    NoNode(u8),
    Pod {
        uid: u8,
        node: Option<u8>,
        terminal: bool,
        cpu: i64,
        work: Option<u8>,
    },
    NoPod(u8),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (0..4_u8, any::<bool>(), 0..9_i64).prop_map(|(name, ready, cpu)| Change::Node {
            name,
            ready,
            cpu
        }),
        (0..4_u8).prop_map(Change::NoNode),
        (
            0..8_u8,
            prop::option::of(0..4_u8),
            prop::bool::weighted(0.2),
            0..5_i64,
            prop::option::of(0..3_u8)
        )
            .prop_map(|(uid, node, terminal, cpu, work)| Change::Pod {
                uid,
                node,
                terminal,
                cpu,
                work
            }),
        (0..8_u8).prop_map(Change::NoPod),
    ];
    prop::collection::vec(change, 0..60)
}

proptest! {
    /// After any changes the book says what one that only saw the end would say, counted by hand.
    #[test]
    fn the_book_is_what_a_count_from_scratch_is(changes in changes()) {
        let mut book = SketchBook::new();
        let mut nodes: BTreeMap<u8, (bool, i64)> = BTreeMap::new();
        let mut pods: BTreeMap<u8, (u8, i64, Option<u8>)> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Node { name, ready, cpu } => {
                    nodes.insert(name, (ready, cpu));
                    let allocatable = Resources::new().with("cpu", cpu);
                    book.upsert_node(NodeFacts { name: name.to_string(), ready, allocatable, ..NodeFacts::default() });
                }
                Change::NoNode(name) => {
                    nodes.remove(&name);
                    book.remove_node(&name.to_string());
                }
                Change::Pod { uid, node, terminal, cpu, work } => {
                    match node.filter(|_| !terminal) {
                        Some(node) => { pods.insert(uid, (node, cpu, work)); }
                        None => { pods.remove(&uid); }
                    }
                    book.upsert_pod(PodFacts {
                        uid: uid.to_string(),
                        node: node.map(|n| n.to_string()),
                        terminal,
                        requests: Resources::new().with("cpu", cpu),
                        work: work.map(|w| w.to_string()),
                        component: Some("c".to_owned()),
                        ..PodFacts::default()
                    });
                }
                Change::NoPod(uid) => {
                    pods.remove(&uid);
                    book.remove_pod(&uid.to_string());
                }
            }
        }
        let told = book.tally(&[], &BTreeSet::new(), &Reserve::default());
        let mut wanted: Vec<i64> = nodes.iter().filter(|(_, (ready, _))| *ready).map(|(name, (_, cpu))| {
            let taken: i64 = pods.values().filter(|p| p.0 == *name).map(|p| p.1).sum();
            (cpu - taken).max(0)
        }).collect();
        wanted.sort_unstable();
        let mut found: Vec<i64> = Vec::new();
        for shape in &told.status.shapes {
            let cpu = shape.free.get("cpu").map_or(0, |q| q.0.trim_end_matches('m').parse().unwrap());
            found.extend(std::iter::repeat_n(cpu, shape.count as usize));
        }
        found.sort_unstable();
        prop_assert_eq!(found, wanted);
        for work in 0..3_u8 {
            let wanted = pods.values().filter(|p| p.2 == Some(work)).count();
            let found = told.status.bound.iter().find(|b| b.work == work.to_string());
            prop_assert_eq!(found.map_or(0, |b| b.replicas as usize), wanted);
        }
        prop_assert_eq!(told.nodes.total as usize, nodes.len());
    }
}
