//! Variables against their types: checked at each request, since a kept document says nothing about them.
//!
//! By the GraphQL specification, "Coercing Variable Values". A request whose variables do not fit is refused before
//! any of it runs, so that a mutation's first field is not done when its second cannot be.

use crate::model;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, OperationDefinition, ServiceDocument, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Positioned, ServerError, Value, Variables};
use std::collections::HashMap;
use uuid::Uuid;

/// How deep a variable is looked into; the JSON reader refuses deeper ones.
const DEPTH_MAX: usize = 128;

enum InputType {
    Scalar,
    Enum(Vec<Name>),
    Object { fields: HashMap<Name, Field>, one_of: bool },
}

struct Field {
    ty: Type,
    has_default: bool,
}

/// The schema's input types.
pub(super) struct InputTypes(HashMap<Name, InputType>);

impl InputTypes {
    /// The input types of a schema in its definition language.
    pub(super) fn of_sdl(sdl: &str) -> Self {
        // Our own schema, printed by the library that reads it; a test reads it, too.
        let document = parse_schema(sdl).unwrap_or(ServiceDocument { definitions: Vec::new() });
        let mut types = HashMap::new();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let definition = definition.node;
            let input = match definition.kind {
                TypeKind::Scalar => InputType::Scalar,
                TypeKind::Enum(listed) => {
                    InputType::Enum(listed.values.into_iter().map(|value| value.node.value.node).collect())
                }
                TypeKind::InputObject(listed) => {
                    let one_of = definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
                    let fields = listed.fields.into_iter().map(|field| {
                        let field = field.node;
                        let has_default = field.default_value.is_some();
                        (field.name.node, Field { ty: field.ty.node, has_default })
                    });
                    InputType::Object { fields: fields.collect(), one_of }
                }
                _ => continue,
            };
            types.insert(definition.name.node, input);
        }
        InputTypes(types)
    }

    /// Checks an operation's variables; says everything that does not fit.
    pub(super) fn check(
        &self,
        operation: &Positioned<OperationDefinition>,
        variables: &Variables,
    ) -> Result<(), Vec<ServerError>> {
        let mut errors = Vec::new();
        for definition in &operation.node.variable_definitions {
            let name = &definition.node.name.node;
            let ty = &definition.node.var_type.node;
            let checked = match variables.get(name) {
                Some(value) => self.fits(value, ty, &mut format!("${name}"), 0),
                None if ty.nullable || definition.node.default_value.is_some() => Ok(()),
                None => Err(format!("${name} is missing: its type is {ty}")),
            };
            if let Err(reason) = checked {
                errors.push(ServerError::new(reason, Some(definition.pos)));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn fits(&self, value: &Value, ty: &Type, path: &mut String, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("{path} nests too deep"));
        }
        match (&ty.base, value) {
            (_, Value::Null) if ty.nullable => Ok(()),
            (_, Value::Null) => Err(format!("{path} is null: its type is {ty}")),
            (BaseType::List(item), Value::List(values)) => {
                for (at, value) in values.iter().enumerate() {
                    within(path, &format!("[{at}]"), |path| self.fits(value, item, path, depth + 1))?;
                }
                Ok(())
            }
            // One value stands for a list of one.
            (BaseType::List(item), single) => self.fits(single, item, path, depth + 1),
            (BaseType::Named(name), value) => self.fits_named(value, name, path, depth),
        }
    }

    fn fits_named(&self, value: &Value, name: &Name, path: &mut String, depth: usize) -> Result<(), String> {
        match self.0.get(name) {
            Some(InputType::Enum(values)) => match value {
                Value::String(text) if values.iter().any(|value| value.as_str() == text) => Ok(()),
                Value::Enum(text) if values.contains(text) => Ok(()),
                _ => {
                    let all: Vec<&str> = values.iter().map(Name::as_str).collect();
                    Err(format!("{path} is no {name}: it is one of {}", all.join(", ")))
                }
            },
            Some(InputType::Object { fields, one_of }) => match value {
                Value::Object(given) => {
                    if let Some(unknown) = given.keys().find(|key| !fields.contains_key(*key)) {
                        return Err(format!("{path} has the field {unknown}, which {name} does not have"));
                    }
                    if *one_of && (given.len() != 1 || given.values().any(|value| *value == Value::Null)) {
                        return Err(format!("{path} has {} fields: {name} takes exactly one", given.len()));
                    }
                    for (key, field) in fields {
                        match given.get(key) {
                            Some(value) => {
                                within(path, &format!(".{key}"), |path| self.fits(value, &field.ty, path, depth + 1))?
                            }
                            None if field.ty.nullable || field.has_default => {}
                            None => return Err(format!("{path}.{key} is missing: its type is {}", field.ty)),
                        }
                    }
                    Ok(())
                }
                _ => Err(format!("{path} is no object: its type is {name}")),
            },
            Some(InputType::Scalar) | None => scalar(value, name).map_err(|reason| format!("{path} {reason}")),
        }
    }
}

fn within(path: &mut String, step: &str, check: impl FnOnce(&mut String) -> Result<(), String>) -> Result<(), String> {
    let length = path.len();
    path.push_str(step);
    let checked = check(path);
    path.truncate(length);
    checked
}

fn scalar(value: &Value, name: &Name) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("is no {name}: {what}"));
    match (name.as_str(), value) {
        ("Int", Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        ("Int", _) => wrong("it is a whole number from -2147483648 to 2147483647"),
        ("Float", Value::Number(_)) => Ok(()),
        ("Float", _) => wrong("it is a number"),
        ("Boolean", Value::Boolean(_)) => Ok(()),
        ("Boolean", _) => wrong("it is true or false"),
        ("String", Value::String(_)) => Ok(()),
        ("String", _) => wrong("it is text"),
        ("ID", Value::String(_) | Value::Number(_)) => Ok(()),
        ("ID", _) => wrong("it is text or a number"),
        ("UUID", Value::String(text)) if text.parse::<Uuid>().is_ok() => Ok(()),
        ("UUID", _) => wrong("it is 32 hexadecimal digits with hyphens"),
        ("DateTime", Value::String(text)) if text.parse::<model::Time>().is_ok() => Ok(()),
        ("DateTime", _) => wrong("it is an RFC 3339 instant such as 2026-11-22T12:00:00Z"),
        ("Sequence", Value::Number(number)) if number.as_u64().is_some_and(|place| place <= model::Sequence::MAX.0) => {
            Ok(())
        }
        ("Sequence", _) => wrong("it is a whole number from 0 to 2^53 - 1"),
        // JSON is anything.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use async_graphql::parser::types::DocumentOperations;
    use serde_json::json;

    fn check(head: &str, variables: serde_json::Value) -> Result<(), String> {
        let document = parse_query(format!("query({head}) {{ registry {{ id }} }}")).unwrap();
        let DocumentOperations::Single(operation) = document.operations else { unreachable!() };
        let inputs = InputTypes::of_sdl(&crate::graphql::sdl());
        inputs.check(&operation, &Variables::from_json(variables)).map_err(|errors| errors[0].message.clone())
    }

    #[test]
    fn what_fits_passes() {
        for (head, variables) in [
            ("$input: RegisterInput!", json!({"input": {"name": "a", "tags": ["x"], "metadata": {"any": [1]}}})),
            ("$input: RegisterInput!", json!({"input": {"tags": "x", "kind": "EFFECT", "description": null}})),
            ("$by: NodeBy!", json!({"by": {"name": "a"}})),
            ("$first: Int = 5", json!({})),
            ("$after: Sequence", json!({"after": 9007199254740991_u64})),
        ] {
            assert_eq!(check(head, variables.clone()), Ok(()), "{head} {variables}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_path() {
        for (head, variables, says) in [
            ("$input: RegisterInput!", json!({}), "$input is missing: its type is RegisterInput!"),
            ("$input: RegisterInput!", json!({"input": null}), "$input is null"),
            ("$input: RegisterInput!", json!({"input": {"nam": "a"}}), "$input has the field nam"),
            ("$input: RegisterInput!", json!({"input": {"kind": "EFECT"}}), "$input.kind is no NodeKind: it is one of"),
            ("$input: RegisterInput!", json!({"input": {"ttlSeconds": "5"}}), "$input.ttlSeconds is no Int"),
            ("$input: RegisterInput!", json!({"input": {"tools": [{}]}}), "$input.tools[0].name is missing"),
            ("$input: HeartbeatInput!", json!({"input": {"nodeId": "x"}}), "$input.nodeId is no UUID"),
            ("$by: NodeBy!", json!({"by": {"name": "a", "id": "b"}}), "$by has 2 fields"),
            ("$time: DateTime", json!({"time": "yesterday"}), "$time is no DateTime"),
            ("$after: Sequence", json!({"after": -1}), "$after is no Sequence"),
        ] {
            let error = check(head, variables.clone()).expect_err(&format!("{head} {variables}"));
            assert!(error.starts_with(says), "{variables}: {error}");
        }
    }
}
