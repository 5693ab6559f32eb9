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

const TOPIC: u8 = 1;

#[kafka_handler(topic = TOPIC, group = "g")]
async fn a(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
