//! The one writer: takes the commands that are waiting, decides them in order, appends what they change as one
//! batch, publishes the new version, then answers.
//!
//! One fsync serves every command of a batch (group commit): while one batch is on its way to the disk, the next
//! gathers. Nothing is answered, and nothing is seen, before it is durable.

use super::apply;
use super::command::{Command, Request};
use super::decide::{Answer, Decision, decide};
use super::refusal::Refusal;
use super::state::State;
use super::upkeep::Upkeep;
use super::view::{Batch, Views};
use crate::log::{AppendError, Log, ReadError};
use crate::model::{Entry, Origin, Sequence, Time};
use crate::telemetry;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::{NoContext, Timestamp, Uuid};

/// How long the writer looks for more commands at a time: about what one takes on its way here.
const GATHER_STEP: Duration = Duration::from_micros(50);

/// Where the registry reads the time. Real in the running program, turned by hand in tests.
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> Time;
}

/// A new id that sorts by the instant at which it was drawn (UUID version 7).
pub fn fresh_id(now: Time) -> Uuid {
    let micros = u64::try_from(now.as_micros()).unwrap_or(0);
    let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, micros / 1_000_000, nanos))
}

/// How the writer works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many commands may wait; who comes later waits for a place.
    pub queue_len_max: usize,
    /// How many commands go into one batch.
    pub batch_len_max: usize,
    /// What the writer counts.
    pub metrics: telemetry::Writer,
}

impl Default for Options {
    fn default() -> Self {
        Options { queue_len_max: 4_096, batch_len_max: 1_024, metrics: telemetry::Writer::default() }
    }
}

/// What came of a command that was not refused.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What its caller is told.
    pub answer: Answer,
    /// The first version that reflects it.
    pub view: Arc<State>,
    /// The place of its first change; `None` where there was nothing to change.
    pub first: Option<Sequence>,
}

/// Why a command had no effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It is not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made durable; nothing changed. Trying again may help.
    #[error("the change could not be stored, and was not made")]
    NotStored(#[source] Arc<AppendError>),
    /// A failure left the end of the log unknown: whether the change was made shows after a restart has read it, and
    /// until then nothing is changed.
    #[error("writing the registry's log failed: whether this change was made shows when the registry is restarted")]
    Halted(#[source] Arc<AppendError>),
    /// The registry is shutting down.
    #[error("the registry is shutting down")]
    Stopped,
}

/// Why a registry could not start from its log.
#[derive(Debug, thiserror::Error)]
#[error("the registry's log could not be read")]
pub struct StartError(#[from] ReadError);

struct Job {
    request: Request,
    /// Who waits for what comes of it, if anybody does.
    answer: Option<Caller>,
}

enum Message {
    Job(Job),
    /// What happened and is to be kept: it takes part in the next batch, whoever else that is for.
    Records(Vec<Job>),
    /// Take nothing more, finish what waits.
    Stop,
}

/// How the writer does.
#[derive(Clone, Debug)]
pub enum Condition {
    /// It writes.
    Writing,
    /// The last batch was refused at this instant, and nothing of it is in the log; the next one is tried.
    Refused {
        /// When.
        at: Time,
        /// Why.
        cause: Arc<AppendError>,
    },
    /// Nothing is written until the registry is restarted.
    Halted(Arc<AppendError>),
    /// It is gone.
    Ended,
}

/// The way to the writer; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    // Held for a copy.
    condition: Arc<Mutex<Condition>>,
}

impl Handle {
    /// How the writer does now.
    pub fn condition(&self) -> Condition {
        if self.messages.is_closed() {
            return Condition::Ended;
        }
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many commands wait for the writer, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let max = self.messages.max_capacity();
        (max - self.messages.capacity(), max)
    }

    /// Has a command decided and, unless it is refused, made durable. Dropping the future does not take back a
    /// command that the writer has already picked up.
    pub async fn submit(&self, request: Request) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Job { request, answer: Some(answer) };
        self.messages.send(Message::Job(job)).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)?
    }

    /// Has what happened made durable, in this order; answers when all of it is.
    pub async fn record(&self, requests: Vec<Request>) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let mut jobs: Vec<Job> = requests.into_iter().map(|request| Job { request, answer: None }).collect();
        let Some(last) = jobs.last_mut() else { return Ok(()) };
        last.answer = Some(answer);
        self.messages.send(Message::Records(jobs)).await.map_err(|_| Error::Stopped)?;
        answered.await.map_err(|_| Error::Stopped)?.map(drop)
    }
}

/// The running writer.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    views: Arc<Views>,
    writer: thread::JoinHandle<()>,
}

impl Engine {
    /// Reads the log's latest snapshot and what came after it, and starts the writer.
    pub fn start(
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        options: &Options,
        upkeep: super::upkeep::Options,
    ) -> Result<Self, StartError> {
        let (state, snapshot) = recover(&*log)?;
        let views = Arc::new(Views::new(log.clone(), Arc::new(state)));
        let upkeep = Upkeep::start(log.clone(), upkeep, snapshot);
        let (messages, waiting) = mpsc::channel(options.queue_len_max);
        let condition = Arc::new(Mutex::new(Condition::Writing));
        let writer = Writer {
            condition: condition.clone(),
            metrics: options.metrics.clone(),
            log,
            clock,
            views: views.clone(),
            upkeep,
            waiting,
            batch_len_max: options.batch_len_max,
            halted: None,
            refused: false,
            last_len: 0,
            storing: Duration::ZERO,
            runtime: tokio::runtime::Handle::try_current().ok(),
        };
        let writer = thread::Builder::new()
            .name("onex-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| ReadError::Failed(error.into()))?;
        Ok(Engine { handle: Handle { messages, condition }, views, writer })
    }

    /// The way to the writer.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The versions that the writer publishes.
    pub fn views(&self) -> &Arc<Views> {
        &self.views
    }

    /// Ends the writer after what waits is done and a last snapshot is taken. Blocks until then; handles that are
    /// left answer [`Error::Stopped`].
    pub fn stop(self) {
        // Refused only by a writer that has ended already.
        let _ = self.handle.messages.blocking_send(Message::Stop);
        // A writer that panicked has said so; there is nothing left to wait for.
        let _ = self.writer.join();
    }
}

/// The state that the log adds up to, and the place of the snapshot it was started from.
pub fn recover(log: &dyn Log) -> Result<(State, Sequence), ReadError> {
    const CHANGES_AT_ONCE: usize = 10_000;
    let head = log.head()?;
    let mut state = match log.load_snapshot(head.sequence)? {
        Some(snapshot) => apply::restore(snapshot.sequence, snapshot.time, snapshot.things),
        None => State::beginning(),
    };
    let snapshot = state.sequence;
    while state.sequence < head.sequence {
        let entries = log.read(state.sequence, CHANGES_AT_ONCE)?;
        if entries.is_empty() {
            let reason = format!("the log ends at {} and nothing is found behind {}", head.sequence, state.sequence);
            return Err(ReadError::Damaged { place: state.sequence, reason });
        }
        entries.iter().for_each(|entry| apply::entry(&mut state, entry));
    }
    Ok((state, snapshot))
}

struct Writer {
    condition: Arc<Mutex<Condition>>,
    metrics: telemetry::Writer,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    views: Arc<Views>,
    upkeep: Upkeep,
    waiting: mpsc::Receiver<Message>,
    batch_len_max: usize,
    halted: Option<Arc<AppendError>>,
    /// Whether the last batch was refused.
    refused: bool,
    /// How many commands the last batch had.
    last_len: usize,
    /// How long the last batch took to store.
    storing: Duration,
    /// The runtime that the callers run on, where the engine was started from within one.
    runtime: Option<tokio::runtime::Handle>,
}

/// Whoever waits for what comes of a command.
type Caller = oneshot::Sender<Result<Outcome, Error>>;
type Answering = (Option<Caller>, Result<(Answer, Option<Sequence>), Error>);

impl Writer {
    fn run(mut self) {
        let mut messages = Vec::new();
        while self.waiting.blocking_recv_many(&mut messages, self.batch_len_max) > 0 {
            self.gather(&mut messages);
            let mut jobs = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Job(job) => jobs.push(job),
                    Message::Records(records) => jobs.extend(records),
                    // What was sent before is still received; then the channel is empty and closed.
                    Message::Stop => self.waiting.close(),
                }
            }
            self.batch(jobs);
        }
        self.upkeep.stop(self.views.current());
    }

    /// Takes what else is coming, until there is as much as last time: who was answered then may well ask again, and few
    /// large batches serve all sooner than many small ones. Goes on as long as more come, for about as long as the last
    /// batch took to store at most; whoever is alone does not wait, nor does anybody where nothing had to be stored.
    fn gather(&mut self, messages: &mut Vec<Message>) {
        #[expect(clippy::disallowed_methods, reason = "how long to wait, not what is decided")]
        let begun = Instant::now();
        while messages.len() < self.last_len && begun.elapsed() < self.storing {
            let before = messages.len();
            thread::sleep(GATHER_STEP);
            while messages.len() < self.batch_len_max
                && let Ok(message) = self.waiting.try_recv()
            {
                messages.push(message);
            }
            if messages.len() == before {
                break;
            }
        }
        self.last_len = messages.len();
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let before = self.views.current();
        let mut state = State::clone(&before);
        // The clock may be set back; the log's time never goes back.
        let now = self.clock.now().max(state.time);
        let mut entries = Vec::new();
        let mut answers: Vec<Answering> = Vec::new();
        self.metrics.took(jobs.len());
        for Job { request, answer } in jobs {
            let left = answer.as_ref().is_some_and(Caller::is_closed);
            if left && !matches!(request.command, Command::ExpireLapsed | Command::Record(_)) {
                continue;
            }
            let decided = match &self.halted {
                Some(cause) => Err(Error::Halted(cause.clone())),
                None => decide(&state, now, &request.command).map_err(Error::Refused),
            };
            let decided = decided.map(|decision| take(&mut state, &mut entries, now, request, decision));
            answers.push((answer, decided));
        }
        let stored = self.store(before.sequence, &entries);
        self.count(&answers, stored.is_ok());
        let view = match stored {
            Ok(()) if entries.is_empty() => before,
            Ok(()) => self.publish(state, entries),
            Err(error) => return self.fail(error, answers),
        };
        let outcomes = answers.into_iter().filter_map(|(answer, decided)| {
            Some((answer?, decided.map(|(answer, first)| Outcome { answer, view: view.clone(), first })))
        });
        self.tell(outcomes.collect());
    }

    fn store(&mut self, expected: Sequence, entries: &[Entry]) -> Result<(), AppendError> {
        #[expect(clippy::disallowed_methods, reason = "how long to wait for others, not what is decided")]
        let begun = Instant::now();
        let stored = if entries.is_empty() { Ok(()) } else { self.log.append(expected, entries) };
        self.storing = if entries.is_empty() { Duration::ZERO } else { begun.elapsed() };
        if stored.is_ok() && !entries.is_empty() {
            self.metrics.appended(entries.iter().map(|entry| entry.changes.len()).sum(), self.storing);
            if self.refused {
                self.refused = false;
                self.tell_condition(Condition::Writing);
            }
        }
        stored
    }

    fn count(&self, answers: &[Answering], is_stored: bool) {
        let (mut changed, mut unchanged, mut refused, mut failed) = (0, 0, 0, 0);
        for (_, decided) in answers {
            match decided {
                Err(Error::Refused(_)) => refused += 1,
                Err(_) => failed += 1,
                Ok(_) if !is_stored => failed += 1,
                Ok((_, Some(_))) => changed += 1,
                Ok((_, None)) => unchanged += 1,
            }
        }
        let outcomes = [("changed", changed), ("unchanged", unchanged), ("refused", refused), ("failed", failed)];
        outcomes.into_iter().for_each(|(outcome, count)| self.metrics.decided(outcome, count));
    }

    fn tell_condition(&self, condition: Condition) {
        *self.condition.lock().unwrap_or_else(PoisonError::into_inner) = condition;
    }

    /// Tells callers what came of their commands. A caller who has left is told nothing; what was decided stands.
    ///
    /// Where there is a runtime, one of its tasks tells many: waking them from in there costs a fraction of waking each
    /// from this thread.
    fn tell(&self, outcomes: Vec<(Caller, Result<Outcome, Error>)>) {
        let one = outcomes.len() == 1;
        let tell = move || outcomes.into_iter().for_each(|(answer, outcome)| _ = answer.send(outcome));
        match &self.runtime {
            Some(runtime) if !one => _ = runtime.spawn(async move { tell() }),
            _ => tell(),
        }
    }

    fn publish(&mut self, state: State, entries: Vec<Entry>) -> Arc<State> {
        let view = Arc::new(state);
        self.views.publish(view.clone(), Batch::new(entries));
        self.upkeep.consider(&view);
        view
    }

    fn fail(&mut self, error: AppendError, answers: Vec<Answering>) {
        let error = Arc::new(error);
        let halts = !matches!(*error, AppendError::Refused(_));
        tracing::error!(error = &*error as &dyn std::error::Error, halts, "the log could not be written");
        self.metrics.failed();
        if halts {
            self.halted = Some(error.clone());
            self.tell_condition(Condition::Halted(error.clone()));
        } else {
            self.refused = true;
            self.tell_condition(Condition::Refused { at: self.clock.now(), cause: error.clone() });
        }
        for answer in answers.into_iter().filter_map(|(answer, _)| answer) {
            let failed = if halts { Error::Halted(error.clone()) } else { Error::NotStored(error.clone()) };
            let _ = answer.send(Err(failed));
        }
    }
}

/// Makes a decision part of the batch.
fn take(
    state: &mut State,
    entries: &mut Vec<Entry>,
    now: Time,
    request: Request,
    decision: Decision,
) -> (Answer, Option<Sequence>) {
    let Decision { changes, answer } = decision;
    if changes.is_empty() {
        return (answer, None);
    }
    let first = state.sequence.next();
    let origin = Origin { time: now, actor: request.actor, correlation_id: request.correlation_id };
    let entry = Entry { first, origin, changes };
    apply::entry(state, &entry);
    entries.push(entry);
    (answer, Some(first))
}
