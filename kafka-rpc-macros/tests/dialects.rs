//! Tests the dialects, in every form that has them.

use kafka_rpc::{CallError, Client, Dialect, Error, Loopback, RpcError, Runtime, UserId, kafka_handler};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
}

#[kafka_handler(topic = "orders", group = "orders", dialect = "nest")]
trait Orders {
    #[command("PLACE")]
    async fn place(&self, order: Order) -> Result<u64, RpcError>;
}

struct Service;

#[kafka_handler]
impl Orders for Service {
    async fn place(&self, order: Order, user: Option<UserId>) -> Result<u64, RpcError> {
        match user {
            Some(UserId(user)) => Err(RpcError::forbidden(user).with_code("E1").with_details(json!([1]))),
            None => Ok(order.number),
        }
    }
}

#[kafka_handler(topic = "payments", group = "payments", dialect = "spring")]
mod payments {
    use super::{Order, RpcError};

    #[command("PAY")]
    pub(super) async fn pay(order: Order) -> Result<Order, RpcError> {
        if order.number == 0 { Err(RpcError::not_found("no such order").with_code("E1")) } else { Ok(order) }
    }
}
use payments::PaymentsClient;

struct Shipping;

#[kafka_handler(topic = "shipping", group = "shipping", dialect = "any")]
impl Shipping {
    #[command("SHIP")]
    async fn ship(&self, order: Order) -> Result<Order, RpcError> {
        Ok(order)
    }
}

#[kafka_handler(topic = "orders.cancel", group = "orders", dialect = "nest")]
trait CancelOrder {
    async fn cancel(&self, order: Order) -> Result<u64, RpcError>;
}

#[kafka_handler]
impl CancelOrder for Service {
    async fn cancel(&self, order: Order, user: Option<UserId>) -> Result<u64, RpcError> {
        assert_eq!(user, None, "there is no envelope to name one");
        Ok(order.number)
    }
}

#[kafka_handler(topic = "nest.echo", group = "nest", dialect = "nest")]
async fn echo_in_nest(text: String) -> Result<String, RpcError> {
    Ok(text)
}

#[kafka_handler(topic = "nest.next", group = "nest", dialect = "nest")]
async fn next_in_nest(order: Option<Order>) -> Result<Option<Order>, RpcError> {
    Ok(order.map(|order| Order { number: order.number + 1 }))
}

#[kafka_handler(topic = "spring.echo", group = "spring", dialect = "spring")]
async fn echo_in_spring(text: String) -> Result<String, RpcError> {
    Ok(text)
}

#[kafka_handler(topic = "spring.fail", group = "spring", dialect = "spring", retry = none)]
async fn fail_in_spring(_: ()) -> Result<(), RpcError> {
    Err(RpcError::unavailable("later").with_details(json!({"after": 5})))
}

fn running() -> Result<(Loopback, Client), Error> {
    let loopback = Runtime::builder().provide(Service).provide(Shipping).build()?.loopback();
    let client = loopback.client();
    Ok((loopback, client))
}

#[tokio::test]
async fn commands_are_called_in_every_dialect() {
    let (_loopback, client) = running().expect("all is provided");
    let order = || Order { number: 7 };
    assert_eq!(client.place(order()).await, Ok(7));
    assert_eq!(client.cancel(order()).await, Ok(7), "the contract is the topic");
    assert_eq!(client.pay(order()).await, Ok(order()));
    assert_eq!(client.ship(order()).await, Ok(order()));
}

#[tokio::test]
async fn an_error_keeps_all_its_parts_in_every_dialect() {
    let (_loopback, client) = running().expect("all is provided");
    let forbidden = RpcError::forbidden("ada").with_code("E1").with_details(json!([1]));
    let refused = client.place(Order { number: 7 }).user_id("ada").await;
    assert_eq!(refused, Err(CallError::Remote(forbidden)));
    let missing = RpcError::not_found("no such order").with_code("E1");
    assert_eq!(client.pay(Order { number: 0 }).await, Err(CallError::Remote(missing)));
    let later = RpcError::unavailable("later").with_details(json!({"after": 5}));
    assert_eq!(client.fail_in_spring().await, Err(CallError::Remote(later)));
}

#[tokio::test]
async fn a_whole_value_is_text_or_json_or_nothing() {
    let (_loopback, client) = running().expect("all is provided");
    for text in ["plain", "7", "true", "{\"a\":", "\u{2713} \"q\" \\", "", " "] {
        assert_eq!(client.echo_in_nest(text.to_owned()).await, Ok(text.to_owned()));
        assert_eq!(client.echo_in_spring(text.to_owned()).await, Ok(text.to_owned()));
    }
    assert_eq!(client.next_in_nest(Some(Order { number: 7 })).await, Ok(Some(Order { number: 8 })));
    assert_eq!(client.next_in_nest(None).await, Ok(None));
}

#[tokio::test]
async fn a_header_may_have_the_names_of_other_dialects_only() {
    let (_loopback, client) = running().expect("all is provided");
    let order = || Order { number: 7 };
    assert_eq!(client.place(order()).header("Correlation-Id", "mine").await, Ok(7));
    let taken = client.place(order()).header("kafka_ReplyTopic", "mine").await;
    let Err(CallError::Invalid { reason }) = taken else { panic!("it was sent") };
    assert!(reason.contains("kafka_ReplyTopic"), "{reason}");
    assert!(client.pay(order()).header("rpc-error", "mine").await.is_err());
}

mod disagreeing {
    use super::{RpcError, kafka_handler};

    #[kafka_handler(topic = "mixed", group = "mixed", dialect = "spring", client = none, register = false)]
    #[command("ONE")]
    pub(super) async fn one() -> Result<(), RpcError> {
        Ok(())
    }

    #[kafka_handler(topic = "mixed", group = "mixed", client = none, register = false)]
    #[command("OTHER")]
    pub(super) async fn other() -> Result<(), RpcError> {
        Ok(())
    }
}

#[test]
fn what_is_registered_for_a_subscription_agrees_on_its_dialect() {
    let built = Runtime::builder()
        .without_registry()
        .handlers(disagreeing::one_handlers())
        .handlers(disagreeing::other_handlers())
        .build();
    let Err(Error::Build(problems)) = built else { panic!("it was built") };
    assert_eq!(problems.iter().count(), 1, "{problems}");
    let text = problems.to_string();
    for part in ["do not agree on `dialect` (\"spring\", \"reference\")", "dialects.rs:"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn a_dialect_is_shown_as_it_is_written() {
    let all = [Dialect::Reference, Dialect::Nest, Dialect::Spring, Dialect::Any];
    assert_eq!(all.map(|dialect| dialect.to_string()), ["reference", "nest", "spring", "any"]);
}
