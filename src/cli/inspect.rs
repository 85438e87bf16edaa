//! `onex inspect`: lists of nodes, tools, contracts, topics, buses, who listens on one, and leased ports.
//!
//! Each list is one entry of [`Listing`]: what to ask, and which columns to show. Paging, formats and the advice on an
//! empty list are written once. Those who listen are the one list that has no pages.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::client::Client;

use super::bus;
use super::error::Error;
use super::output::{self, Format};
use super::port::ListArgs;
use super::server::ServerArgs;
use super::table::Table;
use super::tools;
use super::value::{joined, list, text, texts, texts_of, time};

/// What is asked of a bus to know who listens on it.
const SUBSCRIBERS: &str = "subscribers { id name node { id name } topics durability queued lag dropped connected }";
/// The largest page that a registry gives.
const PAGE_MAX: usize = 200;

/// What to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the registered nodes.
    Nodes {
        #[command(flatten)]
        common: Common,
        /// Only those that match these words.
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// Only this kind, such as compute or effect.
        #[arg(long)]
        kind: Option<String>,
        /// Only this status: declared, online, draining or offline.
        #[arg(long)]
        status: Option<String>,
        /// Only those with this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Only those that publish this topic or subscribe to it.
        #[arg(long)]
        topic: Option<String>,
    },
    /// List the tools; the same as "onex tools".
    Tools {
        #[command(flatten)]
        common: Common,
        /// Only those that match these words.
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        #[command(flatten)]
        which: tools::Which,
    },
    /// List the contracts.
    Contracts {
        #[command(flatten)]
        common: Common,
        /// Only those that match these words.
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
    },
    /// List the topics, with who publishes and who subscribes; with a bus, those that are on it.
    Topics {
        #[command(flatten)]
        common: Common,
        /// The topics of this bus, with what travels on them.
        #[arg(long, value_name = "NAME|ID")]
        bus: Option<String>,
        /// Only topics that match: * is one segment, > the rest.
        #[arg(long)]
        pattern: Option<String>,
    },
    /// List the buses; the same as "onex bus list".
    Buses {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        which: bus::Which,
    },
    /// List those who listen on a bus.
    Subscribers {
        #[command(flatten)]
        common: Common,
        /// The bus.
        #[arg(long, value_name = "NAME|ID")]
        bus: String,
    },
    /// List the leased ports; the same as "onex port list".
    Ports(ListArgs),
}

/// What every list takes.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// How to show the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// At most this many; all without it.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
}

/// One list: how it is asked for, and shown.
pub(super) struct Listing {
    /// The field of Query, which is also the word for the things.
    pub(super) field: &'static str,
    /// The type of its filter.
    pub(super) filter_type: &'static str,
    /// What is asked of each.
    pub(super) selection: &'static str,
    /// Which to list; an empty object lists all.
    pub(super) filter: Value,
    /// Which of those to show, where the registry has no filter for it.
    pub(super) keep: Option<fn(&Value) -> bool>,
    /// How they are shown to people.
    pub(super) table: fn(&[Value]) -> Table,
    /// What to say where there is none at all, and what would make one.
    pub(super) none: &'static str,
}

/// Prints the list.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    args.what.show().await
}

/// Asks for a list and prints it.
pub(super) async fn show(common: Common, listing: Listing) -> Result<ExitCode, Error> {
    let items = listing.fetch(&common.server.client()?, common.limit()).await?;
    common.print(&items, listing.table, || listing.say_empty())
}

/// Asks who listens on a bus and prints it.
async fn show_subscribers(common: Common, bus: &str) -> Result<ExitCode, Error> {
    let found = bus::find(&common.server.client()?, bus, SUBSCRIBERS).await?;
    let all = list(&found, "/subscribers");
    let items = &all[..all.len().min(common.limit())];
    let none = || output::note(&format!("nobody listens on {bus}: \"onex event-monitor --bus {bus}\" does"));
    common.print(items, subscribers, none)
}

impl Common {
    fn limit(&self) -> usize {
        self.limit.map_or(usize::MAX, NonZeroUsize::get)
    }

    fn print(
        &self,
        items: &[Value],
        table: fn(&[Value]) -> Table,
        say_empty: impl FnOnce(),
    ) -> Result<ExitCode, Error> {
        match self.format {
            Format::Json => output::print_json(&items)?,
            Format::Yaml => output::print_yaml(&items)?,
            Format::Table if items.is_empty() => say_empty(),
            Format::Table => table(items).print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl What {
    async fn show(self) -> Result<ExitCode, Error> {
        let (common, listing) = match self {
            Self::Nodes { common, search, kind, status, tag, topic } => {
                let filter = filter([
                    ("search", search),
                    ("kind", kind.map(enum_name)),
                    ("status", status.map(enum_name)),
                    ("tag", tag),
                    ("topic", topic),
                ]);
                (common, nodes(filter))
            }
            Self::Tools { common, search, which } => {
                let listing = which.listing(&common.server.client()?, search).await?;
                (common, listing)
            }
            Self::Contracts { common, search } => (common, contracts(filter([("search", search)]))),
            Self::Topics { common, pattern, bus: None } => (common, topics(filter([("pattern", pattern)]))),
            Self::Topics { common, pattern, bus } => {
                (common, topics_of_bus(filter([("pattern", pattern), ("bus", bus)])))
            }
            Self::Buses { common, which } => (common, which.listing()),
            Self::Subscribers { common, bus } => return show_subscribers(common, &bus).await,
            Self::Ports(args) => args.split().await?,
        };
        show(common, listing).await
    }
}

impl Listing {
    /// Pages through the list until its end, or the limit.
    async fn fetch(&self, client: &Client, limit: usize) -> Result<Vec<Value>, Error> {
        let Self { field, filter_type, selection, .. } = self;
        let document = format!(
            "query($filter: {filter_type}, $first: Int, $after: String) {{ {field}(filter: $filter, first: $first, \
             after: $after) {{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let mut items = Vec::new();
        let mut after = Value::Null;
        while items.len() < limit {
            // How many entries are looked at until enough are kept is not known.
            let first = if self.keep.is_some() { PAGE_MAX } else { PAGE_MAX.min(limit - items.len()) };
            let variables = json!({"filter": self.filter, "first": first, "after": after});
            let mut answer: Value = client.query(&document, variables).await?;
            let mut page = answer[*field].take();
            if let Value::Array(nodes) = page["nodes"].take() {
                items.extend(nodes.into_iter().filter(|item| self.keep.is_none_or(|keep| keep(item))));
            }
            let end = page["pageInfo"]["endCursor"].take();
            // A cursor that stays in its place would be paged for ever.
            if page["pageInfo"]["hasNextPage"] != true || end.is_null() || end == after {
                break;
            }
            after = end;
        }
        items.truncate(limit);
        Ok(items)
    }

    fn say_empty(&self) {
        let no_filter = self.filter.as_object().is_none_or(Map::is_empty) && self.keep.is_none();
        let field = self.field;
        if no_filter {
            output::note(self.none);
        } else {
            output::note(&format!("no {field} match: \"onex inspect {field}\" without filters lists all"));
        }
    }
}

/// The given ones of some filters.
fn filter<const N: usize>(pairs: [(&str, Option<String>); N]) -> Value {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect::<Map<_, _>>().into()
}

/// A word in any case as GraphQL writes the values of its enums.
pub(super) fn enum_name(word: String) -> String {
    word.to_uppercase().replace('-', "_")
}

fn nodes(filter: Value) -> Listing {
    Listing {
        field: "nodes",
        filter_type: "NodeFilter",
        selection: "id name kind version versionHash description tags namespace host status executionMode \
            registeredAt lastSeenAt expiresAt trust { state score validated }",
        filter,
        keep: None,
        none: "no nodes are registered: \"onex register PATH\" registers contracts",
        table: |nodes| {
            let mut table = Table::new(&["NAME", "KIND", "VERSION", "STATUS", "TRUST", "REGISTERED", "LAST SEEN"]);
            for node in nodes {
                let trust = text(node, "/trust/state");
                let (registered, seen) = (time(node, "/registeredAt"), time(node, "/lastSeenAt"));
                let [name, kind, version, status] = ["/name", "/kind", "/version", "/status"].map(|at| text(node, at));
                table.row([name, kind, version, status, trust, registered, seen]);
            }
            table
        },
    }
}

fn contracts(filter: Value) -> Listing {
    Listing {
        field: "contracts",
        filter_type: "ContractFilter",
        selection: "hash name version kind description publishes subscribes deadLetters errorCodes acceptsContext \
            modifiesState sideEffects",
        filter,
        keep: None,
        none: "no contracts are registered: \"onex register PATH\" registers contracts",
        table: |contracts| {
            let mut table = Table::new(&["NAME", "VERSION", "KIND", "PUBLISHES", "SUBSCRIBES", "HASH"]);
            for contract in contracts {
                let [publishes, subscribes] =
                    ["/publishes", "/subscribes"].map(|at| list(contract, at).len().to_string());
                let [name, version, kind, hash] = ["/name", "/version", "/kind", "/hash"].map(|at| text(contract, at));
                table.row([name, version, kind, publishes, subscribes, hash]);
            }
            table
        },
    }
}

fn topics(filter: Value) -> Listing {
    Listing {
        field: "topics",
        filter_type: "TopicFilter",
        selection: "name publishers { name } declaredSubscribers { name } deadLetterPublishers { name }",
        filter,
        keep: None,
        none: "no topics are registered: topics come from contracts, and \"onex register PATH\" registers those",
        table: |topics| {
            let mut table = Table::new(&["NAME", "PUBLISHERS", "SUBSCRIBERS", "DEAD LETTERS FROM"]);
            for topic in topics {
                let [publishers, subscribers, dead] = ["/publishers", "/declaredSubscribers", "/deadLetterPublishers"]
                    .map(|at| joined(&texts_of(topic, at, "/name")));
                table.row([text(topic, "/name"), publishers, subscribers, dead]);
            }
            table
        },
    }
}

fn topics_of_bus(filter: Value) -> Listing {
    Listing {
        field: "topics",
        filter_type: "TopicFilter",
        selection: "name schemaHash metrics { published delivered dropped invalid retried bytes subscriberCount \
                    messagesPerSecond p50LatencyMs p99LatencyMs }",
        filter,
        keep: None,
        none: "nothing was published on this bus since it was started: \"onex publish\" does",
        table: |topics| {
            let mut table =
                Table::new(&["NAME", "SUBSCRIBERS", "PUBLISHED", "RATE", "DELIVERED", "DROPPED", "INVALID", "SCHEMA"]);
            for topic in topics {
                let [subscribers, published, delivered, dropped, invalid] =
                    ["subscriberCount", "published", "delivered", "dropped", "invalid"]
                        .map(|name| text(topic, &format!("/metrics/{name}")));
                let [name, schema] = ["/name", "/schemaHash"].map(|at| text(topic, at));
                table.row([name, subscribers, published, bus::rate(topic), delivered, dropped, invalid, schema]);
            }
            table
        },
    }
}

fn subscribers(subscribers: &[Value]) -> Table {
    let mut table = Table::new(&["NAME", "NODE", "TOPICS", "DURABILITY", "CONNECTED", "LAG", "DROPPED", "ID"]);
    for subscriber in subscribers {
        let topics = match texts(subscriber, "/topics") {
            // Without patterns it reads all, as with this one.
            none if none.is_empty() => ">".to_owned(),
            some => joined(&some),
        };
        let [name, node, durability, connected, lag, dropped, id] =
            ["/name", "/node/name", "/durability", "/connected", "/lag", "/dropped", "/id"]
                .map(|at| text(subscriber, at));
        table.row([name, node, topics, durability, connected, lag, dropped, id]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case_become_enum_names() {
        for word in ["compute", "Compute", "COMPUTE"] {
            assert_eq!(enum_name(word.into()), "COMPUTE");
        }
        assert_eq!(enum_name("node-registered".into()), "NODE_REGISTERED");
    }

    #[test]
    fn only_given_filters_are_sent() {
        assert_eq!(filter([("a", None), ("b", Some("x".into()))]), json!({"b": "x"}));
    }
}
