//! `onex mcp attach`: a server's tools become those of a node.

use std::collections::HashSet;
use std::ffi::OsString;
use std::pin::pin;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::child::group::Groups;
use crate::cli::child::signals::Signals;
use crate::cli::error::{self, Error};
use crate::cli::node::{Stayed, leave, stay};
use crate::cli::output;
use crate::cli::server::ServerArgs;
use crate::client;
use crate::client::node::{Node, Running, Tool};

use super::server::{Place, Presence, Server, reach};
use super::tools::{as_name, as_version, tool};

/// How often in a row a server may fail to list its tools before it counts as gone.
const FAILURES_MAX: u32 = 3;

/// What is told below the options.
const MORE: &str = "\
  onex mcp attach -- npx -y @modelcontextprotocol/server-everything
  onex mcp attach --name weather --prefix weather. --url http://127.0.0.1:3001/mcp

Tools come and go as the server lists them. A tool's result is its structured content, else an object with its content; \
what it reports as an error fails the call with the code MCP_TOOL_ERROR.

SIGTERM or Ctrl-C lets calls that are under way end; the node keeps its id and is known as OFFLINE then. When the server \
ends, the node is taken out of the registry, and the exit status is 1.";

/// Which server to attach, and as which node.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// The node's name; the server's own without it.
    #[arg(long, value_name = "NODE")]
    name: Option<String>,
    /// What stands before the names of the tools.
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    prefix: String,
    /// How many calls may be under way at once.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_in_flight: u32,
    /// Seconds until the node counts as gone once it sends no heartbeats, which it does three times as often.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: u32,
    #[command(flatten)]
    server: ServerArgs,
    /// The address of a server that is there already, spoken to over streamable HTTP.
    #[arg(long, value_name = "URL", conflicts_with = "command", value_parser = url)]
    url: Option<String>,
    /// The command that is the server, and its arguments; spoken to over its stdin and stdout.
    #[arg(required_unless_present = "url", last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn url(typed: &str) -> Result<String, String> {
    match typed.split_once("://") {
        Some(("http", _)) => Ok(typed.to_owned()),
        Some(("https", _)) => {
            Err("asks for TLS, which this build does not have yet: put a TLS proxy between".to_owned())
        }
        _ => Err("write http://HOST:PORT/PATH".to_owned()),
    }
}

/// Attaches the server until it ends, or is told to.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let mut signals = Signals::take().map_err(Error::Start)?;
    let client = args.server.client()?;
    let groups = Groups::default();
    let place = match &args.url {
        Some(url) => Place::Url(url.clone()),
        None => Place::Command(args.command.clone()),
    };
    let (server, mut presence) = reach(&place, &groups).await?;
    let attached = attach(&args, &client, &place, &server, &mut presence, &mut signals).await;
    presence.end().await;
    groups.kill();
    attached
}

async fn attach(
    args: &Args,
    client: &client::Client,
    place: &Place,
    server: &Server,
    presence: &mut Presence,
    signals: &mut Signals,
) -> Result<ExitCode, Error> {
    let gone = |why: String| Error::Mcp { server: place.to_string(), source: why.into() };
    let running = node(args, server).connect(client).await?;
    let mut offer = Offer { running: &running, server, prefix: &args.prefix, listed: None, failures: 0 };
    let over = {
        let mut staying = pin!(stay(&running, signals));
        let mut following = pin!(offer.follow());
        tokio::select! {
            biased;
            why = presence.ended() => Err(gone(why)),
            error = &mut following => Err(error),
            stayed = &mut staying => Ok(stayed),
        }
    };
    match over {
        Ok(Stayed::Told) => Ok(leave(running.drain(), signals).await),
        Ok(Stayed::Refused(error)) => Err(error),
        Err(why) => {
            leave(running.deregister(), signals).await;
            Err(why)
        }
    }
}

fn node(args: &Args, server: &Server) -> Node {
    let name = args.name.clone().unwrap_or_else(|| as_name(server.name().unwrap_or_default()));
    let about = json!({"mcp": {"server": server.name(), "version": server.version(), "protocol": server.protocol()}});
    let mut node = Node::new(name).kind("TOOL").tags(["mcp"]).metadata(about);
    if let Some(version) = server.version().and_then(as_version) {
        node = node.version(version);
    }
    if let Some(description) = server.description() {
        node = node.description(description);
    }
    node.max_in_flight(args.max_in_flight).ttl_seconds(args.ttl)
}

/// What the node offers of what the server lists.
struct Offer<'a> {
    running: &'a Running,
    server: &'a Server,
    prefix: &'a str,
    /// As it was last listed.
    listed: Option<Vec<Value>>,
    /// How often in a row nothing was.
    failures: u32,
}

impl Offer<'_> {
    /// Keeps the offer as the server's list is, until that cannot be had any more.
    async fn follow(&mut self) -> Error {
        loop {
            match self.server.list().await {
                Ok(listed) => {
                    self.failures = 0;
                    if let Err(error) = self.take(listed).await {
                        return error;
                    }
                }
                Err(error) => {
                    self.failures += 1;
                    if self.listed.is_none() || self.failures == FAILURES_MAX {
                        return Error::Other(format!("the server does not list its tools: {error}").into());
                    }
                }
            }
            self.server.changed().await;
        }
    }

    async fn take(&mut self, listed: Vec<Value>) -> Result<(), Error> {
        if self.listed.as_ref() == Some(&listed) {
            return Ok(());
        }
        let mut tools = self.readable(&listed);
        // The registry takes all or none, and says which one it does not take.
        while let Err(error) = self.running.set_tools(tools.clone()).await {
            let Some(refused) = refused_at(&error).filter(|at| *at < tools.len()) else { return Err(error.into()) };
            let tool = tools.remove(refused);
            output::note(&format!("the tool {} is left out: {}", tool.name(), error::chain(&error)));
        }
        let names: Vec<_> = tools.iter().map(Tool::name).collect();
        let of = if names.len() == listed.len() { String::new() } else { format!(" of {}", listed.len()) };
        output::note(&format!("{} offers {}{of} tools: {}", self.running.name(), names.len(), names.join(", ")));
        self.listed = Some(listed);
        Ok(())
    }

    fn readable(&self, listed: &[Value]) -> Vec<Tool> {
        let mut names = HashSet::new();
        let mut tools = Vec::new();
        for (at, entry) in listed.iter().enumerate() {
            match tool(self.server, self.prefix, entry) {
                Ok(tool) if names.insert(tool.name().to_owned()) => tools.push(tool),
                Ok(tool) => output::note(&format!("the tool {} is listed twice: the second is left out", tool.name())),
                Err(why) => {
                    let name = entry["name"].as_str().map_or_else(|| format!("number {}", at + 1), str::to_owned);
                    output::note(&format!("the tool {name} is left out: {why}"));
                }
            }
        }
        tools
    }
}

/// Which of the tools a refusal is about: it names the field, such as `tools[3] (add).inputSchema`.
fn refused_at(error: &client::Error) -> Option<usize> {
    let client::Error::Refused { message, details, .. } = error else { return None };
    let field = details["field"].as_str().unwrap_or(message);
    let (_, after) = field.split_once("tools[")?;
    after.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_tool_that_it_is_about() {
        let refused = |message: &str, details: Value| client::Error::Refused {
            message: message.to_owned(),
            code: Some("INVALID_ARGUMENT".to_owned()),
            details,
            retryable: false,
            all: Vec::new(),
        };
        assert_eq!(refused_at(&refused("no", json!({"field": "tools[12] (add).inputSchema"}))), Some(12));
        assert_eq!(refused_at(&refused("tools[3].name: is empty", Value::Null)), Some(3));
        assert_eq!(refused_at(&refused("the node is frozen", Value::Null)), None);
    }

    #[test]
    fn a_server_is_reached_by_plain_http() {
        assert!(url("http://127.0.0.1:3001/mcp").is_ok());
        assert!(url("https://h/mcp").unwrap_err().contains("TLS"));
        assert!(url("h:3001").is_err());
    }
}
