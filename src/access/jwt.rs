//! Tokens that somebody else has signed: JSON Web Tokens (RFC 7519), by keys that are given in a file.
//!
//! The algorithm is the key's, never the token's word: a token cannot choose to be checked otherwise.

use super::principal::{Principal, Proof};
use crate::model::{NodeId, Time};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

/// The longest name that a subject may have, in bytes.
const SUBJECT_LEN_MAX: usize = 256;

/// How tokens are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Who must have issued them; anybody who has the key when empty.
    pub issuer: String,
    /// For whom they must be; when empty, only tokens that name nobody.
    pub audience: String,
    /// How far clocks may be apart, in seconds.
    pub leeway_seconds: u64,
    /// The claim that has the roles: text, or a list of it. Dots lead into objects.
    pub roles_claim: String,
    /// The claim that has the id of the node that the token is bound to.
    pub node_claim: String,
}

/// A key, and what it may be used for.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// The keys that tokens are checked by.
pub struct Keys {
    keys: Vec<Key>,
    options: Options,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("count", &self.keys.len()).field("options", &self.options).finish()
    }
}

impl Keys {
    /// Reads a JWK set (RFC 7517), or one public key as PEM.
    pub fn try_new(text: &[u8], options: Options) -> Result<Self, String> {
        let keys = if text.trim_ascii_start().starts_with(b"{") {
            let set: JwkSet = serde_json::from_slice(text).map_err(|error| format!("it is no JWK set: {error}"))?;
            let keys = set.keys.iter().enumerate();
            keys.map(|(at, jwk)| of_jwk(jwk).map_err(|reason| format!("keys[{at}]: {reason}")))
                .collect::<Result<_, _>>()?
        } else {
            vec![of_pem(text)?]
        };
        if keys.is_empty() {
            return Err("it holds no key".to_owned());
        }
        Ok(Keys { keys, options })
    }

    /// Whose token this is; else why it does not count. What is wrong with it is said by kind, never quoted.
    pub fn principal(&self, token: &str) -> Result<Principal, String> {
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let by_id = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let mut reason = "no key of access.jwt_keys is of its kid and algorithm".to_owned();
        for key in self.keys.iter().filter(by_id).filter(|key| key.algorithms.contains(&header.alg)) {
            match decode::<Value>(token, &key.key, &self.validation(header.alg)) {
                Ok(data) => return self.read(&data.claims),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.options.leeway_seconds;
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if !self.options.issuer.is_empty() {
            validation.set_issuer(&[&self.options.issuer]);
            required.push("iss");
        }
        if !self.options.audience.is_empty() {
            validation.set_audience(&[&self.options.audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn read(&self, claims: &Value) -> Result<Principal, String> {
        let subject = claims["sub"].as_str().filter(|subject| !subject.is_empty() && subject.len() <= SUBJECT_LEN_MAX);
        let subject = subject.ok_or_else(|| format!("its subject is no text of 1 to {SUBJECT_LEN_MAX} bytes"))?;
        let mut roles = match claim(claims, &self.options.roles_claim) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => return Err(format!("its claim {} is no list of texts", self.options.roles_claim)),
        };
        // What nobody has shown anything for is no role that one can be given.
        roles.retain(|role| crate::model::check_principal(role).is_ok());
        roles.sort();
        roles.dedup();
        let node = match claim(claims, &self.options.node_claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => {
                let id = id.parse().map_err(|_| format!("its claim {} is no UUID", self.options.node_claim))?;
                Some(NodeId(id))
            }
            Some(_) => return Err(format!("its claim {} is no UUID", self.options.node_claim)),
        };
        let expires = claims["exp"].as_f64().unwrap_or_default() + self.options.leeway_seconds as f64;
        let until = Time::from_micros((expires * 1_000_000.0) as i64);
        Ok(Principal { name: format!("jwt:{subject}"), roles, node, proof: Proof::Jwt, until: Some(until) })
    }
}

fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    // A name with dots may be meant whole, as in https://example.com/roles.
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |within, name| within.get(name)))
}

fn of_jwk(jwk: &Jwk) -> Result<Key, String> {
    let named = jwk.common.key_algorithm.map(algorithm).transpose()?;
    let algorithms = match (&jwk.algorithm, named) {
        (_, Some(named)) => vec![named],
        (AlgorithmParameters::RSA(_), None) => rsa(),
        (AlgorithmParameters::EllipticCurve(curve), None) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return Err("it is of a curve that is not used: P-256 and P-384 are".to_owned()),
        },
        (AlgorithmParameters::OctetKeyPair(_), None) => vec![Algorithm::EdDSA],
        (AlgorithmParameters::OctetKey(_), None) => {
            return Err("a shared secret names its alg, such as HS256".to_owned());
        }
        (_, None) => return Err("it is of a kind that is not used".to_owned()),
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    Ok(Key { id: jwk.common.key_id.clone(), key, algorithms })
}

fn rsa() -> Vec<Algorithm> {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    vec![RS256, RS384, RS512, PS256, PS384, PS512]
}

fn algorithm(named: KeyAlgorithm) -> Result<Algorithm, String> {
    named.to_string().parse().map_err(|_| format!("its alg {named} is none that signs tokens"))
}

fn of_pem(text: &[u8]) -> Result<Key, String> {
    let tried = [
        (DecodingKey::from_rsa_pem(text), rsa()),
        (DecodingKey::from_ec_pem(text), vec![Algorithm::ES256, Algorithm::ES384]),
        (DecodingKey::from_ed_pem(text), vec![Algorithm::EdDSA]),
    ];
    let found = tried.into_iter().find_map(|(key, algorithms)| Some(Key { id: None, key: key.ok()?, algorithms }));
    found.ok_or_else(|| "it is neither a JWK set nor a public key as PEM (RSA, EC or Ed25519)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    const SET: &str = r#"{"keys": [{"kty": "oct", "alg": "HS256", "kid": "a", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]}"#;
    const SECRET: &[u8] = b"secret-secret-secret-secret-secret";
    const YEAR_2100: u64 = 4_102_444_800;

    fn options() -> Options {
        Options {
            issuer: "https://login".to_owned(),
            audience: "onex".to_owned(),
            leeway_seconds: 5,
            roles_claim: "realm.roles".to_owned(),
            node_claim: "node".to_owned(),
        }
    }

    fn signed(algorithm: Algorithm, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn claims() -> Value {
        json!({"sub": "ada", "iss": "https://login", "aud": "onex", "exp": YEAR_2100, "realm": {"roles": ["viewer", "agent", "a b"]}})
    }

    #[test]
    fn a_token_of_the_key_says_who_and_in_which_roles() {
        let keys = Keys::try_new(SET.as_bytes(), options()).unwrap();
        let found = keys.principal(&signed(Algorithm::HS256, &claims())).unwrap();
        assert_eq!((found.name.as_str(), found.roles), ("jwt:ada", vec!["agent".to_owned(), "viewer".to_owned()]));
        assert!(found.until.is_some() && found.node.is_none());
    }

    #[test]
    fn what_is_not_just_as_it_must_be_does_not_count() {
        let keys = Keys::try_new(SET.as_bytes(), options()).unwrap();
        let mut wrong = Vec::new();
        for (name, value) in [
            ("iss", json!("https://other")),
            ("aud", json!("other")),
            ("exp", json!(1_000)),
            ("nbf", json!(YEAR_2100)),
            ("sub", json!("")),
            ("node", json!("no-uuid")),
            ("iss", Value::Null),
        ] {
            let mut claims = claims();
            claims[name] = value;
            wrong.push(signed(Algorithm::HS256, &claims));
        }
        wrong.push(signed(Algorithm::HS512, &claims()));
        let whole = signed(Algorithm::HS256, &claims());
        wrong.push(format!("{}x", &whole[..whole.len() - 2]));
        wrong.push(format!("eyJhbGciOiJub25lIn0.{}.", whole.split('.').nth(1).unwrap()));
        wrong.push("a.b.c".to_owned());
        for token in wrong {
            assert!(keys.principal(&token).is_err(), "{token}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "{}", "{\"keys\": []}", "nothing", r#"{"keys": [{"kty": "oct", "k": "YQ"}]}"#] {
            assert!(Keys::try_new(text.as_bytes(), options()).is_err(), "{text}");
        }
    }
}
