use kafka_rpc::{RpcError, kafka_handler};

struct Service;

#[kafka_handler(topic = "t", group_id = "g")]
impl Service {
    #[command(name = "PLACE")]
    async fn place(&self, order: u64) -> Result<u64, RpcError> {
        Ok(order)
    }
}

fn main() {}
