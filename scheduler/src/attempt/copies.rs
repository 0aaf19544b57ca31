//! All replicas on every member.

use super::{Attempt, Failure, Stop};
use crate::request::Division;
use crate::spread::Spread;

impl Attempt<'_, '_, '_> {
    /// All replicas of every component on each site that holds them.
    pub(super) fn duplicated(
        &mut self,
        sites: &[usize],
        spreads: &[(String, Spread)],
    ) -> Result<(), Stop> {
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
    fn thin_out(
        &mut self,
        turn: &[usize],
        full: &[usize],
        spreads: &[(String, Spread)],
    ) -> Result<(), Stop> {
        let mut kept = full.to_vec();
        for (_, spread) in spreads {
            let group = |site: usize| spread.group_of.get(site).copied().flatten();
            let mut groups: Vec<usize> = Vec::new();
            for found in kept.iter().filter_map(|site| group(*site)) {
                if !groups.contains(&found) {
                    groups.push(found);
                }
            }
            let most = spread.max_groups.and_then(|max| usize::try_from(max).ok());
            groups.truncate(most.unwrap_or(usize::MAX));
            kept.retain(|site| group(*site).is_some_and(|group| groups.contains(&group)));
            while let Some(fullest) = self.too_full(turn, &kept, spread) {
                let last = kept.iter().rposition(|site| group(*site) == Some(fullest));
                let Some(last) = last else { break };
                kept.remove(last);
            }
        }
        for (key, spread) in spreads {
            let groups = self.groups(turn, &kept, spread);
            if groups < spread.min_groups || self.too_full(turn, &kept, spread).is_some() {
                let part = turn.first().and_then(|index| self.part(*index));
                let failure = Failure::Spread {
                    key: key.clone(),
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

    /// How many groups have a copy.
    fn groups(&self, turn: &[usize], kept: &[usize], spread: &Spread) -> i64 {
        let used = |index: &usize| self.counts(*index, kept, spread).len();
        let fewest = turn.iter().map(used).min().unwrap_or(0);
        i64::try_from(fewest).unwrap_or(i64::MAX)
    }

    /// The fullest group, if it exceeds the emptiest by more than the skew.
    fn too_full(&self, turn: &[usize], kept: &[usize], spread: &Spread) -> Option<usize> {
        let skew = spread.max_skew?;
        turn.iter().find_map(|index| {
            let counts = self.counts(*index, kept, spread);
            let least = counts.iter().map(|(_, count)| *count).min()?;
            let (fullest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
            (most.saturating_sub(least) > skew).then_some(fullest)
        })
    }

    /// Replicas of a component per group in use.
    fn counts(&self, index: usize, kept: &[usize], spread: &Spread) -> Vec<(usize, i64)> {
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
        let counts = spread.counts(&shares).into_iter().enumerate();
        counts.filter(|(_, count)| *count > 0).collect()
    }
}
