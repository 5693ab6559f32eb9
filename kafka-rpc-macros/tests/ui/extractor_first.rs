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
async fn a(_user: kafka_rpc::UserId, _request: Payload) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
