//! Content addresses: SHA-256 over canonical JSON (RFC 8785).

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The SHA-256 of a value's canonical JSON: the same for the same content, however it was written.
///
/// Numbers count as IEEE doubles, as RFC 8785 has it: whole numbers beyond 2^53 that round alike are alike.
pub fn canonical_hash(value: &Value) -> [u8; 32] {
    let mut hasher = Hasher(Sha256::new());
    // JSON values have text for keys and finite numbers only, and the hasher takes every byte: the fallback,
    // still a function of the content, is never used.
    if serde_json_canonicalizer::to_writer(value, &mut hasher).is_err() {
        hasher.0.update(value.to_string());
    }
    hasher.0.finalize().into()
}

/// A value's canonical JSON: what a contract's hash is of, and what its node signs.
pub fn canonical_bytes(value: &Value) -> Vec<u8> {
    // As above: the fallback is never used.
    serde_json_canonicalizer::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes())
}

struct Hasher(Sha256);

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_hash_is_that_of_the_canonical_form() {
        // sha256 of {"a":1,"b":[true,null]}, as any other tool computes it.
        let expected: [u8; 32] = Sha256::digest(br#"{"a":1,"b":[true,null]}"#).into();
        assert_eq!(canonical_hash(&json!({"b": [true, null], "a": 1.0})), expected);
    }
}
