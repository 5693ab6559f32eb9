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

#[kafka_handler(topic = "t", group = "g")]
trait Contract<T> {
    #[command(Name::A)]
    async fn a(&self, request: T) -> Result<(), RpcError>;
}

fn main() {}
