//! What is counted while an answer is made: the values that its lists have, and the time that it takes.
//!
//! How long a list of providers or of a node's neighbours is, a document does not say; so every list of objects is a
//! `List`, which asks the budget before it is made. One that is spent stays so: every further list is refused, and a
//! query is answered with the refusal alone. What a mutation has done is done: only the lists of its answer are missing.
//! Making an answer never waits for anything, so a long one would keep a thread from everybody else, and could not be
//! given up when its client leaves: now and then it lets others go first.

use super::super::error::{ErrorCode, refuse};
use super::super::render::{self, Plan, Render};
use super::Limits;
use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_list;
use async_graphql::{
    Context, ContextSelectionSet, Error, OutputType, Positioned, QueryEnv, Response, ServerResult, Value,
};
use futures_util::Stream;
use serde_json::json;
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// After how many values others go first.
const VALUES_A_TURN: u64 = 2_000;

/// What one answer may still cost.
#[derive(Clone)]
pub(in crate::graphql) struct Budget(Arc<Spent>);

struct Spent {
    values_max: u64,
    time_max: Duration,
    values: AtomicU64,
    turn: AtomicU64,
    over: AtomicBool,
    time: Mutex<Time>,
}

/// The time in which the answer was worked on; what it waits for is not in it.
#[derive(Clone, Copy, Default)]
struct Time {
    worked: Duration,
    since: Option<Instant>,
}

impl Time {
    fn taken(self) -> Duration {
        self.worked + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Budget {
    /// A whole one.
    pub(in crate::graphql) fn new(limits: &Limits) -> Self {
        Budget(Arc::new(Spent {
            values_max: limits.values_max,
            time_max: limits.execution_max,
            values: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            over: AtomicBool::new(false),
            time: Mutex::default(),
        }))
    }

    /// Takes so many values off; refuses where there are not so many, or the time is over.
    pub(in crate::graphql) fn spend(&self, values: u64) -> Result<(), Error> {
        let spent = &*self.0;
        let sum = spent.values.fetch_add(values, Ordering::Relaxed).saturating_add(values);
        spent.turn.fetch_add(values, Ordering::Relaxed);
        self.refusal(sum).map_or(Ok(()), |refusal| {
            spent.over.store(true, Ordering::Relaxed);
            Err(refusal)
        })
    }

    /// How many values were taken off so far.
    pub(in crate::graphql) fn spent(&self) -> u64 {
        self.0.values.load(Ordering::Relaxed)
    }

    /// Goes back to where so many were taken off: what was paid for since is made anew.
    pub(in crate::graphql) fn refund(&self, spent: u64) {
        self.0.values.store(spent, Ordering::Relaxed);
    }

    /// Why the answer that was made cannot be given.
    pub(in crate::graphql) fn overdrawn(&self) -> Option<Error> {
        let was_refused = self.0.over.load(Ordering::Relaxed);
        if !was_refused { None } else { self.refusal(self.0.values.load(Ordering::Relaxed)) }
    }

    fn refusal(&self, values: u64) -> Option<Error> {
        let max = self.0.values_max;
        if values > max {
            let message = format!(
                "the lists of the answer have {values} values or more; the most is {max} (limits.values_max): ask for \
                 smaller pages, fewer fields, or less in lists of lists"
            );
            let details = json!({ "limit": "values_max", "max": max, "found": values });
            return Some(refuse(ErrorCode::TooComplex, message, details));
        }
        let taken = self.time().taken();
        (taken > self.0.time_max).then(|| timed_out(self.0.time_max, taken))
    }

    /// Lets others go first, where enough was made since they last did.
    pub(in crate::graphql) async fn breathe(&self) {
        if self.0.turn.load(Ordering::Relaxed) >= VALUES_A_TURN {
            self.0.turn.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    fn time(&self) -> Time {
        *self.0.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, time: Time) {
        *self.0.time.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    fn begin(&self) {
        let time = self.time();
        self.set(Time { since: Some(Instant::now()), ..time });
    }

    fn pause(&self) {
        let worked = self.time().taken();
        self.set(Time { worked, since: None });
    }

    /// Makes the budget whole again, for the next answer of a subscription.
    fn renew(&self) {
        self.0.values.store(0, Ordering::Relaxed);
        self.0.over.store(false, Ordering::Relaxed);
        self.set(Time::default());
    }
}

/// The refusal of what takes too long.
pub(in crate::graphql) fn timed_out(max: Duration, taken: Duration) -> Error {
    let (max, taken) = (max.as_millis() as u64, taken.as_millis() as u64);
    let message = format!(
        "the answer was not there after {taken} ms; the most is {max} (limits.execution_ms): ask for less, or in \
         several requests"
    );
    refuse(ErrorCode::TooComplex, message, json!({ "limit": "execution_ms", "max": max, "found": taken }))
}

/// Takes what is dear to find off the budget of a request, before it is looked for.
pub(in crate::graphql) fn spend(ctx: &Context<'_>, values: u64) -> Result<(), Error> {
    ctx.data_opt::<Budget>().map_or(Ok(()), |budget| budget.spend(values))
}

/// Work that is timed by a budget.
pub(in crate::graphql) struct Timed<F> {
    work: Pin<Box<F>>,
    budget: Budget,
}

impl<F> Timed<F> {
    /// Times this work.
    pub(in crate::graphql) fn new(work: F, budget: Budget) -> Self {
        Timed { work: Box::pin(work), budget }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<F::Output> {
        self.budget.begin();
        let polled = self.work.as_mut().poll(context);
        self.budget.pause();
        polled
    }
}

/// Each answer of a subscription has the whole budget.
impl<S: Stream<Item = Response>> Stream for Timed<S> {
    type Item = Response;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Response>> {
        self.budget.begin();
        let polled = self.work.as_mut().poll_next(context);
        self.budget.pause();
        if polled.is_ready() {
            self.budget.renew();
        }
        polled
    }
}

/// A list of objects, counted before it is made.
pub struct List<T>(Vec<T>);

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        List(items)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

/// How the entries of a list are written, and what each takes off the budget.
pub struct Counted<'a, P> {
    items: P,
    values: u64,
    budget: Option<&'a Budget>,
}

impl<'a, P: Plan<'a>> Plan<'a> for Counted<'a, P> {
    fn of(selected: &ContextSelectionSet<'a>) -> Option<Self> {
        // Each entry has itself, and the fields below it.
        let values = fields_of(&selected.item.node, selected.query_env) + 1;
        Some(Counted { items: P::of(selected)?, values, budget: selected.data_opt::<Budget>() })
    }
}

impl<T: Render> Render for List<T> {
    type Plan<'a> = Counted<'a, T::Plan<'a>>;

    fn render(&self, plan: &Self::Plan<'_>, out: &mut Vec<u8>) -> Option<()> {
        if let Some(budget) = plan.budget
            && !self.0.is_empty()
        {
            budget.spend((self.0.len() as u64).saturating_mul(plan.values)).ok()?;
        }
        self.0.as_slice().render(&plan.items, out)
    }
}

impl<T: OutputType + Render> OutputType for List<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if let Some(text) = render::text(self, ctx).await {
            return Ok(Value::Binary(text));
        }
        if let Some(budget) = ctx.data_opt::<Budget>()
            && !self.0.is_empty()
        {
            // Each entry has itself, and the fields below it.
            let values = (self.0.len() as u64).saturating_mul(fields_of(&ctx.item.node, ctx.query_env) + 1);
            let spent = budget.spend(values).map_err(|error| ctx.set_error_path(error.into_server_error(field.pos)));
            spent?;
            budget.breathe().await;
        }
        resolve_list(ctx, field, &self.0, Some(self.0.len())).await
    }
}

/// How many fields are below a field, fragments spread out.
fn fields_of(set: &SelectionSet, query: &QueryEnv) -> u64 {
    let mut fields = 0_u64;
    for selection in &set.items {
        fields = fields.saturating_add(match &selection.node {
            Selection::Field(field) => fields_of(&field.node.selection_set.node, query).saturating_add(1),
            Selection::InlineFragment(fragment) => fields_of(&fragment.node.selection_set.node, query),
            Selection::FragmentSpread(spread) => {
                let fragment = query.fragments.get(&spread.node.fragment_name.node);
                fragment.map_or(0, |fragment| fields_of(&fragment.node.selection_set.node, query))
            }
        });
    }
    fields
}
