//! The pages: what browsers are shown, and how.

use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::testing;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use http_body_util::BodyExt;
use onex::app::App;
use onex::http::web::{File, Pages};
use serde_json::json;
use std::io::Write;

const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; worker-src 'self' blob:; \
    frame-ancestors 'none'; base-uri 'none'";
/// What a browser says that it takes.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const DASHBOARD: &str = "<!doctype html><title>the dashboard</title>";
const GRAPHIQL: &str = "<!doctype html><title>GraphiQL</title>";
const SCRIPT: &str = "console.log('as it was written')";
/// What stands for a compressed form: nobody here unpacks it.
const BROTLI: &[u8] = b"as brotli";

/// A front end of four files, each made once for all that ask.
fn pages() -> Pages {
    static FILES: std::sync::OnceLock<Vec<File>> = std::sync::OnceLock::new();
    let files = FILES.get_or_init(|| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(SCRIPT.as_bytes()).unwrap();
        let gzip: &'static [u8] = gzip.finish().unwrap().leak();
        vec![
            File::packed("/assets/main-1a2b.js", "W/\"script\"", BROTLI, gzip),
            File::plain("/favicon.ico", "W/\"icon\"", b"icon"),
            File::plain("/graphiql.html", "W/\"graphiql\"", GRAPHIQL.as_bytes()),
            File::plain("/index.html", "W/\"index\"", DASHBOARD.as_bytes()),
        ]
    });
    Pages::new(files)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn read(response: Response<axum::body::Body>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn ask(pages: Pages, path: &str, asked: &[(HeaderName, &'static str)]) -> Answer {
    let asked = asked.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    read(pages.answer(&Method::GET, path, &asked.collect())).await
}

#[tokio::test]
async fn every_view_has_its_address_and_unknown_files_have_none() {
    for path in [
        "/",
        "/nodes",
        "/nodes/0190c5a0",
        "/graph",
        "/tools",
        "/tools/shop.quote",
        "/tools/a%2Fb.c",
        "/ports",
        "/buses",
        "/buses/orders.v1",
        "/history",
        "/nobody/has/made/this",
    ] {
        let answer = ask(pages(), path, &[(header::ACCEPT, BROWSER)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, DASHBOARD), "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    }
    for path in ["/graphiql", "/graphiql/"] {
        assert_eq!(ask(pages(), path, &[(header::ACCEPT, BROWSER)]).await.body, GRAPHIQL, "{path}");
    }
    for path in ["/robots.txt", "/.well-known/security", "/assets", "/assets/", "/assets/gone-0000", "/src/main.ts"] {
        let answer = ask(pages(), path, &[(header::ACCEPT, BROWSER)]).await;
        assert_eq!((answer.status, answer.header("x-content-type-options")), (404, "nosniff"), "{path}");
    }
    assert_eq!(ask(pages(), "/favicon.ico", &[]).await.header("content-type"), "image/x-icon");
}

#[tokio::test]
async fn every_answer_says_what_a_page_may_do() {
    for path in ["/", "/graphiql", "/assets/main-1a2b.js", "/gone.js"] {
        let answer = ask(pages(), path, &[(header::ACCEPT, BROWSER)]).await;
        assert_eq!(answer.header("content-security-policy"), POLICY, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("permissions-policy").contains("camera=()"));
    }
}

#[tokio::test]
async fn what_is_named_by_its_content_is_kept_for_ever_and_all_else_is_asked_for_again() {
    let script = ask(pages(), "/assets/main-1a2b.js", &[]).await;
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    let page = ask(pages(), "/nodes", &[]).await;
    assert_eq!((page.header("cache-control"), page.header("etag")), ("no-cache", "W/\"index\""));
    for had in ["W/\"index\"", "\"index\"", "\"other\", W/\"index\"", "*"] {
        let answer = ask(pages(), "/nodes", &[(header::IF_NONE_MATCH, had)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{had}");
        assert_eq!((answer.header("etag"), answer.header("cache-control")), ("W/\"index\"", "no-cache"));
        assert_eq!(answer.header("content-type"), "");
    }
    assert_eq!(ask(pages(), "/nodes", &[(header::IF_NONE_MATCH, "W/\"graphiql\"")]).await.status, 200);
}

#[tokio::test]
async fn files_come_in_the_form_that_is_taken() {
    for (accepted, encoding) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.1, gzip", "gzip"),
        ("zstd", ""),
        ("identity", ""),
        ("br;q=0", ""),
    ] {
        let answer = ask(pages(), "/assets/main-1a2b.js", &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!(answer.header("content-encoding"), encoding, "{accepted}");
        assert_eq!(answer.header("vary"), "accept-encoding");
        match encoding {
            "br" => assert_eq!(answer.body.as_bytes(), BROTLI),
            "" => assert_eq!(answer.body, SCRIPT),
            _ => assert_ne!(answer.body, SCRIPT),
        }
    }
    let icon = ask(pages(), "/favicon.ico", &[(header::ACCEPT_ENCODING, "br")]).await;
    assert_eq!((icon.header("content-encoding"), icon.body.as_str()), ("", "icon"));
}

#[tokio::test]
async fn programs_are_told_at_the_root_what_they_always_were() {
    for accepted in ["application/json", "application/json, text/plain, */*", "application/graphql-response+json"] {
        let asked = [(header::ACCEPT, accepted)];
        let answer = ask(pages(), "/", &asked).await;
        assert!(answer.body.starts_with("onex ") && answer.body.contains("/graphql"), "{accepted}: {}", answer.body);
        assert_eq!(ask(pages(), "/nodes", &asked).await.status, 404, "{accepted}");
    }
    for accepted in [BROWSER, "*/*", "text/*"] {
        assert_eq!(ask(pages(), "/", &[(header::ACCEPT, accepted)]).await.body, DASHBOARD, "{accepted}");
    }
}

#[tokio::test]
async fn a_program_without_pages_says_why_and_what_to_do() {
    let none = Pages::absent("There was no npm.");
    for path in ["/", "/nodes", "/graphiql"] {
        let answer = ask(none, path, &[(header::ACCEPT, BROWSER)]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert_eq!((answer.header("cache-control"), answer.header("content-security-policy")), ("no-store", POLICY));
        assert!(answer.body.contains("There was no npm.") && answer.body.contains("cargo build"), "{}", answer.body);
    }
    assert_eq!(ask(none, "/assets/main-1a2b.js", &[]).await.status, 404);
}

async fn get(server: &Server, path: &str) -> Answer {
    let request = reqwest::Client::new().get(format!("{}{path}", server.url())).header("accept", BROWSER);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.text().await.unwrap() }
}

#[tokio::test]
async fn a_registry_serves_its_pages_beside_what_it_always_did() {
    let server = Server::start();
    let page = get(&server, "/nodes").await;
    assert_eq!((page.status, page.header("content-security-policy")), (200, POLICY));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(get(&server, "/healthz").await.body, "alive\n");
    assert_eq!(get(&server, "/gone.js").await.status, 404);

    let client = reqwest::Client::new();
    let head = client.head(format!("{}/nodes", server.url())).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &page.headers["content-length"]));
    assert_eq!(head.text().await.unwrap(), "");
    let post = client.post(format!("{}/nodes", server.url())).send().await.unwrap();
    assert_eq!((post.status().as_u16(), &post.headers()["allow"]), (405, &HeaderValue::from_static("GET, HEAD")));
    let renamed = client.get(server.url()).header("host", "evil.test").send().await.unwrap();
    assert_eq!(renamed.status(), 421);
    server.said_eventually("pages").await;
}

#[tokio::test]
async fn a_page_asks_the_registry_that_it_came_from() {
    let server = Server::start();
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url())).header("origin", server.url());
    let answer = request.json(&json!({"query": "{ __typename }"})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut socket = Socket::ready_from(&server, server.url()).await;
    socket.subscribe("1", "subscription { registryEvents(after: 0) { type } }").await;
    server.query("mutation { register(input: {name: \"a\"}) { created } }", json!({})).await;
    assert_eq!(socket.hear().await["id"], "1");
}

/// Where this program has them: with the folder `web` and npm, a build has.
#[tokio::test]
async fn pages_that_were_built_in_have_all_that_they_name() {
    if !App::has_pages() {
        testing::passed_over("there is no dashboard in this program: it needs the folder web and npm");
        return;
    }
    let server = Server::start();
    for page in ["/", "/graphiql"] {
        let body = get(&server, page).await.body;
        let named: Vec<&str> = body.split(['"', '\'']).filter(|text| text.starts_with("/assets/")).collect();
        assert!(!named.is_empty(), "{page}: {body}");
        for path in named {
            let request = reqwest::Client::new().get(format!("{}{path}", server.url()));
            let file = request.header("accept-encoding", "br").send().await.unwrap();
            assert_eq!(file.status(), 200, "{path}");
            assert_eq!(file.headers()["cache-control"], "public, max-age=31536000, immutable", "{path}");
            // A few hundred bytes do not become fewer.
            let is_large = file.content_length().is_none_or(|length| length > 1024);
            assert!((path.ends_with(".js") && is_large) <= file.headers().contains_key("content-encoding"), "{path}");
        }
    }
}

#[tokio::test]
async fn pages_are_for_everybody_and_data_is_not() {
    let server = Server::start_with(&[("ONEX_ACCESS_ENABLED", "true")]);
    assert_eq!(get(&server, "/nodes").await.status, 200);
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    let answer = request.json(&json!({"query": "{ registry { id } }"})).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn pages_can_be_turned_off() {
    let server = Server::start_with(&[("ONEX_HTTP_DASHBOARD", "false")]);
    let root = get(&server, "/").await;
    assert!(root.body.starts_with("onex "), "{}", root.body);
    for path in ["/nodes", "/graphiql", "/assets/main-1a2b.js"] {
        assert_eq!(get(&server, path).await.status, 404, "{path}");
    }
    server.said_eventually("http.dashboard is false").await;
}
