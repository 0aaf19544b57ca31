//! What a sketch takes from nodes and pods.

use std::collections::BTreeMap;

use heyun_crds::common::{Taint, TaintEffect};
use heyun_crds::labels;
use heyun_scheduler::quantity::amount;
use heyun_scheduler::resources::Resources;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Node, Pod, ResourceRequirements, Taint as NodeTaint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::interpret::requests::{Amounts, InitAmounts, PodAmounts};

/// What a sketch takes from a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints, sorted.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// Its condition Ready is True.
    pub ready: bool,
    /// What it offers to pods.
    pub allocatable: Resources,
}

/// What a sketch takes from a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// The node it is on.
    pub node: Option<String>,
    /// It has ended and takes nothing any more (phase Succeeded or Failed).
    pub terminal: bool,
    /// What it requests, overhead included.
    pub requests: Resources,
    /// The part of it that a RuntimeClass of the member adds.
    pub overhead: Resources,
    /// The Work it comes from (label `heyun.dev/work`).
    pub work: Option<String>,
    /// Its component: the annotation `heyun.dev/component`, else the label of that name. It is
    /// matched with [`crate::interpret::is_component`].
    pub component: Option<String>,
}

/// The facts of a node. Amounts that are no quantities count as absent: nothing is offered of
/// what cannot be read.
pub fn from_node(node: &Node) -> NodeFacts {
    let spec = node.spec.as_ref();
    let status = node.status.as_ref();
    let taints = spec.and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let mut taints: Vec<Taint> = taints.iter().filter_map(taint).collect();
    taints.sort();
    taints.dedup();
    let mut conditions = status
        .and_then(|s| s.conditions.as_deref())
        .unwrap_or_default()
        .iter();
    NodeFacts {
        name: node.metadata.name.clone().unwrap_or_default(),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        taints,
        unschedulable: spec.and_then(|s| s.unschedulable).unwrap_or(false),
        ready: conditions.any(|c| c.type_ == "Ready" && c.status == "True"),
        allocatable: resources(status.and_then(|s| s.allocatable.as_ref())),
    }
}

fn taint(taint: &NodeTaint) -> Option<Taint> {
    let effect = match taint.effect.as_str() {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    };
    let value = taint.value.clone().unwrap_or_default();
    Some(Taint {
        key: taint.key.clone(),
        value,
        effect,
    })
}

fn resources(amounts: Option<&BTreeMap<String, Quantity>>) -> Resources {
    let each = amounts.into_iter().flatten();
    each.filter_map(|(name, q)| Some((name.clone(), amount(name, &q.0).ok()?)))
        .collect()
}

/// The facts of a pod.
pub fn from_pod(pod: &Pod) -> PodFacts {
    let metadata = &pod.metadata;
    let label = |key: &str| metadata.labels.as_ref().and_then(|l| l.get(key)).cloned();
    let noted = metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(labels::COMPONENT))
        .cloned();
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    let node = pod.spec.as_ref().and_then(|s| s.node_name.clone());
    PodFacts {
        uid: metadata.uid.clone().unwrap_or_default(),
        node: node.filter(|n| !n.is_empty()),
        terminal: matches!(phase, Some("Succeeded" | "Failed")),
        requests: requests(pod),
        overhead: resources(pod.spec.as_ref().and_then(|s| s.overhead.as_ref())),
        work: label(labels::WORK),
        component: noted.or_else(|| label(labels::COMPONENT)),
    }
}

/// What a pod requests. A pod that runs has its defaults written into it, so none are added. One
/// whose sum overflows is counted as what its containers ask for at most, without the sum.
fn requests(pod: &Pod) -> Resources {
    let Some(spec) = &pod.spec else {
        return Resources::new();
    };
    let status = pod.status.as_ref();
    let statuses = status
        .and_then(|s| s.container_statuses.as_deref())
        .unwrap_or_default();
    let init = status
        .and_then(|s| s.init_container_statuses.as_deref())
        .unwrap_or_default();
    let containers = spec.containers.iter().map(|c| container(c, statuses));
    let init_containers = spec.init_containers.iter().flatten().map(|c| InitAmounts {
        amounts: container(c, init),
        restartable: c.restart_policy.as_deref() == Some("Always"),
    });
    let all = PodAmounts {
        containers: containers.collect(),
        init_containers: init_containers.collect(),
        pod: spec.resources.as_ref().map(amounts),
        overhead: resources(spec.overhead.as_ref()),
    };
    all.requests(&Resources::new()).unwrap_or_else(|| {
        let each = all.containers.iter().map(|c| &c.requests);
        each.fold(Resources::new(), |most, own| Resources::larger(&most, own))
    })
}

fn amounts(of: &ResourceRequirements) -> Amounts {
    Amounts {
        requests: resources(of.requests.as_ref()),
        limits: resources(of.limits.as_ref()),
    }
}

/// What a container asks for, and while it is resized in place the larger of that and what it has.
fn container(container: &Container, statuses: &[ContainerStatus]) -> Amounts {
    let mut asked = container
        .resources
        .as_ref()
        .map(amounts)
        .unwrap_or_default();
    if let Some(status) = statuses.iter().find(|s| s.name == container.name) {
        let allocated = resources(status.allocated_resources.as_ref());
        let actual = status.resources.as_ref().and_then(|r| r.requests.as_ref());
        for has in [allocated, resources(actual)] {
            asked.requests = Resources::larger(&asked.requests, &has);
        }
    }
    asked
}
