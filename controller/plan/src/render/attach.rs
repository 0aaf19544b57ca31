//! Which carried objects belong to components: they go where those go and nowhere else.

use serde_json::Value;

use super::Input;
use crate::interpret::budget;

/// The components that a carried manifest belongs to: the target of an autoscaler, the pods of a
/// PodDisruptionBudget. None: it goes to every member of the decision.
pub(super) fn components<'a>(index: usize, object: &Value, input: &Input<'a>) -> Vec<&'a str> {
    let components = &input.interpreted.components;
    if let Some(scaled) = components
        .iter()
        .find(|c| c.hpa.is_some_and(|h| h.manifest == index))
    {
        return vec![&scaled.request.name];
    }
    if let Some(target) = target(object) {
        return components
            .iter()
            .map(|c| c.request.name.as_str())
            .filter(|name| *name == target)
            .collect();
    }
    if object.get("kind").and_then(Value::as_str) != Some("PodDisruptionBudget") {
        return Vec::new();
    }
    let selected = components.iter().filter(|component| {
        let manifest = input.workload.spec.manifests.get(component.manifest);
        manifest.is_some_and(|manifest| budget::covers(object, &manifest.0, component.kind))
    });
    selected
        .map(|component| component.request.name.as_str())
        .collect()
}

/// `Kind/name` of what an autoscaler of any group scales.
fn target(object: &Value) -> Option<String> {
    let reference = ["/spec/scaleTargetRef", "/spec/targetRef"]
        .into_iter()
        .find_map(|pointer| object.pointer(pointer))?;
    let kind = reference
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("Deployment");
    let name = reference.get("name").and_then(Value::as_str)?;
    Some(format!("{kind}/{name}"))
}
