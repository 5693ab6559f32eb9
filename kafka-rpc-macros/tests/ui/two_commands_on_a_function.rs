use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payload {
    key: String,
}

#[derive(Serialize)]
enum Name {
    A,
    B,
}

struct Service;

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command(Name::A)]
    #[command(Name::B)]
    async fn a(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
