use kafka_rpc::{RpcError, kafka_handler};

struct Service;

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command("A")]
    async fn a(&self) -> Result<(), RpcError> {
        Ok(())
    }

    #[cfg_attr(all(), command("B"))]
    async fn b(&self) -> Result<(), RpcError> {
        Ok(())
    }

    #[cfg_attr(all(), cfg(any()))]
    #[command("C")]
    async fn c(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
