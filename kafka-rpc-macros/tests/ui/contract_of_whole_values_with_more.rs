use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", dialect = "nest")]
trait Contract {
    #[command("A")]
    async fn a(&self) -> Result<(), RpcError>;

    async fn whole(&self, value: String) -> Result<(), RpcError>;
}

#[kafka_handler(topic = "t", group = "g", dialect = "any")]
trait OfAnyone {
    async fn whole(&self, value: String) -> Result<(), RpcError>;
}

fn main() {}
