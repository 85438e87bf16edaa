//! A validator's word on a node. Who may speak as which validator is for access to judge.

use super::{Answer, Decision, known};
use crate::model::Change;
use crate::model::{NodeId, Time, Verdict};
use crate::registry::command::Attest;
use crate::registry::refusal::Refusal;
use crate::registry::state::State;

pub(super) fn decide(state: &State, now: Time, attest: &Attest) -> Result<Decision, Refusal> {
    let node = known(state, attest.node)?;
    signed(state, attest)?;
    let earlier = node.trust.verdicts.iter().find(|verdict| verdict.validator == attest.validator);
    let repeats = earlier.is_some_and(|verdict| {
        verdict.state == attest.state
            && verdict.score == attest.score
            && verdict.failure_modes == attest.failure_modes
            && attest.lifecycle.is_none_or(|lifecycle| lifecycle == node.trust.lifecycle)
    });
    let verdict = Verdict {
        validator: attest.validator,
        state: attest.state,
        score: attest.score,
        failure_modes: attest.failure_modes.clone(),
        at: now,
    };
    let change = Change::TrustChanged { node: attest.node, verdict, lifecycle: attest.lifecycle };
    let changes = if repeats { Vec::new() } else { vec![change] };
    Ok(Decision { changes, answer: Answer::Node(attest.node) })
}

/// A validator that is a node with a key signs what it says.
fn signed(state: &State, attest: &Attest) -> Result<(), Refusal> {
    let validator = state.node(NodeId(attest.validator.0));
    match validator.and_then(|validator| Some((validator, validator.declared.public_key?))) {
        Some((validator, key)) if attest.signed_by != Some(key) && !attest.overrules_key => {
            Err(Refusal::AttestationUnsigned { validator: validator.id, name: validator.declared.name.clone() })
        }
        _ => Ok(()),
    }
}
