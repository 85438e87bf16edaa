//! A connection: greetings, who the peer is, and what is said over it afterwards.

use super::curve::{Keys, Opening, Sealing};
use super::endpoint::{ReadHalf, WriteHalf};
use super::frame::{Broken, Frame, Frames, Messages, Said, put_header};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long a peer may take for something to be written to it, before it is let go: ZeroMQ connects again by itself.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// How many bytes are asked for at once.
const READ_AT_ONCE: usize = 16 * 1024;
/// How many bytes wait to be written together.
const WRITE_AT_ONCE: usize = 64 * 1024;
/// What an idle connection may keep of its buffers.
const IDLE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a greeting, and those of it that say the version.
const GREETING_BYTES: usize = 64;
const VERSION_UPTO: usize = 12;

/// What a socket of the bus is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Subscribe,
    Request,
}

impl Role {
    /// As what it says it is, and what connects to it.
    fn sockets(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Role::Publish => ("XSUB", &["PUB", "XPUB"]),
            Role::Subscribe => ("XPUB", &["SUB", "XSUB"]),
            Role::Request => ("ROUTER", &["REQ", "DEALER"]),
        }
    }
}

/// The side that a peer's words come from.
pub(super) struct Reader {
    half: ReadHalf,
    bytes: BytesMut,
    frames: Frames,
    messages: Messages,
    opening: Option<Opening>,
}

impl Reader {
    /// What the peer says next. Whoever stops waiting and asks again misses nothing.
    pub(super) async fn next(&mut self) -> Result<Said, Broken> {
        loop {
            let frame = self.frame().await?;
            if let Some(said) = self.messages.take(frame) {
                return Ok(said);
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = self.frames.next(&mut self.bytes)? {
                return match &mut self.opening {
                    Some(opening) => opening.open(&frame),
                    None => Ok(frame),
                };
            }
            if self.bytes.is_empty() && self.bytes.capacity() > IDLE_BYTES_MAX {
                self.bytes = BytesMut::new();
            }
            self.bytes.reserve(READ_AT_ONCE);
            if self.half.read_buf(&mut self.bytes).await? == 0 {
                return Err(Error::from(ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// A command, where nothing else may come.
    async fn command(&mut self) -> Result<Bytes, Broken> {
        match self.next().await? {
            Said::Command(body) if named(&body, "ERROR").is_some() => Err(Broken::Protocol("the peer refuses")),
            Said::Command(body) => Ok(body),
            Said::Message(_) => Err(Broken::Protocol("a message came before the peers knew each other")),
        }
    }
}

/// The side that a peer is spoken to.
pub(super) struct Writer {
    half: WriteHalf,
    bytes: BytesMut,
    sealing: Option<Sealing>,
}

impl Writer {
    /// Says a message. It may wait for what comes next, or for `flush`.
    pub(super) async fn message(&mut self, frames: &[Bytes]) -> Result<(), Broken> {
        for (at, frame) in frames.iter().enumerate() {
            self.put(at + 1 < frames.len(), false, frame).await?;
        }
        Ok(())
    }

    /// Says a command, at once.
    pub(super) async fn command(&mut self, body: &[u8]) -> Result<(), Broken> {
        self.put(false, true, body).await?;
        self.flush().await
    }

    async fn put(&mut self, more: bool, is_command: bool, body: &[u8]) -> Result<(), Broken> {
        match &mut self.sealing {
            Some(sealing) => sealing.seal(&mut self.bytes, more, is_command, body)?,
            None => {
                put_header(&mut self.bytes, more, is_command, body.len());
                if body.len() < WRITE_AT_ONCE {
                    self.bytes.extend_from_slice(body);
                } else {
                    self.write_out().await?;
                    in_time(self.half.write_all(body)).await?;
                }
            }
        }
        if self.bytes.len() >= WRITE_AT_ONCE { self.write_out().await } else { Ok(()) }
    }

    async fn write_out(&mut self) -> Result<(), Broken> {
        in_time(self.half.write_all_buf(&mut self.bytes)).await?;
        if self.bytes.capacity() > 2 * IDLE_BYTES_MAX {
            self.bytes = BytesMut::new();
        }
        Ok(())
    }

    /// Sends what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        self.write_out().await?;
        in_time(self.half.flush()).await
    }

    /// Sends what waits, and says that nothing comes any more.
    pub(super) async fn end(&mut self) -> Result<(), Broken> {
        self.flush().await?;
        in_time(self.half.shutdown()).await
    }
}

async fn in_time(writing: impl Future<Output = std::io::Result<()>>) -> Result<(), Broken> {
    match timeout(WRITE_MAX, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(Error::from(ErrorKind::TimedOut).into()),
    }
}

/// Greets a peer and finds out whether it is one for this socket: then it may speak, in messages of about so many
/// bytes at most.
pub(super) async fn meet(
    (reading, writing): (ReadHalf, WriteHalf),
    role: Role,
    bytes_max: usize,
    keys: Option<&Keys>,
) -> Result<(Reader, Writer), Broken> {
    // Beside an event's text are its topic, its traceparent and where an answer goes.
    let bytes_max = bytes_max.saturating_add(4_096);
    let frames = Frames::new(bytes_max.saturating_add(if keys.is_some() { Opening::BYTES } else { 0 }));
    let messages = Messages::new(bytes_max);
    let mut reader = Reader { half: reading, bytes: BytesMut::new(), frames, messages, opening: None };
    let mut writer = Writer { half: writing, bytes: BytesMut::new(), sealing: None };
    let mechanism = if keys.is_some() { "CURVE" } else { "NULL" };
    in_time(writer.half.write_all(&greeting(mechanism))).await?;
    let mut theirs = [0; GREETING_BYTES];
    let (version, rest) = theirs.split_at_mut(VERSION_UPTO);
    reader.half.read_exact(version).await?;
    check_version(version)?;
    reader.half.read_exact(rest).await?;
    if rest[..20] != greeting(mechanism)[VERSION_UPTO..VERSION_UPTO + 20] {
        return Err(Broken::Protocol("the peer wants another security mechanism than the bus has"));
    }
    match keys {
        Some(keys) => meet_sealed(&mut reader, &mut writer, role, keys).await?,
        None => {
            writer.command(&ready(role)).await?;
            let theirs = reader.command().await?;
            let properties = named(&theirs, "READY").ok_or(Broken::Protocol("the peer does not say what it is"))?;
            check_peer(role, properties, &mut writer).await?;
        }
    }
    Ok((reader, writer))
}

/// By RFC 26: from then on nobody else reads what is said.
async fn meet_sealed(reader: &mut Reader, writer: &mut Writer, role: Role, keys: &Keys) -> Result<(), Broken> {
    let hello = reader.command().await?;
    let (welcome, welcomed) = keys.welcome(&hello)?;
    writer.command(&welcome).await?;
    let initiate = reader.command().await?;
    let (theirs, mut sealing, opening) = match keys.initiated(welcomed, &initiate) {
        Ok(initiated) => initiated,
        Err(broken) => {
            refuse(writer, &broken.to_string()).await?;
            return Err(broken);
        }
    };
    check_peer(role, &theirs, writer).await?;
    let ready = sealing.ready(&properties(role))?;
    writer.command(&ready).await?;
    (reader.opening, writer.sealing) = (Some(opening), Some(sealing));
    Ok(())
}

/// This side's greeting: ZMTP 3.0, which every library speaks that speaks a later one.
fn greeting(mechanism: &str) -> [u8; GREETING_BYTES] {
    let mut greeting = [0; GREETING_BYTES];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[VERSION_UPTO..VERSION_UPTO + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    greeting[32] = u8::from(mechanism == "CURVE");
    greeting
}

fn check_version(greeting: &[u8]) -> Result<(), Broken> {
    match greeting {
        [0xff, _, _, _, _, _, _, _, _, end, major, ..] if end & 1 == 1 && *major >= 3 => Ok(()),
        [0xff, ..] => Err(Broken::Protocol("the peer speaks a version of ZMTP before 3.0")),
        _ => Err(Broken::Protocol("the peer does not speak ZMTP")),
    }
}

async fn check_peer(role: Role, properties: &[u8], writer: &mut Writer) -> Result<(), Broken> {
    let kind = property(properties, "Socket-Type")?;
    let (_, wanted) = role.sockets();
    if wanted.iter().any(|wanted| wanted.as_bytes() == kind) {
        return Ok(());
    }
    refuse(writer, &format!("this endpoint is for {} sockets", wanted.join(" and "))).await?;
    Err(Broken::Protocol("the peer's socket is of a kind that is not for this endpoint"))
}

async fn refuse(writer: &mut Writer, reason: &str) -> Result<(), Broken> {
    let length = u8::try_from(reason.len()).unwrap_or(u8::MAX);
    let reason = &reason.as_bytes()[..usize::from(length)];
    writer.command(&[b"\x05ERROR", &[length][..], reason].concat()).await
}

fn ready(role: Role) -> Vec<u8> {
    [b"\x05READY", &properties(role)[..]].concat()
}

fn properties(role: Role) -> Vec<u8> {
    let (kind, _) = role.sockets();
    [b"\x0bSocket-Type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()].concat()
}

/// What a command of this name says; `None` for one of another name.
pub(super) fn named<'a>(command: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (&length, rest) = command.split_first()?;
    rest.split_at_checked(length.into()).filter(|(found, _)| *found == name.as_bytes()).map(|(_, said)| said)
}

/// The value of a property; names are the same in capitals.
fn property<'a>(mut properties: &'a [u8], name: &str) -> Result<&'a [u8], Broken> {
    const MISSHAPEN: Broken = Broken::Protocol("the peer does not say what kind of socket it is");
    loop {
        let length = properties.try_get_u8().map_err(|_| MISSHAPEN)?;
        let (found, rest) = properties.split_at_checked(length.into()).ok_or(MISSHAPEN)?;
        properties = rest;
        let length = properties.try_get_u32().map_err(|_| MISSHAPEN)?;
        let length = usize::try_from(length).map_err(|_| MISSHAPEN)?;
        let (value, rest) = properties.split_at_checked(length).ok_or(MISSHAPEN)?;
        properties = rest;
        if found.eq_ignore_ascii_case(name.as_bytes()) {
            return Ok(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

    fn halves(stream: DuplexStream) -> (ReadHalf, WriteHalf) {
        let (reading, writing) = split(stream);
        (Box::new(reading), Box::new(writing))
    }

    /// What a peer says that begins with these bytes, and what the bus makes of it.
    async fn met(said: &[u8]) -> (String, Vec<u8>) {
        let (ours, mut theirs) = duplex(4_096);
        theirs.write_all(said).await.unwrap();
        theirs.shutdown().await.unwrap();
        let outcome = match meet(halves(ours), Role::Publish, 100, None).await {
            Ok(_) => "met".to_owned(),
            Err(broken) => broken.to_string(),
        };
        let mut answered = Vec::new();
        theirs.read_to_end(&mut answered).await.unwrap();
        (outcome, answered)
    }

    fn introduced(kind: &str) -> Vec<u8> {
        let ready = [b"\x05READY\x0bsocket-type\0\0\0", &[kind.len() as u8][..], kind.as_bytes()].concat();
        let mut bytes = BytesMut::from(&greeting("NULL")[..]);
        put_header(&mut bytes, false, true, ready.len());
        bytes.extend_from_slice(&ready);
        bytes.to_vec()
    }

    #[tokio::test]
    async fn a_peer_is_met_that_says_what_it_is() {
        let (outcome, answered) = met(&introduced("PUB")).await;
        assert_eq!(outcome, "met");
        assert!(answered.starts_with(&greeting("NULL")) && answered.ends_with(b"XSUB"));
    }

    #[tokio::test]
    async fn a_peer_that_is_not_for_the_socket_is_told_so() {
        let (outcome, answered) = met(&introduced("REQ")).await;
        assert!(outcome.contains("not for this endpoint"), "{outcome}");
        assert!(answered.ends_with(b"this endpoint is for PUB and XPUB sockets"));
    }

    #[tokio::test]
    async fn what_does_not_speak_the_protocol_is_let_go() {
        for (said, says) in [
            (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "does not speak ZMTP"),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x00", "before 3.0"),
            (b"\xff", "eof"),
            (&greeting("PLAIN"), "another security mechanism"),
            (&[&greeting("NULL")[..], b"\x04\x06\x05READY"].concat(), "what kind of socket"),
            (&[&greeting("NULL")[..], b"\x04\x12\x05READY\x0bSocket-Type"].concat(), "what kind of socket"),
            (&[&greeting("NULL")[..], b"\x00\x01x"].concat(), "before the peers"),
        ] {
            let (outcome, _) = met(said).await;
            assert!(outcome.contains(says), "{outcome}");
        }
    }
}
