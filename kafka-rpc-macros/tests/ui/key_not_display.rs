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

#[derive(Serialize, Deserialize)]
struct Keyed {
    key: Option<String>,
}

struct Service;

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command(Name::A, key = key)]
    async fn a(&self, _: Keyed) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
