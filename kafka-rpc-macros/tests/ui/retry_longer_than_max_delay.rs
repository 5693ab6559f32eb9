//! No delay is longer than the longest.
use kafka_rpc::kafka_handler;

#[kafka_handler(topic = "t", group = "g", retry_topic = "r")]
mod commands {
    use kafka_rpc::RpcError;

    #[command("A", retry(base = "1m"))]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("B", retry(base = "5s", max_delay = "1s"))]
    pub async fn b() -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
