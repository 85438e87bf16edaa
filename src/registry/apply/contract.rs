//! Contracts: kept as long as some node keeps them.

use super::{Place, settle};
use crate::model::CollisionKey;
use crate::model::{Contract, ContractHash, NodeId, Sequence, Time};
use crate::registry::state::{HeldContract, State};
use std::sync::Arc;

pub(super) fn registered(state: &mut State, place: Place, contract: &Arc<Contract>) {
    put(state, contract.clone(), place.sequence, place.time);
}

pub(super) fn put(state: &mut State, contract: Arc<Contract>, registered: Sequence, registered_at: Time) {
    let key = (contract.name.clone(), contract.version.clone());
    state.contract_names.entry(key).or_default().insert((registered, contract.hash));
    let held = HeldContract { contract, registered_at, registered, holders: Default::default() };
    state.contracts.insert(held.contract.hash, Arc::new(held));
}

/// A node keeps another contract than before, or one at all, or none any more.
pub(super) fn moved(state: &mut State, node: NodeId, from: Option<ContractHash>, to: Option<ContractHash>) {
    if from == to {
        return;
    }
    if let Some(mut held) = to.and_then(|hash| state.contracts.get(&hash)).map(|held| HeldContract::clone(held)) {
        held.holders.insert(node);
        let contract = held.contract.clone();
        state.contracts.insert(contract.hash, Arc::new(held));
        state.link(node, &contract);
    }
    if let Some(mut held) = from.and_then(|hash| state.contracts.get(&hash)).map(|held| HeldContract::clone(held)) {
        held.holders.remove(&node);
        let contract = held.contract.clone();
        state.unlink(node, &contract);
        // What the two contracts share was taken out with the earlier one.
        if let Some(kept) = to.and_then(|hash| state.contracts.get(&hash)).map(|kept| kept.contract.clone()) {
            state.link(node, &kept);
        }
        drop_if_unheld(state, held);
    }
}

fn drop_if_unheld(state: &mut State, held: HeldContract) {
    let (hash, key) = (held.contract.hash, (held.contract.name.clone(), held.contract.version.clone()));
    if !held.holders.is_empty() {
        state.contracts.insert(hash, Arc::new(held));
        return;
    }
    state.contracts.remove(&hash);
    if let Some(hashes) = state.contract_names.get_mut(&key) {
        hashes.remove(&(held.registered, hash));
        if hashes.is_empty() {
            state.contract_names.remove(&key);
        }
    }
    settle(state, &CollisionKey::Contract(key.0, key.1));
}
