//! Which carried objects belong to components: they go where those go and nowhere else.

use serde_json::{Map, Value};

use super::Input;
use crate::interpret::pod_template;

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
    let Some(selector) = object.pointer("/spec/selector") else {
        return Vec::new();
    };
    let selected = components.iter().filter(|component| {
        let manifest = input.workload.spec.manifests.get(component.manifest);
        let template = manifest.and_then(|m| pod_template(&m.0, component.kind));
        let labels = template
            .and_then(|t| t.pointer("/metadata/labels"))
            .and_then(Value::as_object);
        selects(selector, labels.unwrap_or(&Map::new()))
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

/// Whether a label selector selects these labels; an empty one selects everything.
fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let value = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .is_none_or(|wanted| {
            wanted
                .iter()
                .all(|(key, want)| value(key).is_some() && value(key) == want.as_str())
        });
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal
        && expressions.into_iter().flatten().all(|expression| {
            let found = expression
                .get("key")
                .and_then(Value::as_str)
                .and_then(value);
            let values = expression.get("values").and_then(Value::as_array);
            let among = || {
                values.is_some_and(|v| {
                    v.iter()
                        .any(|one| one.as_str().is_some() && one.as_str() == found)
                })
            };
            match expression.get("operator").and_then(Value::as_str) {
                Some("In") => among(),
                Some("NotIn") => !among(),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}
