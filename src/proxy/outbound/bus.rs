//! A call as one request over an event bus: whoever serves the address that the tool names answers with the result.

use super::{Failure, Sending};
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{BusName, TopicName};
use futures_util::future::BoxFuture;
use serde_json::Value;

/// What the endpoint of a tool on a bus begins with.
const SCHEME: &str = "bus://";

/// The buses of the registry, as far as calls travel over them.
pub trait Buses: Send + Sync {
    /// Whether calls may travel over a bus. Fails with why not, and what to do.
    fn check(&self, bus: &BusName) -> Result<(), String>;

    /// Brings a call to whoever serves its address on a bus, and waits for the answer.
    fn call<'a>(&'a self, bus: &'a BusName, call: Call) -> BoxFuture<'a, Result<Answered, Unanswered>>;
}

/// Where a tool is called on a bus: `bus://NAME/ADDRESS`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    bus: BusName,
    address: TopicName,
}

impl Endpoint {
    /// Fails with a sentence that says why it is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
        let Some((bus, address)) = parts else {
            return Err(format!("the endpoint is no place on a bus: give one such as {SCHEME}shop/math.add"));
        };
        let bus = BusName::try_new(bus).map_err(|error| format!("the endpoint's bus {error}"))?;
        let address = TopicName::try_new(address).map_err(|error| format!("the endpoint's address {error}"))?;
        Ok(Endpoint { bus, address })
    }

    pub(super) fn check(&self, buses: Option<&dyn Buses>) -> Result<(), String> {
        buses.ok_or_else(nowhere)?.check(&self.bus)
    }
}

fn nowhere() -> String {
    "there are no buses here".to_owned()
}

/// Sends a call to the address, and reads its answer.
pub(super) async fn call(
    buses: Option<&dyn Buses>,
    endpoint: Endpoint,
    sending: &Sending,
    bytes_max: usize,
) -> Result<Value, Failure> {
    let buses = buses.ok_or_else(|| Failure::not_started("EndpointRefused", nowhere()))?;
    let arguments = serde_json::to_vec(&*sending.arguments)
        .map_err(|error| Failure::not_started("Unsendable", format!("the arguments cannot be written: {error}")))?;
    let call = Call {
        address: endpoint.address,
        id: format!("{}/{}", sending.invocation, sending.attempt),
        arguments: arguments.into(),
        headers: sending.headers(),
        timeout: sending.timeout,
        answer_bytes_max: bytes_max,
    };
    match buses.call(&endpoint.bus, call).await {
        // Whoever has nothing to say answers with nothing.
        Ok(Answered::Result(body)) if body.is_empty() => Ok(Value::Null),
        Ok(Answered::Result(body)) => serde_json::from_slice(&body)
            .map_err(|error| Failure::unknown("ResponseInvalid", format!("the answer is no JSON: {error}"))),
        Ok(Answered::Failed(failed)) => Err(Failure::Tool {
            code: failed.code,
            message: failed.message,
            details: failed.details,
            retryable: failed.retryable,
        }),
        Err(unanswered) => Err(meant(unanswered, bytes_max)),
    }
}

fn meant(unanswered: Unanswered, bytes_max: usize) -> Failure {
    match unanswered {
        Unanswered::NotBegun(reason) => Failure::not_started("Unreachable", reason),
        Unanswered::TimedOut => Failure::unknown("Timeout", "the time was over before the answer came"),
        Unanswered::Lost(reason) => Failure::unknown("ConnectionLost", reason),
        Unanswered::TooLarge => {
            let message = format!("the answer has more than {bytes_max} bytes (calls.response_bytes_max)");
            Failure::unknown("ResponseTooLarge", message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sending;
    use super::*;
    use bytes::Bytes;
    use futures_util::future::ready;
    use serde_json::json;
    use std::sync::Mutex;

    /// One bus, on which everybody answers the same.
    struct Answering(Result<Answered, Unanswered>, Mutex<Option<Call>>);

    impl Buses for Answering {
        fn check(&self, bus: &BusName) -> Result<(), String> {
            if bus.as_str() == "shop" { Ok(()) } else { Err(format!("there is no bus {bus}")) }
        }

        fn call<'a>(&'a self, _bus: &'a BusName, call: Call) -> BoxFuture<'a, Result<Answered, Unanswered>> {
            *self.1.lock().unwrap() = Some(call);
            Box::pin(ready(self.0.clone()))
        }
    }

    async fn answered(answer: Result<Answered, Unanswered>) -> (Result<Value, Failure>, Call) {
        let buses = Answering(answer, Mutex::default());
        let endpoint = Endpoint::read("bus://shop/math.add").unwrap();
        let result = call(Some(&buses), endpoint, &sending("bus://shop/math.add"), 100).await;
        (result, buses.1.into_inner().unwrap().unwrap())
    }

    #[tokio::test]
    async fn a_call_says_what_it_is_and_its_answer_is_the_result() {
        let (result, call) = answered(Ok(Answered::Result(Bytes::from_static(b"{\"sum\": 3}")))).await;
        assert_eq!(
            (result, call.address.as_str(), &*call.arguments),
            (Ok(json!({"sum": 3})), "math.add", &b"{\"a\":1,\"b\":2}"[..])
        );
        let header = |name| call.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (header("onex-attempt"), header("onex-tool"), header("onex-caller")),
            (Some("2"), Some("add"), Some("alice"))
        );
        // One line each.
        assert_eq!(header("x-correlation-id"), Some("c-1 X-Evil: 1"));
        assert_eq!(answered(Ok(Answered::Result(Bytes::new()))).await.0, Ok(Value::Null));
    }

    #[tokio::test]
    async fn what_came_of_a_call_says_whether_it_was_begun() {
        let of = async |unanswered| answered(Err(unanswered)).await.0.unwrap_err();
        assert_eq!(of(Unanswered::NotBegun("no".to_owned())).await, Failure::not_started("Unreachable", "no"));
        assert!(matches!(of(Unanswered::TimedOut).await, Failure::Unknown { kind: "Timeout", .. }));
        assert!(matches!(of(Unanswered::Lost("x".to_owned())).await, Failure::Unknown { kind: "ConnectionLost", .. }));
        assert!(matches!(of(Unanswered::TooLarge).await, Failure::Unknown { kind: "ResponseTooLarge", .. }));
        let (result, _) = answered(Ok(Answered::Result(Bytes::from_static(b"3 apples")))).await;
        assert!(matches!(result, Err(Failure::Unknown { kind: "ResponseInvalid", .. })));
    }

    #[test]
    fn an_endpoint_names_a_bus_that_there_is_and_an_address() {
        let buses = Answering(Err(Unanswered::TimedOut), Mutex::default());
        let check = |text: &str| Endpoint::read(text).and_then(|endpoint| endpoint.check(Some(&buses)));
        assert_eq!(check("bus://shop/math.add"), Ok(()));
        for (text, says) in [
            ("http://shop/add", "bus://shop/math.add"),
            ("bus://shop", "bus://shop/math.add"),
            ("bus://shop/a b", "white space"),
            ("bus://other/add", "no bus other"),
        ] {
            assert!(check(text).unwrap_err().contains(says), "{text}: {:?}", check(text));
        }
        assert!(Endpoint::read("bus://shop/add").unwrap().check(None).is_err());
    }
}
