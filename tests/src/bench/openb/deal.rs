//! How the nodes are dealt to members: by model, or by chance.

use super::node::Node;

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

/// Each node to a member that a die picks, so that a member has a bit of everything.
pub(super) fn by_chance(nodes: &[Node], seed: u64) -> Vec<usize> {
    let mut die = Die::new(seed);
    nodes.iter().map(|_| die.below(MEMBERS)).collect()
}

/// The nodes of each member.
pub(super) fn homes(deal: &[usize]) -> Vec<Vec<usize>> {
    let of = |member: usize| {
        let nodes = deal.iter().enumerate().filter(|(_, of)| **of == member);
        nodes.map(|(node, _)| node).collect()
    };
    (0..MEMBERS).map(of).collect()
}

/// The generator splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// 2014): a counter that steps by the golden ratio, each step mixed. A few lines give the same deal
/// for a seed on every machine and for all time, which no library promises.
pub(super) struct Die(u64);

impl Die {
    /// The die of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn cast(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. Small bounds alone are asked for, so the remainder's bias is below
    /// anything a benchmark could show.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.cast() % bound).unwrap_or(0)
    }
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
    fn the_die_casts_what_is_published() {
        let mut die = Die::new(1_234_567);
        let cast: Vec<u64> = (0..3).map(|_| die.cast()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(cast, published);
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
