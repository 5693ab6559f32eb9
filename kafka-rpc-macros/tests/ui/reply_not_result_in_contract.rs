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

#[kafka_handler(topic = "t", group = "g")]
trait Contract {
    #[command(Name::A)]
    async fn a(&self) -> u8;
}

fn main() {}
