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

enum Command {
    Open,
}

struct Service;

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command(Command::Open)]
    async fn a(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
