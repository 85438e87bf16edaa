//! Trust in a node, and the word of validators.

use super::super::error::invalid;
use super::super::render::{rendered, rendered_enums};
use super::signature;
use crate::contracts::canonical_bytes;
use crate::model::{self, LIST_LEN_MAX, NodeId, TEXT_LEN_MAX, ValidatorId};
use crate::registry::command;
use crate::registry::state::State;
use async_graphql::{Enum, InputObject, InputType, Object, Result};
use serde_json::json;
use uuid::Uuid;

/// How far a node is trusted.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::TrustState")]
pub enum TrustState {
    /// Nobody vouched for it, or some validator doubts it.
    Untrusted,
    /// Vouched for.
    Trusted,
    /// Vouched for after a check of its own.
    Verified,
}

/// How settled a registration is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::Lifecycle")]
pub enum RegistryLifecycle {
    /// On trial: what every registration begins as.
    Canary,
    /// Checked.
    Validated,
    /// Refuses every change until a validator attests another lifecycle.
    Frozen,
}

rendered_enums!(TrustState, RegistryLifecycle);

/// How far a node is trusted, and why.
pub struct Trust(pub model::Trust);

/// How far a node is trusted, and why. What validators said holds for the contract they judged: another contract
/// voids it.
#[Object]
impl Trust {
    /// The least that any validator's latest word says; UNTRUSTED where there is none.
    async fn state(&self) -> TrustState {
        self.0.state().into()
    }
    /// 0 to 1: the mean of the validators' latest scores; 0 where there are none. See docs/trust.md.
    async fn score(&self) -> f64 {
        self.0.score()
    }
    /// Whether validators vouched for it and none doubts it.
    async fn validated(&self) -> bool {
        self.0.is_validated()
    }
    /// Who has said something, in the order of ids.
    async fn validator_ids(&self) -> Vec<Uuid> {
        self.0.verdicts.iter().map(|verdict| verdict.validator.0).collect()
    }
    /// What validators found wrong, each once.
    async fn failure_modes(&self) -> Vec<&str> {
        self.0.failure_modes()
    }
    /// How settled the registration is: the latest that any validator said.
    async fn lifecycle(&self) -> RegistryLifecycle {
        self.0.lifecycle.into()
    }
}

rendered!(Trust { state, score, validated, validator_ids, failure_modes, lifecycle });

/// A validator's word on a node.
#[derive(InputObject)]
pub struct AttestInput {
    /// The node.
    pub(in crate::graphql) node_id: Uuid,
    /// Who says it. A validator's later word takes the place of its earlier one.
    validator_id: Uuid,
    /// How far it trusts the node.
    state: TrustState,
    /// 0 to 1; when absent, 0 for UNTRUSTED, 0.5 for TRUSTED, 1 for VERIFIED.
    score: Option<f64>,
    /// What it found wrong, in words or codes.
    failure_modes: Option<Vec<String>>,
    /// How settled the registration is from now on; when absent, as before.
    lifecycle: Option<RegistryLifecycle>,
    /// An Ed25519 signature, 64 bytes as base64, by the key of the validator's own node: over the canonical form (RFC
    /// 8785) of an object of contractHash (the node's; null without a contract), failureModes, lifecycle (or null),
    /// nodeId, score, state and validatorId. Needed where validatorId is a node that has a key.
    signature: Option<String>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl AttestInput {
    /// Reads what was said, and checks its signature by the key that the validator's node has in this state.
    pub(in crate::graphql) fn read(mut self, known: &State) -> Result<command::Attest> {
        let state = model::TrustState::from(self.state);
        let score = self.score.unwrap_or_else(|| state.default_score());
        if !(0.0..=1.0).contains(&score) {
            return Err(invalid("score", format!("is {score}; a score is 0 to 1")));
        }
        let failure_modes = self.failure_modes.take().unwrap_or_default();
        if failure_modes.len() > LIST_LEN_MAX || failure_modes.iter().any(|mode| mode.len() > TEXT_LEN_MAX) {
            return Err(invalid("failureModes", "is too long"));
        }
        let mut attest = command::Attest {
            node: NodeId(self.node_id),
            validator: ValidatorId(self.validator_id),
            state,
            score,
            failure_modes,
            lifecycle: self.lifecycle.map(Into::into),
            signed_by: None,
            overrules_key: false,
        };
        if let Some(text) = &self.signature {
            let signature = signature::signature(text)?;
            let key = known.node(NodeId(self.validator_id)).and_then(|validator| validator.declared.public_key);
            let key = key.ok_or_else(|| invalid("signature", "is given, and validatorId is no node that has a key"))?;
            if !signature::is_right(&signature, key, &self.message(&attest, known)) {
                let reason = "is not right: it is over the canonical form of contractHash, failureModes, lifecycle, \
                              nodeId, score, state and validatorId";
                return Err(invalid("signature", reason));
            }
            attest.signed_by = Some(key);
        }
        Ok(attest)
    }

    /// What the validator's node signs.
    fn message(&self, attest: &command::Attest, known: &State) -> Vec<u8> {
        let contract = known.node(attest.node).and_then(|node| node.declared.contract);
        canonical_bytes(&json!({
            "contractHash": contract.map(|hash| hash.to_string()),
            "failureModes": attest.failure_modes,
            "lifecycle": self.lifecycle.map(|lifecycle| lifecycle.to_value()),
            "nodeId": self.node_id,
            "score": attest.score,
            "state": self.state.to_value(),
            "validatorId": self.validator_id,
        }))
    }
}
