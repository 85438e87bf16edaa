//! The leases of a command: taking them, changing one that cannot be used, giving them back.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::cli::error::{self, Error};
use crate::cli::output;
use crate::cli::port::allocate::batch;
use crate::cli::port::given;
use crate::client::{self, Client};

use super::Args;
use super::ports::Wanted;
use super::sockets::{self, Socket};

/// What is asked of a lease.
const FIELDS: &str = "id port host transports probed ttlSeconds";
/// How often a number is changed for another because something listens there. Each try takes a number out of the
/// registry's pool for a while, and where this many are taken, the next would hardly be free.
const REBINDS_MAX: usize = 5;
/// For how long the end waits for the registry to take the leases back; they lapse by themselves.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// A lease, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lease {
    pub(super) id: Uuid,
    pub(super) port: u16,
    pub(super) host: String,
    transports: Vec<Transport>,
    /// Whether the registry can look at the host, and did.
    probed: bool,
    ttl_seconds: Option<u32>,
}

/// What a number belongs to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// A lease under its name.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) lease: Lease,
    /// What it was asked for with.
    pub(super) request: Value,
    /// When it lapses unless it is renewed, by this machine's clock: counted from before it was asked for, so that it is
    /// no later than by the registry's.
    pub(super) lapses: Instant,
    /// Whether it was told that others may be given the number.
    pub(super) lost: bool,
    /// How often it was tried in vain to have it back.
    pub(super) tries: u32,
    /// When to try again.
    pub(super) try_at: Instant,
}

/// The leases of one command.
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) client: Client,
    pub(super) requester: Uuid,
    pub(super) ttl_seconds: u32,
    pub(super) held: Vec<Held>,
}

impl Leases {
    /// None yet.
    pub(super) fn new(client: Client, requester: Uuid, ttl_seconds: u32) -> Self {
        Self { client, requester, ttl_seconds, held: Vec::new() }
    }

    /// Leases what was typed: all of it, or nothing.
    pub(super) async fn take(&mut self, args: &Args) -> Result<(), Error> {
        let asked = Instant::now();
        let requests: Vec<Value> = args.ports.iter().map(|wanted| self.request(wanted, args)).collect();
        let leases: Vec<Lease> = batch(&self.client, requests.clone(), false, FIELDS).await?;
        for ((wanted, lease), request) in args.ports.iter().zip(leases).zip(requests) {
            let lapses = asked + self.ttl(&lease);
            self.held.push(Held {
                name: wanted.name.clone(),
                lease,
                request,
                lapses,
                lost: false,
                tries: 0,
                try_at: asked,
            });
        }
        Ok(())
    }

    fn request(&self, wanted: &Wanted, args: &Args) -> Value {
        let program = args.command.first().map(|program| program.display().to_string());
        let program = program.as_deref().map(|path| path.rsplit('/').next().unwrap_or(path));
        given(json!({
            "requesterId": self.requester,
            "protocol": args.protocol,
            "bothTransports": args.both_transports.then_some(true),
            "preferredPort": wanted.preferred,
            "program": program,
            "purpose": args.purpose,
            "ttlSeconds": self.ttl_seconds,
            "key": args.key.as_ref().map(|key| format!("{key}:{}", wanted.name)),
        }))
    }

    /// How long a lease lasts without a renewal.
    pub(super) fn ttl(&self, lease: &Lease) -> Duration {
        Duration::from_secs(lease.ttl_seconds.unwrap_or(self.ttl_seconds).into())
    }

    /// Each name with its number.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&str, u16)> {
        self.held.iter().map(|held| (held.name.as_str(), held.lease.port))
    }

    /// Listens at every port. A number that something else has taken without asking the registry is changed for
    /// another.
    pub(super) async fn listen(&mut self, address: IpAddr) -> Result<Vec<Socket>, Error> {
        let mut sockets = Vec::new();
        for index in 0..self.held.len() {
            let mut rebinds = 0;
            loop {
                let Held { name, lease, .. } = &self.held[index];
                let at = sockets::at(address, lease.port);
                match sockets::bind(name, at, &lease.transports) {
                    Ok(bound) => {
                        sockets.extend(bound);
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && rebinds < REBINDS_MAX => {
                        rebinds += 1;
                        self.rebind(index, &format!("something else listens at {at}")).await?;
                    }
                    Err(source) => return Err(Error::Listen { name: name.clone(), address: at, source }),
                }
            }
        }
        Ok(sockets)
    }

    async fn rebind(&mut self, index: usize, reason: &str) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Answer {
            rebind: Lease,
        }
        let asked = Instant::now();
        let document = format!("mutation($input: RebindInput!) {{ rebind(input: $input) {{ {FIELDS} }} }}");
        let before = self.held[index].lease.id;
        let input = json!({"leaseId": before, "reason": reason, "requesterId": self.requester});
        let lease = self.client.query::<Answer>(&document, json!({"input": input})).await?.rebind;
        let lapses = asked + self.ttl(&lease);
        let held = &mut self.held[index];
        output::note(&format!("onex: {reason}: {} is {} now, not {}", held.name, lease.port, held.lease.port));
        held.lease = lease;
        held.lapses = lapses;
        Ok(())
    }

    /// Leases a number anew, and that number only. What holds it meanwhile may be a lease of the same key.
    pub(super) async fn take_again(&self, held: &Held) -> Result<Option<Lease>, Error> {
        let mut request = held.request.clone();
        request["host"] = held.lease.host.as_str().into();
        for bound in ["preferredPort", "from", "to"] {
            request[bound] = held.lease.port.into();
        }
        let leases: Vec<Lease> = batch(&self.client, vec![request], false, FIELDS).await?;
        Ok(leases.into_iter().next().filter(|lease| lease.port == held.lease.port))
    }

    /// Gives everything back, as far as the registry takes it in time.
    pub(super) async fn release(&self) {
        let all = join_all(self.held.iter().map(|held| self.release_one(held.lease.id)));
        let failed = match timeout(RELEASE_WITHIN, all).await {
            Ok(released) => {
                released.iter().find_map(|released| released.as_ref().err().map(|error| error::chain(error)))
            }
            Err(_) => Some(format!("the registry at {} did not answer in time", self.client.address())),
        };
        if let Some(why) = failed {
            output::note(&format!("onex: {why}; leases that could not be released lapse by themselves"));
        }
    }

    async fn release_one(&self, id: Uuid) -> Result<(), client::Error> {
        let document = "mutation($input: ReleaseInput!) { release(input: $input) { id } }";
        let input = json!({"leaseId": id, "requesterId": self.requester});
        match self.client.query::<Value>(document, json!({"input": input})).await {
            Err(error) if !is_over(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Lease {
    /// Whether the registry would find the number in use, most likely by the command itself. It would refuse the number
    /// then, and keep it from everybody for a while as one that does not work.
    pub(super) fn would_be_found_in_use(&self) -> bool {
        self.probed && !sockets::is_free(self.port, &self.transports)
    }
}

/// Whether the registry says that the lease is no longer held, or not by this requester.
pub(super) fn is_over(error: &client::Error) -> bool {
    let client::Error::Refused { code: Some(code), .. } = error else { return false };
    ["LEASE_EXPIRED", "LEASE_NOT_FOUND", "LEASE_NOT_OWNED"].contains(&code.as_str())
}
