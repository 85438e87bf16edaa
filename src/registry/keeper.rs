//! The keeper: takes for gone what has lapsed.
//!
//! Deadlines are in the state, and so in the log: the keeper only looks at the earliest and says when it has come.

use super::command::{Command, Request};
use super::engine::{Clock, Error, Handle};
use super::view::Views;
use crate::model::Actor;
use std::sync::Arc;
use std::time::Duration;

/// How long the keeper sleeps at most: a deadline that moved closer meanwhile is noticed this late.
const NAP_MAX: Duration = Duration::from_millis(500);
/// How long it waits after the log refused a change.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps the registry until it stops.
pub async fn keep(handle: Handle, views: Arc<Views>, clock: Arc<dyn Clock>) {
    loop {
        let now = clock.now();
        match views.current().next_deadline() {
            Some(deadline) if deadline <= now => {
                let request =
                    Request { command: Command::ExpireLapsed, actor: Actor::registry(), correlation_id: None };
                match handle.submit(request).await {
                    Ok(_) => {}
                    Err(Error::Stopped) => return,
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "what lapsed could not be expired");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            Some(deadline) => {
                tokio::time::sleep(Duration::from_micros(deadline.micros_since(now)).min(NAP_MAX)).await;
            }
            None => tokio::time::sleep(NAP_MAX).await,
        }
    }
}
