//! The schemas that a bus takes from contracts: looked up anew when contracts have changed.

use crate::bus::schema::Demand;
use crate::model::{BusName, ContractHash, TopicName};
use crate::registry::state::{HeldContract, State};
use crate::registry::topic_schemas;
use std::collections::HashMap;
use std::sync::Arc;

/// What a bus has found in contracts.
#[derive(Default)]
pub(super) struct FromContracts {
    /// The contracts that were looked at last.
    seen: Option<imbl::HashMap<ContractHash, Arc<HeldContract>>>,
    /// Their schemas, each compiled once; `None` for one that cannot be demanded.
    compiled: HashMap<(ContractHash, TopicName), Option<Arc<Demand>>>,
}

impl FromContracts {
    /// What contracts demand by topic; `None` where they are as they were the last time.
    pub(super) fn news(&mut self, bus: &BusName, state: &State) -> Option<HashMap<TopicName, Arc<Demand>>> {
        if self.seen.as_ref().is_some_and(|seen| seen.ptr_eq(&state.contracts)) {
            return None;
        }
        let (mut compiled, mut demanded) = (HashMap::new(), HashMap::new());
        for (topic, found) in topic_schemas::all(state) {
            let key = (found.contract.hash, topic.clone());
            let demand = self.compiled.remove(&key).unwrap_or_else(|| match Demand::compile(found.schema(), None) {
                Ok(demand) => Some(Arc::new(demand)),
                Err(unusable) => {
                    let (bus, contract) = (bus.as_str(), found.contract.name.as_str());
                    let topic = topic.as_str();
                    tracing::warn!(bus, topic, contract, %unusable, "a contract's schema of a topic is passed over");
                    None
                }
            });
            demanded.extend(demand.clone().map(|demand| (topic, demand)));
            compiled.insert(key, demand);
        }
        (self.seen, self.compiled) = (Some(state.contracts.clone()), compiled);
        Some(demanded)
    }
}
