//! How replicas are set when manifests are rendered for one member.

use serde_json::{Map, Value};

use super::kinds::ComponentKind;

/// One member's part of a component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Replicas on this member.
    pub replicas: i64,
    /// Replicas on the members before it, in the order of their names.
    pub before: i64,
    /// Replicas on all members.
    pub total: i64,
}

impl Share {
    /// All replicas on one member (or all of them on every member, for `Duplicated`).
    pub const fn whole(replicas: i64) -> Self {
        Self {
            replicas,
            before: 0,
            total: replicas,
        }
    }

    /// Whether this member has everything.
    pub const fn is_whole(self) -> bool {
        self.replicas == self.total
    }

    /// This member's part of another number that divides as the replicas do. The parts of all
    /// members sum to it, and a part of no more than `total` is no more than the replicas.
    pub fn part(self, amount: i64) -> i64 {
        if self.total <= 0 {
            return 0;
        }
        let upto = |replicas: i64| {
            let part = i128::from(amount) * i128::from(replicas) / i128::from(self.total);
            i64::try_from(part).unwrap_or(i64::MAX)
        };
        upto(self.before.saturating_add(self.replicas)).saturating_sub(upto(self.before))
    }
}

/// The shares of members, from their replicas in the order of their names.
pub fn shares(replicas: &[i64]) -> Vec<Share> {
    let total = replicas.iter().fold(0_i64, |sum, r| sum.saturating_add(*r));
    let mut before = 0_i64;
    let mut shares = Vec::with_capacity(replicas.len());
    for replicas in replicas.iter().copied() {
        shares.push(Share {
            replicas,
            before,
            total,
        });
        before = before.saturating_add(replicas);
    }
    shares
}

/// The parts of a number that is divided in proportion to replicas, by largest remainder and among
/// equal ones the first: they sum to it. Where it is no less than all replicas, no part is less than
/// its own, so none is empty. Without replicas every part is 0.
pub fn by_largest_remainder(amount: i64, replicas: &[i64]) -> Vec<i64> {
    if replicas.iter().all(|of| *of <= 0) {
        return vec![0; replicas.len()];
    }
    heyun_scheduler::largest_remainder(replicas, amount)
}

fn spec_mut(manifest: &mut Value) -> Option<&mut Map<String, Value>> {
    let spec = manifest
        .as_object_mut()?
        .entry("spec")
        .or_insert_with(|| Value::Object(Map::new()));
    spec.as_object_mut()
}

fn number(spec: &Map<String, Value>, field: &str) -> Option<i64> {
    spec.get(field).and_then(Value::as_i64)
}

/// Sets a member's replicas in the manifest of a component.
///
/// - Deployment, ReplicaSet, ReplicationController: `spec.replicas`.
/// - StatefulSet: `spec.replicas`, and where it is divided `spec.ordinals.start`, so that no
///   ordinal is there twice. It moves with `share.before`: who keeps ordinals where they are says
///   so by `before`.
/// - Job: where it is divided, `spec.parallelism`; its completions are [`set_completions`]'s.
/// - DaemonSet, CronJob and Pod stay as they are.
pub fn set_replicas(manifest: &mut Value, kind: ComponentKind, share: Share) {
    let Some(spec) = spec_mut(manifest) else {
        return;
    };
    match kind {
        ComponentKind::Deployment
        | ComponentKind::ReplicaSet
        | ComponentKind::ReplicationController => {
            spec.insert("replicas".to_owned(), share.replicas.into());
        }
        ComponentKind::StatefulSet => {
            spec.insert("replicas".to_owned(), share.replicas.into());
            if !share.is_whole() {
                set_first_ordinal(spec, share);
            }
        }
        ComponentKind::Job if !share.is_whole() => {
            spec.insert("parallelism".to_owned(), share.replicas.into());
        }
        ComponentKind::Job
        | ComponentKind::DaemonSet
        | ComponentKind::CronJob
        | ComponentKind::Pod => {}
    }
}

/// Sets a member's part of the completions of a Job that is divided.
pub fn set_completions(manifest: &mut Value, part: i64) {
    if let Some(spec) = spec_mut(manifest) {
        spec.insert("completions".to_owned(), part.into());
    }
}

/// The completions of a Job, if it says how many.
pub fn completions(manifest: &Value) -> Option<i64> {
    manifest.pointer("/spec/completions")?.as_i64()
}

fn set_first_ordinal(spec: &mut Map<String, Value>, share: Share) {
    let ordinals = spec
        .entry("ordinals")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(ordinals) = ordinals.as_object_mut() {
        let first = number(ordinals, "start").unwrap_or(0);
        ordinals.insert(
            "start".to_owned(),
            first.saturating_add(share.before).into(),
        );
    }
}

/// Sets a member's part of the bounds in the manifest of the HPA that scales a component; both
/// are at least 1, the least that an HPA allows. A whole share leaves the manifest as it is.
pub fn set_hpa_bounds(manifest: &mut Value, share: Share) {
    let Some(spec) = spec_mut(manifest).filter(|_| !share.is_whole()) else {
        return;
    };
    let (min, max) = (
        number(spec, "minReplicas").unwrap_or(1),
        number(spec, "maxReplicas"),
    );
    let part_of_min = share.part(min).max(1);
    spec.insert("minReplicas".to_owned(), part_of_min.into());
    if let Some(max) = max {
        spec.insert(
            "maxReplicas".to_owned(),
            share.part(max).max(part_of_min).into(),
        );
    }
}

/// Lowers the bounds of an HPA to the most replicas that are charged.
pub(crate) fn cap_hpa_bounds(manifest: &mut Value, most: i64) {
    let Some(spec) = spec_mut(manifest) else {
        return;
    };
    for field in ["minReplicas", "maxReplicas"] {
        if number(spec, field).is_some_and(|bound| bound > most) {
            spec.insert(field.to_owned(), most.into());
        }
    }
}

/// The pod template of a component's manifest: an object with `metadata` and `spec`. For a Pod it
/// is the manifest itself.
pub fn pod_template(manifest: &Value, kind: ComponentKind) -> Option<&Value> {
    manifest.pointer(kind.template_pointer())
}

/// The same, to change: the renderer adds labels, affinity and tolerations there.
pub fn pod_template_mut(manifest: &mut Value, kind: ComponentKind) -> Option<&mut Value> {
    manifest.pointer_mut(kind.template_pointer())
}

/// The pod selector of a component's manifest as text (`app=web,tier in (a,b)`), for the scale
/// subresource; empty when it has none.
pub fn label_selector(manifest: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut parts: Vec<String> = Vec::new();
    let selector = manifest.pointer("/spec/selector");
    let labels = selector
        .and_then(|s| s.get("matchLabels"))
        .and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        parts.push(format!("{key}={}", text(value)));
    }
    let expressions = selector
        .and_then(|s| s.get("matchExpressions"))
        .and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let key = expression.get("key").map(text).unwrap_or_default();
        let values = expression.get("values").and_then(Value::as_array);
        let values = values.map(|v| v.iter().map(text).collect::<Vec<_>>().join(","));
        let values = values.unwrap_or_default();
        match expression.get("operator").and_then(Value::as_str) {
            Some("In") => parts.push(format!("{key} in ({values})")),
            Some("NotIn") => parts.push(format!("{key} notin ({values})")),
            Some("Exists") => parts.push(key),
            Some("DoesNotExist") => parts.push(format!("!{key}")),
            _ => {}
        }
    }
    parts.join(",")
}
