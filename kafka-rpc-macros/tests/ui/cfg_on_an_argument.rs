use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payload {
    key: String,
}

#[kafka_handler(topic = "t", group = "g")]
async fn every(_: Payload, #[cfg(any())] _: kafka_rpc::Headers) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
