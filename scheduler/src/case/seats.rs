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
    /// A component is known to find nodes there.
    pub(super) finds_nodes: bool,
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

/// No seat.
const NONE: u32 = u32::MAX;

/// Every member where the rules do not forbid the work, by name.
pub(crate) struct Seats {
    pub(super) all: Vec<Seat>,
    /// Of each member the number of its seat: in memory that decisions use one after the other, since
    /// it is found sooner from the policy than in what is remembered of it.
    pub(super) seat_of: Vec<u32>,
    /// What the rules say of every member.
    pub(crate) policy: Arc<Policy>,
}

impl Seats {
    /// The seats of a fleet of so many members.
    pub(super) fn new(
        policy: Arc<Policy>,
        members: usize,
        (mut all, mut seat_of): (Vec<Seat>, Vec<u32>),
    ) -> Self {
        seat_of.clear();
        seat_of.resize(members, NONE);
        for (open, seat) in policy.open.iter().zip(0..) {
            if let Some(place) = seat_of.get_mut(open.site()) {
                *place = seat;
            }
        }
        let open = policy.open.iter();
        let seats = open.map(|open| Seat {
            site: open.site(),
            codes: open.codes,
            tiers: open.tiers,
            has_any: false,
            finds_nodes: false,
            scores: Scores::default(),
        });
        all.clear();
        all.extend(seats);
        Self {
            all,
            seat_of,
            policy,
        }
    }

    /// The number of a site's seat.
    pub(crate) fn number(&self, site: usize) -> Option<usize> {
        let seat = self.seat_of.get(site).copied()?;
        usize::try_from(seat).ok().filter(|_| seat != NONE)
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
