//! Every object of hub and members, without what differs between two runs by nature.

use std::collections::{BTreeMap, BTreeSet};

use heyun_scheduler::quantity::amount;
use serde_json::Value;

use crate::common::Ground;

/// Fields that differ between two fleets, or between two leaders, and mean nothing:
/// identities and versions, times, who wrote which field, epochs, ids that are made from a uid,
/// addresses that an allocator draws, the revision of a sketch, and the points by which a decision
/// came about: one that is made again finds its own copies there and says the same.
const FREE: &[&str] = &[
    "uid",
    "tenantUid",
    "clusterId",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "lastTransitionTime",
    "lastUpdateTime",
    "lastScaleTime",
    "decidedAt",
    "epoch",
    "retire",
    "inputsHash",
    "appliedDecision",
    "clusterIP",
    "clusterIPs",
    "volumeName",
    "endpoint",
    "revision",
    "score",
    "scores",
    "credentialsRef",
    "fenceBase",
    "heyun.dev/epoch",
    "heyun.dev/decision",
    "heyun.dev/tenant-uid",
    "heyun.dev/traceparent",
    "kubectl.kubernetes.io/last-applied-configuration",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
];
/// Fields that are free where they hold a text: the id of a decision.
const FREE_TEXT: &[&str] = &["decision", "id"];

/// Kinds of ours on the hub.
const HUB: &str = "memberclusters,flavors,tenants,quotas,placements,workloads,works,sketches";
/// Kinds in the namespaces of tenants on members.
const MEMBER: &str = "deployments,replicasets,statefulsets,cronjobs,jobs,services,configmaps,\
                      ingresses,horizontalpodautoscalers,poddisruptionbudgets,secrets,\
                      persistentvolumeclaims,serviceaccounts,rolebindings";
/// Namespaces of tenants in the examples.
const TENANTS: [&str; 3] = [
    "gd-health-booking",
    "gz-civil-affairs-aid",
    "sz-transport-bus",
];

/// Every object, by cluster, kind, namespace and name.
pub(crate) fn objects(ground: &Ground) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    take(
        &mut all,
        "hub",
        ground
            .hub()
            .json(&["get", HUB, "-A"])
            .expect("our kinds are listed"),
    );
    for member in ground.sandbox.member_names() {
        for namespace in TENANTS {
            let listed = ground
                .cluster(&member)
                .json(&["get", MEMBER, "-n", namespace]);
            take(
                &mut all,
                &member,
                listed.expect("a tenant's objects are listed"),
            );
        }
        let listed = ground
            .cluster(&member)
            .json(&["get", "namespaces"])
            .expect("namespaces");
        take(&mut all, &member, listed);
    }
    all
}

fn take(all: &mut BTreeMap<String, Value>, cluster: &str, list: Value) {
    for object in list["items"].as_array().into_iter().flatten() {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
        let key = format!("{cluster} {kind} {namespace}/{}", text("/metadata/name"));
        let mut masked = object.clone();
        mask(&mut masked);
        // Our own spec of a Work names the epoch, so its generation counts leaders too.
        if kind == "Work" || kind == "Sketch" {
            masked["metadata"]["generation"].take();
            masked["status"]["observedGeneration"].take();
            let conditions = masked["status"]["conditions"].as_array_mut();
            conditions
                .into_iter()
                .flatten()
                .for_each(|c| drop(c["observedGeneration"].take()));
        }
        if kind == "Sketch" {
            masked["status"]["shapes"] = totals(&masked["status"]["shapes"]);
        }
        all.insert(key, masked);
    }
}

/// What all nodes of a kind have free together. Which of them a pod went to is drawn by the member's
/// own scheduler where several are as good.
fn totals(shapes: &Value) -> Value {
    let mut sums: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for shape in shapes.as_array().into_iter().flatten() {
        let mut nodes = shape.clone();
        let count = nodes["count"].take().as_i64().unwrap_or(0);
        let free = nodes["free"].take();
        let sum = sums.entry(nodes.to_string()).or_default();
        *sum.entry("nodes".to_owned()).or_default() += count;
        for (resource, quantity) in free.as_object().into_iter().flatten() {
            let text = quantity.as_str().expect("a quantity is a text");
            let each = amount(resource, text).expect("the sketch holds quantities");
            *sum.entry(resource.clone()).or_default() += count * each;
        }
    }
    serde_json::to_value(sums).expect("texts and numbers are JSON")
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                let is_id = FREE_TEXT.contains(&name.as_str()) && value.is_string();
                !is_id && !FREE.contains(&name.as_str())
            });
            fields.values_mut().for_each(mask);
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// How often each object was created and deleted, from all audit logs. Pods are counted by
/// namespace: their names are drawn. Each is deleted once: a pod that was on a node is deleted by
/// its controller and again by the node, one that was not by its controller alone.
pub(crate) fn lives(ground: &Ground) -> BTreeMap<String, (u32, u32)> {
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    for cluster in ground.clusters() {
        let events = ground
            .sandbox
            .fleet()
            .cluster(&cluster)
            .expect("a cluster")
            .audit();
        for event in events.expect("the audit log is read") {
            let Some(object) = event.object_ref.clone() else {
                continue;
            };
            let ours =
                object.api_group == "heyun.dev" || TENANTS.contains(&object.namespace.as_str());
            // Reviews and tokens are questions, not objects.
            if !ours || object.resource.ends_with("reviews") {
                continue;
            }
            let drawn = ["pods", "endpointslices", "controllerrevisions"];
            let name = if drawn.contains(&object.resource.as_str()) {
                "*"
            } else {
                &object.name
            };
            let key = format!("{cluster} {} {}/{name}", object.resource, object.namespace);
            let deleted = event.deleted()
                && (object.resource != "pods" || gone.insert(format!("{key} {}", object.name)));
            let count = counts.entry(key).or_default();
            count.0 += u32::from(event.created());
            count.1 += u32::from(deleted);
        }
    }
    counts.retain(|_, count| *count != (0, 0));
    counts
}

/// What differs, a line for each object, each with the first places where it does.
pub(crate) fn differences(
    one: &BTreeMap<String, Value>,
    other: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for key in one
        .keys()
        .chain(other.keys().filter(|key| !one.contains_key(*key)))
    {
        match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => {
                let mut found = Vec::new();
                differ("", one, other, &mut found);
                lines.extend(
                    found
                        .into_iter()
                        .take(5)
                        .map(|place| format!("{key}: {place}")),
                );
            }
            (Some(_), None) => lines.push(format!("{key}: only in the first")),
            _ => lines.push(format!("{key}: only in the second")),
        }
    }
    lines
}

fn differ(place: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a
                .keys()
                .chain(b.keys().filter(|name| !a.contains_key(*name)))
            {
                differ(&format!("{place}.{name}"), &one[name], &other[name], found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{place}[{index}]"), a, b, found);
            }
        }
        _ if one != other => found.push(format!("{place}: {one} / {other}")),
        _ => {}
    }
}
