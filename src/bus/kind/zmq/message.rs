//! What frames say to programs: events on their way in and out, and answers. Pure.

use super::frame::Message;
use crate::bus::kind::{Failure, Place};
use crate::model::TopicName;
use bytes::Bytes;
use std::fmt;

/// The most bytes of a traceparent: today's have 55.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// The code of an answer to what is no event, or cannot be taken.
const INVALID: &str = "INVALID_ARGUMENT";
/// The code of an answer of a bus that is being closed.
const STOPPED: &str = "BUS_STOPPED";

/// An event that a program sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) topic: TopicName,
    pub(super) text: Bytes,
    pub(super) traceparent: Option<Box<str>>,
}

/// Why a message is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misshapen {
    Frames(usize),
    Topic(String),
    TooLarge(usize),
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misshapen::Frames(count) => {
                write!(f, "the number of frames is {count}; an event has two, topic and JSON, or a third, traceparent")
            }
            Misshapen::Topic(reason) => write!(f, "the topic {reason}"),
            Misshapen::TooLarge(most) => {
                write!(f, "a message has more than the {most} bytes or the frames it may have")
            }
        }
    }
}

/// Reads an event of so many bytes at most.
pub(super) fn read(message: &Message, bytes_max: usize) -> Result<Sent, Misshapen> {
    if message.is_cut {
        return Err(Misshapen::TooLarge(bytes_max));
    }
    let (topic, text, traceparent) = match &message.frames[..] {
        [topic, text] => (topic, text, None),
        [topic, text, traceparent] => (topic, text, Some(traceparent)),
        frames => return Err(Misshapen::Frames(frames.len())),
    };
    if text.len() > bytes_max {
        return Err(Misshapen::TooLarge(bytes_max));
    }
    let topic = std::str::from_utf8(topic).map_err(|_| Misshapen::Topic("is no text".to_owned()))?;
    let topic = TopicName::try_new(topic).map_err(|error| Misshapen::Topic(error.to_string()))?;
    Ok(Sent { topic, text: text.clone(), traceparent: traceparent.and_then(traceparent_of) })
}

/// What is no traceparent is passed over, as the recommendation has it.
fn traceparent_of(frame: &Bytes) -> Option<Box<str>> {
    let is_one = (1..=TRACEPARENT_BYTES_MAX).contains(&frame.len()) && frame.iter().all(u8::is_ascii_graphic);
    let text = is_one.then(|| std::str::from_utf8(frame).ok()).flatten();
    text.map(Into::into)
}

/// An event's frames.
pub(super) fn written(topic: &TopicName, text: &Bytes, traceparent: Option<&str>) -> Vec<Bytes> {
    let topic = Bytes::copy_from_slice(topic.as_str().as_bytes());
    let traceparent = traceparent.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    [topic, text.clone()].into_iter().chain(traceparent).collect()
}

/// Takes what says where an answer goes off a request: everything up to an empty frame, as REQ sockets and those
/// between put it there. DEALER sockets need none.
pub(super) fn take_return_path(message: &mut Message) -> Vec<Bytes> {
    let is_event =
        |frames: &[Bytes]| matches!(frames, [topic, text] | [topic, text, _] if !topic.is_empty() && !text.is_empty());
    let empty = message.frames.iter().position(Bytes::is_empty);
    match empty.filter(|_| !is_event(&message.frames)) {
        Some(at) => message.frames.drain(..=at).collect(),
        None => Vec::new(),
    }
}

/// The frames of an answer.
pub(super) fn answer(mut path: Vec<Bytes>, outcome: &Result<Place, Failure>) -> Vec<Bytes> {
    let text = |text: String| Bytes::from(text);
    match outcome {
        Ok(place) => path.extend([Bytes::from_static(b"ok"), text(place.0.to_string())]),
        Err(failure) => {
            let code = if matches!(failure, Failure::Away(_)) { STOPPED } else { INVALID };
            path.extend([Bytes::from_static(b"error"), text(code.to_owned()), text(failure.to_string())]);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(frames: &[&'static str]) -> Message {
        Message { frames: frames.iter().map(|frame| Bytes::from_static(frame.as_bytes())).collect(), is_cut: false }
    }

    fn texts(frames: &[Bytes]) -> Vec<&str> {
        frames.iter().map(|frame| std::str::from_utf8(frame).unwrap()).collect()
    }

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for traceparent in [None, Some(trace)] {
            let topic = TopicName::try_new("a.b").unwrap();
            let frames = written(&topic, &Bytes::from_static(b"{}"), traceparent);
            let sent = read(&Message { frames, is_cut: false }, 2).unwrap();
            assert_eq!((sent.topic, &sent.text[..], sent.traceparent.as_deref()), (topic, &b"{}"[..], traceparent));
        }
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let refused = |message: &Message| read(message, 5).unwrap_err().to_string();
        assert!(refused(&message(&["one"])).contains("frames is 1"));
        assert!(refused(&message(&["t", "{}", "", ""])).contains("frames is 4"));
        assert!(refused(&message(&["a..b", "{}"])).contains("empty segment"));
        assert!(refused(&message(&["a b", "{}"])).contains("white space"));
        assert!(refused(&message(&["t", "123456"])).contains("5 bytes"));
        assert!(refused(&Message { is_cut: true, ..message(&["t", "{}"]) }).contains("5 bytes"));
        assert!(
            refused(&Message { frames: vec![Bytes::from_static(b"\xff"), Bytes::new()], is_cut: false })
                .contains("no text")
        );
    }

    #[test]
    fn what_is_no_traceparent_is_passed_over() {
        for third in ["", "with space", "ü"] {
            assert_eq!(read(&message(&["t", "{}", third]), 9).unwrap().traceparent, None);
        }
    }

    #[test]
    fn an_answer_goes_the_way_that_the_request_came() {
        for (frames, path, rest) in [
            (&["t", "{}"][..], &[][..], &["t", "{}"][..]),
            (&["t", "{}", ""], &[], &["t", "{}", ""]),
            (&["", "t", "{}"], &[""], &["t", "{}"]),
            (&["5", "", "t", "{}"], &["5", ""], &["t", "{}"]),
            (&["a", "b", "", "t", "{}", "trace"], &["a", "b", ""], &["t", "{}", "trace"]),
            (&["", "t"], &[""], &["t"]),
        ] {
            let mut request = message(frames);
            let taken = take_return_path(&mut request);
            assert_eq!((texts(&taken), texts(&request.frames)), (path.to_vec(), rest.to_vec()));
            let answered = answer(taken, &Ok(Place(7)));
            assert_eq!(texts(&answered), [path, &["ok", "7"]].concat());
        }
        let refused = answer(Vec::new(), &Err(Failure::Refused("no".to_owned())));
        assert_eq!(texts(&refused), ["error", INVALID, "no"]);
    }
}
