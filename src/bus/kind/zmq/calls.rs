//! Calls of tools over the `request` endpoint: programs with DEALER sockets say what they serve, and are sent calls.
//!
//! What they say and hear begins with a frame that no topic can be:
//!
//! | a program says | |
//! | --- | --- |
//! | `[">serve", ADDRESS]` | it takes calls to this address, as long as its connection stands; answered `[">serving", ADDRESS]`, or `[">refused", REASON]` |
//! | `[">leave", ADDRESS]` | it does not any longer |
//! | `[">result", CALL, JSON]` | what a call gave |
//! | `[">error", CALL, JSON]` | it failed: `{code, message, details, retryable}` |
//!
//! | it hears | |
//! | --- | --- |
//! | `[">call", CALL, ADDRESS, ARGUMENTS, HEADERS]` | the last two are JSON objects |
//! | `[">stop", CALL]` | nobody waits for this any more |
//!
//! Whoever serves an address says so again every few seconds: a library connects again by itself when the registry was
//! away, and says nothing of that. Of several that serve one address each gets a call in turn. A call whose program
//! goes has no answer.

use super::frame::Message;
use crate::bus::kind::failed;
use crate::model::TopicName;
use crate::model::bus_call::{Answered, Call, Unanswered};
use bytes::Bytes;
use futures_util::future::select_all;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How many messages wait for a program. What is more waits with who asks, [`READS_WITHIN`] at most.
const WAITING_MAX: usize = 64;
/// How long a program with a full queue may take to read from it, until it counts as one that does not read.
const READS_WITHIN: Duration = Duration::from_secs(5);
/// How many addresses one program may serve.
const ADDRESSES_MAX: usize = 1_000;

/// Where messages wait for a program.
type Queue = mpsc::Sender<Vec<Bytes>>;

/// A program that is connected to be asked or to ask.
struct Program {
    queue: Queue,
    /// What stands before everything that it is sent, as it stood before what it said.
    path: Vec<Bytes>,
    serves: BTreeSet<TopicName>,
}

struct Waiting {
    program: u64,
    bytes_max: usize,
    tell: oneshot::Sender<Result<Answered, Unanswered>>,
}

/// Where the answer to a call comes; closed where its program goes.
type Answer = oneshot::Receiver<Result<Answered, Unanswered>>;

#[derive(Default)]
struct State {
    programs: BTreeMap<u64, Program>,
    programs_ever: u64,
    /// Who was asked last of those that serve an address.
    turns: HashMap<TopicName, u64>,
    waiting: HashMap<String, Waiting>,
}

/// The calls that are under way on one bus, and who takes them.
#[derive(Default)]
pub(super) struct Calls {
    // Held for a look-up and moves of pointers; nothing waits under it.
    state: Mutex<State>,
}

fn frame(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Whether a message is about calls, and no event.
pub(super) fn are_meant(message: &Message) -> bool {
    message.frames.first().is_some_and(|first| first.starts_with(b">"))
}

impl Calls {
    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a program in; what it is to be sent comes out.
    pub(super) fn attach(self: &Arc<Self>) -> (Attached, mpsc::Receiver<Vec<Bytes>>) {
        let (queue, queued) = mpsc::channel(WAITING_MAX);
        let mut state = self.held();
        state.programs_ever += 1;
        let number = state.programs_ever;
        state.programs.insert(number, Program { queue, path: Vec::new(), serves: BTreeSet::new() });
        (Attached { calls: self.clone(), number }, queued)
    }

    /// Sends a call to one of those who serve its address, and waits for the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Answered, Unanswered> {
        let headers: BTreeMap<_, _> = call.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = serde_json::to_vec(&headers).map_err(|error| Unanswered::NotBegun(error.to_string()))?;
        let said =
            [frame(">call"), frame(&call.id), frame(call.address.as_str()), call.arguments.clone(), headers.into()];
        let until = Instant::now() + Duration::from_millis(call.timeout_ms);
        let told = self.begin(&call, &said, until).await?;
        let _asked = Asked { calls: self, id: &call.id };
        match timeout_at(until, told).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Unanswered::Lost("the program went in the middle of the call".to_owned())),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }

    /// Sends a call as soon as one of those who serve its address has room for it: where its answer comes.
    async fn begin(&self, call: &Call, said: &[Bytes], until: Instant) -> Result<Answer, Unanswered> {
        let until = until.min(Instant::now() + READS_WITHIN);
        loop {
            let programs = self.held().in_turn(&call.address)?;
            let places =
                programs.into_iter().map(|(number, queue)| async move { (number, queue.reserve_owned().await) });
            let Ok(((number, place), ..)) = timeout_at(until, select_all(places.map(Box::pin))).await else {
                let reason = format!("the programs that serve {} do not read what they are sent", call.address);
                return Err(Unanswered::NotBegun(reason));
            };
            // Where the program went or left meanwhile, it is another's turn.
            if let Ok(place) = place
                && let Some(told) = self.held().send(number, place, call, said)
            {
                return Ok(told);
            }
        }
    }
}

impl State {
    /// Those who serve an address, whose turn is next first.
    fn in_turn(&self, address: &TopicName) -> Result<Vec<(u64, Queue)>, Unanswered> {
        let serves = |program: &Program| program.serves.contains(address) && !program.queue.is_closed();
        let serving = self.programs.iter().filter(|(_, program)| serves(program));
        let mut serving: Vec<_> = serving.map(|(number, program)| (*number, program.queue.clone())).collect();
        if serving.is_empty() {
            return Err(Unanswered::NotBegun(format!("no program that is connected serves {address}")));
        }
        let last = self.turns.get(address).copied().unwrap_or_default();
        let before = serving.partition_point(|(number, _)| *number <= last);
        serving.rotate_left(before);
        Ok(serving)
    }

    /// Puts a call into a program's queue; nothing where the program does not serve its address any more.
    fn send(&mut self, number: u64, place: OwnedPermit<Vec<Bytes>>, call: &Call, said: &[Bytes]) -> Option<Answer> {
        let program = self.programs.get(&number).filter(|program| program.serves.contains(&call.address))?;
        place.send(program.path.iter().chain(said).cloned().collect());
        self.turns.insert(call.address.clone(), number);
        let (tell, told) = oneshot::channel();
        let waiting = Waiting { program: number, bytes_max: call.answer_bytes_max, tell };
        self.waiting.insert(call.id.clone(), waiting);
        Some(told)
    }

    fn serve(&mut self, number: u64, path: Vec<Bytes>, address: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(address).map_err(|_| "the address is no text".to_owned())?;
        let address = TopicName::try_new(text).map_err(|error| format!("the address {error}"))?;
        let Some(program) = self.programs.get_mut(&number) else { return Err("the bus is closed".to_owned()) };
        if program.serves.len() >= ADDRESSES_MAX && !program.serves.contains(&address) {
            return Err(format!("a program may serve {ADDRESSES_MAX} addresses at most"));
        }
        program.path = path;
        program.serves.insert(address);
        Ok(())
    }

    /// Nobody serves an address any more: nobody's turn is remembered either.
    fn forget_turns(&mut self) {
        let State { turns, programs, .. } = self;
        turns.retain(|address, _| programs.values().any(|program| program.serves.contains(address)));
    }
}

/// A call that somebody waits for: its program is told when nobody does any more.
struct Asked<'a> {
    calls: &'a Calls,
    id: &'a str,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut state = self.calls.held();
        let Some(waiting) = state.waiting.remove(self.id) else { return };
        if let Some(program) = state.programs.get(&waiting.program) {
            let stop = program.path.iter().cloned().chain([frame(">stop"), frame(self.id)]).collect();
            // One that does not read goes on with what nobody waits for.
            let _ = program.queue.try_send(stop);
        }
    }
}

/// A program's place among the others, which it leaves when this is dropped, and its calls with it.
pub(super) struct Attached {
    calls: Arc<Calls>,
    number: u64,
}

impl Attached {
    /// Takes in what a program says of calls; the answer, where there is one. Fails with what it is told.
    pub(super) fn hear(&self, path: Vec<Bytes>, message: &Message) -> Result<Option<Vec<Bytes>>, String> {
        let mut state = self.calls.held();
        match (&message.frames[..], message.is_cut) {
            ([what, address], false) if what == ">serve" => {
                let answer = path.iter().cloned().chain([frame(">serving"), address.clone()]).collect();
                state.serve(self.number, path, address).map(|()| Some(answer))
            }
            ([what, address], false) if what == ">leave" => {
                if let (Some(program), Ok(address)) =
                    (state.programs.get_mut(&self.number), std::str::from_utf8(address))
                {
                    program.serves.retain(|served| served.as_str() != address);
                }
                state.forget_turns();
                Ok(None)
            }
            ([what, id, rest @ ..], is_cut) if what == ">result" || what == ">error" => {
                let known = std::str::from_utf8(id).ok().and_then(|id| state.waiting.get_key_value(id));
                // What comes late, or to a call that somebody else was sent, is for nobody.
                let Some((id, _)) = known.filter(|(_, waiting)| waiting.program == self.number) else {
                    return Ok(None);
                };
                let answered = match rest {
                    [said] if !is_cut => Ok(said),
                    [] | [_] if is_cut => Err(Unanswered::TooLarge),
                    _ => return Err("an answer has three frames: what it is, the call's id, and JSON".to_owned()),
                };
                let id = id.clone();
                let Some(waiting) = state.waiting.remove(&id) else { return Ok(None) };
                let answered = answered.and_then(|said| match said.len() > waiting.bytes_max {
                    true => Err(Unanswered::TooLarge),
                    false if what == ">error" => Ok(Answered::Failed(failed::read(said))),
                    false => Ok(Answered::Result(said.clone())),
                });
                // Who asked may have stopped waiting.
                let _ = waiting.tell.send(answered);
                Ok(None)
            }
            _ => Err("of calls a program says >serve, >leave, >result and >error".to_owned()),
        }
    }
}

/// What a program is told that said what cannot be.
pub(super) fn refused(path: Vec<Bytes>, reason: &str) -> Vec<Bytes> {
    path.into_iter().chain([frame(">refused"), frame(reason)]).collect()
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.calls.held();
        state.programs.remove(&self.number);
        state.waiting.retain(|_, waiting| waiting.program != self.number);
        state.forget_turns();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn said(frames: &[&str]) -> Message {
        Message { frames: frames.iter().map(|text| frame(text)).collect(), is_cut: false }
    }

    fn call(id: &str) -> Call {
        Call {
            address: TopicName::try_new("math.add").unwrap(),
            id: id.to_owned(),
            arguments: Bytes::from_static(b"{}"),
            headers: vec![("onex-attempt", "1".to_owned())],
            timeout_ms: 60_000,
            answer_bytes_max: 20,
        }
    }

    fn texts(frames: Option<Vec<Bytes>>) -> Vec<String> {
        frames.into_iter().flatten().map(|frame| String::from_utf8(frame.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn those_who_serve_an_address_are_asked_in_turn_and_only_the_one_that_was_may_answer() {
        let calls = Arc::new(Calls::default());
        assert!(matches!(calls.ask(call("1")).await, Err(Unanswered::NotBegun(_))));
        let (one, mut ones) = calls.attach();
        let (two, mut twos) = calls.attach();
        one.hear(Vec::new(), &said(&[">serve", "math.add"])).unwrap();
        two.hear(vec![Bytes::new()], &said(&[">serve", "math.add"])).unwrap();
        let (mut first, mut second) = (Box::pin(calls.ask(call("1"))), Box::pin(calls.ask(call("2"))));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(texts(ones.try_recv().ok()), [">call", "1", "math.add", "{}", r#"{"onex-attempt":"1"}"#]);
        assert_eq!(texts(twos.try_recv().ok())[..3], ["", ">call", "2"]);
        one.hear(Vec::new(), &said(&[">result", "2", "9"])).unwrap();
        two.hear(Vec::new(), &said(&[">result", "2", "3"])).unwrap();
        assert_eq!(second.await, Ok(Answered::Result(Bytes::from_static(b"3"))));
        drop(one);
        assert!(matches!(first.await, Err(Unanswered::Lost(_))));
    }

    #[tokio::test]
    async fn calls_wait_for_a_program_that_reads_late_and_not_for_ever() {
        let calls = Arc::new(Calls::default());
        let (one, mut ones) = calls.attach();
        one.hear(Vec::new(), &said(&[">serve", "math.add"])).unwrap();
        let mut begun: Vec<_> =
            (0..=WAITING_MAX).map(|number| Box::pin(calls.ask(call(&number.to_string())))).collect();
        assert!(begun.iter_mut().all(|asked| asked.as_mut().now_or_never().is_none()));
        ones.try_recv().unwrap();
        assert!(begun[WAITING_MAX].as_mut().now_or_never().is_none());
        one.hear(Vec::new(), &said(&[">result", &WAITING_MAX.to_string(), "1"])).unwrap();
        assert_eq!(begun.pop().unwrap().await, Ok(Answered::Result(Bytes::from_static(b"1"))));
        let unread = calls.ask(Call { timeout_ms: 20, ..call("unread") }).await;
        assert!(matches!(unread, Err(Unanswered::NotBegun(reason)) if reason.contains("do not read")));
        let mut waits = Box::pin(calls.ask(call("waits")));
        assert!(waits.as_mut().now_or_never().is_none());
        drop((one, ones));
        assert!(matches!(waits.await, Err(Unanswered::NotBegun(reason)) if reason.contains("no program")));
    }

    #[tokio::test]
    async fn a_program_is_told_that_nobody_waits_and_one_that_says_too_much_has_not_answered() {
        let calls = Arc::new(Calls::default());
        let (one, mut ones) = calls.attach();
        one.hear(Vec::new(), &said(&[">serve", "math.add"])).unwrap();
        let mut given_up = Box::pin(calls.ask(call("1")));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        assert_eq!(texts(ones.try_recv().ok())[..2], [">call", "1"]);
        assert_eq!(texts(ones.try_recv().ok()), [">stop", "1"]);
        for (frames, is_cut) in [(&[">result", "2", "\"0123456789012345678\""][..], false), (&[">result", "2"], true)] {
            let mut large = Box::pin(calls.ask(call("2")));
            assert!(large.as_mut().now_or_never().is_none());
            one.hear(Vec::new(), &Message { is_cut, ..said(frames) }).unwrap();
            assert_eq!(large.await, Err(Unanswered::TooLarge));
        }
        let mut failed = Box::pin(calls.ask(call("3")));
        assert!(failed.as_mut().now_or_never().is_none());
        one.hear(Vec::new(), &said(&[">error", "3", r#"{"code":"X"}"#])).unwrap();
        assert!(matches!(failed.await, Ok(Answered::Failed(failed)) if failed.code == "X"));
    }

    #[test]
    fn what_is_nothing_of_calls_is_refused_and_an_address_that_was_left_is_served_by_nobody() {
        let calls = Arc::new(Calls::default());
        let (one, _ones) = calls.attach();
        for frames in [&[">serve"][..], &[">serve", "a b"], &[">nothing", "x"], &[">"]] {
            assert!(one.hear(Vec::new(), &said(frames)).is_err(), "{frames:?}");
        }
        assert_eq!(texts(one.hear(Vec::new(), &said(&[">serve", "math.add"])).unwrap()), [">serving", "math.add"]);
        one.hear(Vec::new(), &said(&[">leave", "math.add"])).unwrap();
        assert!(matches!(calls.ask(call("1")).now_or_never(), Some(Err(Unanswered::NotBegun(_)))));
        assert_eq!(one.hear(Vec::new(), &said(&[">result", "7", "1"])), Ok(None));
    }
}
