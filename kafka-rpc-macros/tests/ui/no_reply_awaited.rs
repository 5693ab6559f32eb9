use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payload {
    key: String,
}

#[derive(Serialize)]
enum Name {
    A,
    B,
}

#[kafka_handler(topic = "t", group = "g", replies = none)]
async fn on_event(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

async fn call(client: kafka_rpc::Client, payload: Payload) {
    let _ = client.on_event(payload).await;
}

fn main() {}
