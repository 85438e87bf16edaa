//! Port leases in the core, with time turned by hand: who gets a number, who keeps it, and when it comes back.

use crate::support::registry::{Registry, ttl};
use onex::log::Log;
use onex::log::memory::MemoryLog;
use onex::model::{
    Actor, Band, Change, EndCause, HostName, Lease, LeaseId, LeaseStatus, NodePort, PortProtocol, Process, RegistryId,
    RequestKey, RequesterId, Sequence, Transport, Transports, Ttl,
};
use onex::ports::{Asking, Error, Ports};
use onex::registry::command::{Command, Heartbeat, Owner, Patch, Wanted};
use onex::registry::decide::Answer;
use onex::registry::engine::{self, Outcome};
use onex::registry::pool::{Because, Rules};
use onex::registry::refusal::Refusal;
use onex::registry::upkeep;
use std::net::TcpListener;
use std::sync::Arc;
use uuid::Uuid;

const TCP: Transports = Transports::One(Transport::Tcp);
const UDP: Transports = Transports::One(Transport::Udp);

/// Numbers of a host that is not looked at: the rules alone decide.
fn rules(from: u16, to: u16) -> Rules {
    Rules {
        host: HostName::try_new("here").unwrap(),
        bands: vec![(None, band(from, to))],
        reserved: Vec::new(),
        ttl: Ttl::from_seconds(3_600).unwrap(),
        leases_per_requester_max: 0,
        quarantine_seconds: 10,
        conflict_quarantine_seconds: 60,
    }
}

fn band(from: u16, to: u16) -> Band {
    Band::try_new(from, to).unwrap()
}

fn requester(number: u128) -> RequesterId {
    RequesterId(Uuid::from_u128(number))
}

fn asking() -> Asking {
    Asking { actor: Actor::anonymous(None), correlation_id: None }
}

fn owner(number: u128) -> Owner {
    Owner { principal: "anonymous".to_owned(), requester: Some(requester(number)) }
}

fn wanted(ports: &Ports, of: u128, change: impl FnOnce(&mut Wanted)) -> Wanted {
    let mut wanted = ports.wanted(requester(of), "anonymous");
    wanted.host = HostName::try_new("there").unwrap();
    wanted.ttl = Ttl::from_seconds(30);
    change(&mut wanted);
    wanted
}

fn leases(outcome: &Outcome) -> Vec<Arc<Lease>> {
    let Answer::Leased(leases) = &outcome.answer else { panic!("{:?}", outcome.answer) };
    leases.iter().map(|lease| outcome.view.leases.get(*lease).unwrap().clone()).collect()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Registry(engine::Error::Refused(refusal))) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn allocate(ports: &Ports, of: u128, change: impl FnOnce(&mut Wanted)) -> Arc<Lease> {
    try_allocate(ports, of, change).await.unwrap()
}

async fn try_allocate(ports: &Ports, of: u128, change: impl FnOnce(&mut Wanted)) -> Result<Arc<Lease>, Error> {
    let wanted = wanted(ports, of, change);
    Ok(leases(&ports.allocate(asking(), vec![wanted], false).await?).pop().unwrap())
}

fn end_of(registry: &Registry, lease: LeaseId) -> Option<EndCause> {
    registry.state().leases.get(lease).unwrap().end.as_ref().map(|end| end.cause.clone())
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_lapses_and_its_number_is_kept_from_others_a_while() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_000));
    let first = allocate(&ports, 1, |_| {}).await;
    assert_eq!((first.terms.port, first.terms.probed), (20_000, false));
    let Refusal::PortExhausted { shortage, .. } = refused(try_allocate(&ports, 2, |_| {}).await) else { panic!() };
    assert_eq!((shortage.size, shortage.leased, shortage.quarantined), (1, 1, 0));

    registry.clock.turn_seconds(29);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(end_of(&registry, first.id), None);
    registry.clock.turn_seconds(1);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(end_of(&registry, first.id), Some(EndCause::Lapsed));
    let late = ports.renew(asking(), first.id, owner(1), None).await;
    assert!(matches!(refused(late), Refusal::LeaseEnded { .. }));

    // Another has to wait; whoever had it need not.
    let Refusal::PortExhausted { shortage, .. } = refused(try_allocate(&ports, 2, |_| {}).await) else { panic!() };
    assert_eq!((shortage.leased, shortage.quarantined, shortage.next_at.is_some()), (0, 1, true));
    registry.clock.turn_seconds(10);
    assert_eq!(allocate(&ports, 2, |_| {}).await.terms.port, 20_000);
}

#[tokio::test]
async fn whoever_had_a_number_gets_it_back_during_its_quarantine() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_000));
    let first = allocate(&ports, 1, |_| {}).await;
    ports.release(asking(), first.id, owner(1)).await.unwrap();
    assert!(try_allocate(&ports, 2, |wanted| wanted.preferred = Some(20_000)).await.is_err());
    let again = allocate(&ports, 1, |wanted| wanted.preferred = Some(20_000)).await;
    assert_ne!(again.id, first.id);
    assert_eq!(registry.state().leases.get(first.id).unwrap().status(), LeaseStatus::Released);
}

#[tokio::test]
async fn whoever_insists_on_its_own_numbers_gets_them_back_during_their_quarantine() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_003));
    let insists = |wanted: &mut Wanted| wanted.range = Some(band(20_000, 20_000));
    let first = allocate(&ports, 1, insists).await;
    ports.release(asking(), first.id, owner(1)).await.unwrap();
    let other = refused(try_allocate(&ports, 2, insists).await);
    assert!(other.to_string().contains("kept back until"), "{other}");
    let again = allocate(&ports, 1, insists).await;
    let row = || (0..3).map(|_| wanted(&ports, 1, |_| {})).collect::<Vec<_>>();
    for lease in leases(&ports.allocate(asking(), row(), true).await.unwrap()) {
        ports.release(asking(), lease.id, owner(1)).await.unwrap();
    }
    ports.release(asking(), again.id, owner(1)).await.unwrap();
    let others = (0..3).map(|_| wanted(&ports, 2, |_| {})).collect();
    assert!(matches!(refused(ports.allocate(asking(), others, true).await), Refusal::NoConsecutivePorts { .. }));
    ports.allocate(asking(), row(), true).await.unwrap();
}

#[tokio::test]
async fn a_rebind_keeps_the_bad_number_from_others_whatever_the_settings() {
    let registry = Registry::new();
    let ports = registry.ports(Rules { conflict_quarantine_seconds: 0, ..rules(20_000, 20_001) });
    let lease = allocate(&ports, 1, |_| {}).await;
    ports.rebind(asking(), lease.id, owner(1), "broken".to_owned(), None).await.unwrap();
    assert!(try_allocate(&ports, 2, |_| {}).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_twin_of_a_request_that_is_under_way_gets_its_answer() {
    let registry = Registry::new();
    let ports = Arc::new(registry.ports(rules(20_000, 20_999)));
    for port in 20_000..20_100 {
        let twins = (0..4).map(|_| {
            let ports = ports.clone();
            tokio::spawn(async move {
                try_allocate(&ports, 1, |wanted| {
                    wanted.range = Some(band(port, port));
                    wanted.request = Some(RequestKey { key: format!("request {port}"), asked: [0; 32] });
                })
                .await
            })
        });
        let mut got = Vec::new();
        for twin in twins.collect::<Vec<_>>() {
            got.push(twin.await.unwrap().unwrap().id);
        }
        assert!(got.windows(2).all(|pair| pair[0] == pair[1]), "{got:?}");
    }
}

#[tokio::test]
async fn a_lease_lives_by_renewals_and_by_its_nodes_heartbeats() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let node = registry.register("worker", |register| register.ttl = ttl(100)).await.unwrap().node;
    let by_renewal = allocate(&ports, 1, |_| {}).await;
    let by_heartbeat = allocate(&ports, 1, |wanted| wanted.node = Some(node)).await;
    for _ in 0..3 {
        registry.clock.turn_seconds(20);
        ports.renew(asking(), by_renewal.id, owner(1), None).await.unwrap();
        let heartbeat = Heartbeat { node, ttl: None, draining: None, renew_leases: true, tools: None };
        registry.submit(Command::Heartbeat(heartbeat)).await.unwrap();
        registry.submit(Command::ExpireLapsed).await.unwrap();
    }
    for lease in [&by_renewal, &by_heartbeat] {
        let state = registry.state();
        let now = state.leases.get(lease.id).unwrap();
        assert_eq!((now.status(), now.renewals), (LeaseStatus::Active, 3));
        assert_eq!(now.last_heartbeat_at, Some(state.time));
    }
    // A renewal may ask for another lifetime, and a heartbeat that does not mention leases renews none.
    ports.renew(asking(), by_renewal.id, owner(1), Ttl::from_seconds(300)).await.unwrap();
    registry.clock.turn_seconds(31);
    registry.heartbeat(node).await.unwrap();
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(end_of(&registry, by_renewal.id), None);
    assert_eq!(end_of(&registry, by_heartbeat.id), Some(EndCause::Lapsed));
}

#[tokio::test]
async fn only_its_holder_renews_releases_or_rebinds_a_lease() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let lease = allocate(&ports, 1, |_| {}).await.id;
    let other_principal = Owner { principal: "somebody".to_owned(), requester: Some(requester(1)) };
    for owner in [owner(2), other_principal] {
        let outcomes = [
            ports.renew(asking(), lease, owner.clone(), None).await,
            ports.release(asking(), lease, owner.clone()).await,
            ports.rebind(asking(), lease, owner, "mine".to_owned(), None).await,
        ];
        for outcome in outcomes {
            let refusal = refused(outcome);
            assert!(matches!(refusal, Refusal::LeaseNotOwned { .. }), "{refusal}");
        }
    }
    let process = Process { pid: 7, started: 1, boot: Uuid::nil() };
    let held = allocate(&ports, 1, |wanted| wanted.process = Some(process)).await.id;
    assert!(matches!(refused(ports.release(asking(), held, owner(1)).await), Refusal::LeaseNotOwned { .. }));
    let unknown = LeaseId(Uuid::nil());
    assert!(matches!(refused(ports.release(asking(), unknown, owner(1)).await), Refusal::LeaseNotFound { .. }));
    ports.release(asking(), lease, owner(1)).await.unwrap();
    assert!(matches!(refused(ports.release(asking(), lease, owner(1)).await), Refusal::LeaseEnded { .. }));
}

#[tokio::test]
async fn a_key_names_one_use_before_and_after_its_lease_ends() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_199));
    let web = |wanted: &mut Wanted| wanted.key = Some("web".to_owned());
    let first = allocate(&ports, 1, web).await;
    registry.clock.turn_seconds(20);
    let again = allocate(&ports, 1, web).await;
    assert_eq!((again.id, again.renewals), (first.id, 1));
    assert_ne!(allocate(&ports, 2, web).await.id, first.id, "a key is its requester's own");
    let udp = |wanted: &mut Wanted| (wanted.key, wanted.transports) = (Some("web".to_owned()), UDP);
    assert!(matches!(refused(try_allocate(&ports, 1, udp).await), Refusal::KeyTaken { .. }));

    registry.clock.turn_seconds(1_000);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    for other in 0..50 {
        allocate(&ports, 100 + other, |wanted| wanted.range = Some(band(30_000, 30_199))).await;
    }
    let later = allocate(&ports, 1, web).await;
    assert_eq!(later.terms.port, first.terms.port, "the same number where it can be had");
    assert_ne!(later.id, first.id);
}

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer_and_leases_nothing_more() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let key = |asked: u8| Some(RequestKey { key: "deploy 7".to_owned(), asked: [asked; 32] });
    let first = allocate(&ports, 1, |wanted| wanted.request = key(1)).await;
    let before = registry.state().sequence;
    let again = allocate(&ports, 1, |wanted| wanted.request = key(1)).await;
    assert_eq!((again.id, registry.state().sequence), (first.id, before));
    let other = try_allocate(&ports, 1, |wanted| wanted.request = key(2)).await;
    assert!(matches!(refused(other), Refusal::RequestReused { .. }));
    // The first answer stands when the lease has ended, and leads on to what took its place.
    let replaced = ports.rebind(asking(), first.id, owner(1), "broken".to_owned(), None).await.unwrap();
    let replaced = leases(&replaced).pop().unwrap();
    assert_eq!(allocate(&ports, 1, |wanted| wanted.request = key(1)).await.id, replaced.id);
    ports.release(asking(), replaced.id, owner(1)).await.unwrap();
    assert_eq!(allocate(&ports, 1, |wanted| wanted.request = key(1)).await.status(), LeaseStatus::Released);
}

#[tokio::test]
async fn several_ports_come_all_or_not_at_all() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_002));
    let batch = |count: usize| (0..count).map(|_| wanted(&ports, 1, |_| {})).collect::<Vec<_>>();
    assert!(matches!(refused(ports.allocate(asking(), batch(4), false).await), Refusal::PortExhausted { .. }));
    assert_eq!((registry.state().leases.active(), registry.state().sequence), (0, Sequence::ZERO));
    let mut got: Vec<u16> =
        leases(&ports.allocate(asking(), batch(3), false).await.unwrap()).iter().map(|of| of.terms.port).collect();
    got.sort_unstable();
    assert_eq!(got, [20_000, 20_001, 20_002]);
}

#[tokio::test]
async fn consecutive_ports_are_consecutive_each_on_its_own_transport() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_005));
    allocate(&ports, 9, |wanted| wanted.preferred = Some(20_001)).await;
    allocate(&ports, 9, |wanted| (wanted.preferred, wanted.transports) = (Some(20_004), UDP)).await;
    let batch = |kinds: &[Transports]| {
        kinds.iter().map(|kind| wanted(&ports, 1, |wanted| wanted.transports = *kind)).collect::<Vec<_>>()
    };
    // 20001 is taken for TCP and 20004 for UDP: one run is left for each of these.
    let got = leases(&ports.allocate(asking(), batch(&[TCP, TCP, TCP, TCP]), true).await.unwrap());
    assert_eq!(got.iter().map(|of| of.terms.port).collect::<Vec<_>>(), [20_002, 20_003, 20_004, 20_005]);
    let got = leases(&ports.allocate(asking(), batch(&[UDP, UDP, UDP, UDP]), true).await.unwrap());
    assert_eq!(got.iter().map(|of| of.terms.port).collect::<Vec<_>>(), [20_000, 20_001, 20_002, 20_003]);
    let refusal = refused(ports.allocate(asking(), batch(&[TCP, TCP]), true).await);
    assert!(matches!(refusal, Refusal::NoConsecutivePorts { count: 2, .. }), "{refusal}");
}

#[tokio::test]
async fn what_is_held_already_is_no_part_of_a_row() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_099));
    let named = |name: &str| wanted(&ports, 1, |wanted| wanted.key = Some(name.to_owned()));
    allocate(&ports, 1, |wanted| (wanted.key, wanted.preferred) = (Some("a".to_owned()), Some(20_005))).await;
    let batch = || vec![named("a"), named("b")];
    assert_eq!(refused(ports.allocate(asking(), batch(), true).await), Refusal::HeldApart);
    allocate(&ports, 1, |wanted| (wanted.key, wanted.preferred) = (Some("b".to_owned()), Some(20_009))).await;
    assert_eq!(refused(ports.allocate(asking(), batch(), true).await), Refusal::HeldApart);
    let row = || vec![named("c"), named("d")];
    let first = leases(&ports.allocate(asking(), row(), true).await.unwrap());
    let again = leases(&ports.allocate(asking(), row(), true).await.unwrap());
    assert_eq!(first.iter().map(|of| of.id).collect::<Vec<_>>(), again.iter().map(|of| of.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn tcp_and_udp_are_distinct_promises() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_000));
    let tcp = allocate(&ports, 1, |_| {}).await;
    let udp = allocate(&ports, 2, |wanted| {
        (wanted.protocol, wanted.transports) = (PortProtocol::Udp, UDP);
    })
    .await;
    assert_eq!(tcp.terms.port, udp.terms.port);
    ports.release(asking(), tcp.id, owner(1)).await.unwrap();
    registry.clock.turn_seconds(11);
    let both = try_allocate(&ports, 3, |wanted| wanted.transports = Transports::Both).await;
    assert!(matches!(refused(both), Refusal::PortExhausted { .. }), "UDP is still somebody else's");
}

#[tokio::test]
async fn a_requester_holds_no_more_than_its_quota() {
    let registry = Registry::new();
    let ports = registry.ports(Rules { leases_per_requester_max: 2, ..rules(20_000, 20_009) });
    let first = allocate(&ports, 1, |_| {}).await;
    let batch = vec![wanted(&ports, 1, |_| {}), wanted(&ports, 1, |_| {})];
    let refusal = refused(ports.allocate(asking(), batch, false).await);
    assert!(matches!(refusal, Refusal::QuotaExceeded { held: 2, max: 2, .. }), "{refusal}");
    allocate(&ports, 1, |_| {}).await;
    assert!(matches!(refused(try_allocate(&ports, 1, |_| {}).await), Refusal::QuotaExceeded { .. }));
    allocate(&ports, 2, |_| {}).await;
    ports.release(asking(), first.id, owner(1)).await.unwrap();
    allocate(&ports, 1, |_| {}).await;
}

#[tokio::test]
async fn leases_end_with_their_node_and_say_so() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let lapsing = registry.register("lapsing", |register| register.ttl = ttl(10)).await.unwrap().node;
    let leaving = registry.register("leaving", |_| {}).await.unwrap().node;
    let of_lapsing = allocate(&ports, 1, |wanted| wanted.node = Some(lapsing)).await;
    let of_leaving = allocate(&ports, 1, |wanted| wanted.node = Some(leaving)).await;
    registry.clock.turn_seconds(10);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    registry.submit(Command::Deregister { node: leaving, reason: None }).await.unwrap();
    assert_eq!(end_of(&registry, of_lapsing.id), Some(EndCause::NodeExpired));
    assert_eq!(end_of(&registry, of_leaving.id), Some(EndCause::NodeDeregistered));
    assert!(matches!(
        refused(try_allocate(&ports, 1, |wanted| wanted.node = Some(leaving)).await),
        Refusal::NodeNotFound { .. }
    ));
}

#[tokio::test]
async fn a_lease_that_a_node_names_as_its_port_goes_with_it() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let lease = allocate(&ports, 1, |_| {}).await;
    let port = |number: Option<u16>, lease: LeaseId| NodePort {
        name: "api".to_owned(),
        protocol: PortProtocol::Http,
        port: number,
        lease: Some(lease),
        topic: None,
        bus: None,
        endpoint_uri: None,
    };
    let wrong = Patch::Set(vec![port(Some(1), lease.id)]);
    let refusal = registry.register("server", |register| register.inbound = wrong).await.unwrap_err();
    assert!(matches!(refusal, Refusal::LeaseOfAnother { .. }), "{refusal}");
    let right = Patch::Set(vec![port(None, lease.id)]);
    let node = registry.register("server", |register| register.inbound = right.clone()).await.unwrap().node;
    assert_eq!(registry.state().leases.get(lease.id).unwrap().node, Some(node));
    let refusal = registry.register("thief", |register| register.inbound = right.clone()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::LeaseNotOwned { .. }), "{refusal}");
    let process = Process { pid: 4711, started: 1, boot: Uuid::nil() };
    let held = allocate(&ports, 1, |wanted| wanted.process = Some(process)).await;
    let of_process = Patch::Set(vec![port(None, held.id)]);
    let refusal = registry.register("thief", |register| register.inbound = of_process).await.unwrap_err();
    assert!(matches!(refusal, Refusal::LeaseNotOwned { .. }), "{refusal}");
    registry.submit(Command::Deregister { node, reason: None }).await.unwrap();
    assert_eq!(end_of(&registry, lease.id), Some(EndCause::NodeDeregistered));
    let refusal = registry.register("late", |register| register.inbound = right).await.unwrap_err();
    assert!(matches!(refusal, Refusal::LeaseEnded { .. }), "{refusal}");
    // A node that had named it hears that the number is no longer its own.
    let server = registry.register("again", |register| register.ttl = ttl(5)).await.unwrap().node;
    let lease = allocate(&ports, 1, |wanted| wanted.node = Some(server)).await;
    let named = Patch::Set(vec![port(None, lease.id)]);
    registry.register("again", |register| register.inbound = named).await.unwrap();
    registry.clock.turn_seconds(5);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    let offline = refused(try_allocate(&ports, 1, |wanted| wanted.node = Some(server)).await);
    assert!(matches!(offline, Refusal::NodeOffline { .. }), "{offline}");
    let registered = registry.register("again", |_| {}).await.unwrap();
    assert!(registered.warnings[0].contains("no longer promised"), "{:?}", registered.warnings);
}

#[tokio::test]
async fn a_rebind_gives_another_number_and_keeps_the_bad_one_from_everybody() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_001));
    let lease = allocate(&ports, 1, |wanted| wanted.key = Some("web".to_owned())).await;
    let outcome = ports.rebind(asking(), lease.id, owner(1), "taken by the printer".to_owned(), None).await.unwrap();
    let replacement = leases(&outcome).pop().unwrap();
    assert_ne!(replacement.terms.port, lease.terms.port);
    assert_eq!(replacement.terms.rebound_from, Some(lease.id));
    assert!(matches!(end_of(&registry, lease.id), Some(EndCause::Rebound { .. })));
    let entries = registry.log.read(outcome.first.unwrap().previous(), 10).unwrap();
    assert!(
        matches!(
            &entries[0].changes[..],
            [Change::PortConflict { .. }, Change::PortEnded { .. }, Change::PortAllocated { .. }]
        ),
        "one step: {entries:?}"
    );
    let same = |wanted: &mut Wanted| wanted.range = Some(band(lease.terms.port, lease.terms.port));
    for whoever in [1, 2] {
        let refusal = refused(try_allocate(&ports, whoever, same).await);
        let Refusal::PortUnavailable { because, .. } = &refusal else { panic!("{refusal}") };
        assert!(matches!(&**because, Because::Quarantined { .. }), "{refusal}");
        assert!(refusal.to_string().contains("taken by the printer"), "{refusal}");
    }
    registry.clock.turn_seconds(60);
    allocate(&ports, 2, same).await;
}

#[tokio::test]
async fn a_rebind_leads_away_from_a_number_that_was_insisted_on() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_099));
    let insists = |wanted: &mut Wanted| wanted.range = Some(band(23_000, 23_000));
    let lease = allocate(&ports, 1, insists).await.id;
    let outcome = ports.rebind(asking(), lease, owner(1), "broken".to_owned(), Some(23_009)).await.unwrap();
    assert_eq!(leases(&outcome)[0].terms.port, 23_009);
    let refusal = refused(ports.renew(asking(), lease, owner(1), None).await);
    assert!(refusal.to_string().contains(&leases(&outcome)[0].id.to_string()), "{refusal}");
}

#[tokio::test]
async fn a_lease_keeps_its_lifetime_where_a_key_asks_again_without_one() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_099));
    let named = |wanted: &mut Wanted| (wanted.key, wanted.ttl) = (Some("web".to_owned()), None);
    assert_eq!(allocate(&ports, 1, named).await.ttl, Ttl::from_seconds(3_600));
    let lease = allocate(&ports, 1, |wanted| wanted.key = Some("other".to_owned())).await;
    let again = allocate(&ports, 1, |wanted| (wanted.key, wanted.ttl) = (Some("other".to_owned()), None)).await;
    assert_eq!((again.id, again.ttl), (lease.id, Ttl::from_seconds(30)));
}

#[tokio::test]
async fn a_requester_cannot_name_hosts_without_end() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_000));
    for number in 0..1_000 {
        let host = HostName::try_new(&format!("host-{number}")).unwrap();
        allocate(&ports, 1, |wanted| wanted.host = host).await;
    }
    let refusal = refused(try_allocate(&ports, 1, |_| {}).await);
    assert!(matches!(refusal, Refusal::TooManyHosts { .. }), "{refusal}");
}

#[tokio::test]
async fn what_lapsed_while_the_registry_was_down_is_kept_once() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new(RegistryId(Uuid::from_u128(1))));
    let before = Registry::on(log.clone());
    let lease = allocate(&before.ports(rules(20_000, 20_009)), 1, |_| {}).await;
    before.clock.turn_seconds(3_600);
    let after = Registry::with(log.clone(), before.clock.clone(), upkeep::Options::default());
    after.submit(Command::GrantGrace { seconds: 20 }).await.unwrap();
    after.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(end_of(&after, lease.id), None, "its holder may renew it");
    after.clock.turn_seconds(10);
    // A restart in the middle does not start another.
    let again = Registry::with(log, after.clock.clone(), upkeep::Options::default());
    again.submit(Command::GrantGrace { seconds: 20 }).await.unwrap();
    again.clock.turn_seconds(10);
    again.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(end_of(&again, lease.id), Some(EndCause::Lapsed));
}

#[tokio::test]
async fn what_a_process_held_is_free_when_it_is_gone() {
    let registry = Registry::new();
    let ports = registry.ports(rules(20_000, 20_009));
    let process = |started| Process { pid: 4711, started, boot: Uuid::nil() };
    let of = |started| move |wanted: &mut Wanted| (wanted.process, wanted.ttl) = (Some(process(started)), None);
    let first = allocate(&ports, 1, of(1)).await;
    let reused = allocate(&ports, 2, of(2)).await;
    registry.clock.turn_seconds(1_000_000);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    registry.submit(Command::ProcessesGone(vec![process(1)])).await.unwrap();
    assert_eq!(end_of(&registry, first.id), Some(EndCause::ProcessGone));
    assert_eq!(end_of(&registry, reused.id), None, "the same number, another process");
}

#[tokio::test]
async fn the_lower_part_of_a_band_is_left_for_those_who_prefer_a_number() {
    let registry = Registry::new();
    let ports = registry.ports(Rules { reserved: vec![(None, band(20_050, 20_059))], ..rules(20_000, 20_099) });
    let mut got = Vec::new();
    for _ in 0..74 {
        got.push(allocate(&ports, 1, |_| {}).await.terms.port);
    }
    assert!(got.iter().all(|port| *port >= 20_016), "{got:?}");
    for _ in 0..16 {
        got.push(allocate(&ports, 1, |_| {}).await.terms.port);
    }
    assert!(matches!(refused(try_allocate(&ports, 1, |_| {}).await), Refusal::PortExhausted { .. }));
    got.sort_unstable();
    let all: Vec<u16> = (20_000..=20_099).filter(|port| !(20_050..=20_059).contains(port)).collect();
    assert_eq!(got, all, "each once, and none that is reserved");
}

#[tokio::test]
async fn a_number_that_somebody_uses_is_passed_over_and_remembered() {
    let registry = Registry::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = listener.local_addr().unwrap().port();
    let ports = registry.ports(rules(20_000, 29_999));
    let here = |range: Option<Band>| {
        move |wanted: &mut Wanted| {
            (wanted.host, wanted.range, wanted.preferred) = (HostName::try_new("here").unwrap(), range, Some(used));
        }
    };
    let lease = allocate(&ports, 1, here(None)).await;
    assert!(lease.terms.port != used && lease.terms.probed);
    let entries = registry.log.read(Sequence::ZERO, 10).unwrap();
    assert!(
        matches!(&entries[0].changes[..], [Change::PortConflict { port, .. }, Change::PortAllocated { .. }] if *port == used),
        "{entries:?}"
    );
    let refusal = refused(try_allocate(&ports, 1, here(Some(band(used, used)))).await);
    assert!(refusal.to_string().contains("kept back until"), "{refusal}");
}

#[tokio::test]
async fn a_single_number_that_is_in_use_is_refused_with_what_was_found() {
    let registry = Registry::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = listener.local_addr().unwrap().port();
    let ports = registry.ports(rules(used, used));
    let here = |wanted: &mut Wanted| wanted.host = HostName::try_new("here").unwrap();
    let Refusal::PortUnavailable { because, port, .. } = refused(try_allocate(&ports, 1, here).await) else { panic!() };
    assert_eq!(port, used);
    assert!(matches!(&*because, Because::InUse(found) if found.contains("in use")), "{because}");
    let pools = ports.pools(&registry.state());
    let (pool, counts) = pools.iter().find(|(pool, _)| pool.transport == Transport::Tcp).unwrap();
    assert_eq!((pool.quarantined, pool.available), (1, 0));
    assert_eq!((counts.granted, counts.refused, counts.conflicts), (0, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_empty_a_pool_without_meeting() {
    let registry = Registry::new();
    let ports = Arc::new(registry.ports(rules(20_000, 20_199)));
    let tasks = (0..250u128).map(|of| {
        let ports = ports.clone();
        tokio::spawn(async move { try_allocate(&ports, of, |_| {}).await })
    });
    let mut got = Vec::new();
    let mut without = 0;
    for task in tasks.collect::<Vec<_>>() {
        match task.await.unwrap() {
            Ok(lease) => got.push(lease.terms.port),
            Err(Error::Registry(engine::Error::Refused(Refusal::PortExhausted { .. }))) => without += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    got.sort_unstable();
    assert_eq!(got, (20_000..=20_199).collect::<Vec<u16>>());
    assert_eq!(without, 50);
    registry.state().check().unwrap();
}
