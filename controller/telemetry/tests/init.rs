//! `init` as a program calls it: once in a process, so in a test binary of its own.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use heyun_telemetry::{LogFormat, TelemetryConfig, TelemetryError, current_traceparent, init};

/// What every HTTP/2 connection without TLS begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[test]
fn spans_leave_in_plaintext_for_an_http_endpoint_and_a_second_init_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (seen, arrived) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut begin = vec![0; PREFACE.len()];
            // On a busy machine one may be given up before it says anything; the next one does.
            if stream.unwrap().read_exact(&mut begin).is_ok() {
                seen.send(begin).unwrap();
                break;
            }
        }
    });
    let config = TelemetryConfig {
        service_name: "heyun-test".into(),
        instance_id: "test-0".into(),
        otlp_endpoint: Some(endpoint),
        log_format: LogFormat::Json,
        log_filter: "warn".into(),
    };
    let telemetry = init(config.clone()).unwrap();
    // Debug, though the log filter says warn: spans have a filter of their own.
    tracing::debug_span!(target: "heyun_hub", "observe workload").in_scope(|| {
        let traceparent = current_traceparent().expect("a trace is recorded");
        assert!(
            traceparent.starts_with("00-") && traceparent.ends_with("-01"),
            "{traceparent}"
        );
    });
    tracing::info_span!(target: "h2", "not ours").in_scope(|| {
        assert_eq!(current_traceparent(), None);
    });
    let again = init(config).unwrap_err();
    assert!(matches!(again, TelemetryError::Installed(_)), "{again}");
    // Nobody answers the export, so the flush fails; what was sent is what is asked for here.
    let _ = telemetry.shutdown();
    assert_eq!(
        arrived.recv_timeout(Duration::from_secs(10)).unwrap(),
        PREFACE
    );
}
