//! Compression of answers, by Accept-Encoding.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// From how many bytes on an answer is compressed: what fits into one packet arrives no sooner for being smaller.
const COMPRESSED_FROM: usize = 1024;
/// From how many bytes on that is done on a thread of its own: it would hold up others for a millisecond or more.
const APART_FROM: usize = 64 * 1024;
/// How thoroughly, for each: where a little more takes much longer.
const ZSTD_LEVEL: i32 = 3;
const BROTLI_LEVEL: i32 = 4;
const GZIP_LEVEL: u32 = 5;
/// How far back brotli looks, as a power of two.
const BROTLI_WINDOW: i32 = 20;

/// The ways to compress, the better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Brotli,
    Gzip,
}

impl Encoding {
    const ALL: [Encoding; 3] = [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip];
    /// Those in which files of the pages are kept.
    pub(super) const STORED: [Encoding; 2] = [Encoding::Brotli, Encoding::Gzip];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Brotli => "br",
            Encoding::Gzip => "gzip",
        }
    }

    /// The one that a client prefers; `None` where it takes none.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        Encoding::preferred(headers, &Encoding::ALL)
    }

    /// The one of these that a client prefers; `None` where it takes none of them.
    pub(super) fn preferred(headers: &HeaderMap, among: &[Self]) -> Option<Self> {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return None;
        }
        let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let mut qualities = [None; 3];
        let mut others = None;
        for entry in all.flat_map(|value| value.split(',')) {
            let (name, parameter) = entry.split_once(';').unwrap_or((entry, "q=1"));
            let quality = parameter.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
            let quality = quality.unwrap_or(0.0);
            let name = name.trim().to_ascii_lowercase();
            let name = if name == "x-gzip" { "gzip" } else { name.as_str() };
            match Encoding::ALL.iter().position(|encoding| encoding.as_str() == name) {
                Some(at) => qualities[at] = Some(quality),
                None if name == "*" => others = Some(quality),
                None => {}
            }
        }
        let mut best = (None, 0.0);
        for (encoding, quality) in Encoding::ALL.into_iter().zip(qualities) {
            let quality = quality.or(others).unwrap_or(0.0);
            if quality > best.1 && among.contains(&encoding) {
                best = (Some(encoding), quality);
            }
        }
        best.0
    }

    /// An answer, compressed where that is worth it.
    pub(super) fn respond(self, status: StatusCode, content_type: (HeaderName, HeaderValue), text: Bytes) -> Response {
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        if text.len() < COMPRESSED_FROM {
            return (status, [content_type, vary], Body::from(text)).into_response();
        }
        let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static(self.as_str()));
        let headers = [content_type, vary, encoding];
        if text.len() < APART_FROM {
            return match self.compress(&text) {
                Ok(compressed) => (status, headers, Body::from(compressed)).into_response(),
                // Memory is written to, which does not fail; where it does, the text will do.
                Err(_) => {
                    let [content_type, vary, _] = headers;
                    (status, [content_type, vary], Body::from(text)).into_response()
                }
            };
        }
        let compressing = tokio::task::spawn_blocking(move || self.compress(&text));
        let whole = async { compressing.await.map_err(io::Error::other)? };
        (status, headers, Body::from_stream(futures_util::stream::once(whole))).into_response()
    }

    fn compress(self, text: &[u8]) -> io::Result<Bytes> {
        let mut compressed = Vec::with_capacity(text.len() / 4);
        match self {
            Encoding::Zstd => zstd::stream::copy_encode(text, &mut compressed, ZSTD_LEVEL)?,
            Encoding::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_LEVEL,
                    lgwin: BROTLI_WINDOW,
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut &*text, &mut compressed, &parameters)?;
            }
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(&mut compressed, Compression::new(GZIP_LEVEL));
                encoder.write_all(text)?;
                encoder.finish()?;
            }
        }
        Ok(compressed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_encoding_is_chosen() {
        for (accept, encoding) in [
            ("gzip, deflate, br, zstd", Some(Encoding::Zstd)),
            ("gzip, deflate, br", Some(Encoding::Brotli)),
            ("gzip;q=1.0, br;q=0.5", Some(Encoding::Gzip)),
            ("GZIP", Some(Encoding::Gzip)),
            ("zstd;q=0, *;q=0.1", Some(Encoding::Brotli)),
            ("identity", None),
            ("deflate", None),
            ("gzip;q=0", None),
            ("gzip;q=many", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            assert_eq!(Encoding::accepted(&headers), encoding, "{accept:?}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), None);
    }
}
