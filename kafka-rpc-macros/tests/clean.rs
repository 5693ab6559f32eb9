//! Checks that generated code is clean under the strictest lints and needs no prelude: every form, with those
//! lints on.

#![no_implicit_prelude]
#![deny(warnings, missing_docs, unreachable_pub, unused_lifetimes, rust_2018_idioms, clippy::pedantic)]
#![forbid(unsafe_code)]

use ::kafka_rpc::{DeadLetter, Headers, Retry, RpcError, State, UserId, command, kafka_handler};
use ::serde::{Deserialize, Serialize};
use ::std::{
    clone::Clone,
    result::Result::{self, Ok},
    string::String,
};

/// The commands.
#[derive(Debug, Serialize)]
pub enum Name {
    /// One.
    Connect,
    /// Another.
    Status,
    /// One more.
    Reset,
}

/// A payload.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connect {
    /// What it is for.
    pub account: Account,
}

/// A field with a field.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// The number.
    pub id: u64,
}

/// A reply.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connected {
    /// Who it is.
    pub who: String,
}

/// A state.
#[derive(Debug, Clone)]
pub struct Db;

/// A contract.
#[kafka_handler(
    topic = "commands",
    group = "service",
    replies = "responses",
    dead_letter = none,
    dialect = "any",
    ordering = "partition",
    concurrency = 8,
    retry_topic = "retries",
    retry(max = 5, base = "250ms", factor = 1.5, max_delay = "2h", jitter = true),
    timeout = "10m",
    dedupe = "24h",
)]
pub trait Bybit {
    /// Connects.
    #[command(Name::Connect, key = account.id)]
    async fn connect(&self, request: Connect) -> Result<Connected, RpcError>;

    /// Answers nothing.
    #[command(Name::Status, retry = none, timeout = "5s", dedupe = "1m")]
    async fn status(&self) -> Result<(), RpcError>;

    /// Was there first.
    #[command("first")]
    #[deprecated = "use `later`"]
    async fn first(&self) -> Result<(), RpcError>;

    /// Came later.
    #[command("later")]
    async fn later(&self, request: Connect) -> Result<u64, RpcError> {
        Ok(request.account.id)
    }
}

/// A service.
#[derive(Debug)]
pub struct Service;

#[kafka_handler]
impl Bybit for Service {
    async fn connect(
        &self,
        request: Connect,
        _user: UserId,
        State(_db): State<Db>,
    ) -> Result<Connected, RpcError> {
        let _ = request;
        Ok(Connected { who: String::new() })
    }

    async fn status(&self) -> Result<(), RpcError> {
        Ok(())
    }

    #[deprecated]
    async fn first(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

/// A service without a contract.
#[derive(Debug)]
pub struct Settings;

#[kafka_handler(topic = "settings", group = "settings", replies = none)]
impl Settings {
    /// Resets.
    ///
    /// # Errors
    ///
    /// None.
    #[command(Name::Reset)]
    pub async fn reset(&self, Connect { account }: Connect, context: Headers) -> Result<(), RpcError> {
        let _ = (account, context);
        self.helper();
        Ok(())
    }

    fn helper(&self) {
        let Self = self;
    }
}

/// Functions.
#[kafka_handler(topic = TOPIC, group = "tools", retry = POLICY)]
pub mod tools {
    use ::kafka_rpc::RpcError;
    use ::std::result::Result::{self, Ok};

    use super::{Db, State};

    #[command("nested", key = 0.1.0)]
    async fn nested(request: ((u8, (u8, u8)), u8)) -> Result<u8, RpcError> {
        Ok(request.1)
    }

    #[command("call", key = 0)]
    async fn call(request: (u8, u8), State(db): State<Db>) -> Result<u8, RpcError> {
        let _ = db;
        Ok(request.0)
    }

    #[command("none", retry = super::POLICY)]
    #[deprecated = "it was never any good"]
    async fn none(_: (), db: State<Db>) -> Result<(), RpcError> {
        let _ = db;
        Ok(())
    }
}

const TOPIC: &str = "tools";
const POLICY: Retry = Retry::new();

/// A command.
///
/// # Errors
///
/// None.
#[kafka_handler(topic = "settings", group = "settings")]
#[command("RESET")]
pub async fn reset() -> Result<(), RpcError> {
    Ok(())
}

#[command("RESET_2")]
#[kafka_handler(topic = "settings", group = "settings")]
async fn reset_2(request: Connect) -> Result<(), RpcError> {
    let _ = request;
    Ok(())
}

#[kafka_handler(topic = "alerts", group = "alerts", envelope, client = Alerts)]
async fn on_alert(alert: Connect, on_alert: Headers) -> Result<(), RpcError> {
    let _ = (alert, on_alert);
    Ok(())
}

#[kafka_handler(dead_letters_of = TOPIC, group = "undertaker", retry(), timeout = "1s")]
async fn on_dead_letter(letter: DeadLetter) -> Result<(), RpcError> {
    let _ = letter;
    Ok(())
}

#[kafka_handler(topic = "own-letters", group = "own-letters", retry = none)]
async fn on_own_letter(letter: own::DeadLetter) -> Result<(), RpcError> {
    let _ = letter;
    Ok(())
}

mod own {
    #[derive(Debug, ::serde::Serialize, ::serde::Deserialize)]
    pub(crate) struct DeadLetter;
}

/// Private functions.
#[kafka_handler(topic = "private", group = "private", register = false, client = none)]
mod private {
    #[derive(::serde::Deserialize)]
    struct Hidden;

    #[super::command("hidden")]
    async fn hidden(_hidden: Hidden) -> super::Result<(), super::RpcError> {
        super::Ok(())
    }
}

/// A contract that another process serves, so that only its client is used in this crate.
#[kafka_handler(topic = "elsewhere", group = "elsewhere")]
trait Elsewhere {
    #[command("far")]
    async fn far(&self) -> Result<(), RpcError>;
}

#[test]
fn a_private_contract_that_is_only_called_is_no_dead_code() {
    fn called(client: &dyn ElsewhereClient) -> ::kafka_rpc::Call<()> {
        client.far()
    }
    let _ = called;
}

#[test]
fn handlers_can_be_taken_explicitly() {
    let _ = (
        <Service as Bybit>::handlers(),
        Settings::handlers(),
        tools::handlers(),
        reset_handlers(),
        private::handlers(),
        on_dead_letter_handlers(),
    );
}

/// A lint allowed on an item is allowed on its client too, and likewise for each method.
#[kafka_handler(topic = "wallet-commands", group = "wallet")]
#[allow(non_snake_case)]
pub trait Wallet {
    /// A command.
    #[command("GET_BALANCE")]
    async fn getBalance(&self, accountId: u64) -> Result<u64, RpcError>;
}

/// A service.
#[derive(Debug)]
pub struct Exchange;

#[kafka_handler(topic = "exchange-commands", group = "exchange")]
impl Exchange {
    /// A command.
    #[allow(clippy::wrong_self_convention)]
    #[command("FROM_CENTS")]
    async fn from_cents(&self, cents: u64) -> Result<u64, RpcError> {
        Ok(cents)
    }
}

/// A payload that is `Send` but not `Sync`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unshared {
    count: ::std::cell::Cell<u64>,
}

/// A contract whose default method owns a payload that is not `Sync`, across an await.
#[kafka_handler(topic = "unshared-commands", group = "unshared")]
pub trait TakesUnshared {
    /// A command.
    #[command("COUNT")]
    async fn count(&self, request: Unshared) -> Result<u64, RpcError> {
        ::tokio::task::yield_now().await;
        Ok(request.count.get())
    }
}
