#![expect(clippy::too_many_lines, reason = "tables of cases")]

use serde_json::json;

use super::*;

fn object(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "generation": 2},
        "spec": spec, "status": status,
    })
}

fn merged(base: &Value, more: &Value) -> Value {
    let mut all = base.clone();
    for (key, value) in more.as_object().expect("an object") {
        all[key] = value.clone();
    }
    all
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"conditions": [{"type": kind, "status": status, "reason": reason, "message": "why"}]})
}

/// Each row: what differs from a healthy object, the reason, a part of the message.
fn check(api: &str, kind: &str, spec: &Value, healthy: &Value, rows: &[(Value, &str, &str)]) {
    let told = assess(&object(api, kind, spec.clone(), healthy.clone()));
    assert_eq!(
        (told.healthy, told.reason, told.message.as_str()),
        (Some(true), HEALTHY, ""),
        "{kind}"
    );
    for (change, reason, message) in rows {
        let told = assess(&object(api, kind, spec.clone(), merged(healthy, change)));
        assert_eq!(told.reason, *reason, "{kind} {change}: {}", told.message);
        assert_eq!(told.healthy, Some(*reason == HEALTHY), "{kind} {change}");
        assert!(
            told.message.contains(message),
            "{kind} {change}: {}",
            told.message
        );
    }
}

#[test]
fn deployments() {
    let healthy = json!({
        "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
        "availableReplicas": 3,
    });
    check(
        "apps/v1",
        "Deployment",
        &json!({"replicas": 3}),
        &healthy,
        &[
            (
                json!({"observedGeneration": 1}),
                PROGRESSING,
                "generation 2 is not observed yet",
            ),
            (
                json!({"replicas": 2}),
                PROGRESSING,
                "2 of 3 replicas are created",
            ),
            (
                json!({"updatedReplicas": 1}),
                PROGRESSING,
                "1 of 3 replicas are updated",
            ),
            (
                json!({"replicas": 4}),
                PROGRESSING,
                "1 replicas of an older revision",
            ),
            (
                json!({"readyReplicas": 2}),
                PROGRESSING,
                "2 of 3 replicas are ready",
            ),
            (
                json!({"availableReplicas": 2}),
                PROGRESSING,
                "2 of 3 replicas are available",
            ),
            (
                condition("Available", "False", "Min"),
                PROGRESSING,
                "Available is False: Min why",
            ),
            (
                condition("Progressing", "False", "ProgressDeadlineExceeded"),
                FAILED,
                "no progress in time",
            ),
            (
                condition("ReplicaFailure", "True", "FailedCreate"),
                FAILED,
                "FailedCreate why",
            ),
        ],
    );
    let told = assess(&object(
        "apps/v1",
        "Deployment",
        json!({"replicas": 3}),
        json!({}),
    ));
    assert_eq!((told.desired, told.ready), (Some(3), Some(0)));
    let none = assess(&object(
        "apps/v1",
        "Deployment",
        json!({"replicas": 0}),
        json!({"observedGeneration": 2}),
    ));
    assert_eq!((none.healthy, none.desired), (Some(true), Some(0)));
}

#[test]
fn stateful_sets() {
    let healthy = json!({
        "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3,
        "currentRevision": "a", "updateRevision": "a",
    });
    let rows = [
        (
            json!({"readyReplicas": 1}),
            PROGRESSING,
            "1 of 3 replicas are ready",
        ),
        (json!({"replicas": 5}), PROGRESSING, "2 replicas too many"),
        (
            json!({"updateRevision": "b", "updatedReplicas": 1}),
            PROGRESSING,
            "1 of 3 replicas have revision b",
        ),
    ];
    check(
        "apps/v1",
        "StatefulSet",
        &json!({"replicas": 3}),
        &healthy,
        &rows,
    );
    let on_delete = json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}});
    let rows = [(json!({"updateRevision": "b"}), HEALTHY, "")];
    check("apps/v1", "StatefulSet", &on_delete, &healthy, &rows);
    let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
    let rows = [
        (
            json!({"updateRevision": "b", "updatedReplicas": 1}),
            HEALTHY,
            "",
        ),
        (
            json!({"updateRevision": "b", "updatedReplicas": 0}),
            PROGRESSING,
            "0 of 1 replicas are updated",
        ),
    ];
    check("apps/v1", "StatefulSet", &partition, &healthy, &rows);
}

#[test]
fn daemon_and_replica_sets() {
    let healthy = json!({
        "observedGeneration": 2, "desiredNumberScheduled": 4, "currentNumberScheduled": 4,
        "updatedNumberScheduled": 4, "numberAvailable": 4, "numberReady": 4,
    });
    check(
        "apps/v1",
        "DaemonSet",
        &json!({}),
        &healthy,
        &[
            (
                json!({"numberReady": 3}),
                PROGRESSING,
                "3 of 4 replicas are ready",
            ),
            (
                json!({"updatedNumberScheduled": 3}),
                PROGRESSING,
                "3 of 4 replicas are updated",
            ),
        ],
    );
    let told = assess(&object(
        "apps/v1",
        "DaemonSet",
        json!({}),
        json!({"observedGeneration": 2}),
    ));
    assert_eq!(told.reason, PROGRESSING);
    let healthy =
        json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    for (api, kind) in [("apps/v1", "ReplicaSet"), ("v1", "ReplicationController")] {
        check(
            api,
            kind,
            &json!({}),
            &healthy,
            &[
                (
                    json!({"readyReplicas": 0}),
                    PROGRESSING,
                    "0 of 1 replicas are ready",
                ),
                (json!({"replicas": 2}), PROGRESSING, "1 replicas too many"),
            ],
        );
    }
}

#[test]
fn jobs() {
    let healthy = json!({"startTime": "2026-01-01T00:00:00Z", "ready": 1});
    let spec = json!({"parallelism": 3, "completions": 2});
    check(
        "batch/v1",
        "Job",
        &spec,
        &healthy,
        &[
            (
                condition("Failed", "True", "BackoffLimitExceeded"),
                FAILED,
                "BackoffLimitExceeded why",
            ),
            (
                condition("Complete", "True", "CompletionsReached"),
                HEALTHY,
                "",
            ),
        ],
    );
    let told = assess(&object("batch/v1", "Job", spec.clone(), healthy));
    assert_eq!((told.desired, told.ready), (Some(2), Some(1)));
    let done = assess(&object(
        "batch/v1",
        "Job",
        spec,
        condition("Complete", "True", ""),
    ));
    assert_eq!((done.desired, done.ready), (Some(2), Some(2)));
    let waiting = assess(&object("batch/v1", "Job", json!({}), json!({})));
    assert_eq!(waiting.reason, PROGRESSING);
    let cron = assess(&object("batch/v1", "CronJob", json!({}), json!({})));
    assert_eq!((cron.healthy, cron.desired), (Some(true), None));
}

#[test]
fn pods() {
    let ready = merged(
        &json!({"phase": "Running"}),
        &condition("Ready", "True", ""),
    );
    let waiting = json!([{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}]);
    check(
        "v1",
        "Pod",
        &json!({}),
        &ready,
        &[
            (json!({"phase": "Succeeded"}), HEALTHY, ""),
            (
                json!({"phase": "Failed", "reason": "Evicted"}),
                FAILED,
                "ended with failure: Evicted",
            ),
            (
                condition("Ready", "False", ""),
                PROGRESSING,
                "is running and not ready",
            ),
            (
                merged(
                    &condition("PodScheduled", "False", "Unschedulable"),
                    &json!({"phase": "Pending"}),
                ),
                PROGRESSING,
                "Unschedulable why",
            ),
            (
                json!({"phase": "Pending", "containerStatuses": waiting}),
                FAILED,
                "container c waits: ImagePullBackOff no",
            ),
        ],
    );
    let told = assess(&object("v1", "Pod", json!({}), ready));
    assert_eq!((told.desired, told.ready), (Some(1), Some(1)));
}

#[test]
fn what_runs_no_pods() {
    check(
        "v1",
        "PersistentVolumeClaim",
        &json!({}),
        &json!({"phase": "Bound"}),
        &[
            (json!({"phase": "Pending"}), PROGRESSING, "not bound"),
            (json!({"phase": "Lost"}), FAILED, "lost"),
        ],
    );
    check(
        "v1",
        "Service",
        &json!({"clusterIP": "10.0.0.1", "type": "LoadBalancer"}),
        &json!({}),
        &[],
    );
    let no_address = assess(&object(
        "v1",
        "Service",
        json!({"type": "LoadBalancer"}),
        json!({}),
    ));
    assert_eq!(no_address.reason, PROGRESSING);
    check(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        &json!({}),
        &condition("ScalingActive", "False", "x"),
        &[(
            condition("AbleToScale", "False", "FailedGetScale"),
            PROGRESSING,
            "FailedGetScale",
        )],
    );
    check(
        "policy/v1",
        "PodDisruptionBudget",
        &json!({}),
        &json!({"observedGeneration": 2}),
        &[(
            json!({"observedGeneration": 1}),
            PROGRESSING,
            "not observed",
        )],
    );
    check(
        "networking.k8s.io/v1",
        "Ingress",
        &json!({}),
        &json!({}),
        &[],
    );
    check("v1", "ConfigMap", &json!({}), &json!({}), &[]);
    check(
        "stable.example.com/v1",
        "CronTab",
        &json!({}),
        &json!({}),
        &[
            (
                condition("Ready", "False", "x"),
                PROGRESSING,
                "Ready is False: x why",
            ),
            (
                condition("Available", "Unknown", "x"),
                PROGRESSING,
                "Available is Unknown",
            ),
            (condition("Stalled", "True", "x"), FAILED, "Stalled"),
            (
                condition("Reconciling", "True", "x"),
                PROGRESSING,
                "Reconciling",
            ),
            (condition("Ready", "True", "x"), HEALTHY, ""),
            (
                json!({"observedGeneration": 1}),
                PROGRESSING,
                "not observed",
            ),
        ],
    );
}

#[test]
fn what_is_being_deleted_or_no_object() {
    let mut leaving = object("v1", "ConfigMap", json!({}), json!({}));
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(assess(&leaving).reason, TERMINATING);
    assert_eq!(assess(&json!("text")).healthy, None);
    assert_eq!(assess(&json!({})).reason, UNKNOWN);
}
