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

#[kafka_handler(topic = "t", group = "g")]
mod tools {
    use super::RpcError;

    #[command("A")]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }

    #[cfg_attr(all(), kafka_handler(topic = "u", group = "g"))]
    #[command("B")]
    pub async fn b() -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
