//! What a handler of dead letters needs, when nothing is said of a topic.
use kafka_rpc::{DeadLetter, RpcError, kafka_handler};

#[kafka_handler(group = "g")]
async fn letter(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
