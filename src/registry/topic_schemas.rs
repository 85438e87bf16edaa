//! What contracts demand of the events on the topics that they publish on.
//!
//! Where the contracts of several give a schema for one topic, the one that was registered first counts, as it does where
//! contracts collide.

use super::state::State;
use crate::model::{Contract, NodeId, Sequence, TopicName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A schema in a contract.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractSchema {
    /// A node that keeps the contract: of several the one with the lowest id.
    pub node: NodeId,
    /// The contract.
    pub contract: Arc<Contract>,
    topic: TopicName,
    registered: Sequence,
}

impl ContractSchema {
    /// The schema; null where the contract has none, which such a contract never is.
    pub fn schema(&self) -> &Value {
        self.contract.topic_schema(&self.topic).unwrap_or(&Value::Null)
    }
}

/// The schema that holds for each topic for which a contract gives one.
pub fn all(state: &State) -> BTreeMap<TopicName, ContractSchema> {
    let mut found: BTreeMap<TopicName, ContractSchema> = BTreeMap::new();
    for held in state.contracts.values() {
        let Some(node) = held.holders.get_min().copied() else { continue };
        let topics = held.contract.publishes.iter();
        for topic in topics.filter(|topic| held.contract.topic_schema(topic).is_some()) {
            let known = found.get(topic).map(|known| known.registered);
            if known.is_none_or(|known| held.registered < known) {
                let (contract, registered) = (held.contract.clone(), held.registered);
                found.insert(topic.clone(), ContractSchema { node, contract, topic: topic.clone(), registered });
            }
        }
    }
    found
}

/// The schema that holds for a topic; `None` where no contract gives one.
pub fn of_topic(state: &State, topic: &TopicName) -> Option<ContractSchema> {
    let publishers = state.topics.get(topic)?.publishers.iter();
    let held = publishers.filter_map(|node| state.contracts.get(&state.node(*node)?.declared.contract?));
    let held = held.filter(|held| held.contract.topic_schema(topic).is_some()).min_by_key(|held| held.registered)?;
    let (node, contract) = (held.holders.get_min().copied()?, held.contract.clone());
    Some(ContractSchema { node, contract, topic: topic.clone(), registered: held.registered })
}
