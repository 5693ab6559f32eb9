//! What a handler takes and answers with is its own.
use std::borrow::Cow;

use kafka_rpc::{RpcError, kafka_handler};

struct Service(String);

#[kafka_handler(topic = "t", group = "g")]
impl Service {
    #[command("A")]
    async fn a(&self) -> Result<&str, RpcError> {
        Ok(&self.0)
    }

    #[command("B")]
    async fn b(&self, name: Option<&str>) -> Result<(), RpcError> {
        drop(name);
        Ok(())
    }

    #[command("C")]
    async fn c(&self, name: Cow<'_, str>) -> Result<(), RpcError> {
        drop(name);
        Ok(())
    }
}

fn main() {}
