//! Who feeds whom: the dependency graph, computed from one version when it is asked for.
//!
//! Every edge points from who gives to who takes: from publisher to subscriber, from what is depended on to what
//! depends on it, from a tool's provider to its user, from an agent to the nodes it owns and from a node to the
//! agents that follow it. Downstream of a node is therefore what may break when it stops.

use super::state::State;
use crate::model::{DependencyKind, Node, NodeId, ToolName, TopicName};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// The most nodes of one answer.
pub const VERTICES_MAX: usize = 20_000;
/// The most edges of one answer.
pub const EDGES_MAX: usize = 100_000;

/// A node, or a name that somebody depends on and nobody has registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vertex {
    /// A registered node.
    Node(NodeId),
    /// The name of a node that is not registered.
    Missing(Arc<str>),
    /// The name of a tool that nobody offers.
    MissingTool(Arc<str>),
}

/// Why one node feeds another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// One publishes on a topic that the other reads.
    Topic,
    /// One is a declared dependency of the other.
    Dependency,
    /// One offers a tool that the other depends on.
    Tool,
    /// One is an agent that owns the other, or that follows it.
    Agent,
}

/// One reason why one node feeds another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// Who gives.
    pub from: Vertex,
    /// Who takes.
    pub to: Vertex,
    /// In which way.
    pub kind: EdgeKind,
    /// The topic, dependency or tool by name; `owns` or `follows` for an agent.
    pub via: Arc<str>,
}

/// Who was seen to publish what somebody was seen to read.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    edges: BTreeSet<Edge>,
    by_publisher: HashMap<NodeId, Vec<Edge>>,
    by_reader: HashMap<NodeId, Vec<Edge>>,
}

impl Observed {
    /// One was seen to publish on a topic that the other was seen to read.
    pub fn add(&mut self, publisher: NodeId, reader: NodeId, topic: &TopicName) {
        let (from, to) = (Vertex::Node(publisher), Vertex::Node(reader));
        let edge = Edge { from, to, kind: EdgeKind::Topic, via: topic.as_str().into() };
        if self.edges.insert(edge.clone()) {
            self.by_publisher.entry(publisher).or_default().push(edge.clone());
            self.by_reader.entry(reader).or_default().push(edge);
        }
    }

    /// Whether this was seen.
    pub fn has(&self, edge: &Edge) -> bool {
        self.edges.contains(edge)
    }

    fn towards(&self, node: NodeId) -> impl Iterator<Item = Edge> + '_ {
        self.by_reader.get(&node).into_iter().flatten().cloned()
    }

    fn out_of(&self, node: NodeId) -> impl Iterator<Item = Edge> + '_ {
        self.by_publisher.get(&node).into_iter().flatten().cloned()
    }
}

/// Whether contracts say this of an edge that is in the graph.
pub fn declares(state: &State, edge: &Edge) -> bool {
    let (EdgeKind::Topic, Vertex::Node(from), Vertex::Node(to)) = (edge.kind, &edge.from, &edge.to) else {
        return true;
    };
    let uses = TopicName::try_new(&edge.via).ok().and_then(|topic| state.topics.get(&topic));
    uses.is_some_and(|uses| uses.publishers.contains(from) && uses.subscribers.contains(to))
}

/// Which way to walk from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To those that feed it.
    Upstream,
    /// To those that it feeds.
    Downstream,
    /// Upstream and, apart from that, downstream.
    Both,
}

/// A dependency graph, or the part of it around a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Each with its distance from the node that was asked for; 0 where the whole graph was.
    pub vertices: BTreeMap<Vertex, u32>,
    /// Each once.
    pub edges: BTreeSet<Edge>,
    /// Sets of nodes that all feed each other, directly or by way of the others; a node that feeds itself is one.
    pub cycles: Vec<Vec<Vertex>>,
}

/// The answer would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the graph has more than {VERTICES_MAX} nodes or {EDGES_MAX} edges: ask for the part around a node, with a \
     smaller depth"
)]
pub struct TooLarge;

/// The whole graph: every node, every name that one depends on, and what was seen besides.
pub fn whole(state: &State, observed: &Observed) -> Result<Graph, TooLarge> {
    let mut graph = Graph::default();
    if state.nodes.len() > VERTICES_MAX {
        return Err(TooLarge);
    }
    for node in state.nodes.values() {
        graph.vertices.insert(Vertex::Node(node.id), 0);
        for edge in upstream_edges(state, node).into_iter().chain(downstream_edges(state, node)) {
            graph.vertices.insert(edge.from.clone(), 0);
            graph.vertices.insert(edge.to.clone(), 0);
            graph.edges.insert(edge);
        }
        graph.bounded()?;
    }
    for edge in &observed.edges {
        graph.vertices.insert(edge.from.clone(), 0);
        graph.vertices.insert(edge.to.clone(), 0);
        graph.edges.insert(edge.clone());
    }
    graph.bounded()?;
    graph.cycles = cycles(&graph.edges);
    Ok(graph)
}

/// The part of the graph around a node, up to so many steps away; `None`: as far as it goes.
pub fn around(
    state: &State,
    observed: &Observed,
    root: &Node,
    direction: Direction,
    depth: Option<u32>,
) -> Result<Graph, TooLarge> {
    let mut graph = reach(state, observed, root, direction, depth)?;
    graph.cycles = cycles(&graph.edges);
    Ok(graph)
}

fn reach(
    state: &State,
    observed: &Observed,
    root: &Node,
    direction: Direction,
    depth: Option<u32>,
) -> Result<Graph, TooLarge> {
    let mut graph = Graph::default();
    graph.vertices.insert(Vertex::Node(root.id), 0);
    if direction != Direction::Downstream {
        let edges_of = |node: &Node| upstream_edges(state, node).into_iter().chain(observed.towards(node.id)).collect();
        walk(state, root.id, depth, &mut graph, edges_of, |edge| &edge.from)?;
    }
    if direction != Direction::Upstream {
        let edges_of =
            |node: &Node| downstream_edges(state, node).into_iter().chain(observed.out_of(node.id)).collect();
        walk(state, root.id, depth, &mut graph, edges_of, |edge| &edge.to)?;
    }
    Ok(graph)
}

/// The nodes that feed this one (upstream) or that it feeds (downstream), nearest first, without itself.
pub fn neighbours(
    state: &State,
    root: &Node,
    direction: Direction,
    depth: Option<u32>,
) -> Result<Vec<Arc<Node>>, TooLarge> {
    let graph = reach(state, &Observed::default(), root, direction, depth)?;
    let mut found: Vec<(u32, &Arc<Node>)> = graph
        .vertices
        .iter()
        .filter_map(|(vertex, depth)| match vertex {
            Vertex::Node(id) if *id != root.id => Some((*depth, state.node(*id)?)),
            _ => None,
        })
        .collect();
    found.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.declared.name.cmp(&right.declared.name)));
    Ok(found.into_iter().map(|(_, node)| node.clone()).collect())
}

fn walk(
    state: &State,
    root: NodeId,
    depth: Option<u32>,
    graph: &mut Graph,
    edges_of: impl Fn(&Node) -> Vec<Edge>,
    far_end: fn(&Edge) -> &Vertex,
) -> Result<(), TooLarge> {
    let mut distances: HashMap<Vertex, u32> = HashMap::from([(Vertex::Node(root), 0)]);
    let mut ahead = VecDeque::from([root]);
    while let Some(id) = ahead.pop_front() {
        let distance = distances.get(&Vertex::Node(id)).copied().unwrap_or(0);
        if depth.is_some_and(|depth| distance >= depth) {
            continue;
        }
        let Some(node) = state.node(id) else { continue };
        for edge in edges_of(node) {
            let far = far_end(&edge).clone();
            if !distances.contains_key(&far) {
                distances.insert(far.clone(), distance + 1);
                if let Vertex::Node(next) = far {
                    ahead.push_back(next);
                }
            }
            graph.edges.insert(edge);
        }
        graph.bounded()?;
    }
    for (vertex, distance) in distances {
        let nearest = graph.vertices.entry(vertex).or_insert(distance);
        *nearest = distance.min(*nearest);
    }
    graph.bounded()
}

impl Graph {
    fn bounded(&self) -> Result<(), TooLarge> {
        if self.vertices.len() > VERTICES_MAX || self.edges.len() > EDGES_MAX { Err(TooLarge) } else { Ok(()) }
    }
}

fn named(state: &State, name: &str) -> Vertex {
    state.node_names.get(name).map_or_else(|| Vertex::Missing(name.into()), |id| Vertex::Node(*id))
}

fn upstream_edges(state: &State, node: &Node) -> Vec<Edge> {
    let to = || Vertex::Node(node.id);
    let mut edges = Vec::new();
    let mut add = |from: Vertex, kind: EdgeKind, via: &str| edges.push(Edge { from, to: to(), kind, via: via.into() });
    if let Some(contract) = state.contract_of(node) {
        for topic in &contract.subscribes {
            for publisher in state.topics.get(topic).iter().flat_map(|uses| &uses.publishers) {
                add(Vertex::Node(*publisher), EdgeKind::Topic, topic.as_str());
            }
        }
        for dependency in &contract.dependencies {
            match dependency.kind {
                DependencyKind::Node => {
                    add(named(state, &dependency.target), EdgeKind::Dependency, &dependency.name);
                }
                DependencyKind::Tool => {
                    for provider in providers(state, &dependency.target) {
                        add(provider, EdgeKind::Tool, &dependency.target);
                    }
                }
                DependencyKind::Other(_) => {}
            }
        }
    }
    if let Some(agent) = &node.declared.owned_by_agent {
        add(named(state, agent), EdgeKind::Agent, "owns");
    }
    for followed in state.agents.get(node.declared.name.as_str()).iter().flat_map(|links| &links.follows) {
        add(Vertex::Node(*followed), EdgeKind::Agent, "follows");
    }
    edges
}

fn downstream_edges(state: &State, node: &Node) -> Vec<Edge> {
    let from = || Vertex::Node(node.id);
    let mut edges = Vec::new();
    let mut add = |to: Vertex, kind: EdgeKind, via: &str| edges.push(Edge { from: from(), to, kind, via: via.into() });
    if let Some(contract) = state.contract_of(node) {
        for topic in &contract.publishes {
            for subscriber in state.topics.get(topic).iter().flat_map(|uses| &uses.subscribers) {
                add(Vertex::Node(*subscriber), EdgeKind::Topic, topic.as_str());
            }
        }
    }
    let name = node.declared.name.as_str();
    for dependent in state.dependents.get(name).into_iter().flatten() {
        for via in dependency_names(state, *dependent, &DependencyKind::Node, name) {
            add(Vertex::Node(*dependent), EdgeKind::Dependency, &via);
        }
    }
    for key in &node.tools {
        for dependent in state.tool_dependents.get(key.name.as_str()).into_iter().flatten() {
            add(Vertex::Node(*dependent), EdgeKind::Tool, key.name.as_str());
        }
    }
    for agent in &node.declared.subscribed_by_agents {
        add(named(state, agent), EdgeKind::Agent, "follows");
    }
    for owned in state.agents.get(name).iter().flat_map(|links| &links.owns) {
        add(Vertex::Node(*owned), EdgeKind::Agent, "owns");
    }
    edges
}

/// By which names a node's contract depends on this target.
fn dependency_names(state: &State, node: NodeId, kind: &DependencyKind, target: &str) -> Vec<String> {
    let contract = state.node(node).and_then(|node| state.contract_of(node));
    let dependencies = contract.iter().flat_map(|contract| &contract.dependencies);
    dependencies
        .filter(|dependency| dependency.kind == *kind && dependency.target == target)
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// Whoever offers a tool of this name in any version; the name itself where nobody does.
fn providers(state: &State, tool: &str) -> BTreeSet<Vertex> {
    let versions = ToolName::try_new(tool).map(|name| state.tool_versions(&name)).unwrap_or_default();
    let offers = versions.iter().flat_map(|tool| &tool.offers);
    let found: BTreeSet<Vertex> = offers.map(|offer| Vertex::Node(offer.node)).collect();
    if found.is_empty() { BTreeSet::from([Vertex::MissingTool(tool.into())]) } else { found }
}

fn cycles(edges: &BTreeSet<Edge>) -> Vec<Vec<Vertex>> {
    let mut graph: DiGraph<&Vertex, ()> = DiGraph::new();
    let mut places = HashMap::new();
    for edge in edges {
        let from = *places.entry(&edge.from).or_insert_with(|| graph.add_node(&edge.from));
        let to = *places.entry(&edge.to).or_insert_with(|| graph.add_node(&edge.to));
        graph.update_edge(from, to, ());
    }
    // Not Tarjan's: that one recurses, and a long chain of nodes would end the stack.
    let mut found: Vec<Vec<Vertex>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|members| members.len() > 1 || members.iter().any(|only| graph.contains_edge(*only, *only)))
        .map(|members| {
            let mut members: Vec<Vertex> = members.into_iter().map(|member| graph[member].clone()).collect();
            members.sort();
            members
        })
        .collect();
    found.sort();
    found
}
