//! A document's fields, and what they mean.

use super::fields::{Fields, kind};
use super::tools::{Spelling, ToolFields, check_schema, define_tool};
use super::{Invalid, canonical_hash, parse};
use crate::model::{
    Contract, ContractField, ContractHash, ContractName, Dependency, DependencyKind, FIELD_DEPTH_MAX, NodeId, NodeKind,
    NodeName, ToolKey, ToolName, TopicName, Version,
};
use crate::registry::command::{NodeContract, OfferedTool};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Reads a contract document, YAML or JSON text.
pub fn read(text: &str) -> Result<NodeContract, Invalid> {
    let document = parse::parse(text)?;
    let empty = Map::new();
    let map = document.as_object().unwrap_or(&empty);
    let fields = Fields::new(map, "");

    let node_id = node_id(&fields)?;
    let (node_name, name) = names(&fields)?;
    let node_version = match fields.version("node_version")? {
        Some(version) => Some(version),
        None => fields.version("version")?,
    };
    let contract_version = fields.version("contract_version")?;
    let node_version = node_version.or_else(|| contract_version.clone());
    let version = contract_version.or_else(|| node_version.clone()).unwrap_or_else(Version::unstated);
    let kind = node_kind(&fields)?;
    let description = fields.text("description")?.map(str::to_owned);
    let metadata = fields.map("metadata").ok().flatten().unwrap_or(&empty);
    let tags = match fields.texts("tags")? {
        tags if tags.is_empty() => Fields::new(metadata, "metadata").texts("tags").unwrap_or_default(),
        tags => tags,
    };
    let topics = topics(&fields)?;
    let tools = tools(&fields, &node_name, node_version.as_ref().unwrap_or(&version))?;
    let contract = Contract {
        hash: ContractHash(canonical_hash(&document)),
        name,
        version,
        kind,
        description,
        inputs: model_fields(&fields, &["inputs", "input", "input_model"])?,
        outputs: model_fields(&fields, &["outputs", "output", "output_model"])?,
        publishes: topics.publishes,
        subscribes: topics.subscribes,
        dead_letters: topics.dead_letters,
        dependencies: dependencies(&fields)?,
        error_codes: error_codes(&fields)?,
        accepts_context: fields.flag("accepts_context")?.unwrap_or(false),
        modifies_state: fields.flag("modifies_state")?.unwrap_or(false),
        side_effects: side_effects(&fields)?,
        document: Arc::new(Value::Null),
    };
    let namespace = fields.text("namespace")?.map(str::to_owned);
    let contract = Arc::new(Contract { document: Arc::new(document), ..contract });
    Ok(NodeContract { contract, node_id, node_name, node_version, namespace, tags, tools })
}

/// Whether a text is what a template has where somebody should have written something.
fn is_placeholder(text: &str) -> bool {
    let upper = text.to_uppercase();
    upper.contains("TEMPLATE") || upper.contains("REPLACE") || (upper.starts_with('<') && upper.ends_with('>'))
}

fn node_id(fields: &Fields<'_>) -> Result<Option<NodeId>, Invalid> {
    let Some((field, value)) = fields.first(&["uuid", "node_id"]) else { return Ok(None) };
    let Some(text) = value.as_str() else {
        return Err(fields.invalid(field, format!("is {}, not a UUID", kind(value))));
    };
    match text.parse::<Uuid>() {
        Ok(id) => Ok(Some(NodeId(id))),
        Err(_) if is_placeholder(text) => {
            let shown: String = text.chars().take(80).collect();
            Err(fields.invalid(field, format!("{shown:?} is a placeholder: this is a template that was not filled in")))
        }
        Err(_) => Err(fields.invalid(field, "is not a UUID")),
    }
}

/// The node's name and the contract's.
fn names(fields: &Fields<'_>) -> Result<(NodeName, ContractName), Invalid> {
    let Some(given) = ["name", "node_name", "contract_name"].into_iter().find(|name| fields.value(name).is_some())
    else {
        return Err(fields.invalid("name", "is missing: a contract says whose it is"));
    };
    let text = fields.text(given)?.unwrap_or_default();
    let node_name = NodeName::try_new(text).map_err(|error| fields.invalid(given, error))?;
    let contract_name = match fields.text("contract_name")? {
        Some(own) => ContractName::try_new(own).map_err(|error| fields.invalid("contract_name", error))?,
        None => ContractName::try_new(text).map_err(|error| fields.invalid(given, error))?,
    };
    Ok((node_name, contract_name))
}

/// The kind as documents of all generations write it: `effect`, `EFFECT_GENERIC`, `workflow`…
fn node_kind(fields: &Fields<'_>) -> Result<Option<NodeKind>, Invalid> {
    let Some((field, _)) = fields.first(&["node_type", "node_kind", "kind", "meta_type"]) else { return Ok(None) };
    let text = fields.text(field)?.unwrap_or_default().to_lowercase();
    let word = text.strip_suffix("_generic").unwrap_or(&text);
    Ok(Some(match word {
        "tool" => NodeKind::Tool,
        "validator" => NodeKind::Validator,
        "test" => NodeKind::Test,
        "adapter" => NodeKind::Adapter,
        "agent" => NodeKind::Agent,
        "compute" => NodeKind::Compute,
        "effect" => NodeKind::Effect,
        "reducer" => NodeKind::Reducer,
        "orchestrator" | "workflow" => NodeKind::Orchestrator,
        "service" => NodeKind::Service,
        _ => NodeKind::Other,
    }))
}

#[derive(Default)]
struct Topics {
    publishes: Vec<TopicName>,
    subscribes: Vec<TopicName>,
    dead_letters: Vec<TopicName>,
}

fn topics(fields: &Fields<'_>) -> Result<Topics, Invalid> {
    let mut topics = Topics::default();
    if let Some(bus) = fields.map("event_bus")? {
        let bus = Fields::new(bus, "event_bus");
        bus.topics("publish_topics", &mut topics.publishes)?;
        bus.topics("subscribe_topics", &mut topics.subscribes)?;
        bus.topics("dlq_topics", &mut topics.dead_letters)?;
        check_topic_schemas(&bus)?;
    }
    fields.topics("published_events", &mut topics.publishes)?;
    fields.topics("consumed_events", &mut topics.subscribes)?;
    Ok(topics)
}

/// JSON Schemas of topics have to be ones. What else stands there, such as the name of a class, is for others.
fn check_topic_schemas(bus: &Fields<'_>) -> Result<(), Invalid> {
    let Some(Value::Object(schemas)) = bus.value("topic_schemas") else { return Ok(()) };
    for (topic, schema) in schemas.iter().filter(|(_, schema)| schema.is_object()) {
        let at = format!("topic_schemas.{topic}");
        check_schema(schema).map_err(|reason| bus.invalid(&at, reason))?;
    }
    Ok(())
}

fn dependencies(fields: &Fields<'_>) -> Result<Vec<Dependency>, Invalid> {
    let mut dependencies = Vec::new();
    for (at, item) in fields.list("dependencies")?.iter().enumerate() {
        let path = format!("dependencies[{at}]");
        dependencies.push(match item {
            Value::String(name) if !name.trim().is_empty() => Dependency {
                name: name.clone(),
                kind: DependencyKind::Node,
                target: name.clone(),
                description: None,
                required: true,
            },
            Value::Object(map) => dependency(Fields::new(map, &path))?,
            other => return Err(fields.invalid(&path, format!("is {}, not a dependency", kind(other)))),
        });
    }
    Ok(dependencies)
}

fn dependency(fields: Fields<'_>) -> Result<Dependency, Invalid> {
    let name = match fields.text("name")? {
        Some(name) if !name.trim().is_empty() => name.to_owned(),
        _ => return Err(fields.invalid("name", "is missing")),
    };
    let kind = match fields.text("type")?.or(fields.text("kind")?) {
        None | Some("node") => DependencyKind::Node,
        Some("tool") => DependencyKind::Tool,
        Some(other) => DependencyKind::Other(other.to_owned()),
    };
    // A document names a node as it calls it, and its module by the name that the node has itself.
    let module = fields.remark("module").filter(|_| kind == DependencyKind::Node);
    let target = module.as_deref().and_then(|module| module.rsplit('.').next()).unwrap_or(&name).to_owned();
    let optional = fields.flag("optional")?.unwrap_or(false);
    let required = fields.flag("required")?.unwrap_or(!optional);
    Ok(Dependency { name, kind, target, description: fields.remark("description"), required })
}

fn error_codes(fields: &Fields<'_>) -> Result<Vec<String>, Invalid> {
    let mut codes = Vec::new();
    let mut add = |items: &[Value]| {
        for item in items {
            let code = match item {
                Value::String(code) => Some(code),
                Value::Object(map) => match map.get("code").or_else(|| map.get("name")) {
                    Some(Value::String(code)) => Some(code),
                    _ => None,
                },
                _ => None,
            };
            if let Some(code) = code.filter(|code| !codes.contains(*code)) {
                codes.push(code.clone());
            }
        }
    };
    if let Some(Value::Array(items)) = fields.value("error_codes") {
        add(items);
    }
    if let Some(handling) = fields.map("error_handling")? {
        add(Fields::new(handling, "error_handling").list("error_types").unwrap_or_default());
    }
    Ok(codes)
}

fn side_effects(fields: &Fields<'_>) -> Result<Vec<String>, Invalid> {
    match fields.value("side_effects") {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Bool(_)) => Ok(Vec::new()),
        _ => fields.texts("side_effects"),
    }
}

/// What goes in or comes out: a list or map of fields, or a class by name.
fn model_fields(fields: &Fields<'_>, names: &[&'static str]) -> Result<Vec<ContractField>, Invalid> {
    let Some((name, value)) = fields.first(names) else { return Ok(Vec::new()) };
    match value {
        Value::Array(_) => {
            let items = fields.list(name)?.iter().enumerate();
            items.map(|(at, item)| listed_field(item, &fields.path(&format!("{name}[{at}]")))).collect()
        }
        Value::Object(map) if name.ends_with("_model") => Ok(vec![class_field(name, map)]),
        Value::Object(map) => Ok(map.iter().map(|(field, value)| keyed_field(field, value, 0)).collect()),
        Value::String(class) => Ok(vec![plain_field(name, class)]),
        other => Err(fields.invalid(name, format!("is {}, not a list of fields", kind(other)))),
    }
}

fn plain_field(name: &str, type_name: &str) -> ContractField {
    ContractField {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        required: true,
        description: None,
        schema: None,
        fields: Vec::new(),
    }
}

/// `input_model: {name, module, description}`: one field of that class.
fn class_field(name: &str, map: &Map<String, Value>) -> ContractField {
    let fields = Fields::new(map, name);
    let class = fields.remark("name").unwrap_or_else(|| "object".to_owned());
    let side = name.strip_suffix("_model").unwrap_or(name);
    ContractField { description: fields.remark("description"), ..plain_field(side, &class) }
}

fn listed_field(item: &Value, path: &str) -> Result<ContractField, Invalid> {
    match item {
        Value::String(name) => Ok(plain_field(name, "any")),
        Value::Object(map) => match map.get("name").and_then(Value::as_str) {
            Some(name) => Ok(keyed_field(name, item, 0)),
            None => Err(Invalid::field(format!("{path}.name"), "is missing")),
        },
        other => Err(Invalid::field(path, format!("is {}, not a field", kind(other)))),
    }
}

fn keyed_field(name: &str, value: &Value, depth: usize) -> ContractField {
    let Value::Object(map) = value else {
        return plain_field(name, value.as_str().unwrap_or("any"));
    };
    let fields = Fields::new(map, name);
    let inner = match map.get("fields").or_else(|| map.get("properties")) {
        Some(Value::Object(inner)) if depth < FIELD_DEPTH_MAX => {
            inner.iter().map(|(name, value)| keyed_field(name, value, depth + 1)).collect()
        }
        Some(Value::Array(inner)) if depth < FIELD_DEPTH_MAX => {
            let named = inner.iter().filter_map(|item| Some((item.get("name")?.as_str()?, item)));
            named.map(|(name, item)| keyed_field(name, item, depth + 1)).collect()
        }
        _ => Vec::new(),
    };
    ContractField {
        name: name.to_owned(),
        type_name: fields.remark("type").unwrap_or_else(|| "any".to_owned()),
        required: map.get("required").and_then(Value::as_bool).unwrap_or(true),
        description: fields.remark("description"),
        schema: map.get("schema").filter(|schema| schema.is_object()).cloned(),
        fields: inner,
    }
}

/// The tools that a document offers: its list of tools, and itself where `mcp.expose` says so.
fn tools(fields: &Fields<'_>, node_name: &NodeName, version: &Version) -> Result<Vec<OfferedTool>, Invalid> {
    let mut tools = Vec::new();
    for (at, item) in fields.list("tools")?.iter().enumerate() {
        let path = format!("tools[{at}]");
        let Value::Object(map) = item else {
            return Err(fields.invalid(&path, format!("is {}, not a tool", kind(item))));
        };
        tools.push(listed_tool(Fields::new(map, &path), &path, version)?);
    }
    if let Some(mcp) = fields.map("mcp")? {
        let mcp = Fields::new(mcp, "mcp");
        if mcp.flag("expose")?.unwrap_or(false) {
            let name = mcp.text("tool_name")?.unwrap_or(node_name.as_str());
            let name = ToolName::try_new(name).map_err(|error| mcp.invalid("tool_name", error))?;
            let description = mcp.text("description")?.or(fields.text("description")?).map(str::to_owned);
            let key = ToolKey { name, version: version.clone() };
            tools.push(offered(ToolFields { description, ..ToolFields::named(key) }, "mcp")?);
        }
    }
    Ok(tools)
}

fn listed_tool(fields: Fields<'_>, path: &str, version: &Version) -> Result<OfferedTool, Invalid> {
    let name = fields.text("name")?.unwrap_or_default();
    let name = ToolName::try_new(name).map_err(|error| fields.invalid("name", error))?;
    let version = fields.version("version")?.unwrap_or_else(|| version.clone());
    let schema = |names: &[&'static str]| fields.first(names).map(|(_, schema)| schema.clone());
    let tool = ToolFields {
        description: fields.text("description")?.map(str::to_owned),
        tags: fields.texts("tags")?,
        input_schema: schema(&["input_schema", "inputSchema", "parameters"]),
        output_schema: schema(&["output_schema", "outputSchema"]),
        error_codes: error_codes(&fields)?,
        timeout_ms: fields.count(&["timeout_ms", "timeoutMs"])?,
        idempotent: fields.flag("idempotent")?.unwrap_or(false),
        ..ToolFields::named(ToolKey { name, version })
    };
    offered(tool, path)
}

fn offered(fields: ToolFields, path: &str) -> Result<OfferedTool, Invalid> {
    let definition = define_tool(fields, path, Spelling::Document)?;
    Ok(OfferedTool { definition, transport: Default::default(), endpoint: None, ttl: None, max_in_flight: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_of_the_present_form_is_read() {
        let read = read(
            "name: node_a\nnode_type: EFFECT_GENERIC\ncontract_version: {major: 1, minor: 2, patch: 3}\n\
             node_version: \"1.0.1\"\ndescription: Does.\nevent_bus:\n  publish_topics: [t.a, t.a, t.b]\n  \
             subscribe_topics:\n    - {topic: t.c}\n  dlq_topics: [t.dlq]\npublished_events:\n  - {topic: t.d}\n\
             dependencies:\n  - {name: effect_node, type: node, module: x.y.node_b}\n  - {name: pool, type: service, \
             optional: true}\n  - node_c\ninput_model: {name: In, module: m}\nmetadata: {tags: [x, y]}\n\
             mcp: {expose: true, tool_name: do_it}\nunheard_of: {kept: whole}\n",
        )
        .unwrap();
        let contract = &read.contract;
        assert_eq!((read.node_name.as_str(), contract.version.as_str()), ("node_a", "1.2.3"));
        assert_eq!(read.node_version.unwrap().as_str(), "1.0.1");
        assert_eq!(contract.kind, Some(NodeKind::Effect));
        let topics: Vec<&str> = contract.publishes.iter().map(TopicName::as_str).collect();
        assert_eq!(topics, ["t.a", "t.b", "t.d"]);
        assert_eq!((contract.subscribes.len(), contract.dead_letters.len()), (1, 1));
        let targets: Vec<(&str, &str, bool)> = contract
            .dependencies
            .iter()
            .map(|dependency| (dependency.target.as_str(), dependency.kind.as_str(), dependency.required))
            .collect();
        assert_eq!(targets, [("node_b", "node", true), ("pool", "service", false), ("node_c", "node", true)]);
        assert_eq!((contract.inputs[0].name.as_str(), contract.inputs[0].type_name.as_str()), ("input", "In"));
        assert_eq!(read.tags, ["x", "y"]);
        assert_eq!(read.tools[0].definition.key.name.as_str(), "do_it");
        assert_eq!(contract.document["unheard_of"]["kept"], "whole");
    }

    #[test]
    fn schemas_of_topics_are_those_that_are_published_and_no_names_of_classes() {
        let read = read(
            "name: node_a\nevent_bus:\n  publish_topics: [t.a, t.b]\n  subscribe_topics: [t.c]\n  \
             topic_schemas: {t.a: {required: [metadata]}, t.b: ModelB, t.c: {type: object}}\n",
        )
        .unwrap();
        let schema = |topic: &str| read.contract.topic_schema(&TopicName::try_new(topic).unwrap()).cloned();
        assert_eq!(schema("t.a"), Some(serde_json::json!({"required": ["metadata"]})));
        assert_eq!((schema("t.b"), schema("t.c"), schema("t.d")), (None, None, None));
    }

    #[test]
    fn what_is_wrong_is_refused_with_the_name_of_the_field() {
        for (text, says) in [
            ("node_type: effect", "name: is missing"),
            ("name: ''", "name: is empty"),
            ("name: [a]", "name: is a list, not text"),
            ("name: a\nuuid: TEMPLATE-UUID-REPLACE-ME", "uuid: \"TEMPLATE-UUID-REPLACE-ME\" is a placeholder"),
            ("name: a\nversion: {minor: 1}", "version.major: is missing"),
            ("name: a\nevent_bus: {publish_topics: [a..b]}", "event_bus.publish_topics[0]: has an empty segment"),
            (
                "name: a\nevent_bus: {publish_topics: [b], topic_schemas: {b: {type: nothing}}}",
                "event_bus.topic_schemas.b: does not compile",
            ),
            ("name: a\ndependencies: [{type: node}]", "dependencies[0].name: is missing"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }
}
