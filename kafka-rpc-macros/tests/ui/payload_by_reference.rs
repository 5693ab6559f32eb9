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

#[kafka_handler(topic = "t", group = "g")]
async fn a(_request: &str, _headers: &kafka_rpc::Headers) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
