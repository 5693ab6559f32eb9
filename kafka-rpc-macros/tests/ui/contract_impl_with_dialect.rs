use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", dialect = "nest")]
trait Contract {
    #[command("A")]
    async fn a(&self) -> Result<(), RpcError>;
}

struct Service;

#[kafka_handler(dialect = "nest")]
impl Contract for Service {
    async fn a(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
