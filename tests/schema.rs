//! The committed schema is the program's, and says what everything means.

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{InputValueDefinition, TypeKind, TypeSystemDefinition};

#[test]
fn the_committed_schema_is_the_programs() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert!(
        committed == onex::graphql::sdl(),
        "schema.graphql is not what the program says; look at what changed, then: cargo run -- schema > schema.graphql"
    );
}

#[test]
fn every_type_field_argument_and_value_says_what_it_means() {
    let document = parse_schema(onex::graphql::sdl()).unwrap();
    let mut silent = Vec::new();
    let mut check = |path: String, description: &Option<Positioned<String>>| {
        if description.as_ref().is_none_or(|text| text.node.trim().len() < 3) {
            silent.push(path);
        }
    };
    fn inputs(
        path: &str,
        list: &[Positioned<InputValueDefinition>],
        check: &mut dyn FnMut(String, &Option<Positioned<String>>),
    ) {
        for input in list {
            check(format!("{path}({})", input.node.name.node), &input.node.description);
        }
    }
    let mut types = 0;
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let definition = definition.node;
        let name = definition.name.node.to_string();
        types += 1;
        check(name.clone(), &definition.description);
        let fields = match &definition.kind {
            TypeKind::Object(object) => object.fields.as_slice(),
            TypeKind::Interface(interface) => interface.fields.as_slice(),
            TypeKind::Enum(listed) => {
                for value in &listed.values {
                    check(format!("{name}.{}", value.node.value.node), &value.node.description);
                }
                &[]
            }
            TypeKind::InputObject(listed) => {
                inputs(&name, &listed.fields, &mut check);
                &[]
            }
            TypeKind::Scalar | TypeKind::Union(_) => &[],
        };
        for field in fields {
            let path = format!("{name}.{}", field.node.name.node);
            check(path.clone(), &field.node.description);
            inputs(&path, &field.node.arguments, &mut check);
        }
    }
    assert!(types > 40, "only {types} types were looked at");
    assert!(silent.is_empty(), "without a description: {silent:#?}");
}
