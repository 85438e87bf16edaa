//! `onex port allocate`: leases numbers.

use std::process::ExitCode;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::server::ServerArgs;
use crate::cli::value::text;
use crate::client::Client;

use super::lease::{self, Protocol};
use super::requester::RequesterArgs;
use super::{given, node_id_if_given};

/// What to lease. The lease lapses after its time to live unless "onex port renew" keeps it; "onex port exec" does
/// that for a command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many numbers; all or none are leased.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Consecutive numbers only.
    #[arg(long, requires = "count")]
    contiguous: bool,
    /// How the ports will be spoken to.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// The number for both TCP and UDP.
    #[arg(long)]
    both_transports: bool,
    /// The number to try first, with --count the first of them; where it cannot be had, another is given.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    preferred: Option<u16>,
    /// The lowest number to give; the same as --to insists on that one.
    #[arg(long, value_name = "PORT", requires = "to", value_parser = clap::value_parser!(u16).range(1..))]
    from: Option<u16>,
    /// The highest number to give.
    #[arg(long, value_name = "PORT", requires = "from", value_parser = clap::value_parser!(u16).range(1..))]
    to: Option<u16>,
    /// The machine that the number is for; the registry's own without it.
    #[arg(long)]
    host: Option<String>,
    /// The node that the lease belongs to.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// A topic that the port serves; may be given several times.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// The program that will use it.
    #[arg(long, value_name = "NAME", default_value = "onex")]
    program: String,
    /// What it is for, in your words.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Seconds until the lease lapses unless it is renewed.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: Option<u32>,
    /// Your name for this use: asking again with it gives the lease that you still hold, or the same number as before
    /// where it can be had. With --count, each number has KEY:1, KEY:2 and so on.
    #[arg(long)]
    key: Option<String>,
    /// Your name for this request: repeating it gives the same answer and leases nothing more.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    requester: RequesterArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Print the numbers and nothing else, one a line.
    #[arg(long, short, conflicts_with = "format")]
    quiet: bool,
    /// How to show the leases.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Leases and shows what was given.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let node = node_id_if_given(&client, args.node.as_deref()).await?;
    let requests = (0..args.count).map(|index| args.request(index, args.requester.id(), &node)).collect();
    let leases: Vec<Value> = batch(&client, requests, args.contiguous, lease::FIELDS).await?;
    if args.quiet {
        let numbers: String = leases.iter().map(|lease| text(lease, "/port") + "\n").collect();
        output::print(&numbers)?;
    } else {
        lease::show(&leases, args.format)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// One of the requests, as the API has it.
    fn request(&self, index: u16, requester: Uuid, node: &Value) -> Value {
        // Each number is a use of its own: under one key the second request would be given the first's lease.
        let numbered = |key: &Option<String>| {
            key.as_ref().map(|key| if self.count > 1 { format!("{key}:{}", index + 1) } else { key.clone() })
        };
        given(json!({
            "requesterId": requester,
            "protocol": self.protocol,
            "bothTransports": self.both_transports.then_some(true),
            "preferredPort": self.preferred.and_then(|first| first.checked_add(index)),
            "from": self.from,
            "to": self.to,
            "host": self.host,
            "nodeId": node,
            "topics": (!self.topics.is_empty()).then_some(&self.topics),
            "program": self.program,
            "purpose": self.purpose,
            "ttlSeconds": self.ttl,
            "key": numbered(&self.key),
            "idempotencyKey": numbered(&self.idempotency_key),
        }))
    }
}

/// Leases all or nothing, and gives the chosen fields of each lease in the requests' order.
pub(super) async fn batch<T: DeserializeOwned>(
    client: &Client,
    requests: Vec<Value>,
    contiguous: bool,
    fields: &str,
) -> Result<Vec<T>, Error> {
    #[derive(Deserialize)]
    struct Answer<T> {
        #[serde(rename = "allocateBatch")]
        leases: Vec<T>,
    }
    let document = format!("mutation($input: AllocateBatchInput!) {{ allocateBatch(input: $input) {{ {fields} }} }}");
    let input = given(json!({"requests": requests, "contiguous": contiguous.then_some(true)}));
    Ok(client.query::<Answer<T>>(&document, json!({"input": input})).await?.leases)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    fn requests(typed: &str) -> Vec<Value> {
        let args = Typed::try_parse_from(typed.split_whitespace()).unwrap().args;
        (0..args.count).map(|index| args.request(index, Uuid::nil(), &Value::Null)).collect()
    }

    #[test]
    fn a_plain_request_leaves_the_rest_to_the_registry() {
        let plain = json!({"requesterId": Uuid::nil(), "protocol": "TCP", "program": "onex"});
        assert_eq!(requests("allocate"), [plain]);
    }

    #[test]
    fn several_numbers_are_several_uses() {
        let requests = requests("allocate --count 3 --preferred 65534 --key web --idempotency-key i --protocol grpc");
        let of = |member: &str| requests.iter().map(|request| request[member].clone()).collect::<Vec<_>>();
        assert_eq!(of("key"), ["web:1", "web:2", "web:3"]);
        assert_eq!(of("idempotencyKey"), ["i:1", "i:2", "i:3"]);
        assert_eq!(of("preferredPort"), [json!(65_534), json!(65_535), Value::Null]);
        assert_eq!(of("protocol"), ["GRPC"; 3]);
    }

    #[test]
    fn one_number_keeps_its_key() {
        assert_eq!(requests("allocate --key web")[0]["key"], "web");
    }
}
