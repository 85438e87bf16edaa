//! An execution of its own, in a task of its own: a little ahead of who takes its answers, and no further.

use super::super::answer::Answer;
use super::super::documents::panicked;
use futures_util::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// How many answers wait to be taken at most.
const LEN_MAX: usize = 4;
/// How many bytes they have at most, but for a single one.
const BYTES_MAX: u32 = 64 * 1024;

/// The answers of a task that ends with it.
pub(super) struct Ahead {
    waiting: mpsc::Receiver<(Answer, OwnedSemaphorePermit)>,
    task: JoinHandle<()>,
    over: bool,
}

impl Ahead {
    pub(super) fn of(answers: impl Stream<Item = Answer> + Send + 'static) -> Self {
        let (found, waiting) = mpsc::channel(LEN_MAX);
        let task = tokio::spawn(async move {
            let room = Arc::new(Semaphore::new(BYTES_MAX as usize));
            let mut answers = pin!(answers);
            while let Some(answer) = answers.next().await {
                let bytes = u32::try_from(answer.text.len()).unwrap_or(BYTES_MAX).min(BYTES_MAX);
                // The semaphore is never closed; who took the answers may be gone.
                let Ok(permit) = room.clone().acquire_many_owned(bytes).await else { return };
                if found.send((answer, permit)).await.is_err() {
                    return;
                }
            }
        });
        Ahead { waiting, task, over: false }
    }
}

impl Stream for Ahead {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some((answer, _)) = ready!(self.waiting.poll_recv(context)) {
            return Poll::Ready(Some(answer));
        }
        let ended = ready!(self.task.poll_unpin(context));
        self.over = true;
        // A defect in one field must not go for the end of all there is.
        Poll::Ready(ended.is_err().then(|| Answer::from(&panicked())))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
