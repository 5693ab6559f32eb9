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

#[kafka_handler(topic = "t", group = "g", register = false)]
trait Contract {
    #[command(Name::A)]
    async fn a(&self) -> Result<(), RpcError>;
}

fn main() {}
