//! `onex policy`: shows what policies are made of, and says what one would answer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use uuid::Uuid;

use crate::access::policy::{self, Circumstances, Policy};
use crate::access::{Action, Kind, Principal, Proof, Resource};
use crate::app;
use crate::model::{LeaseId, NodeId, NodeName, RequesterId};

use super::error::Error;
use super::output::{self, Format};

/// What to do with policies.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the default policy, to begin one's own with
    Show,
    /// Print what policies may speak of: a schema in Cedar
    Schema,
    /// Check a policy; with --action and --resource, say whether it allows that, and why
    Check(Box<Check>),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The policy; the default one when absent.
    file: Option<PathBuf>,
    /// Who asks, by name.
    #[arg(long, value_name = "NAME", default_value = "somebody")]
    principal: String,
    /// A role of who asks. May be repeated.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// The node that who asks is bound to.
    #[arg(long, value_name = "ID")]
    bound_to: Option<Uuid>,
    /// What is to be done, such as read, register or invoke.
    #[arg(long, requires = "resource")]
    action: Option<String>,
    /// With what, as KIND::ID or KIND::NAME: Registry::onex, Node::worker_1, Tool::add, Topic::a.b, PortPool::HOST,
    /// Lease::PORT, Invocation::TOOL.
    #[arg(long, requires = "action")]
    resource: Option<String>,
    /// The resource's name space, for a node.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// A tag of the resource. May be repeated.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// The principal that holds the lease, or made the call.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The node that the lease goes with, or that offers the tool or has the call.
    #[arg(long, value_name = "ID")]
    node: Option<Uuid>,
    /// Where the request comes from.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    address: IpAddr,
    /// How to show the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows or checks. Exit status: 0 where a policy is right or allows it, 1 where it denies it, 2 where it is wrong.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    match args.command {
        Command::Show => output::print(policy::DEFAULT)?,
        Command::Schema => output::print(policy::SCHEMA)?,
        Command::Check(args) => return check(&args),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Check) -> Result<ExitCode, Error> {
    let text = match &args.file {
        Some(path) => std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?,
        None => policy::DEFAULT.to_owned(),
    };
    let policy = match Policy::try_new(&text) {
        Ok(policy) => policy,
        Err(error) => {
            // As it is: it has a line for each mistake.
            output::note("the policy cannot be used:");
            error.to_string().lines().for_each(output::note_below);
            return Ok(ExitCode::from(2));
        }
    };
    let (Some(action), Some(resource)) = (&args.action, &args.resource) else {
        output::print(&format!("{} policies, each right\n", policy.len()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let known = Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = || Error::Usage(format!("--action {action:?} is none: {known}"));
    let action = Action::of_name(action).ok_or_else(unknown)?;
    let resource = args.read_resource(resource)?;
    let principal = Principal {
        name: args.principal.clone(),
        roles: args.role.clone(),
        node: args.bound_to.map(NodeId),
        proof: Proof::Jwt,
        until: None,
    };
    let circumstances = Circumstances { address: args.address, now: app::now() };
    let verdict = policy.ask(&principal, action, &resource, circumstances);
    let shown = json!({"allowed": verdict.allowed, "policies": verdict.policies, "needed": verdict.needed});
    match args.format {
        Format::Json => output::print_json(&shown)?,
        Format::Yaml => output::print_yaml(&shown)?,
        Format::Table => {
            let by = verdict.policies.join(", ");
            let line = match (verdict.allowed, verdict.policies.is_empty()) {
                (true, _) => format!("allowed by {by}"),
                (false, false) => format!("denied: forbidden by {by}"),
                (false, true) => "denied: no policy permits it".to_owned(),
            };
            let would = verdict.needed.iter().map(|needed| format!("  it would take {needed}\n")).collect::<String>();
            output::print(&format!("{line}\n{would}"))?;
        }
    }
    Ok(if verdict.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Check {
    fn read_resource(&self, text: &str) -> Result<Resource, Error> {
        let usage = |reason: String| Error::Usage(format!("--resource {text:?}: {reason}"));
        let (kind, id) = text.split_once("::").ok_or_else(|| usage("it is KIND::ID".to_owned()))?;
        let id = id.trim_matches('"').to_owned();
        let nil = RequesterId(self.bound_to.unwrap_or_default());
        let node = self.node.map(NodeId);
        let owner = self.owner.clone().unwrap_or_default();
        let tags = self.tag.iter().cloned().collect();
        let kind = Kind::of_name(kind).ok_or_else(|| usage(format!("{kind} is no kind: see onex policy schema")))?;
        Ok(match kind {
            Kind::Registry => Resource::Registry,
            Kind::Node => {
                let by_id = id.parse::<Uuid>().map(NodeId);
                let name = NodeName::try_new(&id).ok().filter(|_| by_id.is_err());
                let mut resource = Resource::of_unknown_node(by_id.unwrap_or(NodeId(Uuid::nil())), name.as_ref());
                if let Resource::Node(facts) = &mut resource {
                    facts.namespace = self.namespace.clone().unwrap_or_default();
                    facts.tags = tags;
                    facts.owner = owner;
                }
                resource
            }
            Kind::Tool => {
                let (name, version) = id.split_once('@').unwrap_or((&id, ""));
                let providers = node.into_iter().collect();
                Resource::Tool { name: name.to_owned(), version: version.to_owned(), tags, providers }
            }
            Kind::Contract => Resource::Contract { hash: id.clone(), name: id, version: String::new() },
            Kind::Topic => Resource::Topic(id),
            Kind::Bus => Resource::Bus(id),
            Kind::PortPool => Resource::PortPool { host: id, requester: nil, node },
            Kind::Lease => Resource::Lease {
                id: LeaseId(Uuid::nil()),
                holder: owner,
                requester: nil,
                node,
                host: String::new(),
                port: id.parse().map_err(|_| usage("a lease is named by its port number".to_owned()))?,
            },
            Kind::Invocation => Resource::Invocation {
                id: String::new(),
                tool: id,
                caller: owner,
                providers: node.into_iter().collect(),
            },
        })
    }
}
