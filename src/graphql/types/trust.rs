//! Trust in a node, and the word of validators.

use super::super::error::invalid;
use super::super::render::{rendered, rendered_enums};
use crate::model::{self, LIST_LEN_MAX, NodeId, TEXT_LEN_MAX, ValidatorId};
use crate::registry::command;
use async_graphql::{Enum, InputObject, Object, Result};
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
    node_id: Uuid,
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
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl AttestInput {
    pub(in crate::graphql) fn read(self) -> Result<command::Attest> {
        let state = model::TrustState::from(self.state);
        let score = self.score.unwrap_or_else(|| state.default_score());
        if !(0.0..=1.0).contains(&score) {
            return Err(invalid("score", format!("is {score}; a score is 0 to 1")));
        }
        let failure_modes = self.failure_modes.unwrap_or_default();
        if failure_modes.len() > LIST_LEN_MAX || failure_modes.iter().any(|mode| mode.len() > TEXT_LEN_MAX) {
            return Err(invalid("failureModes", "is too long"));
        }
        Ok(command::Attest {
            node: NodeId(self.node_id),
            validator: ValidatorId(self.validator_id),
            state,
            score,
            failure_modes,
            lifecycle: self.lifecycle.map(Into::into),
        })
    }
}
