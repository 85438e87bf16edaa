//! The command line: what can be typed, and how it ends.
//!
//! Each command is a file of its own. What all share: data goes to stdout and talk to stderr, so that output can be
//! piped; [`output`] prints, [`server`] finds the registry, [`error`] says what went wrong. `serve`, `audit`,
//! `simulate` and `schema` work on this machine; every other command asks a running registry through [`crate::client`].
//!
//! Exit status: 0 done, 1 failed or refused, 2 typed wrongly, 130 interrupted. `port exec` ends with the status of the
//! command it runs; `proxy-invoke` says with 3 to 7 how the call ended. Commands that stay until they are told to end,
//! such as `node run`, have then ended well.

mod audit;
mod bus;
#[cfg(unix)]
mod child;
mod completions;
mod demo;
mod describe;
mod describe_tool;
mod doctor;
mod error;
mod event_monitor;
mod graph;
mod inspect;
mod json_schema;
mod keygen;
#[cfg(all(unix, feature = "mcp"))]
mod mcp;
#[cfg(unix)]
mod node;
mod output;
mod policy;
mod port;
mod progress;
mod proxy_invoke;
mod publish;
mod register;
mod schema;
mod serve;
mod server;
mod sheet;
mod simulate;
mod table;
mod token;
mod tools;
mod value;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::Error;

/// A registry node: knows every program of a system, what each promises, and who depends on whom.
#[derive(Debug, Parser)]
#[command(name = "onex", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a registry.
    Serve(serve::Args),
    /// Register nodes from their contract files.
    Register(register::Args),
    /// Show everything about one node, tool or contract.
    Describe(describe::Args),
    /// List nodes, tools, contracts, topics, buses, their subscribers or ports.
    Inspect(inspect::Args),
    /// Find tools that can be called.
    Tools(tools::Args),
    /// Show everything about one tool, and how to call it.
    DescribeTool(describe_tool::Args),
    /// Call a tool through the registry.
    ProxyInvoke(proxy_invoke::Args),
    /// Show who feeds whom.
    Graph(graph::Args),
    /// Follow the registry's events as they happen.
    Watch(watch::Args),
    /// Create, start, stop, delete and list buses.
    Bus(bus::Args),
    /// Publish an event to a bus.
    Publish(publish::Args),
    /// Follow the events of a bus as they travel.
    EventMonitor(event_monitor::Args),
    /// Run a scenario of buses in simulated time, and check how it goes.
    Simulate(simulate::Args),
    /// Lease port numbers, and run commands with them.
    Port(port::Args),
    /// Run a command as a node that offers tools.
    #[cfg(unix)]
    Node(node::Args),
    /// Offer the tools of a Model Context Protocol server.
    #[cfg(all(unix, feature = "mcp"))]
    Mcp(mcp::Args),
    /// Make, list and revoke tokens.
    Token(token::Args),
    /// Show and check policies of who may do what.
    Policy(policy::Args),
    /// Draw a key that a node signs its registrations with.
    Keygen(keygen::Args),
    /// Show who did what, and check the registry's history.
    Audit(audit::Args),
    /// Check a running registry and its data directory, and say what is wrong.
    Doctor(doctor::Args),
    /// Print the GraphQL schema.
    Schema,
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// What is started in a command's place, and becomes it.
    #[cfg(unix)]
    #[command(hide = true)]
    ExecChild(child::Args),
}

/// Runs the program: parses what was typed, does it, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, to stdout and with status 0. A closed pipe is no trouble here.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("onex: {}", error::chain(&error)));
            ExitCode::from(error.status())
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Serve(args) => serve::run(args).map_err(Error::from),
        Command::Register(args) => server::block_on(register::run(args)),
        Command::Describe(args) => server::block_on(describe::run(args)),
        Command::Inspect(args) => server::block_on(inspect::run(args)),
        Command::Tools(args) => server::block_on(tools::run(args)),
        Command::DescribeTool(args) => server::block_on(describe_tool::run(args)),
        Command::ProxyInvoke(args) => server::block_on(proxy_invoke::run(args)),
        Command::Graph(args) => server::block_on(graph::run(args)),
        Command::Watch(args) => server::block_on(watch::run(args)),
        Command::Bus(args) => server::block_on(bus::run(args)),
        Command::Publish(args) => server::block_on(publish::run(args)),
        Command::EventMonitor(args) => server::block_on(event_monitor::run(args)),
        Command::Simulate(args) => simulate::run(&args),
        Command::Port(args) => port::run(args),
        #[cfg(unix)]
        Command::Node(args) => node::run(args),
        #[cfg(all(unix, feature = "mcp"))]
        Command::Mcp(args) => mcp::run(args),
        Command::Token(args) => server::block_on(token::run(args)),
        Command::Policy(args) => policy::run(args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Audit(args) => audit::run(args).map_err(Error::from),
        Command::Doctor(args) => server::block_on(doctor::run(args)),
        Command::Schema => schema::run().map(|()| ExitCode::SUCCESS).map_err(Error::from),
        Command::Completions(args) => completions::run(&args),
        #[cfg(unix)]
        Command::ExecChild(args) => child::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check_refused(typed: &str) {
        let parsed = Cli::try_parse_from(typed.split_whitespace());
        assert_eq!(parsed.map(|cli| format!("{cli:?}")).map_err(|error| error.exit_code()), Err(2), "{typed}");
    }

    #[track_caller]
    fn check(typed: &str) {
        if let Err(error) = Cli::try_parse_from(typed.split_whitespace()) {
            panic!("{typed}: {error}");
        }
    }

    #[test]
    fn describe_wants_exactly_one_thing() {
        check("onex describe --node a");
        check("onex describe --tool a --version 1");
        check("onex describe --contract a --version 1");
        check_refused("onex describe");
        check_refused("onex describe --node a --tool b");
        check_refused("onex describe --node a --version 1");
    }

    #[test]
    fn a_time_to_live_needs_a_live_node() {
        check("onex register --live --ttl 30 .");
        check_refused("onex register --ttl 30 .");
        check_refused("onex register --live --ttl 0 .");
        check_refused("onex register");
    }

    #[test]
    fn a_list_has_the_filters_of_its_things() {
        check("onex inspect nodes --kind compute --status online --tag a --topic b --search c --limit 3");
        check("onex inspect tools --tag a --search c");
        check("onex inspect contracts --search c --format yaml");
        check("onex inspect topics --pattern a.*");
        check("onex inspect buses --kind local --status running --search c --limit 3");
        check("onex inspect subscribers --bus a --limit 3 --format yaml");
        check_refused("onex inspect subscribers");
        check("onex inspect ports --status released --protocol grpc --node a --port 80 --host h --mine --limit 3");
        check_refused("onex inspect topics --kind compute");
        check_refused("onex inspect");
        check_refused("onex inspect ports --port 0");
        check_refused("onex inspect ports --mine --requester 0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60");
    }

    #[test]
    fn a_bus_is_created_with_all_that_it_is_to_be() {
        check("onex bus create a --kind local --purpose p --mode strict --trusted-only --queue-capacity 9 --stopped");
        check("onex bus create a --kind redis --endpoint redis://h:1/0 --overflow drop-newest --history-events 0");
        check("onex bus delete a --format json");
        check("onex bus list --kind jetstream --format yaml");
        check_refused("onex bus create a");
        check("onex bus create a --kind zmq --endpoint tcp://127.0.0.1 --metadata {}");
        check_refused("onex bus create a --kind mqtt");
        check_refused("onex bus start");
    }

    #[test]
    fn an_event_is_typed_or_in_a_file() {
        check("onex publish b --type T --node n --topic a.b --metadata {} --tag x --tag y --correlation-id c");
        check("onex publish b --event -");
        check_refused("onex publish b --type T");
        check_refused("onex publish b --node n");
        check_refused("onex publish b --type T --node n --metadata []");
        check("onex event-monitor --bus b --topic a.* --type T --node n --tag t --min-trust trusted --replay last:3");
        check("onex event-monitor --bus b --replay since:2026-11-22T12:00:00Z --count 1 --format json");
        check_refused("onex event-monitor");
        check_refused("onex event-monitor --bus b --replay 3");
        check_refused("onex event-monitor --bus b --count 0");
        check("onex simulate f --seed 0 --format json");
        check_refused("onex simulate");
    }

    #[test]
    fn tools_are_searched_by_words_and_filters() {
        check("onex tools");
        check("onex tools add two numbers --tag math --node a --trusted-only --callable --limit 3 --format json");
        check("onex inspect tools --search add --tag math --node a --trusted-only --callable");
        check_refused("onex tools --search add");
        check_refused("onex tools --limit 0");
        check("onex describe-tool add --version ^1 --format yaml");
        check_refused("onex describe-tool");
    }

    #[test]
    fn a_call_is_one_or_a_batch() {
        check("onex proxy-invoke --tool a");
        check("onex proxy-invoke --tool a --version ^1 --args {} --arg b.c=1 --arg d:=[] --dry-run --verbose");
        check("onex proxy-invoke --tool a --stream --policy least-loaded --node n --trusted-only --timeout 500ms");
        check("onex proxy-invoke --tool a --idempotent --idempotency-key k --max-failovers 0 --no-wait");
        check("onex proxy-invoke --batch - --tool a --parallelism 4 --stop-on-error --correlation-id c --format yaml");
        check_refused("onex proxy-invoke");
        check_refused("onex proxy-invoke --tool a --arg b");
        check_refused("onex proxy-invoke --tool a --timeout 0");
        check_refused("onex proxy-invoke --tool a --policy best");
        check_refused("onex proxy-invoke --tool a --parallelism 4");
        check_refused("onex proxy-invoke --tool a --dry-run --stream");
        check_refused("onex proxy-invoke --tool a --no-wait --stream");
        check_refused("onex proxy-invoke --tool a --raw --format yaml");
        for single in ["--args {}", "--arg a=1", "--stream", "--no-wait", "--idempotency-key k", "--raw"] {
            check_refused(&format!("onex proxy-invoke --batch f {single}"));
        }
    }

    #[test]
    fn numbers_are_asked_for_one_by_one_or_together() {
        check("onex port allocate -q");
        check("onex port allocate --count 3 --contiguous --from 20000 --to 20099 --both-transports --ttl 60 --topic a");
        check("onex port allocate --preferred 8080 --key web --idempotency-key i --node a --purpose p --host h");
        check_refused("onex port allocate --from 20000");
        check_refused("onex port allocate --contiguous");
        check_refused("onex port allocate --count 0");
        check_refused("onex port allocate --protocol ipc");
        check_refused("onex port allocate -q --format json");
        check_refused("onex port allocate --preferred 65536");
    }

    #[test]
    fn leases_are_named_by_id_or_number() {
        check("onex port renew 8080 --ttl 60");
        check("onex port release 8080 0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60 --force");
        check("onex port rebind 8080 --reason taken --preferred 8081 -q");
        check("onex port list --mine");
        check("onex port pools --format json");
        check_refused("onex port renew web");
        check_refused("onex port release");
        check_refused("onex port rebind 8080");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_run_with_ports_of_its_own() {
        check("onex port exec -- serve --port {PORT} --version");
        check("onex port exec serve --port {PORT} --listen");
        check("onex port exec --port WEB=8080 --port _rpc2 --protocol grpc --both-transports --ttl 30 --key k -- a");
        check("onex port exec --listen --address :: --purpose p -- a");
        check_refused("onex port exec");
        check_refused("onex port exec --port WEB");
        check_refused("onex port exec --lissten -- a");
        check_refused("onex port exec --port WEB --port WEB=1 -- a");
        for name in ["2a", "", "a-b", "A=", "A=0", "A=65536", "=1", "ä"] {
            check_refused(&format!("onex port exec --port={name} -- a"));
        }
        check_refused("onex port exec --address :: -- a");
    }
}
