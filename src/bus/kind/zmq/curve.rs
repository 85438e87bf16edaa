//! CURVE: who knows the bus's public key speaks to it unheard, and the bus knows who speaks
//! (<https://rfc.zeromq.org/spec/26/>).
//!
//! Boxes are NaCl's: X25519, XSalsa20 and Poly1305. Each connection has keys of its own, which go with it.

use super::connection::named;
use super::frame::{Broken, Frame};
use super::z85;
use crate::bus::kind::Failure;
use bytes::{Bytes, BytesMut};
use crypto_box::aead::AeadInPlace;
use crypto_box::{Nonce, PublicKey, SalsaBox, SecretKey, Tag};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const COOKIE_BYTES: usize = 96;

/// What a frame's flags are inside of a box.
const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// Who may speak on a bus, and how it shows who it is.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The file with the bus's secret key: 40 characters of Z85, or a certificate as `pyzmq` and `czmq` write it.
    pub server_secret_key_file: PathBuf,
    /// The public keys of those who may connect, in Z85; `None` lets everybody who knows the bus's public key.
    pub clients: Option<Vec<String>>,
}

/// The keys of a bus.
pub(super) struct Keys {
    secret: SecretKey,
    clients: Option<BTreeSet<[u8; KEY_BYTES]>>,
}

/// What a connection is known by until its peer has shown who it is.
pub(super) struct Welcomed {
    theirs: PublicKey,
    ours: SecretKey,
    cookie: [u8; COOKIE_BYTES],
}

fn misshapen<T>() -> Result<T, Broken> {
    Err(Broken::Protocol("the peer's part in the exchange of keys has not its shape"))
}

fn draw<const COUNT: usize>() -> Result<[u8; COUNT], Broken> {
    let mut bytes = [0; COUNT];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Broken::Protocol("the system gives no randomness")),
    }
}

/// A nonce of two parts.
fn nonce<const ONE: usize, const OTHER: usize>(one: &[u8; ONE], other: &[u8; OTHER]) -> Nonce {
    const { assert!(ONE + OTHER == 24) };
    let mut nonce = Nonce::default();
    nonce[..ONE].copy_from_slice(one);
    nonce[ONE..].copy_from_slice(other);
    nonce
}

/// A box with this in it.
fn seal(salsa: &SalsaBox, nonce: &Nonce, mut plain: Vec<u8>) -> Result<Vec<u8>, Broken> {
    let sealed = salsa.encrypt_in_place_detached(nonce, b"", &mut plain);
    let tag = sealed.map_err(|_| Broken::Protocol("what is said is too long to be sealed"))?;
    Ok([&tag[..], &plain].concat())
}

/// What is in a box.
fn open(salsa: &SalsaBox, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
    let Some((tag, sealed)) = sealed.split_first_chunk::<TAG_BYTES>() else { return misshapen() };
    let mut plain = sealed.to_vec();
    let opened = salsa.decrypt_in_place_detached(nonce, b"", &mut plain, &Tag::from(*tag));
    opened.map_err(|_| Broken::Protocol("a box does not open with the keys there are"))?;
    Ok(plain)
}

impl Keys {
    /// Reads the keys.
    pub(super) fn read(curve: &Curve) -> Result<Self, Failure> {
        let path = curve.server_secret_key_file.display();
        let text = std::fs::read_to_string(&curve.server_secret_key_file);
        let text = text.map_err(|error| Failure::Refused(format!("the bus's secret key, {path}: {error}")))?;
        let secret = key(secret_in(&text));
        let secret =
            secret.ok_or_else(|| Failure::Refused(format!("{path} has no secret key of 40 characters of Z85")))?;
        let client = |text: &String| {
            key(text).ok_or_else(|| Failure::Refused(format!("{text:?} is no public key of 40 characters of Z85")))
        };
        let clients = curve.clients.as_ref().map(|clients| clients.iter().map(client).collect()).transpose()?;
        Ok(Keys { secret: SecretKey::from(secret), clients })
    }

    /// Answers a peer's HELLO.
    pub(super) fn welcome(&self, hello: &[u8]) -> Result<(Vec<u8>, Welcomed), Broken> {
        // Version, padding, their key for this connection, nonce, box.
        let parts = named(hello, "HELLO").and_then(|rest| {
            let (version, rest) = rest.split_first_chunk::<2>()?;
            let (_, rest) = rest.split_first_chunk::<72>()?;
            let (theirs, rest) = rest.split_first_chunk::<KEY_BYTES>()?;
            let (short, sealed) = rest.split_first_chunk::<8>()?;
            (version == b"\x01\0").then_some((theirs, short, sealed))
        });
        let Some((theirs, short, sealed)) = parts else { return misshapen() };
        let theirs = PublicKey::from(*theirs);
        let salsa = SalsaBox::new(&theirs, &self.secret);
        if open(&salsa, &nonce(b"CurveZMQHELLO---", short), sealed)? != [0; 64] {
            return misshapen();
        }
        let ours = SecretKey::from(draw::<KEY_BYTES>()?);
        // Whoever brings it back is the one that it was given to: the connection remembers it.
        let cookie = draw::<COOKIE_BYTES>()?;
        let long = draw::<16>()?;
        let plain = [ours.public_key().as_bytes(), &cookie[..]].concat();
        let sealed = seal(&salsa, &nonce(b"WELCOME-", &long), plain)?;
        Ok(([b"\x07WELCOME", &long[..], &sealed].concat(), Welcomed { theirs, ours, cookie }))
    }

    /// Reads a peer's INITIATE: its properties, and the boxes of what comes next.
    pub(super) fn initiated(&self, welcomed: Welcomed, initiate: &[u8]) -> Result<(Vec<u8>, Sealing, Opening), Broken> {
        let parts = named(initiate, "INITIATE").and_then(|rest| {
            let (cookie, rest) = rest.split_first_chunk::<COOKIE_BYTES>()?;
            let (short, sealed) = rest.split_first_chunk::<8>()?;
            (*cookie == welcomed.cookie).then_some((short, sealed))
        });
        let Some((short, sealed)) = parts else { return misshapen() };
        let salsa = SalsaBox::new(&welcomed.theirs, &welcomed.ours);
        let said = open(&salsa, &nonce(b"CurveZMQINITIATE", short), sealed)?;
        // Their lasting key, and their word that the one of this connection is theirs.
        let parts = said.split_first_chunk::<KEY_BYTES>().and_then(|(client, rest)| {
            let (long, rest) = rest.split_first_chunk::<16>()?;
            let (vouch, properties) = rest.split_first_chunk::<80>()?;
            Some((client, long, vouch, properties))
        });
        let Some((client, long, vouch, properties)) = parts else { return misshapen() };
        let lasting = SalsaBox::new(&PublicKey::from(*client), &welcomed.ours);
        let vouched = open(&lasting, &nonce(b"VOUCH---", long), vouch)?;
        let expected = [welcomed.theirs.as_bytes(), &self.secret.public_key().as_bytes()[..]].concat();
        if vouched != expected {
            return misshapen();
        }
        if self.clients.as_ref().is_some_and(|clients| !clients.contains(client)) {
            return Err(Broken::Protocol("the peer's key is not among those that may connect"));
        }
        let salsa = Arc::new(salsa);
        let opening = Opening { salsa: salsa.clone(), latest: u64::from_be_bytes(*short) };
        Ok((properties.to_vec(), Sealing { salsa, latest: 0 }, opening))
    }
}

/// The secret key that a text has: a certificate's, or all of it.
fn secret_in(text: &str) -> &str {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("secret-key"));
    let quoted = line.and_then(|rest| rest.trim_start().strip_prefix('='));
    quoted.unwrap_or(text).trim().trim_matches('"')
}

fn key(text: &str) -> Option<[u8; KEY_BYTES]> {
    z85::decode(text)?.try_into().ok()
}

/// What this side says, in boxes.
pub(super) struct Sealing {
    salsa: Arc<SalsaBox>,
    latest: u64,
}

impl Sealing {
    fn step(&mut self) -> [u8; 8] {
        self.latest += 1;
        self.latest.to_be_bytes()
    }

    /// The READY command.
    pub(super) fn ready(&mut self, properties: &[u8]) -> Result<Vec<u8>, Broken> {
        let short = self.step();
        let sealed = seal(&self.salsa, &nonce(b"CurveZMQREADY---", &short), properties.to_vec())?;
        Ok([b"\x05READY", &short[..], &sealed].concat())
    }

    /// Puts a frame in a box.
    pub(super) fn seal(
        &mut self,
        into: &mut BytesMut,
        more: bool,
        is_command: bool,
        body: &[u8],
    ) -> Result<(), Broken> {
        let short = self.step();
        let flags = u8::from(more) * MORE + u8::from(is_command) * COMMAND;
        let sealed = seal(&self.salsa, &nonce(b"CurveZMQMESSAGES", &short), [&[flags], body].concat())?;
        super::frame::put_header(into, false, false, Opening::NAME.len() + short.len() + sealed.len());
        for part in [Opening::NAME, &short, &sealed] {
            into.extend_from_slice(part);
        }
        Ok(())
    }
}

/// What the peer says, out of boxes.
pub(super) struct Opening {
    salsa: Arc<SalsaBox>,
    latest: u64,
}

impl Opening {
    const NAME: &[u8] = b"\x07MESSAGE";
    /// How much longer than what it has in it a box is.
    pub(super) const BYTES: usize = Self::NAME.len() + 8 + TAG_BYTES + 1;

    /// Takes a frame out of its box.
    pub(super) fn open(&mut self, frame: &Frame) -> Result<Frame, Broken> {
        // Nobody knows what was in one that was too long, and what belongs to it.
        let Some(body) = &frame.body else { return Err(Broken::Protocol("a box is too large")) };
        let parts = named(body, "MESSAGE").and_then(|rest| rest.split_first_chunk::<8>());
        let Some((short, sealed)) = parts else { return misshapen() };
        let number = u64::from_be_bytes(*short);
        if number <= self.latest {
            return Err(Broken::Protocol("a box comes again"));
        }
        let said = Bytes::from(open(&self.salsa, &nonce(b"CurveZMQMESSAGEC", short), sealed)?);
        self.latest = number;
        let Some(&flags) = said.first() else { return misshapen() };
        Ok(Frame { more: flags & MORE != 0, is_command: flags & COMMAND != 0, body: Some(said.slice(1..)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kind::zmq::frame::Frames;

    const SECRET: [u8; 32] = [7; 32];

    fn keys(clients: Option<BTreeSet<[u8; 32]>>) -> Keys {
        Keys { secret: SecretKey::from(SECRET), clients }
    }

    /// A client's side, as RFC 26 has it.
    struct Client {
        lasting: SecretKey,
        ours: SecretKey,
        bus: PublicKey,
    }

    impl Client {
        fn new() -> Self {
            let bus = SecretKey::from(SECRET).public_key();
            Client { lasting: SecretKey::from([8; 32]), ours: SecretKey::from([9; 32]), bus }
        }

        fn hello(&self) -> Vec<u8> {
            let short = 1_u64.to_be_bytes();
            let salsa = SalsaBox::new(&self.bus, &self.ours);
            let sealed = seal(&salsa, &nonce(b"CurveZMQHELLO---", &short), vec![0; 64]).unwrap();
            [b"\x05HELLO\x01\0", &[0; 72][..], self.ours.public_key().as_bytes(), &short, &sealed].concat()
        }

        fn initiate(&self, welcome: &[u8]) -> (Vec<u8>, SalsaBox) {
            let (long, sealed) = named(welcome, "WELCOME").unwrap().split_first_chunk::<16>().unwrap();
            let salsa = SalsaBox::new(&self.bus, &self.ours);
            let plain = open(&salsa, &nonce(b"WELCOME-", long), sealed).unwrap();
            let (theirs, cookie) = plain.split_first_chunk::<32>().unwrap();
            let theirs = PublicKey::from(*theirs);
            let vouch = [self.ours.public_key().as_bytes(), &self.bus.as_bytes()[..]].concat();
            let vouch = seal(&SalsaBox::new(&theirs, &self.lasting), &nonce(b"VOUCH---", &[3; 16]), vouch).unwrap();
            let plain = [self.lasting.public_key().as_bytes(), &[3; 16][..], &vouch, b"properties"].concat();
            let salsa = SalsaBox::new(&theirs, &self.ours);
            let short = 2_u64.to_be_bytes();
            let sealed = seal(&salsa, &nonce(b"CurveZMQINITIATE", &short), plain).unwrap();
            ([b"\x08INITIATE", cookie, &short, &sealed].concat(), salsa)
        }
    }

    fn met(keys: &Keys) -> Result<(Sealing, Opening, SalsaBox), Broken> {
        let client = Client::new();
        let (welcome, welcomed) = keys.welcome(&client.hello())?;
        let (initiate, salsa) = client.initiate(&welcome);
        let (properties, sealing, opening) = keys.initiated(welcomed, &initiate)?;
        assert_eq!(properties, b"properties");
        Ok((sealing, opening, salsa))
    }

    fn boxed(salsa: &SalsaBox, number: u64, said: &[u8]) -> Frame {
        let short = number.to_be_bytes();
        let sealed = seal(salsa, &nonce(b"CurveZMQMESSAGEC", &short), said.to_vec()).unwrap();
        let body = [Opening::NAME, &short, &sealed].concat();
        Frame { more: false, is_command: false, body: Some(body.into()) }
    }

    #[test]
    fn what_is_said_on_one_side_is_heard_on_the_other() {
        let (mut sealing, mut opening, salsa) = met(&keys(None)).unwrap();
        let heard = opening.open(&boxed(&salsa, 3, b"\x01text")).unwrap();
        assert_eq!(heard, Frame { more: true, is_command: false, body: Some(Bytes::from_static(b"text")) });
        let mut bytes = BytesMut::new();
        sealing.seal(&mut bytes, false, true, b"answer").unwrap();
        let frame = Frames::new(100).next(&mut bytes).unwrap().unwrap();
        let (short, sealed) = named(&frame.body.unwrap(), "MESSAGE")
            .unwrap()
            .split_first_chunk::<8>()
            .map(|(a, b)| (*a, b.to_vec()))
            .unwrap();
        assert_eq!(open(&salsa, &nonce(b"CurveZMQMESSAGES", &short), &sealed).unwrap(), b"\x02answer");
        assert_eq!(Opening::BYTES + 6, Opening::NAME.len() + 8 + sealed.len());
    }

    #[test]
    fn a_box_that_comes_again_or_was_changed_is_refused() {
        let (_, mut opening, salsa) = met(&keys(None)).unwrap();
        assert!(opening.open(&boxed(&salsa, 3, b"\0text")).is_ok());
        assert!(opening.open(&boxed(&salsa, 3, b"\0text")).is_err());
        let mut changed = boxed(&salsa, 4, b"\0text");
        changed.body = changed.body.map(|body| [&body[..body.len() - 1], b"?"].concat().into());
        assert!(opening.open(&changed).is_err());
        assert!(opening.open(&boxed(&salsa, 4, b"")).is_err());
        assert!(opening.open(&Frame { more: false, is_command: false, body: None }).is_err());
    }

    #[test]
    fn only_those_whose_key_is_known_are_let_in() {
        let client = *Client::new().lasting.public_key().as_bytes();
        assert!(met(&keys(Some([client].into()))).is_ok());
        let refused = met(&keys(Some([[1; 32]].into()))).err().map(|broken| broken.to_string());
        assert_eq!(refused.as_deref(), Some("the peer's key is not among those that may connect"));
    }

    #[test]
    fn a_peer_that_does_not_know_the_keys_is_refused() {
        let other = Client { bus: SecretKey::from([1; 32]).public_key(), ..Client::new() };
        assert!(keys(None).welcome(&other.hello()).is_err());
        assert!(keys(None).welcome(b"\x05HELLO\x01\0").is_err());
        let (_, welcomed) = keys(None).welcome(&Client::new().hello()).unwrap();
        let (welcome, _) = keys(None).welcome(&Client::new().hello()).unwrap();
        // The cookie of another connection.
        assert!(keys(None).initiated(welcomed, &Client::new().initiate(&welcome).0).is_err());
    }

    #[test]
    fn keys_are_read_from_a_file_or_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let text = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
        let read = |text: &str, clients| {
            std::fs::write(&file, text).unwrap();
            Keys::read(&Curve { server_secret_key_file: file.clone(), clients })
        };
        let certificate = format!("#   ****\n\ncurve\n    public-key = \"x\"\n    secret-key = \"{text}\"\n");
        for text in [text, &format!("{text}\n"), &certificate] {
            let keys = read(text, Some(vec!["Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID".to_owned()])).unwrap();
            // The pair of the man page of `zmq_curve`.
            let public = keys.clients.unwrap().into_iter().next();
            assert!(keys.secret.to_bytes() != [0; 32] && public.is_some());
        }
        assert!(matches!(read("short", None), Err(Failure::Refused(_))));
        assert!(matches!(read(text, Some(vec!["x".to_owned()])), Err(Failure::Refused(_))));
        let missing = Curve { server_secret_key_file: folder.path().join("none"), clients: None };
        assert!(matches!(Keys::read(&missing), Err(Failure::Refused(reason)) if reason.contains("none")));
    }
}
