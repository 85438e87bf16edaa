//! `onex port exec`: runs a command with leased ports.
//!
//! onex leases the numbers ([`leases`]), listens at them if asked to ([`sockets`]), starts the command ([`child`]) and
//! stays beside it: it renews the leases ([`keep`]) and passes signals on ([`signals`]). When the command ends, so do
//! the leases, and onex ends with its status. A supervisor that starts and stops onex so starts and stops the command.

mod child;
mod keep;
mod leases;
mod ports;
mod sockets;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::Signal;

use crate::cli::child::signals::{self, Signals};
use crate::cli::error::Error;
use crate::cli::server::{ServerArgs, block_on};

use super::lease::Protocol;
use super::requester::RequesterArgs;

use leases::Leases;
use ports::Ports;
use sockets::Socket;

/// For how long an answer is waited for that is under way when a signal asks to stop. A lease whose id is not known
/// cannot be given back, and lapses only with its time to live.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is told below the options.
const MORE: &str = "\
Each port's number is in the command's environment under its name, and stands for {NAME} in its arguments (${NAME} is \
left to a shell):
  onex port exec -- my-server --port {PORT}
  onex port exec --port HTTP=8080 --port RPC --key shop -- ./shop --http {HTTP} --rpc {RPC}

With --listen the command inherits listening sockets as systemd's socket activation has them: descriptors from 3 on in \
the order of --port, with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID. A number that something else listens at meanwhile \
is changed for another before the command starts.

SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are passed on to the command, except that SIGINT and SIGQUIT \
are not while onex runs in a terminal's foreground: there the terminal sends them to both. Signals that are ignored \
when onex starts stay ignored. Should onex itself be killed, the command is sent SIGTERM (on Linux), since its leases \
would lapse.

The exit status is the command's: 128+N where signal N ended it, 127 where it was not found, 126 where it could not \
be run. Without leases it is not run, and the status is 1.";

/// What to run, and with which ports.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    #[command(flatten)]
    ports: Ports,
    /// Listen at the ports, and hand the sockets to the command.
    #[arg(long)]
    listen: bool,
    /// The address to listen at; :: is every address, also of IPv4.
    #[arg(long, requires = "listen", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// How the ports are spoken to.
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Each number for both TCP and UDP.
    #[arg(long)]
    both_transports: bool,
    /// What the ports are for, in your words.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Your name for this use, of which one may run at a time: the next run gets the same numbers again where they can
    /// be had. Each lease has the key KEY:NAME.
    #[arg(long)]
    key: Option<String>,
    /// Seconds until the leases lapse once nobody renews them, which is done three times as often.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: u32,
    #[command(flatten)]
    requester: RequesterArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command to its end.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    block_on(supervise(args))
}

async fn supervise(args: Args) -> Result<ExitCode, Error> {
    let mut signals = Signals::take().map_err(Error::Start)?;
    let mut leases = Leases::new(args.server.client()?, args.requester.id(), args.ttl);
    let outcome = match unless_stopped(prepare(&mut leases, &args), &mut signals).await {
        Ok(Ok(sockets)) => accompany(&args, &mut leases, sockets, &mut signals).await,
        Ok(Err(error)) => Err(error),
        Err(signal) => Ok(signals::status(signal.as_raw())),
    };
    leases.release().await;
    outcome
}

/// Everything before the command can start.
async fn prepare(leases: &mut Leases, args: &Args) -> Result<Vec<Socket>, Error> {
    leases.take(args).await?;
    if args.listen { leases.listen(args.address).await } else { Ok(Vec::new()) }
}

/// Starts the command and stays with it until it ends.
async fn accompany(
    args: &Args,
    leases: &mut Leases,
    sockets: Vec<Socket>,
    signals: &mut Signals,
) -> Result<ExitCode, Error> {
    let mut child = child::start(&args.command, leases, sockets)?;
    let mut keeping = pin!(leases.keep());
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(child::status(ended.map_err(Error::Start)?)),
            signal = signals.next() => child::pass_on(&child, signal),
            never = &mut keeping => match never {},
        }
    }
}

/// Does the work, unless a signal asks to stop; then which.
async fn unless_stopped<T>(work: impl Future<Output = T>, signals: &mut Signals) -> Result<T, Signal> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            signal = signals.next() => if signals::asks_to_stop(signal) {
                // Whether it comes to its end in this time or not, nothing is started any more.
                let _ = tokio::time::timeout(LAST_ANSWER_WITHIN, work).await;
                return Err(signal);
            },
        }
    }
}
