//! What a Work wants on its member, object by object. Pure.

use std::collections::BTreeSet;

use heyun_crds::labels;
use heyun_crds::work::{CarriedSecret, Work};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value, json};

use crate::hash;
use crate::seen::{APPLIED_HASH, KindKey, ObjectKey};

/// One object that a Work wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// What it is called.
    pub key: ObjectKey,
    /// Hash of what is to be applied, without epoch and decision.
    pub hash: String,
    /// What is to be applied.
    pub content: Content,
    /// True when an autoscaler of the same Work owns `spec.replicas` once the object is there.
    pub autoscaled: bool,
}

/// Where the content of an object comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A manifest of the Work.
    Manifest(Value),
    /// A Secret beside the Work: its payload is read only when it must be written.
    Secret(CarriedSecret),
}

/// A manifest that names no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nameless {
    /// Its place in `spec.manifests`.
    pub index: usize,
}

/// Everything that a Work wants: Secrets first, then its manifests in order.
pub(crate) fn all(work: &Work) -> Result<Vec<Wanted>, Nameless> {
    let namespace = &work.spec.workload.namespace;
    let autoscaled = autoscaled(work);
    let mut wanted: Vec<Wanted> = work
        .spec
        .secrets
        .iter()
        .map(|secret| carried(namespace, secret))
        .collect();
    for (index, manifest) in work.spec.manifests.iter().enumerate() {
        let text = |pointer: &str| manifest.0.pointer(pointer).and_then(Value::as_str);
        let (Some(api_version), Some(kind), Some(name)) =
            (text("/apiVersion"), text("/kind"), text("/metadata/name"))
        else {
            return Err(Nameless { index });
        };
        let key = ObjectKey {
            kind: KindKey {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            },
            namespace: namespace.clone(),
            name: name.to_owned(),
        };
        let autoscaled = autoscaled.contains(&(kind.to_owned(), name.to_owned()));
        let hash = hash::of(&without_passing(&manifest.0, autoscaled));
        let content = Content::Manifest(manifest.0.clone());
        wanted.push(Wanted {
            key,
            hash,
            content,
            autoscaled,
        });
    }
    Ok(wanted)
}

fn carried(namespace: &str, secret: &CarriedSecret) -> Wanted {
    let kind = KindKey {
        api_version: "v1".into(),
        kind: "Secret".into(),
    };
    Wanted {
        key: ObjectKey {
            kind,
            namespace: namespace.to_owned(),
            name: secret.name.clone(),
        },
        hash: hash::of(&json!([secret.name, secret.hash])),
        content: Content::Secret(secret.clone()),
        autoscaled: false,
    }
}

/// Kind and name of what the autoscalers of a Work scale.
fn autoscaled(work: &Work) -> BTreeSet<(String, String)> {
    let manifests = work.spec.manifests.iter();
    let autoscalers = manifests.filter(|m| {
        m.0.pointer("/kind").and_then(Value::as_str) == Some("HorizontalPodAutoscaler")
    });
    autoscalers
        .filter_map(|m| {
            let text = |field: &str| {
                m.0.pointer(&format!("/spec/scaleTargetRef/{field}"))
                    .and_then(Value::as_str)
            };
            Some((text("kind")?.to_owned(), text("name")?.to_owned()))
        })
        .collect()
}

/// The manifest without what is not rewritten for its own sake.
fn without_passing(manifest: &Value, autoscaled: bool) -> Value {
    let mut manifest = manifest.clone();
    let annotations = manifest.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        for passing in [labels::EPOCH, labels::DECISION, labels::TRACEPARENT] {
            annotations.remove(passing);
        }
    }
    if autoscaled && let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("replicas");
    }
    manifest
}

/// What an apply needs besides the content.
#[derive(Clone, Debug)]
pub(crate) struct Stamp<'a> {
    /// The Work.
    pub work: &'a Work,
    /// Number of the leader, as the member's fence counts.
    pub number: i64,
    /// uid of the object that is there: it must still be the same.
    pub uid: Option<&'a str>,
    /// `spec.replicas` of the object that is there, where an autoscaler owns it.
    pub replicas: Option<i64>,
}

/// The full intent for a manifest.
pub(crate) fn intent(wanted: &Wanted, manifest: &Value, stamp: &Stamp<'_>) -> Value {
    let mut intent = manifest.clone();
    if let Some(fields) = intent.as_object_mut() {
        fields.remove("status");
        if let (true, Some(replicas)) = (wanted.autoscaled, stamp.replicas)
            && let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut)
        {
            spec.insert("replicas".into(), json!(replicas));
        }
        mark(fields, wanted, stamp);
    }
    intent
}

/// The full intent for a Secret.
pub(crate) fn secret_intent(wanted: &Wanted, payload: &Secret, stamp: &Stamp<'_>) -> Value {
    let mut intent = Map::new();
    intent.insert("apiVersion".into(), json!("v1"));
    intent.insert("kind".into(), json!("Secret"));
    intent.insert("metadata".into(), json!({"name": wanted.key.name}));
    intent.insert(
        "type".into(),
        json!(payload.type_.as_deref().unwrap_or("Opaque")),
    );
    intent.insert("data".into(), json!(payload.data));
    let workload = stamp
        .work
        .metadata
        .labels
        .as_ref()
        .and_then(|l| l.get(labels::WORKLOAD));
    let own = [
        (labels::MANAGED_BY, Some(labels::MANAGER)),
        (labels::WORKLOAD, workload.map(String::as_str)),
    ];
    let metadata = child(&mut intent, "metadata");
    let set = child(metadata, "labels");
    for (key, value) in own {
        if let Some(value) = value {
            set.insert(key.to_owned(), json!(value));
        }
    }
    mark(&mut intent, wanted, stamp);
    Value::Object(intent)
}

fn mark(fields: &mut Map<String, Value>, wanted: &Wanted, stamp: &Stamp<'_>) {
    let metadata = child(fields, "metadata");
    metadata.remove("creationTimestamp");
    metadata.insert("namespace".into(), json!(wanted.key.namespace));
    if let Some(uid) = stamp.uid {
        metadata.insert("uid".into(), json!(uid));
    }
    let work = stamp.work.metadata.name.as_deref().unwrap_or_default();
    child(metadata, "labels").insert(labels::WORK.to_owned(), json!(work));
    let annotations = child(metadata, "annotations");
    annotations.insert(labels::EPOCH.to_owned(), json!(stamp.number.to_string()));
    annotations.insert(labels::DECISION.to_owned(), json!(stamp.work.spec.decision));
    annotations.insert(APPLIED_HASH.to_owned(), json!(wanted.hash));
    annotations.remove(labels::RETIRE);
}

/// A field that is an object; made where it is absent or no object.
fn child<'v>(map: &'v mut Map<String, Value>, field: &str) -> &'v mut Map<String, Value> {
    let slot = map
        .entry(field)
        .or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        // It was made an object just now.
        _ => unreachable!(),
    }
}

#[cfg(test)]
mod tests {
    use heyun_crds::work::WorkSpec;
    use heyun_crds::workload::Manifest;

    use super::*;

    pub(crate) fn work(manifests: Vec<Value>) -> Work {
        let spec = WorkSpec {
            manifests: manifests.into_iter().map(Manifest).collect(),
            workload: heyun_crds::work::WorkloadKey {
                namespace: "gz-a".into(),
                name: "web".into(),
                ..Default::default()
            },
            decision: "d1".into(),
            ..WorkSpec::default()
        };
        Work::new("web-0123456789", spec)
    }

    fn deployment(epoch: &str, replicas: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {labels::EPOCH: epoch, "a": "b"}},
            "spec": {"replicas": replicas}})
    }

    fn autoscaler() -> Value {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}})
    }

    #[test]
    fn the_hash_does_not_see_epochs_and_decisions_but_everything_else() {
        let hash = |m: Value| all(&work(vec![m])).unwrap()[0].hash.clone();
        assert_eq!(hash(deployment("1", 3)), hash(deployment("2", 3)));
        assert_ne!(hash(deployment("1", 3)), hash(deployment("1", 4)));
    }

    #[test]
    fn replicas_under_an_autoscaler_stay_what_they_are() {
        let work = work(vec![deployment("1", 3), autoscaler()]);
        let wanted = all(&work).unwrap();
        assert!(wanted[0].autoscaled && !wanted[1].autoscaled);
        let stamp = Stamp {
            work: &work,
            number: 7,
            uid: Some("u"),
            replicas: Some(9),
        };
        let Content::Manifest(manifest) = &wanted[0].content else {
            panic!("a manifest")
        };
        let intent = intent(&wanted[0], manifest, &stamp);
        assert_eq!(intent.pointer("/spec/replicas"), Some(&json!(9)));
        assert_eq!(intent.pointer("/metadata/uid"), Some(&json!("u")));
        let annotations = &intent["metadata"]["annotations"];
        assert_eq!(annotations[labels::EPOCH], "7");
        assert_eq!(annotations[labels::DECISION], "d1");
        assert_eq!(annotations["a"], "b");
        assert_eq!(intent["metadata"]["labels"][labels::WORK], "web-0123456789");
    }

    #[test]
    fn a_manifest_without_a_name_is_found_by_its_place() {
        let work = work(vec![
            deployment("1", 1),
            json!({"apiVersion": "v1", "kind": "Service"}),
        ]);
        assert_eq!(all(&work), Err(Nameless { index: 1 }));
    }
}
