//! What the federation is measured against: one flat cluster that knows everything, and a
//! federation that knows sums alone.

use std::cmp::Reverse;

use super::deal;
use super::node::Cluster;
use super::trace::{Gpu, Pod};

/// Millicores, MiB, and thousandths of devices.
type Sums = [i64; 3];

/// One best fit over all nodes; answers the pods that run, by their place in the trace.
pub(super) fn flat(cluster: &Cluster, pods: &[Pod]) -> Vec<usize> {
    let mut cluster = cluster.clone();
    let all: Vec<usize> = (0..cluster.nodes.len()).collect();
    let mut placed = Vec::new();
    for (place, pod) in pods.iter().enumerate() {
        let allowed = cluster.flavors.allowed(pod);
        if cluster.bind(&all, &allowed, pod).is_some() {
            placed.push(place);
        }
    }
    placed
}

/// A federation that knows of each member and flavor only what is free in all. A pod that its
/// member cannot bind stays pending there, and what it asks for stays taken: nobody looks again.
pub(super) fn naive(cluster: &Cluster, deal: &[usize], pods: &[Pod]) -> Vec<usize> {
    let mut cluster = cluster.clone();
    let homes = deal::homes(deal);
    let mut sums: Vec<Vec<Sums>> = homes.iter().map(|home| sums(&cluster, home)).collect();
    let mut placed = Vec::new();
    for (place, pod) in pods.iter().enumerate() {
        let allowed = cluster.flavors.allowed(pod);
        let Some((member, flavor)) = roomiest(&sums, &allowed, pod) else {
            continue;
        };
        let of = sums.get_mut(member).and_then(|of| of.get_mut(flavor));
        for (free, asked) in of.into_iter().flatten().zip(asked(pod)) {
            *free -= asked;
        }
        let home = homes.get(member).map_or(&[][..], Vec::as_slice);
        if cluster.bind(home, &[flavor], pod).is_some() {
            placed.push(place);
        }
    }
    placed
}

fn asked(pod: &Pod) -> Sums {
    [pod.cpu, pod.memory, pod.gpu.milli()]
}

/// What is free on a member's nodes, by flavor.
fn sums(cluster: &Cluster, home: &[usize]) -> Vec<Sums> {
    let mut sums = vec![[0; 3]; cluster.flavors.names().len()];
    for node in home.iter().filter_map(|node| cluster.nodes.get(*node)) {
        let free = [node.cpu, node.memory, node.devices.iter().sum()];
        let of = sums.get_mut(node.flavor).into_iter().flatten();
        for (sum, free) in of.zip(free) {
            *sum += free;
        }
    }
    sums
}

/// The member and the flavor into whose sums the pod goes most often, by the resource that is
/// scarcest there. One without devices goes by the order of flavors first.
fn roomiest(sums: &[Vec<Sums>], allowed: &[usize], pod: &Pod) -> Option<(usize, usize)> {
    let rated = |(member, of): (usize, &Vec<Sums>)| {
        let rate = |flavor: &usize| {
            let free = of.get(*flavor)?;
            let times = free.iter().zip(asked(pod)).filter(|(_, asked)| *asked > 0);
            let fits = times.map(|(free, asked)| free / asked).min();
            let fits = fits.unwrap_or(i64::MAX);
            let rank = if pod.gpu == Gpu::None { *flavor } else { 0 };
            (fits > 0).then_some((rank, Reverse(fits), member, *flavor))
        };
        allowed.iter().filter_map(rate).min()
    };
    let best = sums.iter().enumerate().filter_map(rated).min()?;
    let (_, _, member, flavor) = best;
    Some((member, flavor))
}
