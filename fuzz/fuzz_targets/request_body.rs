//! The body of a POST to /graphql, whatever it is: it is answered, and not with a 5xx or an error of the registry's own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onex_fuzz::registry;
use std::cell::RefCell;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

thread_local! {
    /// One connection serves many requests, as long as the registry keeps it.
    static STREAM: RefCell<Option<TcpStream>> = const { RefCell::new(None) };
}

fuzz_target!(|body: &[u8]| {
    let registry = registry();
    let mut stream = STREAM.take();
    let answer = registry.run(async {
        loop {
            let mut open = match stream.take() {
                Some(open) => open,
                None => TcpStream::connect(registry.address()).await.expect("a connection"),
            };
            if let Some(answer) = ask(&mut open, body).await {
                stream = Some(open);
                return answer;
            }
        }
    });
    STREAM.set(stream);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(!status.starts_with('5'), "{answer}");
    assert!(!answer.contains("\"INTERNAL\""), "{answer}");
});

/// The whole answer; `None` where the connection was closed before.
async fn ask(stream: &mut TcpStream, body: &[u8]) -> Option<String> {
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // In one piece: two would wait for each other.
    stream.write_all(&[head.as_bytes(), body].concat()).await.ok()?;
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        answer.extend_from_slice(&buffer[..length]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if answer.len() >= end + 4 + length.parse::<usize>().ok()? {
            return Some(String::from_utf8_lossy(&answer).into_owned());
        }
    }
}
