//! Reading: filters, orders, pages, search, the graph, earlier states.

use crate::support::server::Server;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";

async fn register(server: &Server, input: Value) -> String {
    let answer = server.query(REGISTER, json!({"input": input})).await;
    answer["register"]["node"]["id"].as_str().unwrap().to_owned()
}

/// The names in the nodes of a list.
fn names(list: &Value) -> Vec<String> {
    list["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect()
}

async fn small_system(server: &Server) {
    for contract in [
        "name: source\nnode_type: effect\ndescription: Reads the ledger\nevent_bus: {publish_topics: [t.raw]}",
        "name: refine\nnode_type: compute\nmetadata: {tags: [ledger]}\nevent_bus: {subscribe_topics: [t.raw], \
         publish_topics: [t.fine], dlq_topics: [t.dlq]}",
        "name: ledger_store\nnode_type: effect\nevent_bus: {subscribe_topics: [t.fine]}\ndependencies: [{name: db, \
         type: node, module: x.missing_db}, {name: hash, type: tool}]",
        "name: feedback\nevent_bus: {subscribe_topics: [t.fine], publish_topics: [t.raw]}",
    ] {
        register(server, json!({"contract": contract, "declareOnly": true})).await;
    }
    let tools = json!([{"name": "hash", "version": "1.9.0", "description": "Hashes text", "tags": ["text"]},
        {"name": "hash", "version": "1.10.0", "description": "Hashes text", "tags": ["text"]},
        {"name": "hash", "version": "2.0.0-rc.1"}]);
    let live = json!({"name": "hasher", "kind": "TOOL", "tools": tools, "ownedByAgent": "overseer",
        "subscribedByAgents": ["ledger_store"]});
    register(server, live).await;
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let server = Server::start();
    small_system(&server).await;
    for (filter, expected) in [
        (json!({"kind": "EFFECT"}), vec!["ledger_store", "source"]),
        (json!({"status": "ONLINE"}), vec!["hasher"]),
        (json!({"tag": "ledger"}), vec!["refine"]),
        (json!({"namePattern": "*e*r*"}), vec!["hasher", "ledger_store"]),
        (json!({"trustState": "VERIFIED"}), vec![]),
        (json!({"providesTool": "hash"}), vec!["hasher"]),
        (json!({"topic": "t.raw"}), vec!["feedback", "refine", "source"]),
        (json!({"topic": "t.raw", "kind": "COMPUTE"}), vec!["refine"]),
        (json!({"search": "ledger"}), vec!["ledger_store", "refine", "source"]),
        (json!({"search": "LEDG read"}), vec!["source"]),
        (json!({"search": "ledger", "topic": "t.fine"}), vec!["ledger_store", "refine"]),
    ] {
        let document = "query($filter: NodeFilter) { nodes(filter: $filter) { nodes { name } totalCount } }";
        let found = server.query(document, json!({"filter": filter})).await["nodes"].clone();
        assert_eq!(names(&found), expected, "{filter}");
        assert_eq!(found["totalCount"], expected.len(), "{filter}");
    }
    for (filter, expected) in [
        (json!({"search": "hash text"}), 2),
        (json!({"tag": "text"}), 2),
        (json!({"hasProvider": true}), 3),
        (json!({"hasProvider": false}), 0),
        (json!({"trustedOnly": true}), 0),
        (json!({"namePattern": "h?sh"}), 3),
    ] {
        let document = "query($filter: ToolFilter) { tools(filter: $filter) { nodes { name } totalCount } }";
        let found = server.query(document, json!({"filter": filter})).await["tools"].clone();
        assert_eq!((names(&found).len(), &found["totalCount"]), (expected, &json!(expected)), "{filter}");
    }
    let topics = server
        .query(
            "{ topics(filter: {pattern: \"t.*\"}) { nodes { name publishers { name } declaredSubscribers \
        { name } deadLetterPublishers { name } } } }",
            Value::Null,
        )
        .await;
    assert_eq!(names(&topics["topics"]), ["t.dlq", "t.fine", "t.raw"]);
    assert_eq!(topics["topics"]["nodes"][0]["deadLetterPublishers"], json!([{"name": "refine"}]));
    assert_eq!(topics["topics"]["nodes"][2]["publishers"], json!([{"name": "feedback"}, {"name": "source"}]));
    let contracts = server
        .query("{ contracts(filter: {topic: \"t.dlq\"}) { nodes { name nodes { name } } totalCount } }", Value::Null)
        .await;
    assert_eq!(names(&contracts["contracts"]), ["refine"]);
}

#[tokio::test]
async fn a_tool_by_name_alone_is_its_highest_release() {
    let server = Server::start();
    small_system(&server).await;
    let tools = server
        .query(
            "{ highest: tool(name: \"hash\") { version } exact: tool(name: \"hash\", version: \"1.9.0\") \
        { version providers { connected node { name } } } none: tool(name: \"hash\", version: \"9\") { version } }",
            Value::Null,
        )
        .await;
    assert_eq!(tools["highest"]["version"], "1.10.0");
    assert_eq!(tools["exact"]["providers"], json!([{"connected": false, "node": {"name": "hasher"}}]));
    assert_eq!(tools["none"], Value::Null);
    for (range, version) in
        [("^1.2", json!("1.10.0")), ("~1.9.0", json!("1.9.0")), (">=1, <1.10", json!("1.9.0")), ("^3", json!(null))]
    {
        let tool = "query($range: String) { tool(name: \"hash\", version: $range) { version } }";
        let found = server.query(tool, json!({"range": range})).await["tool"].take();
        assert_eq!(found.get("version").cloned().unwrap_or_default(), version, "{range}");
    }
    let (code, message) = server.refused("{ tool(name: \"hash\", version: \"^^1\") { id } }", Value::Null).await;
    assert_eq!((code.as_str(), message.starts_with("version: ")), ("INVALID_ARGUMENT", true), "{message}");
}

const PAGE: &str = "query($order: NodeOrder, $first: Int, $after: String, $last: Int, $before: String, $filter: NodeFilter) { \
    nodes(orderBy: $order, first: $first, after: $after, last: $last, before: $before, filter: $filter) { nodes { name } \
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";

#[tokio::test]
async fn pages_cover_everything_once_in_every_order_while_things_come_and_go() {
    let server = Server::start();
    let all: Vec<String> = (0..25).map(|number| format!("node_{number:02}")).collect();
    let mut ids = Vec::new();
    for name in &all {
        ids.push(register(&server, json!({"name": name, "description": "paged"})).await);
    }
    for (order, filter) in [
        (json!("NAME"), json!(null)),
        (json!("REGISTERED_AT"), json!(null)),
        (json!("LAST_SEEN_AT"), json!(null)),
        (json!(null), json!({"search": "paged"})),
        (json!("NAME"), json!({"namePattern": "node_*"})),
    ] {
        for (size, ahead, cursor, edge, more) in [
            ("first", "after", "endCursor", "nodes", "hasNextPage"),
            ("last", "before", "startCursor", "nodes", "hasPreviousPage"),
        ] {
            let mut seen = Vec::new();
            let mut variables = json!({"order": order, "filter": filter, size: 7});
            loop {
                let page = server.query(PAGE, variables.clone()).await[edge].clone();
                assert_eq!(page["totalCount"], 25);
                seen.extend(names(&page));
                if page["pageInfo"][more] == false {
                    break;
                }
                variables[ahead] = page["pageInfo"][cursor].clone();
            }
            seen.sort();
            assert_eq!(seen, all, "{order} {filter} {size}");
        }
    }
    // What a cursor stands at may go, and others may come before it: the next page is still the next page.
    let first = server.query(PAGE, json!({"order": "NAME", "first": 5})).await["nodes"].clone();
    let document = "mutation($id: UUID!) { deregister(input: {nodeId: $id}) { id } }";
    server.query(document, json!({"id": ids[4]})).await;
    register(&server, json!({"name": "aaa"})).await;
    let next = server.query(PAGE, json!({"order": "NAME", "first": 2, "after": first["pageInfo"]["endCursor"]})).await;
    assert_eq!(names(&next["nodes"]), ["node_05", "node_06"]);
}

#[tokio::test]
async fn the_graph_points_from_who_gives_to_who_takes() {
    let server = Server::start();
    small_system(&server).await;
    let graph = server
        .query("{ dependencyGraph { nodes { id name missing } edges { from to kind via } cycles } }", Value::Null)
        .await;
    let graph = &graph["dependencyGraph"];
    let name = |id: &Value| {
        let nodes = graph["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["id"] == *id).unwrap()["name"].as_str().unwrap().to_owned()
    };
    let edges: BTreeSet<String> = graph["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| format!("{} -{}-> {}", name(&edge["from"]), edge["kind"].as_str().unwrap(), name(&edge["to"])))
        .collect();
    let expected = [
        "feedback -TOPIC-> refine",
        "hasher -AGENT-> ledger_store",
        "hasher -TOOL-> ledger_store",
        "missing_db -DEPENDENCY-> ledger_store",
        "overseer -AGENT-> hasher",
        "refine -TOPIC-> feedback",
        "refine -TOPIC-> ledger_store",
        "source -TOPIC-> refine",
    ];
    assert_eq!(edges.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let missing: Vec<&Value> =
        graph["nodes"].as_array().unwrap().iter().filter(|node| node["missing"] == true).collect();
    assert_eq!(missing.len(), 2);
    let cycles = graph["cycles"].as_array().unwrap();
    let cycle: BTreeSet<String> = cycles[0].as_array().unwrap().iter().map(name).collect();
    assert_eq!((cycles.len(), cycle), (1, BTreeSet::from(["feedback".to_owned(), "refine".to_owned()])));

    let around = "query($direction: GraphDirection!, $depth: Int) { dependencyGraph(root: {name: \"source\"}, direction: \
        $direction, depth: $depth) { nodes { name depth } } }";
    for (direction, depth, expected) in [
        ("DOWNSTREAM", json!(1), vec![("source", 0), ("refine", 1)]),
        ("DOWNSTREAM", json!(null), vec![("source", 0), ("refine", 1), ("feedback", 2), ("ledger_store", 2)]),
        ("UPSTREAM", json!(null), vec![("source", 0)]),
    ] {
        let found = server.query(around, json!({"direction": direction, "depth": depth})).await;
        let found: Vec<(String, u64)> = found["dependencyGraph"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| (node["name"].as_str().unwrap().to_owned(), node["depth"].as_u64().unwrap()))
            .collect();
        let expected: Vec<(String, u64)> = expected.into_iter().map(|(name, depth)| (name.to_owned(), depth)).collect();
        assert_eq!(found, expected, "{direction} {depth}");
    }
    let streams = server
        .query("{ node(by: {name: \"refine\"}) { upstream { name } downstream(depth: 2) { name } } }", Value::Null)
        .await;
    assert_eq!(streams["node"]["upstream"], json!([{"name": "feedback"}, {"name": "source"}]));
    assert_eq!(streams["node"]["downstream"], json!([{"name": "feedback"}, {"name": "ledger_store"}]));
}

#[tokio::test]
async fn earlier_states_answer_the_same_questions() {
    let server = Server::start();
    let first = register(&server, json!({"name": "a", "description": "one"})).await;
    register(&server, json!({"name": "a", "description": "two"})).await;
    server.query("mutation($id: UUID!) { deregister(input: {nodeId: $id}) { id } }", json!({"id": first})).await;
    let document = "query($s: Sequence) { registry { sequence } at(sequence: $s) { sequence registry { sequence } \
        node(by: {name: \"a\"}) { description } nodes { totalCount } } }";
    for (place, description) in [(0, json!(null)), (1, json!("one")), (2, json!("two")), (3, json!(null))] {
        let answer = server.query(document, json!({"s": place})).await;
        assert_eq!(answer["registry"]["sequence"], 3, "the rest of the request is answered from now");
        let at = &answer["at"];
        assert_eq!((&at["sequence"], &at["registry"]["sequence"]), (&json!(place), &json!(place)));
        assert_eq!(at["node"].get("description").cloned().unwrap_or(Value::Null), description, "at {place}");
    }
    let events =
        server.query("{ events(last: 1, filter: {types: [NODE_UPDATED]}) { nodes { time } } }", Value::Null).await;
    let time = events["events"]["nodes"][0]["time"].clone();
    let at_time = "query($t: DateTime) { at(time: $t) { sequence node(by: {name: \"a\"}) { description } } }";
    let answer = server.query(at_time, json!({"t": time})).await;
    assert_eq!(answer["at"], json!({"sequence": 2, "node": {"description": "two"}}));
    for (variables, document) in [
        (json!({"s": 4}), document),
        (json!({"t": "2999-01-01T00:00:00Z"}), at_time),
        (json!({}), "{ at { sequence } }"),
        (json!({}), "{ at(sequence: 1, time: \"2026-01-01T00:00:00Z\") { sequence } }"),
    ] {
        assert_eq!(server.refused(document, variables.clone()).await.0, "INVALID_ARGUMENT", "{variables}");
    }
}

#[tokio::test]
async fn history_is_paged_and_filtered() {
    let server = Server::start();
    small_system(&server).await;
    let document = "query($filter: EventFilter, $first: Int, $after: String, $last: Int) { events(filter: $filter, first: \
        $first, after: $after, last: $last) { nodes { sequence type } pageInfo { hasNextPage endCursor } totalCount } }";
    let all = server.query(document, json!({})).await["events"].clone();
    let total = all["totalCount"].as_u64().unwrap();
    assert_eq!(all["nodes"].as_array().unwrap().len() as u64, total);
    let tools = server.query(document, json!({"filter": {"tool": "hash"}})).await["events"].clone();
    assert_eq!(tools["totalCount"], 3);
    let mut seen = 0;
    let mut after = Value::Null;
    loop {
        let page = server.query(document, json!({"first": 3, "after": after})).await["events"].clone();
        seen += page["nodes"].as_array().unwrap().len() as u64;
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, total);
    let last = server.query(document, json!({"last": 2})).await["events"]["nodes"].clone();
    assert_eq!(last, json!(all["nodes"].as_array().unwrap()[total as usize - 2..]));
}
