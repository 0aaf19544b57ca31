//! The JSON log line.

use std::fmt as std_fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Writes one JSON object for each event: `ts`, `severity`, `target`, `body`, `trace_id`,
/// `span_id`, then the fields of the spans around it and its own, which win.
#[derive(Debug, Default)]
pub(crate) struct JsonLine {
    timer: SystemTime,
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std_fmt::Result {
        let mut line = Map::new();
        let mut ts = String::new();
        self.timer.format_time(&mut Writer::new(&mut ts))?;
        line.insert("ts".into(), ts.into());
        line.insert("severity".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        insert_trace(&mut line);
        for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else {
                continue;
            };
            if let Ok(Value::Object(fields)) = serde_json::from_str(fields) {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        let line = serde_json::to_string(&line).map_err(|_| std_fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

fn insert_trace(line: &mut Map<String, Value>) {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        line.insert("trace_id".into(), span.trace_id().to_string().into());
        line.insert("span_id".into(), span.span_id().to_string().into());
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" {
            "body"
        } else {
            field.name()
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        // The chain, not the outermost error alone: the cause is what is asked for later.
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std_fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_object_with_the_fields_of_its_spans() {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine::default())
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _outer =
                tracing::info_span!("outer", k8s.cluster.name = "guangzhou-1", reason = "outer")
                    .entered();
            tracing::warn!(reason = "Capacity", replicas = 3, "不可调度");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["severity"], "WARN");
        assert_eq!(line["body"], "不可调度");
        assert_eq!(line["k8s.cluster.name"], "guangzhou-1");
        assert_eq!(line["reason"], "Capacity");
        assert_eq!(line["replicas"], 3);
        assert!(line["ts"].as_str().unwrap().ends_with('Z'), "{line}");
    }
}
