//! Port leases: asked for, renewed, given back, replaced.

use super::super::reach::{asker, live};
use super::super::types::allocate::{AllocateBatchInput, AllocateInput, RebindInput, ReleaseInput, RenewInput};
use super::super::types::lease::PortLease;
use super::super::{Services, error};
use super::{correlation_id, unexpected};
use crate::access::{Action, Kind, Resource};
use crate::model::LeaseId;
use crate::ports::Asking;
use crate::registry::command::Wanted;
use crate::registry::decide::Answer;
use crate::registry::engine::Outcome;
use crate::registry::refusal::Refusal;
use async_graphql::{Context, Object, Result};
use serde_json::json;

/// Ports are leased, renewed, given back and replaced.
#[derive(Default)]
pub struct PortMutation;

/// Ports are leased, renewed, given back and replaced.
#[Object]
impl PortMutation {
    /// Lease a port that was free when it was looked at. Stored durably before the answer.
    async fn allocate(
        &self,
        ctx: &Context<'_>,
        // Boxed, or every mutation would carry the room of the largest input about.
        #[graphql(desc = "What is wanted.")] mut input: Box<AllocateInput>,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let wanted = input.read("", &services.ports, &services.bounds, &asking.actor.principal)?;
        permit_allocate(ctx, &[&wanted])?;
        let outcome = services.ports.allocate(asking, vec![wanted], false).await.map_err(error::ports)?;
        only(ctx, &outcome)
    }

    /// Lease several ports in one step: all of them, or none.
    async fn allocate_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is wanted.")] input: AllocateBatchInput,
    ) -> Result<Vec<PortLease>> {
        let caller = asker(ctx)?;
        let services = live(ctx)?;
        let (wanted, contiguous, named) = input.read(&services.ports, &services.bounds, &caller.actor.principal)?;
        let (services, asking) = asking(ctx, named)?;
        permit_allocate(ctx, &wanted.iter().collect::<Vec<_>>())?;
        let outcome = services.ports.allocate(asking, wanted, contiguous).await.map_err(error::ports)?;
        leases(ctx, &outcome)
    }

    /// A lease's lifetime starts anew.
    async fn renew(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lease, and for how long.")] mut input: RenewInput,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let (owner, ttl) = (input.owner(&asking.actor.principal), input.ttl(&services.bounds)?);
        permit(ctx, Action::Renew, LeaseId(input.lease_id))?;
        let outcome = services.ports.renew(asking, LeaseId(input.lease_id), owner, ttl).await;
        only(ctx, &outcome.map_err(error::ports)?)
    }

    /// Give a lease back. Its number is kept from others for a while.
    async fn release(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lease.")] mut input: ReleaseInput,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let owner = input.owner(&asking.actor.principal);
        permit(ctx, Action::Release, LeaseId(input.lease_id))?;
        let outcome = services.ports.release(asking, LeaseId(input.lease_id), owner).await;
        only(ctx, &outcome.map_err(error::ports)?)
    }

    /// The leased number turned out unusable: quarantine it and lease another in its place, in one step. Answers the
    /// lease that took its place.
    async fn rebind(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lease, and what is wrong with its number.")] mut input: RebindInput,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let lease = LeaseId(input.lease_id);
        let (owner, reason, preferred) = input.read(&asking.actor.principal)?;
        permit(ctx, Action::Rebind, lease)?;
        let outcome = services.ports.rebind(asking, lease, owner, reason, preferred).await;
        only(ctx, &outcome.map_err(error::ports)?)
    }
}

/// Refuses who may not lease one of these.
fn permit_allocate(ctx: &Context<'_>, wanted: &[&Wanted]) -> Result<()> {
    let caller = asker(ctx)?;
    wanted.iter().try_for_each(|wanted| {
        let resource = || Resource::of_pool(&wanted.host, wanted.requester, wanted.node);
        let absent = || error::refuse(error::ErrorCode::PermissionDenied, "no port can be leased here", json!({}));
        caller.permit(Action::Allocate, Kind::PortPool, resource, absent)
    })
}

/// Refuses who may not do this with a lease. One that is not there is refused by what follows.
fn permit(ctx: &Context<'_>, action: Action, id: LeaseId) -> Result<()> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    let view = services.views.current();
    let Some(lease) = view.leases.get(id) else { return Ok(()) };
    let absent = || error::refusal(&Refusal::LeaseNotFound { lease: id });
    caller.permit(action, Kind::Lease, || Resource::of_lease(lease), absent)
}

fn asking<'a>(ctx: &'a Context<'_>, given: Option<String>) -> Result<(&'a Services, Asking)> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    Ok((services, Asking { actor: caller.actor.clone(), correlation_id: correlation_id(caller, given)? }))
}

fn leases(ctx: &Context<'_>, outcome: &Outcome) -> Result<Vec<PortLease>> {
    let Answer::Leased(leases) = &outcome.answer else { return Err(unexpected()) };
    // Whoever has a lease is shown it, even where it may see little else.
    let view = asker(ctx)?.seen(&outcome.view);
    let shown = |id| Some(PortLease { view: view.clone(), lease: outcome.view.leases.get(id)?.clone() });
    leases.iter().map(|lease| shown(*lease).ok_or_else(unexpected)).collect()
}

fn only(ctx: &Context<'_>, outcome: &Outcome) -> Result<PortLease> {
    leases(ctx, outcome)?.pop().ok_or_else(unexpected)
}
