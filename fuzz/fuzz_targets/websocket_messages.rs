//! Messages on a websocket, a line each, whatever they are; lines that are no UTF-8 go as text frames all the same. The
//! registry answers or closes: it never falls silent, and never fails by itself.
#![no_main]

use futures_util::{SinkExt, StreamExt};
use libfuzzer_sys::fuzz_target;
use onex_fuzz::registry;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const PROTOCOLS: [&str; 2] = ["graphql-transport-ws", "graphql-ws"];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, messages)) = bytes.split_first() else { return };
    let registry = registry();
    registry.run(async {
        let mut request = format!("ws://{}/graphql", registry.address()).into_client_request().expect("a request");
        let protocol = PROTOCOLS[usize::from(*first) % PROTOCOLS.len()];
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().expect("a protocol"));
        // A protocol that is not spoken is refused here.
        let Ok((mut socket, _)) = connect_async(request).await else { return };
        // Half of the inputs begin with what every client says first.
        let init = (first & 2 == 0).then_some(&b"{\"type\":\"connection_init\"}"[..]);
        for message in init.into_iter().chain(messages.split(|byte| *byte == b'\n')) {
            let frame = Frame::message(message.to_vec(), OpCode::Data(Data::Text), true);
            if socket.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
        // A ping is answered, unless the connection was closed: then that is what comes.
        if socket.send(Message::Ping(Vec::new().into())).await.is_err() {
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Text(text) => assert!(!text.contains("\"INTERNAL\""), "{text}"),
                Message::Pong(_) => return,
                _ => {}
            }
        }
    });
});
