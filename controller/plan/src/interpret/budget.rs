//! PodDisruptionBudgets among the manifests: how many replicas are never taken for others.

use serde_json::{Map, Value};

use super::Component;
use super::kinds::{ComponentKind, group_of};
use super::object::Object;
use super::replicas::pod_template;

/// What a PodDisruptionBudget leaves of the replicas on one member. The member enforces it there, for
/// the pods that it has; so it is counted by member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// So many stay.
    Available(Count),
    /// So many may go.
    Unavailable(Count),
}

/// A number, or percent of the replicas, rounded up as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Number(i64),
    /// So many percent.
    Percent(i64),
}

impl Count {
    fn read(value: &Value) -> Option<Self> {
        if let Some(number) = value.as_i64() {
            return Some(Self::Number(number.max(0)));
        }
        let percent = value.as_str()?.strip_suffix('%')?.parse::<i64>();
        percent.ok().map(|percent| Self::Percent(percent.max(0)))
    }

    fn of(self, replicas: i64) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => {
                let hundredths = i128::from(replicas) * i128::from(percent);
                i64::try_from((hundredths + 99) / 100).unwrap_or(i64::MAX)
            }
        }
    }
}

impl Floor {
    /// What a budget says. What cannot be read keeps all of them.
    fn read(budget: &Value) -> Self {
        let count = |field: &str| budget.pointer("/spec")?.get(field).map(Count::read);
        match (count("minAvailable"), count("maxUnavailable")) {
            (Some(Some(count)), _) => Self::Available(count),
            (None, Some(Some(count))) => Self::Unavailable(count),
            (Some(None), _) | (None, Some(None)) => Self::Unavailable(Count::Number(0)),
            // Kubernetes takes a budget without either for one that keeps nothing.
            (None, None) => Self::Available(Count::Number(0)),
        }
    }

    /// How many of so many replicas on one member stay.
    pub fn keeps(self, replicas: i64) -> i64 {
        let keeps = match self {
            Self::Available(count) => count.of(replicas),
            Self::Unavailable(count) => replicas.saturating_sub(count.of(replicas)),
        };
        keeps.clamp(0, replicas.max(0))
    }
}

impl Component {
    /// How many of so many replicas on one member are never taken for others: what its budgets keep,
    /// and all where it holds data that does not move.
    pub fn keeps(&self, replicas: i64) -> i64 {
        if self.request.pinned_data {
            return replicas.max(0);
        }
        let floors = self.floors.iter().map(|floor| floor.keeps(replicas));
        floors.max().unwrap_or(0)
    }
}

/// Finds the budgets of each component.
pub(super) fn attach(objects: &[Object<'_>], components: &mut [Component]) {
    let is_budget = |object: &&Object<'_>| {
        object.key.kind == "PodDisruptionBudget" && group_of(&object.key.api_version) == "policy"
    };
    for budget in objects.iter().filter(is_budget) {
        for component in components.iter_mut() {
            let manifest = objects.iter().find(|of| of.index == component.manifest);
            if manifest.is_some_and(|of| covers(budget.value, of.value, component.kind)) {
                component.floors.push(Floor::read(budget.value));
            }
        }
    }
}

/// Whether a PodDisruptionBudget selects the pods of a manifest.
pub(crate) fn covers(budget: &Value, manifest: &Value, kind: ComponentKind) -> bool {
    let Some(selector) = budget.pointer("/spec/selector") else {
        return false;
    };
    let template = pod_template(manifest, kind);
    let labels = template
        .and_then(|template| template.pointer("/metadata/labels"))
        .and_then(Value::as_object);
    selects(selector, labels.unwrap_or(&Map::new()))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_keep_what_kubernetes_would() {
        let cases = [
            (json!({"minAvailable": 2}), 5, 2),
            (json!({"minAvailable": 9}), 5, 5),
            (json!({"minAvailable": "50%"}), 5, 3),
            (json!({"maxUnavailable": 1}), 5, 4),
            (json!({"maxUnavailable": "100%"}), 5, 0),
            (json!({"maxUnavailable": "30%"}), 5, 3),
            (json!({}), 5, 0),
            // What cannot be read keeps everything.
            (json!({"minAvailable": "half"}), 5, 5),
            (json!({"maxUnavailable": true}), 5, 5),
        ];
        for (spec, replicas, keeps) in cases {
            let floor = Floor::read(&json!({"spec": spec}));
            assert_eq!(floor.keeps(replicas), keeps, "{spec}");
        }
    }
}
