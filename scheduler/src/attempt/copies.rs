//! All replicas on every member.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attempt, Bound, Failure, Stop, outer_key};
use crate::request::Division;
use crate::spread::Spread;

impl Attempt<'_, '_, '_> {
    /// All replicas of every component on each site that holds them.
    pub(super) fn duplicated(&mut self, sites: &[usize], spreads: &[Bound]) -> Result<(), Stop> {
        let turn = self.in_turn(Division::Divided);
        let mut full: Vec<usize> = Vec::new();
        let mut short: Option<Failure> = None;
        let mut order = sites.to_vec();
        order.sort_by_key(|site| !self.case.has_any(*site));
        for site in order {
            let mut trial = self.clone();
            match turn
                .iter()
                .try_for_each(|index| trial.full_copy(*index, site))
            {
                Ok(()) => {
                    *self = trial;
                    full.push(site);
                }
                Err(Failure::Budget) => return Err(Failure::Budget.into()),
                Err(failure) => short = short.or(Some(failure)),
            }
        }
        if turn.is_empty() {
            return Ok(());
        }
        if full.is_empty() {
            return Err(short.unwrap_or(Failure::NoMember).into());
        }
        self.thin_out(&turn, &full, spreads)
    }

    fn full_copy(&mut self, index: usize, site: usize) -> Result<(), Failure> {
        let Some(part) = self.part(index) else {
            return Ok(());
        };
        let (_, hi) = self.case.bounds(part, site);
        let wanted = part.wanted.min(hi);
        let mut fits = 0;
        let mut affordable = true;
        for choice in self.case.choices(part, site) {
            let most = self.most_now(part, choice);
            // A member that gets nothing new keeps the copy that it has.
            let wanted = if choice.room == 0 {
                wanted.min(choice.credit)
            } else {
                wanted
            };
            fits = fits.max(most);
            if wanted > 0 && most >= wanted {
                if self.affords(part, site, choice, wanted) {
                    self.take(index, site, choice, wanted);
                    return Ok(());
                }
                affordable = false;
            }
        }
        if !affordable {
            return Err(Failure::Budget);
        }
        Err(Failure::Capacity {
            component: part.component.name.clone(),
            needed: wanted,
            fits,
        })
    }

    /// Drops copies until the spread constraints are kept, the least preferred first.
    fn thin_out(&mut self, turn: &[usize], full: &[usize], spreads: &[Bound]) -> Result<(), Stop> {
        let mut kept = full.to_vec();
        // Inside first: an outer group that cannot be used is then not counted. Of those that nest,
        // the outer stands before the inner.
        let (nested, plain): (Vec<&Spread>, Vec<&Spread>) = spreads
            .iter()
            .map(|bound| &bound.spread)
            .partition(|spread| spread.within.is_some());
        // What is dropped for one constraint can break another: until nothing is dropped.
        for _ in 0..=full.len() {
            let before = kept.len();
            for spread in nested.iter().rev().chain(&plain) {
                self.drop_groups(turn, &mut kept, spread);
                while let Some(fullest) = self.too_full(turn, &kept, spread) {
                    let in_it = |site: &usize| spread.group(*site) == Some(fullest);
                    let last = kept.iter().rposition(in_it);
                    let Some(last) = last else { break };
                    kept.remove(last);
                }
            }
            if kept.len() == before {
                break;
            }
        }
        for Bound { key, spread } in spreads {
            let groups = self.fewest_groups(turn, &kept, spread);
            if groups < spread.min_groups || self.too_full(turn, &kept, spread).is_some() {
                let part = turn.first().and_then(|index| self.part(*index));
                let failure = Failure::Spread {
                    key: key.clone(),
                    within: outer_key(spreads, spread),
                    component: part
                        .map(|part| part.component.name.clone())
                        .unwrap_or_default(),
                    groups,
                    replicas: part.map_or(0, |part| part.wanted),
                };
                return Err(failure.into());
            }
        }
        self.plan
            .picks
            .retain(|(index, site), _| !turn.contains(index) || kept.contains(site));
        Ok(())
    }

    /// Drops the copies in groups beyond the most of each outer group, those outside all groups,
    /// and all of an outer group that has too few.
    fn drop_groups(&self, turn: &[usize], kept: &mut Vec<usize>, spread: &Spread) {
        let most = spread.max_groups.and_then(|max| usize::try_from(max).ok());
        let most = most.unwrap_or(usize::MAX);
        let mut first: BTreeSet<usize> = BTreeSet::new();
        let mut taken: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        for group in kept.iter().filter_map(|site| spread.group(*site)) {
            let taken = taken.entry(spread.outer.get(group).copied()).or_default();
            if *taken < most && first.insert(group) {
                *taken = taken.saturating_add(1);
            }
        }
        kept.retain(|site| {
            spread
                .group(*site)
                .is_some_and(|group| first.contains(&group))
        });
        if spread.within.is_some() {
            let few: Vec<usize> = self
                .groups(turn, kept, spread)
                .into_iter()
                .filter(|(_, groups)| *groups < spread.min_groups)
                .map(|(outer, _)| outer)
                .collect();
            kept.retain(|site| {
                let group = spread.group(*site);
                let outer = group.and_then(|group| spread.outer.get(group).copied());
                outer.is_some_and(|outer| !few.contains(&outer))
            });
        }
    }

    /// The number of groups that have a copy, of the outer group with fewest; 0 when none has one.
    fn fewest_groups(&self, turn: &[usize], kept: &[usize], spread: &Spread) -> i64 {
        let groups = self.groups(turn, kept, spread);
        groups.into_values().min().unwrap_or(0)
    }

    /// For each outer group with copies, how many groups have one of the component with fewest.
    fn groups(&self, turn: &[usize], kept: &[usize], spread: &Spread) -> BTreeMap<usize, i64> {
        let mut fewest: BTreeMap<usize, i64> = BTreeMap::new();
        for index in turn {
            for (outer, counts) in self.counts(*index, kept, spread) {
                let groups = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                let known = fewest.entry(outer).or_insert(groups);
                *known = groups.min(*known);
            }
        }
        fewest
    }

    /// The fullest group of an outer group, if it exceeds the emptiest by more than the skew.
    fn too_full(&self, turn: &[usize], kept: &[usize], spread: &Spread) -> Option<usize> {
        let skew = spread.max_skew?;
        turn.iter().find_map(|index| {
            let counts = self.counts(*index, kept, spread);
            counts.into_values().find_map(|counts| {
                let least = counts.iter().map(|(_, count)| *count).min()?;
                let (fullest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
                (most.saturating_sub(least) > skew).then_some(fullest)
            })
        })
    }

    /// Replicas of a component per group in use, by outer group.
    fn counts(
        &self,
        index: usize,
        kept: &[usize],
        spread: &Spread,
    ) -> BTreeMap<usize, Vec<(usize, i64)>> {
        let mut shares = vec![0; spread.group_of.len()];
        for site in kept {
            let replicas = self
                .plan
                .picks
                .get(&(index, *site))
                .map_or(0, |pick| pick.replicas);
            if let Some(share) = shares.get_mut(*site) {
                *share = replicas;
            }
        }
        let counts = spread.counts(&shares).into_iter().zip(&spread.outer);
        let mut used: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
        for (group, (count, outer)) in counts.enumerate().filter(|(_, (count, _))| *count > 0) {
            used.entry(*outer).or_default().push((group, count));
        }
        used
    }
}
