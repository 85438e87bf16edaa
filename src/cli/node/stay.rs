//! Staying at the registry until somebody says otherwise.

use std::pin::pin;
use std::process::ExitCode;

use crate::cli::child::signals::{self, Signals};
use crate::cli::error::{self, Error};
use crate::cli::output;
use crate::client::node::{Running, State};

/// Why a node should end.
pub(in crate::cli) enum Stayed {
    /// A signal asks for it.
    Told,
    /// The registry does not let it stay.
    Refused(Error),
}

/// Waits until the node should end. What happens meanwhile is told: a registry that is away, and that is back.
pub(in crate::cli) async fn stay(running: &Running, signals: &mut Signals) -> Stayed {
    let mut states = running.states();
    let mut told = String::new();
    loop {
        tokio::select! {
            signal = signals.next() => if signals::asks_to_stop(signal) {
                return Stayed::Told;
            },
            state = states.next() => match state {
                Some(State::Connected) => {
                    told.clear();
                    output::note("connected again");
                }
                // A registry may stay away for hours: each reason is told once, not with every try.
                Some(State::Lost(why)) if why != told => {
                    output::note(&format!("{why}; trying again until it answers"));
                    told = why;
                }
                Some(State::Lost(_)) => {}
                Some(State::Ended(_)) | None => return Stayed::Refused(refused(running).await),
            },
        }
    }
}

async fn refused(running: &Running) -> Error {
    match running.closed().await {
        Err(error) => Error::Other(error::chain(&*error).into()),
        Ok(()) => Error::Other("the node has ended".into()),
    }
}

/// Leaves in good order; a second signal ends the waiting for it.
pub(in crate::cli) async fn leave(
    leaving: impl Future<Output = Result<(), crate::client::Error>>,
    signals: &mut Signals,
) -> ExitCode {
    let mut leaving = pin!(leaving);
    loop {
        tokio::select! {
            left = &mut leaving => {
                if let Err(error) = left {
                    output::note(&format!("onex: the registry was not told of the end: {}", error::chain(&error)));
                }
                return ExitCode::SUCCESS;
            }
            signal = signals.next() => if signals::asks_to_stop(signal) {
                return signals::status(signal.as_raw());
            },
        }
    }
}
