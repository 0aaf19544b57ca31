//! HorizontalPodAutoscalers among the manifests.

use super::Component;
use super::error::ManifestError;
use super::kinds::group_of;
use super::object::Object;
use super::read::{At, Notes};

/// A HorizontalPodAutoscaler that scales a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpa {
    /// Index of its manifest.
    pub manifest: usize,
    /// `minReplicas`; 1 when it is absent.
    pub min: i64,
    /// `maxReplicas`.
    pub max: i64,
}

/// Finds the autoscaler of each component.
pub(crate) fn attach(
    objects: &[Object<'_>],
    components: &mut [Component],
    errors: &mut Vec<ManifestError>,
) {
    for object in objects {
        let group = group_of(&object.key.api_version);
        if group == "autoscaling" && object.key.kind == "HorizontalPodAutoscaler" {
            attach_one(object, components, errors);
        }
    }
}

fn attach_one(object: &Object<'_>, components: &mut [Component], errors: &mut Vec<ManifestError>) {
    let mut notes = Notes::new(&object.place, errors);
    let root = At::root(object.value);
    let Some(spec) = notes.required(&root, "spec") else {
        return;
    };
    let Some(target) = notes.required(&spec, "scaleTargetRef") else {
        return;
    };
    let kind = notes.required_text(&target, "kind");
    let name = notes.required_text(&target, "name");
    let min = notes.count(&spec, "minReplicas").unwrap_or(1);
    if spec.get("maxReplicas").is_none() {
        notes.add(
            "spec.maxReplicas",
            "is missing",
            "add it: the most replicas there may be",
        );
    }
    let (Some(kind), Some(name), Some(max)) = (kind, name, notes.count(&spec, "maxReplicas"))
    else {
        return;
    };
    if max < 1 || max < min {
        let problem = format!(
            "{max} is less than the least number of replicas ({})",
            min.max(1)
        );
        notes.add(
            "spec.maxReplicas",
            problem,
            "raise it, or lower spec.minReplicas",
        );
        return;
    }
    let wanted = format!("{kind}/{name}");
    // A target that is not among the manifests is none of ours: the autoscaler is carried along.
    let Some(component) = components.iter_mut().find(|c| c.request.name == wanted) else {
        return;
    };
    if !component.kind.is_scalable() {
        let problem = format!("{wanted} has no replicas to scale");
        notes.add(
            "spec.scaleTargetRef",
            problem,
            "name a Deployment, ReplicaSet or StatefulSet",
        );
        return;
    }
    if let Some(other) = component.hpa {
        let problem = format!(
            "{wanted} is scaled by manifests[{}] already",
            other.manifest
        );
        notes.add(
            "spec.scaleTargetRef",
            problem,
            "remove one of the two autoscalers",
        );
        return;
    }
    component.hpa = Some(Hpa {
        manifest: object.index,
        min,
        max,
    });
}
