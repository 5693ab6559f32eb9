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

impl Service {
    #[kafka_handler(topic = "t", group = "g")]
    #[command(Name::A)]
    async fn a(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }

    #[kafka_handler]
    async fn b(self: std::sync::Arc<Self>, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
