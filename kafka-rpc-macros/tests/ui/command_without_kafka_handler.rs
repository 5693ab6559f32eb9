use kafka_rpc::{RpcError, command};
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

#[command(Name::A)]
async fn a(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

/// With other attributes.
#[command(Name::B)]
#[inline]
async fn b(_: Payload) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
