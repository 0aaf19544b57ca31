use std::collections::BTreeMap;

use super::*;

fn key(resource: &str) -> Key {
    Key::new("general-amd64", resource)
}

fn line(guaranteed: i64, nominal: i64, ceiling: i64) -> Line {
    Line {
        guaranteed,
        nominal,
        ceiling,
    }
}

fn tenant(name: &str, parent: Option<&str>, pods: Line, charge: i64) -> QuotaNode {
    QuotaNode {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        lines: BTreeMap::from([(key("pods"), pods)]),
        charges: BTreeMap::from([(key("pods"), charge)]),
        ..QuotaNode::default()
    }
}

fn built(nodes: &[QuotaNode]) -> QuotaTree {
    let (tree, problems) = QuotaTree::build(nodes);
    assert_eq!(problems, []);
    tree
}

fn pods(amount: i64) -> Amounts {
    BTreeMap::from([(key("pods"), amount)])
}

fn id(tree: &QuotaTree, name: &str) -> NodeId {
    tree.node(name).unwrap()
}

#[test]
fn raising_a_guarantee_waits_for_room_at_the_parent() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(0, 80, 100), 80),
        tenant("b", Some("root"), line(20, 60, 60), 0),
    ];
    let mut tree = built(&nodes);
    let (a, b) = (id(&tree, "a"), id(&tree, "b"));
    let wish = BTreeMap::from([(key("pods"), line(50, 60, 60))]);
    let settled = tree.settle(b, &wish);
    assert_eq!(settled[0].effective, line(20, 60, 60));
    assert_eq!(settled[0].pending, 30);
    assert_eq!(tree.figures(b, &key("pods")).pending, 30);
    assert_eq!(tree.avail(a, &key("pods"), Purpose::Ordinary), 0);
    assert_eq!(tree.avail(b, &key("pods"), Purpose::Ordinary), 20);

    tree.release(a, &pods(10)).unwrap();
    let settled = tree.settle(b, &wish);
    assert_eq!(
        (settled[0].effective.guaranteed, settled[0].pending),
        (30, 20)
    );
    assert_eq!(
        tree.avail(a, &key("pods"), Purpose::Ordinary),
        0,
        "the freed 10 are b's now"
    );

    tree.release(a, &pods(70)).unwrap();
    assert_eq!(tree.settle(b, &wish)[0].pending, 0);
    assert_eq!(tree.avail(a, &key("pods"), Purpose::Ordinary), 50);
}

#[test]
fn a_raise_up_to_what_is_charged_needs_no_room() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(0, 60, 60), 60),
        tenant("b", Some("root"), line(0, 60, 60), 40),
    ];
    let mut tree = built(&nodes);
    let b = id(&tree, "b");
    let settled = tree.settle(b, &BTreeMap::from([(key("pods"), line(50, 60, 60))]));
    assert_eq!(
        (settled[0].effective.guaranteed, settled[0].pending),
        (40, 10)
    );
}

#[test]
fn lowering_counts_at_once_and_frees_for_others_in_the_same_round() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(0, 50, 50), 0),
        tenant("b", Some("root"), line(100, 100, 100), 0),
    ];
    let mut tree = built(&nodes);
    let (a, b) = (id(&tree, "a"), id(&tree, "b"));
    let wishes = BTreeMap::from([
        (a, BTreeMap::from([(key("pods"), line(40, 50, 50))])),
        (b, BTreeMap::from([(key("pods"), line(60, 60, 60))])),
    ]);
    let settled = tree.settle_all(&wishes);
    assert_eq!(
        settled.iter().map(|one| one.pending).collect::<Vec<_>>(),
        [0, 0]
    );
    assert_eq!(tree.line(a, &key("pods")).guaranteed, 40);
    // An absent line is zero.
    let settled = tree.settle(b, &BTreeMap::new());
    assert_eq!(settled[0].effective, Line::default());
    assert_eq!(tree.avail(b, &key("pods"), Purpose::Ordinary), 0);
}

#[test]
fn a_node_in_debt_admits_only_under_unused_guarantees() {
    let nodes = [
        tenant("root", None, line(0, 50, 50), 0),
        tenant("city", Some("root"), line(30, 40, 40), 0),
        tenant("x", Some("city"), line(0, 40, 60), 45),
        tenant("y", Some("city"), line(10, 20, 20), 4),
    ];
    let mut tree = built(&nodes);
    let (city, x, y) = (id(&tree, "city"), id(&tree, "x"), id(&tree, "y"));
    assert_eq!(tree.figures(city, &key("pods")).debt, 15);
    assert_eq!(tree.figures(city, &key("pods")).available, 0);
    assert_eq!(tree.avail(y, &key("pods"), Purpose::Ordinary), 6);
    assert!(tree.fits(y, &pods(6), Purpose::Ordinary).is_ok());
    assert!(tree.fits(y, &pods(7), Purpose::Ordinary).is_err());
    assert!(tree.fits(x, &pods(1), Purpose::Ordinary).is_err());
    assert!(
        tree.fits(x, &pods(-1), Purpose::Ordinary).is_ok(),
        "a decrease always fits"
    );
    assert_eq!(tree.try_charge(y, &pods(6), Purpose::Ordinary), Ok(Ok(())));
    assert_eq!(tree.figures(city, &key("pods")).debt, 15);
}

#[test]
fn figures_are_those_of_the_sample() {
    let cpu = Key::new("xinchuang-arm64", "cpu");
    let node = |name: &str, parent: Option<&str>, line: Line, charge: i64| QuotaNode {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        lines: BTreeMap::from([(cpu.clone(), line)]),
        charges: BTreeMap::from([(cpu.clone(), charge)]),
        failover_reserve_permille: if parent.is_some() { 100 } else { 0 },
        ..QuotaNode::default()
    };
    let nodes = [
        node("guangzhou", None, line(0, 400_000, 400_000), 0),
        node(
            "gz-civil-affairs",
            Some("guangzhou"),
            line(20_000, 40_000, 60_000),
            31_000,
        ),
        node(
            "gz-health",
            Some("guangzhou"),
            line(0, 120_000, 150_000),
            129_000,
        ),
    ];
    let tree = built(&nodes);
    let civil = tree.figures(id(&tree, "gz-civil-affairs"), &cpu);
    assert_eq!(
        (civil.charged, civil.borrowed, civil.lent, civil.available),
        (31_000, 0, 9_000, 25_000)
    );
    let health = tree.figures(id(&tree, "gz-health"), &cpu);
    assert_eq!((health.borrowed, health.lent, health.debt), (9_000, 0, 0));
    let idle = built(&[
        node("guangzhou", None, line(0, 90_000, 90_000), 0),
        node(
            "gz-archives",
            Some("guangzhou"),
            line(20_000, 40_000, 60_000),
            5_000,
        ),
    ]);
    let archives = idle.figures(id(&idle, "gz-archives"), &cpu);
    assert_eq!(archives.lent, 20_000, "what is guaranteed is never lent");
    let root = tree.figures(id(&tree, "guangzhou"), &cpu);
    assert_eq!(
        (root.charged, root.lent, root.available),
        (160_000, 0, 240_000)
    );
}

#[test]
fn the_failover_reserve_is_for_failover_alone() {
    let mut nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(0, 35, 35), 30),
    ];
    nodes[1].failover_reserve_permille = 125;
    let mut tree = built(&nodes);
    let a = id(&tree, "a");
    assert_eq!(tree.avail(a, &key("pods"), Purpose::Failover), 5);
    assert_eq!(
        tree.avail(a, &key("pods"), Purpose::Ordinary),
        0,
        "12.5 % of 35, rounded up, is 5"
    );
    let refused = tree.fits(a, &pods(2), Purpose::Ordinary).unwrap_err();
    assert_eq!(
        refused.binding,
        Binding {
            node: "a".to_owned(),
            limit: Limit::FailoverReserve
        }
    );
    let refused = tree.fits(a, &pods(6), Purpose::Ordinary).unwrap_err();
    assert_eq!(refused.binding.limit, Limit::Ceiling);
    tree.tentatively(|tree| {
        tree.set_failover_reserve(a, 0);
        assert_eq!(tree.avail(a, &key("pods"), Purpose::Ordinary), 5);
    });
    assert_eq!(tree.avail(a, &key("pods"), Purpose::Ordinary), 0);
}

#[test]
fn a_shortfall_names_what_is_needed_what_is_left_and_what_binds() {
    let cpu = key("cpu");
    let node = |name: &str, parent: Option<&str>, line: Line, charge: i64| QuotaNode {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        lines: BTreeMap::from([(cpu.clone(), line)]),
        charges: BTreeMap::from([(cpu.clone(), charge)]),
        ..QuotaNode::default()
    };
    let nodes = [
        node("guangzhou", None, line(0, 40_000, 40_000), 0),
        node(
            "gz-civil-affairs",
            Some("guangzhou"),
            line(0, 16_000, 16_000),
            14_000,
        ),
        node(
            "gz-health",
            Some("guangzhou"),
            line(0, 40_000, 60_000),
            22_500,
        ),
    ];
    let tree = built(&nodes);
    let needs = |amount: i64| BTreeMap::from([(cpu.clone(), amount)]);
    let civil = id(&tree, "gz-civil-affairs");
    let text = |node, delta: &Amounts| {
        tree.fits(node, delta, Purpose::Ordinary)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        text(civil, &needs(6000)),
        "needs 6 cpu of general-amd64, 2 left in gz-civil-affairs; bound by the ceiling of gz-civil-affairs"
    );
    assert_eq!(
        text(id(&tree, "gz-health"), &needs(6000)),
        "needs 6 cpu of general-amd64, 3500m left in gz-health; bound by the nominal of guangzhou"
    );
    // Where two numbers leave the same, the one nearest to the asker is named.
    let even = built(&[
        tenant("root", None, line(0, 10, 10), 0),
        tenant("a", Some("root"), line(0, 10, 10), 0),
    ]);
    let refused = even
        .fits(id(&even, "a"), &pods(11), Purpose::Ordinary)
        .unwrap_err();
    assert_eq!(
        refused.binding,
        Binding {
            node: "a".to_owned(),
            limit: Limit::Ceiling
        }
    );
    let memory = BTreeMap::from([(Key::new("ascend-910", "memory"), 1 << 31)]);
    assert_eq!(
        text(civil, &memory),
        "needs 2Gi memory of ascend-910, 0 left in gz-civil-affairs; the quota of gz-civil-affairs has no line for it"
    );
    let mut both = needs(6000);
    both.extend(memory);
    assert_eq!(tree.shortfalls(civil, &both, Purpose::Ordinary).len(), 2);
    assert_eq!(tree.times(civil, &needs(700), Purpose::Ordinary), 2);
    assert_eq!(tree.times(civil, &both, Purpose::Ordinary), 0);
    assert_eq!(
        tree.times(civil, &Amounts::new(), Purpose::Ordinary),
        i64::MAX
    );
}

#[test]
fn charging_refuses_what_cannot_be_booked_and_changes_nothing() {
    let mut tree = built(&[tenant("root", None, line(0, 10, 10), 4)]);
    let root = id(&tree, "root");
    let delta = BTreeMap::from([(key("cpu"), 3), (key("pods"), -5)]);
    let refused = tree.charge(root, &delta).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "tenant root is charged 4 of general-amd64/pods and cannot release 5: rebuild its charges from its decisions"
    );
    assert_eq!(tree.own_charge(root, &key("cpu")), 0);
    assert!(matches!(
        tree.charge(root, &pods(i64::MAX)),
        Err(ChargeError::Overflow { .. })
    ));
    let stranger = NodeId(7);
    assert_eq!(
        tree.charge(stranger, &pods(1)),
        Err(ChargeError::NoSuchNode)
    );
    assert_eq!(tree.avail(stranger, &key("pods"), Purpose::Ordinary), 0);
}

#[test]
fn sums_beyond_64_bits_neither_wrap_nor_panic() {
    let most = i64::MAX;
    let mut nodes = vec![tenant("root", None, line(0, most, most), most)];
    for name in ["a", "b", "c"] {
        nodes.push(tenant(name, Some("root"), line(most, most, most), most));
    }
    let tree = built(&nodes);
    let root = tree.figures(id(&tree, "root"), &key("pods"));
    assert_eq!((root.charged, root.debt, root.available), (most, most, 0));
    assert_eq!(
        tree.avail(id(&tree, "root"), &key("pods"), Purpose::Ordinary),
        i64::MIN
    );
    assert!(!violations(&nodes, u32::MAX).is_empty());
}

#[test]
fn journals_nest_and_undo_exactly() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(10, 50, 50), 5),
        tenant("b", Some("root"), line(0, 50, 50), 0),
    ];
    let mut tree = built(&nodes);
    let before = tree.export();
    let (a, b) = (id(&tree, "a"), id(&tree, "b"));
    let failed: Result<(), &str> = tree.attempt(|tree| {
        tree.charge(a, &pods(20)).unwrap();
        let kept: Result<(), ()> = tree.attempt(|tree| {
            tree.charge(a, &pods(5)).unwrap();
            tree.move_under(b, Some(a)).map_err(|_| ())
        });
        assert_eq!(kept, Ok(()));
        tree.tentatively(|tree| tree.settle(b, &BTreeMap::new()));
        assert_eq!(tree.own_charge(a, &key("pods")), 30);
        assert_eq!(tree.line(b, &key("pods")), line(0, 50, 50));
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    assert_eq!(tree.export(), before);
    assert_eq!(
        tree.avail(id(&tree, "root"), &key("pods"), Purpose::Ordinary),
        90
    );
    assert_eq!(tree.children(id(&tree, "root")), [a, b]);
}

#[test]
fn moving_takes_charge_along_and_refuses_cycles_and_what_does_not_fit() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("big", Some("root"), line(0, 60, 60), 0),
        tenant("small", Some("root"), line(0, 10, 10), 0),
        tenant("x", Some("big"), line(30, 30, 30), 20),
    ];
    let mut tree = built(&nodes);
    let (big, small, x) = (id(&tree, "big"), id(&tree, "small"), id(&tree, "x"));
    let refused = tree.move_under(x, Some(small)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "tenant x cannot move under small: needs 20 pods of general-amd64, 10 left in small; bound by the ceiling of small; raise the quota of small or scale x down first"
    );
    assert_eq!(tree.parent(x), Some(big));
    assert_eq!(tree.figures(big, &key("pods")).charged, 30);
    assert!(matches!(
        tree.move_under(big, Some(x)),
        Err(MoveError::Cycle { .. })
    ));
    tree.release(x, &pods(12)).unwrap();
    tree.move_under(x, Some(small)).unwrap();
    assert_eq!(
        tree.figures(x, &key("pods")).line.guaranteed,
        10,
        "as far as small covers it"
    );
    assert_eq!(tree.figures(x, &key("pods")).pending, 20);
    assert_eq!(tree.figures(small, &key("pods")).charged, 10);
    assert_eq!(tree.figures(big, &key("pods")).charged, 0);
}

#[test]
fn orphans_and_cycles_are_left_out_with_a_problem_each() {
    let zero = Line::default();
    let nodes = [
        tenant("root", None, line(0, 10, 10), 0),
        tenant("ok", Some("root"), line(0, 5, 5), 3),
        tenant("orphan", Some("nobody"), zero, 0),
        tenant("below", Some("orphan"), zero, 0),
        tenant("c1", Some("c2"), zero, 0),
        tenant("c2", Some("c3"), zero, 0),
        tenant("c3", Some("c1"), zero, 0),
        tenant("hangs", Some("c2"), zero, 0),
        tenant("self", Some("self"), zero, 0),
        tenant("ok", Some("orphan"), zero, 9),
        tenant("odd", None, line(-1, 4, 4), -2),
    ];
    let (tree, problems) = QuotaTree::build(&nodes);
    let names: Vec<&str> = tree.nodes().map(|node| tree.name(node)).collect();
    assert_eq!(names, ["odd", "ok", "root"]);
    assert_eq!(tree.own_charge(id(&tree, "ok"), &key("pods")), 3);
    let mut texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "tenant below is below orphan, which has no place in the tree: correct orphan first",
            "tenant c1 is on a cycle of parents (c1 -> c2 -> c3 -> c1): correct the parent of one of them",
            "tenant c2 is on a cycle of parents (c2 -> c3 -> c1 -> c2): correct the parent of one of them",
            "tenant c3 is on a cycle of parents (c3 -> c1 -> c2 -> c3): correct the parent of one of them",
            "tenant hangs is below c2, which has no place in the tree: correct c2 first",
            "tenant odd has a charge of -2 for general-amd64/pods, which counts as 0: rebuild its charges from its decisions",
            "tenant odd has a negative number in its line for general-amd64/pods, which counts as 0: correct its quota",
            "tenant ok is given twice: the first one counts, remove the other",
            "tenant orphan names parent nobody, which does not exist: create nobody or correct the parent of orphan",
            "tenant self is on a cycle of parents (self -> self): correct the parent of one of them",
        ]
    );
    let left_out = problems.iter().filter(|problem| problem.left_out());
    assert_eq!(left_out.map(Problem::node).collect::<Vec<_>>().len(), 7);
}

#[test]
fn violations_name_value_place_and_fix() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("a", Some("root"), line(50, 40, 30), 0),
        tenant("b", Some("root"), line(60, 61, 70), 0),
        tenant("b1", Some("b"), line(40, 40, 40), 0),
        tenant("b2", Some("b"), line(21, 21, 21), 0),
        tenant("odd", Some("root"), line(0, -1, 0), 0),
    ];
    let texts: Vec<String> = violations(&nodes, 100)
        .iter()
        .map(ToString::to_string)
        .collect();
    let at = |node: &str| format!("quota {node}, line general-amd64/pods: ");
    assert_eq!(
        texts,
        [
            at("a")
                + "guaranteed 50 is above nominal 40: lower guaranteed to 40 or raise nominal to 50",
            at("a") + "nominal 40 is above ceiling 30: lower nominal to 30 or raise ceiling to 40",
            at("b")
                + "its children's guaranteed are 61 together (b1 40, b2 21), above its guaranteed 60: lower theirs or raise it",
            at("odd") + "nominal is -1: give 0 or more",
            at("odd")
                + "guaranteed 0 is above nominal -1: lower guaranteed to -1 or raise nominal to 0",
            at("root")
                + "its children's guaranteed are 110 together (b 60, a 50), above its nominal 100: lower theirs or raise it",
            at("root")
                + "its children's nominal are 101 together (b 61, a 40), above the 100 that its nominal and the overcommit allow: lower theirs or raise it",
        ]
    );
    let overcommitted = violations(&nodes, 150);
    let kinds = overcommitted.iter().map(|one| &one.kind);
    assert_eq!(
        kinds
            .filter(|kind| matches!(kind, ViolationKind::ChildrenNominal { .. }))
            .count(),
        0
    );
    let reserve = QuotaNode {
        failover_reserve_permille: 100,
        ..tenant("r", Some("root"), line(40, 40, 40), 0)
    };
    assert_eq!(
        violations(&[reserve], 100)[0].to_string(),
        "quota r, line general-amd64/pods: guaranteed 40 is above 36, which is the ceiling 40 less 4 kept for failover: lower guaranteed or failoverReserve, or raise the ceiling"
    );
}

#[test]
fn what_counts_is_rebuilt_from_charges_first_and_then_by_name() {
    let nodes = [
        tenant("root", None, line(0, 100, 100), 0),
        tenant("c", Some("root"), line(0, 80, 80), 70),
        tenant("b", Some("root"), line(25, 25, 25), 10),
        tenant("a", Some("root"), line(15, 20, 20), 0),
    ];
    let rebuilt = QuotaTree::rebuild(&nodes);
    let counted: Vec<(&str, i64, i64)> = rebuilt
        .settled
        .iter()
        .map(|one| (one.node.as_str(), one.effective.guaranteed, one.pending))
        .collect();
    assert_eq!(
        counted,
        [("a", 15, 0), ("b", 15, 10), ("c", 0, 0), ("root", 0, 0)]
    );
    let root = rebuilt
        .tree
        .figures(id(&rebuilt.tree, "root"), &key("pods"));
    assert_eq!((root.charged, root.debt), (100, 0));
}

#[test]
fn plain_form_and_keys_survive_json() {
    let mut tree = built(&[
        tenant("root", None, line(0, 100, 100), 1),
        tenant("a", Some("root"), line(10, 20, 30), 90),
    ]);
    let a = id(&tree, "a");
    let accelerator = Key::new("ascend-910", "huawei.com/Ascend910");
    tree.charge(a, &BTreeMap::from([(accelerator.clone(), 2)]))
        .unwrap();
    tree.settle(a, &BTreeMap::from([(key("pods"), line(120, 120, 120))]));
    assert_eq!(tree.figures(a, &key("pods")).pending, 21);
    tree.set_failover_reserve(a, 50);
    let text = serde_json::to_string(&tree).unwrap();
    assert!(
        text.contains(r#""ascend-910/huawei.com/Ascend910":2"#),
        "{text}"
    );
    let back: QuotaTree = serde_json::from_str(&text).unwrap();
    assert_eq!(back.export(), tree.export());
    assert_eq!(back.own_charge(id(&back, "a"), &accelerator), 2);
    assert!("general-amd64".parse::<Key>().is_err());
    assert!("/cpu".parse::<Key>().is_err());
    let orphan = r#"[{"name":"a","parent":"nobody"}]"#;
    let refused = serde_json::from_str::<QuotaTree>(orphan)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("which does not exist"), "{refused}");
}
