//! What is heard of the stream: each event once, in order, over a server that goes away.

use super::connect::{Options, prepare};
use super::{Failure, Place, Shared, TIMEOUT, away};
use crate::bus::kind::{Heard, back_off};
use async_nats::Event;
use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long nothing comes before the stream is looked for.
const QUIET: Duration = Duration::from_secs(3);

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
    shared: Arc<Shared>,
    options: Options,
    behind: Place,
    /// When the stream was made.
    created: DateTime,
    heard: mpsc::Sender<Heard>,
    link: watch::Receiver<Link>,
    is_away: bool,
    /// The stream is another than it was, and nobody was told yet.
    is_other: bool,
    attempt: u32,
}

/// Whoever wanted to hear is gone.
struct Unheard;

impl Live {
    pub(super) fn new(
        shared: Arc<Shared>,
        options: Options,
        (behind, created): (Place, DateTime),
        heard: mpsc::Sender<Heard>,
        link: watch::Receiver<Link>,
    ) -> Self {
        Live { shared, options, behind, created, heard, link, is_away: false, is_other: false, attempt: 0 }
    }

    /// Has the server send what lies behind what was heard.
    pub(super) async fn begin(&self) -> Result<Ordered, Failure> {
        let start_sequence = self.behind.0 + 1;
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        let beginning = async {
            let consumer: Consumer<OrderedConfig> = self.shared.stream.create_consumer(config).await.map_err(away)?;
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
        let mut link = self.link.clone();
        loop {
            let message = tokio::select! {
                // What has come is heard before the connection's end is.
                biased;
                message = messages.next() => message,
                _ = link.changed() => {
                    return self.leave("the connection to the NATS server broke".to_owned()).await;
                }
                there = self.is_there() => match there {
                    Ok(true) => continue,
                    Ok(false) => return self.leave("the stream was deleted".to_owned()).await,
                    Err(failure) => return self.leave(failure.to_string()).await,
                },
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
            // The stream has a number for each message that it ever took.
            let lost = place.0 - self.behind.0 - 1;
            if lost > 0 {
                self.tell(Heard::Missed { lost, behind: Place(place.0 - 1) }).await?;
            }
            self.behind = place;
            match self.shared.subjects.read(&message) {
                Some((carried, _)) => self.tell(Heard::Event(carried)).await?,
                None => tracing::debug!(subject = %message.subject, "a message is on no topic"),
            }
        }
    }

    /// After a while in which nothing came: whether the stream is still the one that is heard. The client would wait for
    /// one that is gone for ever.
    async fn is_there(&self) -> Result<bool, Failure> {
        tokio::time::sleep(QUIET).await;
        Ok(self.shared.stream.get_info().await.map_err(away)?.created == self.created)
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
                if std::mem::take(&mut self.is_other) {
                    self.tell(Heard::Missed { lost: 0, behind: self.behind }).await?;
                }
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

    /// Goes on. A stream that is gone is made anew, as a server needs it that keeps nothing when it ends.
    async fn begin_again(&mut self) -> Result<Ordered, Failure> {
        let (last, created) = prepare(&self.shared.context, &self.options, &self.shared.subjects).await?;
        let is_new = created != self.created;
        if is_new || last < self.behind {
            // To wait until it is as long as it was would be to hear nothing of it. Made anew, all of it is new; where
            // the server lost its end, what it still has was heard.
            tracing::warn!(stream = self.options.stream, is_new, last = last.0, "a stream is not as it was");
            (self.behind, self.created, self.is_other) = (if is_new { Place(0) } else { last }, created, true);
            // What is known of its places is of those before.
            self.shared.given().clear();
            self.shared.reached().clear();
        }
        self.begin().await
    }
}
