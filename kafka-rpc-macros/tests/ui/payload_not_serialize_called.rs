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

#[derive(Deserialize)]
struct ServerOnly;

#[kafka_handler(topic = "t", group = "g")]
async fn serve(_: ServerOnly) -> Result<(), RpcError> {
    Ok(())
}

async fn call(client: kafka_rpc::Client) {
    let _ = client.serve(ServerOnly).await;
}

fn main() {}
