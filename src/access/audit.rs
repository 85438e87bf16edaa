//! Attempts that were refused, on their way to the log.
//!
//! The first of its kind is written at once; equal ones that follow are counted, and written as one when their while is
//! over. Nobody who asks ever waits for this.

use super::resource::{Action, Resource};
use crate::model::{Actor, Change, Denial, NodeId, Time};
use crate::registry::command::{Command, Request};
use crate::registry::engine::{Clock, Handle};
use std::collections::HashMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// For how long equal attempts are counted as one.
const WHILE: Duration = Duration::from_secs(60);

/// How many different attempts are kept apart in a while. The rest of it, there are so many, is one.
const KEPT_MAX: usize = 256;

/// The longest text of each part of an attempt, in bytes.
const TEXT_LEN_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Attempt {
    principal: String,
    /// Without the port, which is another for each connection.
    host: Option<String>,
    action: String,
    resource: String,
    reason: String,
}

#[derive(Debug)]
struct Counted {
    actor: Actor,
    correlation_id: Option<String>,
    node: Option<NodeId>,
    count: u32,
    first_at: Time,
    last_at: Time,
    /// Whether the log has its first.
    is_told: bool,
}

/// Attempts that were refused.
#[derive(Debug)]
pub struct Refusals {
    counted: Mutex<HashMap<Attempt, Counted>>,
    fresh: Notify,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

fn cut(text: &str) -> String {
    let end = (0..=text.len().min(TEXT_LEN_MAX)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

impl Refusals {
    /// Nothing was refused yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Refusals { counted: Mutex::default(), fresh: Notify::new(), clock }
    }

    fn counted(&self) -> MutexGuard<'_, HashMap<Attempt, Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was refused something.
    pub fn add(
        &self,
        actor: &Actor,
        correlation_id: Option<&str>,
        action: Option<Action>,
        resource: &Resource,
        reason: &str,
    ) {
        let now = self.clock.now();
        let host = actor.address.as_deref();
        let host = host.map(|text| text.parse::<SocketAddr>().map_or(text.to_owned(), |at| at.ip().to_string()));
        let mut attempt = Attempt {
            principal: actor.principal.clone(),
            host,
            action: action.map_or("authenticate", Action::as_str).to_owned(),
            resource: cut(&resource.to_string()),
            reason: cut(reason),
        };
        let mut counted = self.counted();
        let mut node = resource.node();
        if counted.len() >= KEPT_MAX && !counted.contains_key(&attempt) {
            let many = "many".to_owned();
            attempt = Attempt { principal: many.clone(), host: None, resource: many.clone(), reason: many, ..attempt };
            node = None;
        }
        let entry = counted.entry(attempt).or_insert_with_key(|attempt| Counted {
            actor: Actor {
                principal: attempt.principal.clone(),
                address: attempt.host.as_ref().and(actor.address.clone()),
            },
            correlation_id: correlation_id.map(cut),
            node,
            count: 0,
            first_at: now,
            last_at: now,
            is_told: false,
        });
        entry.count = entry.count.saturating_add(1);
        entry.last_at = now;
        let is_first = !entry.is_told;
        drop(counted);
        if is_first {
            self.fresh.notify_one();
        }
    }

    /// What is to be written now: what came for the first time; with `all`, also what was counted since, and then it
    /// begins anew.
    fn take(&self, all: bool) -> Vec<Request> {
        let mut counted = self.counted();
        if all {
            let told = mem::take(&mut *counted);
            drop(counted);
            let left = told.into_iter().filter(|(_, counted)| counted.count > 0);
            return left.map(|(attempt, counted)| request(&attempt, &counted)).collect();
        }
        let mut fresh = Vec::new();
        for (attempt, counted) in counted.iter_mut().filter(|(_, counted)| !counted.is_told) {
            fresh.push(request(attempt, counted));
            counted.is_told = true;
            counted.count = 0;
            counted.first_at = counted.last_at;
        }
        fresh
    }

    /// Brings what is refused to the log, for as long as the registry takes it.
    pub async fn keep(&self, handle: Handle) {
        let mut over = tokio::time::interval(WHILE);
        over.tick().await;
        loop {
            let all = tokio::select! {
                () = self.fresh.notified() => false,
                _ = over.tick() => true,
            };
            if !self.tell(&handle, all).await {
                return;
            }
        }
    }

    /// Brings everything to the log that it does not have yet.
    pub async fn flush(&self, handle: &Handle) {
        self.tell(handle, true).await;
    }

    async fn tell(&self, handle: &Handle, all: bool) -> bool {
        match handle.record(self.take(all)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "refused attempts could not be recorded");
                !matches!(error, crate::registry::engine::Error::Stopped)
            }
        }
    }
}

fn request(attempt: &Attempt, counted: &Counted) -> Request {
    let denial = Denial {
        action: attempt.action.clone(),
        resource: attempt.resource.clone(),
        reason: attempt.reason.clone(),
        count: counted.count,
        first_at: counted.first_at,
        last_at: counted.last_at,
    };
    Request {
        command: Command::Record(vec![Change::AccessDenied { denial: Box::new(denial), node: counted.node }]),
        actor: counted.actor.clone(),
        correlation_id: counted.correlation_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Time {
            Time::default()
        }
    }

    fn counts(requests: &[Request]) -> Vec<u32> {
        let counts = requests.iter().filter_map(|request| match &request.command {
            Command::Record(changes) => match &changes[..] {
                [Change::AccessDenied { denial, .. }] => Some(denial.count),
                _ => None,
            },
            _ => None,
        });
        counts.collect()
    }

    fn add(refusals: &Refusals, principal: &str, port: u16) {
        let actor = Actor { principal: principal.to_owned(), address: Some(format!("127.0.0.1:{port}")) };
        refusals.add(&actor, None, Some(Action::Invoke), &Resource::Registry, "no");
    }

    #[test]
    fn the_first_is_told_at_once_and_equal_ones_as_one() {
        let refusals = Refusals::new(Arc::new(Still));
        add(&refusals, "a", 1);
        assert_eq!(counts(&refusals.take(false)), [1]);
        for port in 2..7 {
            add(&refusals, "a", port);
        }
        assert_eq!(counts(&refusals.take(false)), [0; 0]);
        assert_eq!(counts(&refusals.take(true)), [5]);
        assert_eq!(counts(&refusals.take(true)), [0; 0]);
        add(&refusals, "a", 1);
        assert_eq!(counts(&refusals.take(false)), [1]);
    }

    #[test]
    fn however_many_there_are_little_is_kept() {
        let refusals = Refusals::new(Arc::new(Still));
        for number in 0..100_000 {
            add(&refusals, &number.to_string(), 1);
        }
        let told = counts(&refusals.take(false));
        assert_eq!((told.len(), told.iter().sum::<u32>()), (KEPT_MAX + 1, 100_000));
    }
}
