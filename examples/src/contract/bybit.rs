//! Accounts at the exchange: connect one, ask for its balance, place an order.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `dashboard-bybit-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BybitCommandType {
    /// Opens an account with an API key.
    Connect,
    /// Asks what an account holds.
    GetBalance,
    /// Buys.
    PlaceOrder,
}

/// Opens an account with an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// What the account is called from now on.
    pub account: String,
    /// The key that the exchange gave out.
    pub api_key: String,
}

/// An account is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    /// The account.
    pub account: String,
    /// Whose it is.
    pub owner: String,
}

/// Asks what an account holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBalance {
    /// The account.
    pub account: String,
}

/// What an account holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// The account.
    pub account: String,
    /// Its money, in cents.
    pub cents: u64,
}

/// Buys for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// Which order of the account it is, by whoever places it: one that comes again is placed once.
    pub id: String,
    /// Who pays.
    pub account: String,
    /// What is bought, such as `BTC`.
    pub symbol: String,
    /// For how much, in cents.
    pub cents: u64,
}

/// An order that the exchange has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// Which order of the account it is: 1 for the first.
    pub number: usize,
    /// What is left in the account, in cents.
    pub cents_left: u64,
}

/// Accounts at the exchange.
///
/// The account is the record key of every command, so the commands of one account are handled one at a time and in
/// order, and those of different accounts at once.
#[kafka_handler(
    topic = "dashboard-bybit-commands",
    group = "dashboard-service-bybit-consumer",
    replies = "dashboard-bybit-responses",
    dead_letter = "dashboard-bybit-dlq"
)]
pub trait Bybit {
    /// Opens an account for the user of the call.
    #[command(BybitCommandType::Connect, key = account)]
    async fn connect(&self, request: Connect) -> Result<Connected, RpcError>;

    /// Asks what an account holds.
    #[command(BybitCommandType::GetBalance, key = account)]
    async fn get_balance(&self, request: GetBalance) -> Result<Balance, RpcError>;

    /// Buys for an account.
    #[command(BybitCommandType::PlaceOrder, key = account)]
    async fn place_order(&self, request: PlaceOrder) -> Result<OrderPlaced, RpcError>;
}
