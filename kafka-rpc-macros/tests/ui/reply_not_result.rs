use kafka_rpc::{kafka_handler};
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
    #[command(Name::A)]
    async fn a(&self, _: Payload) -> u8 {
        1
    }
}

fn main() {}
