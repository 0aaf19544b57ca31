//! W3C trace context across objects: one trace follows a Workload from the hub's first sight of
//! a generation to the member write, through processes that only share the API.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The annotation of a Work that carries the trace context of the decision it renders. It holds
/// `traceparent` alone, never baggage, and is written once per decision.
pub const TRACEPARENT_ANNOTATION: &str = "heyun.dev/traceparent";

/// The W3C `traceparent` of the current span; `None` where no trace is recorded, which is
/// everywhere while no OTLP endpoint is set.
///
/// It starts the span: [`set_parent`] on the same span has no effect afterwards.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// As [`current_traceparent`], for a given span.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        format!(
            "00-{}-{}-{:02x}",
            span.trace_id(),
            span.span_id(),
            span.trace_flags().to_u8()
        )
    })
}

/// Makes `span` a child of the remote span that `traceparent` names. Says whether it did:
/// `traceparent` must be valid, and `span` not yet entered.
pub fn set_parent(span: &Span, traceparent: &str) -> bool {
    match remote(traceparent) {
        Some(parent) => span
            .set_parent(Context::new().with_remote_span_context(parent))
            .is_ok(),
        None => false,
    }
}

/// Links `span` to the remote span that `traceparent` names, without becoming its child: for
/// work that begins long after its cause. Says whether `traceparent` is valid.
pub fn link_from(span: &Span, traceparent: &str) -> bool {
    match remote(traceparent) {
        Some(cause) => {
            span.add_link(cause);
            true
        }
        None => false,
    }
}

fn remote(traceparent: &str) -> Option<SpanContext> {
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(traceparent));
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traced(body: impl FnOnce()) {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body);
    }

    #[test]
    fn a_trace_goes_on_through_an_annotation() {
        traced(|| {
            let span = tracing::info_span!("apply");
            assert!(set_parent(&span, PARENT));
            let _inside = span.entered();
            let written = current_traceparent().unwrap();
            assert_eq!(written[..36], PARENT[..36]);
            assert_ne!(written[36..52], PARENT[36..52]);
            let next = tracing::info_span!("next");
            assert!(set_parent(&next, &written));
            assert_eq!(traceparent_of(&next).unwrap()[..36], PARENT[..36]);
        });
    }

    #[test]
    fn a_link_keeps_the_own_trace() {
        traced(|| {
            let span = tracing::info_span!("apply");
            assert!(link_from(&span, PARENT));
            assert_ne!(traceparent_of(&span).unwrap()[..36], PARENT[..36]);
        });
    }

    #[test]
    fn what_is_not_a_traceparent_is_not_followed() {
        traced(|| {
            let span = tracing::info_span!("apply");
            for bad in [
                "",
                "garbage",
                "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "00-4BF92F-00f067aa0ba902b7-01",
            ] {
                assert!(!set_parent(&span, bad), "{bad}");
                assert!(!link_from(&span, bad), "{bad}");
            }
        });
    }

    #[test]
    fn without_a_subscriber_there_is_no_trace() {
        assert_eq!(current_traceparent(), None);
        assert!(!set_parent(&tracing::info_span!("apply"), PARENT));
    }
}
