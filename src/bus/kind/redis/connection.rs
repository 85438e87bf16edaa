//! Connections to the server: one that all commands share, made anew where it broke, and others for who waits on them.

use super::{Failure, closed};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult};
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the server may take for an answer, or for a connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The ways to a server.
pub(super) struct Connections {
    client: Client,
    /// Locked to take a clone of it, or to make it.
    shared: Mutex<Option<MultiplexedConnection>>,
}

/// Whether the server answered with this code.
pub(super) fn is_code(error: &RedisError, code: &str) -> bool {
    error.code() == Some(code)
}

/// What an error is to who asked.
pub(super) fn failure(error: &RedisError) -> Failure {
    let said = format!("Redis: {error}");
    let is_refused = match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::Client
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::RESP3NotSupported => true,
        _ => ["WRONGTYPE", "NOPERM", "NOAUTH", "WRONGPASS", "ERR", "NOGROUP"].iter().any(|code| is_code(error, code)),
    };
    if is_refused { Failure::Refused(said) } else { Failure::Away(said) }
}

impl Connections {
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let client = Client::open(url).map_err(|error| failure(&error))?;
        Ok(Connections { client, shared: Mutex::default() })
    }

    /// A connection of one's own, to wait on.
    pub(super) async fn another(&self) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT)).set_response_timeout(Some(TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Asks over the connection that all share.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let mut connection = {
            let mut shared = self.shared.lock().await;
            match &*shared {
                Some(connection) => connection.clone(),
                None => shared.insert(self.another().await?).clone(),
            }
        };
        let answer = command.query_async(&mut connection).await;
        if answer.as_ref().is_err_and(|error: &RedisError| error.is_unrecoverable_error() || error.is_timeout()) {
            *self.shared.lock().await = None;
        }
        answer
    }

    /// Lets go of the connection that all share.
    pub(super) async fn close(&self) {
        *self.shared.lock().await = None;
    }
}

/// What a broken wait is to a bus that is being closed.
pub(super) fn failure_or_closed(error: &RedisError, is_closed: bool) -> Failure {
    if is_closed { closed() } else { failure(error) }
}
