//! Values written as JSON at once, without a tree.
//!
//! The library resolves every field of every object into a boxed future and a value, puts the values into a map, and
//! writes that map in the end: for a list of objects this is most of the work. Here the selection is looked at once for
//! a whole list (`Plan`), and each object is written by it. What is written is handed up as bytes in the place of a
//! value, and the answer copies it (`answer`). The fields' own functions are called, the same that the library calls;
//! an object names those that may be written so (`rendered!`). Where anything else is selected, where a field fails, has
//! to wait, or is asked for twice, nothing has been done, and the library resolves the list.

use super::limits::budget::Budget;
use super::reach::pinned_in;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::{Context, ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value};
use bytes::Bytes;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashSet;
use uuid::Uuid;

/// Writes a value; anything that is JSON can be written into memory.
pub(super) fn put(out: &mut Vec<u8>, value: impl Serialize) -> Option<()> {
    serde_json::to_writer(out, &value).ok()
}

/// Writes the name of a field, which needs no escapes.
pub(super) fn put_key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// What is selected of a value, made ready for writing many of them.
pub trait Plan<'a>: Sized {
    /// `None` where it is left to the library.
    fn of(selected: &ContextSelectionSet<'a>) -> Option<Self>;
}

/// Of a value without fields.
pub struct Leaf;

impl<'a> Plan<'a> for Leaf {
    fn of(_: &ContextSelectionSet<'a>) -> Option<Self> {
        Some(Leaf)
    }
}

/// Of a value that is always left to the library.
pub enum Never {}

impl<'a> Plan<'a> for Never {
    fn of(_: &ContextSelectionSet<'a>) -> Option<Self> {
        None
    }
}

/// What can be written.
pub trait Render {
    /// How what is selected of it is written.
    type Plan<'a>: Plan<'a>;

    /// Writes it whole; `None` where the library has to, and what was written is worth nothing.
    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()>;
}

/// Writes one field of an object.
pub type Renderer<'a, T> = Box<dyn Fn(&T, &mut Vec<u8>) -> Option<()> + 'a>;

/// An object with fields that can be written.
pub trait Rendered: OutputType + Sized {
    /// The functions of the fields that can be written, or the fields' own names.
    #[cfg(test)]
    const FIELDS: &'static [&'static str];

    /// How a field is written; `None` where it is left to the library.
    fn renderer<'a>(field: Context<'a>) -> Option<Renderer<'a, Self>>;
}

/// The fields of an object, by the keys that they are answered under, in the order in which they are asked for.
pub struct Fields<'a, T>(Vec<(&'a str, Renderer<'a, T>)>);

impl<'a, T: Rendered> Plan<'a> for Fields<'a, T> {
    fn of(selected: &ContextSelectionSet<'a>) -> Option<Self> {
        let mut fields = Fields(Vec::new());
        fields.add(selected, selected.item)?;
        Some(fields)
    }
}

impl<'a, T: Rendered> Fields<'a, T> {
    fn add(&mut self, ctx: &ContextSelectionSet<'a>, set: &'a Positioned<SelectionSet>) -> Option<()> {
        for selection in &set.node.items {
            // Those that say whether something is asked for at all have been carried out.
            if !selection.node.directives().is_empty() {
                return None;
            }
            match &selection.node {
                Selection::Field(field) => self.add_field(ctx, field)?,
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    self.add_fragment(ctx, on, &fragment.node.selection_set)?;
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = &ctx.query_env.fragments.get(&spread.node.fragment_name.node)?.node;
                    self.add_fragment(
                        ctx,
                        Some(fragment.type_condition.node.on.node.as_str()),
                        &fragment.selection_set,
                    )?;
                }
            }
        }
        Some(())
    }

    fn add_fragment(
        &mut self,
        ctx: &ContextSelectionSet<'a>,
        on: Option<&str>,
        set: &'a Positioned<SelectionSet>,
    ) -> Option<()> {
        let is_own = on.is_none_or(|on| on == T::type_name());
        is_own.then(|| self.add(ctx, set)).flatten()
    }

    fn add_field(&mut self, ctx: &ContextSelectionSet<'a>, field: &'a Positioned<Field>) -> Option<()> {
        let key = field.node.response_key().node.as_str();
        // What is selected below both would have to be merged.
        if self.0.iter().any(|(known, _)| *known == key) {
            return None;
        }
        let render = if field.node.name.node == "__typename" {
            Box::new(|_: &T, out: &mut Vec<u8>| put(out, T::type_name())) as Renderer<'a, T>
        } else {
            T::renderer(ctx.query_env.create_context(ctx.schema_env, None, field, ctx.execute_data))?
        };
        self.0.push((key, render));
        Some(())
    }
}

impl<T: Rendered> Fields<'_, T> {
    /// Writes an object.
    pub(super) fn write(&self, of: &T, out: &mut Vec<u8>) -> Option<()> {
        out.push(b'{');
        for (at, (key, render)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_key(out, key);
            render(of, out)?;
        }
        out.push(b'}');
        Some(())
    }
}

impl<T: Render + ?Sized> Render for &T {
    type Plan<'a> = T::Plan<'a>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        T::render(self, plan, out)
    }
}

impl<T: Render> Render for Option<T> {
    type Plan<'a> = T::Plan<'a>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Some(value) => value.render(plan, out),
            None => put(out, ()),
        }
    }
}

impl<T: Render> Render for [T] {
    type Plan<'a> = T::Plan<'a>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        out.push(b'[');
        for (at, item) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            item.render(plan, out)?;
        }
        out.push(b']');
        Some(())
    }
}

impl<T: Render> Render for Vec<T> {
    type Plan<'a> = T::Plan<'a>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        self.as_slice().render(plan, out)
    }
}

/// Values that are written as they are.
macro_rules! leaves {
    ($($ty:ty),*) => {$(
        impl Render for $ty {
            type Plan<'a> = Leaf;

            fn render(&self, _: &Leaf, out: &mut Vec<u8>) -> Option<()> {
                put(out, self)
            }
        }
    )*};
}

leaves!(bool, i32, u32, u64, usize, f64, str, String, Uuid, serde_json::Value, ID);

/// Enumerations, written by the names that their values have in the schema.
macro_rules! rendered_enums {
    ($($ty:ty),* $(,)?) => {$(
        impl $crate::graphql::render::Render for $ty {
            type Plan<'a> = $crate::graphql::render::Leaf;

            fn render(&self, _: &$crate::graphql::render::Leaf, out: &mut Vec<u8>) -> Option<()> {
                let mut items = <Self as async_graphql::resolver_utils::EnumType>::items().iter();
                let item = items.find(|item| item.value == *self)?;
                $crate::graphql::render::put(out, item.name)
            }
        }
    )*};
}
pub(super) use rendered_enums;

/// Names the fields of an object that are written without the library: by the names of their functions, with the
/// arguments that they take and what these are when they are not given; after `struct`, by the names of a struct's
/// members. `as` gives a field's own name in the schema where it has one.
macro_rules! rendered {
    (for<$generic:ident> $ty:ty { $($fields:tt)* }) => {
        impl<$generic: async_graphql::OutputType + $crate::graphql::render::Render + 'static>
            $crate::graphql::render::Rendered for $ty
        {
            $crate::graphql::render::rendered!(@renderer $($fields)*);
        }

        impl<$generic: async_graphql::OutputType + $crate::graphql::render::Render + 'static>
            $crate::graphql::render::Render for $ty
        {
            $crate::graphql::render::rendered!(@render);
        }
    };
    (struct $ty:ty { $($field:ident $(as $name:literal)?),* $(,)? }) => {
        impl $crate::graphql::render::Rendered for $ty {
            #[cfg(test)]
            const FIELDS: &'static [&'static str] = &[$($crate::graphql::render::rendered!(@name $field $($name)?)),*];

            fn renderer<'a>(field: async_graphql::Context<'a>) -> Option<$crate::graphql::render::Renderer<'a, Self>> {
                use $crate::graphql::render::{Render, below, is_named};
                let wanted = field.item.node.name.node.as_str();
                $(
                    if is_named(wanted, stringify!($field)) $(|| wanted == $name)? {
                        let plan = below(&field)?;
                        return Some(Box::new(move |of: &Self, out| Render::render(&of.$field, &plan, out)));
                    }
                )*
                None
            }
        }

        impl $crate::graphql::render::Render for $ty {
            $crate::graphql::render::rendered!(@render);
        }
    };
    (@name $field:ident) => {
        stringify!($field)
    };
    (@name $field:ident $name:literal) => {
        $name
    };
    (@render) => {
        type Plan<'a> = $crate::graphql::render::Fields<'a, Self>;

        fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
            plan.write(self, out)
        }
    };
    (@renderer $(
        $field:ident $(as $name:literal)? $(($($argument:ident: $argument_ty:ty = $default:expr),+))?
    ),* $(,)?) => {
        #[cfg(test)]
        const FIELDS: &'static [&'static str] = &[$($crate::graphql::render::rendered!(@name $field $($name)?)),*];

        fn renderer<'a>(field: async_graphql::Context<'a>) -> Option<$crate::graphql::render::Renderer<'a, Self>> {
            use futures_util::FutureExt;
            use $crate::graphql::render::{Render, below, is_named};
            let wanted = field.item.node.name.node.as_str();
            $(
                if is_named(wanted, stringify!($field)) $(|| wanted == $name)? {
                    let plan = below(&field)?;
                    $($(
                        let $argument = $crate::graphql::render::argument::<$argument_ty>(
                            &field, stringify!($argument), || $default,
                        )?;
                    )+)?
                    return Some(Box::new(move |of: &Self, out| {
                        let value = of.$field(&field $($(, $argument.clone())+)?).now_or_never()?.ok()?;
                        Render::render(&value, &plan, out)
                    }));
                }
            )*
            None
        }
    };
    ($ty:ty { $($fields:tt)* }) => {
        impl $crate::graphql::render::Rendered for $ty {
            $crate::graphql::render::rendered!(@renderer $($fields)*);
        }

        impl $crate::graphql::render::Render for $ty {
            $crate::graphql::render::rendered!(@render);
        }
    };
}
pub(super) use rendered;

/// How what is selected below a field is written.
pub(super) fn below<'a, P: Plan<'a>>(field: &Context<'a>) -> Option<P> {
    P::of(&field.with_selection_set(&field.item.node.selection_set))
}

/// An argument as the library reads it, by the name of the function's; what does not fit is left to the library.
pub(super) fn argument<T: async_graphql::InputType>(field: &Context<'_>, name: &str, default: fn() -> T) -> Option<T> {
    let given = field.item.node.arguments.iter().find(|(given, _)| is_named(&given.node, name));
    match given {
        Some((given, _)) => field.param_value(&given.node, Some(default)).ok().map(|(_, value)| value),
        None => Some(default()),
    }
}

/// Whether a name of the schema is made of this name of a function.
pub(super) fn is_named(name: &str, function: &str) -> bool {
    let mut rest = function.chars();
    name.chars().all(|character| match rest.next() {
        Some('_') => rest.next().is_some_and(|next| next.to_ascii_uppercase() == character),
        next => next == Some(character),
    }) && rest.next().is_none()
}

/// A value that writes itself where it can, and is resolved by the library where not.
pub struct Straight<T>(pub T);

impl<T: Render> Render for Straight<T> {
    type Plan<'a> = T::Plan<'a>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        self.0.render(plan, out)
    }
}

/// A value as text; `None` where the library has to resolve it.
pub(super) async fn text<T: Render + Sync>(value: &T, ctx: &ContextSelectionSet<'_>) -> Option<Bytes> {
    let budget = ctx.data_opt::<Budget>();
    let spent = budget.map_or(0, Budget::spent);
    let text = whole(value, ctx);
    match (budget, &text) {
        (Some(budget), Some(_)) => budget.breathe().await,
        (Some(budget), None) => budget.refund(spent),
        (None, _) => {}
    }
    text
}

fn whole<T: Render>(value: &T, ctx: &ContextSelectionSet<'_>) -> Option<Bytes> {
    if pinned_in(ctx)?.merges_fields() {
        return None;
    }
    let plan = <T::Plan<'_>>::of(ctx)?;
    let mut out = Vec::new();
    value.render(&plan, &mut out)?;
    Some(out.into())
}

impl<T: OutputType + Render> OutputType for Straight<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match text(&self.0, ctx).await {
            Some(text) => Ok(Value::Binary(text)),
            None => self.0.resolve(ctx, field).await,
        }
    }
}

/// Whether something may be asked for twice under one key, so that what is selected below has to be merged. Type
/// conditions are passed over: for few documents this says yes too often.
pub(super) fn merges_fields(document: &ExecutableDocument) -> bool {
    let mut operations = document.operations.iter();
    operations.any(|(_, operation)| !is_single(document, &operation.node.selection_set.node))
}

fn is_single<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet) -> bool {
    let mut fields = Vec::new();
    spread(document, set, &mut HashSet::new(), &mut fields)
        && fields.into_iter().all(|field| is_single(document, &field.selection_set.node))
}

/// The fields of a selection with its fragments spread out; false where a key comes twice.
fn spread<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    keys: &mut HashSet<&'a str>,
    fields: &mut Vec<&'a Field>,
) -> bool {
    set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            fields.push(&field.node);
            keys.insert(field.node.response_key().node.as_str())
        }
        Selection::InlineFragment(fragment) => spread(document, &fragment.node.selection_set.node, keys, fields),
        Selection::FragmentSpread(fragment) => match document.fragments.get(&fragment.node.fragment_name.node) {
            Some(fragment) => spread(document, &fragment.node.selection_set.node, keys, fields),
            None => true,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::types::{ServiceDocument, TypeKind, TypeSystemDefinition};
    use async_graphql::parser::{parse_query, parse_schema};

    #[test]
    fn a_function_gives_a_field_its_name() {
        assert!(is_named("id", "id"));
        assert!(is_named("ttlSeconds", "ttl_seconds"));
        assert!(is_named("p50DurationMs", "p50_duration_ms"));
        for (name, function) in [("ttlSeconds", "ttl_second"), ("ttl", "ttl_seconds"), ("ttlseconds", "ttl_seconds")] {
            assert!(!is_named(name, function), "{name} {function}");
        }
    }

    /// What is left to the library, for it needs the log, is of a bus as it runs, or happens seldom.
    const LEFT: [(&str, &str); 13] = [
        ("Invocation", "events"),
        ("Invocation", "plan"),
        ("NodePort", "bus"),
        ("NodePort", "messagesPerSecond"),
        ("NodePort", "subscriberCount"),
        ("Registry", "oldestSequence"),
        ("Topic", "bus"),
        ("Topic", "metrics"),
        ("Topic", "schema"),
        ("Topic", "schemaHash"),
        ("Topic", "schemaNode"),
        ("Topic", "schemaSource"),
        ("Topic", "subscribers"),
    ];

    fn check<T: Rendered>(schema: &ServiceDocument) {
        let ty = T::type_name();
        let types = schema.definitions.iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(&definition.node),
            _ => None,
        });
        let fields =
            types.filter(|definition| definition.name.node == *ty).find_map(|definition| match &definition.kind {
                TypeKind::Object(object) => Some(&object.fields),
                _ => None,
            });
        let fields = fields.unwrap_or_else(|| panic!("there is no object {ty}"));
        let names: Vec<&str> = fields.iter().map(|field| field.node.name.node.as_str()).collect();
        for name in &names {
            let known = T::FIELDS.iter().any(|field| is_named(name, field) || field == name);
            assert!(
                known || LEFT.contains(&(&*ty, name)),
                "{ty}.{name}: name it in rendered!, or lists with it are slow"
            );
        }
        assert_eq!(T::FIELDS.len() + LEFT.iter().filter(|(of, _)| *of == ty).count(), names.len(), "{ty}: {names:?}");
    }

    #[test]
    fn every_field_of_what_is_listed_can_be_written() {
        use crate::graphql::types::{contract, graph, invocation, lease, node, port, registry, tool, topic, trust};
        let schema = parse_schema(crate::graphql::sdl()).unwrap();
        check::<node::Node>(&schema);
        check::<node::Capabilities>(&schema);
        check::<node::VersionedTemplate>(&schema);
        check::<tool::Tool>(&schema);
        check::<tool::ToolProvider>(&schema);
        check::<tool::Circuit>(&schema);
        check::<tool::ToolMetrics>(&schema);
        check::<tool::ExecutionSummary>(&schema);
        check::<lease::PortLease>(&schema);
        check::<lease::PortPool>(&schema);
        check::<lease::PortRange>(&schema);
        check::<lease::PortQuarantine>(&schema);
        check::<port::NodePort>(&schema);
        check::<contract::Contract>(&schema);
        check::<contract::ContractField>(&schema);
        check::<contract::ContractDependency>(&schema);
        check::<contract::ContractCollision>(&schema);
        check::<contract::CollisionSide>(&schema);
        check::<topic::Topic>(&schema);
        check::<trust::Trust>(&schema);
        check::<registry::Registry>(&schema);
        check::<registry::RegistryCounts>(&schema);
        check::<graph::DependencyGraph>(&schema);
        check::<graph::GraphNode>(&schema);
        check::<graph::GraphEdge>(&schema);
        check::<invocation::Invocation>(&schema);
        check::<invocation::InvocationAttempt>(&schema);
        check::<invocation::InvocationError>(&schema);
    }

    #[test]
    fn what_is_asked_for_twice_has_to_be_merged() {
        for (document, merges) in [
            ("{ a { b c } d: a { b } }", false),
            ("{ a { b } a { c } }", true),
            ("{ a { b } ...F } fragment F on Query { a { c } }", true),
            ("{ x { a { b } ... { a { c } } } }", true),
            ("{ x { a: b a: c } }", true),
            ("{ x { ...F } y { ...F } } fragment F on T { a }", false),
        ] {
            assert_eq!(merges_fields(&parse_query(document).unwrap()), merges, "{document}");
        }
    }
}
