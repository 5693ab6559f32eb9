use kafka_rpc::{RpcError, kafka_handler};

#[kafka_handler(topic = "t", group = "g", dialect = "spirng")]
async fn a(_: ()) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g", dialect = "avro")]
async fn b(_: ()) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g", dialect = nest)]
async fn c(_: ()) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "t", group = "g", dialects = "nest")]
async fn d(_: ()) -> Result<(), RpcError> {
    Ok(())
}

fn main() {}
