//! How an object on a member fares: what is kept of `heyun_plan::health`'s verdict.

use heyun_crds::common::Finished;
use heyun_plan::{finished, health};
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

/// How an object fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessed {
    /// True when it is healthy as its kind defines it.
    pub healthy: bool,
    /// Replicas that are wanted, for kinds that have them.
    pub desired: Option<i32>,
    /// Replicas that are ready, for kinds that have them.
    pub ready: Option<i32>,
    /// Reason code of what stands in the way; empty: nothing.
    pub reason: String,
    /// The same as a sentence.
    pub message: String,
    /// That it ran to its end; of which generation it does not know.
    pub finished: Option<Finished>,
}

/// Judges an object by its kind; takes it, so that nothing is copied.
pub(crate) fn assess(object: DynamicObject) -> Assessed {
    let mut metadata = Map::new();
    metadata.insert("generation".into(), json!(object.metadata.generation));
    metadata.insert(
        "deletionTimestamp".into(),
        json!(object.metadata.deletion_timestamp),
    );
    let mut value = object.data;
    if let Some(fields) = value.as_object_mut() {
        let types = object.types.unwrap_or_default();
        fields.insert("apiVersion".into(), Value::String(types.api_version));
        fields.insert("kind".into(), Value::String(types.kind));
        fields.insert("metadata".into(), Value::Object(metadata));
    }
    let health = health::assess(&value);
    let healthy = health.healthy == Some(true);
    Assessed {
        healthy,
        desired: health.desired,
        ready: health.ready,
        reason: if healthy {
            String::new()
        } else {
            health.reason.to_owned()
        },
        message: health.message,
        finished: finished::of(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_judged_by_its_status_and_generation() {
        let object = |observed: i64| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "generation": 2},
                "spec": {"replicas": 2},
                "status": {"observedGeneration": observed, "replicas": 2, "readyReplicas": 2,
                    "updatedReplicas": 2, "availableReplicas": 2}
            }))
            .unwrap()
        };
        let well = assess(object(2));
        assert!(well.healthy && well.reason.is_empty(), "{well:?}");
        assert_eq!((well.desired, well.ready), (Some(2), Some(2)));
        let behind = assess(object(1));
        assert!(
            !behind.healthy && behind.reason == "Progressing",
            "{behind:?}"
        );
    }
}
