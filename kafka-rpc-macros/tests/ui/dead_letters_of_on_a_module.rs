//! Dead letters are handled by a function.
use kafka_rpc::kafka_handler;

#[kafka_handler(dead_letters_of = "t", group = "g")]
mod letters {
    use kafka_rpc::RpcError;

    #[command("A")]
    pub async fn a() -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
