//! How the nodes are dealt to members: by model, or by chance.

use super::node::Node;
use crate::bench::random::Random;

/// How many members there are.
pub(super) const MEMBERS: usize = 12;

/// Nodes sorted by flavor and cut into equal runs, so that a member has one kind or two.
pub(super) fn by_model(nodes: &[Node]) -> Vec<usize> {
    let mut order: Vec<(usize, usize)> = nodes.iter().map(|node| node.flavor).zip(0..).collect();
    order.sort_unstable();
    let mut dealt: Vec<(usize, usize)> = order
        .into_iter()
        .enumerate()
        .map(|(rank, (_, place))| (place, rank * MEMBERS / nodes.len()))
        .collect();
    dealt.sort_unstable();
    dealt.into_iter().map(|(_, member)| member).collect()
}

/// Each node to a member that chance picks, so that a member has a bit of everything.
pub(super) fn by_chance(nodes: &[Node], seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    nodes.iter().map(|_| random.index(MEMBERS)).collect()
}

/// The nodes of each member.
pub(super) fn homes(deal: &[usize]) -> Vec<Vec<usize>> {
    let of = |member: usize| {
        let nodes = deal.iter().enumerate().filter(|(_, of)| **of == member);
        nodes.map(|(node, _)| node).collect()
    };
    (0..MEMBERS).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(flavors: &[usize]) -> Vec<Node> {
        let node = |flavor: &usize| Node {
            flavor: *flavor,
            cpu: 1,
            memory: 1,
            devices: Vec::new(),
        };
        flavors.iter().map(node).collect()
    }

    #[test]
    fn by_model_a_member_has_nodes_that_are_alike() {
        let mixed: Vec<usize> = (0..24).map(|place| place % 2).collect();
        let deal = by_model(&nodes(&mixed));
        assert_eq!(deal[..6], [0, 6, 0, 6, 1, 7]);
        for home in homes(&deal) {
            let flavors: Vec<usize> = home.iter().map(|node| mixed[*node]).collect();
            assert_eq!(flavors.len(), 2);
            assert_eq!(flavors[0], flavors[1]);
        }
    }

    #[test]
    fn by_chance_a_seed_decides() {
        let nodes = nodes(&[0; 100]);
        let deal = by_chance(&nodes, 1);
        assert_eq!(deal, by_chance(&nodes, 1));
        assert_ne!(deal, by_chance(&nodes, 2));
        assert!(deal.iter().all(|member| *member < MEMBERS));
        let homes = homes(&deal);
        assert_eq!(homes.iter().map(Vec::len).sum::<usize>(), 100);
    }
}
