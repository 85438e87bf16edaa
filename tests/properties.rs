//! What holds of the registry whatever is asked of it, in whatever order.

use crate::support::registry::{HandClock, Registry};
use crate::support::seed;
use onex::contracts;
use onex::log::Log;
use onex::log::memory::MemoryLog;
use onex::log::sqlite::SqliteLog;
use onex::model::{
    Actor, Asked, Band, CallError, CallErrorCode, Change, Ending, HostName, InvocationId, InvocationStatus, LeaseId,
    Lifecycle, NodeId, NodeName, NodePort, PortKey, PortProtocol, Process, RegistryId, RequestKey, RequesterId,
    Sequence, TokenHash, TokenId, ToolKey, ToolName, Transport, Transports, TrustState, Ttl, ValidatorId, Version,
};
use onex::registry::apply;
use onex::registry::command::{
    Allocate, Attest, Command, CreateToken, Found, Heartbeat, OfferedTool, Owner, Patch, Probe, Rebind, Register,
    Request, Wanted,
};
use onex::registry::engine::{Error, recover};
use onex::registry::pool::Rules;
use onex::registry::state::State;
use onex::registry::upkeep;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::ops::Bound;
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
#[expect(clippy::large_enum_variant, reason = "a run has some dozens of them")]
enum Action {
    Token {
        token: u8,
        revoked: bool,
    },
    Register {
        name: usize,
        by_id: Option<usize>,
        contract: Option<Document>,
        tools: Option<Vec<(usize, u8)>>,
        ttl: Option<u32>,
        live: bool,
        extra: Extra,
        lease: Option<usize>,
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
    Allocate {
        wanted: Vec<Want>,
    },
    Renew {
        lease: usize,
        ttl: Option<u32>,
    },
    Release {
        lease: usize,
        by: Option<u8>,
    },
    Rebind {
        lease: usize,
        port: u16,
    },
    ProcessGone {
        process: u32,
    },
    Expire,
    Grace,
    /// What a call's service records of it, whatever the order.
    Call {
        call: u8,
        happened: u8,
        node: usize,
        tool: usize,
    },
}

/// A port that is wanted, and the number that was picked for it.
#[derive(Clone, Debug)]
struct Want {
    requester: u8,
    port: u16,
    free: bool,
    transports: u8,
    node: Option<usize>,
    key: Option<u8>,
    request: Option<u8>,
    holder: Holder,
}

#[derive(Clone, Debug)]
enum Holder {
    Ttl(u32),
    Process(u32),
    Nobody,
}

fn want() -> impl Strategy<Value = Want> {
    let holder = prop_oneof![
        5 => (1..20u32).prop_map(Holder::Ttl),
        2 => (2..5u32).prop_map(Holder::Process),
        1 => Just(Holder::Nobody),
    ];
    let keys = (prop::option::weighted(0.3, 0..2u8), prop::option::weighted(0.2, 0..3u8));
    (0..3u8, 20_000..20_006u16, prop::bool::weighted(0.9), 0..3u8, prop::option::weighted(0.3, name()), keys, holder)
        .prop_map(|(requester, port, free, transports, node, (key, request), holder)| Want {
            requester,
            port,
            free,
            transports,
            node,
            key,
            request,
            holder,
        })
}

impl Want {
    fn read(&self, id: NodeId, state: &State) -> Wanted {
        let transport = [Transport::Tcp, Transport::Udp];
        let found = if self.free { Found::Free } else { Found::InUse("bound".to_owned()) };
        let node = self.node.and_then(|at| state.node_by_name(NAMES[at])).map(|node| node.id);
        Wanted {
            id: LeaseId(id.0),
            requester: requester(self.requester),
            principal: "anonymous".to_owned(),
            program: None,
            process: match self.holder {
                Holder::Process(pid) => Some(process(pid)),
                _ => None,
            },
            protocol: PortProtocol::Tcp,
            transports: transport.get(usize::from(self.transports)).map_or(Transports::Both, |t| Transports::One(*t)),
            host: host(),
            node,
            topics: Vec::new(),
            purpose: None,
            ttl: match self.holder {
                Holder::Ttl(seconds) => Ttl::from_seconds(seconds),
                _ => None,
            },
            key: self.key.map(|key| format!("use {key}")),
            request: self.request.map(|key| RequestKey { key: format!("request {key}"), asked: [0; 32] }),
            preferred: None,
            range: None,
            requested_at: state.time,
            probes: vec![Probe { port: self.port, found }],
        }
    }
}

fn held(state: &State) -> BTreeMap<PortKey, LeaseId> {
    state.leases.held((Bound::Unbounded, Bound::Unbounded)).collect()
}

fn host() -> HostName {
    HostName::try_new("here").unwrap()
}

fn requester(number: u8) -> RequesterId {
    RequesterId(Uuid::from_u128(u128::from(number)))
}

fn process(pid: u32) -> Process {
    Process { pid, started: 1, boot: Uuid::nil() }
}

fn rules() -> Arc<Rules> {
    Arc::new(Rules {
        host: host(),
        bands: vec![(None, Band::try_new(20_000, 20_005).unwrap())],
        reserved: vec![(None, Band::try_new(20_003, 20_003).unwrap())],
        ttl: Ttl::from_seconds(15).unwrap(),
        leases_per_requester_max: 4,
        quarantine_seconds: 6,
        conflict_quarantine_seconds: 11,
    })
}

/// The leases that a step may be about: those that hold, then some that ended.
fn lease(state: &State, at: usize) -> LeaseId {
    let mut leases: Vec<LeaseId> = held(state).into_values().collect();
    leases.extend(state.leases.ended().map(|(_, lease)| lease.id));
    leases.get(at).copied().unwrap_or(LeaseId(Uuid::nil()))
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
        prop::option::weighted(0.3, 0..9usize),
    )
        .prop_map(|(name, by_id, contract, tools, ttl, live, extra, lease)| Action::Register {
            name,
            by_id,
            contract,
            tools,
            ttl,
            live,
            extra,
            lease,
        });
    prop_oneof![
        6 => register,
        3 => (name(), prop::option::of(1..20u32), prop::option::of(any::<bool>()))
            .prop_map(|(node, ttl, draining)| Action::Heartbeat { node, ttl, draining }),
        1 => name().prop_map(|node| Action::Deregister { node }),
        2 => (name(), 0..2u8, 0..3u8, prop::option::of(0..3u8))
            .prop_map(|(node, validator, state, lifecycle)| Action::Attest { node, validator, state, lifecycle }),
        8 => prop::collection::vec(want(), 1..4).prop_map(|wanted| Action::Allocate { wanted }),
        2 => (0..9usize, prop::option::of(1..20u32)).prop_map(|(lease, ttl)| Action::Renew { lease, ttl }),
        2 => (0..9usize, prop::option::of(0..3u8)).prop_map(|(lease, by)| Action::Release { lease, by }),
        2 => (0..9usize, 20_000..20_006u16).prop_map(|(lease, port)| Action::Rebind { lease, port }),
        1 => (2..5u32).prop_map(|process| Action::ProcessGone { process }),
        1 => (0..4u8, any::<bool>()).prop_map(|(token, revoked)| Action::Token { token, revoked }),
        2 => Just(Action::Expire),
        1 => Just(Action::Grace),
        3 => (0..4_u8, 0..10_u8, 0..NAMES.len(), 0..3_usize)
            .prop_map(|(call, happened, node, tool)| Action::Call { call, happened, node, tool }),
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
    let fields =
        contracts::ToolFields { description: Some(format!("content {content}")), ..contracts::ToolFields::named(key) };
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
            Action::Register { name, by_id, contract, tools, ttl, live, extra, lease: at } => {
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
                register.inbound = at.map_or(Patch::Keep, |at| Patch::Set(vec![served(lease(state, at))]));
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
                renew_leases: *draining == Some(false),
                tools: None,
            }),
            Action::Allocate { wanted } => {
                let ids = (0u128..).map(|at| NodeId(Uuid::from_u128(fresh_id.0.as_u128() + (at << 80))));
                let wanted = wanted.iter().zip(ids).map(|(want, id)| want.read(id, state)).collect();
                Command::Allocate(Box::new(Allocate { wanted, contiguous: false, rules: rules() }))
            }
            Action::Renew { lease: at, ttl } => {
                Command::Renew { lease: lease(state, *at), owner: owner(None), ttl: ttl.and_then(Ttl::from_seconds) }
            }
            Action::Release { lease: at, by } => {
                Command::Release { lease: lease(state, *at), owner: owner(by.map(requester)) }
            }
            Action::Rebind { lease: at, port } => {
                let lease = lease(state, *at);
                let terms = state.leases.get(lease).map(|lease| lease.terms.clone());
                let want = Want {
                    requester: 0,
                    port: *port,
                    free: true,
                    transports: 0,
                    node: None,
                    key: None,
                    request: None,
                    holder: Holder::Ttl(9),
                };
                let mut wanted = want.read(fresh_id, state);
                if let Some(terms) = terms {
                    (wanted.requester, wanted.transports) = (terms.requester, terms.transports);
                    wanted.key = terms.key.clone();
                }
                let reason = "it does not work".to_owned();
                Command::Rebind(Box::new(Rebind { lease, owner: owner(None), reason, wanted, rules: rules() }))
            }
            Action::ProcessGone { process: pid } => Command::ProcessesGone(vec![process(*pid)]),
            Action::Deregister { node } => Command::Deregister { node: id(*node), reason: None },
            Action::Attest { node, validator, state, lifecycle } => Command::Attest(Attest {
                node: id(*node),
                validator: ValidatorId(Uuid::from_u128(u128::from(*validator))),
                state: [TrustState::Untrusted, TrustState::Trusted, TrustState::Verified][usize::from(*state)],
                score: f64::from(*state) / 2.0,
                failure_modes: vec![format!("mode {validator}")],
                lifecycle: lifecycle
                    .map(|at| [Lifecycle::Canary, Lifecycle::Validated, Lifecycle::Frozen][usize::from(at)]),
                signed_by: None,
                overrules_key: false,
            }),
            Action::Token { token, revoked: true } => {
                Command::RevokeToken(TokenId(Uuid::from_u128(u128::from(*token))))
            }
            Action::Token { token, revoked: false } => Command::CreateToken(Box::new(CreateToken {
                id: TokenId(Uuid::from_u128(u128::from(*token))),
                name: format!("token_{}", token % 2),
                hash: TokenHash([*token; 32]),
                roles: vec!["viewer".to_owned()],
                node: None,
                expires_at: None,
                created_by: "anonymous".to_owned(),
            })),
            Action::Expire => Command::ExpireLapsed,
            Action::Grace => Command::GrantGrace { seconds: 3 },
            Action::Call { call, happened: 8, .. } => Command::EndInterrupted(call_id(*call)),
            Action::Call { call, happened: 9, .. } => Command::AnswerLate { call: call_id(*call), failed: true },
            Action::Call { call, happened, node, tool } => {
                Command::Record(vec![recorded(state, call_id(*call), *happened, id(*node), *tool)])
            }
        }
    }
}

fn call_id(number: u8) -> InvocationId {
    InvocationId(Uuid::from_u128(u128::from(number) + 1))
}

/// Something that happened in a call.
fn recorded(state: &State, call: InvocationId, happened: u8, node: NodeId, tool: usize) -> Change {
    let tool = offered((tool, 0)).definition.key.clone();
    let (at, arguments) = (state.time, Arc::new(serde_json::json!({"n": happened})));
    let error =
        |code| CallError { code, kind: "Test".to_owned(), message: "no".to_owned(), details: None, retryable: true };
    let known = state.calls.get(call);
    match happened {
        // An id is drawn for one call, and a name of a request means one call.
        0 | 1 if known.is_none() => {
            let asked = Asked {
                tool: tool.name,
                version: None,
                node: None,
                policy: None,
                arguments,
                caller: "anonymous".to_owned(),
                timeout_ms: 1_000,
                idempotent: happened == 1,
                request: (happened == 1).then(|| RequestKey { key: call.to_string(), asked: [7; 32] }),
                requested_at: at,
            };
            Change::CallInvoked { call, asked: Arc::new(asked) }
        }
        0..=3 => {
            let attempt = known.map_or(0, |call| call.attempts.len() as u32) + 1;
            Change::CallAccepted { call, tool, node, attempt, at, warnings: vec!["mind the gap".to_owned()] }
        }
        4 => Change::CallRejected { call, tool: tool.name, error: error(CallErrorCode::ToolOverloaded), at },
        5 => Change::CallAnsweredLate { call, tool, node, attempt: 1, failed: true, at },
        _ => {
            let succeeded = happened == 6;
            let mut attempts = known.map_or_else(Vec::new, |call| call.attempts.clone());
            for attempt in &mut attempts {
                attempt.ended_at = Some(at);
                attempt.outcome = if succeeded { InvocationStatus::Succeeded } else { InvocationStatus::TimedOut };
            }
            let ending = Ending {
                status: if succeeded { InvocationStatus::Succeeded } else { InvocationStatus::TimedOut },
                result: succeeded.then_some(arguments),
                error: (!succeeded).then(|| error(CallErrorCode::ToolTimeout)),
                attempts,
                at,
                trace_log_id: None,
                execution_log_url: None,
            };
            Change::CallEnded { call, tool, node, ending: Arc::new(ending) }
        }
    }
}

fn served(lease: LeaseId) -> NodePort {
    let (name, protocol) = ("api".to_owned(), PortProtocol::Tcp);
    NodePort { name, protocol, port: None, lease: Some(lease), topic: None, bus: None, endpoint_uri: None }
}

fn owner(requester: Option<RequesterId>) -> Owner {
    Owner { principal: "anonymous".to_owned(), requester }
}

/// Runs the steps on a log; after each the state holds together, and no number is somebody's who may not have it.
async fn run(registry: &Registry, steps: &[Step]) {
    for step in steps {
        registry.clock.turn_seconds(step.seconds);
        let before = registry.state();
        let command = step.action.command(&before, registry.fresh_id());
        let request = Request { command, actor: Actor::anonymous(None), correlation_id: None };
        match registry.engine.handle().submit(request).await {
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        let after = registry.state();
        if let Err(reason) = after.check() {
            panic!("after {step:?}: {reason}");
        }
        let held_before = held(&before);
        for (key, id) in held(&after).iter().filter(|(key, id)| held_before.get(*key) != Some(*id)) {
            let lease = after.leases.get(*id).unwrap();
            assert!(!held_before.contains_key(key), "{key:?} was given to two by {step:?}");
            let kept = before.leases.quarantine(key, after.time);
            assert!(
                kept.is_none_or(|kept| kept.except == Some(lease.terms.requester)),
                "{key:?} was kept back: {step:?}"
            );
            assert_ne!(key.port, 20_003, "a reserved number was given by {step:?}");
        }
        for requester in (0..3).map(requester) {
            assert!(after.leases.count_of_requester(requester) <= 4, "{step:?} gave more than the quota");
        }
    }
}

fn folded(log: &dyn Log) -> State {
    let mut state = State::beginning();
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
