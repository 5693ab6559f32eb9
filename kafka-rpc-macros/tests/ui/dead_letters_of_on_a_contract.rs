//! Dead letters are handled by a function.
use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(dead_letters_of = "t", group = "g")]
trait Letters {
    #[command("A")]
    async fn a(&self) -> Result<(), RpcError>;
}

fn main() {}
