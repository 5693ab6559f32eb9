//! A `DeadLetter` is the payload of a handler with `dead_letters_of`.
use kafka_rpc::{DeadLetter, RpcError, kafka_handler};

#[kafka_handler(topic = "t.dlq", group = "g")]
async fn letter(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
