//! A node that offers one tool. With a registry at 127.0.0.1:4000 (`onex serve`):
//!
//! ```sh
//! cargo run --example greeter
//! onex proxy-invoke --tool greet --arg name=Ada
//! ```

use onex::client::Client;
use onex::client::node::{Call, Node, Tool};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Greet {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::var("ONEX_SERVER").unwrap_or_else(|_| "http://127.0.0.1:4000".to_owned());
    let client = Client::try_new(&server, std::env::var("ONEX_TOKEN").ok())?;

    let greet = Tool::new("greet", |call: Call| async move {
        let Greet { name } = call.args()?;
        Ok(json!({"text": format!("Hello, {name}")}))
    })
    .description("Greets somebody by name")
    .input_schema(json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}))
    .output_schema(json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}))
    .idempotent(true);

    let node = Node::new("greeter").version("1.0.0").description("Greets").kind("TOOL").tool(greet);
    let running = node.connect(&client).await?;
    tokio::select! {
        ended = running.closed() => Ok(ended?),
        _ = tokio::signal::ctrl_c() => Ok(running.drain().await?),
    }
}
