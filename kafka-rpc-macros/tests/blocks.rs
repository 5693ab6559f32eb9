//! Tests what a block or a module may contain beside its commands, and what its options may refer to.

#![deny(warnings, unused_lifetimes)]

use std::marker::PhantomData;

use kafka_rpc::{RpcError, Runtime, State, kafka_handler};

struct Postgres;
struct Mysql;
struct Store<T>(PhantomData<T>);

#[kafka_handler(topic = Self::TOPIC, group = "store", replies = Self::REPLIES, client = PostgresClient)]
impl Store<Postgres> {
    const TOPIC: &str = "postgres-commands";
    const REPLIES: &str = "postgres-replies";
    const LENGTH: usize = 2;

    #[command("SUM")]
    async fn sum(&self, numbers: [u8; Self::LENGTH]) -> Result<u8, RpcError> {
        Ok(numbers.iter().sum())
    }
}

#[kafka_handler(topic = "mysql-commands", group = "store", client = MysqlClient)]
impl Store<Mysql> {
    #[command("COUNT")]
    async fn count(&self, numbers: Vec<u8>) -> Result<usize, RpcError> {
        Ok(numbers.len())
    }
}

#[kafka_handler(topic = "tools-commands", group = "tools")]
mod tools {
    use super::{RpcError, kafka_handler};

    #[command("CALL")]
    pub(super) async fn call(name: String) -> Result<String, RpcError> {
        Ok(format!("called {name}"))
    }

    #[kafka_handler(topic = "tools-resets", group = "tools")]
    #[command("RESET")]
    pub(super) async fn reset(name: String) -> Result<String, RpcError> {
        Ok(format!("reset {name}"))
    }
}

#[derive(serde::Serialize)]
enum Name {
    #[deprecated]
    Old,
}

#[deprecated]
#[derive(serde::Serialize, serde::Deserialize)]
struct OldRequest;

struct Archive;

#[kafka_handler(topic = "archive-commands", group = "archive")]
#[allow(deprecated)]
impl Archive {
    #[cfg_attr(all(), deprecated)]
    #[command(Name::Old)]
    async fn old(&self, _: OldRequest) -> Result<(), RpcError> {
        Ok(())
    }
}

#[kafka_handler(topic = "lookups", group = "archive")]
trait Lookup {
    #[command("LOOK_UP")]
    async fn look_up(&self) -> Result<(), RpcError>;
}

#[deprecated]
#[derive(Clone)]
struct OldDb;

#[kafka_handler(register = false)]
impl Lookup for Archive {
    #[allow(deprecated)]
    async fn look_up(&self, _: (), State(_db): State<OldDb>) -> Result<(), RpcError> {
        Ok(())
    }
}

#[tokio::test]
async fn blocks_of_types_of_one_name_are_served_and_say_self_where_they_like() {
    let runtime = Runtime::builder().provide(Store(PhantomData::<Postgres>)).provide(Archive);
    let runtime = runtime.provide(Store(PhantomData::<Mysql>)).build().expect("all is provided");
    let loopback = runtime.loopback();
    let client = loopback.client();
    assert_eq!(client.sum([1, 2]).await, Ok(3));
    assert_eq!(client.count(vec![1, 2, 3]).await, Ok(3));
}

#[tokio::test]
async fn a_handler_of_its_own_in_a_module_is_on_its_own_topic() {
    use tools::{ResetClient as _, ToolsClient as _};

    let runtime = Runtime::builder().without_registry();
    let runtime = runtime.handlers(tools::handlers()).handlers(tools::reset_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.call("it".to_owned()).await, Ok("called it".to_owned()));
    assert_eq!(client.reset("it".to_owned()).await, Ok("reset it".to_owned()));
}

#[tokio::test]
#[expect(deprecated, reason = "its client says so, and its server does not")]
async fn a_deprecated_command_is_served_without_a_warning() {
    let runtime = Runtime::builder().without_registry().provide(Archive).handlers(Archive::handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    assert_eq!(loopback.client().old(OldRequest).await, Ok(()));
}
