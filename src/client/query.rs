//! One question, one answer: GraphQL over HTTP.

use std::io;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::error::{Cause, Error, Refusal};
use super::{ANSWER_WITHIN, Client, Inner};

/// The largest answer that is read: enough for any page of a registry, too little to exhaust this program.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A GraphQL answer. The data stays text until its type is known, so that it is parsed once.
#[derive(Deserialize)]
pub(super) struct Answer {
    data: Option<Box<RawValue>>,
    errors: Option<Vec<Refusal>>,
}

impl Client {
    /// Asks the registry, by a query or a mutation.
    ///
    /// # Errors
    /// [`Error::Refused`] where the answer holds errors, even beside data; the others where there is no answer.
    pub async fn query<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, Error> {
        let inner = &*self.inner;
        let asked = timeout(ANSWER_WITHIN, inner.ask(json!({"query": document, "variables": variables})));
        let (answered, body) = asked.await.map_err(|elapsed| inner.lost(elapsed.into()))??;
        // Whatever the status says: a registry puts its refusals into the body, and others put no GraphQL there.
        let answer = serde_json::from_slice::<Answer>(&body).ok();
        match answer.and_then(|answer| inner.open(answer)) {
            Some(answer) => answer,
            None => Err(inner.not_a_registry(answered)),
        }
    }
}

impl Inner {
    /// Posts a request: what answered, in short, and its body.
    async fn ask(&self, request: Value) -> Result<(String, Vec<u8>), Error> {
        let mut asking = Request::post(self.address.http.as_str())
            .header(ACCEPT, "application/graphql-response+json, application/json;q=0.9")
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            asking = asking.header(AUTHORIZATION, token.header.clone());
        }
        let asking = asking.body(Full::from(request.to_string())).map_err(|error| self.unreachable(error.into()))?;
        let response = self.http.request(asking).await.map_err(|error| self.failed(error))?;
        let answered = describe(&response);
        Ok((answered, self.read(response.into_body()).await?))
    }

    /// What an answer holds; `None` where it has neither data nor errors and so is not GraphQL's.
    pub(super) fn open<T: DeserializeOwned>(&self, answer: Answer) -> Option<Result<T, Error>> {
        if let Some(refused) = Error::refused(answer.errors.unwrap_or_default()) {
            return Some(Err(refused));
        }
        let data = answer.data?;
        Some(serde_json::from_str(data.get()).map_err(|source| self.malformed(source)))
    }

    pub(super) async fn read(&self, mut response: Incoming) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(frame) = response.frame().await {
            let frame = frame.map_err(|error| self.lost(innermost(error)))?;
            let Ok(chunk) = frame.into_data() else { continue };
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Error::TooLarge { address: self.address.shown.clone(), limit: ANSWER_BYTES_MAX });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(super) fn failed(&self, error: hyper_util::client::legacy::Error) -> Error {
        let never_connected = error.is_connect();
        let source = innermost(error);
        if never_connected { self.unreachable(source) } else { self.lost(source) }
    }

    pub(super) fn unreachable(&self, source: Cause) -> Error {
        Error::Unreachable { address: self.address.shown.clone(), source }
    }

    pub(super) fn lost(&self, source: Cause) -> Error {
        Error::Lost { address: self.address.shown.clone(), source }
    }

    pub(super) fn not_a_registry(&self, answered: String) -> Error {
        Error::NotARegistry { address: self.address.shown.clone(), answered }
    }

    pub(super) fn malformed(&self, source: serde_json::Error) -> Error {
        Error::Malformed { address: self.address.shown.clone(), source }
    }
}

fn describe(response: &Response<Incoming>) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    format!("{} with {kind}", response.status())
}

/// The operating system's word where it has one: four layers of "error sending request" above it tell a reader nothing.
fn innermost(error: impl std::error::Error + Send + Sync + 'static) -> Cause {
    let mut below: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = below {
        if let Some(code) = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code).into();
        }
        below = cause.source();
    }
    error.into()
}
