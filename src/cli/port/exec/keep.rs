//! Keeping the leases while the command runs, and telling when that fails.
//!
//! A registry that is not there for a while is nothing to tell: it keeps leases through its own restart. What matters to
//! who watches is when others may be given a number that the command goes on using, and when that is over.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::error::{self, Error};
use crate::cli::output;
use crate::client;

use super::leases::{Held, Leases, is_over};

/// How often a registry is asked again that did not answer; more often where the leases are shorter than that.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// For how long one answer is waited for; less where the leases are short.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The least that an answer is waited for.
const ANSWER_WITHIN_MIN: Duration = Duration::from_secs(1);
/// The longest pause between two tries to have a lost lease back.
const GET_BACK_AFTER_MAX: Duration = Duration::from_secs(600);

/// What came of a renewal.
enum Renewed {
    /// The lease holds.
    Held,
    /// The registry answered that it does not, for this reason.
    Over(String),
    /// There was no answer, or one that says nothing about the lease.
    Unknown(String),
}

impl Leases {
    /// Renews the leases for ever, three times within their time to live.
    pub(super) async fn keep(&mut self) -> Infallible {
        let shortest = self.held.iter().map(|held| self.ttl(&held.lease)).min();
        let every = shortest.unwrap_or(Duration::from_secs(self.ttl_seconds.into())) / 3;
        let mut pause = every;
        loop {
            sleep(pause).await;
            let answered = self.renew_all(every.clamp(ANSWER_WITHIN_MIN, ANSWER_WITHIN)).await;
            pause = if answered { every } else { every.min(RETRY_AFTER) };
        }
    }

    /// Renews each lease; `false` where the registry does not answer, which the rest is spared then.
    async fn renew_all(&mut self, within: Duration) -> bool {
        for index in 0..self.held.len() {
            match self.renew(index, within).await {
                Renewed::Held => self.held[index].say_held(),
                Renewed::Over(_) if self.held[index].try_at > Instant::now() => {}
                Renewed::Over(why) => self.get_back(index, &why, within).await,
                Renewed::Unknown(why) => {
                    let now = Instant::now();
                    self.held.iter_mut().filter(|held| held.lapses <= now).for_each(|held| held.say_lost(&why));
                    return false;
                }
            }
        }
        true
    }

    async fn renew(&mut self, index: usize, within: Duration) -> Renewed {
        let asked = Instant::now();
        let ttl = self.ttl(&self.held[index].lease);
        let document = "mutation($input: RenewInput!) { renew(input: $input) { id } }";
        let id = self.held[index].lease.id;
        let input = json!({"leaseId": id, "ttlSeconds": self.ttl_seconds, "requesterId": self.requester});
        match timeout(within, self.client.query::<Value>(document, json!({"input": input}))).await {
            Ok(Ok(_)) => {
                self.held[index].lapses = asked + ttl;
                Renewed::Held
            }
            Ok(Err(error)) if is_over(&error) => Renewed::Over(error::chain(&error)),
            Ok(Err(error)) => Renewed::Unknown(error::chain(&error)),
            Err(_) => Renewed::Unknown(format!("the registry at {} does not answer", self.client.address())),
        }
    }

    /// Leases a lost number again, if it can be had. As long as the command listens there it cannot, but neither can
    /// others have it then: the registry looks before it gives a number, on its own machine at least.
    async fn get_back(&mut self, index: usize, why: &str, within: Duration) {
        let asked = Instant::now();
        let ttl = self.ttl(&self.held[index].lease);
        let held = &mut self.held[index];
        held.tries += 1;
        held.try_at = asked + GET_BACK_AFTER_MAX.min(ttl.saturating_mul(1 << held.tries.min(8)));
        if held.lease.would_be_found_in_use() {
            return held.say_lost(why);
        }
        let again = timeout(within, self.take_again(&self.held[index])).await;
        let held = &mut self.held[index];
        match again {
            Ok(Ok(Some(lease))) => {
                held.lease = lease;
                held.lapses = asked + ttl;
                held.tries = 0;
                held.say_back(why);
            }
            Ok(Err(Error::Client(error @ client::Error::Refused { .. }))) => {
                held.say_lost(&format!("{why}; {}", error::chain(&error)));
            }
            _ => held.say_lost(why),
        }
    }
}

impl Held {
    /// Says, once, that the number may be given to others.
    fn say_lost(&mut self, why: &str) {
        if !std::mem::replace(&mut self.lost, true) {
            let Self { name, lease, .. } = self;
            output::note(&format!(
                "onex: the lease of {name} ({}) could not be kept, so others may be given the number: {why}; trying to \
                 get it back",
                lease.port
            ));
        }
    }

    /// Says that the number is the command's again, if it was told lost.
    fn say_held(&mut self) {
        if std::mem::replace(&mut self.lost, false) {
            output::note(&format!("onex: {} ({}) is leased again", self.name, self.lease.port));
        }
    }

    /// Says that a lease had ended and was had back; why, where that was not told before.
    fn say_back(&mut self, why: &str) {
        if !self.lost {
            output::note(&format!("onex: the lease of {} ({}) had ended: {why}", self.name, self.lease.port));
            self.lost = true;
        }
        self.say_held();
    }
}
