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
async fn a(_: Payload) -> Result<(), RpcError> {
    let held = std::rc::Rc::new(1);
    std::future::ready(()).await;
    let _ = held;
    Ok(())
}

fn main() {}
