//! Nobody waits for a dead letter to be handled, and it lies in a topic of its own already.
use kafka_rpc::{DeadLetter, RpcError, kafka_handler};

#[kafka_handler(dead_letters_of = "t", group = "g", replies = none, dead_letter = "u", retry_topic = "r")]
async fn topics(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(dead_letters_of = "t", group = "g", dialect = "spring", dedupe = "10m", envelope, client = Letters)]
async fn answers(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
