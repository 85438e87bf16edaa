//! What a registry answers beside GraphQL: health, readiness, metrics.

use super::Client;
use super::error::Error;
use reqwest::header::{AUTHORIZATION, DATE};

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
        let mut request = inner.http.get(format!("{}{path}", inner.address.shown));
        if let Some(token) = &inner.token {
            request = request.header(AUTHORIZATION, token.header.clone());
        }
        let response = request.send().await.map_err(|error| inner.failed(error))?;
        let status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| Some(date.to_str().ok()?.to_owned()));
        let text = String::from_utf8_lossy(&inner.read(response).await?).into_owned();
        Ok(Page { status, date, text })
    }
}
