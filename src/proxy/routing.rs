//! From what is asked to who gets it: which tool is meant, who offers it, and who of them is to be asked.

use super::call::{Call, Found, Way};
use super::choose::{Candidate, Wants, nobody, order};
use super::core::Core;
use super::schemas::sentence;
use super::service::Wanted;
use crate::model::{CallError, CallErrorCode, NodeSelection, Offer, Time, Tool, ToolKey, TrustState};
use crate::registry::state::State;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many other providers are tried where the caller does not say.
const FAILOVERS: u32 = 2;

impl Core {
    /// Sends a call its way, or turns it away.
    pub(super) fn route(&self, state: &State, call: &Arc<Call>, wanted: &Wanted, now: Time) {
        let Some(found) = &call.found else { return call.reject(unknown(wanted)) };
        match self.choose(state, found, wanted, false, now) {
            Ok((way, _)) => call.begin(way),
            Err((error, _)) => {
                tracing::info!(
                    call = %call.id, correlation_id = &*call.correlation_id, tool = %wanted.tool, kind = error.kind,
                    "a call is turned away"
                );
                call.reject(error);
            }
        }
    }

    /// The tool that a call means, and what it is checked against.
    pub(super) fn find_tool(&self, state: &State, wanted: &Wanted) -> Option<Found> {
        if wanted.unknown {
            return None;
        }
        let find = |trust| {
            let fits = |tool: &Tool| has_trusted(state, tool, trust);
            state.tool_wanted(&wanted.tool, wanted.version.as_ref(), fits)
        };
        // What nobody may call is not there; where only versions of others are trusted too little, that is said.
        let tool = find(self.least_trust(wanted)).or_else(|| find(self.rules.least_trust))?;
        // The word of the node that the call names counts, else that of the most trusted who could take it.
        let named = tool.offers.iter().find(|offer| Some(offer.node) == wanted.node);
        let definition = named.map_or_else(|| state.definition_of(tool), |offer| &offer.definition);
        let compiled = self.schemas.of(definition);
        Some(Found { tool: tool.clone(), definition: definition.clone(), compiled })
    }

    /// How far a call's provider has to be trusted.
    fn least_trust(&self, wanted: &Wanted) -> TrustState {
        let asked = if wanted.trusted_only { TrustState::Trusted } else { TrustState::Untrusted };
        asked.max(self.rules.least_trust)
    }

    /// Who gets a call, in which order; why nobody does. A call that is only planned takes nobody's turn.
    pub(super) fn choose(
        &self,
        state: &State,
        found: &Found,
        wanted: &Wanted,
        is_planned: bool,
        now: Time,
    ) -> Result<(Way, Vec<Candidate>), (CallError, Vec<Candidate>)> {
        let wants = Wants {
            node: wanted.node,
            trust: self.least_trust(wanted),
            definition: found.definition.hash,
            in_flight_max: self.rules.in_flight_max,
        };
        let candidates = self.candidates(state, &found.tool, &wants, now);
        if let Err(violations) = found.compiled.check_arguments(&wanted.arguments) {
            return Err((invalid_arguments(&found.definition.key, &violations), candidates));
        }
        let policy = wanted.policy.unwrap_or(NodeSelection::First);
        let turns = matches!(policy, NodeSelection::RoundRobin | NodeSelection::LeastLoaded);
        let turn = if turns { self.turn(&found.tool.key, !is_planned) } else { 0 };
        let in_order = order(&candidates, policy, turn, |below| fastrand::usize(..below));
        if in_order.is_empty() {
            return Err((nobody(wanted.tool.as_str(), &candidates), candidates));
        }
        let mut warnings = Vec::new();
        if in_order.len() > 1 && wanted.policy.is_none() && wanted.node.is_none() {
            warnings.push(format!(
                "{} providers could take this call, and it names no policy: the first one got it",
                in_order.len()
            ));
        }
        let way = Way {
            candidates: in_order,
            all: policy == NodeSelection::All,
            failovers_max: wanted.failovers_max.unwrap_or(FAILOVERS),
            warnings,
        };
        Ok((way, candidates))
    }
}

/// Whether somebody who offers a tool is trusted so far.
pub(super) fn has_trusted(state: &State, tool: &Tool, least: TrustState) -> bool {
    let trusted = |offer: &Offer| state.node(offer.node).is_some_and(|node| node.trust.state() >= least);
    least == TrustState::Untrusted || tool.offers.iter().any(trusted)
}

pub(super) fn unknown(wanted: &Wanted) -> CallError {
    let version = wanted.version.as_ref().map(|version| format!(" in version {}", version.as_str()));
    CallError {
        code: CallErrorCode::ToolNotFound,
        kind: "NotFound".to_owned(),
        message: format!(
            "no tool {}{} is registered: search with tools(filter: {{search: …}})",
            wanted.tool,
            version.unwrap_or_default()
        ),
        details: None,
        retryable: false,
    }
}

fn invalid_arguments(tool: &ToolKey, violations: &[Value]) -> CallError {
    let ToolKey { name, version } = tool;
    CallError {
        code: CallErrorCode::ToolInvalidArguments,
        kind: "InvalidArguments".to_owned(),
        message: format!("the arguments do not fit {name} {version}: {}", sentence(violations)),
        details: Some(json!({ "tool": name.as_str(), "version": version.as_str(), "violations": violations })),
        retryable: false,
    }
}

/// Why the first of the candidates gets the call.
pub(super) fn why(wanted: &Wanted, candidates: &[Candidate]) -> String {
    let fit = candidates.iter().filter(|candidate| candidate.unfit.is_none()).count();
    match (wanted.node, wanted.policy, fit) {
        (Some(_), ..) => "the call names it".to_owned(),
        (_, _, 1) => "it is the only one that can take the call".to_owned(),
        (_, None | Some(NodeSelection::First), _) => format!("of {fit} that can, it has offered the tool the longest"),
        (_, Some(NodeSelection::RoundRobin), _) => format!("of {fit} that can, it is its turn"),
        (_, Some(NodeSelection::LeastLoaded), _) => format!("of {fit} that can, it has the least to do"),
        (_, Some(NodeSelection::Random), _) => format!("of {fit} that can, it was drawn"),
        (_, Some(NodeSelection::All), _) => format!("all {fit} that can get the call"),
    }
}
