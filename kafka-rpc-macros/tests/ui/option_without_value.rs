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

#[kafka_handler(topic, group = 7, ordering = "random", concurrency = 0)]
async fn a(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
