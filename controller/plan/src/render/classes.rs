//! The member's own names for classes, instead of the platform's.

use std::collections::BTreeMap;

use heyun_crds::member_cluster::ClassMap;
use serde_json::Value;

use crate::interpret::{ComponentKind, pod_template_mut};

/// Maps every class name of a manifest that the member maps; the others stay.
pub(super) fn map(object: &mut Value, kind: Option<ComponentKind>, classes: &ClassMap) {
    if let Some(kind) = kind {
        if let Some(spec) = pod_template_mut(object, kind).and_then(|t| t.get_mut("spec")) {
            rename(spec, "runtimeClassName", &classes.runtime);
            rename(spec, "priorityClassName", &classes.priority);
            for volume in items(spec.get_mut("volumes")) {
                claim(
                    volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec"),
                    classes,
                );
            }
        }
        for template in items(object.pointer_mut("/spec/volumeClaimTemplates")) {
            claim(template.get_mut("spec"), classes);
        }
        return;
    }
    match object.get("kind").and_then(Value::as_str) {
        Some("PersistentVolumeClaim") => claim(object.get_mut("spec"), classes),
        Some("Ingress") => {
            if let Some(spec) = object.get_mut("spec") {
                rename(spec, "ingressClassName", &classes.ingress);
            }
        }
        _ => {}
    }
}

fn claim(spec: Option<&mut Value>, classes: &ClassMap) {
    if let Some(spec) = spec {
        rename(spec, "storageClassName", &classes.storage);
    }
}

fn rename(spec: &mut Value, field: &str, names: &BTreeMap<String, String>) {
    let mapped = spec
        .get(field)
        .and_then(Value::as_str)
        .and_then(|name| names.get(name))
        .cloned();
    if let (Some(mapped), Some(slot)) = (mapped, spec.get_mut(field)) {
        *slot = mapped.into();
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}
