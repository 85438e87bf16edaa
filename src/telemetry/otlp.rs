//! Spans to a collector, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! Sent in batches by a thread of their own; what a collector that is away or too slow does not take is dropped, and
//! nobody waits for it.

use super::trace::{self, TraceContext};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::time::Duration;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Where traces go below a collector's address.
const PATH: &str = "/v1/traces";
/// How long a batch may take to be sent.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// How long the last batch may take when the server ends.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What is exported, and where to.
#[derive(Clone, Debug)]
pub struct Options {
    /// The collector's address, such as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// What traces call this program.
    pub service_name: String,
    /// How many of a hundred traces that begin here are exported; of others, whoever began them decides.
    pub sampled_percent: u8,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be exported to {endpoint}")]
pub struct Error {
    endpoint: String,
    #[source]
    source: opentelemetry_otlp::ExporterBuildError,
}

/// Sends what is left when it is ended.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Begins to export. Neither this nor the end may be on a thread of a runtime: the exporter waits on its own.
    ///
    /// # Errors
    /// Where the address is none. A collector that is not there is no error.
    pub fn start(options: &Options) -> Result<Self, Error> {
        let endpoint = options.endpoint.trim_end_matches('/');
        let whole = if endpoint.ends_with(PATH) { endpoint.to_owned() } else { format!("{endpoint}{PATH}") };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(whole)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(SEND_WITHIN)
            .build()
            .map_err(|source| Error { endpoint: options.endpoint.clone(), source })?;
        let resource = Resource::builder()
            .with_service_name(options.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let ratio = f64::from(options.sampled_percent.min(100)) / 100.0;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(sampler)
            .build();
        trace::exported();
        Ok(Exporter(provider))
    }

    /// What hands spans to the exporter: the requests' alone, not those of libraries.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let tracer = self.0.tracer("onex");
        let ours = tracing_subscriber::filter::filter_fn(|metadata| metadata.target().starts_with("onex"));
        tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false).with_filter(ours)
    }

    /// Sends what is left.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(END_WITHIN) {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Makes a span part of the trace that its request came in.
pub(super) fn continue_from(span: &Span, came: Option<TraceContext>) {
    let Some(came) = came else { return };
    let flags = TraceFlags::new(came.flags) & TraceFlags::SAMPLED;
    let (trace, parent) = (TraceId::from(came.trace_id), SpanId::from(came.span_id));
    let remote = SpanContext::new(trace, parent, flags, true, TraceState::default());
    // Refused only where nothing is exported, or the span is not new.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// The present span's place in its trace; `None` where it is not exported.
pub(super) fn current() -> Option<TraceContext> {
    if !trace::is_exported() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    let own = span.span_context();
    own.is_valid().then(|| TraceContext {
        trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(own.span_id().to_bytes()),
        flags: own.trace_flags().to_u8(),
    })
}
