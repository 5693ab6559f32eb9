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

#[kafka_handler(topics = "t", group = "g", partitions = 5)]
async fn a(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
