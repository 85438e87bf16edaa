//! The operations of one connection, and whose turn it is.
//!
//! Each has a waker of its own, which puts it in a queue when it has something. The connection asks whoever is first
//! there, for a few answers at most, then the next: a hot stream waits for its turn like a quiet one.

use super::protocol::Protocol;
use super::replies::Replies;
use super::work::Begun;
use crate::graphql::error::{ErrorCode, extensions};
use crate::graphql::{Answer, Answers};
use crate::model::Sequence;
use async_graphql::ServerError;
use axum::extract::ws::Message;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use futures_util::task::AtomicWaker;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

/// How many answers an operation gives in one turn.
const TURN_LEN: usize = 16;
/// How many bytes of answers may be held by operations before nothing more is read.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// Who has something to say.
#[derive(Default)]
pub(super) struct Ready {
    // Held for a pointer move; nothing waits under it.
    queue: Mutex<VecDeque<Arc<Turn>>>,
    /// The task that drives the connection.
    pub(super) connection: AtomicWaker,
    /// How many bytes of answers wait in operations.
    pub(super) held: AtomicUsize,
}

impl Ready {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Turn>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, turn: &Arc<Turn>) {
        if !turn.queued.swap(true, Ordering::AcqRel) {
            self.queue().push_back(turn.clone());
        }
    }

    fn pop(&self) -> Option<Arc<Turn>> {
        let turn = self.queue().pop_front()?;
        turn.queued.store(false, Ordering::Release);
        Some(turn)
    }
}

/// One operation, as it stands in the queue.
struct Turn {
    id: Arc<str>,
    /// The id as JSON.
    written: Box<str>,
    /// Ids are used again; this number is not.
    number: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self);
        self.ready.connection.wake();
    }
}

struct Running {
    turn: Arc<Turn>,
    waker: Waker,
    work: Work,
}

enum Work {
    /// On its way to what it is answered with.
    Beginning(BoxFuture<'static, Begun>),
    /// Answered again and again.
    Watching { answers: Answers, answered: bool },
}

/// The operations of a connection.
pub(super) struct Operations {
    protocol: Protocol,
    running: HashMap<Arc<str>, Running>,
    ready: Arc<Ready>,
    started: u64,
    /// Whose turn it is, and how many answers more.
    current: Option<(Arc<Turn>, usize)>,
    /// What goes right behind the frame before it.
    following: Option<Message>,
    /// Why no subscription goes on.
    ending: Option<&'static str>,
}

impl Operations {
    pub(super) fn new(protocol: Protocol) -> Self {
        Operations {
            protocol,
            running: HashMap::new(),
            ready: Arc::default(),
            started: 0,
            current: None,
            following: None,
            ending: None,
        }
    }

    pub(super) fn ready(&self) -> &Arc<Ready> {
        &self.ready
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// Whether so much is held that nothing more should be asked for.
    pub(super) fn is_full(&self) -> bool {
        self.ready.held.load(Ordering::Relaxed) >= HELD_BYTES_MAX
    }

    /// Whether everything was said.
    pub(super) fn is_over(&self) -> bool {
        self.running.is_empty() && self.following.is_none()
    }

    /// Begins an operation: most of what is quick is done here, and what came of it is a reply.
    pub(super) fn begin(&mut self, id: Arc<str>, mut beginning: BoxFuture<'static, Begun>, replies: &mut Replies) {
        self.started += 1;
        let turn = Arc::new(Turn {
            written: json!(&*id).to_string().into(),
            id: id.clone(),
            number: self.started,
            queued: AtomicBool::new(false),
            ready: self.ready.clone(),
        });
        let waker = Waker::from(turn.clone());
        let work = match beginning.poll_unpin(&mut Context::from_waker(&waker)) {
            Poll::Pending => Work::Beginning(beginning),
            Poll::Ready(Begun::Answers(answers)) => {
                self.ready.push(&turn);
                Work::Watching { answers, answered: false }
            }
            Poll::Ready(Begun::Answer(answer, _)) => {
                replies.push(self.protocol.next(&turn.written, &answer));
                return replies.push(self.protocol.complete(&turn.written));
            }
            Poll::Ready(Begun::Refused(errors)) => return replies.push(self.protocol.error(&turn.written, &errors)),
        };
        self.running.insert(id, Running { turn, waker, work });
    }

    /// Says nothing more of an operation.
    pub(super) fn end(&mut self, id: &str) {
        if let Some(running) = self.running.remove(id)
            && let Some((turn, _)) = &self.current
            && turn.number == running.turn.number
        {
            self.current = None;
        }
    }

    /// Ends every subscription with a reason and the place to go on from; how many there were. What is answered once
    /// still is.
    pub(super) fn end_all(&mut self, reason: &'static str, replies: &mut Replies) -> usize {
        // What a subscription began with stays in front of its end.
        if let Some(message) = self.following.take() {
            replies.push(message);
        }
        self.ending = Some(reason);
        let (protocol, before) = (self.protocol, self.running.len());
        self.running.retain(|_, running| {
            let Work::Watching { answers, .. } = &running.work else { return true };
            replies.push(protocol.error(&running.turn.written, &[ended(reason, answers.place())]));
            false
        });
        before - self.running.len()
    }

    /// Why nothing more begins; `None` while it does.
    pub(super) fn refusal(&self) -> Option<ServerError> {
        self.ending.map(|reason| ended(reason, None))
    }

    /// The next frame of whose turn it is; `None` where nobody has anything now.
    pub(super) fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.following.take() {
            return Some(message);
        }
        loop {
            let (turn, left) = match self.current.take() {
                Some(current) => current,
                None => (self.ready.pop()?, TURN_LEN),
            };
            match self.look(&turn) {
                Poll::Ready(Some(message)) => {
                    if left > 1 {
                        self.current = Some((turn, left - 1));
                    } else {
                        self.ready.push(&turn);
                    }
                    return Some(message);
                }
                Poll::Ready(None) => {}
                // It wants another look, and the task may have had its share of time: later.
                Poll::Pending if turn.queued.load(Ordering::Acquire) => return None,
                Poll::Pending => {}
            }
        }
    }

    /// What an operation says next; `None` of one that is over.
    fn look(&mut self, turn: &Turn) -> Poll<Option<Message>> {
        let running = self.running.get_mut(&turn.id).filter(|running| running.turn.number == turn.number);
        let Some(Running { waker, work, .. }) = running else { return Poll::Ready(None) };
        let context = &mut Context::from_waker(waker);
        let (protocol, id) = (self.protocol, &*turn.written);
        if let Work::Beginning(beginning) = work {
            let last = match ready!(beginning.poll_unpin(context)) {
                Begun::Answers(answers) => match self.ending {
                    Some(reason) => Some(protocol.error(id, &[ended(reason, answers.place())])),
                    None => {
                        *work = Work::Watching { answers, answered: false };
                        None
                    }
                },
                Begun::Answer(answer, held) => {
                    self.following = Some(protocol.complete(id));
                    let next = protocol.next(id, &answer);
                    drop(held);
                    Some(next)
                }
                Begun::Refused(errors) => Some(protocol.error(id, &errors)),
            };
            if last.is_some() {
                self.running.remove(&turn.id);
                return Poll::Ready(last);
            }
        }
        let Work::Watching { answers, answered } = work else { return Poll::Pending };
        let last = match ready!(answers.poll_next_unpin(context)) {
            // The field refused to begin: that is an error of the operation, not an event of it.
            Some(answer) if !*answered && failed(&answer) => protocol.refused(id, &answer),
            Some(answer) => {
                *answered = true;
                return Poll::Ready(Some(protocol.next(id, &answer)));
            }
            None => protocol.complete(id),
        };
        self.running.remove(&turn.id);
        Poll::Ready(Some(last))
    }
}

fn failed(answer: &Answer) -> bool {
    !answer.has_data() && answer.has_errors()
}

/// Why an operation does not go on, or does not begin, and where another one can: behind that place, none of its changes
/// is missing.
fn ended(reason: &str, place: Option<Sequence>) -> ServerError {
    let (message, details) = match place {
        Some(place) => (format!("{reason}: go on behind {}", place.0), json!({ "resumeAfter": place.0 })),
        None => (format!("{reason}: send it again over a new connection"), json!({})),
    };
    let extensions = extensions(ErrorCode::Unavailable, details);
    ServerError { extensions: Some(extensions), ..ServerError::new(message, None) }
}
