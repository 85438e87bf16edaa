use serde::{Deserialize, Serialize};

/// What is told to a collector of traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Where spans are sent by OTLP over HTTP, such as http://127.0.0.1:4318; nowhere when empty.
    pub otlp_endpoint: String,
    /// What traces call this program: not empty.
    pub service_name: String,
    /// How many of a hundred traces that begin here are sent: 0 to 100.
    pub sampled_percent: u8,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry { otlp_endpoint: String::new(), service_name: "onex".to_owned(), sampled_percent: 100 }
    }
}

impl Telemetry {
    /// What is wrong with these settings, with the setting's name.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.service_name.trim().is_empty() {
            return Err(("telemetry.service_name", "is empty: say what traces should call this registry".to_owned()));
        }
        if self.sampled_percent > 100 {
            return Err(("telemetry.sampled_percent", "is more than 100".to_owned()));
        }
        let endpoint = &self.otlp_endpoint;
        if !endpoint.is_empty() && !endpoint.starts_with("http://") {
            let reason = format!("{endpoint:?} is no http address, such as http://127.0.0.1:4318");
            return Err(("telemetry.otlp_endpoint", reason));
        }
        if !endpoint.is_empty() && !cfg!(feature = "otlp") {
            let reason = "this build exports nothing: build it with the feature otlp".to_owned();
            return Err(("telemetry.otlp_endpoint", reason));
        }
        Ok(())
    }
}
