//! What every home of the log keeps: one suite, run over each.

use super::memory::MemoryLog;
use super::sqlite::SqliteLog;
use super::{AppendError, Filter, Log, Range, ReadError, Snapshot};
use crate::model::{
    Actor, BusId, BusName, Change, Entry, EventKind, NodeId, Origin, RegistryId, Sequence, Thing, Time, ToolKey,
    ToolName, Version,
};
use uuid::Uuid;

const ID: RegistryId = RegistryId(Uuid::from_u128(9));

macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $case() {
                super::$case(&super::MemoryLog::new(super::ID));
            })*
        }
        mod sqlite {
            $(#[test] fn $case() {
                let directory = tempfile::tempdir().unwrap();
                super::$case(&super::SqliteLog::open(directory.path(), "a test", super::ID).unwrap());
            })*
        }
    };
}

conformance! {
    an_empty_log_ends_at_zero,
    entries_read_back_whole_and_in_order,
    an_append_at_the_wrong_place_changes_nothing,
    changes_are_found_by_every_filter_in_both_directions,
    changes_are_found_by_bus_and_by_who_made_them,
    heartbeats_are_read_but_not_found,
    instants_are_found_at_their_last_change,
    the_latest_snapshot_that_is_not_beyond_is_loaded,
    pruning_keeps_what_the_oldest_snapshot_does_not_sum_up,
    an_untouched_log_verifies,
}

fn node(number: u128) -> NodeId {
    NodeId(Uuid::from_u128(number))
}

fn tool(name: &str) -> ToolKey {
    ToolKey { name: ToolName::try_new(name).unwrap(), version: Version::unstated() }
}

fn entry(first: u64, second: i64, correlation_id: Option<&str>, changes: Vec<Change>) -> Entry {
    let origin = Origin {
        time: Time::from_micros(second * 1_000_000),
        actor: Actor::anonymous(Some("127.0.0.1:1".to_owned())),
        correlation_id: correlation_id.map(str::to_owned),
    };
    Entry { first: Sequence(first), origin, changes }
}

/// Five changes in three entries and two batches, at seconds 10 and 20.
fn filled(log: &dyn Log) -> Vec<Entry> {
    let entries = vec![
        entry(
            1,
            10,
            Some("one"),
            vec![Change::NodeExpired { node: node(1) }, Change::ToolRemoved { node: node(1), tool: tool("hash") }],
        ),
        entry(3, 10, None, vec![Change::NodeSeen { node: node(2), ttl: None, renew_leases: false, tools: None }]),
        entry(
            4,
            20,
            Some("two"),
            vec![
                Change::ToolExpired { node: node(2), tool: tool("sum") },
                Change::NodeDeregistered { node: node(2), reason: Some("because".to_owned()) },
            ],
        ),
    ];
    log.append(Sequence::ZERO, &entries[..2]).unwrap();
    log.append(Sequence(3), &entries[2..]).unwrap();
    entries
}

fn snapshot(log: &dyn Log, place: u64, second: i64) {
    let (sequence, time) = (Sequence(place), Time::from_micros(second * 1_000_000));
    log.save_snapshot(&Snapshot { sequence, time, things: Vec::new() }).unwrap();
}

fn found(log: &dyn Log, filter: &Filter, backward: bool, limit: usize) -> Vec<u64> {
    let after = log.pruned_upto().unwrap();
    let range = Range { after, upto: Sequence(5), backward, limit };
    log.find(filter, range).unwrap().into_iter().map(|record| record.sequence.0).collect()
}

fn an_empty_log_ends_at_zero(log: &dyn Log) {
    assert_eq!(log.registry_id(), ID);
    assert_eq!(log.head().unwrap().sequence, Sequence::ZERO);
    assert_eq!(log.read(Sequence::ZERO, 10).unwrap(), []);
    assert_eq!(log.place_at(Time::from_micros(5)).unwrap(), Sequence::ZERO);
    assert!(log.load_snapshot(Sequence(9)).unwrap().is_none());
}

fn entries_read_back_whole_and_in_order(log: &dyn Log) {
    let entries = filled(log);
    assert_eq!(log.head().unwrap().sequence, Sequence(5));
    assert_eq!(log.read(Sequence::ZERO, 100).unwrap(), entries);
    // A place within an entry gives that entry whole; a limit never cuts one.
    assert_eq!(log.read(Sequence(1), 1).unwrap(), entries[..1]);
    assert_eq!(log.read(Sequence(2), 2).unwrap(), entries[1..]);
    assert_eq!(log.read(Sequence(5), 100).unwrap(), []);
}

fn an_append_at_the_wrong_place_changes_nothing(log: &dyn Log) {
    filled(log);
    let late = [entry(9, 30, None, vec![Change::NodeExpired { node: node(1) }])];
    let refused = log.append(Sequence(8), &late);
    assert!(matches!(refused, Err(AppendError::Elsewhere { actual: Sequence(5), .. })), "{refused:?}");
    assert_eq!(log.head().unwrap().sequence, Sequence(5));
}

fn changes_are_found_by_every_filter_in_both_directions(log: &dyn Log) {
    filled(log);
    let all = Filter::default();
    assert_eq!(found(log, &all, false, 9), [1, 2, 4, 5]);
    assert_eq!(found(log, &all, true, 3), [5, 4, 2]);
    let second = |second: i64| Some(Time::from_micros(second * 1_000_000));
    for (filter, expected) in [
        (Filter { kinds: vec![EventKind::ToolExpired, EventKind::NodeExpired], ..all.clone() }, &[1, 4][..]),
        (Filter { node: Some(node(2)), ..all.clone() }, &[4, 5]),
        (Filter { tool: Some("hash".to_owned()), ..all.clone() }, &[2]),
        (Filter { correlation_id: Some("one".to_owned()), ..all.clone() }, &[1, 2]),
        (Filter { since: second(20), ..all.clone() }, &[4, 5]),
        (Filter { until: second(20), ..all.clone() }, &[1, 2]),
        (Filter { since: second(11), until: second(20), ..all.clone() }, &[]),
        (Filter { node: Some(node(2)), tool: Some("hash".to_owned()), ..all.clone() }, &[]),
    ] {
        assert_eq!(found(log, &filter, false, 9), expected, "{filter:?}");
        assert_eq!(log.count(&filter, Sequence(5)).unwrap(), expected.len() as u64, "{filter:?}");
    }
    assert_eq!(log.count(&all, Sequence(4)).unwrap(), 3);
}

fn changes_are_found_by_bus_and_by_who_made_them(log: &dyn Log) {
    let bus = |number| BusId(Uuid::from_u128(number));
    let deleted = |number| Change::BusDeleted { bus: bus(number), name: BusName::try_new("shop").unwrap() };
    let mut by_ann = entry(2, 10, None, vec![deleted(2), Change::NodeExpired { node: node(1) }]);
    by_ann.origin.actor.principal = "ann".to_owned();
    log.append(Sequence::ZERO, &[entry(1, 10, None, vec![deleted(1)]), by_ann]).unwrap();
    let all = Filter::default();
    for (filter, expected) in [
        (Filter { bus: Some(bus(1)), ..all.clone() }, &[1][..]),
        (Filter { bus: Some(bus(2)), ..all.clone() }, &[2]),
        (Filter { bus: Some(bus(3)), ..all.clone() }, &[]),
        (Filter { actor: Some("ann".to_owned()), ..all.clone() }, &[2, 3]),
        (Filter { actor: Some("anonymous".to_owned()), ..all.clone() }, &[1]),
        (Filter { actor: Some("an".to_owned()), ..all.clone() }, &[]),
        (Filter { actor: Some("ann".to_owned()), bus: Some(bus(1)), ..all.clone() }, &[]),
    ] {
        assert_eq!(found(log, &filter, false, 9), expected, "{filter:?}");
        assert_eq!(log.count(&filter, Sequence(3)).unwrap(), expected.len() as u64, "{filter:?}");
    }
}

fn heartbeats_are_read_but_not_found(log: &dyn Log) {
    filled(log);
    let heard = Filter { node: Some(node(2)), ..Filter::default() };
    assert!(!found(log, &heard, false, 9).contains(&3));
    assert_eq!(
        log.read(Sequence(2), 1).unwrap()[0].changes,
        [Change::NodeSeen { node: node(2), ttl: None, renew_leases: false, tools: None }]
    );
}

fn instants_are_found_at_their_last_change(log: &dyn Log) {
    filled(log);
    for (second, place) in [(9, 0), (10, 3), (15, 3), (20, 5), (99, 5)] {
        assert_eq!(log.place_at(Time::from_micros(second * 1_000_000)).unwrap(), Sequence(place), "second {second}");
    }
}

fn the_latest_snapshot_that_is_not_beyond_is_loaded(log: &dyn Log) {
    filled(log);
    snapshot(log, 3, 10);
    snapshot(log, 5, 20);
    for (upto, place) in [(2, None), (3, Some(3)), (4, Some(3)), (9, Some(5))] {
        let loaded = log.load_snapshot(Sequence(upto)).unwrap();
        assert_eq!(loaded.map(|snapshot| snapshot.sequence.0), place, "up to {upto}");
    }
}

fn pruning_keeps_what_the_oldest_snapshot_does_not_sum_up(log: &dyn Log) {
    let entries = filled(log);
    assert_eq!(log.prune(Sequence(5)).unwrap(), Sequence::ZERO, "without a snapshot nothing can go");
    snapshot(log, 3, 10);
    assert_eq!(log.prune(Sequence(4)).unwrap(), Sequence(3));
    assert_eq!(log.pruned_upto().unwrap(), Sequence(3));
    assert_eq!(log.read(Sequence(3), 9).unwrap(), entries[2..]);
    let gone = log.read(Sequence(2), 9);
    assert!(matches!(gone, Err(ReadError::Pruned { oldest: Sequence(3) })), "{gone:?}");
    assert_eq!(found(log, &Filter::default(), false, 9), [4, 5]);
    assert_eq!(log.place_at(Time::from_micros(10_000_000)).unwrap(), Sequence(3));
    let before = log.place_at(Time::from_micros(9_000_000));
    assert!(matches!(before, Err(ReadError::Pruned { .. })), "{before:?}");
    log.append(Sequence(5), &[entry(6, 30, None, vec![Change::NodeExpired { node: node(1) }])]).unwrap();
    assert_eq!(log.verify().unwrap().broken, None);
}

fn an_untouched_log_verifies(log: &dyn Log) {
    filled(log);
    let found = log.verify().unwrap();
    assert_eq!((found.changes, found.upto, found.broken), (5, Sequence(5), None));
}

#[test]
fn a_snapshot_keeps_every_thing() {
    let directory = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(directory.path(), "a test", ID).unwrap();
    let key = crate::model::CollisionKey::Tool(ToolName::try_new("t").unwrap(), Version::unstated());
    filled(&log);
    let things = vec![Thing::Collision(key, Time::from_micros(3))];
    log.save_snapshot(&Snapshot { sequence: Sequence(3), time: Time::from_micros(2), things: things.clone() }).unwrap();
    assert_eq!(log.load_snapshot(Sequence(3)).unwrap().unwrap().things, things);
}
