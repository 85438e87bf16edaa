//! What holds of the registry whatever is asked of it, in whatever order.

use crate::support::registry::{HandClock, Registry};
use crate::support::seed;
use onex::contracts;
use onex::log::Log;
use onex::log::memory::MemoryLog;
use onex::log::sqlite::SqliteLog;
use onex::model::{
    Actor, Lifecycle, NodeId, NodeName, RegistryId, Sequence, ToolKey, ToolName, TrustState, Ttl, ValidatorId, Version,
};
use onex::registry::apply;
use onex::registry::command::{Attest, Command, Heartbeat, OfferedTool, Patch, Register, Request};
use onex::registry::engine::{Error, recover};
use onex::registry::state::State;
use onex::registry::upkeep;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use uuid::Uuid;

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta.one", "agent_x"];
const TOPICS: [&str; 3] = ["t.one", "t.two", "t.three"];

/// One step of a run: a command, after the clock was turned.
#[derive(Clone, Debug)]
struct Step {
    seconds: i64,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Register {
        name: usize,
        by_id: Option<usize>,
        contract: Option<Document>,
        tools: Option<Vec<(usize, u8)>>,
        ttl: Option<u32>,
        live: bool,
        extra: Extra,
    },
    Heartbeat {
        node: usize,
        ttl: Option<u32>,
        draining: Option<bool>,
    },
    Deregister {
        node: usize,
    },
    Attest {
        node: usize,
        validator: u8,
        state: u8,
        lifecycle: Option<u8>,
    },
    Expire,
    Grace,
}

#[derive(Clone, Debug)]
struct Document {
    name: usize,
    version: u8,
    content: u8,
    publishes: Vec<usize>,
    subscribes: Vec<usize>,
    depends: Option<usize>,
    exposes: bool,
}

#[derive(Clone, Debug, Default)]
struct Extra {
    tags: Option<Vec<usize>>,
    agent: Option<usize>,
    followers: Option<Vec<usize>>,
    clears: bool,
}

fn name() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn topics() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..TOPICS.len(), 0..3)
}

fn document() -> impl Strategy<Value = Document> {
    (name(), 0..2u8, 0..3u8, topics(), topics(), prop::option::of(name()), any::<bool>()).prop_map(
        |(name, version, content, publishes, subscribes, depends, exposes)| Document {
            name,
            version,
            content,
            publishes,
            subscribes,
            depends,
            exposes,
        },
    )
}

fn extra() -> impl Strategy<Value = Extra> {
    let names = || prop::collection::vec(name(), 0..3);
    (prop::option::of(names()), prop::option::of(name()), prop::option::of(names()), any::<bool>())
        .prop_map(|(tags, agent, followers, clears)| Extra { tags, agent, followers, clears })
}

fn action() -> impl Strategy<Value = Action> {
    let register = (
        name(),
        prop::option::weighted(0.2, name()),
        prop::option::of(document()),
        prop::option::of(prop::collection::vec((0..3usize, 0..2u8), 0..3)),
        prop::option::of(1..20u32),
        any::<bool>(),
        extra(),
    )
        .prop_map(|(name, by_id, contract, tools, ttl, live, extra)| Action::Register {
            name,
            by_id,
            contract,
            tools,
            ttl,
            live,
            extra,
        });
    prop_oneof![
        6 => register,
        3 => (name(), prop::option::of(1..20u32), prop::option::of(any::<bool>()))
            .prop_map(|(node, ttl, draining)| Action::Heartbeat { node, ttl, draining }),
        1 => name().prop_map(|node| Action::Deregister { node }),
        2 => (name(), 0..2u8, 0..3u8, prop::option::of(0..3u8))
            .prop_map(|(node, validator, state, lifecycle)| Action::Attest { node, validator, state, lifecycle }),
        2 => Just(Action::Expire),
        1 => Just(Action::Grace),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..8i64, action()).prop_map(|(seconds, action)| Step { seconds, action });
    prop::collection::vec(step, 1..60)
}

impl Document {
    fn read(&self) -> onex::registry::command::NodeContract {
        let topics = |list: &[usize]| list.iter().map(|at| TOPICS[*at]).collect::<Vec<_>>().join(", ");
        let depends = self.depends.map(|at| format!("dependencies: [{{name: {}, type: node}}]\n", NAMES[at]));
        let text = format!(
            "name: {}\ncontract_name: shared\nversion: 1.{}.0\ndescription: content {}\nevent_bus:\n  publish_topics: \
             [{}]\n  subscribe_topics: [{}]\n{}mcp: {{expose: {}, tool_name: shown}}\n",
            NAMES[self.name],
            self.version,
            self.content,
            topics(&self.publishes),
            topics(&self.subscribes),
            depends.unwrap_or_default(),
            self.exposes
        );
        contracts::read(&text).unwrap()
    }
}

fn offered((tool, content): (usize, u8)) -> OfferedTool {
    let key = ToolKey { name: ToolName::try_new(&format!("tool_{tool}")).unwrap(), version: Version::unstated() };
    let fields = contracts::ToolFields {
        key,
        description: Some(format!("content {content}")),
        tags: Vec::new(),
        input_schema: None,
        output_schema: None,
        error_codes: Vec::new(),
    };
    let definition = contracts::define_tool(fields, "tool", onex::contracts::Spelling::Api).unwrap();
    let ttl = if content == 1 { Ttl::from_seconds(5) } else { None };
    OfferedTool { definition, transport: Default::default(), endpoint: None, ttl, max_in_flight: None }
}

impl Action {
    /// The command; nodes are meant by the name that they have at the time.
    fn command(&self, state: &State, fresh_id: NodeId) -> Command {
        let id = |at: usize| state.node_by_name(NAMES[at]).map_or(fresh_id, |node| node.id);
        let named = |list: &[usize]| list.iter().map(|at| NAMES[*at].to_owned()).collect::<Vec<_>>();
        match self {
            Action::Register { name, by_id, contract, tools, ttl, live, extra } => {
                let mut register = Register::named(fresh_id, NodeName::try_new(NAMES[*name]).ok());
                register.id = by_id.map(id);
                register.contract = contract.as_ref().map(Document::read);
                register.tools = match tools {
                    None => Patch::Keep,
                    Some(tools) if tools.is_empty() => Patch::Clear,
                    Some(tools) => Patch::Set(tools.iter().copied().map(offered).collect()),
                };
                register.ttl = ttl.and_then(Ttl::from_seconds).map_or(Patch::Keep, Patch::Set);
                register.declare_only = !live;
                let given = |value: Option<Vec<String>>| match value {
                    Some(value) => Patch::Set(value),
                    None if extra.clears => Patch::Clear,
                    None => Patch::Keep,
                };
                register.tags = given(extra.tags.as_deref().map(named));
                register.subscribed_by_agents = given(extra.followers.as_deref().map(named));
                register.owned_by_agent = extra.agent.map_or(Patch::Keep, |at| Patch::Set(NAMES[at].to_owned()));
                Command::Register(Box::new(register))
            }
            Action::Heartbeat { node, ttl, draining } => Command::Heartbeat(Heartbeat {
                node: id(*node),
                ttl: ttl.and_then(Ttl::from_seconds),
                draining: *draining,
            }),
            Action::Deregister { node } => Command::Deregister { node: id(*node), reason: None },
            Action::Attest { node, validator, state, lifecycle } => Command::Attest(Attest {
                node: id(*node),
                validator: ValidatorId(Uuid::from_u128(u128::from(*validator))),
                state: [TrustState::Untrusted, TrustState::Trusted, TrustState::Verified][usize::from(*state)],
                score: f64::from(*state) / 2.0,
                failure_modes: vec![format!("mode {validator}")],
                lifecycle: lifecycle
                    .map(|at| [Lifecycle::Canary, Lifecycle::Validated, Lifecycle::Frozen][usize::from(at)]),
            }),
            Action::Expire => Command::ExpireLapsed,
            Action::Grace => Command::GrantGrace { seconds: 3 },
        }
    }
}

/// Runs the steps on a log; after each the state holds together.
async fn run(registry: &Registry, steps: &[Step]) {
    for step in steps {
        registry.clock.turn_seconds(step.seconds);
        let command = step.action.command(&registry.state(), registry.fresh_id());
        let request = Request { command, actor: Actor::anonymous(None), correlation_id: None };
        match registry.engine.handle().submit(request).await {
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        if let Err(reason) = registry.state().check() {
            panic!("after {step:?}: {reason}");
        }
    }
}

fn folded(log: &dyn Log) -> State {
    let mut state = State::default();
    for entry in log.read(Sequence::ZERO, usize::MAX).unwrap() {
        apply::entry(&mut state, &entry);
    }
    state
}

fn check_runs(cases: u32, check: impl Fn(Vec<Step>)) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&steps(), |steps| {
        check(steps);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn folding_the_log_gives_the_live_state() {
    check_runs(200, |steps| {
        runtime().block_on(async {
            let registry = Registry::new();
            run(&registry, &steps).await;
            let (live, folded) = (registry.state(), folded(&*registry.log));
            live.same_as(&folded).unwrap_or_else(|part| panic!("{part} differs between the live state and the fold"));
        });
    });
}

#[test]
fn a_snapshot_and_the_tail_give_the_same_from_disk() {
    check_runs(40, |steps| {
        let directory = tempfile::tempdir().unwrap();
        let id = RegistryId(Uuid::from_u128(1));
        let clock = Arc::new(HandClock::default());
        let upkeep = upkeep::Options { snapshot_every: 7, retain_seconds: None };
        let log = Arc::new(SqliteLog::open(directory.path(), "a test", id).unwrap());
        let live = runtime().block_on(async {
            let registry = Registry::with(log.clone(), clock, upkeep);
            run(&registry, &steps).await;
            let live = registry.state();
            tokio::task::spawn_blocking(move || registry.engine.stop()).await.unwrap();
            live
        });
        let (recovered, _) = recover(&*log).unwrap();
        live.same_as(&recovered).unwrap_or_else(|part| panic!("{part} differs after a restart"));
        live.same_as(&folded(&*log)).unwrap_or_else(|part| panic!("{part} differs when all is folded"));
        assert_eq!(log.verify().unwrap().broken, None);
    });
}

#[test]
fn every_earlier_state_is_the_one_that_was() {
    check_runs(30, |steps| {
        runtime().block_on(async {
            let registry = Registry::on(Arc::new(MemoryLog::new(RegistryId(Uuid::from_u128(1)))));
            let mut seen = vec![registry.state()];
            for step in &steps {
                run(&registry, std::slice::from_ref(step)).await;
                seen.push(registry.state());
            }
            // A second registry on the same log has none of these versions in memory.
            let later = Registry::on(registry.log.clone());
            for version in seen {
                let earlier = later.engine.views().at(version.sequence).await.unwrap();
                version.same_as(&earlier).unwrap_or_else(|part| panic!("{part} differs at {}", version.sequence));
            }
        });
    });
}
