//! ResourceRequests: what is shown of them, and the time of what is granted.
//!
//! The Quota is written first, since it is what counts; what is shown of a request follows from what
//! is held of its Quota, so that a crash between the two is made good by the next look.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use heyun_crds::ResourceRequest;
use heyun_crds::resource_request::ResourceRequestStatus;
use heyun_member::apply::{self, Guard};
use heyun_member::error::{Class, Classify};
use heyun_plan::requests::{book, judge, status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::super::{Ended, Operator};
use super::{AT_ONCE, Outcome};
use crate::world::{Named as _, version};

/// What became of one write.
pub(in crate::operate) struct Written {
    /// As namespace/name.
    name: String,
    /// Version that it was made from.
    version: u64,
    /// The request as the API server now holds it, or why it was not written.
    result: Result<Option<ResourceRequest>, Class>,
}

impl Operator {
    /// What begins or ends now changes what counts.
    pub(super) fn turn_calendar(&mut self) {
        let now = self.around.clock.now();
        if self.platform.change_at.is_some_and(|at| at <= now) {
            self.platform.change_at = None;
            self.dirty.quotas = true;
            self.dirty.requests = true;
        }
    }

    /// When that is next, by the clock that the loop sleeps by.
    pub(in crate::operate) fn next_turn_of_calendar(&self) -> Option<Duration> {
        let clock = &self.around.clock;
        let wait = self.platform.change_at?.duration_since(clock.now());
        Some(clock.monotonic() + Duration::try_from(wait).unwrap_or_default())
    }

    /// Writes what is to be shown of requests.
    pub(super) fn advance_requests(&mut self) {
        if self.platform.requests_running {
            return;
        }
        let due = self.around.clock.monotonic();
        self.dirty.requests |= self.platform.requests_later.take_due(due);
        if !std::mem::take(&mut self.dirty.requests) {
            return;
        }
        let wanted = self.requests_to_write();
        if wanted.is_empty() {
            return;
        }
        self.platform.requests_running = true;
        let client = self.around.client.clone();
        self.running.spawn(async move {
            let written = stream::iter(wanted)
                .map(|(request, status)| write(&client, request, status))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            Ended::Platform(Box::new(Outcome::Requests(written)))
        });
    }

    fn requests_to_write(&mut self) -> Vec<(ResourceRequest, ResourceRequestStatus)> {
        let held = self.world.requests.map();
        let later = &mut self.platform.requests_later;
        later.retain(|name| held.contains_key(name));
        let now = self.around.clock.now();
        let scene = self.world.requested(now);
        let judged = judge(&scene);
        let booking = book(&scene, &judged);
        let wanted = judged.iter().filter_map(|one| {
            let waits = later.waits(&one.request.table_name(), version(&one.request.metadata));
            let status = status(one, &booking, &scene, &Time(now));
            let same = one.request.status.as_ref() == Some(&status);
            (!waits && !same).then(|| (one.request.clone(), status))
        });
        wanted.collect()
    }

    /// Takes in what became of the writes.
    pub(super) fn finish_requests(&mut self, written: Vec<Written>, now: Duration) {
        self.platform.requests_running = false;
        for Written {
            name,
            version,
            result,
        } in written
        {
            match result {
                Ok(request) => {
                    self.platform.requests_later.succeeded(&name);
                    if let Some(request) = request {
                        self.world.requests.put(request);
                    }
                }
                Err(class) => {
                    let later = &mut self.platform.requests_later;
                    later.failed(&name, version, class, now);
                }
            }
        }
    }
}

async fn write(
    client: &Client,
    request: ResourceRequest,
    status: ResourceRequestStatus,
) -> Written {
    let namespace = request.namespace().unwrap_or_default();
    let api: Api<ResourceRequest> = Api::namespaced(client.clone(), &namespace);
    let before = request.status.as_ref();
    let result = apply::patch_status(&api, &request, before, &status, Guard::Version).await;
    let name = request.table_name();
    if let Err(error) = &result {
        warn!(request = name, %error, "status not written");
    }
    Written {
        name,
        version: version(&request.metadata),
        result: result.map_err(|error| error.class()),
    }
}
