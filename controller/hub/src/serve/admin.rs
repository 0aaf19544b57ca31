//! `/metrics`, `/healthz` and `/readyz`, for the kubelet and Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use heyun_telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

/// Whether the process has read the API once and may be sent work.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says that the world was read once.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[derive(Clone)]
struct Admin {
    telemetry: Arc<Telemetry>,
    readiness: Readiness,
}

/// Serves until `stop`.
///
/// # Errors
/// When the address cannot be bound, or the listener fails.
pub async fn serve(
    address: SocketAddr,
    telemetry: Arc<Telemetry>,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Admin {
            telemetry,
            readiness,
        });
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn ready(State(admin): State<Admin>) -> Response {
    if admin.readiness.get() {
        "ok".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the hub's objects are not read yet\n",
        )
            .into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.telemetry.prometheus_text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
