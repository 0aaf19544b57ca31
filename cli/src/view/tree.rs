//! `heyun tree`: a Workload, its Works, their objects, the pods where they can be asked for.

use heyun_crds::conditions::{ConditionType, condition};
use heyun_crds::labels::COMPONENT;
use heyun_crds::work::ObjectState;
use heyun_crds::{Work, Workload};
use heyun_plan::interpret::is_component;
use heyun_plan::member_names::member_of_namespace;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use super::branch::{Branch, flatten};
use super::table::Grid;
use super::{NONE, or_none};

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `Kind/name`; a Work is named by its member.
    pub object: String,
    /// `True`, `False`, or ready of desired replicas.
    pub ready: String,
    /// Reason code.
    pub reason: String,
    /// The same as a sentence, never cut.
    pub message: String,
}

/// A Work with the pods of its member, where those were asked for.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The Work.
    pub work: Work,
    /// Pods of the Work; `None`: the member was not asked.
    pub pods: Option<Vec<Pod>>,
}

/// The tree of one Workload.
pub fn tree(workload: &Workload, works: &[Placed]) -> Branch<Line> {
    let status = workload.status.clone().unwrap_or_default();
    let name = workload.metadata.name.as_deref().unwrap_or_default();
    let ready = condition(&status.conditions, ConditionType::Ready);
    Branch {
        value: Line {
            object: format!("Workload/{name}"),
            ready: or_none(&status.summary.replicas).to_owned(),
            ..said(ready)
        },
        children: works.iter().map(work).collect(),
    }
}

fn said(condition: Option<&Condition>) -> Line {
    Line {
        object: String::new(),
        ready: condition.map_or(NONE, |c| c.status.as_str()).to_owned(),
        reason: condition.map_or(NONE, |c| or_none(&c.reason)).to_owned(),
        message: condition.map(|c| c.message.clone()).unwrap_or_default(),
    }
}

fn work(placed: &Placed) -> Branch<Line> {
    let status = placed.work.status.clone().unwrap_or_default();
    let namespace = placed
        .work
        .metadata
        .namespace
        .as_deref()
        .unwrap_or_default();
    let member = member_of_namespace(namespace).unwrap_or(namespace);
    let applied = condition(&status.conditions, ConditionType::Applied);
    let healthy = condition(&status.conditions, ConditionType::Healthy);
    // What is not applied cannot be healthy: the first that fails says why.
    let first = match applied {
        Some(applied) if applied.status == "True" => healthy.or(Some(applied)),
        other => other,
    };
    let object = |state: &ObjectState| Branch {
        value: object(state),
        children: pods(placed, state),
    };
    Branch {
        value: Line {
            object: format!("Work on {member}"),
            ..said(first)
        },
        children: status.objects.iter().map(object).collect(),
    }
}

fn object(state: &ObjectState) -> Line {
    let ready = match (state.ready, state.desired) {
        (Some(ready), Some(desired)) => format!("{ready}/{desired}"),
        _ if state.healthy => "True".to_owned(),
        _ => "False".to_owned(),
    };
    let reason = match (state.reason.is_empty(), state.drifted, state.applied) {
        (false, _, _) => state.reason.clone(),
        (true, true, _) => "Drifted".to_owned(),
        (true, false, true) => "Applied".to_owned(),
        (true, false, false) => "NotApplied".to_owned(),
    };
    Line {
        object: format!("{}/{}", state.kind, state.name),
        ready,
        reason,
        message: state.message.clone(),
    }
}

/// Pods of a component, by name.
fn pods(placed: &Placed, state: &ObjectState) -> Vec<Branch<Line>> {
    let component = format!("{}/{}", state.kind, state.name);
    let ours = |pod: &&Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels
            .and_then(|l| l.get(COMPONENT))
            .is_some_and(|bound| is_component(bound, &component))
    };
    let pods = placed.pods.iter().flatten().filter(ours);
    pods.map(|pod| Branch::leaf(pod_line(pod))).collect()
}

fn pod_line(pod: &Pod) -> Line {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let of = |wanted: &str| conditions.iter().find(|c| c.type_ == wanted);
    let ready = of("Ready");
    let blocked = of("PodScheduled").filter(|c| c.status != "True").or(ready);
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let message = match blocked.and_then(|c| c.message.clone()) {
        Some(message) if !message.is_empty() => message,
        _ => node.map(|node| format!("on {node}")).unwrap_or_default(),
    };
    Line {
        object: format!("Pod/{}", pod.metadata.name.as_deref().unwrap_or_default()),
        ready: ready.map_or(NONE, |c| c.status.as_str()).to_owned(),
        reason: or_none(&status.phase.unwrap_or_default()).to_owned(),
        message,
    }
}

/// The tree as text.
pub fn text(tree: &Branch<Line>, with_headers: bool) -> String {
    let mut grid = Grid::new(&["OBJECT", "READY", "REASON", "MESSAGE"]);
    for (before, line) in flatten(std::slice::from_ref(tree)) {
        let object = format!("{before}{}", line.object);
        grid.row([
            object,
            line.ready.clone(),
            line.reason.clone(),
            line.message.clone(),
        ]);
    }
    grid.text(with_headers)
}
