//! A policy of the user's own implements `RetryPolicy`.
use kafka_rpc::{RpcError, kafka_handler};

struct Often;
static OFTEN: Often = Often;

#[kafka_handler(topic = "t", group = "g", retry = OFTEN)]
async fn every() -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
