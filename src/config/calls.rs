use crate::model::TrustState;
use crate::proxy::Rules;
use crate::proxy::outbound::{Allowed, Policy};
use serde::{Deserialize, Serialize};

/// How tools are called through the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    /// How long a call may take where neither it nor its tool says, in milliseconds: 1 or more.
    pub timeout_ms: u32,
    /// The longest that a call or tool may ask for, in milliseconds: 1 or more.
    pub timeout_ms_max: u32,
    /// How many calls a provider has at once that does not say: 1 or more.
    pub max_in_flight: u32,
    /// The most bytes of a call's arguments, and of its result, that are kept in its record; 0 keeps neither.
    pub record_bytes_max: usize,
    /// Tools without a provider that is trusted so far are neither listed nor called.
    pub least_trust: LeastTrust,
    /// Call endpoints at the registry's own machine.
    pub allow_loopback: bool,
    /// Call endpoints in private networks.
    pub allow_private: bool,
    /// Hosts, addresses and networks to call in spite of that.
    pub allow: Vec<String>,
    /// The most bytes that an endpoint may answer with: 1 or more.
    pub response_bytes_max: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Calls {
            timeout_ms: 30_000,
            timeout_ms_max: 60 * 60 * 1_000,
            max_in_flight: 256,
            record_bytes_max: 4_096,
            least_trust: LeastTrust::default(),
            allow_loopback: false,
            allow_private: false,
            allow: Vec::new(),
            response_bytes_max: 8 * 1024 * 1024,
        }
    }
}

/// How far a provider has to be trusted, in the words of the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LeastTrust {
    /// Everybody's tools are called.
    #[default]
    Untrusted,
    /// Somebody has to vouch for the provider.
    Trusted,
    /// Somebody has to have checked it.
    Verified,
}

impl From<LeastTrust> for TrustState {
    fn from(least: LeastTrust) -> Self {
        match least {
            LeastTrust::Untrusted => TrustState::Untrusted,
            LeastTrust::Trusted => TrustState::Trusted,
            LeastTrust::Verified => TrustState::Verified,
        }
    }
}

impl Calls {
    /// What is wrong with these settings, with the setting's name.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.timeout_ms > self.timeout_ms_max {
            return Err(("calls.timeout_ms", "is more than calls.timeout_ms_max".to_owned()));
        }
        self.policy().map(drop)
    }

    /// How calls are made.
    pub fn rules(&self) -> Rules {
        Rules {
            timeout_ms: self.timeout_ms,
            timeout_ms_max: self.timeout_ms_max,
            in_flight_max: self.max_in_flight,
            record_bytes_max: self.record_bytes_max,
            least_trust: self.least_trust.into(),
        }
    }

    /// What may be called at an endpoint; what is wrong, with the setting's name, where the settings cannot be.
    pub fn policy(&self) -> Result<Policy, (&'static str, String)> {
        let read =
            |text: &String| text.parse::<Allowed>().map_err(|error| ("calls.allow", format!("{text:?} {error}")));
        Ok(Policy {
            allow_loopback: self.allow_loopback,
            allow_private: self.allow_private,
            allow: self.allow.iter().map(read).collect::<Result<_, _>>()?,
            response_bytes_max: self.response_bytes_max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_timeout_is_one_that_may_be_asked_for() {
        assert_eq!(Calls::default().check(), Ok(()));
        let calls = Calls { timeout_ms_max: 29_999, ..Calls::default() };
        assert_eq!(calls.check().unwrap_err().0, "calls.timeout_ms");
    }

    #[test]
    fn what_is_allowed_is_a_host_an_address_or_a_network() {
        let calls =
            |allow: &[&str]| Calls { allow: allow.iter().map(|&text| text.into()).collect(), ..Calls::default() };
        assert_eq!(calls(&["tools.internal", "10.1.0.0/16", "::1"]).policy().unwrap().allow.len(), 3);
        let (setting, reason) = calls(&["10.0.0.0/33"]).check().unwrap_err();
        assert!(setting == "calls.allow" && reason.starts_with("\"10.0.0.0/33\" is no host"), "{setting} {reason}");
    }

    #[test]
    fn trust_is_said_as_the_api_says_it() {
        let read = |trust: &str| toml::from_str::<Calls>(&format!("least_trust = \"{trust}\"")).map(|c| c.least_trust);
        assert_eq!(read("VERIFIED").map(TrustState::from), Ok(TrustState::Verified));
        assert!(read("some").unwrap_err().to_string().contains("`UNTRUSTED`, `TRUSTED`, `VERIFIED`"));
    }
}
