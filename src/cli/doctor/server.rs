//! The running registry.

use super::Check;
use super::machine::{Listening, ephemeral, listening};
use crate::cli::error::chain;
use crate::cli::value::{list, text};
use crate::client::{Client, Page};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How far clocks may be apart, in seconds: HTTP tells whole ones.
const SKEW_WARN: i64 = 2;
/// So far apart, times of leases and tokens mean something else on either side.
const SKEW_FAIL: i64 = 30;
/// With fewer files than this, a busy registry runs out of connections.
const FILES_MIN: f64 = 4_096.0;
/// How many leases are looked at.
const LEASES_MAX: usize = 500;
/// How many numbers a line names.
const NAMED_MAX: usize = 5;

const VERSION: &str = "{ registry { version } }";
const PORTS: &str = "query($first: Int) { portPools { host transport from to }
    ports(first: $first) { nodes { port host transports } } }";

/// Looks at the registry; where it does not answer, that is all.
pub(super) async fn look(client: &Client, checks: &mut Vec<Check>) {
    let alive = match client.page("/healthz").await {
        Ok(page) if page.status == 200 => page,
        Ok(page) => {
            let found = format!("{} answers {} to /healthz", client.address(), page.status);
            checks.push(Check::fail("server", found, "name a registry's address with --server"));
            return;
        }
        Err(error) => {
            let advice = "start it with \"onex serve\", or say --offline to look at its data directory alone";
            checks.push(Check::fail("server", chain(&error), advice));
            return;
        }
    };
    checks.push(Check::ok("server", format!("{} answers", client.address())));
    skew(&alive, checks);
    ready(client, checks).await;
    version(client, checks).await;
    if let Ok(page) = client.page("/metrics").await {
        metrics(&page.text, checks);
    }
    let here = local(client);
    access(client, here.as_deref(), checks).await;
    ports(client, here.as_deref(), checks).await;
}

fn skew(alive: &Page, checks: &mut Vec<Check>) {
    let Some(date) = alive.date.as_deref().and_then(|date| rfc2822::parse(date).ok()) else { return };
    #[expect(clippy::disallowed_methods, reason = "what this machine takes the time for is what is looked at")]
    let here = Timestamp::now();
    let apart = (here.as_second() - date.timestamp().as_second()).abs();
    let found = format!("clocks are {apart} s apart");
    let advice = "set both clocks by NTP: lifetimes, deadlines and tokens go by them";
    checks.push(match apart {
        0..=SKEW_WARN => Check::ok("clock", found),
        ..SKEW_FAIL => Check::warn("clock", found, advice),
        _ => Check::fail("clock", found, advice),
    });
}

async fn ready(client: &Client, checks: &mut Vec<Check>) {
    let page = match client.page("/readyz").await {
        Ok(page) => page,
        Err(error) => {
            checks.push(Check::fail("ready", chain(&error), "ask again"));
            return;
        }
    };
    let said: Value = serde_json::from_str(&page.text).unwrap_or_default();
    if said["ready"] == true {
        checks.push(Check::ok("ready", "takes requests"));
        return;
    }
    for reason in list(&said, "/reasons") {
        let found = format!("{}: {}", text(reason, "/code"), text(reason, "/reason"));
        checks.push(Check::fail("ready", found, "see Health in docs/operations.md"));
    }
}

async fn version(client: &Client, checks: &mut Vec<Check>) {
    let ours = env!("CARGO_PKG_VERSION");
    checks.push(match client.query::<Value>(VERSION, json!({})).await {
        Ok(answer) => match text(&answer, "/registry/version") {
            theirs if theirs == ours => Check::ok("version", theirs),
            theirs => {
                let found = format!("the registry is {theirs}, this program {ours}");
                Check::warn("version", found, "use the same version on both sides")
            }
        },
        Err(error) => Check::fail("version", chain(&error), "give --token, where the registry wants one"),
    });
}

/// What the registry counts about itself.
fn metrics(text: &str, checks: &mut Vec<Check>) {
    let value = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        rest.parse::<f64>().ok()
    };
    if let (Some(open), Some(max)) = (value("process_open_fds"), value("process_max_fds")) {
        let found = format!("{open} of {max} are open");
        let advice = "raise the limit: LimitNOFILE of the service, or ulimit -n";
        checks.push(match (open > max * 0.8, max < FILES_MIN) {
            (true, _) => Check::fail("open files", found, advice),
            (false, true) => Check::warn("open files", found, advice),
            _ => Check::ok("open files", found),
        });
    }
    if let Some(failures) = value("onex_log_append_failures_total") {
        let found = format!("{failures} batches were refused by the disk since the start");
        checks.push(match failures > 0.0 {
            true => Check::warn("log writes", found, "see to the disk; the registry's log lines say what it said"),
            false => Check::ok("log writes", found),
        });
    }
    if let (Some(waiting), Some(max)) = (value("onex_writer_queue_commands"), value("onex_writer_queue_commands_max")) {
        let found = format!("{waiting} of {max} commands wait");
        checks.push(match waiting > max / 2.0 {
            true => {
                Check::warn("writer", found, "more is asked for than the disk takes: use a faster one, or ask less")
            }
            false => Check::ok("writer", found),
        });
    }
}

/// Where the registry is on this machine: what is listened at here. `None` where it is on another.
fn local(client: &Client) -> Option<Vec<Listening>> {
    let host = client.host();
    let here =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if here { listening() } else { None }
}

async fn access(client: &Client, here: Option<&[Listening]>, checks: &mut Vec<Check>) {
    let port = client.port();
    let exposed = match here {
        Some(all) => all.iter().any(|at| at.transport == "TCP" && at.port == port && at.everywhere),
        None => !client.host().starts_with("127."),
    };
    let is_open = client.without_token().query::<Value>(VERSION, json!({})).await.is_ok();
    checks.push(match (is_open, exposed) {
        (false, _) => Check::ok("access", "who asks without a token is turned away"),
        (true, false) => Check::ok("access", "only this machine reaches it"),
        (true, true) => Check::warn(
            "access",
            "other machines reach it, and who asks without a token is answered",
            "configure access, or listen at 127.0.0.1",
        ),
    });
}

async fn ports(client: &Client, here: Option<&[Listening]>, checks: &mut Vec<Check>) {
    let Ok(answer) = client.query::<Value>(PORTS, json!({"first": LEASES_MAX})).await else { return };
    let pools = list(&answer, "/portPools");
    let leases = list(&answer, "/ports/nodes");
    overlap(pools, checks);
    let Some(here) = here else { return };
    let held: BTreeSet<(String, u64)> = leases
        .iter()
        .flat_map(|lease| list(lease, "/transports").iter().map(move |transport| (lease, transport)))
        .map(|(lease, transport)| (transport.as_str().unwrap_or_default().to_owned(), number(lease, "/port")))
        .collect();
    if leases.len() == LEASES_MAX {
        let found = format!("more than {LEASES_MAX} are held: not compared");
        checks.push(Check::ok("leases", found));
        return;
    }
    let in_pool = |at: &&Listening| {
        let port = u64::from(at.port);
        let fits = |pool: &&Value| (number(pool, "/from")..=number(pool, "/to")).contains(&port);
        pools.iter().filter(fits).any(|pool| pool["transport"] == at.transport)
    };
    let is_held = |at: &&Listening| held.contains(&(at.transport.to_owned(), u64::from(at.port)));
    let own = client.port();
    let strangers: BTreeSet<(&str, u16)> = here
        .iter()
        .filter(in_pool)
        .filter(|at| !is_held(at) && at.port != own)
        .map(|at| (at.transport, at.port))
        .collect();
    let used = held
        .iter()
        .filter(|(transport, port)| here.iter().any(|at| at.transport == transport && u64::from(at.port) == *port));
    let found = format!("{} numbers are leased, {} of them listened at", held.len(), used.count());
    checks.push(match strangers.is_empty() {
        true => Check::ok("leases", found),
        false => {
            let named: Vec<String> =
                strangers.iter().take(NAMED_MAX).map(|(transport, port)| format!("{port}/{transport}")).collect();
            let more = strangers.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let found = format!("{found}; without a lease somebody listens at {}{more}", named.join(", "));
            let advice = "have these programs lease their numbers, or keep the numbers out with ports.reserved";
            Check::warn("leases", found, advice)
        }
    });
}

fn overlap(pools: &[Value], checks: &mut Vec<Check>) {
    let Some(ephemeral) = ephemeral() else { return };
    let bands = pools.iter().map(|pool| (number(pool, "/from"), number(pool, "/to")));
    let overlapping: BTreeSet<(u64, u64)> = bands
        .filter(|(from, to)| ephemeral.iter().any(|(low, high)| *from <= u64::from(*high) && *to >= u64::from(*low)))
        .collect();
    let named: Vec<String> = overlapping.iter().map(|(from, to)| format!("{from}-{to}")).collect();
    checks.push(match named.is_empty() {
        true => Check::ok("bands", "apart from what the kernel gives to outgoing connections"),
        false => Check::warn(
            "bands",
            format!("{} overlap what the kernel gives to outgoing connections", named.join(", ")),
            "choose other ports.bands, or keep them back with net.ipv4.ip_local_reserved_ports",
        ),
    });
}

fn number(of: &Value, at: &str) -> u64 {
    of.pointer(at).and_then(Value::as_u64).unwrap_or_default()
}
