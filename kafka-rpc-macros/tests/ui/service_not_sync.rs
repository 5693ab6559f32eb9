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

struct Service {
    count: std::cell::Cell<u8>,
}

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command(Name::A)]
    async fn a(&self) -> Result<(), RpcError> {
        self.count.set(1);
        Ok(())
    }
}

fn main() {}
