//! Who gets a call: each provider is judged, then one is picked by the caller's policy.

use super::providers::{Health, Presence};
use crate::model::{
    CallError, CallErrorCode, DefinitionHash, Node, NodeId, NodeSelection, NodeStatus, Offer, Time, ToolTransport,
    TrustState,
};
use serde_json::json;

/// Why a provider cannot take a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// The caller named another.
    NotAsked,
    /// It is not there, or wants no calls.
    Status(NodeStatus),
    /// The offer has lapsed.
    Lapsed,
    /// It is registered and does not listen.
    NotListening,
    /// It is not trusted as far as is wanted.
    Untrusted(TrustState),
    /// It promises something else under this name and version than the earliest provider.
    Differs,
    /// Its definition has a defect.
    Defect(String),
    /// It failed too often of late.
    Quarantined {
        /// The latest failure.
        cause: String,
        /// From when on it is tried again.
        retry_at: Option<Time>,
    },
    /// It has as many calls as it takes: so many of them of this tool.
    Full(u32),
    /// The registry cannot call it that way.
    Unreachable(String),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unfit::NotAsked => f.write_str("the call names another node"),
            Unfit::Status(NodeStatus::Declared) => f.write_str("it is only declared: no live instance has registered"),
            Unfit::Status(NodeStatus::Draining) => f.write_str("it is draining and takes no new calls"),
            Unfit::Status(NodeStatus::Offline) => f.write_str("it is offline: its registration lapsed"),
            Unfit::Status(NodeStatus::Online) => f.write_str("it is online"),
            Unfit::Lapsed => f.write_str("its offer of the tool lapsed"),
            Unfit::NotListening => {
                f.write_str("it is registered and does not listen: it has no toolCalls subscription")
            }
            Unfit::Untrusted(state) => write!(f, "its trust is {}", format!("{state:?}").to_uppercase()),
            Unfit::Differs => {
                f.write_str("it promises something else under this name and version than the earliest provider")
            }
            Unfit::Defect(defect) => write!(f, "its definition has a defect: {defect}"),
            Unfit::Quarantined { cause, retry_at } => {
                write!(f, "it failed too often of late ({cause})")?;
                retry_at.map_or(Ok(()), |at| write!(f, "; it is tried again from {at}"))
            }
            Unfit::Full(max) => write!(f, "it has {max} calls of the tool under way and takes no more now"),
            Unfit::Unreachable(reason) => f.write_str(reason),
        }
    }
}

/// A provider, judged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Why it cannot take the call; `None` where it can.
    pub unfit: Option<Unfit>,
    /// How many calls it has under way for the tool.
    pub in_flight: u32,
    /// How many it takes.
    pub in_flight_max: u32,
    /// How busy it says it is.
    pub load: Option<f64>,
}

/// What a call wants of its provider.
#[derive(Clone, Debug)]
pub struct Wants {
    /// The only node that will do.
    pub node: Option<NodeId>,
    /// The least trust.
    pub trust: TrustState,
    /// What it was checked against.
    pub definition: DefinitionHash,
    /// How many calls a provider takes that does not say.
    pub in_flight_max: u32,
}

/// Judges one provider.
pub fn judge(
    wants: &Wants,
    node: &Node,
    offer: &Offer,
    (presence, health): &(Presence, Health),
    unreachable: Option<String>,
    now: Time,
) -> Candidate {
    let in_flight_max = offer.max_in_flight.unwrap_or(wants.in_flight_max);
    let unfit = || {
        if wants.node.is_some_and(|wanted| wanted != node.id) {
            return Some(Unfit::NotAsked);
        }
        if node.status != NodeStatus::Online {
            return Some(Unfit::Status(node.status));
        }
        if offer.expires_at.is_some_and(|at| at <= now) || node.expires_at.is_some_and(|at| at <= now) {
            return Some(Unfit::Lapsed);
        }
        if let Some(defect) = &offer.definition.defect {
            return Some(Unfit::Defect(defect.clone()));
        }
        if offer.definition.hash != wants.definition {
            return Some(Unfit::Differs);
        }
        if node.trust.state() < wants.trust {
            return Some(Unfit::Untrusted(node.trust.state()));
        }
        if let Some(reason) = unreachable {
            return Some(Unfit::Unreachable(reason));
        }
        if offer.transport == ToolTransport::GraphQl && !presence.connected {
            return Some(Unfit::NotListening);
        }
        if !health.circuit.admits(now) {
            let cause = health.circuit.cause.clone().unwrap_or_default();
            return Some(Unfit::Quarantined { cause, retry_at: health.circuit.retry_at });
        }
        let is_full = health.in_flight >= in_flight_max || presence.room == Some(0);
        is_full.then_some(Unfit::Full(health.in_flight))
    };
    Candidate { node: node.id, unfit: unfit(), in_flight: health.in_flight, in_flight_max, load: presence.load }
}

/// Those who can take the call, in the order in which they are to be tried. `turn` says whose turn it is, and `draw`
/// draws a number below another.
pub fn order(
    candidates: &[Candidate],
    policy: NodeSelection,
    turn: usize,
    draw: impl Fn(usize) -> usize,
) -> Vec<NodeId> {
    let mut fit: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.unfit.is_none()).collect();
    let count = fit.len().max(1);
    match policy {
        NodeSelection::First | NodeSelection::All => {}
        NodeSelection::RoundRobin => fit.rotate_left(turn % count),
        NodeSelection::Random => {
            for at in (1..fit.len()).rev() {
                fit.swap(at, draw(at + 1));
            }
        }
        NodeSelection::LeastLoaded => {
            let busy = |candidate: &Candidate| {
                f64::from(candidate.in_flight) / f64::from(candidate.in_flight_max.max(1))
                    + candidate.load.unwrap_or(0.0)
            };
            // Whose turn it is decides among those that are as busy.
            fit.rotate_left(turn % count);
            fit.sort_by(|one, other| busy(one).total_cmp(&busy(other)));
        }
    }
    fit.into_iter().map(|candidate| candidate.node).collect()
}

/// How many providers are named where nobody can take a call.
const TOLD_MAX: usize = 20;

/// Why nobody can take the call.
pub fn nobody(tool: &str, candidates: &[Candidate]) -> CallError {
    let asked: Vec<&Candidate> =
        candidates.iter().filter(|candidate| candidate.unfit != Some(Unfit::NotAsked)).collect();
    let any = |fits: fn(&Unfit) -> bool| asked.iter().filter_map(|candidate| candidate.unfit.as_ref()).any(fits);
    let (code, kind) = if any(|unfit| matches!(unfit, Unfit::Full(_))) {
        (CallErrorCode::ToolOverloaded, "Overloaded")
    } else if any(|unfit| matches!(unfit, Unfit::Untrusted(_))) {
        (CallErrorCode::ToolUntrusted, "Untrusted")
    } else {
        (CallErrorCode::ToolNoProvider, "NoProvider")
    };
    let reason = match asked.as_slice() {
        [] => "the node that the call names does not offer it".to_owned(),
        [one] => one.unfit.as_ref().map(ToString::to_string).unwrap_or_default(),
        several => format!("none of its {} providers can take the call; the details say why", several.len()),
    };
    let providers = asked.iter().take(TOLD_MAX).map(
        |candidate| json!({ "nodeId": candidate.node.0, "reason": candidate.unfit.as_ref().map(ToString::to_string) }),
    );
    CallError {
        code,
        kind: kind.to_owned(),
        message: format!("nobody takes a call of {tool} now: {reason}"),
        details: Some(json!({ "providers": providers.collect::<Vec<_>>() })),
        retryable: code != CallErrorCode::ToolUntrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn candidate(number: u128, in_flight: u32, load: f64) -> Candidate {
        let node = NodeId(Uuid::from_u128(number));
        Candidate { node, unfit: None, in_flight, in_flight_max: 10, load: Some(load) }
    }

    fn numbers(order: Vec<NodeId>) -> Vec<u128> {
        order.into_iter().map(|node| node.0.as_u128()).collect()
    }

    #[test]
    fn each_policy_orders_those_who_can_take_the_call() {
        let mut candidates =
            vec![candidate(1, 5, 0.0), candidate(2, 1, 0.0), candidate(3, 1, 0.9), candidate(4, 0, 0.0)];
        candidates[3].unfit = Some(Unfit::NotListening);
        let ordered = |policy, turn| numbers(order(&candidates, policy, turn, |below| below - 1));
        assert_eq!(ordered(NodeSelection::First, 7), [1, 2, 3]);
        assert_eq!(ordered(NodeSelection::All, 7), [1, 2, 3]);
        assert_eq!(ordered(NodeSelection::RoundRobin, 1), [2, 3, 1]);
        assert_eq!(ordered(NodeSelection::RoundRobin, 3), [1, 2, 3]);
        assert_eq!(ordered(NodeSelection::LeastLoaded, 0), [2, 1, 3]);
        assert_eq!(ordered(NodeSelection::Random, 0), [1, 2, 3]);
        assert_eq!(numbers(order(&candidates, NodeSelection::Random, 0, |_| 0)), [2, 3, 1]);
    }

    #[test]
    fn why_nobody_takes_a_call_is_told_by_the_most_hopeful_reason() {
        let unfit = |number: u128, unfit: Unfit| Candidate { unfit: Some(unfit), ..candidate(number, 0, 0.0) };
        let full = nobody("t", &[unfit(1, Unfit::Full(3)), unfit(2, Unfit::Untrusted(TrustState::Untrusted))]);
        assert_eq!((full.code, full.retryable), (CallErrorCode::ToolOverloaded, true));
        let untrusted =
            nobody("t", &[unfit(1, Unfit::NotListening), unfit(2, Unfit::Untrusted(TrustState::Untrusted))]);
        assert_eq!((untrusted.code, untrusted.retryable), (CallErrorCode::ToolUntrusted, false));
        let gone = nobody("t", &[unfit(1, Unfit::Status(NodeStatus::Offline))]);
        assert_eq!(gone.code, CallErrorCode::ToolNoProvider);
        assert!(gone.message.contains("its registration lapsed"), "{}", gone.message);
        assert!(nobody("t", &[unfit(1, Unfit::NotAsked)]).message.contains("does not offer it"));
    }
}
