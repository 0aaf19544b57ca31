//! The platform's kinds: tenants, quotas, flavors, placements. Members are [`crate::members`]'.
//!
//! Each kind has at most one task under way. What was brought about is remembered, so that a
//! tenant that did not change costs no request.

mod requests;
mod settle;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use heyun_crds::{Flavor, Placement, Tenant};
use heyun_member::apply::{self, Guard};
use heyun_member::error::{Class, Classify};
use heyun_plan::preempt::Class as PriorityClass;
use heyun_scheduler::quota::Amounts;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, ResourceExt};
use tracing::warn;

use self::settle::Written;
use super::state::Later;
use super::{Ended, Operator};
use crate::leader::Term;
use crate::members::{Fleet, Report};
use crate::world::version;
use crate::{measure, shown, tenancy};

/// Requests of one task under way at once.
const AT_ONCE: usize = 16;
/// Least time between two writes of what is only shown: use, capacity, counts.
const SHOW_PAUSE: Duration = Duration::from_secs(1);
/// Least time between two such writes while decisions are being written.
const SHOW_PAUSE_BUSY: Duration = Duration::from_secs(10);
/// Least time between two times that all members' workers are told what changed.
const SYNC_PAUSE: Duration = Duration::from_millis(500);

/// What was brought about, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Applied {
    tenants: BTreeMap<String, tenancy::Plan>,
    tenants_running: bool,
    quotas_running: bool,
    /// What counts of a quota is being written.
    settling: bool,
    /// What counts is to be written once the chains under way have reserved by what counted before.
    waits: bool,
    shown_running: bool,
    requests_running: bool,
    /// When a grant begins or ends next.
    change_at: Option<Timestamp>,
    /// When what is only shown is looked at next.
    show_at: Option<Duration>,
    /// Tenants and quotas that could not be written.
    tenants_later: Later,
    quotas_later: Later,
    /// ResourceRequests whose status could not be written, as namespace/name.
    requests_later: Later,
    /// Quotas of which it is not known whether what counts was written, with the version that the
    /// write was made from: once another is seen, it is known.
    unsure: BTreeMap<String, u64>,
    /// From when the members' workers may be told again.
    sync_at: Duration,
    /// What the PriorityClasses said when Workloads were last looked at for their sake.
    classes: BTreeMap<String, PriorityClass>,
    /// When what is only shown was last written while much was under way.
    shown_at: Duration,
    /// What is charged to each tenant, as last shown.
    charges: BTreeMap<String, Amounts>,
}

impl Applied {
    /// Whether what counts of a quota is being written, may have been, or is about to be.
    pub(super) fn settles_quotas(&self) -> bool {
        self.settling || self.waits || !self.unsure.is_empty()
    }

    /// What this tenant should have changed: it is tried again at once.
    pub(super) fn try_tenant_again(&mut self, name: &str) {
        self.tenants_later.lift(name);
    }

    /// What failed in one term says nothing of the next, in which all is read anew.
    pub(super) fn forget_failures(&mut self) {
        self.tenants_later = Later::default();
        self.quotas_later = Later::default();
        self.requests_later = Later::default();
        self.unsure.clear();
        self.waits = false;
    }

    /// Whether the PriorityClasses say what they said; this is kept.
    pub(super) fn classes_are(&mut self, now: BTreeMap<String, PriorityClass>) -> bool {
        let before = std::mem::replace(&mut self.classes, now);
        before == self.classes
    }

    /// When the loop must look at the platform again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let show = self
            .show_at
            .filter(|_| !self.shown_running && !self.quotas_running);
        let tenants = self.tenants_later.next().filter(|_| !self.tenants_running);
        let quotas = self.quotas_later.next().filter(|_| !self.quotas_running);
        let requests = self.requests_later.next();
        let requests = requests.filter(|_| !self.requests_running);
        let all = [show, tenants, quotas, requests];
        all.into_iter().flatten().min()
    }
}

/// What a task did.
pub(super) enum Outcome {
    /// Tenants: what was brought about, and of the rest name, version and what stood in the way.
    Tenants {
        applied: Vec<tenancy::Plan>,
        tenants: Vec<Tenant>,
        failed: Vec<(String, u64, Class)>,
    },
    /// What became of Quotas.
    Quotas(Vec<Written>),
    /// What became of the status of ResourceRequests.
    Requests(Vec<requests::Written>),
    /// Flavors and Placements as they are now.
    Shown {
        flavors: Vec<Flavor>,
        placements: Vec<Placement>,
    },
}

impl Operator {
    /// Starts what the platform's kinds need.
    pub(super) fn advance_platform(&mut self, term: &Term) {
        let now = self.around.clock.monotonic();
        if !self.platform.tenants_running {
            let due = self.platform.tenants_later.take_due(now);
            let changed = std::mem::take(&mut self.dirty.tenants);
            if changed {
                self.dirty.quotas = true;
                self.dirty.requests = true;
                self.replant();
            }
            if changed || due {
                self.start_tenants();
            }
        }
        if self.fleet.next_due().is_some_and(|at| at <= now) {
            self.fleet.retry(&self.world);
        }
        if self.next_sync().is_some_and(|at| at <= now) {
            // It costs a pass over all Workloads and members, and sketches change all the time.
            self.platform.sync_at = now + SYNC_PAUSE;
            let members = std::mem::take(&mut self.dirty.members);
            self.dirty.flavors = false;
            self.fleet.sync(&self.world, term, &members);
            self.show_soon();
        }
        let showing = self.platform.show_at.is_some_and(|at| at <= now) && !self.shows_later(now);
        // Kept until no write of quotas is under way: what changed meanwhile is not lost.
        self.dirty.quotas |= showing;
        self.turn_calendar();
        self.settle_unsure();
        let waits = self.platform.waits && self.reserves();
        if !self.platform.quotas_running && !waits {
            self.dirty.quotas |= self.platform.quotas_later.take_due(now);
            if std::mem::take(&mut self.dirty.quotas) {
                self.start_quotas(term);
            }
        }
        self.advance_requests();
        if showing && !self.platform.shown_running {
            self.platform.show_at = None;
            self.start_shown();
        }
    }

    /// When the members' workers are told next what changed.
    pub(super) fn next_sync(&self) -> Option<Duration> {
        let wanted = !self.dirty.members.is_empty() || self.dirty.flavors;
        wanted.then_some(self.platform.sync_at)
    }

    /// Takes in what a member reported.
    pub(super) fn hear(&mut self, report: Report) {
        if self
            .fleet
            .hear(report, &mut self.world, &mut self.dirty.happened)
        {
            self.show_soon();
        }
        let unreachable = Fleet::unreachable(&self.world);
        if unreachable != self.unreachable {
            // What is known of the work on these members is old, or no longer is.
            let changed: Vec<&String> = unreachable
                .symmetric_difference(&self.unreachable)
                .collect();
            let works = self
                .world
                .works
                .iter()
                .filter(|(key, _)| changed.contains(&&key.member));
            self.candidates
                .extend(works.map(|(_, entry)| entry.workload.clone()));
            self.unreachable = unreachable;
        }
    }

    /// What is only shown is to be looked at soon.
    pub(super) fn show_soon(&mut self) {
        let at = self.around.clock.monotonic() + SHOW_PAUSE;
        self.platform.show_at.get_or_insert(at);
    }

    /// Whether what is only shown waits until less is under way: amounts that change again at once.
    fn shows_later(&mut self, now: Duration) -> bool {
        let due = self.platform.shown_at + SHOW_PAUSE_BUSY;
        if self.assumed.is_empty() || due <= now {
            self.platform.shown_at = now;
            return false;
        }
        self.platform.show_at = Some(due.min(now + SHOW_PAUSE));
        true
    }

    fn start_tenants(&mut self) {
        let now = Time(self.around.clock.now());
        let wanted: Vec<(Tenant, tenancy::Plan)> = self
            .world
            .tenants
            .values()
            .filter_map(|tenant| {
                let node = self.world.tree.get(&tenant.name_any())?;
                let plan = tenancy::plan(&self.world.tree, tenant, node, &now);
                let at = version(&tenant.metadata);
                let waits = self.platform.tenants_later.waits(&plan.tenant, at);
                (!waits && self.platform.tenants.get(&plan.tenant) != Some(&plan))
                    .then(|| (tenant.clone(), plan))
            })
            .collect();
        self.platform
            .tenants
            .retain(|name, _| self.world.tree.get(name).is_some());
        let tree = &self.world.tree;
        self.platform
            .tenants_later
            .retain(|name| tree.get(name).is_some());
        if wanted.is_empty() {
            return;
        }
        self.platform.tenants_running = true;
        let client = self.around.client.clone();
        self.running.spawn(async move {
            let results: Vec<_> = stream::iter(wanted)
                .map(|(tenant, plan)| {
                    let client = client.clone();
                    async move {
                        let result = tenancy::apply(&client, &tenant, &plan).await;
                        (plan, version(&tenant.metadata), result)
                    }
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            let mut applied = Vec::new();
            let mut tenants = Vec::new();
            let mut failed = Vec::new();
            for (plan, at, result) in results {
                match result {
                    Ok(tenant) => {
                        tenants.extend(tenant);
                        applied.push(plan);
                    }
                    Err(error) => {
                        warn!(tenant = plan.tenant, %error, "a tenant was not brought about");
                        failed.push((plan.tenant, at, error.class()));
                    }
                }
            }
            Ended::Platform(Box::new(Outcome::Tenants {
                applied,
                tenants,
                failed,
            }))
        });
    }

    fn start_shown(&mut self) {
        measure::world(&self.around.metrics, &self.world);
        measure::queue(
            &self.around.metrics,
            measure::Sizes {
                active: self.candidates.len() + self.assumed.len(),
                backoff: self.retries.len(),
                unschedulable: self.unplaced.len(),
            },
            self.verdicts.reasons(self.unplaced.keys()),
        );
        let now = Time(self.around.clock.now());
        let flavors = shown::flavors(&self.world, &now);
        let placements = shown::placements(&self.world, &now);
        if flavors.is_empty() && placements.is_empty() {
            return;
        }
        self.platform.shown_running = true;
        let client = self.around.client.clone();
        self.running.spawn(async move {
            let mut outcome = (Vec::new(), Vec::new());
            let api: Api<Flavor> = Api::all(client.clone());
            for (object, status) in flavors {
                let before = object.status.as_ref();
                match apply::patch_status(&api, &object, before, &status, Guard::Uid).await {
                    Ok(written) => outcome.0.extend(written),
                    Err(error) => warn!(flavor = object.name_any(), %error, "status not written"),
                }
            }
            for (object, status) in placements {
                let namespace = object.namespace().unwrap_or_default();
                let api: Api<Placement> = Api::namespaced(client.clone(), &namespace);
                let before = object.status.as_ref();
                match apply::patch_status(&api, &object, before, &status, Guard::Uid).await {
                    Ok(written) => outcome.1.extend(written),
                    Err(error) => {
                        warn!(placement = object.name_any(), %error, "status not written");
                    }
                }
            }
            let (flavors, placements) = outcome;
            Ended::Platform(Box::new(Outcome::Shown {
                flavors,
                placements,
            }))
        });
    }

    /// Takes in what a task did.
    pub(super) fn finish_platform(&mut self, outcome: Outcome) {
        let now = self.around.clock.monotonic();
        match outcome {
            Outcome::Tenants {
                applied,
                tenants,
                failed,
            } => {
                self.platform.tenants_running = false;
                for plan in applied {
                    self.platform.tenants_later.succeeded(&plan.tenant);
                    self.platform.tenants.insert(plan.tenant.clone(), plan);
                }
                for (name, at, class) in failed {
                    self.platform.tenants_later.failed(&name, at, class, now);
                }
                for tenant in tenants {
                    self.world.tenants.put(tenant);
                }
            }
            Outcome::Quotas(written) => {
                self.platform.quotas_running = false;
                self.platform.settling = false;
                for written in written {
                    self.finish_quota(written, now);
                }
            }
            Outcome::Requests(written) => self.finish_requests(written, now),
            Outcome::Shown {
                flavors,
                placements,
            } => {
                self.platform.shown_running = false;
                for flavor in flavors {
                    self.world.flavors.put(flavor);
                }
                for placement in placements {
                    self.world.placements.put(placement);
                }
            }
        }
    }
}
