//! Red lines: what may still be requested on a member, whatever its nodes have free.

use super::Fleet;
use crate::capacity::{Each, PLENTY, amount_of};
use crate::snapshot::RedLine;

/// What of one resource is left below a red line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The resource, as an id.
    pub(crate) resource: usize,
    /// How much is left; below 0 where the line is passed.
    pub(crate) amount: i64,
}

impl Left {
    /// How many replicas that request so much each stay below the line, when others have taken
    /// `taken` besides; many where they request none of it.
    fn holds(self, each: &Each, taken: i64) -> i64 {
        let left = self.amount.saturating_sub(taken).max(0);
        let needed = amount_of(each, self.resource).max(0);
        left.checked_div(needed).unwrap_or(PLENTY)
    }
}

impl RedLine {
    /// The most that may be requested; 0 while it is not known what there is.
    pub(crate) fn limit(&self) -> i64 {
        let all = i128::from(self.allocatable.unwrap_or(0).max(0));
        let limit = all * i128::from(self.percent) / 100;
        i64::try_from(limit).unwrap_or(i64::MAX)
    }
}

impl Fleet {
    /// What is left below the red lines of a site; nothing stands there for a member without any.
    pub(crate) fn lines(&self, site: usize) -> &[Left] {
        // Seldom has a member any: those without cost one comparison for the whole fleet.
        if self.lined == 0 {
            return &[];
        }
        self.lines.get(site).map_or(&[][..], Vec::as_slice)
    }

    /// Whether the member that a lot is of has a red line.
    pub(crate) fn has_lines(&self, lot: usize) -> bool {
        self.lined > 0 && !self.lines(self.site_of_lot(lot)).is_empty()
    }

    /// How many replicas the red lines of a site leave room for, when others have taken so much of a
    /// resource besides.
    pub(crate) fn below_lines(
        &self,
        site: usize,
        each: &Each,
        taken: impl Fn(usize) -> i64,
    ) -> i64 {
        let lines = self.lines(site).iter();
        let holds = lines.map(|left| left.holds(each, taken(left.resource)));
        holds.min().unwrap_or(PLENTY)
    }

    /// The line that leaves least room, with the resource's name.
    pub(crate) fn tightest_line(&self, site: usize, each: &Each) -> Option<(&str, Left)> {
        let lines = self.lines(site).iter();
        let left = lines.min_by_key(|left| left.holds(each, 0)).copied()?;
        Some((self.resource_name(left.resource), left))
    }

    /// Draws the red lines of a site: what its nodes have bound and what is in flight is taken.
    pub(super) fn draw_lines(&mut self, site: usize) {
        let Some(member) = self.sites.get(site).map(|of| &of.member) else {
            return;
        };
        let mut lines = Vec::new();
        // A resource that no node of the fleet has needs no line: nothing that asks for it fits.
        for (name, line) in &member.red_lines {
            if let Some(resource) = self.resources.get(name) {
                let amount = line.limit().saturating_sub(line.requested);
                let resource = *resource;
                lines.push(Left { resource, amount });
            }
        }
        if !lines.is_empty() {
            for flight in &member.in_flight {
                take(&mut lines, &self.each(&flight.per_replica), flight.replicas);
            }
        }
        if let Some(of) = self.lines.get_mut(site) {
            let (before, now) = (usize::from(!of.is_empty()), usize::from(!lines.is_empty()));
            self.lined = self.lined.saturating_sub(before).saturating_add(now);
            *of = lines;
        }
    }

    /// Replicas that a decision puts on a lot are below its member's lines no longer.
    pub(super) fn take_below_lines(&mut self, lot: usize, each: &Each, replicas: i64) {
        if self.lined > 0 {
            let site = self.site_of_lot(lot);
            if let Some(lines) = self.lines.get_mut(site) {
                take(lines, each, replicas);
            }
        }
    }
}

fn take(lines: &mut [Left], each: &Each, replicas: i64) {
    for left in lines {
        let taken = amount_of(each, left.resource).saturating_mul(replicas.max(0));
        left.amount = left.amount.saturating_sub(taken);
    }
}

#[cfg(test)]
mod tests;
