//! Secrets of tokens: drawn, shown once, and known by their hash from then on.

use crate::model::TokenHash;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What every token of a registry begins with, so that scanners of leaked secrets know it.
pub const PREFIX: &str = "onex_";

/// How many random bytes a secret has: 256 bits.
const BYTES: usize = 32;

/// Why no secret could be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Random bytes from the system's source.
pub fn random() -> Result<[u8; BYTES], NoRandomness> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A new secret: the prefix, and 43 characters that may stand in a URL or header.
pub fn draw() -> Result<String, NoRandomness> {
    Ok(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random()?)))
}

/// By what a secret is known. It is long and random, so that a plain hash tells nobody anything, and looking it up takes
/// as long for one that is nearly right as for any other.
pub fn hash(secret: &str) -> TokenHash {
    TokenHash(Sha256::digest(secret.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_another_and_can_stand_anywhere() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert!(one != other && hash(&one) != hash(&other) && hash(&one) == hash(&one));
        let rest = one.strip_prefix(PREFIX).unwrap();
        assert!(rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{one}");
    }
}
