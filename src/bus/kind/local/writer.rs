//! The one thread that gives places: takes all that waits, writes what belongs on the disk in one commit, tells what
//! was carried, answers, and gives groups what is theirs.

use super::file::{File, Mark};
use super::groups::{Group, MemberId};
use super::limits::{Kept, Limits, later};
use super::{Shared, broken};
use crate::bus::kind::{Begin, Carried, Clock, Delivery, Facts, Failure, Heard, Outgoing, Place};
use crate::model::{SubscriberName, Time, TopicName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many requests are worked off together.
const BATCH_MAX: usize = 1_024;
/// How many places are reserved ahead of use.
const RESERVED: u64 = 4_096;
/// How often it is looked for what is too old.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long is waited where nothing becomes too old.
const IDLE: Duration = Duration::from_secs(3_600);
/// Greater than all places.
const NO_PLACE: Place = Place(i64::MAX as u64);

type Answer<T> = oneshot::Sender<Result<T, Failure>>;
/// Where the thread takes requests from.
pub(super) type Requests = Sender<Request>;
/// The groups: by name, how many are given out, and how far they are.
pub(super) type Positions = Vec<(SubscriberName, u64, Place)>;

/// What the thread is asked to do.
pub(super) enum Request {
    Publish { outgoing: Outgoing, answer: Answer<Place> },
    Join { name: SubscriberName, begin: Begin, answer: Answer<MemberId> },
    Next { name: SubscriberName, member: MemberId, answer: Answer<Delivery> },
    Acknowledge { name: SubscriberName, places: Vec<Place>, answer: Answer<()> },
    Retry { name: SubscriberName, place: Place, after: Duration, answer: Answer<()> },
    Leave { name: SubscriberName, member: MemberId },
    Forget { name: SubscriberName, answer: Answer<()> },
    Keep { topic: TopicName, kept: Kept, answer: Answer<()> },
    Facts { answer: Answer<(Facts, Positions)> },
    Close { answer: Answer<()> },
}

struct Published {
    carried: Carried,
    on_disk: bool,
    answer: Answer<Place>,
}

/// What is written in one piece.
#[derive(Default)]
struct Batch {
    published: Vec<Published>,
    touched: BTreeSet<SubscriberName>,
    answers: Vec<Answer<()>>,
}

pub(super) struct Writer {
    file: File,
    /// Behind the file, and so let go after it.
    _lock: std::fs::File,
    shared: Arc<Shared>,
    limits: Limits,
    heard: mpsc::Sender<Heard>,
    clock: Clock,
    mark: Mark,
    /// The latest place that was given.
    last: Place,
    /// Never goes back.
    now: Time,
    swept_at: Time,
    groups: BTreeMap<SubscriberName, Group>,
    waiting: HashMap<MemberId, Answer<Delivery>>,
    members: u64,
    /// The file did not serve: groups are tried again, not at once.
    stuck: bool,
}

impl Writer {
    pub(super) fn new(
        file: File,
        lock: std::fs::File,
        shared: Arc<Shared>,
        limits: Limits,
        heard: mpsc::Sender<Heard>,
        clock: Clock,
    ) -> rusqlite::Result<Self> {
        let mut mark = file.mark()?;
        if mark.volatile {
            // Whoever was here last did not close: what was in memory is gone.
            mark = Mark { gone: mark.reserved, volatile: false, ..mark };
        }
        let last = mark.reserved;
        {
            let mut memory = shared.memory();
            memory.gone = mark.gone;
            memory.last = Some(last).filter(|last| *last > Place(0));
        }
        let groups = file.groups()?.into_iter().collect();
        let now = file.latest()?;
        Ok(Writer {
            file,
            _lock: lock,
            shared,
            limits,
            heard,
            clock,
            mark,
            last,
            now,
            swept_at: Time::default(),
            groups,
            waiting: HashMap::new(),
            members: 0,
            stuck: false,
        })
    }

    /// Works until the bus is closed, or nobody is left who could ask.
    pub(super) fn run(mut self, requests: Receiver<Request>) {
        loop {
            let first = match requests.recv_timeout(self.patience()) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.now = self.now.max((self.clock)());
            let mut batch = Batch::default();
            for request in first.into_iter().chain(requests.try_iter().take(BATCH_MAX)) {
                if let Request::Close { answer } = request {
                    self.finish(std::mem::take(&mut batch));
                    let closed = self.close().map_err(broken);
                    // Gone before it is answered, so that the file can be opened again.
                    drop(self);
                    let _ = answer.send(closed);
                    return;
                }
                self.take(request, &mut batch);
            }
            self.finish(batch);
            self.sweep();
            self.stuck = !self.deliver();
        }
    }

    fn patience(&self) -> Duration {
        if self.stuck {
            return SWEEP_EVERY;
        }
        let is_empty = self.file.is_empty() && self.shared.memory().newest().is_none();
        let longest = if is_empty { IDLE } else { SWEEP_EVERY };
        let wake = self.groups.values().filter_map(Group::wakes_at).min();
        wake.map_or(longest, |wake| longest.min(Duration::from_micros(wake.micros_since(self.now) + 1)))
    }

    fn take(&mut self, request: Request, batch: &mut Batch) {
        match request {
            Request::Publish { outgoing, answer } => self.stage(outgoing, answer, batch),
            Request::Acknowledge { name, places, answer } => {
                self.touch(name, answer, batch, |group, _| places.iter().for_each(|place| group.acknowledge(*place)));
            }
            Request::Retry { name, place, after, answer } => {
                self.touch(name, answer, batch, |group, now| group.retry(place, later(now, after)));
            }
            Request::Next { name, member, answer } => match self.groups.get_mut(&name) {
                Some(group) => {
                    group.wait(member);
                    self.waiting.insert(member, answer);
                }
                None => drop(answer.send(Err(no_group(&name)))),
            },
            Request::Leave { name, member } => {
                self.waiting.remove(&member);
                if let Some(group) = self.groups.get_mut(&name) {
                    group.leave(member, self.now);
                }
            }
            Request::Keep { topic, kept, answer } => {
                self.limits.set(topic, kept);
                let _ = answer.send(Ok(()));
            }
            // These look at everything before them.
            Request::Join { name, begin, answer } => {
                self.finish(std::mem::take(batch));
                let _ = answer.send(self.join(name, begin).map_err(broken));
            }
            Request::Forget { name, answer } => {
                self.finish(std::mem::take(batch));
                let _ = answer.send(self.forget(&name).map_err(broken));
            }
            Request::Facts { answer } => {
                self.finish(std::mem::take(batch));
                let _ = answer.send(self.facts().map_err(broken));
            }
            Request::Close { answer } => drop(answer),
        }
    }

    fn touch(
        &mut self,
        name: SubscriberName,
        answer: Answer<()>,
        batch: &mut Batch,
        change: impl FnOnce(&mut Group, Time),
    ) {
        match self.groups.get_mut(&name) {
            Some(group) => {
                change(group, self.now);
                batch.touched.insert(name);
                batch.answers.push(answer);
            }
            None => drop(answer.send(Err(no_group(&name)))),
        }
    }

    /// Gives an event its place, and says where it is to be kept.
    fn stage(&mut self, outgoing: Outgoing, answer: Answer<Place>, batch: &mut Batch) {
        let on_disk = !self.groups.is_empty() || self.limits.is_for_disk(&outgoing.topic);
        if let Err(error) = self.reserve(on_disk) {
            let _ = answer.send(Err(broken(error)));
            return;
        }
        self.last = Place(self.last.0 + 1);
        let Outgoing { topic, text, traceparent, .. } = outgoing;
        let carried = Carried { topic, place: self.last, at: self.now, text, traceparent };
        batch.published.push(Published { carried, on_disk, answer });
    }

    /// Sees to it that the next place is one that is not given again after a crash, and that what such a crash would
    /// take is known.
    fn reserve(&mut self, on_disk: bool) -> rusqlite::Result<()> {
        let is_known = on_disk || self.mark.volatile;
        if self.last < self.mark.reserved && is_known {
            return Ok(());
        }
        let reserved = if self.last < self.mark.reserved { self.mark.reserved } else { Place(self.last.0 + RESERVED) };
        let mark = Mark { reserved, volatile: self.mark.volatile || !on_disk, ..self.mark };
        self.file.set_mark(mark)?;
        self.mark = mark;
        Ok(())
    }

    /// Writes a batch, tells what it carried, and answers.
    fn finish(&mut self, batch: Batch) {
        let Batch { published, touched, answers } = batch;
        let is_for_disk = !touched.is_empty() || published.iter().any(|published| published.on_disk);
        let written = if is_for_disk { self.write(&published, &touched) } else { Ok(()) };
        let failure = written.err().map(broken);
        let (carried, failed): (Vec<_>, Vec<_>) =
            published.into_iter().partition(|published| failure.is_none() || !published.on_disk);
        {
            let mut memory = self.shared.memory();
            for published in &carried {
                memory.last = Some(published.carried.place);
                if !published.on_disk {
                    memory.put(published.carried.clone(), &self.limits);
                }
            }
        }
        for Published { carried, answer, .. } in carried {
            let place = carried.place;
            // Nobody needs to listen.
            let _ = self.heard.blocking_send(Heard::Event(carried));
            let _ = answer.send(Ok(place));
        }
        let Some(failure) = failure else {
            answers.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
            return;
        };
        tracing::warn!(%failure, "a bus could not be written");
        failed.into_iter().for_each(|published| drop(published.answer.send(Err(failure.clone()))));
        answers.into_iter().for_each(|answer| drop(answer.send(Err(failure.clone()))));
    }

    fn write(&mut self, published: &[Published], touched: &BTreeSet<SubscriberName>) -> rusqlite::Result<()> {
        let needed_from = self.needed_from();
        self.in_one_piece(|writer| {
            let on_disk = || published.iter().filter(|published| published.on_disk).map(|published| &published.carried);
            for carried in on_disk() {
                writer.file.insert(carried)?;
            }
            for (name, group) in writer.groups.iter().filter(|(name, _)| touched.contains(*name)) {
                writer.file.write_group(name, group, group.horizon)?;
            }
            let topics: BTreeSet<&TopicName> = on_disk().map(|carried| &carried.topic).collect();
            let gone = writer.file.bound_topics(topics.into_iter(), &writer.limits, needed_from)?;
            writer.note_gone(gone)
        })?;
        for (_, group) in self.groups.iter_mut().filter(|(name, _)| touched.contains(*name)) {
            group.written(group.horizon);
        }
        Ok(())
    }

    fn in_one_piece<T>(&mut self, write: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.file.begin()?;
        let written = write(self).and_then(|written| self.file.commit().map(|()| written));
        if written.is_err() {
            self.file.roll_back();
        }
        written
    }

    /// Something is missing from now on: said before it goes, so that no reader takes a gap for all there is.
    fn note_gone(&mut self, gone: Option<Place>) -> rusqlite::Result<()> {
        let Some(gone) = gone.filter(|gone| *gone > self.mark.gone) else { return Ok(()) };
        self.mark.gone = gone;
        let mut memory = self.shared.memory();
        memory.gone = memory.gone.max(gone);
        self.file.set_mark(self.mark)
    }

    fn needed_from(&self) -> Place {
        self.groups.values().map(Group::needs_from).min().unwrap_or(NO_PLACE)
    }

    fn join(&mut self, name: SubscriberName, begin: Begin) -> rusqlite::Result<MemberId> {
        if !self.groups.contains_key(&name) {
            let position = match begin {
                Begin::Now => self.last,
                Begin::Behind(place) => place.min(self.last),
            };
            let group = Group::new(position, position, []);
            // What it is to get must outlive the process from now on.
            let in_memory: Vec<Carried> = self.shared.memory().behind(position).cloned().collect();
            self.in_one_piece(|writer| {
                in_memory.iter().try_for_each(|carried| writer.file.insert(carried))?;
                writer.file.write_group(&name, &group, position)
            })?;
            let mut memory = self.shared.memory();
            in_memory.iter().for_each(|carried| memory.remove(carried.place));
            drop(memory);
            self.groups.insert(name, group);
        }
        self.members += 1;
        Ok(MemberId(self.members))
    }

    fn forget(&mut self, name: &SubscriberName) -> rusqlite::Result<()> {
        if !self.groups.contains_key(name) {
            return Ok(());
        }
        self.in_one_piece(|writer| writer.file.remove_group(name))?;
        if let Some(mut group) = self.groups.remove(name) {
            while let Some(member) = group.first_waiting() {
                group.served();
                if let Some(answer) = self.waiting.remove(&member) {
                    let _ = answer.send(Err(no_group(name)));
                }
            }
        }
        Ok(())
    }

    fn facts(&mut self) -> rusqlite::Result<(Facts, Positions)> {
        let mut memory = self.shared.memory();
        memory.prune(self.now, &self.limits);
        let ((first, events, bytes), (first_on_disk, on_disk, disk_bytes)) = (memory.extent(), self.file.extent()?);
        let facts = Facts {
            events: events + on_disk,
            bytes: bytes + disk_bytes,
            first: first.into_iter().chain(first_on_disk).min(),
            last: memory.last,
            groups: Vec::new(),
        };
        let groups = self.groups.iter();
        let positions = groups.map(|(name, group)| (name.clone(), group.unacknowledged(), group.position)).collect();
        Ok((facts, positions))
    }

    /// Gives up what is too old or too much, now and then.
    fn sweep(&mut self) {
        if u128::from(self.now.micros_since(self.swept_at)) < SWEEP_EVERY.as_micros() {
            return;
        }
        self.swept_at = self.now;
        self.shared.memory().prune(self.now, &self.limits);
        if self.file.is_empty() {
            return;
        }
        let (now, needed_from) = (self.now, self.needed_from());
        let swept = self.in_one_piece(|writer| {
            let gone = writer.file.sweep(now, &writer.limits, needed_from)?;
            let cut = writer.file.cut(&writer.limits)?;
            writer.note_gone(gone.max(cut.last().copied()))?;
            Ok(cut)
        });
        match swept {
            Ok(cut) => self.groups.values_mut().for_each(|group| group.lose(&cut)),
            Err(error) => tracing::warn!(%error, "what a bus need not keep could not be taken away"),
        }
    }

    /// Gives waiting members what is there for them; says whether the file served.
    fn deliver(&mut self) -> bool {
        let mut served = true;
        for (name, group) in &mut self.groups {
            while let Some(member) = group.first_waiting() {
                let given = match next_for(&mut self.file, name, group, self.now) {
                    Ok(None) => break,
                    Ok(Some(Next::Missed { lost, oldest })) => Err(Failure::Missed { lost, oldest }),
                    Ok(Some(Next::Event(carried))) => {
                        Ok(Delivery { number: group.give(carried.place, member), carried })
                    }
                    Err(error) => {
                        tracing::warn!(group = %name, %error, "a durable group waits: the file does not serve");
                        served = false;
                        break;
                    }
                };
                group.served();
                let refused = self.waiting.remove(&member).map(|answer| answer.send(given));
                // One that has just gone: it says so itself, and what it has not taken is due again then.
                drop(refused);
            }
        }
        served
    }

    /// Leaves the file as it is to be found.
    fn close(&mut self) -> rusqlite::Result<()> {
        let mark = {
            let memory = self.shared.memory();
            let gone = memory.gone.max(memory.newest().unwrap_or_default());
            Mark { reserved: self.last, gone, volatile: false }
        };
        self.in_one_piece(|writer| {
            for (name, group) in &writer.groups {
                writer.file.write_group(name, group, group.position)?;
            }
            writer.file.set_mark(mark)
        })
    }
}

enum Next {
    Event(Carried),
    Missed { lost: u64, oldest: Place },
}

/// What a group gets next, if there is something.
fn next_for(file: &mut File, name: &SubscriberName, group: &mut Group, now: Time) -> rusqlite::Result<Option<Next>> {
    if let Some(lost) = group.missed() {
        let oldest = file.first_behind(Place(0))?.unwrap_or(Place(group.position.0 + 1));
        return Ok(Some(Next::Missed { lost: lost.get(), oldest }));
    }
    while let Some(place) = group.due(now) {
        match file.event(place)? {
            Some(carried) => return Ok(Some(Next::Event(carried))),
            // No longer kept, which was told.
            None => group.acknowledge(place),
        }
    }
    let Some(carried) = file.next_behind(group.position)? else { return Ok(None) };
    if carried.place > group.horizon {
        let horizon = group.horizon_for(carried.place);
        file.begin()?;
        let written = file.write_group(name, group, horizon).and_then(|()| file.commit());
        if let Err(error) = written {
            file.roll_back();
            return Err(error);
        }
        group.written(horizon);
    }
    Ok(Some(Next::Event(carried)))
}

fn no_group(name: &SubscriberName) -> Failure {
    Failure::Refused(format!("there is no durable group {name}"))
}
