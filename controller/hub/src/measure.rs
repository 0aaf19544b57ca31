//! What the world comes to in metrics: members, capacity, quotas, what waits. Pure but for the
//! instruments it sets.

use std::collections::BTreeMap;

use heyun_crds::conditions::{ConditionType, condition};
use heyun_crds::quantity::Quantity;
use heyun_crds::{MemberCluster, Quota};
use heyun_scheduler::quantity::amount;
use heyun_telemetry::labels::{Queue, State};
use heyun_telemetry::{CapacityRow, Metrics, QuotaRow};

use crate::world::World;

/// Sizes of the parts of the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// Workloads to look at.
    pub active: usize,
    /// Workloads that wait for another attempt after a failure.
    pub backoff: usize,
    /// Workloads that wait for something to change.
    pub unschedulable: usize,
}

/// Sets all that the world says.
pub fn world(metrics: &Metrics, world: &World) {
    for (name, member) in world.members.iter() {
        for kind in [ConditionType::Ready, ConditionType::Schedulable] {
            metrics.set_cluster_status(name, kind.as_str(), state(member, kind));
        }
        metrics.set_capacity(name, &capacity(name, member));
    }
    let rows: Vec<QuotaRow> = world
        .quotas
        .iter()
        .filter_map(|(name, quota)| Some((world.tree.get(name)?.path.clone(), quota)))
        .flat_map(|(path, quota)| quota_rows(&path, quota))
        .collect();
    metrics.set_quota(&rows);
}

/// Sets how much waits, and for what reason.
pub fn queue(metrics: &Metrics, sizes: Sizes, reasons: BTreeMap<&'static str, u32>) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    metrics.set_queue_size(Queue::Active, count(sizes.active));
    metrics.set_queue_size(Queue::Backoff, count(sizes.backoff));
    metrics.set_queue_size(Queue::Unschedulable, count(sizes.unschedulable));
    metrics.set_unscheduled(reasons);
}

fn state(member: &MemberCluster, kind: ConditionType) -> State {
    let conditions = member.status.as_ref().map_or(&[][..], |s| &s.conditions);
    match condition(conditions, kind).map(|c| c.status.as_str()) {
        Some("True") => State::True,
        Some("False") => State::False,
        _ => State::Unknown,
    }
}

fn number(resource: &str, quantity: &Quantity) -> i64 {
    amount(resource, &quantity.0).unwrap_or(0)
}

fn capacity(name: &str, member: &MemberCluster) -> Vec<CapacityRow> {
    let lines = member.status.iter().flat_map(|s| &s.capacity);
    lines
        .map(|line| CapacityRow {
            cluster: name.to_owned(),
            zone: member.spec.zone.as_str().to_owned(),
            mlps_level: member.spec.mlps.level,
            flavor: line.flavor.clone(),
            resource: line.resource.clone(),
            allocatable: number(&line.resource, &line.allocatable),
            requested: number(&line.resource, &line.requested),
        })
        .collect()
}

fn quota_rows(path: &str, quota: &Quota) -> Vec<QuotaRow> {
    let status = quota.status.clone().unwrap_or_default();
    let lines = status.effective.unwrap_or_default().resources;
    let row = |line: &heyun_crds::quota::QuotaLine| {
        let used = status
            .resources
            .iter()
            .find(|u| u.flavor == line.flavor && u.resource == line.resource)
            .cloned()
            .unwrap_or_default();
        let number = |quantity: &Quantity| number(&line.resource, quantity);
        QuotaRow {
            tenant_path: path.to_owned(),
            flavor: line.flavor.clone(),
            resource: line.resource.clone(),
            hard: number(line.ceiling.as_ref().unwrap_or(&line.nominal)),
            used: number(&used.used),
            reserved: number(&used.charged),
            borrowed: number(&used.borrowed),
            lent: number(&used.lent),
        }
    };
    lines.iter().map(row).collect()
}
