//! Documents that requests name instead of sending: by the SHA-256 of a text that was sent once (automatic persisted
//! queries), or by an id from a list that the operator trusts.

use super::documents::Refused;
use super::error::{ErrorCode, extensions};
use async_graphql::ServerError;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// How many bytes of texts are kept that clients may name.
const KEPT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The largest text that is kept; a larger one is sent each time.
const KEPT_TEXT_BYTES_MAX: usize = 64 * 1024;
/// How many texts are expected, for the size of the table alone.
const KEPT_TEXTS: usize = 1_000;
/// What an id begins with that is the SHA-256 of its document.
const SHA256_PREFIX: &str = "sha256:";

/// The document of a request, as it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named<'a> {
    /// Its text.
    pub query: Option<&'a str>,
    /// What it is called: `sha256:` and 64 hexadecimal digits, or an id of the list of trusted documents.
    pub document_id: Option<&'a str>,
    /// The request's extensions, an object, where automatic persisted queries put the SHA-256.
    pub extensions: Option<&'a RawValue>,
}

/// The text of the document that is meant.
#[derive(Debug)]
pub enum Text<'a> {
    /// The request brings it.
    Given(&'a str),
    /// It is known here.
    Known(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Given(text) => text,
            Text::Known(text) => text,
        }
    }
}

/// The documents that alone may run.
#[derive(Debug, Default)]
pub struct Trusted {
    by_id: HashMap<Box<str>, Arc<str>>,
    by_hash: HashMap<Hash, Arc<str>>,
}

impl Trusted {
    /// Reads a list: a JSON object with a document for each id.
    ///
    /// # Errors
    /// Where it is none, or an id that is a SHA-256 is not that of its document.
    pub fn read(list: &str) -> Result<Self, String> {
        let list: HashMap<Box<str>, Arc<str>> =
            serde_json::from_str(list).map_err(|error| format!("is no JSON object of documents by id: {error}"))?;
        let mut trusted = Trusted::default();
        for (id, text) in list {
            let hash = hash_of(&text);
            let wanted = Hash::read(id.strip_prefix(SHA256_PREFIX).unwrap_or(&id));
            if wanted.is_some_and(|wanted| wanted != hash) {
                return Err(format!("{id} is not the SHA-256 of its document, which is {hash}"));
            }
            trusted.by_hash.insert(hash, text.clone());
            trusted.by_id.insert(id, text);
        }
        Ok(trusted)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none, so that nothing may run.
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }
}

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Hash([u8; 32]);

impl Hash {
    /// From 64 hexadecimal digits.
    fn read(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Hash(bytes))
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn hash_of(text: &str) -> Hash {
    Hash(Sha256::digest(text).into())
}

#[derive(Clone)]
struct Weight;

impl Weighter<Hash, Arc<str>> for Weight {
    fn weight(&self, _: &Hash, text: &Arc<str>) -> u64 {
        text.len() as u64 + 64
    }
}

/// Knows documents by what they are called.
pub(super) struct Persisted {
    kept: Cache<Hash, Arc<str>, Weight>,
    trusted: Option<Trusted>,
}

impl Persisted {
    pub(super) fn new() -> Self {
        Persisted { kept: Cache::with_weighter(KEPT_TEXTS, KEPT_BYTES_MAX, Weight), trusted: None }
    }

    pub(super) fn trust(&mut self, trusted: Option<Trusted>) {
        self.trusted = trusted;
    }

    /// The text that is meant.
    pub(super) fn text<'a>(&self, named: &Named<'a>) -> Result<Text<'a>, Refused> {
        if let Some(id) = named.document_id {
            if named.query.is_some() {
                return Err(malformed("documentId and query name the document twice: send one of them"));
            }
            return self.by_id(id);
        }
        let hash = named.extensions.map(persisted_query).transpose()?.flatten();
        match (named.query, hash) {
            (None, None) => Err(malformed("query is missing")),
            (None, Some(hash)) => self.by_hash(hash),
            (Some(text), None) => self.admit(text, None),
            (Some(text), Some(hash)) => self.admit(text, Some(hash)),
        }
    }

    fn by_id<'a>(&self, id: &str) -> Result<Text<'a>, Refused> {
        if let Some(text) = self.trusted.as_ref().and_then(|trusted| trusted.by_id.get(id)) {
            return Ok(Text::Known(text.clone()));
        }
        match id.strip_prefix(SHA256_PREFIX) {
            Some(hash) => self.by_hash(Hash::read(hash).ok_or_else(|| malformed(NO_HASH))?),
            None => Err(not_found()),
        }
    }

    fn by_hash<'a>(&self, hash: Hash) -> Result<Text<'a>, Refused> {
        let found = match &self.trusted {
            Some(trusted) => trusted.by_hash.get(&hash).cloned(),
            None => self.kept.get(&hash),
        };
        found.map(Text::Known).ok_or_else(not_found)
    }

    /// A text that the request brings, perhaps with its hash, by which it can be named from then on.
    fn admit<'a>(&self, text: &'a str, claimed: Option<Hash>) -> Result<Text<'a>, Refused> {
        if claimed.is_none() && self.trusted.is_none() {
            return Ok(Text::Given(text));
        }
        let hash = hash_of(text);
        if claimed.is_some_and(|claimed| claimed != hash) {
            return Err(malformed("the sha256Hash is not that of the query"));
        }
        match &self.trusted {
            Some(trusted) if !trusted.by_hash.contains_key(&hash) => Err(untrusted(hash)),
            Some(_) => Ok(Text::Given(text)),
            None => {
                if text.len() <= KEPT_TEXT_BYTES_MAX && self.kept.get(&hash).is_none() {
                    self.kept.insert(hash, text.into());
                }
                Ok(Text::Given(text))
            }
        }
    }
}

const NO_HASH: &str = "a SHA-256 has 64 hexadecimal digits";

/// What the extensions say of automatic persisted queries.
fn persisted_query(extensions: &RawValue) -> Result<Option<Hash>, Refused> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Extensions {
        persisted_query: Option<PersistedQuery>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct PersistedQuery {
        version: u32,
        sha256_hash: String,
    }
    // Most are something else's, and are not read.
    if !extensions.get().contains("\"persistedQuery\"") {
        return Ok(None);
    }
    let read: Extensions = serde_json::from_str(extensions.get())
        .map_err(|error| malformed(&format!("extensions.persistedQuery cannot be read: {error}")))?;
    let Some(query) = read.persisted_query else { return Ok(None) };
    if query.version != 1 {
        return Err(malformed("extensions.persistedQuery.version is 1"));
    }
    Hash::read(&query.sha256_hash).map(Some).ok_or_else(|| malformed(NO_HASH))
}

fn malformed(reason: &str) -> Refused {
    let extensions = extensions(ErrorCode::InvalidArgument, json!({}));
    Refused::Malformed(vec![ServerError { extensions: Some(extensions), ..ServerError::new(reason, None) }])
}

/// The words are those that clients of automatic persisted queries wait for, to send the text as well.
fn not_found() -> Refused {
    let extensions = extensions(ErrorCode::PersistedQueryNotFound, json!({}));
    Refused::NotFound(vec![ServerError {
        extensions: Some(extensions),
        ..ServerError::new("PersistedQueryNotFound", None)
    }])
}

fn untrusted(hash: Hash) -> Refused {
    let extensions = extensions(ErrorCode::PermissionDenied, json!({ "sha256": hash.to_string() }));
    let message = "the document is not among those that may be run here (http.trusted_documents)";
    Refused::Untrusted(vec![ServerError { extensions: Some(extensions), ..ServerError::new(message, None) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{ __typename }";
    const HASH: &str = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";

    fn extensions(hash: &str) -> Box<RawValue> {
        let text = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}}).to_string();
        RawValue::from_string(text).unwrap()
    }

    fn ask<'a>(
        persisted: &Persisted,
        query: Option<&'a str>,
        id: Option<&'a str>,
        extensions: Option<&'a RawValue>,
    ) -> String {
        match persisted.text(&Named { query, document_id: id, extensions }) {
            Ok(text) => text.to_string(),
            Err(refused) => refused.errors()[0].message.clone(),
        }
    }

    #[test]
    fn a_text_that_came_with_its_hash_is_known_by_it() {
        let persisted = Persisted::new();
        let with_hash = extensions(HASH);
        assert_eq!(ask(&persisted, None, None, Some(&with_hash)), "PersistedQueryNotFound");
        assert_eq!(ask(&persisted, Some(TEXT), None, Some(&with_hash)), TEXT);
        assert_eq!(ask(&persisted, None, None, Some(&with_hash)), TEXT);
        assert_eq!(ask(&persisted, None, Some(&format!("sha256:{HASH}")), None), TEXT);
        assert_eq!(ask(&persisted, None, None, None), "query is missing");
    }

    #[test]
    fn a_hash_of_another_text_is_refused_and_nothing_is_kept_by_it() {
        let persisted = Persisted::new();
        let with_hash = extensions(HASH);
        let said = ask(&persisted, Some("{ other }"), None, Some(&with_hash));
        assert_eq!(said, "the sha256Hash is not that of the query");
        assert_eq!(ask(&persisted, None, None, Some(&with_hash)), "PersistedQueryNotFound");
        for wrong in ["", "zz", &HASH[1..], &format!("{HASH}0"), &format!("é{}", &HASH[2..])] {
            assert_eq!(ask(&persisted, None, None, Some(&extensions(wrong))), NO_HASH, "{wrong}");
        }
    }

    #[test]
    fn only_what_is_trusted_runs_where_there_is_a_list() {
        let mut persisted = Persisted::new();
        persisted.trust(Some(Trusted::read(&json!({"type": TEXT}).to_string()).unwrap()));
        assert_eq!(ask(&persisted, None, Some("type"), None), TEXT);
        assert_eq!(ask(&persisted, None, Some(&format!("sha256:{HASH}")), None), TEXT);
        assert_eq!(ask(&persisted, Some(TEXT), None, None), TEXT);
        assert!(ask(&persisted, Some("{ other }"), None, None).contains("http.trusted_documents"));
        assert_eq!(ask(&persisted, None, Some("other"), None), "PersistedQueryNotFound");
    }

    #[test]
    fn a_list_whose_hashes_are_not_those_of_its_documents_is_refused() {
        let wrong = json!({ HASH: "{ other }" }).to_string();
        assert!(Trusted::read(&wrong).unwrap_err().contains("is not the SHA-256"));
        assert!(Trusted::read("[]").unwrap_err().contains("no JSON object"));
        assert_eq!(Trusted::read(&json!({ HASH: TEXT }).to_string()).unwrap().len(), 1);
    }
}
