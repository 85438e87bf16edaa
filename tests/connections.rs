//! What a connection may cost before anybody has asked anything, and who may ask from where.

use crate::support::eventually;
use crate::support::server::Server;
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// What the server says until it closes.
async fn last_words(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is cut has no last words.
    let _ = stream.read_to_end(&mut said).await;
    String::from_utf8(said).unwrap()
}

const QUERY: &str = "{\"query\": \"{ __typename }\"}";

fn head(length: usize) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_a_place_given_up_is_had_again() {
    let server = Server::start_with(&[("ONEX_HTTP_CONNECTIONS_MAX", "2")]);
    let mut first = connect(&server).await;
    let _second = connect(&server).await;
    let mut third = connect(&server).await;
    let said = last_words(&mut third).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\r\nRetry-After: "), "{said}");
    assert!(said.contains("http.connections_max"), "{said}");
    first.shutdown().await.unwrap();
    last_words(&mut first).await;
    eventually("a place is free", async || {
        let mut next = connect(&server).await;
        next.write_all((head(QUERY.len()) + QUERY).as_bytes()).await.ok()?;
        let mut begin = [0; 12];
        next.read_exact(&mut begin).await.ok()?;
        (&begin == b"HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_it_may() {
    let server = Server::start_with(&[("ONEX_HTTP_CONNECTIONS_PER_ADDRESS_MAX", "1")]);
    let _first = connect(&server).await;
    let said = last_words(&mut connect(&server).await).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("this address has 1 connections"), "{said}");
}

#[tokio::test]
async fn a_websocket_keeps_its_place() {
    let server = Server::start_with(&[("ONEX_HTTP_CONNECTIONS_MAX", "1")]);
    let _socket = crate::support::socket::Socket::ready(&server).await;
    let said = last_words(&mut connect(&server).await).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
}

#[tokio::test]
async fn stalled_headers_are_cut_and_a_stalled_body_is_answered() {
    let server = Server::start_with(&[("ONEX_HTTP_HEADER_SECONDS", "1"), ("ONEX_HTTP_BODY_SECONDS", "1")]);
    let mut silent = connect(&server).await;
    let mut begun = connect(&server).await;
    begun.write_all(b"POST /graphql HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut half = connect(&server).await;
    half.write_all((head(QUERY.len()) + &QUERY[..5]).as_bytes()).await.unwrap();
    assert_eq!(last_words(&mut silent).await, "");
    assert_eq!(last_words(&mut begun).await, "");
    let said = last_words(&mut half).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("http.body_seconds"), "{said}");
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_within_its_time_too() {
    let server = Server::start_with(&[("ONEX_HTTP_BODY_SECONDS", "1")]);
    let (mut reading, mut writing) = connect(&server).await.into_split();
    writing.write_all(head(1_000_000).as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut begin = [0; 12];
    reading.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 408");
    trickle.abort();
}

#[tokio::test]
async fn a_body_is_bounded_whether_it_says_its_length_or_not() {
    let server = Server::start_with(&[("ONEX_HTTP_BODY_BYTES_MAX", "1000")]);
    let url = format!("{}/graphql", server.url());
    let client = reqwest::Client::new();
    let large = format!("{QUERY}{}", " ".repeat(50_000_000));
    let pieces = stream::iter((0..5_000).map(|_| Ok::<_, Infallible>(vec![b' '; 10_000])));
    for body in [reqwest::Body::from(large), reqwest::Body::wrap_stream(pieces)] {
        let request = client.post(&url).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 413);
        let said: Value = response.json().await.unwrap();
        let message = said["errors"][0]["message"].as_str().unwrap();
        assert_eq!(message, "the body has more than 1000 bytes, which is the most (http.body_bytes_max)");
    }
    let fits = format!("{QUERY}{}", " ".repeat(1000 - QUERY.len()));
    let pieces = stream::iter(fits.into_bytes().into_iter().map(|byte| Ok::<_, Infallible>(vec![byte])));
    let request = client.post(&url).header("content-type", "application/json");
    assert_eq!(request.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_is_under_way() {
    let server = Server::start();
    let mut stream = connect(&server).await;
    let expecting = head(QUERY.len()).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(expecting.as_bytes()).await.unwrap();
    // Said when the body is waited for: so the request is under way.
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).await.unwrap();
    let mut idle = connect(&server).await;
    let url = server.url().to_owned();
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(last_words(&mut idle).await, "");
    eventually("nobody is let in", async || reqwest::get(&url).await.is_err().then_some(())).await;
    stream.write_all(QUERY.as_bytes()).await.unwrap();
    let said = last_words(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert!(stopped.await.unwrap().success());
}

#[tokio::test]
async fn a_name_that_is_not_the_servers_own_is_refused() {
    let server = Server::start_with(&[("ONEX_HTTP_ALLOWED_HOSTS", "registry.test")]);
    for (host, status) in [("registry.test", 200), ("localhost", 200), ("evil.test", 421)] {
        let request = reqwest::Client::new().post(format!("{}/graphql", server.url())).header("host", host);
        let response = request.header("content-type", "application/json").body(QUERY).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_ask_only_where_they_are_allowed_to() {
    let server = Server::start_with(&[("ONEX_HTTP_ALLOWED_ORIGINS", "https://app.test")]);
    let url = format!("{}/graphql", server.url());
    let ask = |origin: &str| {
        let request = reqwest::Client::new().post(&url).header("content-type", "application/json");
        request.header("origin", origin).body(QUERY).send()
    };
    let response = ask("https://app.test").await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.test");
    assert_eq!(ask(server.url()).await.unwrap().status(), 200);
    for origin in ["https://evil.test", "null"] {
        let response = ask(origin).await.unwrap();
        assert_eq!(response.status(), 403, "{origin}");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    for (origin, status) in [("https://app.test", 204), ("https://evil.test", 403)] {
        let request = reqwest::Client::new().request(reqwest::Method::OPTIONS, &url).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        let response = request.header("access-control-request-headers", "content-type").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{origin}");
        let allowed = response.headers().get("access-control-allow-headers");
        assert_eq!(allowed.is_some(), status == 204);
    }
}

#[tokio::test]
async fn answers_are_compressed_as_the_client_takes_it() {
    let server = Server::start();
    let introspection = json!({"query": "{ __schema { types { name description fields { name description } } } }"});
    let ask = |encoding: &'static str| {
        let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
        let request = request.header("content-type", "application/json").header("accept-encoding", encoding);
        request.body(introspection.to_string()).send()
    };
    let plain = ask("identity").await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.bytes().await.unwrap();
    for encoding in ["gzip", "br", "zstd"] {
        let response = ask(encoding).await.unwrap();
        assert_eq!(response.headers()["content-encoding"], encoding);
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let packed = response.bytes().await.unwrap();
        assert!(packed.len() < plain.len() / 2);
        let mut unpacked = Vec::new();
        match encoding {
            "gzip" => {
                _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut unpacked).unwrap()
            }
            "br" => brotli::BrotliDecompress(&mut &*packed, &mut unpacked).unwrap(),
            _ => zstd::stream::copy_decode(&*packed, &mut unpacked).unwrap(),
        }
        assert_eq!(unpacked, plain);
    }
}
