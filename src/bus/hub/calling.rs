//! Calls of tools that travel over buses.

use super::Hub;
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{Bus, BusKind, BusName, BusStatus};
use std::sync::Arc;

impl Hub {
    /// Whether calls may travel over a bus now. Fails with why not, and what to do.
    pub fn check_calls(&self, name: &BusName) -> Result<(), String> {
        self.callable(name).map(drop)
    }

    fn callable(&self, name: &BusName) -> Result<Arc<Bus>, String> {
        let bus = self.views.current().bus_by_name(name.as_str()).cloned();
        let bus = bus.ok_or_else(|| format!("there is no bus {name}"))?;
        match (bus.terms.kind, bus.status) {
            (BusKind::Local, _) => Err(format!(
                "bus {name} is LOCAL, over which no calls travel: offer the tool by GRAPHQL and listen with toolCalls"
            )),
            (_, BusStatus::Running) => Ok(bus),
            (_, BusStatus::Starting | BusStatus::Stopped) => Err(format!("bus {name} is stopped: start it")),
            (_, BusStatus::Degraded) => {
                let reason = bus.reason.as_deref().unwrap_or("its broker is away");
                Err(format!("bus {name} is degraded: {reason}"))
            }
        }
    }

    /// Brings a call to whoever serves its address on a bus, and waits for the answer.
    pub async fn call(&self, name: &BusName, call: Call) -> Result<Answered, Unanswered> {
        let bus = self.callable(name).map_err(Unanswered::NotBegun)?;
        let running = self.running(bus.id).map_err(|error| Unanswered::NotBegun(error.to_string()))?;
        running.carrier.call(call).await
    }
}
