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

struct Service<T>(T);

#[kafka_handler(topic = "t", group = "g", register = false)]
impl<T: for<'de> Deserialize<'de> + Send + Sync + 'static> Service<T> {
    #[command(Name::A)]
    async fn a(&self, _: T) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
