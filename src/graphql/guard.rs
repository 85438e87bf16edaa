//! What a caller may do and see, asked where it matters: before a command is sent, and before something is shown.

use super::error::{ErrorCode, refuse};
use super::{Caller, View};
use crate::access::{Action, Denied, Kind, Resource, Rights, Unknown, Visitor};
use crate::model::Actor;
use crate::telemetry::Via;
use async_graphql::{Error, Result};
use serde_json::json;

impl Caller {
    /// Anybody, where everything is allowed.
    pub fn anybody(actor: Actor) -> Self {
        Caller { actor, correlation_id: None, via: Via::Http, trace: None, visitor: Visitor::anybody() }
    }

    /// The caller's rights. Everybody's are the same while everything is allowed.
    pub fn rights(&self) -> Rights {
        self.visitor.rights()
    }

    /// The version as the caller may know it.
    pub(super) fn seen(&self, view: &View) -> View {
        self.visitor.seen(view)
    }

    /// Refuses what is not allowed, and keeps the attempt. What the caller may not know of is refused as what is not
    /// there: with the words that `absent` has for that.
    pub(super) fn permit(
        &self,
        action: Action,
        kind: Kind,
        resource: impl FnOnce() -> Resource,
        absent: impl FnOnce() -> Error,
    ) -> Result<()> {
        // Who sees everything does not have to be asked about each thing.
        let sees = kind == Kind::Registry || kind == Kind::PortPool || self.visitor.reads_all_of(kind);
        if sees && self.visitor.may_all(action, kind) {
            return Ok(());
        }
        let resource = resource();
        if resource.is_there() && !self.visitor.reads(&resource) {
            return Err(absent());
        }
        match self.visitor.check(action, &resource) {
            Ok(()) => Ok(()),
            Err(denied) => {
                self.visitor.access().refused(&self.actor, self.correlation_id.as_deref(), &denied, &resource);
                Err(if denied.may_know { error_of(&denied) } else { absent() })
            }
        }
    }

    /// As [`Caller::permit`], of the registry itself, which everybody knows is there.
    pub(super) fn permit_here(&self, action: Action) -> Result<()> {
        let absent = || refuse(ErrorCode::PermissionDenied, "that is not allowed", json!({}));
        self.permit(action, Kind::Registry, || Resource::Registry, absent)
    }
}

fn error_of(denied: &Denied) -> Error {
    let code = if denied.principal.is_known() { ErrorCode::PermissionDenied } else { ErrorCode::Unauthenticated };
    let details = json!({
        "action": denied.action.as_str(), "resource": denied.resource, "principal": denied.principal.name,
        "policies": denied.policies, "needed": denied.needed,
    });
    refuse(code, &denied.message, details)
}

/// It is not known, or no longer, who asks.
pub(super) fn unknown(unknown: &Unknown) -> Error {
    refuse(ErrorCode::Unauthenticated, unknown.to_string(), json!({}))
}
