//! Tests that other items beside one with `#[kafka_handler]` may have any name.

#![deny(warnings)]

use kafka_rpc::{RpcError, Runtime, kafka_handler};

#[kafka_handler(topic = "orders-commands", group = "contract")]
trait Orders {
    #[command("PLACE")]
    async fn place(&self) -> Result<String, RpcError>;
}

struct Service;

#[kafka_handler]
impl Orders for Service {
    async fn place(&self) -> Result<String, RpcError> {
        Ok("of the trait".to_owned())
    }
}

#[kafka_handler(topic = "orders-queries", group = "module", retry = kafka_rpc::Retry::NONE)]
mod orders {
    use super::RpcError;

    #[command("FIND")]
    pub(super) async fn find() -> Result<String, RpcError> {
        Ok("of the module".to_owned())
    }
}

#[kafka_handler(topic = "orders-events", group = "function", client = Ordered)]
async fn orders() -> Result<String, RpcError> {
    Ok("of the function".to_owned())
}

#[tokio::test]
async fn a_trait_a_module_and_a_function_of_one_name_are_each_served() {
    use orders::OrdersClient as _;

    let loopback = Runtime::builder().provide(Service).build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.place().await.expect("served"), "of the trait");
    assert_eq!(client.find().await.expect("served"), "of the module");
    assert_eq!(client.orders().await.expect("served"), "of the function");
}

mod own {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(super) struct DeadLetter<T>(pub(super) T);
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Payload;

const COMMAND: &str = "OWN";

#[kafka_handler(topic = "own-commands", group = "own")]
#[command(COMMAND)]
async fn own_command() -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "own-letters", group = "own-letters")]
async fn on_own_letter(letter: own::DeadLetter<Payload>) -> Result<Payload, RpcError> {
    Ok(letter.0)
}

#[tokio::test]
async fn names_of_the_users_own_hide_none_of_generated_code_and_are_not_hidden() {
    let loopback = Runtime::builder().provide(Service).build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.on_own_letter(own::DeadLetter(Payload)).await, Ok(Payload));
    assert_eq!(client.own_command().await, Ok(()));
}

#[tokio::test]
async fn a_module_in_the_body_of_a_function_is_served() {
    #[kafka_handler(topic = "body-commands", group = "body", replies = "body", concurrency = 8, retry = none)]
    mod body {
        #[command("BODY")]
        async fn body() -> Result<u8, super::RpcError> {
            Ok(1)
        }
    }
    use body::BodyClient as _;

    let runtime = Runtime::builder().without_registry().handlers(body::handlers());
    let loopback = runtime.build().expect("nothing is asked for").loopback();
    assert_eq!(loopback.client().body().await.expect("served"), 1);
}
