use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g")]
trait Contract {
    #[command("PLACE")]
    async fn place(&self, order: u64) -> Result<u64, RpcError>;
}

struct Service;

impl Contract for Service {
    async fn place(&self, order: u64) -> Result<u64, RpcError> {
        Ok(order)
    }
}

fn main() {}
