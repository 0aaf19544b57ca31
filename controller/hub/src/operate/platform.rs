//! The platform's kinds: tenants, quotas, flavors, placements. Members are [`crate::members`]'.
//!
//! Each kind has at most one task under way. What was brought about is remembered, so that a
//! tenant that did not change costs no request.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use heyun_crds::quota::QuotaStatus;
use heyun_crds::{Flavor, Placement, Quota, Tenant};
use heyun_member::apply::{self, Guard};
use heyun_member::error::{Class, Classify};
use heyun_scheduler::quota::Amounts;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::{Ended, Operator};
use crate::leader::Term;
use crate::members::{Fleet, Report};
use crate::{measure, quotas, shown, tenancy};

/// Requests of one task under way at once.
const AT_ONCE: usize = 16;
/// Least time between two writes of what is only shown: use, capacity, counts.
const SHOW_PAUSE: Duration = Duration::from_secs(1);
/// When to try again what failed, beside its own class.
const RETRY: Duration = Duration::from_secs(1);

/// What was brought about, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Applied {
    tenants: BTreeMap<String, tenancy::Plan>,
    tenants_running: bool,
    quotas_running: bool,
    shown_running: bool,
    /// When what is only shown is looked at next.
    show_at: Option<Duration>,
    /// When to try again what failed.
    retry_at: Option<Duration>,
    /// What is charged to each tenant, as last shown.
    charges: BTreeMap<String, Amounts>,
}

impl Applied {
    /// When the loop must look at the platform again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let show = self
            .show_at
            .filter(|_| !self.shown_running && !self.quotas_running);
        [show, self.retry_at].into_iter().flatten().min()
    }
}

/// What a task did.
pub(super) enum Outcome {
    /// Tenants: what was brought about, and whether all was.
    Tenants {
        applied: Vec<tenancy::Plan>,
        tenants: Vec<Tenant>,
        complete: bool,
    },
    /// Quotas as they are now, and whether all were written.
    Quotas { written: Vec<Quota>, complete: bool },
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
        if self.platform.retry_at.is_some_and(|at| at <= now) {
            self.platform.retry_at = None;
            self.dirty.tenants = true;
            self.dirty.quotas = true;
        }
        if self.dirty.tenants && !self.platform.tenants_running {
            self.dirty.tenants = false;
            self.dirty.quotas = true;
            self.world.plant();
            self.holdings.touch_all();
            // A namespace may have come to belong to another tenant.
            self.candidates.extend(self.world.workloads.keys().cloned());
            self.start_tenants();
        }
        if self.fleet.next_due().is_some_and(|at| at <= now) {
            self.fleet.retry(&self.world);
        }
        let members = std::mem::take(&mut self.dirty.members);
        if !members.is_empty() || std::mem::take(&mut self.dirty.flavors) {
            self.fleet.sync(&self.world, term, &members);
            self.show_soon();
        }
        let showing = self.platform.show_at.is_some_and(|at| at <= now);
        // Kept until no write of quotas is under way: what changed meanwhile is not lost.
        self.dirty.quotas |= showing;
        if self.dirty.quotas && !self.platform.quotas_running {
            self.dirty.quotas = false;
            self.start_quotas(term);
        }
        if showing && !self.platform.shown_running {
            self.platform.show_at = None;
            self.start_shown();
        }
    }

    /// Takes in what a member reported.
    pub(super) fn hear(&mut self, report: Report) {
        if self.fleet.hear(report, &mut self.world) {
            self.dirty.unblock = true;
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

    fn start_tenants(&mut self) {
        let now = Time(self.around.clock.now());
        let wanted: Vec<(Tenant, tenancy::Plan)> = self
            .world
            .tenants
            .values()
            .filter_map(|tenant| {
                let node = self.world.tree.get(&tenant.name_any())?;
                let plan = tenancy::plan(tenant, node, &now);
                (self.platform.tenants.get(&plan.tenant) != Some(&plan))
                    .then(|| (tenant.clone(), plan))
            })
            .collect();
        self.platform
            .tenants
            .retain(|name, _| self.world.tree.get(name).is_some());
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
                        (plan, result)
                    }
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            let mut applied = Vec::new();
            let mut tenants = Vec::new();
            let mut complete = true;
            for (plan, result) in results {
                match result {
                    Ok(tenant) => {
                        tenants.extend(tenant);
                        applied.push(plan);
                    }
                    Err(error) => {
                        warn!(tenant = plan.tenant, %error, "a tenant was not brought about");
                        complete = false;
                    }
                }
            }
            Ended::Platform(Box::new(Outcome::Tenants {
                applied,
                tenants,
                complete,
            }))
        });
    }

    fn start_quotas(&mut self, term: &Term) {
        if !term.may_write() {
            return;
        }
        let charges = self.charges();
        let now = Time(self.around.clock.now());
        let all = self.world.quotas.map();
        let wanted = quotas::statuses(&self.world.tree, all, &charges, term.epoch, &now);
        self.platform.charges = charges;
        let writes: Vec<(Quota, QuotaStatus)> = wanted
            .into_iter()
            .filter_map(|(name, status)| {
                let quota = self.world.quotas.get(&name)?;
                (quota.status.as_ref() != Some(&status)).then(|| (quota.clone(), status))
            })
            .collect();
        if writes.is_empty() {
            return;
        }
        self.platform.quotas_running = true;
        let client = self.around.client.clone();
        self.running.spawn(async move {
            let results: Vec<_> = stream::iter(writes)
                .map(|(quota, status)| write_quota(&client, quota, status))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            let complete = results.iter().all(Result::is_ok);
            let written = results
                .into_iter()
                .filter_map(Result::ok)
                .flatten()
                .collect();
            Ended::Platform(Box::new(Outcome::Quotas { written, complete }))
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
            self.verdicts.reasons(&self.unplaced),
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
        let mut retry = false;
        match outcome {
            Outcome::Tenants {
                applied,
                tenants,
                complete,
            } => {
                self.platform.tenants_running = false;
                let plans = applied.into_iter().map(|plan| (plan.tenant.clone(), plan));
                self.platform.tenants.extend(plans);
                for tenant in tenants {
                    self.world.tenants.put(tenant);
                }
                retry |= !complete;
            }
            Outcome::Quotas { written, complete } => {
                self.platform.quotas_running = false;
                for quota in written {
                    let name = quota.name_any();
                    let before = self.world.quotas.get(&name).and_then(effective).cloned();
                    if before.as_ref() != effective(&quota) {
                        self.dirty.unblock = true;
                    }
                    self.world.quotas.put(quota);
                }
                retry |= !complete;
            }
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
        if retry {
            self.platform.retry_at = Some(now + RETRY);
        }
    }
}

fn effective(quota: &Quota) -> Option<&heyun_crds::quota::EffectiveQuota> {
    quota.status.as_ref()?.effective.as_ref()
}

async fn write_quota(
    client: &Client,
    quota: Quota,
    status: QuotaStatus,
) -> Result<Option<Quota>, Class> {
    let api: Api<Quota> = Api::all(client.clone());
    let before = quota.status.as_ref();
    apply::patch_status(&api, &quota, before, &status, Guard::Version)
        .await
        .map_err(|error| {
            warn!(quota = quota.name_any(), %error, "status not written");
            error.class()
        })
}
