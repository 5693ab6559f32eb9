//! A `DeadLetter` is one whatever it is called.
use kafka_rpc::{DeadLetter as Letter, RpcError, kafka_handler};

#[kafka_handler(topic = "t.dlq", group = "g")]
async fn letter(_letter: Letter) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
