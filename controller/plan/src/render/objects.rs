//! The objects of one Work.

use std::collections::BTreeMap;

use heyun_crds::labels;
use heyun_crds::member_cluster::ClassMap;
use heyun_crds::workload::Assignment;
use heyun_scheduler::resources::PODS;
use serde_json::{Map, Value, json};

use super::{Input, Part, Parts, attach, classes, flavors};
use crate::interpret::{
    Component, ComponentKind, Hpa, cap_hpa_bounds, component_label, pod_template_mut,
    set_completions, set_hpa_bounds, set_replicas,
};
use crate::member_names::label_value;
use crate::observe::amounts;

/// The manifests for one member, in the order in which they are applied.
pub(super) fn manifests(
    input: &Input<'_>,
    parts: &Parts<'_>,
    member: &str,
    class_map: &ClassMap,
    work: &str,
) -> Vec<Value> {
    let mut rendered: Vec<(u8, Value)> = Vec::new();
    for (index, manifest) in input.workload.spec.manifests.iter().enumerate() {
        let component = input
            .interpreted
            .components
            .iter()
            .find(|c| c.manifest == index);
        let part = component.and_then(|c| parts.get(&(member, c.request.name.as_str())));
        if component.is_some() && part.is_none() {
            continue;
        }
        let mut object = manifest.0.clone();
        if let (Some(component), Some(part)) = (component, part) {
            place(&mut object, component, part, work);
        } else {
            let owners = attach::components(index, &object, input);
            let here = owners
                .iter()
                .any(|owner| parts.contains_key(&(member, *owner)));
            if !owners.is_empty() && !here {
                continue;
            }
            if let Some((hpa, part)) = autoscaled(input, parts, member, index) {
                if part.share.replicas == 0 {
                    // With an autoscaler beside it, what is to be empty would keep its replicas.
                    continue;
                }
                set_hpa_bounds(&mut object, part.share);
                if let Some(most) = charged_most(hpa, part.assignment) {
                    cap_hpa_bounds(&mut object, most);
                }
            }
        }
        classes::map(&mut object, component.map(|c| c.kind), class_map);
        mark(&mut object, input, work);
        rendered.push((rank(&object), object));
    }
    rendered.sort_by_key(|(rank, _)| *rank);
    rendered.into_iter().map(|(_, object)| object).collect()
}

/// The autoscaler that this manifest is, and the part of the component that it scales.
fn autoscaled<'a>(
    input: &Input<'_>,
    parts: &'a Parts<'a>,
    member: &str,
    index: usize,
) -> Option<(Hpa, &'a Part<'a>)> {
    let scaled = |c: &&Component| c.hpa.is_some_and(|hpa| hpa.manifest == index);
    let component = input.interpreted.components.iter().find(scaled)?;
    let hpa = component.hpa?;
    parts
        .iter()
        .find(|((m, c), _)| *m == member && *c == component.request.name)
        .map(|(_, p)| (hpa, p))
}

/// The most replicas that what is charged is enough for. `None`: its pods are charged nothing.
fn charged_most(hpa: Hpa, assignment: &Assignment) -> Option<i64> {
    let requests = amounts::taken(&assignment.requests);
    let charge = amounts::taken(&assignment.charge);
    let asked = requests.iter().filter(|(name, _)| *name != PODS);
    let pods = asked
        .filter(|(_, amount)| *amount > 0)
        .filter_map(|(name, amount)| charge.get(name).checked_div(amount))
        .min()?;
    Some(hpa.covered(pods).max(i64::from(assignment.replicas)))
}

/// Sets replicas, flavor and labels in the manifest of a component.
fn place(object: &mut Value, component: &Component, part: &Part<'_>, work: &str) {
    set_replicas(object, component.kind, part.share);
    if let Some(completions) = part.completions {
        set_completions(object, completions);
    }
    if component.kind == ComponentKind::Job && part.assignment.finished.is_none() {
        let spec = object.get_mut("spec").and_then(Value::as_object_mut);
        spec.and_then(|spec| spec.remove("ttlSecondsAfterFinished"));
    }
    let name = &component.request.name;
    if let Some(template) = pod_template_mut(object, component.kind) {
        if let Some(labels) = metadata_map(template, "labels") {
            labels.insert(labels::WORK.to_owned(), work.into());
            labels.insert(labels::COMPONENT.to_owned(), component_label(name).into());
        }
        if let Some(terms) = &part.flavor
            && let Some(spec) = child(template, "spec")
        {
            flavors::require(spec, terms);
        }
        if let Some(images) = part.images
            && let Some(spec) = child(template, "spec")
        {
            replace_images(spec, images);
        }
    }
    if let Some(annotations) = metadata_map(object, "annotations") {
        let assignment = part.assignment;
        let charge = json!({
            "flavor": assignment.flavor,
            "replicas": assignment.replicas,
            "requests": assignment.requests,
            "charge": assignment.charge,
        });
        annotations.insert(labels::COMPONENT.to_owned(), name.as_str().into());
        annotations.insert(labels::CHARGE.to_owned(), charge.to_string().into());
    }
}

/// Gives containers the images of the architecture that they are placed on.
fn replace_images(spec: &mut Map<String, Value>, images: &BTreeMap<String, String>) {
    for field in ["containers", "initContainers"] {
        let list = spec.get_mut(field).and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str);
            let image = name.and_then(|name| images.get(name)).cloned();
            if let (Some(image), Some(fields)) = (image, container.as_object_mut()) {
                fields.insert("image".to_owned(), image.into());
            }
        }
    }
}

/// Sets what every object carries and leaves out what no one may assert.
fn mark(object: &mut Value, input: &Input<'_>, work: &str) {
    let metadata = &input.workload.metadata;
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(own) = child(object, "metadata") {
        own.remove("creationTimestamp");
        own.insert(
            "namespace".to_owned(),
            metadata.namespace.clone().unwrap_or_default().into(),
        );
    }
    if let Some(labels) = metadata_map(object, "labels") {
        let workload = label_value(metadata.name.as_deref().unwrap_or_default());
        labels.insert(labels::WORK.to_owned(), work.into());
        labels.insert(labels::WORKLOAD.to_owned(), workload.into());
        labels
            .entry(labels::MANAGED_BY)
            .or_insert_with(|| labels::MANAGER.into());
    }
    if let Some(annotations) = metadata_map(object, "annotations") {
        annotations.insert(
            labels::DECISION.to_owned(),
            input.decision.id.as_str().into(),
        );
        annotations.insert(labels::EPOCH.to_owned(), input.epoch.to_string().into());
    }
}

/// A field that is an object; made where it is absent or null.
pub(super) fn child<'v>(value: &'v mut Value, field: &str) -> Option<&'v mut Map<String, Value>> {
    let slot = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

fn metadata_map<'v>(object: &'v mut Value, field: &str) -> Option<&'v mut Map<String, Value>> {
    child(object, "metadata")?;
    child(object.get_mut("metadata")?, field)
}

/// In which order kinds are applied: what others need first.
fn rank(object: &Value) -> u8 {
    match object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "ServiceAccount" => 0,
        "Role" => 1,
        "RoleBinding" => 2,
        "ConfigMap" => 3,
        "PersistentVolumeClaim" => 4,
        "NetworkPolicy" => 5,
        "Service" => 6,
        "Deployment"
        | "StatefulSet"
        | "DaemonSet"
        | "ReplicaSet"
        | "ReplicationController"
        | "Job"
        | "CronJob"
        | "Pod" => 8,
        "HorizontalPodAutoscaler" | "VerticalPodAutoscaler" | "PodDisruptionBudget" => 9,
        "Ingress" | "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" => 10,
        _ => 7,
    }
}
