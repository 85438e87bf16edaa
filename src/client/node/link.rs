//! The way to the registry as it is at the moment: there, lost, or over for good.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use crate::client::{Client, Connection, Error};

/// How a node stands with its registry.
#[derive(Clone, Debug)]
pub enum State {
    /// Registered, and calls come.
    Connected,
    /// The connection was lost, for this reason; the node tries to come back.
    Lost(String),
    /// The node has ended: by itself, or for this reason.
    Ended(Option<Arc<Error>>),
}

/// The state with the connection that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) state: State,
    pub(super) connection: Option<Connection>,
    /// Counts the connections, so that one that is lost is not mistaken for the next.
    pub(super) number: u64,
}

/// The link, as those see it who need it.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pub(super) client: Client,
    pub(super) link: watch::Receiver<Link>,
}

impl Links {
    /// Asks as soon as there is a connection, and again on the next one where that is lost before it answers. So only
    /// what can be said twice is said by this.
    pub(super) async fn ask<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, Error> {
        let mut after = 0;
        loop {
            let (number, connection) = self.next(after).await?;
            match connection.query(document, variables.clone()).await {
                Err(Error::Lost { .. }) => after = number,
                answered => return answered,
            }
        }
    }

    /// The first connection with a higher number, as soon as it is there.
    pub(super) async fn next(&self, after: u64) -> Result<(u64, Connection), Error> {
        let fits = |link: &Link| match link.state {
            State::Ended(_) => true,
            State::Connected | State::Lost(_) => link.connection.is_some() && link.number > after,
        };
        let found = self.link.clone().wait_for(fits).await.map(|link| (link.number, link.connection.clone()));
        match found {
            Ok((number, Some(connection))) => Ok((number, connection)),
            _ => Err(self.client.inner.lost("the node has ended".into())),
        }
    }
}
