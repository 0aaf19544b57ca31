//! The search for the fewest and least that make enough room.

use std::cmp::Reverse;

use crate::request::{Request, WorkloadKey};
use crate::verdict::Placed;

use super::ground::Ground;
use super::rights::{Candidate, allowed, candidates};
use super::{Claim, Victim};

/// The most candidates that are tried alone.
const ALONE: usize = 64;
/// The most that are tried by twos.
const PAIRED: usize = 16;
/// The most of a larger set of which each is tried whether it can stay.
const SPARED: usize = 128;

/// Who makes room for a request, and where it then stands; nobody where what is going is enough.
/// `None`: not even all that may be asked make enough.
pub(super) fn victims(ground: &mut Ground<'_>, request: &Request) -> Option<(Vec<Victim>, Placed)> {
    if let Some(placed) = ground.without(request, &[]) {
        return Some((Vec::new(), placed));
    }
    let all = candidates(ground, request);
    if all.is_empty() || ground.without(request, &keys(&all)).is_none() {
        return None;
    }
    let mut best: Option<(Vec<Candidate<'_>>, Placed)> = None;
    for order in orders(&all) {
        let some = allowed(ground, request, &order);
        if some.is_empty() || ground.without(request, &keys(&some)).is_none() {
            continue;
        }
        let first = enough(ground, request, &some);
        let least = spared(ground, request, first);
        if let Some(placed) = ground.without(request, &keys(&least)) {
            best = Some((least, placed));
            break;
        }
    }
    let found = best.as_ref().map_or(usize::MAX, |(some, _)| some.len());
    for fewer in smaller(&all, found) {
        let some = allowed(ground, request, &fewer);
        let is_less = |(known, _): &(Vec<_>, _)| cost(&some) < cost(known);
        if some.len() < fewer.len() || !best.as_ref().is_none_or(is_less) {
            continue;
        }
        let fewer = some;
        if let Some(placed) = ground.without(request, &keys(&fewer)) {
            best = Some((fewer, placed));
        }
    }
    let (best, placed) = best?;
    let mut victims: Vec<Victim> = best
        .iter()
        .map(|of| Victim {
            key: of.key.clone(),
            claim: of.claim,
        })
        .collect();
    victims.sort();
    Some((victims, placed))
}

fn keys<'s>(of: &[Candidate<'s>]) -> Vec<&'s WorkloadKey> {
    of.iter().map(|candidate| candidate.key).collect()
}

/// The shortest beginning of the list that is enough; the whole of it is.
fn enough<'s>(
    ground: &mut Ground<'_>,
    request: &Request,
    all: &[Candidate<'s>],
) -> Vec<Candidate<'s>> {
    let (mut too_few, mut enough) = (0_usize, all.len());
    while enough.saturating_sub(too_few) > 1 {
        let middle = too_few.midpoint(enough);
        let some = all.get(..middle).unwrap_or(all);
        if ground.without(request, &keys(some)).is_some() {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    all.get(..enough).unwrap_or(all).to_vec()
}

/// The same without those that it can do without, the dearest spared first.
fn spared<'s>(
    ground: &mut Ground<'_>,
    request: &Request,
    mut some: Vec<Candidate<'s>>,
) -> Vec<Candidate<'s>> {
    let mut at = some.len();
    let mut tries = 0;
    while let Some(place) = at
        .checked_sub(1)
        .filter(|_| tries < SPARED && some.len() > 1)
    {
        at = place;
        tries += 1;
        let mut fewer = some.clone();
        fewer.remove(place);
        if ground.without(request, &keys(&fewer)).is_some() {
            some = fewer;
        }
    }
    some
}

/// The orders in which candidates are asked: the one that costs least first; and where that is not
/// enough, because those used up what a tenant owes, the largest first, and then those first that may
/// be asked for nothing else.
fn orders<'s>(all: &[Candidate<'s>]) -> [Vec<Candidate<'s>>; 3] {
    let by = |order: fn(&Candidate<'s>) -> (Claim, bool, Reverse<i64>)| {
        let mut all = all.to_vec();
        all.sort_by_key(order);
        all
    };
    [
        all.to_vec(),
        by(|of| (of.claim, false, Reverse(of.size()))),
        by(|of| (of.claim, of.in_emergency, Reverse(of.size()))),
    ]
}

/// Sets of one, and of two where more were needed.
fn smaller<'s>(all: &[Candidate<'s>], found: usize) -> Vec<Vec<Candidate<'s>>> {
    let alone = all.iter().take(ALONE);
    let mut sets: Vec<Vec<Candidate<'s>>> = alone.map(|one| vec![*one]).collect();
    if found > 2 {
        let first: Vec<&Candidate<'s>> = all.iter().take(PAIRED).collect();
        for (place, one) in first.iter().enumerate() {
            let later = first.iter().skip(place.saturating_add(1));
            // The larger last: of what a tenant owes, the smaller leaves more.
            let by_size = |other: &&Candidate<'s>| {
                let mut pair = vec![**one, **other];
                pair.sort_by_key(Candidate::size);
                pair
            };
            sets.extend(later.map(by_size));
        }
    }
    sets
}

/// What a set costs: the strongest claim it needs, the highest priority that goes by it, how many go,
/// and how many of their replicas.
fn cost(some: &[Candidate<'_>]) -> (Option<Claim>, Option<i32>, usize, i64) {
    let strongest = some.iter().map(|of| of.claim).max();
    let by_rank = some.iter().filter(|of| of.claim != Claim::Borrowed);
    let highest = by_rank.map(|of| of.of.priority).max();
    let replicas = some.iter().map(Candidate::replicas);
    (
        strongest,
        highest,
        some.len(),
        replicas.fold(0, i64::saturating_add),
    )
}
