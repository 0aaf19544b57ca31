//! What a verdict tells of members: all of them in a small fleet, else counts of all, the chosen and
//! the nearest of the rest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::answer::blank;
use crate::attempt::Plan;
use crate::case::{Case, Seat};
use crate::config::Explained;
use crate::fleet::policy::tiers;
use crate::verdict::{MemberState, MemberVerdict, Outcome, Verdict};

/// How many members besides the chosen ones are told of.
pub(super) fn shown(members: usize, explained: Explained) -> usize {
    if members <= explained.whole_up_to {
        members
    } else {
        explained.nearest
    }
}

/// The verdict with what it tells of members.
pub(super) fn told(
    case: &Case<'_, '_>,
    plan: Option<&Plan>,
    explained: Explained,
    outcome: Outcome,
) -> Verdict {
    let mut chosen: BTreeMap<usize, BTreeMap<String, i64>> = BTreeMap::new();
    if let Some(plan) = plan {
        for ((index, site), pick) in &plan.picks {
            if let Some(part) = case.parts.get(*index) {
                let of = chosen.entry(*site).or_default();
                of.insert(part.component.name.clone(), pick.replicas);
            }
        }
        for site in &plan.carried {
            chosen.entry(*site).or_default();
        }
    }
    let barred = |site: &&usize| case.seat(**site).is_none_or(Seat::barred);
    let free = case.seats.iter().filter(|seat| !seat.barred()).count();
    let feasible = free + chosen.keys().filter(barred).count();
    let mut sites: BTreeSet<usize> = nearest(case, &chosen, explained);
    sites.extend(chosen.keys());
    let members = sites
        .into_iter()
        .map(|site| member(case, site, chosen.remove(&site)))
        .collect();
    Verdict {
        evaluated: u32::try_from(case.fleet.sites.len()).unwrap_or(u32::MAX),
        feasible: u32::try_from(feasible).unwrap_or(u32::MAX),
        refused: refused(case),
        members,
        ..blank(case.request, case.weights, outcome)
    }
}

/// How many members each code refuses.
pub(super) fn refused(case: &Case<'_, '_>) -> BTreeMap<String, u32> {
    let mut counts = case.seats.policy.closed;
    for seat in case.seats.iter().filter(|seat| seat.barred()) {
        counts.add(seat.codes);
    }
    let mut refused = BTreeMap::new();
    for (code, count) in counts.iter() {
        // Two codes can have one name.
        *refused.entry(code.as_str().to_owned()).or_default() += count;
    }
    refused
}

/// The members that are not chosen and are told of: the feasible by score, then those that may be
/// well again by themselves, then those with the fewest refusals.
fn nearest(
    case: &Case<'_, '_>,
    chosen: &BTreeMap<usize, BTreeMap<String, i64>>,
    explained: Explained,
) -> BTreeSet<usize> {
    let all = case.fleet.sites.len();
    let wanted = shown(all, explained);
    if wanted >= all {
        return (0..all).collect();
    }
    // Those that stand open come in their order; only where they are too few are others looked at.
    let free = case.order.iter().copied();
    let free = free.filter(|site| {
        let open = case.seat(*site).is_some_and(|seat| !seat.barred());
        open && !chosen.contains_key(site)
    });
    let mut found: BTreeSet<usize> = free.take(wanted).collect();
    if found.len() < wanted {
        found.extend(barred(case, chosen, wanted.saturating_sub(found.len())));
    }
    if found.len() < wanted {
        let left = wanted.saturating_sub(found.len());
        found.extend(case.seats.policy.nearest_closed(left));
    }
    found
}

/// So many of the members that get nothing new though no rule forbids the work there.
fn barred(
    case: &Case<'_, '_>,
    chosen: &BTreeMap<usize, BTreeMap<String, i64>>,
    wanted: usize,
) -> impl Iterator<Item = usize> {
    let seats = case.seats.iter();
    let mut barred: Vec<_> = seats
        .filter(|seat| seat.barred() && !chosen.contains_key(&seat.site))
        .map(|seat| {
            let (codes, score) = (seat.codes, Reverse(seat.scores.total));
            (!codes.are_passing(), codes.len(), score, seat.site)
        })
        .collect();
    if barred.len() > wanted {
        barred.select_nth_unstable(wanted);
        barred.truncate(wanted);
    }
    barred.into_iter().map(|(.., site)| site)
}

fn member(
    case: &Case<'_, '_>,
    site: usize,
    chosen: Option<BTreeMap<String, i64>>,
) -> MemberVerdict {
    let seat = case.seat(site);
    let open = seat.is_some_and(|seat| !seat.barred());
    // What has no code has no reason.
    let refusals = if open {
        Vec::new()
    } else {
        case.refusals(site)
    };
    let state = match (&chosen, refusals.is_empty()) {
        (Some(_), _) => MemberState::Chosen,
        (None, true) => MemberState::Feasible,
        (None, false) => MemberState::Filtered,
    };
    let of = case.fleet.sites.get(site);
    let seat = seat.filter(|seat| !seat.expelled());
    let tiers = match (seat, of) {
        (Some(seat), _) => seat.tiers,
        (None, Some(of)) => tiers(of, &case.rules),
        (None, None) => 0,
    };
    let first = usize::try_from(tiers.trailing_zeros()).unwrap_or(usize::MAX);
    let term = case.request.placement.affinity.get(first);
    MemberVerdict {
        member: of.map_or("", |of| &*of.name).to_owned(),
        state,
        replicas: chosen.unwrap_or_default(),
        refusals,
        scores: seat
            .filter(|_| state != MemberState::Filtered)
            .map(|seat| seat.scores),
        tier: term.map(|term| term.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Explained};
    use crate::fixtures::{component, member, request, with, world};
    use crate::schedule;
    use crate::verdict::MemberState;

    #[test]
    fn a_large_fleet_is_told_in_counts_and_by_the_nearest() {
        let members = (0..40).map(|index| {
            let mut one = member(&format!("m{index:02}"), "arm", 1, 4);
            if index >= 5 {
                one.zone = "internet".to_owned();
            }
            one
        });
        let snapshot = with(world(), members);
        let mut app = request("app", vec![component("web", 3, 1000)]);
        app.placement.requirements.zone = Some("cegn-common".to_owned());
        let requests = [app];
        let config = Config {
            explained: Explained {
                whole_up_to: 10,
                nearest: 6,
            },
            ..Config::default()
        };
        let verdicts = schedule(&snapshot, &requests, &config);
        let broken = crate::check::check(&snapshot, &requests, &verdicts, &config);
        assert_eq!(broken, []);
        let verdict = &verdicts[0];
        assert_eq!((verdict.evaluated, verdict.feasible), (40, 5));
        assert_eq!(verdict.refused["Zone"], 35);
        let states: Vec<MemberState> = verdict.members.iter().map(|m| m.state).collect();
        let expected = [
            MemberState::Chosen,
            MemberState::Feasible,
            MemberState::Feasible,
            MemberState::Feasible,
            MemberState::Feasible,
            MemberState::Filtered,
            MemberState::Filtered,
        ];
        assert_eq!(states, expected);
        let whole = Config {
            explained: Explained::ALL,
            ..Config::default()
        };
        let all = schedule(&snapshot, &requests, &whole);
        assert_eq!(all[0].members.len(), 40);
        assert_eq!(all[0].outcome, verdict.outcome);

        // What was not told is taken from a later verdict, which may have chosen otherwise.
        let mut kept = verdict.clone();
        let mut later = all[0].clone();
        let last = later.members.last_mut().unwrap();
        last.state = MemberState::Chosen;
        last.replicas.insert("web".to_owned(), 3);
        assert!(!kept.tells_of_all());
        kept.complete(later);
        assert!(kept.tells_of_all());
        assert_eq!(kept.members.len(), 40);
        assert!(kept.members.is_sorted_by_key(|of| &of.member));
        let chosen = kept.members.iter();
        let chosen = chosen.filter(|of| of.state == MemberState::Chosen);
        assert_eq!(chosen.count(), 1);
    }
}
