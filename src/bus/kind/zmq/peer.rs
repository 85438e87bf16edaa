//! What is said with the programs that are connected.

use super::calls;
use super::connection::{Reader, Role, Writer, meet, named};
use super::endpoint::{Listening, ReadHalf, WriteHalf};
use super::forward::{Attached, Outbound, Queue, Shared};
use super::frame::{Broken, Message, Said};
use super::message;
use crate::bus::kind::Failure;
use bytes::Bytes;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How many connections one socket has at most.
const CONNECTIONS_MAX: usize = 1_000;
/// How long a peer may take to say what it is.
const MEET_MAX: Duration = Duration::from_secs(10);
/// How long nobody is let in when the system refuses to.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets programs in at a socket until the bus ends, and they with it.
pub(super) async fn let_in(listening: Listening, role: Role, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    {
        let mut stopped = pin!(shared.stopped());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopped => break,
                Some(_) = connections.join_next() => continue,
                accepted = listening.accept() => accepted,
            };
            match accepted {
                Ok(Some(halves)) if connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(serve(halves, role, shared.clone()));
                }
                Ok(Some(_)) => shared.refused.count("a socket has as many connections as it may", &listening.name()),
                Ok(None) => shared.refused.count("a unix socket is for its user alone", &listening.name()),
                Err(error) => {
                    shared.refused.count("a connection cannot be let in", &error);
                    sleep(PAUSE).await;
                }
            }
        }
    }
    // Nobody else comes while the others finish.
    drop(listening);
    while connections.join_next().await.is_some() {}
}

/// From greeting to farewell.
async fn serve(halves: (ReadHalf, WriteHalf), role: Role, shared: Arc<Shared>) {
    let served = async {
        let meeting = timeout(MEET_MAX, meet(halves, role, shared.event_bytes_max, shared.keys.as_ref()));
        let met = tokio::select! {
            met = meeting => met,
            () = shared.stopped() => return Ok(()),
        };
        let (reader, writer) = met.unwrap_or(Err(Broken::Protocol("the peer does not say what it is in time")))?;
        match role {
            Role::Publish => hear_publisher(reader, writer, &shared).await,
            Role::Subscribe => serve_subscriber(reader, writer, &shared).await,
            Role::Request => answer_requests(reader, writer, &shared).await,
        }
    };
    match served.await {
        Err(Broken::Io(error)) if error.kind() != ErrorKind::TimedOut => {
            tracing::debug!(%error, ?role, "a peer has gone");
        }
        Err(broken) => shared.refused.count("a connection to a bus is ended", &broken),
        Ok(()) => {}
    }
}

/// The answer to a peer that looks whether anybody is here.
fn pong(command: &[u8]) -> Option<Vec<u8>> {
    // Behind the name stands for how long it waits, and what it wants to hear again.
    let (_, context) = named(command, "PING")?.split_at_checked(2)?;
    Some([b"\x04PONG", &context[..context.len().min(16)]].concat())
}

async fn hear_publisher(mut reader: Reader, mut writer: Writer, shared: &Shared) -> Result<(), Broken> {
    // All of it, or it sends nothing.
    writer.message(&[Bytes::from_static(b"\x01")]).await?;
    writer.flush().await?;
    let mut stopped = pin!(shared.stopped());
    loop {
        let said = tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            said = reader.next() => said?,
        };
        match said {
            Said::Command(command) => {
                if let Some(pong) = pong(&command) {
                    writer.command(&pong).await?;
                }
            }
            Said::Message(message) => match message::read(&message, shared.event_bytes_max) {
                Ok(sent) => {
                    if shared.pass(sent).await.is_err() {
                        return Ok(());
                    }
                }
                Err(misshapen) => shared.malformed.count("a message on a bus is no event", &misshapen),
            },
        }
    }
}

async fn answer_requests(mut reader: Reader, mut writer: Writer, shared: &Shared) -> Result<(), Broken> {
    let (program, mut calling) = shared.calls.attach();
    let mut stopped = pin!(shared.stopped());
    loop {
        let said = tokio::select! {
            biased;
            () = &mut stopped => return writer.end().await,
            Some(frames) = calling.recv() => {
                writer.message(&frames).await?;
                writer.flush().await?;
                continue;
            }
            said = reader.next() => said?,
        };
        match said {
            Said::Command(command) => {
                if let Some(pong) = pong(&command) {
                    writer.command(&pong).await?;
                }
            }
            Said::Message(mut message) => {
                let path = message::take_return_path(&mut message);
                if calls::are_meant(&message) {
                    let answer = program.hear(path.clone(), &message).unwrap_or_else(|reason| {
                        shared.malformed.count("a message on a bus is nothing of calls", &reason);
                        Some(calls::refused(path, &reason))
                    });
                    if let Some(answer) = answer {
                        writer.message(&answer).await?;
                        writer.flush().await?;
                    }
                    continue;
                }
                let outcome = match message::read(&message, shared.event_bytes_max) {
                    Ok(sent) => shared.publish(sent).await,
                    Err(misshapen) => {
                        shared.malformed.count("a message on a bus is no event", &misshapen);
                        Err(Failure::Refused(misshapen.to_string()))
                    }
                };
                writer.message(&message::answer(path, &outcome)).await?;
                writer.flush().await?;
            }
        }
    }
}

async fn serve_subscriber(mut reader: Reader, mut writer: Writer, shared: &Arc<Shared>) -> Result<(), Broken> {
    let Some((attached, mut queue)) = shared.attach() else { return Ok(()) };
    // It ends when its queue does, and that is empty.
    tokio::select! {
        heard = hear_subscriber(&mut reader, &attached, shared) => heard,
        told = tell_subscriber(&mut writer, &mut queue) => told,
    }
}

async fn hear_subscriber(reader: &mut Reader, attached: &Attached, shared: &Shared) -> Result<(), Broken> {
    loop {
        match reader.next().await? {
            Said::Command(command) => {
                // As ZMTP 3.1 says it.
                if let Some(prefix) = named(&command, "SUBSCRIBE") {
                    attached.subscribe(prefix);
                } else if let Some(prefix) = named(&command, "CANCEL") {
                    attached.cancel(prefix);
                } else if let Some(pong) = pong(&command) {
                    attached.command(pong);
                }
            }
            Said::Message(Message { frames, is_cut: false }) if frames.len() == 1 => match frames[0].split_first() {
                Some((1, prefix)) => attached.subscribe(prefix),
                Some((0, prefix)) => attached.cancel(prefix),
                _ => {
                    shared.malformed.count("a message of a subscriber is no subscription", &"it has another beginning")
                }
            },
            Said::Message(_) => {
                shared.malformed.count("a message of a subscriber is no subscription", &"it has several frames");
            }
        }
    }
}

async fn tell_subscriber(writer: &mut Writer, queue: &mut Queue) -> Result<(), Broken> {
    while let Some(first) = queue.next().await {
        let mut next = Some(first);
        while let Some(outbound) = next {
            match outbound {
                Outbound::Event(frames) => writer.message(&frames).await?,
                Outbound::Command(command) => writer.command(&command).await?,
            }
            next = queue.at_once();
        }
        writer.flush().await?;
    }
    writer.end().await
}
