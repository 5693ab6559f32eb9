//! Tests every form of handler through its generated client.

use kafka_rpc::{
    Client, Headers, RpcError, Runtime, State, UserId, command, kafka_handler, kafka_handler as handler,
};
use serde::{Deserialize, Serialize};

/// An alias of `Result`, as many crates define one.
type Result<T> = std::result::Result<T, RpcError>;

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Name {
    GetBalance,
    Connect,
    Reset,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Account {
    id: u64,
}

#[derive(Debug)]
struct ExchangeError;

impl From<ExchangeError> for RpcError {
    fn from(_: ExchangeError) -> Self {
        RpcError::bad_gateway("the exchange is down").with_name("ExchangeError")
    }
}

#[kafka_handler(topic = "contract-commands", group = "contract")]
trait Contract {
    #[command(Name::GetBalance, key = id, retry = none)]
    async fn get_balance(&self, account: Account) -> Result<u64>;

    #[command(Name::Connect)]
    async fn connect(&self) -> Result<String>;

    #[command("LATER", retry = none)]
    async fn later(&self, Account { id }: Account) -> Result<u64> {
        if id == 0 {
            return Err(RpcError::not_implemented("later"));
        }
        Err(ExchangeError)?;
        Ok(id)
    }

    /// Compiled out; its reply type does not exist.
    #[cfg(any())]
    #[command("ELSEWHERE")]
    async fn elsewhere(&self) -> Result<Missing>;
}

struct Service {
    base: u64,
}

#[kafka_handler]
impl Contract for Service {
    async fn get_balance(
        &self,
        account: Account,
        UserId(user): UserId,
        State(add): State<u64>,
    ) -> std::result::Result<u64, ExchangeError> {
        if user == "nobody" { Err(ExchangeError) } else { Ok(self.base + account.id + add) }
    }

    async fn connect(&self, _: (), user: Option<UserId>) -> Result<String> {
        Ok(user.map_or_else(String::new, |user| user.0))
    }
}

struct Settings;

#[kafka_handler(topic = "settings-commands", group = "settings")]
impl Settings {
    const DOUBLE: &str = "DOUBLE";

    #[command(Self::DOUBLE)]
    async fn double(&self, account: Account, headers: Headers) -> Result<Account> {
        Self::check(&headers)?;
        Ok(Account { id: account.id * 2 })
    }

    #[cfg(any())]
    #[command("ELSEWHERE")]
    async fn elsewhere(&self) -> Result<Missing> {
        missing()
    }

    fn check(headers: &Headers) -> Result<()> {
        headers.text("deny").map_or(Ok(()), |reason| Err(RpcError::forbidden(reason)))
    }
}

#[kafka_handler(topic = "tools-commands", group = "tools")]
mod tools {
    use super::{Account, Client, ContractClient, Result, State};

    #[command("ADD")]
    pub(super) async fn add(account: Account, State(add): State<u64>) -> Result<u64> {
        Ok(help(account.id, add))
    }

    // The `Client` extractor reaches the other handlers of the process.
    #[command("FORWARD")]
    async fn forward(Account { id }: Account, client: Client) -> Result<u64> {
        Ok(client.get_balance(Account { id }).user_id("forward").await?)
    }

    fn help(a: u64, b: u64) -> u64 {
        a + b
    }
}

#[command(Name::Reset)]
#[handler(topic = "settings-commands", group = "settings")]
async fn reset(reset: Account) -> Result<Account> {
    Ok(Account { id: reset.id - 1 })
}

#[handler(topic = "settings-commands", group = "settings")]
#[kafka_rpc::command("RESET_ALL")]
async fn reset_all() -> Result<()> {
    Ok(())
}

#[kafka_handler(topic = "alerts", group = "alerts")]
async fn on_alert(event: Account, State(_): State<u64>) -> Result<u64> {
    Ok(event.id)
}

#[kafka_handler(topic = "enveloped", group = "alerts", envelope)]
async fn on_envelope(event: Account, user: UserId) -> Result<String> {
    Ok(format!("{} {}", user.0, event.id))
}

struct Generic<T>(T);

#[kafka_handler(topic = "generic-commands", group = "generic")]
trait Counted {
    #[command("COUNT")]
    async fn count(&self) -> Result<usize>;
}

#[kafka_handler(register = false)]
impl<T: AsRef<[u8]> + Send + Sync + 'static> Counted for Generic<T> {
    async fn count(&self) -> Result<usize> {
        Ok(self.0.as_ref().len())
    }
}

macro_rules! service {
    ($name:ident, $topic:literal, $command:path, $payload:ty) => {
        struct $name;

        #[kafka_handler(topic = $topic, group = $topic)]
        impl $name {
            #[command($command, key = id)]
            pub(crate) async fn generated(&self, request: $payload, _headers: Headers) -> Result<$payload> {
                Ok(request)
            }
        }
    };
}

service!(Generated, "generated-commands", Name::Connect, Account);

/// A service whose payload and error types are associated types.
struct Own;

trait Types {
    type Payload;
}

impl Types for Own {
    type Payload = Account;
}

#[kafka_handler(topic = "own-commands", group = "own", client = OwnCommands)]
impl Own {
    #[command("OWN")]
    async fn own(
        &self,
        request: <Self as Types>::Payload,
    ) -> std::result::Result<u64, <Self as Fails>::Error> {
        Ok(request.id)
    }
}

trait Fails {
    type Error;
}

impl Fails for Own {
    type Error = ExchangeError;
}

#[expect(clippy::expect_used)]
fn loopback() -> kafka_rpc::Loopback {
    Runtime::builder()
        .provide(Service { base: 100 })
        .provide(Settings)
        .provide(Generated)
        .provide(Own)
        .provide(7_u64)
        .provide(Generic("four"))
        .handlers(<Generic<&'static str> as Counted>::handlers())
        .build()
        .expect("everything is provided")
        .loopback()
}

#[tokio::test]
async fn a_contract_is_served_by_its_impl() {
    let loopback = loopback();
    let client = loopback.client();
    assert_eq!(client.get_balance(Account { id: 1 }).user_id("ada").await.expect("served"), 108);
    assert_eq!(client.connect().user_id("ada").await.expect("served"), "ada");
    assert_eq!(client.connect().await.expect("served"), "");
}

#[tokio::test]
async fn an_error_of_the_service_is_an_rpc_error() {
    let loopback = loopback();
    let error =
        loopback.client().get_balance(Account { id: 1 }).user_id("nobody").await.expect_err("refused");
    assert!(error.to_string().contains("the exchange is down"), "{error}");
}

#[tokio::test]
async fn an_extractor_that_finds_nothing_is_the_callers_mistake() {
    let loopback = loopback();
    let error = loopback.client().get_balance(Account { id: 1 }).await.expect_err("no user");
    assert!(error.to_string().contains("userId"), "{error}");
}

#[tokio::test]
async fn a_default_body_answers_for_those_who_have_none() {
    let loopback = loopback();
    let client = loopback.client();
    let error = client.later(Account { id: 0 }).await.expect_err("returned");
    assert!(error.to_string().contains("later"), "{error}");
    let error = client.later(Account { id: 1 }).await.expect_err("converted");
    assert!(error.to_string().contains("the exchange is down"), "{error}");
}

#[tokio::test]
async fn an_impl_block_is_served() {
    let loopback = loopback();
    let client = loopback.client();
    assert_eq!(client.double(Account { id: 2 }).await.expect("served"), Account { id: 4 });
    assert!(client.double(Account { id: 2 }).header("deny", "no").await.is_err());
}

#[tokio::test]
async fn an_impl_block_may_come_from_a_macro_and_name_types_by_self() {
    let loopback = loopback();
    let client = loopback.client();
    assert_eq!(client.generated(Account { id: 2 }).await.expect("served"), Account { id: 2 });
    assert_eq!(client.own(Account { id: 2 }).await.expect("served"), 2);
}

#[tokio::test]
async fn a_module_is_served() {
    use tools::ToolsClient as _;

    let loopback = loopback();
    let client = loopback.client();
    assert_eq!(client.add(Account { id: 2 }).await.expect("served"), 9);
    assert_eq!(client.forward(Account { id: 2 }).await.expect("served"), 109);
}

#[tokio::test]
async fn a_free_function_is_served() {
    let loopback = loopback();
    let client = loopback.client();
    assert_eq!(client.reset(Account { id: 2 }).await.expect("served"), Account { id: 1 });
    client.reset_all().await.expect("served");
    assert_eq!(client.on_alert(Account { id: 2 }).await.expect("served"), 2);
    assert_eq!(client.on_envelope(Account { id: 2 }).user_id("ada").await.expect("served"), "ada 2");
}

#[tokio::test]
async fn a_generic_service_is_served_when_it_is_named() {
    let loopback = loopback();
    assert_eq!(loopback.client().count().await.expect("served"), 4);
}

#[tokio::test]
async fn functions_stay_as_they_were_written() {
    assert_eq!(Service { base: 1 }.connect((), None).await.expect("called"), "");
    assert_eq!(reset(Account { id: 2 }).await.expect("called"), Account { id: 1 });
    assert_eq!(tools::add(Account { id: 2 }, State(1)).await.expect("called"), 3);
}

#[test]
fn what_the_functions_of_a_contracts_impl_ask_for_is_required() {
    let error = Runtime::builder()
        .without_registry()
        .handlers(<Service as Contract>::handlers())
        .build()
        .expect_err("nothing is provided")
        .to_string();
    assert!(error.contains("Service") && error.contains("u64"), "{error}");
    // The line of the impl's second handler, not of the contract's method.
    let line = line_of("async fn connect(&self, _: (), user: Option<UserId>) -> Result<String> {");
    assert!(error.contains(&format!("{}:{line}", file!())), "{error}");
}

fn line_of(text: &str) -> usize {
    let source = include_str!("forms.rs");
    source.lines().position(|line| line.contains(text)).map_or(0, |index| index + 1)
}
