//! A node's key and its signatures, as registrations and attestations give them.

use super::super::error::invalid;
use crate::contracts::canonical_bytes;
use crate::model::{Contract, NodeKey};
use async_graphql::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

/// What a registration shows of keys.
#[derive(Debug, Default)]
pub struct Shown {
    /// The key that it names.
    pub key: Option<NodeKey>,
    /// The keys that its signature is right by: of the one that it names and the one that the node has.
    pub signed_by: Vec<NodeKey>,
}

/// Reads what a registration gives, and checks its signature by the key that it names and by the one that is known.
pub fn read(
    key: Option<&str>,
    signature: Option<&str>,
    known: Option<NodeKey>,
    contract: Option<&std::sync::Arc<Contract>>,
) -> Result<Shown> {
    let key = key.map(|text| bytes::<32>("publicKey", text)).transpose()?.map(NodeKey);
    if let Some(key) = key
        && VerifyingKey::from_bytes(&key.0).map_or(true, |key| key.is_weak())
    {
        return Err(invalid("publicKey", "is no Ed25519 key"));
    }
    let Some(signature) = signature else { return Ok(Shown { key, signed_by: Vec::new() }) };
    let signature = self::signature(signature)?;
    let Some(contract) = contract else {
        return Err(invalid("signature", "is over a contract, and the node has none: register it with one"));
    };
    let message = canonical_bytes(&contract.document);
    let by_key = |key: &NodeKey| is_right(&signature, *key, &message);
    let mut signed_by: Vec<NodeKey> = key.into_iter().chain(known).filter(by_key).collect();
    signed_by.dedup();
    if signed_by.is_empty() {
        let hash = contract.hash;
        let reason = match key.or(known) {
            Some(_) => format!("is not right: it is over the canonical form of the contract, whose SHA-256 is {hash}"),
            None => "comes without a publicKey, and the node has none".to_owned(),
        };
        return Err(invalid("signature", reason));
    }
    Ok(Shown { key, signed_by })
}

/// Reads an Ed25519 signature, as base64.
pub fn signature(text: &str) -> Result<Signature> {
    Ok(Signature::from_bytes(&bytes::<64>("signature", text)?))
}

/// Whether a signature is this key's, over this message.
pub fn is_right(signature: &Signature, key: NodeKey, message: &[u8]) -> bool {
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(message, signature).is_ok())
}

fn bytes<const N: usize>(field: &str, text: &str) -> Result<[u8; N]> {
    let read = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
    read.ok_or_else(|| invalid(field, format!("is no base64 of {N} bytes")))
}

/// Whether somebody says of itself that it is trusted: in a document's trust_state, at its top or in its metadata.
pub fn claims_trust(document: &Value) -> bool {
    let claims = |within: &Value| {
        let state = within.get("trust_state").or_else(|| within.get("trustState")).and_then(Value::as_str);
        state.is_some_and(|state| !state.trim().is_empty() && !state.trim().eq_ignore_ascii_case("untrusted"))
    };
    let within = ["metadata", "metadata_block"].iter().filter_map(|name| document.get(name));
    claims(document) || within.into_iter().any(claims)
}
