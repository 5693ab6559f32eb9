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
    #[command(Some(Name::A))]
    async fn a(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }

    #[command()]
    async fn b(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }

    #[command("")]
    async fn c(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
