//! How large an answer may become, before anything runs: counted over the document with its fragments spread out,
//! pages taken as full, with the variables of the request. A value counts one; what is dear to find counts more, about
//! as many as values could be made in the same time. Lists that are not paged count as one entry here: how long they
//! are is known only when they are made, and counted then (`budget`).

use super::super::error::ErrorCode;
use super::super::paging::PAGE_DEFAULT;
use super::{Limits, exceeded};
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, FieldDefinition, OperationType, Selection, SelectionSet, ServiceDocument,
    Type, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Positioned, ServerError, Value, Variables};
use async_graphql_value::Value as Literal;
use std::collections::HashMap;

/// What a field costs beside its value, by the type that it stands on; the first that matches counts.
const DEAR: &[(&str, &str, u64)] = &[
    // Every node and every edge is looked at.
    ("Query", "dependencyGraph", 25_000),
    ("RegistryView", "dependencyGraph", 25_000),
    // The log is read and folded.
    ("Query", "at", 10_000),
    ("Query", "events", 1_000),
    ("Invocation", "events", 100),
    ("Node", "upstream", 5),
    ("Node", "downstream", 5),
];
/// A walk over the graph of more than one step.
const FAR: u64 = 500;
/// A list that is searched or filtered, and the count of one: everything that might match is looked at.
const FILTERED: u64 = 2_000;

/// How many entries lists of the schema's description have, about: of types, of what a type has, and of what that has.
const DESCRIBED: &[(&str, u64)] = &[
    ("types", 150),
    ("directives", 8),
    ("fields", 12),
    ("inputFields", 6),
    ("enumValues", 4),
    ("args", 2),
    ("interfaces", 1),
    ("possibleTypes", 2),
];

/// What the schema says of a field that matters here.
struct Known {
    target: Name,
    is_page: bool,
}

/// The schema's objects, interfaces and unions.
pub(in crate::graphql) struct OutputTypes {
    fields: HashMap<Name, HashMap<Name, Known>>,
}

impl OutputTypes {
    /// Those of a schema in its definition language.
    pub(in crate::graphql) fn of_sdl(sdl: &str) -> Self {
        // Our own schema, printed by the library that reads it; a test reads it, too.
        let document = parse_schema(sdl).unwrap_or(ServiceDocument { definitions: Vec::new() });
        let mut fields = HashMap::new();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let listed = match definition.node.kind {
                TypeKind::Object(object) => object.fields,
                TypeKind::Interface(interface) => interface.fields,
                TypeKind::Union(_) => Vec::new(),
                _ => continue,
            };
            let known = listed.into_iter().map(|field| known(field.node)).collect();
            fields.insert(definition.node.name.node, known);
        }
        OutputTypes { fields }
    }
}

fn known(field: FieldDefinition) -> (Name, Known) {
    let is_page = field.arguments.iter().any(|argument| argument.node.name.node == "first");
    (field.name.node, Known { target: named(&field.ty.node).clone(), is_page })
}

fn named(ty: &Type) -> &Name {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}

/// How many entries a page is asked to have.
#[derive(Clone)]
enum Count {
    /// Not said.
    Absent,
    /// Said in the document.
    Fixed(u64),
    /// Said by a variable.
    Variable(Name),
}

#[derive(Clone)]
struct Page {
    first: Count,
    last: Count,
}

/// What an answer may cost: a part that is known, and parts that are as many times as variables say.
#[derive(Clone, Default)]
struct Cost {
    fixed: u64,
    varying: Vec<Varying>,
}

#[derive(Clone)]
struct Varying {
    times: u64,
    page: Page,
    of: Cost,
}

impl Cost {
    fn of(fixed: u64) -> Self {
        Cost { fixed, varying: Vec::new() }
    }

    fn add(&mut self, mut other: Cost) {
        self.fixed = self.fixed.saturating_add(other.fixed);
        self.varying.append(&mut other.varying);
    }

    fn times(mut self, times: u64) -> Self {
        self.fixed = self.fixed.saturating_mul(times);
        for part in &mut self.varying {
            part.times = part.times.saturating_mul(times);
        }
        self
    }

    fn on(self, page: &Page) -> Self {
        match page.count(&Variables::default()) {
            Some(count) => self.times(count),
            None => Cost { fixed: 0, varying: vec![Varying { times: 1, page: page.clone(), of: self }] },
        }
    }

    /// The whole, with these variables.
    fn with(&self, variables: &Variables, limits: &Limits) -> Result<u64, ServerError> {
        let mut whole = self.fixed;
        for part in &self.varying {
            for (name, count) in [("first", &part.page.first), ("last", &part.page.last)] {
                if let Count::Variable(variable) = count {
                    check_page(name, given(variables, variable).unwrap_or(0), limits)?;
                }
            }
            let count = part.page.resolved(variables).saturating_mul(part.times);
            whole = whole.saturating_add(part.of.with(variables, limits)?.saturating_mul(count));
        }
        Ok(whole)
    }
}

fn given(variables: &Variables, name: &Name) -> Option<u64> {
    match variables.get(name) {
        Some(Value::Number(number)) => Some(number.as_u64().unwrap_or(0)),
        _ => None,
    }
}

impl Page {
    fn of(field: &Field, limits: &Limits) -> Result<Self, ServerError> {
        let count = |name: &str| -> Result<Count, ServerError> {
            Ok(match field.get_argument(name) {
                Some(Positioned { node: Literal::Variable(variable), .. }) => Count::Variable(variable.clone()),
                Some(Positioned { node: Literal::Number(number), pos }) => {
                    let count = number.as_u64().unwrap_or(0);
                    check_page(name, count, limits).map_err(|error| ServerError { locations: vec![*pos], ..error })?;
                    Count::Fixed(count)
                }
                _ => Count::Absent,
            })
        };
        Ok(Page { first: count("first")?, last: count("last")? })
    }

    /// The count, where no variable has a say in it.
    fn count(&self, variables: &Variables) -> Option<u64> {
        let varies = |count: &Count| matches!(count, Count::Variable(_));
        (!varies(&self.first) && !varies(&self.last)).then(|| self.resolved(variables))
    }

    fn resolved(&self, variables: &Variables) -> u64 {
        let count = |count: &Count| match count {
            Count::Absent => None,
            Count::Fixed(count) => Some(*count),
            Count::Variable(name) => given(variables, name),
        };
        count(&self.first).or_else(|| count(&self.last)).unwrap_or(PAGE_DEFAULT as u64)
    }
}

fn check_page(name: &str, count: u64, limits: &Limits) -> Result<(), ServerError> {
    let max = limits.page_max;
    if count <= max {
        return Ok(());
    }
    let message = format!("{name}: is {count}; a page has 0 to {max} entries (limits.page_max): ask for several pages");
    let code = ErrorCode::InvalidArgument;
    Err(exceeded(code, "page_max", max, count, message, None))
}

/// What the operations of a validated document may cost.
pub(in crate::graphql) struct Costs(HashMap<Option<Name>, Cost>);

impl Costs {
    /// Counts a document that is known to be bounded (`shape`) and valid.
    pub(in crate::graphql) fn of(
        document: &ExecutableDocument,
        types: &OutputTypes,
        limits: &Limits,
    ) -> Result<Self, ServerError> {
        let counter = Counter { document, types, limits };
        let mut costs = HashMap::new();
        for (name, operation) in document.operations.iter() {
            let root = match operation.node.ty {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            let cost =
                counter.of_set(&operation.node.selection_set.node, Some(&Name::new(root)), &Around::default())?;
            costs.insert(name.cloned(), cost);
        }
        Ok(Costs(costs))
    }

    /// Refuses an operation that may cost more than it may.
    pub(in crate::graphql) fn check(
        &self,
        operation: Option<&str>,
        variables: &Variables,
        limits: &Limits,
    ) -> Result<(), ServerError> {
        let Some(cost) = self.0.get(&operation.map(Name::new)) else { return Ok(()) };
        let (found, max) = (cost.with(variables, limits)?, limits.complexity_max);
        if found <= max {
            return Ok(());
        }
        let message = format!(
            "the answer may cost {found}; the most is {max} (limits.complexity_max): ask for smaller pages, fewer \
             fields, or in several requests"
        );
        Err(exceeded(ErrorCode::TooComplex, "complexity_max", max, found, message, None))
    }
}

/// What the field above says of those below it.
#[derive(Clone, Default)]
struct Around {
    /// The page that they are a part of.
    page: Option<Page>,
    is_filtered: bool,
    /// Whether they describe the schema.
    describes: bool,
    /// Whether they stand below the schema's list of types.
    in_types: bool,
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    types: &'a OutputTypes,
    limits: &'a Limits,
}

impl Counter<'_> {
    fn of_set(&self, set: &SelectionSet, on: Option<&Name>, around: &Around) -> Result<Cost, ServerError> {
        let mut whole = Cost::default();
        // Of fragments on other types only one can apply: the dearest counts.
        let mut apart: HashMap<&Name, Cost> = HashMap::new();
        for selection in &set.items {
            let (condition, below) = match &selection.node {
                Selection::Field(field) => {
                    whole.add(self.of_field(&field.node, on, around)?);
                    continue;
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    (condition, &fragment.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) else { continue };
                    (Some(&fragment.node.type_condition.node.on.node), &fragment.node.selection_set.node)
                }
            };
            let cost = self.of_set(below, condition.or(on), around)?;
            match condition {
                Some(condition) if Some(condition) != on => apart.entry(condition).or_default().add(cost),
                _ => whole.add(cost),
            }
        }
        let fixed = apart.values().map(|cost| cost.fixed).max().unwrap_or(0);
        let varying = apart.into_values().flat_map(|cost| cost.varying).collect();
        whole.add(Cost { fixed, varying });
        Ok(whole)
    }

    fn of_field(&self, field: &Field, on: Option<&Name>, around: &Around) -> Result<Cost, ServerError> {
        let name = field.name.node.as_str();
        let below = &field.selection_set.node;
        if around.describes || matches!(name, "__schema" | "__type") {
            return self.of_description(field, around);
        }
        let known = on.and_then(|on| self.types.fields.get(on)?.get(&field.name.node));
        let target = known.map(|known| &known.target);
        let is_page = known.is_some_and(|known| known.is_page);
        let is_filtered = field.get_argument("filter").is_some_and(|filter| filter.node != Literal::Null);
        let mut cost = Cost::of(1);
        if is_page {
            let within = Around { page: Some(Page::of(field, self.limits)?), is_filtered, ..Around::default() };
            cost.add(self.of_set(below, target, &within)?);
        } else {
            let below = self.of_set(below, target, &Around::default())?;
            match &around.page {
                Some(page) if matches!(name, "edges" | "nodes") => cost.add(below.on(page)),
                _ => cost.add(below),
            }
        }
        if is_filtered || around.is_filtered && name == "totalCount" {
            cost.add(Cost::of(FILTERED));
        }
        cost.add(Cost::of(dear(field, on)));
        Ok(cost)
    }

    /// What describes the schema is as large as the schema, again and again.
    fn of_description(&self, field: &Field, around: &Around) -> Result<Cost, ServerError> {
        let name = field.name.node.as_str();
        let count = DESCRIBED.iter().find(|(list, _)| *list == name).map_or(1, |(_, count)| *count);
        // Most of the types of the whole list have few fields or none.
        let count = if around.in_types { count.div_ceil(3) } else { count };
        let within = Around { describes: true, in_types: name == "types", ..Around::default() };
        let mut cost = Cost::of(1);
        cost.add(self.of_set(&field.selection_set.node, None, &within)?.times(count));
        Ok(cost)
    }
}

fn dear(field: &Field, on: Option<&Name>) -> u64 {
    let Some(on) = on else { return 0 };
    let name = field.name.node.as_str();
    let found = DEAR.iter().find(|(ty, dear, _)| *ty == on.as_str() && *dear == name);
    let Some((_, _, cost)) = found else { return 0 };
    match field.get_argument("depth").map(|depth| &depth.node) {
        Some(Literal::Number(depth)) if depth.as_u64().is_some_and(|depth| depth < 2) => *cost,
        Some(_) if matches!(name, "upstream" | "downstream") => FAR,
        _ => *cost,
    }
}
