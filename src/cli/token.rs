//! `onex token`: makes, lists and revokes tokens, through a running registry, or on the data directory of one that does
//! not run.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::secret;
use crate::app;
use crate::model::{NodeId, Time, Token, TokenId, check_principal};
use crate::registry::command::{Command as RegistryCommand, CreateToken};
use crate::registry::decide::Answer;

use super::error::Error;
use super::output::{self, Format};
use super::server::ServerArgs;
use super::table::Table;
use super::value::{list, text, texts, time};

const CREATE: &str = "mutation($input: CreateTokenInput!) {
    createToken(input: $input) { secret token { id name roles nodeId expiresAt createdAt createdBy } }
}";
const LIST: &str = "{ tokens { id name roles nodeId expiresAt createdAt createdBy } }";
const REVOKE: &str = "mutation($id: UUID!) {
    revokeToken(input: {id: $id}) { id name roles nodeId expiresAt createdAt createdBy }
}";
const NODE: &str = "query($name: String!) { node(by: {name: $name}) { id } }";

/// What to do with tokens.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token, and print its secret this once
    Create(Create),
    /// List the tokens that have not been revoked
    List(List),
    /// Let a token count no longer
    Revoke(Revoke),
}

/// Where the registry is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The data directory of a registry that does not run, instead of asking one that does.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show what came of it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The principal that it is of, as changes record it.
    #[arg(long)]
    name: String,
    /// What it may do: admin, node, agent, viewer, or another role that the policy speaks of. May be repeated.
    #[arg(long, required = true, value_name = "ROLE")]
    role: Vec<String>,
    /// The only node that it may act for, by id or name; a token of the role node that names none gets a new id.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// When it expires: after 90d, 12h, 30m or 45s, or at an instant such as 2027-01-31T00:00:00Z; never when absent.
    #[arg(long, value_name = "WHEN", value_parser = Expires::read)]
    expires: Option<Expires>,
    /// Print the secret alone.
    #[arg(long, short, conflicts_with = "format")]
    quiet: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The token's id.
    id: Uuid,
    #[command(flatten)]
    place: Place,
}

/// When a token expires.
#[derive(Clone, Copy, Debug)]
enum Expires {
    After(u64),
    At(Time),
}

impl Expires {
    fn read(text: &str) -> Result<Self, String> {
        let number = |unit: char| text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
        let units = [('d', 24 * 60 * 60), ('h', 60 * 60), ('m', 60), ('s', 1)];
        let after = units.iter().find_map(|(unit, seconds)| number(*unit)?.checked_mul(*seconds));
        match after {
            Some(0) => Err("is no time at all".to_owned()),
            Some(seconds) => Ok(Expires::After(seconds)),
            None => text.parse().map(Expires::At).map_err(|_| {
                "is neither a time such as 90d, 12h, 30m or 45s, nor an instant such as 2027-01-31T00:00:00Z".to_owned()
            }),
        }
    }

    fn instant(self) -> Time {
        match self {
            Expires::After(seconds) => app::now().plus_seconds(seconds),
            Expires::At(time) => time,
        }
    }
}

/// Works with tokens.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::List(args) => show(args).await,
        Command::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: Create) -> Result<ExitCode, Error> {
    let made = match &args.place.data_dir {
        Some(directory) => create_offline(&args, directory.clone()).await?,
        None => create_online(&args).await?,
    };
    match args.place.format {
        _ if args.quiet => output::print(&format!("{}\n", text(&made, "/secret")))?,
        Format::Json => output::print_json(&made)?,
        Format::Yaml => output::print_yaml(&made)?,
        Format::Table => {
            table(std::slice::from_ref(&made["token"])).print()?;
            output::print(&format!("\n{}\n", text(&made, "/secret")))?;
            output::note("this is the only time that the secret is shown: its holder sets ONEX_TOKEN to it");
            if made["token"]["nodeId"].is_string() {
                output::note("the node that registers with it gets this node id");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create_online(args: &Create) -> Result<Value, Error> {
    let client = args.place.server.client()?;
    let node = match &args.node {
        None => None,
        Some(node) => match node.parse::<Uuid>() {
            Ok(id) => Some(json!(id)),
            Err(_) => {
                let mut found: Value = client.query(NODE, json!({ "name": node })).await?;
                let unknown = || Error::NotFound { thing: "node", name: node.clone() };
                Some(found.pointer_mut("/node/id").map(Value::take).ok_or_else(unknown)?)
            }
        },
    };
    let expires = args.expires.map(|expires| expires.instant().to_string());
    let input = json!({"name": args.name, "roles": args.role, "nodeId": node, "expiresAt": expires});
    let mut answer: Value = client.query(CREATE, json!({ "input": input })).await?;
    Ok(answer["createToken"].take())
}

async fn create_offline(args: &Create, directory: PathBuf) -> Result<Value, Error> {
    let usage = |what: &str, reason: &dyn std::fmt::Display| Error::Usage(format!("{what} {reason}"));
    check_principal(&args.name).map_err(|error| usage("--name", &error))?;
    let mut roles = args.role.clone();
    for role in &roles {
        check_principal(role).map_err(|error| usage("--role", &error))?;
    }
    roles.sort();
    roles.dedup();
    let node = match &args.node {
        None => roles.iter().any(|role| role == "node").then(app::fresh_id),
        Some(node) => match node.parse::<Uuid>() {
            Ok(id) => Some(id),
            Err(_) => {
                let state = app::peek(&directory).map_err(other)?;
                let unknown = || Error::NotFound { thing: "node", name: node.clone() };
                Some(state.node_by_name(node).ok_or_else(unknown)?.id.0)
            }
        },
    };
    let secret = secret::draw().map_err(other)?;
    let create = CreateToken {
        id: TokenId(app::fresh_id()),
        name: args.name.clone(),
        hash: secret::hash(&secret),
        roles,
        node: node.map(NodeId),
        expires_at: args.expires.map(Expires::instant),
        created_by: crate::model::Actor::operator().principal,
    };
    let command = RegistryCommand::CreateToken(Box::new(create));
    let outcome = app::offline(&directory, command).await.map_err(other)?;
    let Answer::Token(token) = outcome.answer else { return Ok(Value::Null) };
    Ok(json!({"token": shown(&token), "secret": secret}))
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// As the registry's API shows it.
fn shown(token: &Token) -> Value {
    json!({
        "id": token.id.0, "name": token.name, "roles": token.roles, "nodeId": token.node.map(|node| node.0),
        "expiresAt": token.expires_at.map(|time| time.to_string()), "createdAt": token.created_at.to_string(),
        "createdBy": token.created_by,
    })
}

async fn show(args: List) -> Result<ExitCode, Error> {
    let tokens = match &args.place.data_dir {
        Some(directory) => {
            let state = app::peek(directory).map_err(other)?;
            Value::Array(state.tokens.values().map(|token| shown(token)).collect())
        }
        None => args.place.server.client()?.query::<Value>(LIST, json!({})).await?["tokens"].take(),
    };
    match args.place.format {
        Format::Json => output::print_json(&tokens)?,
        Format::Yaml => output::print_yaml(&tokens)?,
        Format::Table => match list(&tokens, "") {
            [] => output::note("there is no token: make one with \"onex token create\""),
            tokens => table(tokens).print()?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(args: Revoke) -> Result<ExitCode, Error> {
    let token = match &args.place.data_dir {
        Some(directory) => {
            let command = RegistryCommand::RevokeToken(TokenId(args.id));
            let outcome = app::offline(directory, command).await.map_err(other)?;
            let Answer::Token(token) = outcome.answer else { return Ok(ExitCode::SUCCESS) };
            shown(&token)
        }
        None => {
            let mut answer: Value = args.place.server.client()?.query(REVOKE, json!({ "id": args.id })).await?;
            answer["revokeToken"].take()
        }
    };
    match args.place.format {
        Format::Json => output::print_json(&token)?,
        Format::Yaml => output::print_yaml(&token)?,
        Format::Table => output::note(&format!("token {} of {} counts no longer", args.id, text(&token, "/name"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(tokens: &[Value]) -> Table {
    let mut table = Table::new(&["ID", "NAME", "ROLES", "NODE", "EXPIRES", "CREATED", "BY"]);
    for token in tokens {
        let roles = texts(token, "/roles").join(", ");
        let [id, name, node, by] = ["/id", "/name", "/nodeId", "/createdBy"].map(|at| text(token, at));
        table.row([id, name, roles, node, time(token, "/expiresAt"), time(token, "/createdAt"), by]);
    }
    table
}
