//! A websocket that speaks GraphQL's protocols, frame by frame.

use crate::support::server::Server;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn open(server: &Server, protocol: Option<&str>) -> Self {
        let mut request = format!("ws://{}/graphql", server.address()).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        Socket(connect_async(request).await.unwrap().0)
    }

    pub async fn ready(server: &Server) -> Self {
        Socket::open(server, Some("graphql-transport-ws")).await.acknowledged().await
    }

    /// One that a page of this origin has opened.
    pub async fn ready_from(server: &Server, origin: &str) -> Self {
        let mut request = format!("ws://{}/graphql", server.address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        Socket(connect_async(request).await.unwrap().0).acknowledged().await
    }

    /// One whose system keeps little of what it does not read.
    pub async fn narrow(server: &Server) -> Self {
        let mut request = format!("ws://{}/graphql", server.address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(server.address().parse().unwrap()).await.unwrap();
        let (socket, _) = client_async(request, MaybeTlsStream::Plain(stream)).await.unwrap();
        Socket(socket).acknowledged().await
    }

    async fn acknowledged(mut self) -> Self {
        let socket = &mut self;
        socket.say(json!({"type": "connection_init"})).await;
        assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
        self
    }

    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({"type": "subscribe", "id": id, "payload": {"query": query}})).await;
    }

    pub async fn operate(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        self.say(json!({"type": "subscribe", "id": id, "payload": payload})).await;
    }

    /// As `operate`, where the server may hang up in the middle of it.
    pub async fn try_operate(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        let message = json!({"type": "subscribe", "id": id, "payload": payload});
        let _ = self.0.send(Message::Text(message.to_string().into())).await;
    }

    /// Says all of it at once, so that it is there together.
    pub async fn say_all(&mut self, messages: impl IntoIterator<Item = Value>) {
        for message in messages {
            self.0.feed(Message::Text(message.to_string().into())).await.unwrap();
        }
        self.0.flush().await.unwrap();
    }

    /// What is heard before long; nothing otherwise, which says nothing.
    pub async fn hear_soon(&mut self) -> Option<Value> {
        timeout(Duration::from_millis(200), self.hear()).await.ok()
    }

    /// Everything that is heard up to the answer to a ping, but for that.
    pub async fn hear_up_to_now(&mut self) -> Vec<Value> {
        self.say(json!({"type": "ping"})).await;
        let mut heard = Vec::new();
        loop {
            match self.hear().await {
                message if message["type"] == "pong" => return heard,
                message => heard.push(message),
            }
        }
    }

    pub async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code and reason that the server closes with.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            let next = timeout(super::PATIENCE, self.0.next()).await;
            match next.expect("the server hangs up in time").unwrap().unwrap() {
                Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
                Message::Close(None) => panic!("closed without a reason"),
                _ => {}
            }
        }
    }
}
