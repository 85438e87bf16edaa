//! What is heard of the stream: each event once, in order, over a server that goes away.

use super::names::Subjects;
use super::{Failure, Place, TIMEOUT, away};
use crate::bus::kind::{Heard, back_off};
use async_nats::Event;
use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

/// How the connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    is_down: bool,
    /// How often it came back: one that went and came between two looks is another.
    turns: u64,
}

impl Link {
    /// Takes in what the client tells; says whether that changes anything.
    pub(super) fn hear(&mut self, event: &Event) -> bool {
        match event {
            Event::Connected if self.is_down => (self.is_down, self.turns) = (false, self.turns + 1),
            Event::Disconnected | Event::Closed => self.is_down = true,
            _ => return false,
        }
        true
    }
}

/// The one that listens.
pub(super) struct Live {
    stream: Stream<()>,
    subjects: Subjects,
    behind: Place,
    /// When the stream was made.
    created: DateTime,
    heard: mpsc::Sender<Heard>,
    link: watch::Receiver<Link>,
    is_away: bool,
    attempt: u32,
}

/// Whoever wanted to hear is gone.
struct Unheard;

impl Live {
    pub(super) fn new(
        stream: Stream<()>,
        subjects: Subjects,
        (behind, created): (Place, DateTime),
        heard: mpsc::Sender<Heard>,
        link: watch::Receiver<Link>,
    ) -> Self {
        Live { stream, subjects, behind, created, heard, link, is_away: false, attempt: 0 }
    }

    /// Has the server send what lies behind what was heard.
    pub(super) async fn begin(&self) -> Result<Ordered, Failure> {
        let start_sequence = self.behind.0 + 1;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        let beginning = async {
            let consumer: Consumer<OrderedConfig> = self.stream.create_consumer(config).await.map_err(away)?;
            consumer.messages().await.map_err(away)
        };
        tokio::time::timeout(TIMEOUT, beginning).await.map_err(away)?
    }

    /// Listens until nobody wants to hear.
    pub(super) async fn run(mut self, begun: Ordered) {
        let mut messages = Some(begun);
        loop {
            let listened = match messages.take() {
                Some(messages) => self.listen(messages).await,
                None => self.return_to(&mut messages).await,
            };
            if let Err(Unheard) = listened {
                return;
            }
        }
    }

    async fn tell(&self, heard: Heard) -> Result<(), Unheard> {
        self.heard.send(heard).await.map_err(|_| Unheard)
    }

    /// Listens as long as the connection stands.
    async fn listen(&mut self, mut messages: Ordered) -> Result<(), Unheard> {
        loop {
            let message = tokio::select! {
                // What has come is heard before the connection's end is.
                biased;
                message = messages.next() => message,
                _ = self.link.changed() => {
                    return self.leave("the connection to the NATS server broke".to_owned()).await;
                }
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return self.leave(format!("NATS: {error}")).await,
                None => return self.leave("the NATS server sends no more".to_owned()).await,
            };
            let Ok(place) = message.info().map(|info| Place(info.stream_sequence)) else { continue };
            // A consumer that the client makes anew before its first event begins at the beginning.
            if place <= self.behind {
                continue;
            }
            self.behind = place;
            match self.subjects.read(&message) {
                Some((carried, _)) => self.tell(Heard::Event(carried)).await?,
                None => tracing::debug!(subject = %message.subject, "a message is on no topic"),
            }
        }
    }

    async fn leave(&mut self, reason: String) -> Result<(), Unheard> {
        if !std::mem::replace(&mut self.is_away, true) {
            self.attempt = 0;
            self.tell(Heard::Away { reason }).await?;
        }
        Ok(())
    }

    /// Tries to go on behind what was heard; where that fails, waits.
    async fn return_to(&mut self, messages: &mut Option<Ordered>) -> Result<(), Unheard> {
        let link = *self.link.borrow_and_update();
        if link.is_down {
            // The client tries; whoever wanted to hear may lose patience meanwhile.
            tokio::select! {
                changed = self.link.changed() => return changed.map_err(|_| Unheard),
                () = self.heard.closed() => return Err(Unheard),
            }
        }
        match self.begin_again().await {
            Ok(begun) => {
                *messages = Some(begun);
                self.is_away = false;
                self.tell(Heard::Back).await
            }
            Err(failure) => {
                tracing::debug!(%failure, "the stream does not serve yet");
                self.attempt = self.attempt.saturating_add(1);
                tokio::select! {
                    () = tokio::time::sleep(back_off(self.attempt)) => Ok(()),
                    () = self.heard.closed() => Err(Unheard),
                }
            }
        }
    }

    async fn begin_again(&mut self) -> Result<Ordered, Failure> {
        let info = self.stream.get_info().await.map_err(away)?;
        let last = Place(info.state.last_sequence);
        if last < self.behind {
            // To wait until it is as long as it was would be to hear nothing of it. Made anew, all of it is new; where
            // the server lost its end, what it still has was heard.
            let is_new = info.created != self.created;
            tracing::warn!(stream = %info.config.name, is_new, "a stream's places are smaller than before");
            (self.behind, self.created) = (if is_new { Place(0) } else { last }, info.created);
        }
        self.begin().await
    }
}
