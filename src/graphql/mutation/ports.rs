//! Port leases: asked for, renewed, given back, replaced.

use super::super::reach::{asker, live};
use super::super::types::allocate::{AllocateBatchInput, AllocateInput, RebindInput, ReleaseInput, RenewInput};
use super::super::types::lease::PortLease;
use super::super::{Services, error};
use super::{correlation_id, unexpected};
use crate::model::LeaseId;
use crate::ports::Asking;
use crate::registry::decide::Answer;
use crate::registry::engine::Outcome;
use async_graphql::{Context, Object, Result};

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
        let outcome = services.ports.allocate(asking, vec![wanted], false).await.map_err(error::ports)?;
        only(&outcome)
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
        let outcome = services.ports.allocate(asking, wanted, contiguous).await.map_err(error::ports)?;
        leases(&outcome)
    }

    /// A lease's lifetime starts anew.
    async fn renew(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lease, and for how long.")] mut input: RenewInput,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let (owner, ttl) = (input.owner(&asking.actor.principal), input.ttl(&services.bounds)?);
        let outcome = services.ports.renew(asking, LeaseId(input.lease_id), owner, ttl).await;
        only(&outcome.map_err(error::ports)?)
    }

    /// Give a lease back. Its number is kept from others for a while.
    async fn release(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which lease.")] mut input: ReleaseInput,
    ) -> Result<PortLease> {
        let (services, asking) = asking(ctx, input.correlation_id.take())?;
        let owner = input.owner(&asking.actor.principal);
        let outcome = services.ports.release(asking, LeaseId(input.lease_id), owner).await;
        only(&outcome.map_err(error::ports)?)
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
        let outcome = services.ports.rebind(asking, lease, owner, reason, preferred).await;
        only(&outcome.map_err(error::ports)?)
    }
}

fn asking<'a>(ctx: &'a Context<'_>, given: Option<String>) -> Result<(&'a Services, Asking)> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    Ok((services, Asking { actor: caller.actor.clone(), correlation_id: correlation_id(caller, given)? }))
}

fn leases(outcome: &Outcome) -> Result<Vec<PortLease>> {
    let Answer::Leased(leases) = &outcome.answer else { return Err(unexpected()) };
    leases.iter().map(|lease| PortLease::by_id(&outcome.view, *lease).ok_or_else(unexpected)).collect()
}

fn only(outcome: &Outcome) -> Result<PortLease> {
    leases(outcome)?.pop().ok_or_else(unexpected)
}
