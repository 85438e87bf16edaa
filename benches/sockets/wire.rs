//! As much of the websocket protocol as counting frames takes.

use std::cell::RefCell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const READ_BYTES: usize = 256 * 1024;
const NARROW_BYTES: u32 = 4096;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A websocket whose frames are counted.
pub struct Wire {
    stream: TcpStream,
    /// The head of a frame, as far as it has come.
    head: Vec<u8>,
    /// What is still to come of a frame.
    left: usize,
    /// Where in each frame a number stands that is summed up.
    number_at: Option<usize>,
    /// How much of a frame is still to come before it.
    before: usize,
    /// The number of a frame, as far as it has come.
    number: Option<u64>,
    sum: u64,
}

impl Wire {
    pub async fn open(address: &str, path: &str, protocol: &str) -> Self {
        Wire::over(TcpStream::connect(address).await.expect("connected"), address, path, protocol).await
    }

    /// One whose system keeps little of what it does not read.
    pub async fn narrow(address: &str, path: &str, protocol: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(NARROW_BYTES).expect("a socket");
        let stream = socket.connect(address.parse().expect("an address")).await.expect("connected");
        Wire::over(stream, address, path, protocol).await
    }

    async fn over(mut stream: TcpStream, address: &str, path: &str, protocol: &str) -> Self {
        stream.set_nodelay(true).expect("a socket");
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {protocol}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        Wire { stream, head: Vec::new(), left: 0, number_at: None, before: 0, number: None, sum: 0 }
    }

    /// From here on, sums up the numbers that stand at this place of each frame.
    pub fn sum_up(&mut self, number_at: usize) {
        self.number_at = Some(number_at);
    }

    /// The sum of those that have come.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Sends texts, all at once.
    pub async fn send(&mut self, texts: &[String]) {
        let mut bytes = Vec::new();
        for text in texts {
            // A mask of zeros changes nothing.
            let len = u16::try_from(text.len()).expect("a short text");
            bytes.extend_from_slice(&[0x81, 0x80 | 126]);
            bytes.extend_from_slice(&len.to_be_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(text.as_bytes());
        }
        self.stream.write_all(&bytes).await.expect("sent");
    }

    /// Waits for frames; how many began to come.
    pub async fn receive(&mut self) -> usize {
        loop {
            self.stream.readable().await.expect("readable");
            let found = READ.with_borrow_mut(|bytes| match self.stream.try_read(bytes) {
                Ok(0) => panic!("the server hung up"),
                Ok(length) => Some(self.count(&bytes[..length])),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
                Err(error) => panic!("{error}"),
            });
            if let Some(count @ 1..) = found {
                return count;
            }
        }
    }

    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        loop {
            let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= content.len();
            self.look_for_number(content);
            bytes = rest;
            let Some((next, rest)) = bytes.split_first() else { return count };
            self.head.push(*next);
            bytes = rest;
            let (kind, short) = (self.head[0], self.head.get(1).copied());
            let len = match (short, self.head.len()) {
                (Some(short @ ..126), 2) => usize::from(short),
                (Some(126), 4) => usize::from(u16::from_be_bytes([self.head[2], self.head[3]])),
                (Some(127), _) => panic!("a frame of more than 64 KiB"),
                _ => continue,
            };
            self.head.clear();
            self.left = len;
            match kind {
                0x81 => {
                    count += 1;
                    self.before = self.number_at.unwrap_or(usize::MAX);
                    self.number = None;
                }
                // A server lets go of who is not there any more. A mask of zeros; there is always room for it.
                0x89 => drop(self.stream.try_write(&[0x8a, 0x80, 0, 0, 0, 0]).expect("a pong is sent")),
                other => panic!("a frame of kind {other:#x}"),
            }
        }
    }

    fn look_for_number(&mut self, content: &[u8]) {
        let skipped = self.before.min(content.len());
        self.before -= skipped;
        for byte in &content[skipped..] {
            if !byte.is_ascii_digit() {
                self.sum += self.number.take().expect("a number where there is always one");
                self.before = usize::MAX;
                return;
            }
            self.number = Some(self.number.unwrap_or_default() * 10 + u64::from(byte - b'0'));
        }
    }
}
