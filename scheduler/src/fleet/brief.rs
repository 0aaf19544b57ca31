//! What is read of every member so often that it lies close together.

use std::num::NonZeroU32;

use super::{Fleet, Site};
use crate::snapshot::TaintEffect;

/// What every decision looks at of a member.
#[derive(Clone, Copy, Default)]
pub(super) struct Brief {
    /// The set of node labels that its sketch tells apart; `None` without a sketch.
    key_set: Option<u32>,
    /// It has a taint that is not liked.
    soft: bool,
}

/// What every new policy looks at of a member.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// The first regions in which it stands, as numbers.
    regions: [Option<NonZeroU32>; NEAR],
    /// It stands in more regions than these.
    deep: bool,
    /// The number of its kind.
    kind: u32,
    /// The number of what it offers.
    offer: u32,
}

/// How many regions are found close together: a county, its prefecture, its province, the state, and
/// two that were not thought of.
const NEAR: usize = 6;

/// What every decision looks at of a lot.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    /// Another one whenever the lot is; 0: it has no nodes.
    pub(super) stamp: u32,
    /// The stamp that it has whenever nothing is in flight to its nodes; another one for other nodes.
    pub(super) idle: u32,
    /// The number of its list of prices.
    pub(super) prices: Option<u32>,
}

impl Brief {
    pub(super) fn of(site: &Site) -> Self {
        let mut taints = site.member.taints.iter();
        Self {
            key_set: site.key_set.and_then(|set| u32::try_from(set).ok()),
            soft: taints.any(|taint| taint.effect == TaintEffect::PreferNoSchedule),
        }
    }
}

impl Place {
    pub(super) fn of(site: &Site) -> Self {
        let mut regions = [None; NEAR];
        for (place, region) in regions.iter_mut().zip(&site.region_ids) {
            *place = Some(*region);
        }
        Self {
            regions,
            deep: site.region_ids.len() > NEAR,
            kind: u32::try_from(site.kind).unwrap_or(u32::MAX),
            offer: u32::try_from(site.offer).unwrap_or(u32::MAX),
        }
    }
}

impl Fleet {
    /// Whether a member stands in one of these regions.
    pub(crate) fn stands_in(&self, site: usize, regions: &[NonZeroU32]) -> bool {
        let Some(place) = self.places.get(site) else {
            return false;
        };
        if place.deep {
            let all = self.sites.get(site).map_or(&[][..], |of| &of.region_ids);
            return all.iter().any(|region| regions.contains(region));
        }
        let mut near = place.regions.iter().map_while(|region| *region);
        near.any(|region| regions.contains(&region))
    }

    /// The numbers of a member's kind and of what it offers.
    pub(crate) fn kind_and_offer(&self, site: usize) -> (usize, usize) {
        let wide = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let place = self.places.get(site).copied().unwrap_or_default();
        (wide(place.kind), wide(place.offer))
    }

    /// The number of the set of node labels that a member's sketch tells apart; `None` without a
    /// sketch.
    pub(crate) fn key_set(&self, site: usize) -> Option<usize> {
        let set = self.briefs.get(site)?.key_set?;
        usize::try_from(set).ok()
    }

    /// Whether a member has a taint that is not liked.
    pub(crate) fn is_disliked(&self, site: usize) -> bool {
        self.briefs.get(site).is_some_and(|brief| brief.soft)
    }
}
