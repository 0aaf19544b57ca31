//! A real OpenTelemetry Collector receives what the hub sends: one trace from the decision to the
//! member write, and the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use heyun::sandbox::HubProgram;
use heyun_sandbox::{Cache, Progress, Tool, built_binary, tool};
use serde_json::{Value, json};

use crate::common::{Ground, manifests};

fn config(address: &str, file: &Path) -> String {
    json!({
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": address}}}},
        "exporters": {"file": {"path": file, "flush_interval": "200ms"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["file"]},
                "metrics": {"receivers": ["otlp"], "exporters": ["file"]},
            },
        },
    })
    .to_string()
}

/// Names of the spans of each trace, and names of the metrics, in what the Collector wrote.
fn received(text: &str) -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let mut traces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut metrics = BTreeSet::new();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    // The last line may be half written.
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for line in lines {
        for resource in list(&line, "resourceSpans") {
            for span in list(&resource, "scopeSpans")
                .iter()
                .flat_map(|s| list(s, "spans"))
            {
                let name = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
                traces
                    .entry(name("traceId"))
                    .or_default()
                    .insert(name("name"));
            }
        }
        for resource in list(&line, "resourceMetrics") {
            for metric in list(&resource, "scopeMetrics")
                .iter()
                .flat_map(|s| list(s, "metrics"))
            {
                metrics.insert(metric["name"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    (traces, metrics)
}

#[test]
fn one_trace_follows_a_workload_from_its_decision_to_the_member_write() {
    let mut ground = Ground::with_province();
    let cache = Cache::locate().expect("a cache");
    let collector = tool(&cache, Tool::OtelCollector, &Progress::stderr()).expect("a collector");
    let folder = ground.sandbox.dir().to_path_buf();
    let port = ground.sandbox.fleet().reserve_port("otlp").expect("a port");
    let address = format!("{}:{port}", ground.sandbox.fleet().hub_address());
    let (settings, file) = (folder.join("collector.json"), folder.join("otlp.jsonl"));
    std::fs::write(&settings, config(&address, &file)).expect("its settings");
    let command = [
        collector.display().to_string(),
        format!("--config={}", settings.display()),
    ];
    let _collector = ground
        .sandbox
        .fleet()
        .spawn("collector", &command, &BTreeMap::new())
        .expect("the collector starts");

    let first = ground.sandbox.hub().expect("a hub").clone();
    let program = HubProgram {
        binary: built_binary("heyun-hub").expect("the hub is built"),
        args: vec![format!("--otlp-endpoint=http://{address}")],
        env: BTreeMap::from([("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "1000".to_owned())]),
    };
    let Ground {
        sandbox, runtime, ..
    } = &mut ground;
    runtime.block_on(async {
        first
            .stop(Duration::from_secs(20))
            .await
            .expect("the first hub stops");
        let second = sandbox
            .start_hub_with(&program)
            .await
            .expect("a second hub");
        second
            .wait_ready(Duration::from_mins(1))
            .await
            .expect("it is ready");
    });

    let namespace = "gz-civil-affairs-aid";
    ground.deploy(
        namespace,
        "aid",
        &manifests("workloads/aid.yaml"),
        &json!({}),
    );
    ground.ready(namespace, "aid", Some(6));
    ground.eventually(
        "one trace with decision, dispatch and member writes",
        || {
            let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
            let (traces, metrics) = received(&text);
            let wanted = ["observe workload", "dispatch work", "sync work"];
            let whole = traces
                .values()
                .any(|spans| wanted.iter().all(|name| spans.contains(*name)));
            let counted = metrics.contains("heyun.scheduler.decisions");
            if whole && counted {
                Ok(())
            } else {
                Err(format!("{traces:?} {metrics:?}"))
            }
        },
    );
}
