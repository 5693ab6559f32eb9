use kafka_rpc::{RpcError, command};
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
    #[command(Name::A)]
    async fn a(&self, _: Payload) -> Result<(), RpcError> {
        Ok(())
    }
}

trait Contract {
    #[command(Name::B)]
    async fn b(&self);
}

fn main() {}
