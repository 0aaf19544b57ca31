//! Who is woken: what one that waits waits for, what happens, and the one function that matches the
//! two. Nobody is looked at again for anything else.
//!
//! ```text
//! request + verdict ──► Wait   kinds of events · members and flavors that could take it ·
//!                              the tenant whose number binds · what others may have to give up
//! what changed      ──► Event  of one kind, and where it happened
//!
//! wakes(Wait, Event): the kind is one of those, and it happened where it can help
//! ```
//!
//! It is sound: after whatever happens, who would be placed now is woken. A scope is left out where
//! it is not known or too large to keep, never guessed: without it anything of the kind wakes. Three
//! reasons make the scopes that are kept sound:
//!
//! - A member that the rules close to a workload opens by an event of another kind alone (the member,
//!   a tenant, a flavor or the workload changes), and these have no scope. Until then what happens to
//!   its nodes cannot help.
//! - Where quota is what stops a workload that has no choice of flavor, each way to place it is charged
//!   the same. A number is what is left below one tenant on its path: it grows by a release or a change
//!   at that tenant or below it, and by nothing else.
//! - Of several things in the way all must end, so it is enough to wait for any one of them.

mod event;
mod pool;
mod words;

#[cfg(test)]
mod counts;
#[cfg(test)]
mod properties;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::preempt::is_short;
use crate::quota::{Key, Limit, Shortfall};
use crate::request::{Division, DivisionKind, Request, Surge};
use crate::verdict::{EventKind, Kinds, Verdict, WorkloadReason};

pub use event::{Event, differing, of_member};
pub use pool::Pool;

/// The most members that are named in a scope; with more any member counts.
pub(crate) const MEMBERS_MAX: usize = 64;

/// What one that waits is woken by.
///
/// Small, since there is one for each that waits: what many have in common they share ([`Pool`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    kinds: Kinds,
    emergency: bool,
    priority: i32,
    /// Its tenant.
    tenant: Arc<str>,
    /// The highest tenant above it but for the root: what is released there may entitle it to take
    /// back what it lent.
    branch: Arc<str>,
    /// Whose number of what stops it; none where it waits for a place.
    bound: Option<Arc<Bound>>,
    scope: Arc<Scope>,
}

/// Whose number of what stops a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    tenant: String,
    key: Key,
    limit: Limit,
}

/// Where what happens to capacity can help.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// Members that the rules leave open; `None`: any.
    members: Option<BTreeSet<String>>,
    /// Flavors that may be taken; `None`: any.
    flavors: Option<BTreeSet<String>>,
}

/// What is known of a request besides what it says.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// It holds something: where it goes decides how much more it is charged.
    pub holds: bool,
    /// The members that the rules leave open to it; `None`: not known, or too many.
    pub open: Option<BTreeSet<String>>,
    /// The highest tenant above its own but for the root, or its own where that is right below the
    /// root; none where it is the root, or not known.
    pub branch: Option<String>,
}

impl Wait {
    /// What wakes a workload with this verdict; of one for which others make room, the verdict as it
    /// was before that was found.
    pub fn of(request: &Request, verdict: &Verdict, about: About, pool: &mut Pool) -> Self {
        let reason = verdict.outcome.reason();
        let shortfall = match reason {
            Some(WorkloadReason::QuotaExceeded(of) | WorkloadReason::Oversubscribed(of)) => {
                Some(of)
            }
            _ => None,
        };
        let fixed = is_charged_the_same(request, &about);
        let mut kinds = verdict.kinds();
        if shortfall.is_some() && !fixed {
            kinds = kinds.and(of_places(verdict));
        }
        if !is_monotone(request) && reason.is_some_and(|of| of.is_of_places() || !fixed) {
            kinds = kinds.with(EventKind::CapacityTaken);
            if !request.placement.neighbours.is_empty() {
                kinds = kinds.with(EventKind::NeighbourChanged);
            }
        }
        if request.preempts && is_short(verdict) {
            kinds = kinds.with(EventKind::ClaimChanged);
        }
        // The root is everyone's; below it the first branch is its own.
        let branch = about.branch.as_deref().unwrap_or(&request.tenant);
        Self {
            kinds,
            emergency: request.emergency,
            priority: request.priority,
            tenant: pool.name(&request.tenant),
            branch: pool.name(branch),
            bound: shortfall.filter(|_| fixed).map(|of| pool.bound(bound(of))),
            scope: pool.scope(Scope {
                members: about.open,
                flavors: flavors(request),
            }),
        }
    }

    /// The kinds of events that can wake it.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Whether this wakes it.
    pub fn is_woken_by(&self, event: &Event) -> bool {
        let Some(kind) = event.kind() else {
            return true;
        };
        self.kinds.has(kind)
            && match event {
                Event::MemberReady { member } => self.scope.takes(Some(member), None),
                Event::SketchChanged { member, flavor }
                | Event::CapacityFreed { member, flavor }
                | Event::CapacityTaken { member, flavor } => {
                    self.scope.takes(Some(member), flavor.as_deref())
                }
                Event::QuotaReleased { tenants, key } => self.is_let_in_by(tenants, key),
                Event::QuotaChanged { tenants } => self.asks_quota_of(tenants),
                Event::NeighbourChanged { tenant } => {
                    tenant.as_ref().is_none_or(|of| **of == *self.tenant)
                }
                Event::Stands {
                    tenants,
                    priority,
                    borrows,
                } => self.may_ask(tenants, *priority, *borrows),
                Event::Entitled { tenants } => {
                    self.bound.is_none() && is_below(tenants, &self.branch)
                }
                Event::Anything
                | Event::MemberChanged { .. }
                | Event::TenantChanged
                | Event::FlavorChanged => true,
            }
    }

    /// Whether what is released of `key` at the first of these tenants, which the others are above, can
    /// let it in.
    fn is_let_in_by(&self, tenants: &[String], key: &Key) -> bool {
        match &self.bound {
            Some(bound) => *key == bound.key && is_below(tenants, &bound.tenant),
            None => self.scope.takes(None, Some(&key.flavor)),
        }
    }

    /// Whether the quota of the first of these tenants is one that can let it in. One that waits for a
    /// place asks its own tenant's alone: it says which flavors may be taken where nothing else does.
    fn asks_quota_of(&self, tenants: &[String]) -> bool {
        match &self.bound {
            Some(bound) => is_below(tenants, &bound.tenant),
            None if self.kinds.has(EventKind::QuotaReleased) => true,
            None if !self.kinds.has(EventKind::CapacityFreed) => true,
            None => tenants.first().is_none_or(|of| **of == *self.tenant),
        }
    }

    /// Whether it may have one of this tenant, which the others are above, make room.
    fn may_ask(&self, tenants: &[String], priority: i32, borrows: bool) -> bool {
        let bound = self.bound.as_ref();
        let helps = bound.is_none_or(|of| is_below(tenants, &of.tenant));
        let own = tenants.first().is_none_or(|of| **of == *self.tenant);
        let lower = priority < self.priority;
        helps && (borrows || lower && (own || self.emergency))
    }
}

/// Whether the first of these tenants is this one or below it, or it is not known which it is.
fn is_below(tenants: &[String], above: &str) -> bool {
    tenants.is_empty() || tenants.iter().any(|of| of == above)
}

impl Scope {
    fn takes(&self, member: Option<&str>, flavor: Option<&str>) -> bool {
        let has = |all: &Option<BTreeSet<String>>, one: Option<&str>| match (all, one) {
            (Some(all), Some(one)) => all.contains(one),
            _ => true,
        };
        has(&self.members, member) && has(&self.flavors, flavor)
    }
}

fn bound(of: &Shortfall) -> Bound {
    Bound {
        tenant: of.binding.node.clone(),
        key: of.key.clone(),
        limit: of.binding.limit,
    }
}

/// What can make a place for it, and end a refusal of some member.
fn of_places(verdict: &Verdict) -> Kinds {
    let places = crate::verdict::PLACES.iter().copied();
    Kinds::of(places).and(verdict.refusing())
}

/// The flavors that it may take; `None`: any. An architecture or a guardrail can narrow them.
fn flavors(request: &Request) -> Option<BTreeSet<String>> {
    let named = &request.placement.flavors;
    (!named.is_empty()).then(|| named.iter().cloned().collect())
}

/// Whether each way to place it is charged the same: it takes one flavor, holds nothing, and the pods
/// that are charged do not depend on how it is divided.
fn is_charged_the_same(request: &Request, about: &About) -> bool {
    let placement = &request.placement;
    let each = |of: &crate::request::Component| {
        of.division != Division::EveryMatchingNode
            && (of.surge == Surge::Absolute(0) || of.division == Division::OneMember)
    };
    placement.flavors.len() == 1
        && placement.division.kind != DivisionKind::Duplicated
        && !about.holds
        && request.previous.is_empty()
        && request.components.iter().all(each)
}

/// Whether room that is taken never helps it: where there was no way there is none with less. Of what
/// several components, several constraints, or copies on each member are given, no search tries all.
fn is_monotone(request: &Request) -> bool {
    let placement = &request.placement;
    let with_pods = request.components.iter().filter(|of| of.runs_pods());
    let every = |of: &crate::request::Component| of.division == Division::EveryMatchingNode;
    placement.division.kind != DivisionKind::Duplicated
        && placement.division.min_per_member.is_none()
        && request.components.iter().all(|of| of.bounds.is_empty())
        && placement.spread.len() <= 1
        && with_pods.count() <= 1
        && !request.components.iter().any(every)
}
