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
async fn a<T: for<'de> Deserialize<'de>>(_: T) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g")]
async fn b(_: impl std::any::Any) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
