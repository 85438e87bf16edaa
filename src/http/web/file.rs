//! One file of the front end, in the form that its reader takes.

use super::super::encoding::Encoding;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use std::io::Read;
use std::sync::OnceLock;

/// For what has another name as soon as it is another file.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For everything else: a browser keeps it, and asks each time whether it is still that.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A file of the front end.
#[derive(Debug)]
pub struct File {
    path: &'static str,
    /// What changes with what is in it. Weak, since it is the same for all forms.
    tag: &'static str,
    form: Form,
}

/// How a file is kept.
#[derive(Debug)]
enum Form {
    /// As it is: pictures and fonts are compressed already.
    Plain(&'static [u8]),
    /// Compressed beforehand, and so as small as can be and at no cost while serving. Browsers take brotli over TLS and
    /// from their own machine only; all take gzip. Who takes neither gets what that unpacks to, which is kept from then
    /// on, so that it costs a program nothing that serves browsers alone.
    Packed { brotli: &'static [u8], gzip: &'static [u8], unpacked: OnceLock<Bytes> },
}

impl File {
    /// A file that is kept as it is, at a path that begins with a slash, with its entity tag.
    pub const fn plain(path: &'static str, tag: &'static str, bytes: &'static [u8]) -> Self {
        File { path, tag, form: Form::Plain(bytes) }
    }

    /// A file in its two compressed forms.
    pub const fn packed(path: &'static str, tag: &'static str, brotli: &'static [u8], gzip: &'static [u8]) -> Self {
        File { path, tag, form: Form::Packed { brotli, gzip, unpacked: OnceLock::new() } }
    }

    /// Where it is.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The file, or that it is still what the client has.
    pub(super) fn answer(&'static self, asked: &HeaderMap, is_immutable: bool) -> Response {
        let (encoding, bytes) = match &self.form {
            Form::Plain(bytes) => (None, Bytes::from_static(bytes)),
            Form::Packed { brotli, gzip, unpacked } => match Encoding::preferred(asked, &Encoding::STORED) {
                Some(Encoding::Brotli) => (Some(Encoding::Brotli), Bytes::from_static(brotli)),
                Some(encoding) => (Some(encoding), Bytes::from_static(gzip)),
                None => (None, unpacked.get_or_init(|| unpack(gzip)).clone()),
            },
        };
        let mut response = match self.is_had(asked) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => ([(header::CONTENT_TYPE, self.content_type())], Body::from(bytes)).into_response(),
        };
        let is_whole = response.status() == StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, if is_immutable { FOR_EVER } else { ASK_AGAIN });
        headers.insert(header::ETAG, HeaderValue::from_static(self.tag));
        if matches!(self.form, Form::Packed { .. }) {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(encoding) = encoding.filter(|_| is_whole) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
        }
        response
    }

    /// Whether the client says that it has just this.
    fn is_had(&self, asked: &HeaderMap) -> bool {
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let tags = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || strong(tag) == strong(self.tag))
    }

    fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self.path.rsplit('.').next().unwrap_or_default() {
            "html" => "text/html; charset=utf-8",
            "js" | "mjs" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" => "application/json; charset=utf-8",
            "webmanifest" => "application/manifest+json; charset=utf-8",
            "txt" => "text/plain; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "ico" => "image/x-icon",
            "woff2" => "font/woff2",
            "ttf" => "font/ttf",
            "wasm" => "application/wasm",
            _ => "application/octet-stream",
        })
    }
}

/// What was compressed when the program was built.
fn unpack(gzip: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    if let Err(error) = GzDecoder::new(gzip).read_to_end(&mut bytes) {
        tracing::error!(%error, "a file of the dashboard is damaged: build the program anew");
    }
    bytes.into()
}
