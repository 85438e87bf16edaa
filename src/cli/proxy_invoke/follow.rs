//! Follows one call to its end, over lost connections.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::error::{self, Error};
use crate::cli::output;
use crate::cli::value::list;
use crate::client::{self, Client};

use super::outcome::is_over;

const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// For how long a registry that went away is tried again: long enough for a restart, short enough for a script.
const RETURN_WITHIN: Duration = Duration::from_secs(60);

/// A call that is being followed.
pub(super) struct Followed<'a> {
    client: &'a Client,
    /// The latest that is known of it.
    now: Value,
    /// What is asked of it.
    fields: &'a str,
    /// The subscription, while it stands.
    updates: Option<BoxStream<'static, Result<Value, client::Error>>>,
    /// How many chunks were handed out.
    chunks: usize,
}

impl<'a> Followed<'a> {
    /// A call that has begun.
    pub(super) fn new(client: &'a Client, begun: Value, fields: &'a str) -> Self {
        Self { client, now: begun, fields, updates: None, chunks: 0 }
    }

    /// The call as it ended. Each chunk is handed out once, in order.
    pub(super) async fn until_end(
        mut self,
        mut chunk: impl FnMut(&Value) -> Result<(), Error>,
    ) -> Result<Value, Error> {
        loop {
            // Every update has all chunks so far.
            let chunks = list(&self.now, "/chunks");
            for new in chunks.iter().skip(self.chunks) {
                chunk(new)?;
            }
            self.chunks = self.chunks.max(chunks.len());
            if is_over(&self.now) {
                return Ok(self.now);
            }
            self.now = self.next().await?;
        }
    }

    /// The next update, if need be from a new connection, which begins with how the call stands then.
    async fn next(&mut self) -> Result<Value, Error> {
        let mut lost: Option<Instant> = None;
        let mut backoff = BACKOFF_MIN;
        loop {
            let why = match self.step().await {
                Ok(update) => return Ok(update),
                Err(error) if error.is_lost() => error,
                Err(error) => return Err(error.into()),
            };
            self.updates = None;
            let since = *lost.get_or_insert_with(|| {
                output::note(&format!("{}; trying again, the call goes on", error::chain(&why)));
                Instant::now()
            });
            if since.elapsed() > RETURN_WITHIN {
                let id = self.now["id"].as_str().unwrap_or_default().to_owned();
                return Err(Error::CallLost { id, waited: RETURN_WITHIN, source: Box::new(why) });
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn step(&mut self) -> Result<Value, client::Error> {
        loop {
            let updates = match &mut self.updates {
                Some(updates) => updates,
                none => none.insert(subscribe(self.client, &self.now["id"], self.fields).await?),
            };
            match updates.next().await {
                Some(update) => return Ok(update?["invocationUpdates"].take()),
                // A registry that shuts down completes it before the call's end, and will be back.
                None => self.updates = None,
            }
            tokio::time::sleep(BACKOFF_MIN).await;
        }
    }
}

async fn subscribe(
    client: &Client,
    id: &Value,
    fields: &str,
) -> Result<BoxStream<'static, Result<Value, client::Error>>, client::Error> {
    let document = format!("subscription($id: UUID!) {{ invocationUpdates(id: $id) {{ {fields} }} }}");
    Ok(client.subscribe::<Value>(&document, json!({"id": id})).await?.boxed())
}
