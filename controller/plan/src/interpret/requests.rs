//! What a pod requests, by Kubernetes' own rules.
//!
//! The order is the API server's: limits become default requests when the pod is decoded, then
//! pod-level requests take their defaults, then admission (LimitRange) fills in what containers
//! still lack. What counts is the larger of what runs together and what each init container needs
//! at its turn, replaced by pod-level requests where there are some, plus the pod's overhead.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use heyun_scheduler::resources::Resources;

/// Requests and limits as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// `resources.requests`.
    pub requests: Resources,
    /// `resources.limits`.
    pub limits: Resources,
}

/// What an init container asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitAmounts {
    /// Its amounts.
    pub amounts: Amounts,
    /// `restartPolicy: Always`: a sidecar, which goes on running.
    pub restartable: bool,
}

/// All that a pod template says about resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodAmounts {
    /// Of its containers.
    pub containers: Vec<Amounts>,
    /// Of its init containers, in order.
    pub init_containers: Vec<InitAmounts>,
    /// Of the pod as a whole (`spec.resources`).
    pub pod: Option<Amounts>,
    /// `spec.overhead`.
    pub overhead: Resources,
}

impl PodAmounts {
    /// What one pod requests; `defaults` is what a container is given for a resource that it
    /// names neither as request nor as limit. `None` when a sum overflows.
    pub fn requests(&self, defaults: &Resources) -> Option<Resources> {
        let none = Resources::new();
        let pod_level = match &self.pod {
            Some(pod) => Some(pod_requests(pod, &self.containers_together(&none)?)),
            None => None,
        };
        let mut total = self.containers_together(defaults)?;
        for (name, amount) in pod_level.iter().flat_map(Resources::iter) {
            if is_pod_level(name) {
                total.set(name, amount);
            }
        }
        let total = total.checked_add(&self.overhead)?;
        let asked = total.iter().filter(|(_, amount)| *amount != 0);
        Some(
            asked
                .map(|(name, amount)| (name.to_owned(), amount))
                .collect(),
        )
    }

    /// The larger of what runs together and what each init container needs at its turn.
    fn containers_together(&self, defaults: &Resources) -> Option<Resources> {
        let mut running = Resources::new();
        for container in &self.containers {
            running = running.checked_add(&effective(container, defaults))?;
        }
        let mut sidecars = Resources::new();
        let mut starting = Resources::new();
        for init in &self.init_containers {
            let own = effective(&init.amounts, defaults);
            let at_its_turn = sidecars.checked_add(&own)?;
            if init.restartable {
                running = running.checked_add(&own)?;
                sidecars.clone_from(&at_its_turn);
            }
            starting = Resources::larger(&starting, &at_its_turn);
        }
        Some(Resources::larger(&running, &starting))
    }
}

/// A container's requests with its limits, then the defaults, for what it does not name.
fn effective(container: &Amounts, defaults: &Resources) -> Resources {
    let mut requests = container.requests.clone();
    for (name, amount) in container.limits.iter().chain(defaults.iter()) {
        if !requests.contains(name) {
            requests.set(name, amount);
        }
    }
    requests
}

/// Pod-level requests with their defaults: only when there are pod-level limits, what the
/// containers ask for together, else the limit. Huge pages are never overcommitted: always the
/// limit.
fn pod_requests(pod: &Amounts, containers: &Resources) -> Resources {
    let mut requests = pod.requests.clone();
    if pod.limits.iter().next().is_none() {
        return requests;
    }
    for (name, amount) in containers.iter() {
        let overcommitted = !name.starts_with("hugepages-");
        if overcommitted && is_pod_level(name) && !requests.contains(name) {
            requests.set(name, amount);
        }
    }
    for (name, amount) in pod.limits.iter() {
        if is_pod_level(name) && !requests.contains(name) {
            requests.set(name, amount);
        }
    }
    requests
}

fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}
