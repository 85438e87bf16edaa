//! Subscriptions that many share: equal ones are executed once, and each of their answers is written once.
//!
//! Subscriptions to the registry's changes are equal where document, operation, variables and rights are; from where on
//! they want the changes does not count. One execution follows the log live for all of them and puts its answers into a
//! ring (`live`). Who begins further back, or is too slow for the ring, has an execution of its own from its place on,
//! and comes to the others once it is where the ring begins. So a slow one slows nobody, and misses nothing.
//!
//! Who listens on a bus has a queue of its own there, which says what it is given and what it lost. Subscriptions that
//! are equal in the same way share what is made of that: an event with as much missing before it is executed and
//! written once, for the first who comes to it (`written`), and all others take the same bytes (`listening`).
//!
//! All other subscriptions are their caller's own.

mod ahead;
mod listening;
mod live;
mod member;
mod written;

use super::answer::{Answer, Answers, Progress};
use super::documents::{Kept, coded, runnable};
use super::limits::Limits;
use super::limits::budget::{Budget, Timed};
use super::reach::Pinned;
use super::subscription::listener::Part;
use super::{Caller, Rights, Schema};
use crate::model::Sequence;
use crate::registry::view::Views;
use ahead::Ahead;
use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, Selection};
use async_graphql::{Name, Variables};
use async_graphql_value::{ConstValue, Number, Value};
use futures_util::stream::{Stream, StreamExt};
use live::Live;
use member::Member;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use written::Written;

/// The field that follows the log.
const FOLLOWS: &str = "registryEvents";
/// Its argument for where to begin.
const BEGIN: &str = "after";
/// The field that listens on a bus.
const LISTENS: &str = "busEvents";
/// Its arguments, with which it is shared; with any other, a subscriber may be somebody in particular.
const LISTENS_WITH: [&str; 6] = ["bus", "topics", "where", "replay", "queueCapacity", "overflow"];

/// A subscription that is ready to run, as often as needed.
pub(super) struct Runnable {
    /// What it is an operation of.
    kept: Arc<Kept>,
    /// The same with its variables' absence in it.
    document: ExecutableDocument,
    name: Option<String>,
    variables: Variables,
    sharing: Option<Sharing>,
}

/// What a subscription is shared by.
struct Sharing {
    document: Box<str>,
    variables: Box<str>,
    source: Source,
}

/// Where its answers come from.
#[derive(Debug, PartialEq)]
enum Source {
    /// The log, from some place on.
    Log { after: Option<Sequence> },
    /// A bus.
    Bus,
}

/// What is equal of all that share an execution.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    document: Box<str>,
    name: Option<Box<str>>,
    variables: Box<str>,
    rights: Rights,
}

impl Runnable {
    /// An operation of a validated document, with variables that were checked.
    pub(super) fn of(
        text: &str,
        kept: &Arc<Kept>,
        document: &ExecutableDocument,
        name: Option<&str>,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Self {
        let sharing = Sharing::of(text, operation, variables);
        Runnable {
            kept: kept.clone(),
            document: document.clone(),
            name: name.map(str::to_owned),
            variables: variables.clone(),
            sharing,
        }
    }
}

impl Sharing {
    /// `None` for what is its caller's own.
    fn of(text: &str, operation: &OperationDefinition, variables: &Variables) -> Option<Self> {
        let [root] = &*operation.selection_set.node.items else { return None };
        let Selection::Field(root) = &root.node else { return None };
        let mut variables = variables.clone();
        let source = match root.node.name.node.as_str() {
            FOLLOWS => Source::Log { after: begin_of(&root.node, text, &mut variables)? },
            LISTENS => {
                let mut arguments = root.node.arguments.iter();
                let is_anybody = arguments.all(|(name, _)| LISTENS_WITH.contains(&name.node.as_str()));
                is_anybody.then_some(Source::Bus)?
            }
            _ => return None,
        };
        let variables = serde_json::to_string(&variables).ok()?;
        Some(Sharing { document: text.into(), variables: variables.into(), source })
    }
}

/// From where on a field wants the changes, which is taken out of the variables; the outer `None` where that cannot be
/// told from the rest.
fn begin_of(root: &Field, text: &str, variables: &mut Variables) -> Option<Option<Sequence>> {
    let after = match root.get_argument(BEGIN).map(|argument| &argument.node) {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(number.as_u64()?),
        Some(Value::Variable(name)) if stands_once(text, name) => match variables.remove(name) {
            None | Some(ConstValue::Null) => None,
            Some(ConstValue::Number(number)) => Some(Number::as_u64(&number)?),
            Some(_) => return None,
        },
        Some(_) => return None,
    };
    Some(after.map(Sequence))
}

/// Whether nothing but its definition and one argument names this variable.
fn stands_once(text: &str, name: &Name) -> bool {
    let named = text.split('$').skip(1).filter_map(|rest| rest.trim_start().strip_prefix(name.as_str()));
    let whole = |rest: &&str| !rest.starts_with(|next: char| next == '_' || next.is_ascii_alphanumeric());
    named.filter(whole).count() == 2
}

/// Runs subscriptions, equal ones once.
pub(super) struct Shared {
    schema: Schema,
    views: Arc<Views>,
    limits: Limits,
    // Both held while one comes or goes; nothing waits under them.
    live: Mutex<HashMap<Key, Arc<Live>>>,
    written: Mutex<HashMap<Key, Arc<Written>>>,
}

impl Shared {
    pub(super) fn new(schema: Schema, views: Arc<Views>, limits: Limits) -> Arc<Self> {
        Arc::new(Shared { schema, views, limits, live: Mutex::default(), written: Mutex::default() })
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Key, Arc<Live>>> {
        // Each change of the table is one step.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answers of a subscription.
    pub(super) fn subscribe(self: &Arc<Self>, asked: Runnable, caller: &Caller) -> Answers {
        let Some(Sharing { document, variables, source }) = &asked.sharing else {
            return self.alone(&asked, caller, None, None);
        };
        let name = asked.name.as_deref().map(Into::into);
        let key = Key { document: document.clone(), name, variables: variables.clone(), rights: caller.rights() };
        match *source {
            Source::Log { after } => self.follow(key, asked, caller, after),
            Source::Bus => Answers::of(listening::answers(self.clone(), key, asked, caller)),
        }
    }

    fn follow(self: &Arc<Self>, key: Key, asked: Runnable, caller: &Caller, after: Option<Sequence>) -> Answers {
        let current = self.views.current().sequence;
        let place = after.unwrap_or(current);
        // A place that has not come is refused by the field, in its own words.
        if place > current {
            return self.alone(&asked, caller, None, None);
        }
        let live = self.enter(key, asked, caller, current);
        Answers::behind(place, Member::new(self.clone(), live, place))
    }

    /// The execution that is shared by this key, with one more to share it.
    fn enter(self: &Arc<Self>, key: Key, asked: Runnable, caller: &Caller, current: Sequence) -> Arc<Live> {
        let mut all = self.live();
        if let Some(live) = all.get(&key).filter(|live| !live.has_ended()) {
            live.enter();
            return live.clone();
        }
        let live = Live::new(key.clone(), asked, caller.clone(), current);
        live.enter();
        let (answers, _) = self.execute(&live.asked, caller, Some(current), None);
        live.follow(answers);
        all.insert(key, live.clone());
        live
    }

    /// One less shares this; the last one ends it.
    fn leave(&self, live: &Arc<Live>) {
        let mut all = self.live();
        if live.leave() {
            live.stop();
            if all.get(&live.key).is_some_and(|current| Arc::ptr_eq(current, live)) {
                all.remove(&live.key);
            }
        }
    }

    /// An execution for one caller alone, behind a place or where its arguments say, with a part for a field that
    /// listens on a bus.
    fn alone(&self, asked: &Runnable, caller: &Caller, begin: Option<Sequence>, part: Option<Part>) -> Answers {
        let (answers, progress) = self.execute(asked, caller, begin, part);
        Answers::with(progress, Ahead::of(answers))
    }

    fn execute(
        &self,
        asked: &Runnable,
        caller: &Caller,
        begin: Option<Sequence>,
        part: Option<Part>,
    ) -> (impl Stream<Item = Answer> + Send + use<>, Arc<Progress>) {
        let progress = Progress::new(begin);
        let request = runnable(asked.document.clone(), asked.name.as_deref(), asked.variables.clone());
        let pinned = Pinned::new(caller.seen(&self.views.current()), asked.kept.merges_fields);
        let budget = Budget::new(&self.limits);
        let mut request = request.data(caller.clone()).data(pinned).data(progress.clone()).data(budget.clone());
        if let Some(part) = part {
            request = request.data(part);
        }
        let (told, kept, name) = (progress.clone(), asked.kept.clone(), asked.name.clone());
        let answers = Timed::new(self.schema.execute_stream(request), budget).map(move |mut response| {
            kept.order(name.as_deref(), &mut response.data);
            response.errors = coded(response.errors);
            // The library executes one event after the other: the place is this one's.
            Answer::from(&response).at(told.place())
        });
        (answers, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    fn sharing(document: &str, variables: serde_json::Value) -> Option<(String, Source)> {
        let parsed = parse_query(document).unwrap();
        let (_, operation) = parsed.operations.iter().next().unwrap();
        let sharing = Sharing::of(document, &operation.node, &Variables::from_json(variables))?;
        Some((sharing.variables.into(), sharing.source))
    }

    #[test]
    fn what_follows_the_log_is_shared_wherever_it_begins() {
        let shared = |variables: &str, after: Option<u64>| {
            Some((variables.to_owned(), Source::Log { after: after.map(Sequence) }))
        };
        let plain = "subscription { events: registryEvents { sequence } }";
        assert_eq!(sharing(plain, json!({})), shared("{}", None));
        let written = "subscription { registryEvents(after: 7) { sequence } }";
        assert_eq!(sharing(written, json!({})), shared("{}", Some(7)));
        let given =
            "subscription($after: Sequence, $f: EventFilter) { registryEvents(after: $after, filter: $f) { id } }";
        let filter = json!({"types": ["NODE_UPDATED"]});
        for (after, place) in [(json!(5), Some(5)), (json!(null), None)] {
            let found = sharing(given, json!({"after": after, "f": filter}));
            assert_eq!(found, shared(&json!({ "f": filter }).to_string(), place));
        }
    }

    #[test]
    fn what_listens_on_a_bus_is_shared_with_all_of_its_variables() {
        let document = "subscription($n: Int) { busEvents(bus: \"b\", queueCapacity: $n) { sequence missed } }";
        assert_eq!(sharing(document, json!({"n": 5})), Some((r#"{"n":5}"#.to_owned(), Source::Bus)));
    }

    #[test]
    fn what_may_differ_between_callers_is_not_shared() {
        let twice = "subscription($a: Sequence) { registryEvents(after: $a) { ... on NodeUpdated { x(at: $ a) } } }";
        assert_eq!(sharing(twice, json!({"a": 1})), None);
        for own in [
            "subscription { toolCalls(nodeId: \"a\") { tool } }",
            "subscription { ...F } fragment F on Subscription { registryEvents { sequence } }",
            "subscription { registryEvents(after: \"7\") { sequence } }",
            "subscription { busEvents(bus: \"b\", durable: \"d\") { sequence } }",
        ] {
            assert_eq!(sharing(own, json!({})), None, "{own}");
        }
    }
}
