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

#[kafka_handler(topic = "a b", concurrency = 0)]
impl Service {
    #[command(Name::A)]
    fn a(&mut self, _: Payload) {}

    #[command(Name::A, key = key)]
    async fn clone(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
