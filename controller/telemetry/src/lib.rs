//! OpenTelemetry set-up and the names of spans, metrics and log fields.
//!
//! ```text
//! TelemetryConfig ──init──► Telemetry ──► metrics()          typed instruments
//!                              │  ├──────► prometheus_text()  always
//!                              │  └──────► OTLP over gRPC     when an endpoint is set
//!                              └─ shutdown()                  flushes within a bounded time
//! ```
//!
//! Every name that a dashboard, an alert or a log query can depend on stands in [`names`],
//! [`spans`] or [`labels`]; no other crate spells one. This crate depends on none of ours, so
//! its methods take plain strings and numbers.

pub mod labels;
mod log;
mod metrics;
pub mod names;
mod setup;
pub mod spans;
mod trace;

pub use metrics::{CapacityRow, Metrics, QuotaRow};
pub use setup::{LogFormat, Telemetry, TelemetryConfig, TelemetryError, init};
pub use trace::{
    TRACEPARENT_ANNOTATION, current_traceparent, link_from, set_parent, traceparent_of,
};
