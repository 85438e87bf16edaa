//! The dependency graph.

use super::super::View;
use super::super::limits::budget::List;
use super::super::render::{rendered, rendered_enums};
use super::node::Node;
use crate::registry::graph;
use async_graphql::{Enum, ID, Object, SimpleObject};

/// Which way to walk from a node.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "graph::Direction")]
pub enum GraphDirection {
    /// To those that feed it.
    Upstream,
    /// To those that it feeds: what may break when it stops.
    Downstream,
    /// Upstream and, apart from that, downstream.
    Both,
}

/// Why one node feeds another.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "graph::EdgeKind")]
pub enum EdgeKind {
    /// One publishes on a topic that the other reads.
    Topic,
    /// One is a declared dependency of the other.
    Dependency,
    /// One offers a tool that the other depends on.
    Tool,
    /// One is an agent that owns the other, or an agent that follows it.
    Agent,
}

/// How an edge is known.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum EdgeOrigin {
    /// It is declared. Whether it was seen as well, nobody asked, or it was not.
    Declared,
    /// It was seen, and nobody declares it.
    Observed,
    /// It is declared, and was seen.
    Both,
}

rendered_enums!(EdgeKind, EdgeOrigin);

/// Who feeds whom.
pub struct DependencyGraph {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) graph: graph::Graph,
    pub(in crate::graphql) observed: graph::Observed,
}

fn id(vertex: &graph::Vertex) -> ID {
    match vertex {
        graph::Vertex::Node(id) => ID(id.to_string()),
        graph::Vertex::Missing(name) => ID(format!("missing:{name}")),
        graph::Vertex::MissingTool(name) => ID(format!("missing-tool:{name}")),
    }
}

/// Who feeds whom: edges point from who gives to who takes.
#[Object]
impl DependencyGraph {
    /// The nodes, and the names that nodes depend on and nobody has registered; nearest to the root first, then by
    /// name.
    async fn nodes(&self) -> List<GraphNode> {
        let vertices = self.graph.vertices.iter();
        let mut nodes: Vec<GraphNode> = vertices
            .map(|(vertex, depth)| {
                let node = match vertex {
                    graph::Vertex::Node(id) => Node::by_id(&self.view, *id),
                    graph::Vertex::Missing(_) | graph::Vertex::MissingTool(_) => None,
                };
                let name = match (vertex, &node) {
                    (graph::Vertex::Missing(name) | graph::Vertex::MissingTool(name), _) => name.to_string(),
                    (_, Some(node)) => node.node.declared.name.to_string(),
                    (graph::Vertex::Node(id), None) => id.to_string(),
                };
                GraphNode { id: id(vertex), name, missing: node.is_none(), node, depth: *depth }
            })
            .collect();
        nodes.sort_by(|a, b| a.depth.cmp(&b.depth).then_with(|| a.name.cmp(&b.name)));
        nodes.into()
    }

    /// The edges, each once: two nodes have one for each topic, dependency, tool or relation between them.
    async fn edges(&self) -> List<GraphEdge> {
        let edges = self.graph.edges.iter();
        edges
            .map(|edge| GraphEdge {
                from: id(&edge.from),
                to: id(&edge.to),
                kind: edge.kind.into(),
                via: edge.via.to_string(),
                origin: match (graph::declares(&self.view, edge), self.observed.has(edge)) {
                    (true, true) => EdgeOrigin::Both,
                    (false, true) => EdgeOrigin::Observed,
                    (_, false) => EdgeOrigin::Declared,
                },
            })
            .collect()
    }

    /// Sets of nodes that all feed each other, directly or by way of the others, as GraphNode ids; a node that feeds
    /// itself is a set of one.
    async fn cycles(&self) -> Vec<Vec<ID>> {
        self.graph.cycles.iter().map(|members| members.iter().map(id).collect()).collect()
    }
}

rendered!(DependencyGraph { nodes, edges, cycles });

/// A node, or a name that some node depends on and nobody has registered.
#[derive(SimpleObject)]
pub struct GraphNode {
    /// The node's id; for what is missing, missing: or missing-tool: and the name. Edges and cycles refer to it.
    id: ID,
    /// The node's name, or the name that is missing.
    name: String,
    /// The node; null where it is missing.
    node: Option<Node>,
    /// Whether nobody has registered it.
    missing: bool,
    /// Steps from the root; 0 for the root, and for all where no root was named.
    depth: u32,
}

rendered!(struct GraphNode { id, name, node, missing, depth });

/// One reason why one node feeds another.
#[derive(SimpleObject)]
pub struct GraphEdge {
    /// GraphNode id of who gives.
    from: ID,
    /// GraphNode id of who takes.
    to: ID,
    /// In which way.
    kind: EdgeKind,
    /// The topic, dependency or tool by name; for an agent, owns or follows.
    via: String,
    /// Whether it is declared, or was seen.
    origin: EdgeOrigin,
}

rendered!(struct GraphEdge { from, to, kind, via, origin });
