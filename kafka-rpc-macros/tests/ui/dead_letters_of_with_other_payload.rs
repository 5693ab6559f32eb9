//! What a function with `dead_letters_of` takes is a `DeadLetter`.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(dead_letters_of = "orders", group = "g")]
async fn letter(_order: String) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
