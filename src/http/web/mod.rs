//! The pages: the dashboard and GraphiQL, as they were built into the program.
//!
//! They hold no data. What they show they ask for at `/graphql`, as every other client does, so they are given to
//! everybody; where access is configured, they ask whoever looks at them for a token.

mod built;
mod file;

pub use file::File;

use super::answer::range;
use super::{INDEX, Parts};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

/// What a page may do: nothing comes from elsewhere, and no script stands in a page. The editor of GraphiQL and the
/// drawings set styles of their own, and start workers from what is here already.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' \
     data:; connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
);
/// What a page asks of its machine: nothing. A name may be copied to the clipboard, so that is not in the list.
const PERMISSIONS: HeaderValue =
    HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
/// Where files are whose names change with what is in them.
const ASSETS: &str = "/assets/";
/// The dashboard's views of things with names, which may have dots in them.
const VIEWS: [&str; 6] = ["nodes", "graph", "tools", "ports", "buses", "history"];
/// What is shown in the place of pages that are not in this program.
const FALLBACK: &str = include_str!("absent.html");

/// What is answered where nothing else is.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    files: &'static [File],
    /// Why there are no files.
    absent: Option<&'static str>,
}

/// What there is at an address.
enum Found {
    /// A file by its own name.
    File(&'static File),
    /// A page, for whoever can read one.
    Page(&'static str),
    Nothing,
}

impl Pages {
    /// Those that were built into this program.
    pub fn built() -> Self {
        Pages { files: &built::FILES, absent: built::ABSENT }
    }

    /// Of these files.
    pub fn new(files: &'static [File]) -> Self {
        Pages { files, absent: None }
    }

    /// None, and why.
    pub fn absent(why: &'static str) -> Self {
        Pages { files: &[], absent: Some(why) }
    }

    /// Whether there are any.
    pub fn are_there(self) -> bool {
        self.absent.is_none()
    }

    /// Answers a request that no other route has.
    pub fn answer(self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let found = self.find(path);
        let exists = !matches!(found, Found::Nothing);
        if exists && method != Method::GET && method != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
        }
        let mut response = match found {
            Found::File(file) => file.answer(headers, path.starts_with(ASSETS)),
            Found::Page(name) if takes_html(headers) => self.page(name, headers),
            // What programs were told here before there were pages.
            Found::Page(_) if path == "/" => INDEX.into_response(),
            Found::Page(_) | Found::Nothing => {
                (StatusCode::NOT_FOUND, "there is nothing at this address\n").into_response()
            }
        };
        let headers = response.headers_mut();
        if matches!(found, Found::Page(_)) {
            headers.append(header::VARY, HeaderValue::from_static("accept"));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // An address here has names in it, which nobody else is told.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
        response
    }

    fn find(self, path: &str) -> Found {
        if let Some(file) = self.file(path) {
            return Found::File(file);
        }
        let view = path.split('/').nth(1).unwrap_or_default();
        match path.trim_end_matches('/') {
            "/graphiql" => Found::Page("/graphiql.html"),
            // Whoever asks for a file that is not there is not helped by a page.
            path if view == "assets" || path.contains('.') && !VIEWS.contains(&view) => Found::Nothing,
            _ => Found::Page("/index.html"),
        }
    }

    fn file(self, path: &str) -> Option<&'static File> {
        // There are some dozens.
        self.files.iter().find(|file| file.path() == path)
    }

    fn page(self, name: &str, headers: &HeaderMap) -> Response {
        match self.file(name) {
            Some(file) => file.answer(headers, false),
            None => {
                let why = self.absent.unwrap_or("It has no such page.");
                let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
                (headers, Html(FALLBACK.replace("{why}", why))).into_response()
            }
        }
    }
}

/// Answers a request that no other route has.
pub(super) async fn answer(State(parts): State<Arc<Parts>>, request: Request) -> Response {
    match parts.pages {
        Some(pages) => pages.answer(request.method(), request.uri().path(), request.headers()),
        None if request.uri().path() == "/" => INDEX.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Whether a client can read a page: it says so, or takes whatever there is and names nothing that programs read.
fn takes_html(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::ACCEPT) {
        return true;
    }
    let (mut html, mut anything, mut json) = (false, false, false);
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for (media, quality) in accept.flat_map(|value| value.split(',')).filter_map(range) {
        match media.to_ascii_lowercase().as_str() {
            "text/html" | "application/xhtml+xml" | "text/*" => html |= quality > 0.0,
            "*/*" => anything |= quality > 0.0,
            media => json |= media.starts_with("application/") && media.ends_with("json"),
        }
    }
    html || anything && !json
}
