//! What is heard of the stream: each entry once, in order, over a server that goes away.

use super::connection::{self, Connections};
use super::places::{self, Id};
use super::{Failure, Shared};
use crate::bus::kind::{Heard, back_off};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use std::sync::Arc;
use tokio::sync::mpsc;

/// How many entries are asked for at once.
const AT_ONCE: usize = 500;
/// For how many milliseconds one question stands.
const ASKED_FOR: u64 = 1_000;

/// The one that listens.
pub(super) struct Live {
    shared: Arc<Shared>,
    behind: Id,
    heard: mpsc::Sender<Heard>,
    is_away: bool,
    attempt: u32,
}

/// Whoever wanted to hear is gone.
struct Unheard;

impl Live {
    pub(super) fn new(shared: Arc<Shared>, behind: Id, heard: mpsc::Sender<Heard>) -> Self {
        Live { shared, behind, heard, is_away: false, attempt: 0 }
    }

    /// Listens until nobody wants to hear.
    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    async fn tell(&self, heard: Heard) -> Result<(), Unheard> {
        self.heard.send(heard).await.map_err(|_| Unheard)
    }

    /// From a connection to its end.
    async fn turn(&mut self) -> Result<(), Unheard> {
        let failure = match self.begin().await {
            Ok(connection) => {
                if std::mem::take(&mut self.is_away) {
                    self.tell(Heard::Back).await?;
                }
                self.attempt = 0;
                self.listen(connection).await?
            }
            Err(failure) => failure,
        };
        if !std::mem::replace(&mut self.is_away, true) {
            self.tell(Heard::Away { reason: failure.to_string() }).await?;
        }
        let wait = back_off(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.heard.closed() => Err(Unheard),
        }
    }

    async fn begin(&mut self) -> Result<MultiplexedConnection, Failure> {
        let connections: &Connections = &self.shared.connections;
        let connection = connections.another().await.map_err(|error| connection::failure(&error))?;
        // One that is still reading what it has written down answers, and does not serve. Where it lost the end of
        // that, what comes next lies behind what was heard all the same: ids are instants.
        self.shared.stand().await?;
        Ok(connection)
    }

    /// Listens as long as the connection stands; says why it does not.
    async fn listen(&mut self, mut connection: MultiplexedConnection) -> Result<Failure, Unheard> {
        loop {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(AT_ONCE).arg("BLOCK").arg(ASKED_FOR);
            command.arg("STREAMS").arg(&self.shared.events).arg(self.behind.to_string());
            let came: Option<StreamReadReply> = match command.query_async(&mut connection).await {
                Ok(came) => came,
                Err(error) => return Ok(connection::failure(&error)),
            };
            for entry in came.iter().flat_map(|came| &came.keys).flat_map(|key| &key.ids) {
                match places::read(entry) {
                    Some((_, carried)) => self.tell(Heard::Event(carried)).await?,
                    None => tracing::debug!(id = %entry.id, "an entry is no event"),
                }
                self.behind = entry.id.parse().unwrap_or(self.behind);
            }
        }
    }
}
