//! Quotas: what counts is settled in one order with the commits, and what is shown of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use heyun_crds::Quota;
use heyun_crds::quota::QuotaStatus;
use heyun_member::apply::{self, Guard};
use heyun_member::error::{Class, Classify};
use heyun_plan::requests::{book, judge};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::super::{Ended, Operator};
use super::{AT_ONCE, Outcome};
use crate::commit::is_settled;
use crate::leader::Term;
use crate::quotas;
use crate::seeded::{self, Bug};
use crate::world::version;

/// A Quota with the status that it should have.
struct Wanted {
    quota: Quota,
    status: QuotaStatus,
    /// Its tenant and all above.
    path: Vec<String>,
}

impl Wanted {
    /// Whether what counts is to change, and not only what is shown.
    fn counts(&self) -> bool {
        self.quota.effective() != self.status.effective.as_ref()
    }
}

/// What became of one write of a Quota's status.
pub(in crate::operate) struct Written {
    name: String,
    /// Version of the Quota that it was made from.
    version: u64,
    /// The Quota as the API server now holds it, where that is known.
    quota: Option<Quota>,
    /// Why it was not written, as far as is known.
    failed: Option<Class>,
    /// What counts was to change, and not only what is shown.
    counts: bool,
    /// Neither the write nor a read told what became, or will become, of it.
    unknown: bool,
}

impl Operator {
    /// A Quota of another version than the one that was written on tells what became of it.
    pub(super) fn settle_unsure(&mut self) {
        let quotas = &self.world.quotas;
        self.platform.unsure.retain(|name, at| {
            quotas
                .get(name)
                .is_some_and(|quota| version(&quota.metadata) == *at)
        });
    }

    /// Whether a chain under way reserves anything.
    pub(super) fn reserves(&self) -> bool {
        let mut chains = self.assumed.values();
        chains.any(|assumed| !assumed.held.entries.is_empty())
    }

    pub(super) fn start_quotas(&mut self, term: &Term) {
        self.platform.waits = false;
        if !term.may_write() {
            return;
        }
        let charges = self.charges();
        let now = Time(self.around.clock.now());
        let all = self.world.quotas.map();
        let scene = self.world.requested(now.0);
        let booking = book(&scene, &judge(&scene));
        self.platform.change_at = booking.next_change;
        let tree = &self.world.tree;
        let wanted = quotas::statuses(tree, all, &charges, booking, term.epoch, &now);
        self.platform.charges = charges;
        let later = &mut self.platform.quotas_later;
        later.retain(|name| all.contains_key(name));
        let waiting: BTreeSet<&str> = all
            .iter()
            .filter(|(name, quota)| later.waits(name, version(&quota.metadata)))
            .map(|(name, _)| name.as_str())
            .collect();
        // What was settled below one that waits relies on what it does not have yet.
        let waits = |name: &str| {
            let mut path = self.world.tree.lineage(name);
            waiting.contains(name) || path.any(|above| waiting.contains(above.name.as_str()))
        };
        let changed = wanted
            .into_iter()
            .filter(|(name, _)| !waits(name))
            .filter_map(|(name, status)| {
                let quota = self.world.quotas.get(&name)?;
                (quota.status.as_ref() != Some(&status)).then(|| (quota.clone(), status))
            });
        let mut writes: BTreeMap<usize, Vec<Wanted>> = BTreeMap::new();
        for (quota, status) in changed {
            let name = quota.name_any();
            let path = self.world.lineage(&name);
            let wanted = Wanted {
                quota,
                status,
                path,
            };
            writes.entry(wanted.path.len()).or_default().push(wanted);
        }
        if writes.is_empty() {
            return;
        }
        let counts = writes.values().flatten().any(Wanted::counts);
        if counts && self.reserves() && !seeded::is(Bug::Quota) {
            // In one order with the commits: what was decided by the numbers of before is in force
            // or known not to be before they change, and nothing more is decided by them.
            self.platform.waits = true;
            self.dirty.quotas = true;
            return;
        }
        self.platform.quotas_running = true;
        self.platform.settling = counts;
        let client = self.around.client.clone();
        self.running.spawn(async move {
            let written = write_quotas(&client, writes).await;
            Ended::Platform(Box::new(Outcome::Quotas(written)))
        });
    }

    /// Takes in what became of one write of a Quota's status.
    pub(super) fn finish_quota(&mut self, written: Written, now: Duration) {
        let name = &written.name;
        match written.failed {
            None => self.platform.quotas_later.succeeded(name),
            Some(class) => {
                let at = written.version;
                self.platform.quotas_later.failed(name, at, class, now);
            }
        }
        if !written.unknown {
            self.platform.unsure.remove(name);
        } else if written.counts {
            self.platform.unsure.insert(name.clone(), written.version);
        }
        let Some(quota) = written.quota else { return };
        let before = self
            .world
            .quotas
            .get(name)
            .and_then(Quota::effective)
            .cloned();
        if before.as_ref() != quota.effective() {
            let moved = self.world.is_moved(&quota);
            self.world.note_quota(name, moved, &mut self.dirty);
            self.dirty.requests = true;
            // There may be room now for what is asked for below it, or beside it.
            self.dirty.quotas |= self.world.requests.values().next().is_some();
        }
        let newer = self.world.quotas.put(quota).is_some();
        // What another wrote meanwhile is settled at once: the watch will show nothing new.
        self.dirty.quotas |= newer && written.failed.is_some();
    }
}

/// Writes Quotas, each depth of the tree after the one above it: what was settled below relies on
/// what counts above. Below one that was not written nothing is.
async fn write_quotas(client: &Client, writes: BTreeMap<usize, Vec<Wanted>>) -> Vec<Written> {
    let mut done: Vec<Written> = Vec::new();
    let mut failed: BTreeSet<String> = BTreeSet::new();
    for level in writes.into_values() {
        let stands = |wanted: &Wanted| wanted.path.iter().all(|above| !failed.contains(above));
        let written: Vec<Written> = stream::iter(level.into_iter().filter(stands))
            .map(|wanted| write_quota(client, wanted.quota, wanted.status))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let not_written = written.iter().filter(|one| one.failed.is_some());
        failed.extend(not_written.map(|one| one.name.clone()));
        done.extend(written);
    }
    done
}

/// Writes what counts and what is shown of a Quota; where the outcome is not known, a read settles
/// it.
async fn write_quota(client: &Client, quota: Quota, status: QuotaStatus) -> Written {
    let api: Api<Quota> = Api::all(client.clone());
    let mut done = Written {
        name: quota.name_any(),
        version: version(&quota.metadata),
        quota: None,
        failed: None,
        counts: quota.effective() != status.effective.as_ref(),
        unknown: false,
    };
    let before = quota.status.as_ref();
    let error = match apply::patch_status(&api, &quota, before, &status, Guard::Version).await {
        Ok(written) => {
            done.quota = written;
            return done;
        }
        Err(error) => error,
    };
    warn!(quota = done.name, %error, "status not written");
    let class = error.class();
    done.failed = Some(class);
    match api.get_opt(&done.name).await {
        Ok(found) => {
            // What is still as it was says nothing of a write that may be on its way: it is known once
            // another version is seen, which the same write tried again makes.
            let as_it_was = |quota: &Quota| version(&quota.metadata) == done.version;
            done.unknown = !is_settled(&error) && found.as_ref().is_some_and(as_it_was);
            done.quota = found;
        }
        Err(error) => {
            done.failed = Class::soonest(Some(class), Some(error.class()));
            done.unknown = true;
        }
    }
    done
}
