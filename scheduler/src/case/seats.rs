//! The members on which one request may stand.

use std::sync::Arc;

use super::Part;
use crate::fleet::Fleet;
use crate::fleet::policy::Policy;
use crate::neighbours::Around;
use crate::request::Request;
use crate::verdict::{Codes, Scores};

/// A member as one request sees it, unless its rules forbid the work there.
pub(crate) struct Seat {
    /// The member, as an index into [`Fleet::sites`].
    pub(crate) site: usize,
    /// Everything that refuses it.
    pub(crate) codes: Codes,
    /// The affinity terms it belongs to, one bit each.
    pub(crate) tiers: u64,
    /// It has something of this workload.
    pub(crate) has_any: bool,
    /// Its scores.
    pub(crate) scores: Scores,
}

impl Seat {
    /// It gets nothing new.
    pub(crate) fn barred(&self) -> bool {
        !self.codes.is_empty()
    }

    /// It belongs to an affinity term, and may keep what it has.
    pub(crate) fn in_tier(&self, tier: usize) -> bool {
        !self.expelled() && self.tiers & (1 << tier) != 0
    }

    /// It may not even keep what it has.
    pub(crate) fn expelled(&self) -> bool {
        !self.codes.keep()
    }
}

/// Every member where the rules do not forbid the work, by name.
pub(crate) struct Seats {
    pub(super) all: Vec<Seat>,
    /// What the rules say of every member.
    pub(crate) policy: Arc<Policy>,
}

impl Seats {
    pub(super) fn new(policy: Arc<Policy>, mut all: Vec<Seat>) -> Self {
        let open = policy.open.iter();
        let seats = open.map(|open| Seat {
            site: open.site,
            codes: open.codes,
            tiers: open.tiers,
            has_any: false,
            scores: Scores::default(),
        });
        all.clear();
        all.extend(seats);
        Self { all, policy }
    }

    /// The number of a site's seat.
    pub(crate) fn number(&self, site: usize) -> Option<usize> {
        self.policy.seat_of(site)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Seat> {
        self.all.iter()
    }

    /// What the rules for other workloads say of each.
    pub(super) fn judge_around(&mut self, fleet: &Fleet, around: &Around<'_>) {
        if around.is_empty() {
            return;
        }
        for seat in &mut self.all {
            if let Some(site) = fleet.sites.get(seat.site) {
                around.judge(site, &mut seat.codes);
            }
        }
    }

    /// Marks those that have something of the workload.
    pub(super) fn mark_all(&mut self, fleet: &Fleet, request: &Request, parts: &[Part<'_>]) {
        let carried = request.previous_carried.iter();
        for site in carried.filter_map(|name| fleet.site(name)) {
            self.mark(site);
        }
        for site in parts.iter().flat_map(|part| part.previous.keys()) {
            self.mark(*site);
        }
    }

    fn mark(&mut self, site: usize) {
        let seat = self.number(site).and_then(|seat| self.all.get_mut(seat));
        if let Some(seat) = seat {
            seat.has_any = true;
        }
    }
}
