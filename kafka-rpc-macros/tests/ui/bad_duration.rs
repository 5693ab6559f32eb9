//! Durations are whole numbers above zero with a unit.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", timeout = "5 seconds")]
mod commands {
    use kafka_rpc::RpcError;

    #[command("A", timeout = "0s")]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("B", dedupe = 10)]
    pub async fn b() -> Result<(), RpcError> {
        Ok(())
    }
}

#[kafka_handler(topic = "t", group = "g", retry(base = "fast"))]
async fn every() -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
