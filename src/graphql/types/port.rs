//! Addresses that a node serves, and its places on buses.

use super::super::View;
use super::super::error::invalid;
use super::super::mutation::buses::may_on_topic;
use super::super::reach::{asker, live};
use super::super::render::{rendered, rendered_enums};
use super::bus::Bus;
use super::lease::PortLease;
use crate::access::Action;
use crate::bus::router::Traffic;
use crate::model::{self, EventWanted, LeaseId, NAME_LEN_MAX, TopicName};
use crate::registry::pool;
use async_graphql::{Context, Enum, InputObject, Object, Result};
use uuid::Uuid;

/// How an address is spoken to.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::PortProtocol")]
pub enum PortProtocol {
    /// A TCP connection.
    Tcp,
    /// UDP datagrams.
    Udp,
    /// ZeroMQ.
    Zmq,
    /// A socket on the same host.
    Ipc,
    /// NATS JetStream.
    Jetstream,
    /// Redis.
    Redis,
    /// gRPC.
    Grpc,
    /// HTTP.
    Http,
    /// A websocket.
    Websocket,
}

rendered_enums!(PortProtocol);

/// An address that a node serves, or its place on a bus.
pub struct NodePort {
    pub(in crate::graphql) view: View,
    pub(in crate::graphql) port: model::NodePort,
}

impl NodePort {
    /// What there is to do now at its place on a bus; `None` where it is none that the caller may look at.
    fn traffic(&self, ctx: &Context<'_>) -> Result<Option<Traffic>> {
        let Some(bus) = self.port.bus.as_deref().and_then(|bus| self.view.bus_by_name(bus)) else { return Ok(None) };
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let topic = self.port.topic.as_ref();
        if topic.is_some_and(|topic| !may_on_topic(caller, Action::Read, topic)) {
            return Ok(None);
        }
        let reads = |wanted: &EventWanted| {
            topic.is_none_or(|topic| {
                wanted.topics.is_empty() || wanted.topics.iter().any(|pattern| pattern.matches(topic))
            })
        };
        let by_name = self.view.subscribers_of(bus.id).filter(|held| reads(&held.wanted));
        let by_name: usize = by_name.map(|held| services.buses.count_by_name(bus.id, &held.name)).sum();
        let traffic = services.buses.traffic(bus.id, topic).unwrap_or_default();
        Ok(Some(Traffic { subscribers: traffic.subscribers + by_name, ..traffic }))
    }
}

/// An address that a node serves, or its place on a bus.
#[Object]
impl NodePort {
    /// Its name within the node, e.g. metrics.
    async fn name(&self) -> &str {
        &self.port.name
    }
    /// How it is spoken to.
    async fn protocol(&self) -> PortProtocol {
        self.port.protocol.into()
    }
    /// The port number, 1 to 65535: its lease's where it has one that holds, else as the node gave it; null where there is
    /// none.
    async fn port(&self) -> Option<i32> {
        let leased = self.port.lease.and_then(|lease| pool::latest(&self.view, lease));
        let leased = leased.filter(|lease| lease.end.is_none()).map(|lease| lease.terms.port);
        leased.or(self.port.port).map(i32::from)
    }
    /// The lease that promises the number, or the one that took its place; null where the node named none, or it ended
    /// long ago.
    async fn lease(&self) -> Option<PortLease> {
        let lease = pool::latest(&self.view, self.port.lease?)?;
        Some(PortLease { view: self.view.clone(), lease: lease.clone() })
    }
    /// The topic; null for what is no place on a bus.
    async fn topic(&self) -> Option<&str> {
        self.port.topic.as_ref().map(TopicName::as_str)
    }
    /// The bus that it is a place on; null for what is no place on a bus, and while there is no bus of that name.
    async fn bus(&self) -> Option<Bus> {
        Some(Bus::new(&self.view, self.view.bus_by_name(self.port.bus.as_deref()?)?))
    }
    /// How many listen to its topic on its bus now, whoever they are; to the whole bus where it names no topic. 0 where
    /// bus is null, while that stands still, and for who may not read the topic.
    async fn subscriber_count(&self, ctx: &Context<'_>) -> Result<usize> {
        Ok(self.traffic(ctx)?.map_or(0, |traffic| traffic.subscribers))
    }
    /// Events a second on its topic of its bus, whosever they are, over the last few seconds; on the whole bus where it
    /// names no topic. Null where bus is null, and for who may not read the topic; 0 while the bus stands still.
    async fn messages_per_second(&self, ctx: &Context<'_>) -> Result<Option<f64>> {
        Ok(self.traffic(ctx)?.map(|traffic| traffic.messages_per_second))
    }
    /// The name of the bus; null for what is no place on a bus.
    async fn bus_name(&self) -> Option<&str> {
        self.port.bus.as_deref()
    }
    /// The whole address; null where the node did not give one.
    async fn endpoint_uri(&self) -> Option<&str> {
        self.port.endpoint_uri.as_deref()
    }
}

rendered!(NodePort { name, protocol, port, lease, topic, bus_name, endpoint_uri });

/// An address that a node serves, or its place on a bus.
#[derive(InputObject)]
pub struct NodePortInput {
    /// Its name within the node, e.g. metrics: 1 to 255 characters.
    name: String,
    /// How it is spoken to.
    protocol: PortProtocol,
    /// The port number, 1 to 65535; the lease's when absent.
    port: Option<i32>,
    /// The lease that promises the number. It goes with the node from then on, and ends with it.
    lease_id: Option<Uuid>,
    /// The topic, for a place on a bus.
    topic: Option<String>,
    /// The name of the bus, for a place on a bus.
    bus: Option<String>,
    /// The whole address.
    endpoint_uri: Option<String>,
}

impl NodePortInput {
    /// `path` says where it was given, for errors.
    pub(in crate::graphql) fn read(self, path: &str) -> Result<model::NodePort> {
        let field = |name: &str| format!("{path}.{name}");
        let bounded = |name: &str, text: &str| match text.chars().count() {
            0 => Err(invalid(&field(name), "is empty")),
            length if length > NAME_LEN_MAX => {
                Err(invalid(&field(name), format!("has {length} characters; the most is {NAME_LEN_MAX}")))
            }
            _ => Ok(()),
        };
        bounded("name", &self.name)?;
        self.bus.as_deref().map_or(Ok(()), |bus| bounded("bus", bus))?;
        self.endpoint_uri.as_deref().map_or(Ok(()), |uri| bounded("endpointUri", uri))?;
        let port = match self.port.map(u16::try_from) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(invalid(&field("port"), "is no port number, 1 to 65535")),
        };
        let topic = self.topic.as_deref().map(TopicName::try_new).transpose();
        Ok(model::NodePort {
            name: self.name,
            protocol: self.protocol.into(),
            port,
            lease: self.lease_id.map(LeaseId),
            topic: topic.map_err(|error| invalid(&field("topic"), error))?,
            bus: self.bus,
            endpoint_uri: self.endpoint_uri,
        })
    }
}
