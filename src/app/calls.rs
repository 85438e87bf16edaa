//! Calls of tools that travel over buses, for those who make calls.

use crate::bus::hub::Hub;
use crate::model::BusName;
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::proxy::outbound::Buses;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// The registry's buses.
pub(super) struct BusCalls(pub(super) Arc<Hub>);

impl Buses for BusCalls {
    fn check(&self, bus: &BusName) -> Result<(), String> {
        self.0.check_calls(bus)
    }

    fn call<'a>(&'a self, bus: &'a BusName, call: Call) -> BoxFuture<'a, Result<Answered, Unanswered>> {
        Box::pin(self.0.call(bus, call))
    }
}
