//! Frames of ZMTP, the protocol of ZeroMQ (<https://rfc.zeromq.org/spec/37/>). Pure: bytes go in, frames come out.
//!
//! Nothing is set aside for a length that a peer only claims: a frame that is longer than it may be is read past, a
//! piece at a time.

use bytes::{Buf, Bytes, BytesMut};

const MORE: u8 = 0b001;
const LONG: u8 = 0b010;
const COMMAND: u8 = 0b100;

/// The most bytes of a command: those of peers are a name and a few properties.
const COMMAND_BYTES_MAX: usize = 16 * 1024;
/// The most frames of a message: what is read here has three, behind those that say where an answer goes.
const FRAMES_MAX: usize = 16;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The system says so, or the peer has gone.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What came is not what the protocol has there.
    #[error("{0}")]
    Protocol(&'static str),
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Whether the message goes on behind it.
    pub(super) more: bool,
    /// Whether it is for the library at the other end, and not for its program.
    pub(super) is_command: bool,
    /// What it says; `None` where that was longer than it may be.
    pub(super) body: Option<Bytes>,
}

/// A frame's first bytes.
#[derive(Clone, Copy, Debug)]
struct Header {
    flags: u8,
    length: u64,
    /// How many bytes it takes itself.
    size: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Option<Self>, Broken> {
        let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(Broken::Protocol("a frame has flags that there are not"));
        }
        let length = match flags & LONG {
            0 => rest.first().map(|&length| (u64::from(length), 2)),
            _ => rest.first_chunk().map(|length| (u64::from_be_bytes(*length), 9)),
        };
        Ok(length.map(|(length, size)| Header { flags, length, size }))
    }

    fn frame(self, body: Option<Bytes>) -> Frame {
        Frame { more: self.flags & MORE != 0, is_command: self.flags & COMMAND != 0, body }
    }
}

/// Takes frames out of bytes.
#[derive(Debug)]
pub(super) struct Frames {
    bytes_max: usize,
    /// One that is too long, and how much of it is still to come.
    passing: Option<(Header, u64)>,
}

impl Frames {
    /// Frames of so many bytes at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Frames { bytes_max, passing: None }
    }

    /// The next frame; `None` where more bytes are needed for it.
    pub(super) fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, Broken> {
        if self.passing.is_none() {
            let Some(header) = Header::read(bytes)? else { return Ok(None) };
            let is_command = header.flags & COMMAND != 0;
            let most = if is_command { COMMAND_BYTES_MAX } else { self.bytes_max };
            match usize::try_from(header.length).ok().filter(|length| *length <= most) {
                Some(length) if bytes.len() < header.size + length => return Ok(None),
                Some(length) => {
                    bytes.advance(header.size);
                    // A copy: what is kept must not keep the buffer.
                    let body = Bytes::copy_from_slice(&bytes[..length]);
                    bytes.advance(length);
                    return Ok(Some(header.frame(Some(body))));
                }
                None if is_command => return Err(Broken::Protocol("a command is too long")),
                None => {
                    bytes.advance(header.size);
                    self.passing = Some((header, header.length));
                }
            }
        }
        let Some((header, left)) = &mut self.passing else { return Ok(None) };
        let there = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        bytes.advance(there);
        *left -= there as u64;
        if *left > 0 {
            return Ok(None);
        }
        let frame = header.frame(None);
        self.passing = None;
        Ok(Some(frame))
    }
}

/// What a peer said as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// For the library.
    Command(Bytes),
    /// For the program.
    Message(Message),
}

/// The frames of a message, as far as they may be had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The first of them.
    pub(super) frames: Vec<Bytes>,
    /// Whether some are missing: they were too long, or too many.
    pub(super) is_cut: bool,
}

/// Puts messages together.
#[derive(Debug)]
pub(super) struct Messages {
    bytes_max: usize,
    bytes: usize,
    coming: Message,
}

impl Messages {
    /// Messages of so many bytes at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Messages { bytes_max, bytes: 0, coming: Message::default() }
    }

    /// Takes a frame; answers with what it ends.
    pub(super) fn take(&mut self, frame: Frame) -> Option<Said> {
        if frame.is_command {
            return frame.body.map(Said::Command);
        }
        match frame.body {
            Some(body) if !self.coming.is_cut && self.fits(&body) => {
                self.bytes += body.len();
                self.coming.frames.push(body);
            }
            _ => self.coming.is_cut = true,
        }
        if frame.more {
            return None;
        }
        self.bytes = 0;
        Some(Said::Message(std::mem::take(&mut self.coming)))
    }

    fn fits(&self, body: &Bytes) -> bool {
        self.coming.frames.len() < FRAMES_MAX && self.bytes + body.len() <= self.bytes_max
    }
}

/// Writes a frame's header: what it says comes behind it.
pub(super) fn put_header(into: &mut BytesMut, more: bool, is_command: bool, length: usize) {
    let flags = u8::from(more) * MORE + u8::from(is_command) * COMMAND;
    match u8::try_from(length) {
        Ok(short) => into.extend_from_slice(&[flags, short]),
        Err(_) => {
            into.extend_from_slice(&[flags | LONG]);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(frames: &[(bool, bool, Vec<u8>)]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for (more, is_command, body) in frames {
            put_header(&mut bytes, *more, *is_command, body.len());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    fn all(frames: &mut Frames, bytes: &mut BytesMut) -> Vec<Frame> {
        std::iter::from_fn(|| frames.next(bytes).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back_however_it_is_cut(
            bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..600)), 0..8),
            cut in 1_usize..400,
        ) {
            let frames: Vec<_> = bodies.into_iter().map(|(more, body)| (more, false, body)).collect();
            let whole = written(&frames);
            let (mut reading, mut bytes, mut came) = (Frames::new(500), BytesMut::new(), Vec::new());
            for piece in whole.chunks(cut) {
                bytes.extend_from_slice(piece);
                came.extend(all(&mut reading, &mut bytes));
            }
            let expected: Vec<Frame> = frames
                .into_iter()
                .map(|(more, is_command, body)| {
                    let body = (body.len() <= 500).then(|| body.into());
                    Frame { more, is_command, body }
                })
                .collect();
            prop_assert_eq!(came, expected);
        }

        #[test]
        fn no_bytes_are_more_than_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut reading, mut bytes) = (Frames::new(100), BytesMut::from(&bytes[..]));
            let mut messages = Messages::new(100);
            while let Ok(Some(frame)) = reading.next(&mut bytes) {
                messages.take(frame);
            }
        }
    }

    #[test]
    fn a_length_that_is_only_claimed_takes_no_memory() {
        let (mut reading, mut bytes) = (Frames::new(100), BytesMut::new());
        put_header(&mut bytes, false, false, usize::MAX);
        bytes.extend_from_slice(b"a little of it");
        assert_eq!(reading.next(&mut bytes).unwrap(), None);
        assert!(bytes.is_empty() && bytes.capacity() < 1_000);
        let mut bytes = BytesMut::new();
        put_header(&mut bytes, false, true, COMMAND_BYTES_MAX + 1);
        assert!(Frames::new(100).next(&mut bytes).is_err());
    }

    #[test]
    fn a_message_that_is_too_much_is_cut_and_the_next_is_whole() {
        let mut messages = Messages::new(10);
        let frame = |more, body: &'static [u8]| Frame { more, is_command: false, body: Some(Bytes::from_static(body)) };
        assert_eq!(messages.take(frame(true, b"123456")), None);
        let Some(Said::Message(cut)) = messages.take(frame(false, b"123456")) else { panic!("it does not end") };
        assert!(cut.is_cut && cut.frames.len() == 1);
        for _ in 0..FRAMES_MAX {
            assert_eq!(messages.take(frame(true, b"")), None);
        }
        let Some(Said::Message(cut)) = messages.take(frame(false, b"")) else { panic!("it does not end") };
        assert!(cut.is_cut && cut.frames.len() == FRAMES_MAX);
        let Some(Said::Message(whole)) = messages.take(frame(false, b"1234567890")) else { panic!("it does not end") };
        assert!(!whole.is_cut);
    }
}
