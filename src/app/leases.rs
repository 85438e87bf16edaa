//! Ports for buses that listen themselves: leased like everybody's.

use crate::bus::hub::Leases;
use crate::model::{Actor, Bus, LeaseId, PortProtocol, RequesterId};
use crate::ports::{Asking, Error, Ports};
use crate::registry::command::{Owner, Wanted};
use crate::registry::decide::Answer;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Leases ports for buses.
pub(super) struct BusPorts(pub(super) Arc<Ports>);

fn asking() -> Asking {
    Asking { actor: Actor::registry(), correlation_id: None }
}

impl BusPorts {
    async fn lease_for(&self, bus: &Bus, uses: &[&str]) -> Result<Vec<(LeaseId, u16)>, Error> {
        let name = &bus.terms.name;
        let wanted = uses.iter().map(|what| Wanted {
            program: Some("onex".to_owned()),
            protocol: PortProtocol::Zmq,
            purpose: Some(format!("bus {name}: {what}")),
            // The same number again after a restart, as long as nobody else has got it.
            key: Some(format!("bus/{}/{what}", bus.id)),
            ..self.0.wanted(RequesterId(bus.id.0), &asking().actor.principal)
        });
        let outcome = self.0.allocate(asking(), wanted.collect(), false).await?;
        let Answer::Leased(leases) = outcome.answer else { return Ok(Vec::new()) };
        let number = |id: &LeaseId| Some((*id, outcome.view.leases.get(*id)?.terms.port));
        Ok(leases.iter().filter_map(number).collect())
    }
}

impl Leases for BusPorts {
    fn lease<'a>(&'a self, bus: &'a Bus, uses: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<(LeaseId, u16)>, String>> {
        Box::pin(async move { self.lease_for(bus, uses).await.map_err(|error| error.to_string()) })
    }

    fn release<'a>(&'a self, leases: &'a [LeaseId]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for lease in leases {
                let owner = Owner { principal: asking().actor.principal, requester: None };
                if let Err(error) = self.0.release(asking(), *lease, owner).await {
                    tracing::debug!(%lease, %error, "a bus's lease was gone");
                }
            }
        })
    }
}
