//! Tests every form with kafka-rpc under another name.

extern crate kafka_rpc as renamed;

/// A crate's own prelude, which re-exports what the macros need.
mod prelude {
    pub(crate) use renamed::{__private, RpcError, kafka_handler};
}

use prelude::RpcError;

#[prelude::kafka_handler(topic = "a", group = "a", crate = crate::prelude)]
trait Contract {
    #[command("A")]
    async fn a(&self, request: u8) -> Result<u8, RpcError>;
}

struct Service;

#[renamed::kafka_handler(crate = renamed)]
impl Contract for Service {
    async fn a(&self, request: u8, _headers: renamed::Headers) -> Result<u8, RpcError> {
        Ok(request)
    }
}

#[renamed::kafka_handler(topic = "b", group = "b", dialect = "nest", crate = renamed)]
mod functions {
    #[renamed::command("B")]
    async fn b(request: u8, _headers: renamed::Headers) -> Result<u8, renamed::RpcError> {
        Ok(request)
    }
}

#[renamed::kafka_handler(topic = "c", group = "c", crate = renamed)]
async fn c(request: u8, _headers: renamed::Headers) -> Result<u8, RpcError> {
    Ok(request)
}

#[tokio::test]
async fn all_forms_work_under_another_name() {
    use functions::FunctionsClient as _;

    let loopback = renamed::Runtime::builder().provide(Service).build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.a(1).await.expect("served"), 1);
    assert_eq!(client.b(2).await.expect("served"), 2);
    assert_eq!(client.c(3).await.expect("served"), 3);
}
