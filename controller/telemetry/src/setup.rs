//! One call that installs logs, traces and metrics, and one that flushes them.

use std::io::IsTerminal as _;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, fmt};

use crate::log::JsonLine;
use crate::metrics::Metrics;

/// The instrumentation scope of all spans and instruments.
const SCOPE: &str = "heyun";

/// How long one export may take before it is given up and retried with the next batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest [`Telemetry::shutdown`] blocks, all signals together.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How log lines look on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, with `trace_id` and `span_id`: for collectors.
    #[default]
    Json,
    /// For people; coloured when standard error is a terminal.
    Text,
}

/// What [`init`] needs to know.
#[derive(Clone, Debug, Default)]
pub struct TelemetryConfig {
    /// `service.name` of the resource, for example `heyun-hub`.
    pub service_name: String,
    /// `service.instance.id` of the resource: tells replicas apart.
    pub instance_id: String,
    /// OTLP gRPC endpoint with its scheme, for example `http://127.0.0.1:4317`; `None` exports
    /// nothing and starts no spans.
    pub otlp_endpoint: Option<String>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, as `tracing_subscriber::EnvFilter` reads it, for example
    /// `info,heyun_hub=debug`; empty means `info`. Spans are not subject to it.
    pub log_filter: String,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("log filter {filter:?} is not valid: {source}; write for example info,heyun_hub=debug")]
    LogFilter {
        /// The filter as given.
        filter: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The endpoint has no scheme that OTLP over gRPC knows.
    #[error(
        "OTLP endpoint {endpoint:?} has no scheme; write http://HOST:4317 for plaintext or \
         https://HOST:4317 for TLS"
    )]
    EndpointScheme {
        /// The endpoint as given.
        endpoint: String,
    },
    /// An exporter refused its configuration.
    #[error("OTLP exporter for {endpoint:?} cannot be built: {source}")]
    Exporter {
        /// The endpoint as given.
        endpoint: String,
        /// What the exporter says.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The Prometheus reader could not be registered.
    #[error("Prometheus reader cannot be built: {0}")]
    Prometheus(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// The threads that export could not be started.
    #[error("threads for the OTLP exporter cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// A subscriber is installed already in this process.
    #[error("a tracing subscriber is installed already: init may be called once in a process")]
    Installed(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// The metrics could not be written as text.
    #[error("metrics cannot be rendered: {0}")]
    Render(#[from] prometheus::Error),
    /// Flushing did not end in time; what was not exported is lost.
    #[error("telemetry was not flushed within {} s; is the OTLP endpoint reachable?", SHUTDOWN_TIMEOUT.as_secs())]
    ShutdownTimeout,
}

/// The installed telemetry of this process. Keep it until the end of `main`, then call
/// [`Telemetry::shutdown`]: spans and metrics that are not exported yet are lost otherwise.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    metrics: Metrics,
    /// The exporters' own runtime: they work whatever runtime the caller has, if any, and a
    /// flush at the very end does not depend on tasks of the caller's.
    runtime: Option<tokio::runtime::Runtime>,
}

/// Sets up logs, traces and metrics, and installs the tracing subscriber of this process.
///
/// # Errors
///
/// See [`TelemetryError`]; nothing is installed then.
pub fn init(config: TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = log_filter(&config.log_filter)?;
    let telemetry = Telemetry::without_subscriber(&config)?;
    let logs = match config.log_format {
        LogFormat::Json => fmt::layer()
            .with_writer(std::io::stderr)
            .fmt_fields(fmt::format::JsonFields::new())
            .event_format(JsonLine::default())
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => {
            let layer = fmt::layer().with_writer(std::io::stderr);
            let layer = if std::io::stderr().is_terminal() {
                layer
            } else {
                layer.with_ansi(false)
            };
            layer.with_filter(filter).boxed()
        }
    };
    let spans = telemetry.tracers.as_ref().map(|tracers| {
        tracing_opentelemetry::layer()
            .with_tracer(tracers.tracer(SCOPE))
            .with_filter(own_spans())
    });
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(logs).with(spans))?;
    Ok(telemetry)
}

/// Only spans of ours: those of the HTTP/2 stack below the exporter would be exported through
/// it and so make more of themselves.
fn own_spans() -> Targets {
    Targets::new().with_target("heyun", LevelFilter::DEBUG)
}

fn log_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let wanted = if filter.trim().is_empty() {
        "info"
    } else {
        filter
    };
    EnvFilter::builder()
        .parse(wanted)
        .map_err(|source| TelemetryError::LogFilter {
            filter: filter.to_owned(),
            source,
        })
}

impl Telemetry {
    /// Metrics and exporters without a subscriber: for tests and for programs that install
    /// their own.
    ///
    /// # Errors
    ///
    /// As [`init`], but for the log filter and the subscriber.
    pub fn without_subscriber(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let resource = resource(config);
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // There is one scope; its name on every series would say nothing.
            .scope_info_enabled(false)
            .build()?;
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(reader);
        let mut tracers = None;
        let mut runtime = None;
        if let Some(endpoint) = &config.otlp_endpoint {
            let own = exporter_runtime(endpoint)?;
            let (span_exporter, metric_exporter) = {
                let _inside = own.enter();
                exporters(endpoint)?
            };
            meters = meters.with_periodic_exporter(metric_exporter);
            tracers = Some(
                SdkTracerProvider::builder()
                    .with_resource(resource)
                    .with_batch_exporter(span_exporter)
                    .build(),
            );
            runtime = Some(own);
        }
        let meters = meters.build();
        let scope = InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let metrics = Metrics::new(&meters.meter_with_scope(scope));
        Ok(Self {
            registry,
            meters,
            tracers,
            metrics,
            runtime,
        })
    }

    /// The instruments; a clone is cheap and records into the same series.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All metrics in the Prometheus text format, for `/metrics`.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Render`] if a metric family is inconsistent.
    pub fn prometheus_text(&self) -> Result<String, TelemetryError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// Exports what is not exported yet and ends the exporters. Blocks the calling thread for
    /// 5 s at most. Later measurements and spans are dropped.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::ShutdownTimeout`] if the endpoint did not take everything in time.
    pub fn shutdown(mut self) -> Result<(), TelemetryError> {
        let (meters, tracers) = (self.meters.clone(), self.tracers.take());
        let (done, ended) = mpsc::channel();
        // On a thread of its own: the bound of the meter provider's shutdown is not honoured by
        // its readers.
        std::thread::Builder::new()
            .name("heyun-flush".into())
            .spawn(move || {
                let spans = tracers.map_or(Ok(()), |it| it.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
                let metrics = meters.shutdown();
                // The receiver is gone when the time was up.
                let _ = done.send(spans.is_ok() && metrics.is_ok());
            })?;
        match ended.recv_timeout(SHUTDOWN_TIMEOUT) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TelemetryError::ShutdownTimeout),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A runtime must not be dropped, only left, where blocking is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn resource(config: &TelemetryConfig) -> Resource {
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.instance.id", config.instance_id.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

fn exporter_runtime(endpoint: &str) -> Result<tokio::runtime::Runtime, TelemetryError> {
    // Without a scheme the exporter would try TLS and fail at the first export, out of sight.
    if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
        return Err(TelemetryError::EndpointScheme {
            endpoint: endpoint.to_owned(),
        });
    }
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("heyun-otlp")
        .enable_all()
        .build()?)
}

fn exporters(endpoint: &str) -> Result<(SpanExporter, MetricExporter), TelemetryError> {
    let failed = |source| TelemetryError::Exporter {
        endpoint: endpoint.to_owned(),
        source,
    };
    let spans = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(failed)?;
    let metrics = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(failed)?;
    Ok((spans, metrics))
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
