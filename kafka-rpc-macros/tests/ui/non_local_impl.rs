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
trait Contract {
    #[command(Name::A)]
    async fn a(&self, request: Payload) -> Result<(), RpcError>;

    #[command(Name::B)]
    async fn b(&self) -> Result<u8, RpcError>;
}

struct Service;

#[kafka_handler]
impl Contract for Vec<u8> {
    async fn a(&self, request: Payload) -> Result<(), RpcError> {
        let _ = request;
        Ok(())
    }

    async fn b(&self) -> Result<u8, RpcError> {
        Ok(1)
    }
}

fn main() {}
