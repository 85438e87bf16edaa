//! The registry in process, on a log in memory, with a clock turned by hand.

use onex::log::Log;
use onex::log::memory::MemoryLog;
use onex::model::{Actor, Node, NodeId, NodeName, RegistryId, Time, Ttl};
use onex::ports::Ports;
use onex::registry::command::{Command, Heartbeat, Patch, Register, Request};
use onex::registry::decide::{Answer, Registered};
use onex::registry::engine::{Clock, Engine, Error, Options, Outcome};
use onex::registry::pool::Rules;
use onex::registry::refusal::Refusal;
use onex::registry::state::State;
use onex::registry::upkeep;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use uuid::Uuid;

/// A clock that stands until it is turned.
#[derive(Debug, Default)]
pub struct HandClock(AtomicI64);

impl HandClock {
    pub fn turn_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub struct Registry {
    pub engine: Engine,
    pub clock: Arc<HandClock>,
    pub log: Arc<dyn Log>,
    ids: AtomicU64,
}

impl Registry {
    pub fn new() -> Self {
        Registry::on(Arc::new(MemoryLog::new(RegistryId(Uuid::from_u128(1)))))
    }

    pub fn on(log: Arc<dyn Log>) -> Self {
        let clock = Arc::new(HandClock::default());
        clock.turn_seconds(1_000_000);
        Registry::with(log, clock, upkeep::Options::default())
    }

    pub fn with(log: Arc<dyn Log>, clock: Arc<HandClock>, upkeep: upkeep::Options) -> Self {
        let engine = Engine::start(log.clone(), clock.clone(), &Options::default(), upkeep).unwrap();
        Registry { engine, clock, log, ids: AtomicU64::new(1) }
    }

    pub fn fresh_id(&self) -> NodeId {
        NodeId(Uuid::from_u64_pair(7, self.ids.fetch_add(1, Ordering::SeqCst)))
    }

    pub async fn submit(&self, command: Command) -> Result<Outcome, Refusal> {
        let request = Request { command, actor: Actor::anonymous(None), correlation_id: None };
        match self.engine.handle().submit(request).await {
            Ok(outcome) => {
                outcome.view.check().unwrap();
                Ok(outcome)
            }
            Err(Error::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// A registration by name, changed before it is sent.
    pub async fn register(&self, name: &str, change: impl FnOnce(&mut Register)) -> Result<Registered, Refusal> {
        let mut register = Register::named(self.fresh_id(), Some(NodeName::try_new(name).unwrap()));
        change(&mut register);
        match self.submit(Command::Register(Box::new(register))).await?.answer {
            Answer::Registered(registered) => Ok(registered),
            answer => panic!("{answer:?}"),
        }
    }

    /// A registration by contract document.
    pub async fn register_contract(&self, document: &str) -> Result<Registered, Refusal> {
        let mut register = Register::named(self.fresh_id(), None);
        register.contract = Some(onex::contracts::read(document).unwrap());
        register.declare_only = true;
        match self.submit(Command::Register(Box::new(register))).await?.answer {
            Answer::Registered(registered) => Ok(registered),
            answer => panic!("{answer:?}"),
        }
    }

    pub async fn heartbeat(&self, node: NodeId) -> Result<Outcome, Refusal> {
        self.submit(Command::Heartbeat(Heartbeat { node, ttl: None, draining: None, renew_leases: false, tools: None }))
            .await
    }

    /// Leases by these rules.
    pub fn ports(&self, rules: Rules) -> Ports {
        Ports::new(self.engine.handle(), self.engine.views().clone(), self.clock.clone(), rules)
    }

    pub fn state(&self) -> Arc<State> {
        self.engine.views().current()
    }

    pub fn node(&self, name: &str) -> Arc<Node> {
        self.state().node_by_name(name).unwrap_or_else(|| panic!("no node {name}")).clone()
    }
}

pub fn ttl(seconds: u32) -> Patch<Ttl> {
    Patch::Set(Ttl::from_seconds(seconds).unwrap())
}
