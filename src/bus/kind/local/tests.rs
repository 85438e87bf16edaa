use super::super::{Clock, Delivery, Heard};
use super::*;
use crate::bus::conformance::{Open, Site, name, next, outgoing, publish};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::sync::mpsc;

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
fn clock() -> Clock {
    Arc::new(|| Time::from_micros(jiff::Timestamp::now().as_microsecond()))
}

struct Folder(TempDir);

/// A folder that a bus's file is in.
pub(in crate::bus) async fn site() -> Option<impl Site> {
    Some(Folder(tempfile::tempdir().unwrap()))
}

impl Folder {
    fn options(&self) -> Options {
        Options::new(self.0.path().join("bus.db"))
    }

    async fn open_with(&self, options: &Options) -> Open {
        let (sender, heard) = mpsc::channel(10_000);
        loop {
            match open(options.clone(), sender.clone(), clock()) {
                Ok(local) => return Open { carrier: Box::new(local), heard },
                // The one before has been let go and is about to end.
                Err(OpenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Site for Folder {
    fn open_keeping(&self, events: u64) -> BoxFuture<'_, Open> {
        let mut options = self.options();
        options.kept.events = events;
        // All in memory, until a group needs it.
        options.memory.events = u64::MAX;
        Box::pin(async move { self.open_with(&options).await })
    }
}

fn places(carried: &[Carried]) -> Vec<u64> {
    carried.iter().map(|carried| carried.place.0).collect()
}

#[tokio::test]
async fn a_process_that_ends_without_closing_loses_nothing_that_groups_are_owed() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let bus = folder.open_with(&folder.options()).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*bus.carrier, 1, 5).await;
    for _ in 0..3 {
        assert_eq!(next(&mut group).await.number, 1);
    }
    group.acknowledge(&published[..1]).await.unwrap();
    group.retry(published[1], Duration::from_millis(1)).await.unwrap();
    drop((group, bus));
    let bus = folder.open_with(&folder.options()).await;
    let later = publish(&*bus.carrier, 6, 1).await;
    assert!(later[0] > published[4]);
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let mut came = Vec::new();
    for _ in 0..5 {
        let Delivery { carried, number } = next(&mut group).await;
        came.push((carried.place, number > 1));
    }
    came.sort();
    // What had been given out is marked; so is what may have been.
    let expected: Vec<(Place, bool)> =
        published[1..].iter().map(|place| (*place, true)).chain([(later[0], false)]).collect();
    assert_eq!(came, expected);
}

#[tokio::test]
async fn what_was_in_memory_only_is_known_to_be_missing_after_a_crash() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let bus = folder.open_with(&folder.options()).await;
    let published = publish(&*bus.carrier, 1, 5).await;
    drop(bus);
    let bus = folder.open_with(&folder.options()).await;
    assert_eq!(bus.carrier.read(Place(0), 9).await, Ok(Vec::new()));
    let gone = bus.carrier.read(published[0], 9).await;
    assert!(matches!(gone, Err(Failure::Gone { oldest }) if oldest > published[4]), "{gone:?}");
    let later = publish(&*bus.carrier, 6, 1).await;
    assert_eq!(bus.carrier.read(published[0], 9).await, Err(Failure::Gone { oldest: later[0] }));
    bus.carrier.close().await;
    let bus = folder.open_with(&folder.options()).await;
    assert_eq!(bus.carrier.read(later[0], 9).await, Ok(Vec::new()));
    let next = publish(&*bus.carrier, 7, 1).await;
    assert_eq!(next[0].0, later[0].0 + 1, "a bus that was closed reserves nothing");
}

#[tokio::test]
async fn a_topic_that_is_kept_beyond_memory_outlives_a_crash() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let mut options = folder.options();
    let topic = crate::bus::conformance::topic;
    options.topics.push((topic("kept"), Kept { events: 3, age: Duration::from_secs(86_400) }));
    let bus = folder.open_with(&options).await;
    for number in 1..=5 {
        bus.carrier.publish(outgoing("kept", number)).await.unwrap();
        bus.carrier.publish(outgoing("brief", 100 + number)).await.unwrap();
    }
    let all = bus.carrier.read(Place(0), 100).await.unwrap();
    assert_eq!(places(&all), [2, 4, 5, 6, 7, 8, 9, 10], "in order, from memory and disk");
    assert_eq!(bus.carrier.facts().await.unwrap().events, 8);
    drop(bus);
    let bus = folder.open_with(&options).await;
    assert_eq!(places(&bus.carrier.read(Place(0), 100).await.unwrap()), [5, 7, 9]);
}

#[tokio::test]
async fn what_a_group_needs_is_kept_beyond_a_topics_bounds_and_goes_when_it_is_done() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let mut options = folder.options();
    options.kept = Kept { events: 2, age: Duration::ZERO };
    let bus = folder.open_with(&options).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*bus.carrier, 1, 20).await;
    for place in &published {
        assert_eq!(next(&mut group).await.carried.place, *place);
    }
    assert_eq!(bus.carrier.facts().await.unwrap().events, 20);
    group.acknowledge(&published).await.unwrap();
    until(async || {
        publish(&*bus.carrier, 21, 1).await;
        let next = next(&mut group).await.carried.place;
        group.acknowledge(&[next]).await.unwrap();
        bus.carrier.facts().await.unwrap().first > Some(published[19])
    })
    .await;
}

#[tokio::test]
async fn a_group_is_told_where_the_greatest_bound_took_what_it_had_not_got() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let mut options = folder.options();
    (options.disk_bytes, options.disk_bytes_max) = (100, 100);
    let bus = folder.open_with(&options).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let published = publish(&*bus.carrier, 1, 200).await;
    until(async || bus.carrier.facts().await.unwrap().bytes <= 100).await;
    let mut came = None;
    let told = loop {
        match group.next().await {
            Ok(delivery) => came = Some(delivery.carried.place),
            Err(failure) => break failure,
        }
    };
    let Failure::Missed { lost, oldest } = told else { panic!("{told:?}") };
    let behind = came.unwrap_or(Place(0));
    assert!(oldest > behind && lost > 0);
    assert_eq!(lost, published.iter().filter(|place| **place > behind && **place < oldest).count() as u64);
    assert_eq!(next(&mut group).await.carried.place, oldest);
}

#[tokio::test]
async fn a_thousand_publishes_at_once_are_carried_in_order() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let mut bus = folder.open_with(&folder.options()).await;
    let _group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let publishing = (1..=1_000).map(|number| bus.carrier.publish(outgoing("t", number)));
    let published = futures_util::future::join_all(publishing).await;
    let published: Vec<Place> = published.into_iter().map(Result::unwrap).collect();
    for place in published {
        let Some(Heard::Event(carried)) = bus.heard.recv().await else { panic!("nothing is heard") };
        assert_eq!(carried.place, place);
    }
}

#[tokio::test]
async fn a_file_that_is_in_use_or_somebody_elses_is_refused() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let bus = folder.open_with(&folder.options()).await;
    let (sender, _heard) = mpsc::channel(1);
    let second = open(folder.options(), sender.clone(), clock());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    bus.carrier.close().await;
    let mut options = folder.options();
    options.file = folder.0.path().join("other.db");
    rusqlite::Connection::open(&options.file).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(open(options.clone(), sender.clone(), clock()), Err(OpenError::Foreign { .. })));
    std::fs::write(&options.file, Bytes::from_static(b"no database at all, but a text of some length")).unwrap();
    assert!(open(options, sender, clock()).is_err());
}

/// Where the process that is to be killed has its bus.
const FOLDER: &str = "ONEX_TEST_BUS_FOLDER";

/// Publishes until it is killed, and says on stdout what was answered. Run by the test below, in a process of its own.
#[tokio::test]
#[ignore = "run by another test, to be killed"]
async fn publishes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (sender, _heard) = mpsc::channel(1_000_000);
    let bus = open(Options::new(PathBuf::from(folder).join("bus.db")), sender, clock()).unwrap();
    let mut group = bus.group(name("g"), Begin::Now).await.unwrap();
    let (mut out, bus) = (std::io::stdout(), &bus);
    let mut say = |what: &str, places: &[Place]| {
        let places: Vec<String> = places.iter().map(|place| place.0.to_string()).collect();
        writeln!(out, "\n{what} {}", places.join(" ")).and_then(|()| out.flush()).unwrap();
    };
    for round in 0.. {
        let together = (1..=20).map(|number| bus.publish(outgoing("t", round * 20 + number)));
        let published = futures_util::future::join_all(together).await;
        let published: Vec<Place> = published.into_iter().map(Result::unwrap).collect();
        say("published", &published);
        // Half of it is done, the other half is had and not.
        for _ in 0..20 {
            next(&mut group).await;
        }
        say("acknowledging", &published[..10]);
        group.acknowledge(&published[..10]).await.unwrap();
        say("acknowledged", &published[..10]);
    }
}

#[tokio::test]
async fn a_process_that_is_killed_has_lost_nothing_that_it_answered() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("{module}::publishes_until_it_is_killed")])
        .env(FOLDER, folder.0.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    // In the middle of something: after so many lines, and what is on its way.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut take = |line: String| {
        let mut words = line.split(' ');
        let what = words.next().unwrap().to_owned();
        said.entry(what).or_default().extend(words.filter_map(|place| Some(Place(place.parse().ok()?))));
    };
    lines.by_ref().filter(|line| line.contains(' ')).take(90).for_each(&mut take);
    child.kill().unwrap();
    lines.for_each(take);
    child.wait().unwrap();
    let (published, acknowledged) = (&said["published"], &said["acknowledged"]);
    assert!(acknowledged.len() >= 200, "{said:?}");
    let bus = folder.open_with(&folder.options()).await;
    let mut group = bus.carrier.group(name("g"), Begin::Now).await.unwrap();
    let end = publish(&*bus.carrier, 1, 1).await[0];
    let mut came = BTreeSet::new();
    while !came.contains(&end) {
        let Delivery { carried, .. } = next(&mut group).await;
        assert!(came.insert(carried.place) && !acknowledged.contains(&carried.place), "{carried:?} comes again");
    }
    // What is due again comes before what is new, and so all of it has come.
    let owed = published.difference(&said["acknowledging"]);
    let lost: Vec<&Place> = owed.filter(|place| !came.contains(*place)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("it never holds");
}
