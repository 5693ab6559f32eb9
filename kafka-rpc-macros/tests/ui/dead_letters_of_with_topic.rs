//! A handler of dead letters says of what, and nothing else about topics.
use kafka_rpc::{DeadLetter, RpcError, kafka_handler};

#[kafka_handler(dead_letters_of = "t", topic = "t.dlq", replies = none, group = "g")]
async fn letter(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
