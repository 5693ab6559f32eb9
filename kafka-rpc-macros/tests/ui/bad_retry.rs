//! What can be wrong with a retry policy.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", retry(maximum = 3, base = "1s", base = "2s", factor = 0.5))]
async fn parts() -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g", retry = "often")]
async fn text() -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
