//! The GraphQL door: types, fields and arguments as clients see them, translated to commands and versions.
//!
//! A request takes one version of the registry and answers all of its fields from it (`reading`). `query` and
//! `at(...)` answer from the same code; `mutation` sends commands; `subscription` watches. Nothing here knows
//! HTTP, websockets or where the log is kept.

pub mod announce;
mod answer;
mod answers;
mod binding;
mod direct;
mod documents;
pub mod error;
mod guard;
mod limits;
mod mutation;
mod observed;
mod order;
mod paging;
mod persisted;
mod query;
mod reach;
mod reading;
mod render;
mod scalars;
mod shared;
mod subscription;
mod types;
mod variables;

pub use crate::access::Rights;
pub use answer::{Answer, Answers, Given};
pub use direct::{DirectMutation, DirectSubscription};
pub use documents::{AtHand, Documents, Executable, Kind, Refused};
pub use limits::Limits;
pub use persisted::{Named, Text, Trusted};

use crate::access::Visitor;
use crate::bus::hub::Hub;
use crate::model::Actor;
use crate::ports::Ports;
use crate::proxy::Proxy;
use crate::registry::engine::{Clock, Handle};
use crate::registry::state::State;
use crate::registry::view::Views;
use crate::telemetry::trace::TraceContext;
use crate::telemetry::{Requests, Via};
use async_graphql::{Schema as LibrarySchema, SchemaBuilder, ValidationMode};
use std::borrow::Cow;
use std::sync::Arc;

/// The sizes that a page may be bounded to: from that of one that does not say to the greatest.
pub const PAGES: (u64, u64) = (paging::PAGE_DEFAULT as u64, paging::PAGE_MAX as u64);

/// The schema that serves.
pub type Schema = LibrarySchema<query::Query, mutation::Mutation, subscription::Subscription>;

/// What the fields work with.
#[derive(Clone)]
pub struct Services {
    /// The way to the writer.
    pub handle: Handle,
    /// The versions of the registry.
    pub views: Arc<Views>,
    /// The way to port leases.
    pub ports: Arc<Ports>,
    /// The way to calls of tools.
    pub proxy: Arc<Proxy>,
    /// The buses as they run.
    pub buses: Arc<Hub>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where operations are counted.
    pub requests: Requests,
    /// When this process began to serve.
    pub started_at: crate::model::Time,
    /// What requests may ask for.
    pub bounds: Bounds,
}

/// What requests may ask for.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The longest lifetime of a registration, in seconds.
    pub ttl_seconds_max: u32,
    /// The longest lifetime of a port lease, in seconds.
    pub lease_ttl_seconds_max: u32,
    /// How large requests may be, and their answers.
    pub limits: Limits,
}

/// One version of the registry: what a whole request is answered from.
type View = Arc<State>;

/// What one request brings along.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks.
    pub actor: Actor,
    /// What the caller calls the whole undertaking, from the transport; the request's own comes first.
    pub correlation_id: Option<String>,
    /// How the request came.
    pub via: Via,
    /// Where the caller stands in a trace, where it says so.
    pub trace: Option<TraceContext>,
    /// What the caller may do and see.
    pub visitor: Visitor,
}

impl Caller {
    /// The caller at the place in a trace that one of its requests names, where it names one.
    fn within(&self, trace: Option<TraceContext>) -> Cow<'_, Caller> {
        match trace {
            Some(trace) => Cow::Owned(Caller { trace: Some(trace), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }
}

fn builder() -> SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    LibrarySchema::build(query::Query::default(), mutation::Mutation::default(), subscription::Subscription::default())
        .register_output_type::<types::event::RegistryEvent>()
        .register_output_type::<error::ErrorCode>()
        // Nesting is bounded before (`limits`), with words of its own.
        .limit_recursive_depth(2 * limits::NESTING_MAX as usize)
        // Documents arrive here validated (`documents`): what is left is what each execution needs anyway.
        .validation_mode(ValidationMode::Fast)
}

/// The schema with what its fields work with.
pub fn schema(services: Services) -> Schema {
    builder().data(services).finish()
}

/// The schema in its definition language; needs no running registry.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().prefer_single_line_descriptions();
    builder().finish().sdl_with_options(options)
}
