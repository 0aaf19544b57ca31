//! Components that run one replica on every node that matches.

use super::{Attempt, Failure, Stop};
use crate::capacity::roomy;
use crate::case::{Choice, Part};
use crate::request::DivisionKind;

impl<'a> Attempt<'_, '_, 'a> {
    /// Components that run on every node, on every site that is used.
    pub(super) fn on_every_node(&mut self, sites: &[usize]) -> Result<(), Stop> {
        let every: Vec<usize> = (0..self.case.parts.len())
            .filter(|index| self.part(*index).is_some_and(Part::on_every_node))
            .collect();
        if every.is_empty() {
            return Ok(());
        }
        let mut used = self.used();
        if used.is_empty() {
            let all = self.case.request.placement.division.kind == DivisionKind::Duplicated;
            let there = sites
                .iter()
                .copied()
                .filter(|site| self.case.has_any(*site));
            used = if all {
                sites.iter().copied().collect()
            } else {
                there.collect()
            };
            used.extend(sites.first().filter(|_| used.is_empty()));
        }
        for site in used {
            for index in &every {
                self.every_node(*index, site)?;
            }
        }
        Ok(())
    }

    fn every_node(&mut self, index: usize, site: usize) -> Result<(), Stop> {
        let Some(part) = self.part(index) else {
            return Ok(());
        };
        let mut unaffordable = false;
        for choice in self.case.choices(part, site) {
            let (nodes, fit) = self.nodes_now(part, choice);
            if nodes == 0 || nodes > choice.credit.saturating_add(fit) {
                continue;
            }
            if self.affords(part, site, choice, nodes) {
                self.take(index, site, choice, nodes);
                return Ok(());
            }
            unaffordable = true;
        }
        let matching = self
            .case
            .choices(part, site)
            .iter()
            .any(|choice| self.nodes_now(part, choice).0 > 0);
        if !matching && self.no_node(part, site) {
            return Ok(());
        }
        if unaffordable {
            Err(Failure::Budget.into())
        } else {
            Err(Stop::Banned(site))
        }
    }

    /// Whether no node of an allowed flavor matches a component: then it simply does not run there.
    fn no_node(&self, part: &Part<'a>, site: usize) -> bool {
        let fleet = self.case.fleet;
        let lots = self
            .case
            .rules
            .flavors
            .iter()
            .filter_map(|flavor| fleet.lot_of(site, *flavor));
        let Some(class) = self.case.class(part) else {
            return true;
        };
        let mut lots = lots;
        !lots.any(|lot| class.nodes(fleet, lot).next().is_some())
    }

    /// The nodes that match a component, and how many of them surely have room for one replica.
    fn nodes_now(&self, part: &Part<'a>, choice: &Choice) -> (i64, i64) {
        let (Some(lot), Some(class)) = (choice.lot, self.case.class(part)) else {
            return (0, 0);
        };
        let nodes = || class.nodes(self.case.fleet, lot);
        let count = nodes().fold(0_i64, |count, nodes| count.saturating_add(nodes.count));
        if choice.room == 0 {
            return (count, 0);
        }
        let flying = self
            .case
            .fleet
            .lots
            .get(lot)
            .into_iter()
            .flat_map(|lot| &lot.flying);
        let own = self
            .flown
            .iter()
            .filter(|(of, _)| *of == lot)
            .map(|(_, flying)| flying);
        let fit = roomy(nodes(), flying.chain(own), &part.each);
        (count, fit.min(self.below_lines(part, lot)))
    }
}
