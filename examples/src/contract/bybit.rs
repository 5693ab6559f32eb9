//! Accounts at the exchange: connect one, ask for its balance, place an order.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `dashboard-bybit-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BybitCommandType {
    /// Opens an account with an API key.
    Connect,
    /// Returns the balance of an account.
    GetBalance,
    /// Places a buy order.
    PlaceOrder,
}

/// Opens an account with an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// The name of the new account.
    pub account: String,
    /// The key that the exchange gave out.
    pub api_key: String,
}

/// The reply to [`Connect`]: the account is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    /// The account.
    pub account: String,
    /// The user who owns the account.
    pub owner: String,
}

/// Returns the balance of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBalance {
    /// The account.
    pub account: String,
}

/// The balance of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The balance, in cents.
    pub cents: u64,
}

/// Places a buy order for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// An id chosen by the caller, unique within the account: an order that arrives twice is placed once.
    pub id: String,
    /// The account that pays.
    pub account: String,
    /// The symbol to buy, such as `BTC`.
    pub symbol: String,
    /// The amount to spend, in cents.
    pub cents: u64,
}

/// An order that the exchange has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// The number of the order within its account, starting at 1.
    pub number: usize,
    /// The remaining balance of the account, in cents.
    pub cents_left: u64,
}

/// The exchange service.
///
/// The record key of every command is the account. Records with the same key are handled one at a time and in
/// order, those with different keys concurrently.
#[kafka_handler(
    topic = "dashboard-bybit-commands",
    group = "dashboard-service-bybit-consumer",
    replies = "dashboard-bybit-responses",
    dead_letter = "dashboard-bybit-dlq"
)]
pub trait Bybit {
    /// Opens an account for the calling user.
    #[command(BybitCommandType::Connect, key = account)]
    async fn connect(&self, request: Connect) -> Result<Connected, RpcError>;

    /// Returns the balance of an account.
    #[command(BybitCommandType::GetBalance, key = account)]
    async fn get_balance(&self, request: GetBalance) -> Result<Balance, RpcError>;

    /// Places a buy order for an account.
    #[command(BybitCommandType::PlaceOrder, key = account)]
    async fn place_order(&self, request: PlaceOrder) -> Result<OrderPlaced, RpcError>;
}
