use super::*;
use crate::labels::{LedgerKind, Outcome, Queue, ReconcileResult, Stage, State, Verb, WriteResult};
use crate::{CapacityRow, QuotaRow};

fn telemetry() -> Telemetry {
    Telemetry::without_subscriber(&TelemetryConfig {
        service_name: "heyun-test".into(),
        instance_id: "test-0".into(),
        ..TelemetryConfig::default()
    })
    .unwrap()
}

fn capacity(cluster: &str) -> CapacityRow {
    CapacityRow {
        cluster: cluster.into(),
        zone: "cegn-common".into(),
        mlps_level: 3,
        flavor: "general-amd64".into(),
        resource: "cpu".into(),
        allocatable: 64_500,
        requested: 1_500,
    }
}

fn quota(path: &str, resource: &str) -> QuotaRow {
    QuotaRow {
        tenant_path: path.into(),
        flavor: "general-amd64".into(),
        resource: resource.into(),
        hard: 40_000,
        used: 1_000,
        reserved: 2_000,
        borrowed: 0,
        lent: 3_000,
    }
}

fn record_everything(metrics: &Metrics) {
    metrics.decision(Outcome::Placed, "", 0.003);
    metrics.rejections("Capacity", "InsufficientCpu", 2);
    metrics.preempted("Borrowed");
    metrics.woken("QuotaReleased", 2);
    metrics.registry_question("unreachable");
    metrics.set_queue_size(Queue::Active, 7);
    metrics.set_unscheduled([("QuotaExceeded", 3)]);
    metrics.reconcile("workload", ReconcileResult::Done, "", 0.01);
    metrics.propagation("guangzhou-1", "Deployment", Stage::Applied, 1.5);
    metrics.work_write("guangzhou-1", Verb::Apply, WriteResult::Ok, "");
    metrics.drift("guangzhou-1", "kubectl-edit");
    metrics.set_cluster_status("guangzhou-1", "Ready", State::Unknown);
    metrics.set_heartbeat_age("guangzhou-1", 2.5);
    metrics.set_capacity("guangzhou-1", &[capacity("guangzhou-1")]);
    metrics.set_quota(&[
        quota("guangdong/guangzhou", "cpu"),
        quota("guangdong", "memory"),
    ]);
    metrics.quota_denial("a/b/c/d", "cpu", "CeilingReached");
    metrics.ledger_entries(LedgerKind::Decision, 4);
    metrics.set_outbox_depth(5);
    metrics.outbox_refused(1);
    metrics.ledger_commit(WriteResult::Ok, 0.2);
    metrics.set_leader(true);
}

/// The names that dashboards and alerts use, written out: they are an interface.
const EXPECTED: &[&str] = &[
    r#"heyun_scheduler_decision_duration_seconds_count{heyun_decision_outcome="placed"} 1"#,
    r#"heyun_scheduler_decisions_total{heyun_decision_outcome="placed",reason=""} 1"#,
    r#"heyun_scheduler_cluster_rejections_total{heyun_filter="Capacity",reason="InsufficientCpu"} 2"#,
    r#"heyun_scheduler_preemptions_total{heyun_claim="Borrowed"} 1"#,
    r#"heyun_scheduler_wakes_total{heyun_event="QuotaReleased"} 2"#,
    r#"heyun_registry_questions_total{error_type="unreachable"} 1"#,
    r#"heyun_scheduler_queue_size{heyun_queue="active"} 7"#,
    r#"heyun_placement_unscheduled{reason="QuotaExceeded"} 3"#,
    r#"heyun_controller_reconcile_duration_seconds_count{controller_name="workload"} 1"#,
    r#"heyun_controller_reconciles_total{controller_name="workload",error_type="",result="done"} 1"#,
    r#"heyun_propagation_duration_seconds_count{heyun_stage="applied",k8s_cluster_name="guangzhou-1",k8s_object_kind="Deployment"} 1"#,
    r#"heyun_work_writes_total{error_type="",k8s_cluster_name="guangzhou-1",result="ok",verb="apply"} 1"#,
    r#"heyun_work_drift_total{field_manager="kubectl-edit",k8s_cluster_name="guangzhou-1"} 1"#,
    r#"heyun_cluster_status{heyun_cluster_condition="Ready",k8s_cluster_name="guangzhou-1",state="unknown"} 1"#,
    r#"heyun_cluster_status{heyun_cluster_condition="Ready",k8s_cluster_name="guangzhou-1",state="true"} 0"#,
    r#"heyun_cluster_heartbeat_age_seconds{k8s_cluster_name="guangzhou-1"} 2.5"#,
    r#"heyun_cluster_capacity_cpu_allocatable{heyun_flavor="general-amd64",heyun_resource="cpu",heyun_security_level="3",heyun_zone="cegn-common",k8s_cluster_name="guangzhou-1"} 64.5"#,
    r#"heyun_cluster_capacity_cpu_requested{heyun_flavor="general-amd64",heyun_resource="cpu",heyun_security_level="3",heyun_zone="cegn-common",k8s_cluster_name="guangzhou-1"} 1.5"#,
    r#"heyun_quota_cpu_request_hard{heyun_flavor="general-amd64",heyun_resource="cpu",heyun_tenant_path="guangdong/guangzhou"} 40"#,
    r#"heyun_quota_memory_request_lent_bytes{heyun_flavor="general-amd64",heyun_resource="memory",heyun_tenant_path="guangdong"} 3000"#,
    r#"heyun_quota_denials_total{heyun_resource="cpu",heyun_tenant_path="a/b/c",reason="CeilingReached"} 1"#,
    r#"heyun_ledger_entries_total{heyun_ledger_kind="decision"} 4"#,
    "heyun_ledger_outbox_depth 5",
    "heyun_ledger_outbox_refused_total 1",
    r#"heyun_ledger_commit_duration_seconds_count{result="ok"} 1"#,
    "heyun_leader 1",
    r#"heyun_build_info{version=""#,
    r#"service_name="heyun-test""#,
];

#[test]
fn every_instrument_is_on_the_metrics_page_under_its_mechanical_name() {
    let telemetry = telemetry();
    record_everything(telemetry.metrics());
    let text = telemetry.prometheus_text().unwrap();
    for expected in EXPECTED {
        assert!(text.contains(expected), "{expected}\nis not in\n{text}");
    }
    assert!(!text.contains("_ratio"), "a gauge's unit is 1:\n{text}");
}

#[test]
fn a_member_that_left_vanishes() {
    let telemetry = telemetry();
    let metrics = telemetry.metrics();
    record_everything(metrics);
    metrics.set_heartbeat_age("panyu-1", 1.0);
    let before = telemetry.prometheus_text().unwrap();
    assert!(
        before.contains(r#"heyun_cluster_heartbeat_age_seconds{k8s_cluster_name="guangzhou-1"}"#)
    );
    metrics.forget_cluster("guangzhou-1");
    let after = telemetry.prometheus_text().unwrap();
    for gone in ["heartbeat_age", "cluster_status", "cluster_capacity"] {
        let left = after
            .lines()
            .any(|line| line.contains(gone) && line.contains("guangzhou-1"));
        assert!(!left, "{gone} is still there:\n{after}");
    }
    assert!(after.contains(r#"heyun_cluster_heartbeat_age_seconds{k8s_cluster_name="panyu-1"} 1"#));
}

#[test]
fn quota_rows_are_replaced_and_deep_tenants_left_out() {
    let telemetry = telemetry();
    let metrics = telemetry.metrics();
    metrics.set_quota(&[quota("a/b/c", "cpu"), quota("a/b/c/d", "cpu")]);
    let text = telemetry.prometheus_text().unwrap();
    assert!(text.contains(r#"heyun_tenant_path="a/b/c""#));
    assert!(!text.contains("a/b/c/d"));
    metrics.set_quota(&[quota("a", "huawei.com/ascend-910")]);
    let text = telemetry.prometheus_text().unwrap();
    assert!(!text.contains("a/b/c"));
    assert!(text.contains(r#"heyun_quota_count_request_hard{heyun_flavor="general-amd64",heyun_resource="huawei.com/ascend-910",heyun_tenant_path="a"} 40000"#), "{text}");
}

#[test]
fn a_full_board_says_so() {
    let telemetry = telemetry();
    for n in 0..2_000 {
        telemetry
            .metrics()
            .set_heartbeat_age(&format!("member-{n}"), 1.0);
    }
    let text = telemetry.prometheus_text().unwrap();
    let shown = text
        .lines()
        .filter(|it| it.starts_with("heyun_cluster_heartbeat_age"))
        .count();
    assert_eq!(shown, 1_900);
    assert!(text.contains(
        r#"heyun_telemetry_series_dropped_total{instrument="heyun.cluster.heartbeat.age"} 100"#
    ));
}

#[test]
fn bad_configuration_is_refused_with_the_value_and_the_fix() {
    let config = |endpoint: &str| TelemetryConfig {
        otlp_endpoint: Some(endpoint.into()),
        ..TelemetryConfig::default()
    };
    let error = Telemetry::without_subscriber(&config("localhost:4317"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("localhost:4317") && error.contains("http://HOST:4317"),
        "{error}"
    );
    let error = init(TelemetryConfig {
        log_filter: "info,=,".into(),
        ..TelemetryConfig::default()
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("info,=,"), "{error}");
}

/// Nothing listens there: the flush must fail, and within its bound.
#[test]
fn shutdown_is_bounded_when_nobody_answers() {
    // A listener that never accepts: connections hang, the worst case.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let telemetry = Telemetry::without_subscriber(&TelemetryConfig {
        service_name: "heyun-test".into(),
        otlp_endpoint: Some(endpoint),
        ..TelemetryConfig::default()
    })
    .unwrap();
    record_everything(telemetry.metrics());
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(telemetry.shutdown()));
    let result = ended
        .recv_timeout(SHUTDOWN_TIMEOUT * 2)
        .expect("shutdown must end");
    assert!(
        matches!(result, Err(TelemetryError::ShutdownTimeout)),
        "{result:?}"
    );
}
