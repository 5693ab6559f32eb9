//! The impl of a contract, with an extractor that the contract does not mention and an error type of its own.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kafka_rpc::{RpcError, UserId, kafka_handler};

use crate::contract::bybit::{Balance, Bybit, Connect, Connected, GetBalance, OrderPlaced, PlaceOrder};

/// The opening balance of every account: 1,000.00.
const OPENING_CENTS: u64 = 100_000;

/// An exchange that keeps its accounts in memory.
#[derive(Debug, Default)]
pub struct BybitService {
    accounts: Mutex<HashMap<String, Account>>,
}

#[derive(Debug)]
struct Account {
    cents: u64,
    /// The orders placed, by their ids.
    orders: HashMap<String, OrderPlaced>,
}

/// The errors of the exchange. Handlers return these; callers receive the [`RpcError`] that `From` converts
/// them to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeError {
    /// The exchange does not know the key.
    InvalidApiKey,
    /// No such account has been opened.
    NoSuchAccount(String),
    /// The account holds less than the order costs.
    InsufficientBalance {
        /// The account's balance, in cents.
        cents: u64,
    },
}

impl From<ExchangeError> for RpcError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::InvalidApiKey => Self::bad_request("Invalid API key").with_name("ValidationError"),
            ExchangeError::NoSuchAccount(account) => Self::not_found(format!("no account `{account}`")),
            ExchangeError::InsufficientBalance { cents } => {
                Self::unprocessable(format!("the account holds {cents} cents"))
                    .with_name("InsufficientBalance")
                    .with_code("BYBIT_110007")
            }
        }
    }
}

#[kafka_handler]
impl Bybit for BybitService {
    async fn connect(&self, request: Connect, UserId(owner): UserId) -> Result<Connected, ExchangeError> {
        if request.api_key.is_empty() {
            return Err(ExchangeError::InvalidApiKey);
        }
        // Kafka may deliver a command again, so handlers must be idempotent: connecting twice opens one
        // account.
        self.accounts()
            .entry(request.account.clone())
            .or_insert(Account { cents: OPENING_CENTS, orders: HashMap::new() });
        Ok(Connected { account: request.account, owner })
    }

    async fn get_balance(&self, request: GetBalance) -> Result<Balance, ExchangeError> {
        match self.accounts().get(&request.account) {
            Some(account) => Ok(Balance { cents: account.cents, account: request.account }),
            None => Err(ExchangeError::NoSuchAccount(request.account)),
        }
    }

    async fn place_order(&self, request: PlaceOrder) -> Result<OrderPlaced, ExchangeError> {
        let mut accounts = self.accounts();
        let Some(account) = accounts.get_mut(&request.account) else {
            return Err(ExchangeError::NoSuchAccount(request.account));
        };
        // Kafka may deliver a command again. An order with a known id was placed before and gets the same
        // reply.
        if let Some(placed) = account.orders.get(&request.id) {
            return Ok(placed.clone());
        }
        let Some(cents_left) = account.cents.checked_sub(request.cents) else {
            return Err(ExchangeError::InsufficientBalance { cents: account.cents });
        };
        account.cents = cents_left;
        let placed = OrderPlaced { number: account.orders.len() + 1, cents_left };
        account.orders.insert(request.id, placed.clone());
        Ok(placed)
    }
}

impl BybitService {
    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attribute leaves handlers as ordinary methods, so a unit test calls them with their extractors as
    /// arguments.
    #[tokio::test]
    async fn an_order_is_paid_for_once_and_only_with_money_that_is_there() {
        let bybit = BybitService::default();
        let connect = Connect { account: "main".to_owned(), api_key: "key".to_owned() };
        let order = |id: &str, cents| PlaceOrder {
            id: id.to_owned(),
            account: "main".to_owned(),
            symbol: "BTC".to_owned(),
            cents,
        };

        let placed = bybit.place_order(order("a", 99_999)).await;
        assert_eq!(placed, Err(ExchangeError::NoSuchAccount("main".to_owned())));
        bybit.connect(connect, UserId("ada".to_owned())).await.expect("a key is all it takes");
        for _ in 0..2 {
            let placed = bybit.place_order(order("a", 99_999)).await;
            assert_eq!(placed, Ok(OrderPlaced { number: 1, cents_left: 1 }), "it came again");
        }
        let placed = bybit.place_order(order("b", 2)).await;
        assert_eq!(placed, Err(ExchangeError::InsufficientBalance { cents: 1 }));
    }
}
