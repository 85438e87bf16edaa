//! A refusal: `decide`'s other normal answer. Nothing changed.

use crate::model::{NodeId, NodeName};

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node has this id.
    #[error("no node has the id {node}: register it first, or look it up by name")]
    NodeNotFound {
        /// The id.
        node: NodeId,
    },
    /// Neither id, name nor contract says which node is meant.
    #[error("the registration names no node: give id, name, or a contract that has a name")]
    NameMissing,
    /// Another node has this name.
    #[error("the name {name} belongs to node {holder}: register under another name, or with that id to update it")]
    NameTaken {
        /// The name.
        name: NodeName,
        /// Who has it.
        holder: NodeId,
    },
    /// A validator froze the registration.
    #[error("node {name} ({node}) is frozen: a validator must attest another lifecycle before it can change")]
    NodeFrozen {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// A node without a live instance has nothing to keep alive.
    #[error("node {name} ({node}) is only declared: its live instance registers before it sends heartbeats")]
    NeverLive {
        /// The node.
        node: NodeId,
        /// Its name.
        name: NodeName,
    },
    /// One registration offers a tool twice, with different content.
    #[error("tool {name} {version} is offered twice with different content: give each its own name or version")]
    ToolOfferedTwice {
        /// The tool.
        name: String,
        /// Its version.
        version: String,
    },
}
