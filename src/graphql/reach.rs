//! What a field may look at: the version that its request is answered from, and, beyond it, what this file hands out.
//!
//! An answer that comes from its version alone can be kept as long as that version is the current one (`answers`).
//! Whoever looks at anything that changes while the version stands (calls under way, who is connected, counters, the
//! clock, the log, who asks) gets it through `live` or `asker`, and these note it. So no field has to be marked, and
//! none can be forgotten: there is no other way out of here (`tests/house.rs`).

use super::{Caller, Services, View};
use crate::model::{HostName, RegistryId, Time, Tool, TrustState};
use crate::registry::state::State;
use async_graphql::{Context, ContextBase, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The version that a request is answered from.
#[derive(Clone)]
pub(super) struct Pinned(Arc<Inner>);

struct Inner {
    view: View,
    /// Whether the document asks for something twice under one key.
    merges_fields: bool,
    /// Whether something besides the version was looked at.
    looked_beyond: AtomicBool,
}

impl Pinned {
    /// `merges_fields`: whether the document asks for something twice under one key.
    pub(super) fn new(view: View, merges_fields: bool) -> Self {
        Pinned(Arc::new(Inner { view, merges_fields, looked_beyond: AtomicBool::new(false) }))
    }

    pub(super) fn view(&self) -> &View {
        &self.0.view
    }

    pub(super) fn merges_fields(&self) -> bool {
        self.0.merges_fields
    }

    /// Whether what was answered so far came from the version alone.
    pub(super) fn sufficed(&self) -> bool {
        !self.0.looked_beyond.load(Ordering::Relaxed)
    }
}

/// What the request is answered from, from wherever in it.
pub(super) fn pinned_in<'a, T>(ctx: &ContextBase<'a, T>) -> Option<&'a Pinned> {
    ctx.data_opt()
}

/// The version that the request is answered from.
pub(super) fn pinned<'a>(ctx: &Context<'a>) -> Result<&'a View> {
    Ok(ctx.data::<Pinned>()?.view())
}

fn note<'a>(ctx: &Context<'a>) -> Result<&'a Services> {
    ctx.data::<Pinned>()?.0.looked_beyond.store(true, Ordering::Relaxed);
    ctx.data()
}

/// Everything that changes while a version stands; what is answered from it is not kept.
pub(super) fn live<'a>(ctx: &Context<'a>) -> Result<&'a Services> {
    note(ctx)
}

/// Who asks, by name; what is answered differently to one and another is not kept. What depends on the caller's rights
/// alone can be: they are part of what a kept answer is found by.
pub(super) fn asker<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    note(ctx)?;
    ctx.data()
}

/// What stays as it is for as long as the process runs.
pub(super) fn fixed(ctx: &Context<'_>) -> Result<Fixed> {
    Ok(Fixed(ctx.data::<Services>()?.clone()))
}

/// What was configured, or is the registry's own: the same for every version.
#[derive(Clone)]
pub(super) struct Fixed(Services);

impl Fixed {
    pub(super) fn registry_id(&self) -> RegistryId {
        self.0.views.registry_id()
    }

    pub(super) fn started_at(&self) -> Time {
        self.0.started_at
    }

    /// A host by its one name.
    pub(super) fn host(&self, named: HostName) -> HostName {
        self.0.ports.host(Some(named))
    }

    /// How far a provider must be trusted for its tools to be listed and called.
    pub(super) fn least_trust(&self) -> TrustState {
        self.0.proxy.rules().least_trust
    }

    /// Whether the tool is listed and called at all.
    pub(super) fn is_shown(&self, state: &State, tool: &Tool) -> bool {
        self.0.proxy.is_shown(state, tool)
    }
}
