use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g")]
#[kafka_handler(topic = "u", group = "g")]
async fn a(_: String) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
