//! The tree against its oracle: random forests, random histories.

use proptest::prelude::*;

use super::oracle::{Oracle, Tenant};
use super::*;

fn key(resource: &str) -> Key {
    Key::new("general-amd64", resource)
}

fn built(nodes: &[QuotaNode]) -> QuotaTree {
    let (tree, problems) = QuotaTree::build(nodes);
    assert_eq!(problems, []);
    tree
}

const KEYS: [&str; 2] = ["cpu", "pods"];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Try {
        node: usize,
        delta: [i64; 2],
        failover: bool,
    },
    Book {
        node: usize,
        delta: [i64; 2],
    },
    Settle {
        node: usize,
        wish: [Option<(i64, i64, i64)>; 2],
    },
    Move {
        node: usize,
        parent: Option<usize>,
    },
    Undone {
        node: usize,
        delta: [i64; 2],
        parent: Option<usize>,
    },
}

fn steps(nodes: usize) -> impl Strategy<Value = Vec<Step>> {
    let node = 0..nodes;
    let delta = [-12_i64..20, -12_i64..20];
    let parent = prop::option::of(0..nodes);
    let wish = prop::option::weighted(0.8, (0_i64..30, 0_i64..50, 0_i64..60));
    let step = prop_oneof![
        4 => (node.clone(), delta.clone(), any::<bool>())
            .prop_map(|(node, delta, failover)| Step::Try { node, delta, failover }),
        1 => (node.clone(), delta.clone()).prop_map(|(node, delta)| Step::Book { node, delta }),
        3 => (node.clone(), [wish.clone(), wish])
            .prop_map(|(node, wish)| Step::Settle { node, wish }),
        1 => (node.clone(), parent.clone()).prop_map(|(node, parent)| Step::Move { node, parent }),
        1 => (node, delta, parent)
            .prop_map(|(node, delta, parent)| Step::Undone { node, delta, parent }),
    ];
    prop::collection::vec(step, 1..30)
}

/// A forest (each parent has a smaller number) with lines, charges and reserves.
fn forests() -> impl Strategy<Value = Oracle> {
    let line = prop::option::weighted(0.9, (0_i64..20, 0_i64..60, 0_i64..60));
    let tenant = (
        any::<u8>(),
        [line.clone(), line],
        [0_i64..15, 0_i64..15],
        0_u32..4,
    );
    prop::collection::vec(tenant, 1..8).prop_map(|drawn| {
        let tenants = drawn
            .into_iter()
            .enumerate()
            .map(|(at, (parent, lines, own, reserve))| {
                let parent = usize::from(parent) % (at + 1);
                Tenant {
                    parent: if parent == at { None } else { Some(parent) },
                    lines: wished(lines),
                    own: changes(own),
                    permille: reserve * 70,
                }
            });
        Oracle {
            tenants: tenants.collect(),
        }
    })
}

fn wished(lines: [Option<(i64, i64, i64)>; 2]) -> Wish {
    let named = KEYS.iter().zip(lines);
    named
        .filter_map(|(name, drawn)| {
            drawn.map(|(g, n, c)| {
                (
                    key(name),
                    Line {
                        guaranteed: g,
                        nominal: n,
                        ceiling: c,
                    },
                )
            })
        })
        .collect()
}

fn changes(delta: [i64; 2]) -> Amounts {
    KEYS.iter()
        .zip(delta)
        .map(|(name, amount)| (key(name), amount))
        .collect()
}

/// Names that do not sort like the numbers.
fn name(at: usize) -> String {
    format!("t{}", (at * 7) % 10)
}

fn plain(oracle: &Oracle) -> Vec<QuotaNode> {
    let nodes = oracle
        .tenants
        .iter()
        .enumerate()
        .map(|(at, tenant)| QuotaNode {
            name: name(at),
            parent: tenant.parent.map(name),
            lines: tenant.lines.clone(),
            charges: tenant.own.clone(),
            failover_reserve_permille: tenant.permille,
            ..QuotaNode::default()
        });
    nodes.collect()
}

fn same(tree: &QuotaTree, oracle: &Oracle) {
    for at in 0..oracle.tenants.len() {
        let node = tree.node(&name(at)).unwrap();
        assert_eq!(
            tree.parent(node),
            oracle.tenants[at]
                .parent
                .and_then(|up| tree.node(&name(up)))
        );
        for resource in KEYS {
            let key = key(resource);
            assert_eq!(tree.line(node, &key), oracle.line(at, &key), "line of {at}");
            let charge = oracle.charge(at, &key);
            let figures = tree.figures(node, &key);
            assert_eq!(figures.charged, charge, "charge of {at}");
            let most = oracle.most(at, &key, Purpose::Failover);
            assert_eq!(figures.debt, (charge - most).max(0), "debt of {at}");
            let over = (charge - oracle.line(at, &key).nominal).max(0);
            if oracle.line(at, &key).nominal <= most {
                assert_eq!(figures.borrowed + figures.debt, over, "borrowed by {at}");
            }
            for purpose in [Purpose::Ordinary, Purpose::Failover] {
                let avail =
                    if oracle.tenants.iter().any(|tenant| {
                        tenant.lines.contains_key(&key) || tenant.own.contains_key(&key)
                    }) {
                        oracle.avail(at, &key, purpose)
                    } else {
                        0
                    };
                assert_eq!(tree.avail(node, &key, purpose), avail, "left at {at}");
            }
        }
    }
}

fn never_grows(before: &Oracle, after: &Oracle) {
    for resource in KEYS {
        assert!(
            Oracle::harmless(before, after, &key(resource), Purpose::Failover),
            "an excess was made or deepened: {before:?} -> {after:?}"
        );
    }
}

fn take(step: &Step, tree: &mut QuotaTree, oracle: &mut Oracle) {
    let before = oracle.clone();
    let nodes = oracle.tenants.len();
    match step {
        Step::Try {
            node,
            delta,
            failover,
        } => {
            let purpose = if *failover {
                Purpose::Failover
            } else {
                Purpose::Ordinary
            };
            tried(node % nodes, &changes(*delta), purpose, tree, oracle);
        }
        Step::Book { node, delta } => {
            let at = node % nodes;
            let id = tree.node(&name(at)).unwrap();
            let after = before.charged(at, &changes(*delta));
            let negative = KEYS
                .iter()
                .zip(delta)
                .any(|(name, added)| *added < 0 && after.tenants[at].own[&key(name)] < 0);
            assert_eq!(tree.charge(id, &changes(*delta)).is_err(), negative);
            if !negative {
                *oracle = after;
            }
        }
        Step::Settle { node, wish } => settled(node % nodes, &wished(*wish), tree, oracle),
        Step::Move { node, parent } => {
            let parent = parent.map(|parent| parent % nodes);
            moved(node % nodes, parent, tree, oracle);
        }
        Step::Undone {
            node,
            delta,
            parent,
        } => {
            let id = tree.node(&name(node % nodes)).unwrap();
            let up = parent.and_then(|parent| tree.node(&name(parent % nodes)));
            let plain = tree.export();
            tree.tentatively(|tree| {
                let _ = tree.charge(id, &changes(*delta));
                let _ = tree.move_under(id, up);
                tree.settle(id, &Wish::new());
            });
            assert_eq!(tree.export(), plain);
        }
    }
}

/// A commit: fits by the tree, by the formula, and by doing no harm, are one.
fn tried(at: usize, delta: &Amounts, purpose: Purpose, tree: &mut QuotaTree, oracle: &mut Oracle) {
    let before = oracle.clone();
    let id = tree.node(&name(at)).unwrap();
    let mut fits = true;
    for (key, added) in delta.iter().filter(|(_, added)| **added > 0) {
        let one = Amounts::from([(key.clone(), *added)]);
        let harmless = Oracle::harmless(&before, &before.charged(at, &one), key, purpose);
        assert_eq!(
            harmless,
            *added <= before.avail(at, key, purpose),
            "the formula"
        );
        fits &= harmless;
    }
    assert_eq!(tree.fits(id, delta, purpose).is_ok(), fits);
    match tree.try_charge(id, delta, purpose) {
        Ok(Ok(())) => {
            *oracle = before.charged(at, delta);
            never_grows(&before, oracle);
        }
        Ok(Err(shortfall)) => {
            let left = before.avail(at, &shortfall.key, purpose).max(0);
            assert_eq!(shortfall.available, left);
            assert!(shortfall.needed > left);
        }
        Err(_) => {
            let after = before.charged(at, delta);
            assert!(after.tenants[at].own.values().any(|own| *own < 0));
        }
    }
}

fn settled(at: usize, wish: &Wish, tree: &mut QuotaTree, oracle: &mut Oracle) {
    let before = oracle.clone();
    let settled = tree.settle(tree.node(&name(at)).unwrap(), wish);
    // A root has nobody to ask.
    let pending = if oracle.tenants[at].parent.is_none() {
        oracle.tenants[at].lines = wish.clone();
        Amounts::new()
    } else {
        oracle.settle(at, wish)
    };
    for one in settled {
        assert_eq!(one.pending, pending.get(&one.key).copied().unwrap_or(0));
    }
    never_grows(&before, oracle);
}

/// A move, judged by the oracle: without the node, then with its charge, then with guarantees.
fn moved(at: usize, parent: Option<usize>, tree: &mut QuotaTree, oracle: &mut Oracle) {
    let id = tree.node(&name(at)).unwrap();
    let up = parent.and_then(|parent| tree.node(&name(parent)));
    if parent == oracle.tenants[at].parent {
        assert_eq!(tree.move_under(id, up), Ok(()));
        return;
    }
    if parent.is_some_and(|parent| oracle.is_below(parent, at)) {
        assert!(matches!(
            tree.move_under(id, up),
            Err(MoveError::Cycle { .. })
        ));
        return;
    }
    let wish: Wish = KEYS
        .iter()
        .map(|name| {
            let figures = tree.figures(id, &key(name));
            let guaranteed = figures.line.guaranteed + figures.pending;
            (
                key(name),
                Line {
                    guaranteed,
                    ..figures.line
                },
            )
        })
        .collect();
    let mut away = oracle.clone();
    away.tenants[at].parent = None;
    let mut there = away.clone();
    there.tenants[at].parent = parent;
    for line in there.tenants[at].lines.values_mut() {
        line.guaranteed = 0;
    }
    let fits = parent.is_none()
        || KEYS.iter().all(|resource| {
            let key = key(resource);
            (0..there.tenants.len())
                .filter(|other| *other != at)
                .all(|other| {
                    let charge = there.charge(other, &key);
                    charge <= away.charge(other, &key)
                        || charge <= there.most(other, &key, Purpose::Ordinary)
                })
        });
    assert_eq!(tree.move_under(id, up).is_ok(), fits);
    if !fits {
        return;
    }
    *oracle = there;
    if parent.is_some() {
        oracle.settle(at, &wish);
    } else {
        oracle.tenants[at].lines = wish;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_its_oracle_after_any_history(
        (start, history) in forests().prop_flat_map(|forest| {
            let nodes = forest.tenants.len();
            (Just(forest), steps(nodes))
        })
    ) {
        let mut oracle = start;
        let mut tree = built(&plain(&oracle));
        same(&tree, &oracle);
        for step in &history {
            take(step, &mut tree, &mut oracle);
            same(&tree, &oracle);
        }
        let again = built(&tree.export());
        same(&again, &oracle);
        let copy = tree.clone();
        same(&copy, &oracle);
    }

    #[test]
    fn rebuilding_makes_no_excess_beyond_the_charges(forest in forests()) {
        let rebuilt = QuotaTree::rebuild(&plain(&forest));
        let mut bare = forest.clone();
        for tenant in &mut bare.tenants {
            for line in tenant.lines.values_mut() {
                line.guaranteed = 0;
            }
        }
        let mut after = forest.clone();
        for one in &rebuilt.settled {
            let at = (0..forest.tenants.len()).find(|at| name(*at) == one.node).unwrap();
            let wished = forest.line(at, &one.key).guaranteed;
            prop_assert_eq!(one.effective.guaranteed + one.pending, wished);
            after.tenants[at].lines.insert(one.key.clone(), one.effective);
        }
        never_grows(&bare, &after);
        same(&rebuilt.tree, &after);
        let shuffled: Vec<QuotaNode> = plain(&forest).into_iter().rev().collect();
        prop_assert_eq!(QuotaTree::rebuild(&shuffled).tree.export(), rebuilt.tree.export());
    }
}
