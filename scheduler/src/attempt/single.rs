//! Everything on one member: components that do not divide, and workloads that stay together.

use super::{Attempt, Bound, Failure, Plan, Stop, Terms};
use crate::case::Part;
use crate::request::Division;

impl Attempt<'_, '_, '_> {
    /// Places a component whole on one member: where it is, else the first that holds it.
    pub(super) fn one_member(&mut self, index: usize, sites: &[usize]) -> Result<(), Stop> {
        let Some(part) = self.part(index) else {
            return Ok(());
        };
        let mut order = self.by_preference(part, sites);
        self.only_where_data_is(part, &mut order)?;
        let mut most = 0;
        let mut affordable = true;
        for site in order {
            for choice in self.case.choices(part, site) {
                let fits = self
                    .most_now(part, choice)
                    .min(self.case.bounds(part, site).1);
                most = most.max(fits);
                if fits < part.wanted {
                    continue;
                }
                if self.affords(part, site, choice, part.wanted) {
                    self.take(index, site, choice, part.wanted);
                    return Ok(());
                }
                affordable = false;
            }
        }
        if !affordable {
            return Err(Failure::Budget.into());
        }
        let component = part.component.name.clone();
        Err(Failure::Capacity {
            component,
            needed: part.wanted,
            fits: most,
        }
        .into())
    }

    /// Leaves only the members that hold a component's data, if it has some that does not move.
    pub(super) fn only_where_data_is(
        &self,
        part: &Part<'_>,
        sites: &mut Vec<usize>,
    ) -> Result<(), Failure> {
        if !part.component.pinned_data || part.previous.is_empty() {
            return Ok(());
        }
        if let Some(away) = part.previous.keys().find(|site| !sites.contains(site)) {
            let member = self
                .case
                .fleet
                .sites
                .get(*away)
                .map_or("", |site| &*site.name)
                .to_owned();
            return Err(Failure::Pinned {
                component: part.component.name.clone(),
                member,
            });
        }
        sites.retain(|site| part.previous.contains_key(site));
        Ok(())
    }

    /// The whole workload on one member, when it is on no other: the best that holds it all.
    pub(super) fn together(&self, sites: &[usize], terms: &Terms<'_>) -> Option<Plan> {
        let mut there = self.case.previous_sites();
        if terms.returns {
            there.retain(|site| sites.contains(site));
        }
        let candidates = match there.as_slice() {
            [] => sites.to_vec(),
            [one] if sites.contains(one) => vec![*one],
            _ => return None,
        };
        candidates
            .into_iter()
            .find_map(|site| self.all_on(site, terms.spreads))
    }

    fn all_on(&self, site: usize, spreads: &[Bound]) -> Option<Plan> {
        let whole = |part: &Part<'_>| {
            let (lo, hi) = self.case.bounds(part, site);
            let divided = part.component.division == Division::Divided;
            part.wanted == 0
                || (self
                    .case
                    .choices(part, site)
                    .iter()
                    .any(|choice| choice.most() >= part.wanted)
                    && (!divided || (lo..=hi).contains(&part.wanted))
                    && (!divided || Self::one_site_spreads(site, part.wanted, spreads)))
        };
        if !self.case.parts.iter().all(whole) {
            return None;
        }
        let mut trial = self.clone();
        for index in self.in_turn(Division::OneMember) {
            trial.one_member(index, &[site]).ok()?;
        }
        for index in self.in_turn(Division::Divided) {
            trial.one_member(index, &[site]).ok()?;
        }
        trial.without_replicas(&[site]);
        trial.on_every_node(&[site]).ok()?;
        Some(trial.plan)
    }

    /// Whether the spread constraints allow all replicas on one member.
    fn one_site_spreads(site: usize, wanted: i64, spreads: &[Bound]) -> bool {
        let mut spreads = spreads.iter();
        spreads.all(|bound| bound.spread.kept_alone(site, wanted))
    }
}
