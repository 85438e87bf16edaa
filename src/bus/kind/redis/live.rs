//! What is heard of the stream: each entry once, in order, over a server that goes away.

use super::connection::{self, Connections};
use super::places::{self, Id, Stand};
use super::{Failure, Place, Shared};
use crate::bus::kind::{Heard, back_off};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
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
    /// How many entries there were up to there, as far as it is known.
    passed: Option<u64>,
    heard: mpsc::Sender<Heard>,
    is_away: bool,
    attempt: u32,
}

/// Whoever wanted to hear is gone.
struct Unheard;

impl Live {
    /// One that hears what comes from when the stream stood so.
    pub(super) fn new(shared: Arc<Shared>, stand: &Stand, heard: mpsc::Sender<Heard>) -> Self {
        let behind = stand.last.unwrap_or_default();
        Live { shared, behind, passed: stand.added, heard, is_away: false, attempt: 0 }
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
            let came = came.unwrap_or_default().keys.pop().map(|key| key.ids).unwrap_or_default();
            if came.is_empty() {
                continue;
            }
            match self.count(&came).await {
                Ok(None) => {}
                Ok(Some(missed)) => self.tell(missed).await?,
                Err(failure) => return Ok(failure),
            }
            for entry in &came {
                match places::read(entry) {
                    Some((_, carried)) => self.tell(Heard::Event(carried)).await?,
                    None => tracing::debug!(id = %entry.id, "an entry is no event"),
                }
                self.behind = entry.id.parse().unwrap_or(self.behind);
            }
        }
    }

    /// What a bound took just before these, which were read last: the server does not say so by itself. What cannot be
    /// told yet is told with what comes later.
    async fn count(&mut self, came: &[StreamId]) -> Result<Option<Heard>, Failure> {
        let stand = self.shared.stand().await?;
        let ids: Vec<Id> = came.iter().filter_map(|entry| entry.id.parse().ok()).collect();
        let (Some(passed), Some(first), Some(_)) = (self.passed, ids.first(), stand.added) else {
            self.passed = None;
            return Ok(None);
        };
        // One that somebody made anew has fewer than were passed.
        let before = stand.before(self.behind, passed, &ids).unwrap_or(passed);
        self.passed = Some(before + came.len() as u64);
        let behind = Place(first.place().0.saturating_sub(1));
        Ok((before > passed).then(|| Heard::Missed { lost: before - passed, behind }))
    }
}
