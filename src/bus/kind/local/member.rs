//! One that listens for a durable group.

use super::groups::MemberId;
use super::writer::{Request, Requests};
use super::{ask, closed};
use crate::bus::kind::{Delivery, Failure, Group, Place};
use crate::model::SubscriberName;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::oneshot;

/// One that listens for a durable group; what it has when it is dropped comes to the group again.
pub(super) struct Member {
    requests: Requests,
    name: SubscriberName,
    id: MemberId,
    /// What was asked for and has not come: kept here so that whoever stops waiting loses nothing.
    coming: Option<oneshot::Receiver<Result<Delivery, Failure>>>,
}

impl Member {
    pub(super) fn new(requests: Requests, name: SubscriberName, id: MemberId) -> Self {
        Member { requests, name, id, coming: None }
    }

    async fn wait(&mut self) -> Result<Delivery, Failure> {
        let coming = match &mut self.coming {
            Some(coming) => coming,
            none => {
                let (answer, answered) = oneshot::channel();
                let request = Request::Next { name: self.name.clone(), member: self.id, answer };
                self.requests.send(request).map_err(|_| closed())?;
                none.insert(answered)
            }
        };
        let came = coming.await.unwrap_or_else(|_| Err(closed()));
        self.coming = None;
        came
    }
}

impl Group for Member {
    fn next(&mut self) -> BoxFuture<'_, Result<Delivery, Failure>> {
        Box::pin(self.wait())
    }

    fn acknowledge<'a>(&'a mut self, places: &'a [Place]) -> BoxFuture<'a, Result<(), Failure>> {
        let (name, places) = (self.name.clone(), places.to_vec());
        Box::pin(ask(&self.requests, |answer| Request::Acknowledge { name, places, answer }))
    }

    fn retry(&mut self, place: Place, after: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        let name = self.name.clone();
        Box::pin(ask(&self.requests, move |answer| Request::Retry { name, place, after, answer }))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A bus that is closed has nobody who would get it.
        let _ = self.requests.send(Request::Leave { name: self.name.clone(), member: self.id });
    }
}
