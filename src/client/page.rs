//! What a registry answers beside GraphQL: health, readiness, metrics.

use super::error::Error;
use super::{ANSWER_WITHIN, Client};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, DATE};
use tokio::time::timeout;

/// An answer as text.
#[derive(Debug)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// When the server says that it is, as HTTP writes it; `None` where it does not say.
    pub date: Option<String>,
    /// The whole text.
    pub text: String,
}

impl Client {
    /// Asks for what is at a path beside `/graphql`, such as `/readyz`.
    ///
    /// # Errors
    /// Where there is no answer; one that says no is an answer.
    pub async fn page(&self, path: &str) -> Result<Page, Error> {
        let inner = &*self.inner;
        let mut request = Request::get(format!("{}{path}", inner.address.shown));
        if let Some(token) = &inner.token {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        let request = request.body(Full::default()).map_err(|error| inner.unreachable(error.into()))?;
        let asked = async {
            let response = inner.http.request(request).await.map_err(|error| inner.failed(error))?;
            let status = response.status().as_u16();
            let date = response.headers().get(DATE).and_then(|date| Some(date.to_str().ok()?.to_owned()));
            let text = String::from_utf8_lossy(&inner.read(response.into_body()).await?).into_owned();
            Ok(Page { status, date, text })
        };
        timeout(ANSWER_WITHIN, asked).await.map_err(|elapsed| inner.lost(elapsed.into()))?
    }
}
