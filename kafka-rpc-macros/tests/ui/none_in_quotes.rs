//! `none` is no topic.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", replies = "none")]
async fn a() -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g", dead_letter = None)]
async fn b() -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
