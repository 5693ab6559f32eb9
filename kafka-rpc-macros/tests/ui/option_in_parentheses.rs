//! Only `retry` has parts, and every option its comma.
use kafka_rpc::kafka_handler;

#[kafka_handler(topic("t"), group = "g", retires(max = 3))]
mod commands {
    use kafka_rpc::RpcError;

    #[command("A", timeout("5s"))]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("B", retry(max = 3) timeout = "5s")]
    pub async fn b() -> Result<(), RpcError> {
        Ok(())
    }

    #[command(retry(max = 3))]
    pub async fn c() -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
