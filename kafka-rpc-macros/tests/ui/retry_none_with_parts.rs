//! No retries is one word.
use kafka_rpc::kafka_handler;

#[kafka_handler(topic = "t", group = "g")]
mod commands {
    use kafka_rpc::RpcError;

    #[command("A", retry(none))]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("B", retry = none(max = 3))]
    pub async fn b() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("C", retry(max = 0))]
    pub async fn c() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("D", retry)]
    pub async fn d() -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
