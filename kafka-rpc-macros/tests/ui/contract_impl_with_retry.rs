//! What is done about failures is the contract's promise.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g")]
trait Contract {
    #[command("A", retry = none)]
    async fn a(&self) -> Result<(), RpcError>;
}

struct Service;

#[kafka_handler(retry(max = 5), timeout = "5s")]
impl Contract for Service {
    async fn a(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
