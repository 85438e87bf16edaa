//! Connections by the Relay cursor specification, in one place.
//!
//! A cursor is the key of the thing it stands at, not a count: what comes and goes before it moves nothing.

use super::error::invalid;
use super::limits::budget::{List, spend};
use super::render::{Render, rendered};
use crate::model::{
    BusName, ContractHash, ContractName, NodeId, NodeName, Sequence, Time, ToolKey, ToolName, TopicName, Version,
};
use async_graphql::connection::PageInfo;
use async_graphql::{Context, Object, OutputType, Result, TypeName};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use std::borrow::Cow;
use std::ops::Bound;
use uuid::Uuid;

/// The size of a page that does not say.
pub(super) const PAGE_DEFAULT: usize = 50;
/// The greatest size of a page.
pub(super) const PAGE_MAX: usize = 500;

/// What stands in a list, and can be found again in it.
pub(super) trait Key: Ord + Clone + Send + Sync {
    /// Says which list and order it belongs to.
    const TAG: char;
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;

    fn cursor(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}{}", Self::TAG, self.write()))
    }

    fn of_cursor(cursor: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        Self::read(str::from_utf8(&bytes).ok()?.strip_prefix(Self::TAG)?)
    }
}

fn two(text: &str) -> Option<(&str, &str)> {
    text.split_once('\n')
}

impl Key for NodeName {
    const TAG: char = 'n';
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        NodeName::try_new(text).ok()
    }
}

impl Key for TopicName {
    const TAG: char = 'o';
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        TopicName::try_new(text).ok()
    }
}

impl Key for BusName {
    const TAG: char = 'b';
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        BusName::try_new(text).ok()
    }
}

impl Key for (Time, NodeId) {
    const TAG: char = 'r';
    fn write(&self) -> String {
        format!("{}\n{}", self.0.as_micros(), self.1)
    }
    fn read(text: &str) -> Option<Self> {
        let (time, id) = two(text)?;
        Some((Time::from_micros(time.parse().ok()?), NodeId(id.parse().ok()?)))
    }
}

impl Key for (Option<Time>, NodeId) {
    const TAG: char = 's';
    fn write(&self) -> String {
        let time = self.0.map(|time| time.as_micros().to_string()).unwrap_or_default();
        format!("{time}\n{}", self.1)
    }
    fn read(text: &str) -> Option<Self> {
        let (time, id) = two(text)?;
        let time = if time.is_empty() { None } else { Some(Time::from_micros(time.parse().ok()?)) };
        Some((time, NodeId(id.parse().ok()?)))
    }
}

impl Key for ToolKey {
    const TAG: char = 't';
    fn write(&self) -> String {
        format!("{}\n{}", self.name, self.version)
    }
    fn read(text: &str) -> Option<Self> {
        let (name, version) = two(text)?;
        Some(ToolKey { name: ToolName::try_new(name).ok()?, version: Version::try_new(version).ok()? })
    }
}

impl Key for (ContractName, Version, ContractHash) {
    const TAG: char = 'c';
    fn write(&self) -> String {
        format!("{}\n{}\n{}", self.0, self.1, self.2)
    }
    fn read(text: &str) -> Option<Self> {
        let (name, rest) = two(text)?;
        let (version, hash) = two(rest)?;
        Some((ContractName::try_new(name).ok()?, Version::try_new(version).ok()?, hash.parse().ok()?))
    }
}

impl Key for Sequence {
    const TAG: char = 'e';
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Sequence)
    }
}

/// A place among search results: the best match first, then by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub score: std::cmp::Reverse<u32>,
    pub name: String,
    pub id: Uuid,
}

impl Key for Rank {
    const TAG: char = 'k';
    fn write(&self) -> String {
        format!("{}\n{}\n{}", self.score.0, self.id, self.name)
    }
    fn read(text: &str) -> Option<Self> {
        let (score, rest) = two(text)?;
        let (id, name) = two(rest)?;
        let score = std::cmp::Reverse(score.parse().ok()?);
        Some(Rank { score, name: name.to_owned(), id: id.parse().ok()? })
    }
}

/// The four arguments of a connection, as given.
#[derive(Clone, Debug, Default)]
pub(super) struct PageArgs {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

/// Which part of a list is asked for.
pub(super) struct Page<K> {
    pub limit: usize,
    pub backward: bool,
    pub after: Option<K>,
    pub before: Option<K>,
}

impl PageArgs {
    pub(super) fn forward(first: Option<i32>, after: Option<String>) -> Self {
        PageArgs { first, after, ..PageArgs::default() }
    }

    pub(super) fn page<K: Key>(&self) -> Result<Page<K>> {
        let size = |name: &str, count: i32| match usize::try_from(count) {
            Ok(count) if count <= PAGE_MAX => Ok(count),
            _ => Err(invalid(name, format!("is {count}; a page has 0 to {PAGE_MAX} entries"))),
        };
        let (limit, backward) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(invalid("last", "and first cannot both be given")),
            (None, Some(last)) => (size("last", last)?, true),
            (Some(first), None) => (size("first", first)?, false),
            (None, None) => (PAGE_DEFAULT, self.before.is_some() && self.after.is_none()),
        };
        let key = |name: &str, cursor: &Option<String>| match cursor {
            None => Ok(None),
            Some(cursor) => match K::of_cursor(cursor) {
                Some(key) => Ok(Some(key)),
                None => Err(invalid(name, "is no cursor of this list in this order")),
            },
        };
        Ok(Page { limit, backward, after: key("after", &self.after)?, before: key("before", &self.before)? })
    }
}

impl<K: Key> Page<K> {
    /// The bounds of what may be on the page; `None` where nothing can be.
    pub(super) fn bounds(&self) -> Option<(Bound<K>, Bound<K>)> {
        if let (Some(after), Some(before)) = (&self.after, &self.before)
            && after >= before
        {
            return None;
        }
        let bound = |key: &Option<K>| key.clone().map_or(Bound::Unbounded, Bound::Excluded);
        Some((bound(&self.after), bound(&self.before)))
    }

    /// Takes the page's entries out of what lies within its bounds, in the order of the list.
    pub(super) fn take<T: OutputType + Render + 'static>(
        &self,
        within: impl DoubleEndedIterator<Item = (K, T)>,
        total: Total,
    ) -> Connection<T> {
        let mut entries: Vec<(K, T)> = if self.backward {
            within.rev().take(self.limit + 1).collect()
        } else {
            within.take(self.limit + 1).collect()
        };
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        if self.backward {
            entries.reverse();
        }
        let (has_previous, has_next) =
            if self.backward { (more, self.before.is_some()) } else { (self.after.is_some(), more) };
        let edges = entries.into_iter().map(|(key, node)| Edge { cursor: key.cursor(), node }).collect();
        Connection { edges, has_previous, has_next, total }
    }
}

/// How many entries a whole list has: counted only when that is asked.
pub(super) type Total = Box<dyn Fn() -> BoxFuture<'static, Result<usize>> + Send + Sync>;

/// A count that the current version gives.
pub(super) fn total(count: impl Fn() -> usize + Send + Sync + 'static) -> Total {
    Box::new(move || {
        let count = count();
        Box::pin(async move { Ok(count) })
    })
}

/// A page of a list.
pub struct Connection<T: OutputType + Render + 'static> {
    edges: Vec<Edge<T>>,
    has_previous: bool,
    has_next: bool,
    total: Total,
}

impl<T: OutputType + Render + 'static> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

/// A page of a list, by the Relay cursor specification. Pages have 50 entries unless told otherwise, 500 at most.
#[Object(name_type)]
impl<T: OutputType + Render + 'static> Connection<T> {
    /// The entries with their cursors.
    async fn edges(&self) -> List<&Edge<T>> {
        self.edges.iter().collect()
    }

    /// The entries alone.
    async fn nodes(&self) -> List<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where the page lies in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_previous_page: self.has_previous,
            has_next_page: self.has_next,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }

    /// How many entries the whole list has.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<usize> {
        spend(ctx, 0)?;
        (self.total)().await
    }
}

rendered!(for<T> Connection<T> { edges, nodes, page_info, total_count });
rendered!(struct PageInfo { has_previous_page, has_next_page, start_cursor, end_cursor });

/// An entry of a list.
pub struct Edge<T> {
    cursor: String,
    node: T,
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// An entry of a list, with its place.
#[Object(name_type)]
impl<T: OutputType> Edge<T> {
    /// The entry's place, for `after` and `before`: opaque, and right as long as the order is the same.
    async fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The entry.
    async fn node(&self) -> &T {
        &self.node
    }
}

rendered!(for<T> Edge<T> { cursor, node });

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn list(args: &PageArgs) -> (Vec<String>, bool, bool) {
        let all: BTreeMap<NodeName, String> =
            ["a", "b", "c", "d"].map(|name| (NodeName::try_new(name).unwrap(), name.to_owned())).into();
        let page = args.page::<NodeName>().unwrap();
        let Some(bounds) = page.bounds() else { return (Vec::new(), false, false) };
        let within = all.range(bounds).map(|(key, name)| (key.clone(), name.clone()));
        let connection = page.take(within, total(|| 4));
        let names = connection.edges.iter().map(|edge| edge.node.clone()).collect();
        (names, connection.has_previous, connection.has_next)
    }

    fn cursor(name: &str) -> Option<String> {
        Some(NodeName::try_new(name).unwrap().cursor())
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn pages_go_both_ways_and_know_what_lies_beyond() {
        let first = PageArgs { first: Some(2), ..PageArgs::default() };
        assert_eq!(list(&first), (owned(&["a", "b"]), false, true));
        let rest = PageArgs { first: Some(2), after: cursor("b"), ..PageArgs::default() };
        assert_eq!(list(&rest), (owned(&["c", "d"]), true, false));
        let last = PageArgs { last: Some(2), ..PageArgs::default() };
        assert_eq!(list(&last), (owned(&["c", "d"]), true, false));
        let before = PageArgs { last: Some(5), before: cursor("c"), ..PageArgs::default() };
        assert_eq!(list(&before), (owned(&["a", "b"]), false, true));
        let gone = PageArgs { first: Some(9), after: cursor("bb"), ..PageArgs::default() };
        assert_eq!(list(&gone).0, owned(&["c", "d"]));
        let crossed = PageArgs { after: cursor("c"), before: cursor("b"), ..PageArgs::default() };
        assert_eq!(list(&crossed).0, owned(&[]));
    }

    #[test]
    fn pages_that_cannot_be_are_refused() {
        for args in [
            PageArgs { first: Some(-1), ..PageArgs::default() },
            PageArgs { first: Some(501), ..PageArgs::default() },
            PageArgs { first: Some(1), last: Some(1), ..PageArgs::default() },
            PageArgs { after: Some("x".to_owned()), ..PageArgs::default() },
            PageArgs { after: Some(TopicName::try_new("a").unwrap().cursor()), ..PageArgs::default() },
        ] {
            assert!(args.page::<NodeName>().is_err(), "{args:?}");
        }
    }
}
