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
async fn a(_: Payload) -> Result<(), String> {
    Ok(())
}

fn main() {}
