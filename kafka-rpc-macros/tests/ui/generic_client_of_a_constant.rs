use kafka_rpc::{RpcError, kafka_handler};

struct Service<const N: usize>;

#[kafka_handler(topic = "t", group = "g", register = false)]
impl<const N: usize> Service<N> {
    const NAME: &str = "B";

    #[command("A")]
    async fn a(&self, _: Vec<[u8; N]>) -> Result<(), RpcError> {
        Ok(())
    }

    #[command(Self::NAME)]
    async fn b(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
