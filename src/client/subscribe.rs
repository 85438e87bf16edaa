//! Following the registry: one subscription on a websocket of its own.
//!
//! That wastes the protocol's multiplexing, and buys that a slow reader holds up nobody else and that dropping the
//! stream ends everything. Who has several operations shares a [`Connection`](super::Connection).

use futures_util::stream::Stream;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, Error};

impl Client {
    /// Follows the registry. The stream ends when the registry says that it is complete; a connection that breaks is an
    /// error, and the stream's last item. Dropping the stream ends the subscription.
    ///
    /// # Errors
    /// Where no connection comes about, or the registry refuses it. What it refuses later is an item of the stream.
    pub async fn subscribe<T>(
        &self,
        document: &str,
        variables: Value,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + Unpin + use<T>, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        // The subscription holds its connection, which ends with it.
        self.connect().await?.subscribe(document, variables).await
    }
}
