//! One call, as the API takes it.

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::cli::value::given;

use super::timeout;

/// How calls are made.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Options {
    /// Which version of the tool, or the highest of a range such as ^1.2; the highest release without it.
    #[arg(long, value_name = "V|RANGE")]
    pub(super) version: Option<String>,
    /// Which of several providers to call; the first without it.
    #[arg(long, value_enum)]
    pub(super) policy: Option<Policy>,
    /// Call this provider and no other.
    #[arg(long, value_name = "NAME|ID")]
    pub(super) node: Option<String>,
    /// Call only providers that are trusted or verified.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub(super) trusted_only: Option<bool>,
    /// How long it may take, such as 5s or 500ms, or a number of seconds; the tool's own limit without it.
    #[arg(long = "timeout", value_name = "TIME", value_parser = timeout::parse)]
    pub(super) timeout_ms: Option<u32>,
    /// Calling twice does no harm: another provider may be tried although the first may have begun.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub(super) idempotent: Option<bool>,
    /// How many other providers to try where one cannot be reached.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    pub(super) max_failovers: Option<u32>,
    /// The undertaking that it belongs to: events and logs carry this id.
    #[arg(long, value_name = "ID")]
    pub(super) correlation_id: Option<String>,
}

/// Which of several providers is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Policy {
    /// The one that has offered it longest.
    First,
    /// Each in turn.
    RoundRobin,
    /// The one with the least to do.
    LeastLoaded,
    /// Any.
    Random,
    /// Every one of them.
    All,
}

impl<'de> Deserialize<'de> for Policy {
    /// Takes the words of the command line and those of the API.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_str(&word.replace('_', "-"), true).map_err(|_| {
            serde::de::Error::custom(format!(
                "{word:?} is no policy: it is first, round-robin, least-loaded, random or all"
            ))
        })
    }
}

impl Options {
    /// These, and where they say nothing the others.
    pub(super) fn or(self, others: &Self) -> Self {
        let others = others.clone();
        Self {
            version: self.version.or(others.version),
            policy: self.policy.or(others.policy),
            node: self.node.or(others.node),
            trusted_only: self.trusted_only.or(others.trusted_only),
            timeout_ms: self.timeout_ms.or(others.timeout_ms),
            idempotent: self.idempotent.or(others.idempotent),
            max_failovers: self.max_failovers.or(others.max_failovers),
            correlation_id: self.correlation_id.or(others.correlation_id),
        }
    }

    /// The input of `proxyInvoke`.
    /// `node` is the id of the node that these name, or null.
    pub(super) fn input(&self, tool: &str, arguments: Value, node: Value) -> Value {
        given(json!({
            "tool": tool,
            "arguments": arguments,
            "version": self.version,
            "policy": self.policy,
            "nodeId": node,
            "trustedOnly": self.trusted_only,
            "timeoutMs": self.timeout_ms,
            "idempotent": self.idempotent,
            "maxFailovers": self.max_failovers,
            "correlationId": self.correlation_id,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        options: Options,
    }

    fn typed(line: &str) -> Options {
        Typed::try_parse_from(line.split_whitespace()).unwrap().options
    }

    #[test]
    fn what_was_not_typed_is_left_to_the_registry() {
        let plain = typed("a").input("add", json!({"a": 1}), Value::Null);
        assert_eq!(plain, json!({"tool": "add", "arguments": {"a": 1}}));
    }

    #[test]
    fn every_option_reaches_the_input() {
        let line = "a --version ^1 --policy least-loaded --trusted-only --timeout 1.5s --idempotent --max-failovers 2 \
                    --correlation-id c";
        let expected = json!({
            "tool": "add", "arguments": [], "version": "^1", "policy": "LEAST_LOADED", "nodeId": "n",
            "trustedOnly": true, "timeoutMs": 1_500, "idempotent": true, "maxFailovers": 2, "correlationId": "c",
        });
        assert_eq!(typed(line).input("add", json!([]), "n".into()), expected);
    }

    #[test]
    fn a_line_of_a_batch_comes_before_what_was_typed() {
        let line: Options =
            serde_json::from_value(json!({"version": "2.0.0", "policy": "ROUND_ROBIN", "timeoutMs": 7})).unwrap();
        let both = line.or(&typed("a --version 1 --policy all --trusted-only --timeout 5"));
        let expected = typed("a --version 2.0.0 --policy round-robin --trusted-only --timeout 7ms");
        assert_eq!(both, expected);
        for wrong in [json!({"policy": "best"}), json!({"timeoutMs": -1}), json!({"timout": 1})] {
            assert!(serde_json::from_value::<Options>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
