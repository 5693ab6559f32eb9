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
unsafe extern "C" fn a(_: u8) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g")]
const fn b(_: u8) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
