//! A dependency graph as text for Graphviz and for Mermaid. Pure.
//!
//! Both draw alike: parallel edges between two nodes become one with the labels below each other, since dozens of
//! topics between one pair would hide everything else; missing nodes are dashed, members of cycles red.

use std::collections::HashMap;

use super::Graph;
use crate::cli::output::clean;

/// How many labels an edge shows before it counts the rest.
const LABELS_MAX: usize = 5;

/// The graph in Graphviz' language.
pub(super) fn dot(graph: &Graph) -> String {
    let circles = Circles::of(graph);
    let mut text = String::from("digraph onex {\n  rankdir=LR;\n  node [shape=box];\n");
    for node in &graph.nodes {
        let mut attributes = format!("label={}", quoted(&node.name));
        if node.missing {
            attributes.push_str(", style=dashed");
        }
        if circles.has_node(&node.id) {
            attributes.push_str(", color=red");
        }
        text.push_str(&format!("  {} [{attributes}];\n", quoted(&node.id)));
    }
    for Merged { from, to, labels } in merge(graph) {
        let label = labels.iter().map(|label| escaped(label)).collect::<Vec<_>>().join("\\n");
        let colour = if circles.has_edge(from, to) { ", color=red" } else { "" };
        text.push_str(&format!("  {} -> {} [label=\"{label}\"{colour}];\n", quoted(from), quoted(to)));
    }
    text.push_str("}\n");
    text
}

/// The graph in Mermaid's language. Nodes are numbered there, since ids of any other form may collide with its words.
pub(super) fn mermaid(graph: &Graph) -> String {
    let circles = Circles::of(graph);
    let numbers: HashMap<&str, usize> = graph.nodes.iter().map(|node| &*node.id).zip(0..).collect();
    let mut text = String::from("flowchart LR\n");
    for (number, node) in graph.nodes.iter().enumerate() {
        text.push_str(&format!("  n{number}[\"{}\"]\n", entities(&node.name)));
    }
    let mut red_edges = Vec::new();
    let mut edges = 0;
    for Merged { from, to, labels } in merge(graph) {
        // An edge to a node that the answer does not hold has nothing to point at.
        let (Some(tail), Some(head)) = (numbers.get(from), numbers.get(to)) else { continue };
        let label = labels.iter().map(|label| entities(label)).collect::<Vec<_>>().join("<br/>");
        text.push_str(&format!("  n{tail} -->|\"{label}\"| n{head}\n"));
        if circles.has_edge(from, to) {
            red_edges.push(edges.to_string());
        }
        edges += 1;
    }
    let class = |name: &str, style: &str, is_member: &dyn Fn(&super::Node) -> bool| {
        let members = graph.nodes.iter().enumerate().filter(|(_, node)| is_member(node));
        let members: Vec<String> = members.map(|(number, _)| format!("n{number}")).collect();
        if members.is_empty() {
            return String::new();
        }
        format!("  classDef {name} {style}\n  class {} {name}\n", members.join(","))
    };
    text.push_str(&class("missing", "stroke-dasharray:5 5", &|node| node.missing));
    text.push_str(&class("cycle", "stroke:red", &|node| circles.has_node(&node.id)));
    if !red_edges.is_empty() {
        text.push_str(&format!("  linkStyle {} stroke:red\n", red_edges.join(",")));
    }
    text
}

/// Which cycle each node is in: a set of nodes that all feed each other, so that an edge within it is part of a circle.
struct Circles<'a>(HashMap<&'a str, usize>);

impl<'a> Circles<'a> {
    fn of(graph: &'a Graph) -> Self {
        let members = graph.cycles.iter().enumerate();
        Circles(members.flat_map(|(cycle, ids)| ids.iter().map(move |id| (id.as_str(), cycle))).collect())
    }

    fn has_node(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    fn has_edge(&self, from: &str, to: &str) -> bool {
        self.0.get(from).is_some_and(|cycle| self.0.get(to) == Some(cycle))
    }
}

/// All edges from one node to another.
struct Merged<'a> {
    from: &'a str,
    to: &'a str,
    labels: Vec<String>,
}

/// Joins parallel edges, in the order in which each pair first appears; what stays equal between two runs stays equal
/// in the text, so that a drawing kept under version control changes only with the graph.
fn merge(graph: &Graph) -> Vec<Merged<'_>> {
    let mut places = HashMap::new();
    let mut merged: Vec<Merged<'_>> = Vec::new();
    for edge in &graph.edges {
        let place = *places.entry((&*edge.from, &*edge.to)).or_insert_with(|| {
            merged.push(Merged { from: &edge.from, to: &edge.to, labels: Vec::new() });
            merged.len() - 1
        });
        if !merged[place].labels.contains(&edge.via) {
            merged[place].labels.push(edge.via.clone());
        }
    }
    for edge in &mut merged {
        let hidden = edge.labels.len().saturating_sub(LABELS_MAX);
        if hidden > 0 {
            edge.labels.truncate(LABELS_MAX);
            edge.labels.push(format!("+{hidden} more"));
        }
    }
    merged
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A backslash begins an escape in a Graphviz label, and before the closing quote it would keep the text open.
fn escaped(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// Mermaid reads labels as Markdown and HTML; its own entities keep each character what it is.
fn entities(text: &str) -> String {
    let mut escaped = String::new();
    for character in clean(text).chars() {
        match character {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => escaped.push_str(&format!("#{};", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn graphviz_text() {
        let expected = r#"digraph onex {
  rankdir=LR;
  node [shape=box];
  "1" [label="a", color=red];
  "2" [label="b \"x\" \\ <y>#", color=red];
  "3" [label="gone", style=dashed];
  "1" -> "2" [label="topic.1\ntopic.2\ntopic.3\ntopic.4\ntopic.5\n+2 more", color=red];
  "2" -> "1" [label="back", color=red];
  "2" -> "2" [label="self", color=red];
  "3" -> "1" [label="needs \"b\\c\""];
}
"#;
        assert_eq!(dot(&sample()), expected);
    }

    #[test]
    fn mermaid_text() {
        let expected = r#"flowchart LR
  n0["a"]
  n1["b #34;x#34; #92; #60;y#62;#35;"]
  n2["gone"]
  n0 -->|"topic.1<br/>topic.2<br/>topic.3<br/>topic.4<br/>topic.5<br/>+2 more"| n1
  n1 -->|"back"| n0
  n1 -->|"self"| n1
  n2 -->|"needs #34;b#92;c#34;"| n0
  classDef missing stroke-dasharray:5 5
  class n2 missing
  classDef cycle stroke:red
  class n0,n1 cycle
  linkStyle 0,1,2 stroke:red
"#;
        assert_eq!(mermaid(&sample()), expected);
    }
}
