//! A contract, and a service that notes what it does and can be held.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::StatusCode;
use kafka_rpc::{NoReply, RpcError, kafka_handler};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The topic of [`Orders`].
pub const TOPIC: &str = "orders-commands";
/// The reply topic of [`Orders`].
pub const REPLIES: &str = "orders-responses";
/// The dead-letter topic of [`Orders`].
pub const DEAD_LETTERS: &str = "orders-commands.dlq";
/// The consumer group of [`Orders`].
pub const GROUP: &str = "orders";

/// The account whose orders fail in the program `orders-service`.
pub const FAILING: &str = "failing";
/// The account whose orders never end in that program.
pub const HELD: &str = "held";
/// The account whose orders end in that program once they are released.
pub const RELEASED: &str = "released";

/// The commands of [`Orders`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "named after the methods")]
pub enum OrderCommand {
    Echo,
    Fail,
    Nothing,
    Silent,
    Panic,
    Large,
    Place,
}

/// An order of an account. Orders of one account are placed one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The account.
    pub account: String,
    /// The number of the order.
    pub number: u64,
}

/// An error with everything that an error can carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named after the parts of an error")]
pub struct Failure {
    pub status: u16,
    pub name: String,
    pub message: String,
    pub code: Option<String>,
    pub details: Option<serde_json::Value>,
}

/// What the tests call.
#[kafka_handler(topic = TOPIC, group = GROUP, retry(max = 2, base = "20ms"))]
pub trait Orders {
    /// Answers with `text`.
    #[command(OrderCommand::Echo)]
    async fn echo(&self, text: String) -> Result<String, RpcError>;
    /// Fails with `failure`.
    #[command(OrderCommand::Fail)]
    async fn fail(&self, failure: Failure) -> Result<(), RpcError>;
    /// Answers without data.
    #[command(OrderCommand::Nothing)]
    async fn nothing(&self) -> Result<(), RpcError>;
    /// Does not answer.
    #[command(OrderCommand::Silent)]
    async fn silent(&self) -> Result<NoReply, RpcError>;
    /// Panics.
    #[command(OrderCommand::Panic)]
    async fn panic(&self) -> Result<(), RpcError>;
    /// Answers with `bytes` bytes.
    #[command(OrderCommand::Large)]
    async fn large(&self, bytes: usize) -> Result<String, RpcError>;
    /// Places an order, once its account is not held.
    #[command(OrderCommand::Place, key = account)]
    async fn place(&self, order: Order) -> Result<u64, RpcError>;
}

/// The service. Clones share their notes.
#[derive(Debug, Clone)]
pub struct OrderService {
    journal: Arc<Mutex<Vec<Note>>>,
    failures: Arc<AtomicUsize>,
    held: watch::Sender<HashSet<String>>,
}

/// What the service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A handler of this order has started.
    Started(Order),
    /// A handler of this order has ended.
    Ended(Order),
}

impl Default for OrderService {
    fn default() -> Self {
        Self { journal: Arc::default(), failures: Arc::default(), held: watch::Sender::new(HashSet::new()) }
    }
}

impl OrderService {
    /// Holds the orders of an account: their handlers start and do not end.
    pub fn hold(&self, account: &str) {
        self.held.send_if_modified(|held| held.insert(account.to_owned()));
    }

    /// Lets the orders of an account end.
    pub fn release(&self, account: &str) {
        self.held.send_if_modified(|held| held.remove(account));
    }

    /// Everything that the service did, in order.
    pub fn journal(&self) -> Vec<Note> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The orders whose handlers have started, in order.
    pub fn started(&self) -> Vec<Order> {
        let started = |note| {
            if let Note::Started(order) = note { Some(order) } else { None }
        };
        self.journal().into_iter().filter_map(started).collect()
    }

    /// The orders whose handlers have ended, in order.
    pub fn ended(&self) -> Vec<Order> {
        let ended = |note| {
            if let Note::Ended(order) = note { Some(order) } else { None }
        };
        self.journal().into_iter().filter_map(ended).collect()
    }

    /// How often a handler has failed or panicked on demand.
    pub fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// The numbers of the orders that have ended, by account, in order.
    pub fn ended_by_account(&self) -> BTreeMap<String, Vec<u64>> {
        let mut accounts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for order in self.ended() {
            accounts.entry(order.account).or_default().push(order.number);
        }
        accounts
    }

    fn note(&self, note: Note) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }
}

#[kafka_handler]
impl Orders for OrderService {
    async fn echo(&self, text: String) -> Result<String, RpcError> {
        Ok(text)
    }

    /// Fails with `failure`.
    pub async fn fail(&self, failure: Failure) -> Result<(), RpcError> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let status = StatusCode::from_u16(failure.status).unwrap_or_default();
        let mut error = RpcError::new(status, failure.name, failure.message);
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        if let Some(details) = failure.details {
            error = error.with_details(details);
        }
        Err(error)
    }

    async fn nothing(&self) -> Result<(), RpcError> {
        Ok(())
    }

    async fn silent(&self) -> Result<NoReply, RpcError> {
        Ok(NoReply)
    }

    async fn panic(&self) -> Result<(), RpcError> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        panic!("on purpose")
    }

    async fn large(&self, bytes: usize) -> Result<String, RpcError> {
        Ok("x".repeat(bytes))
    }

    /// Places an order, once its account is not held.
    pub async fn place(&self, order: Order) -> Result<u64, RpcError> {
        self.note(Note::Started(order.clone()));
        let mut held = self.held.subscribe();
        // The sender lives in `self`, so the wait ends only once the account is released.
        let _released = held.wait_for(|held| !held.contains(&order.account)).await;
        let number = order.number;
        self.note(Note::Ended(order));
        Ok(number)
    }
}

/// The value of a command that fails with this status.
pub fn fail(status: u16) -> String {
    format!(r#"{{"type":"FAIL","payload":{{"status":{status},"name":"Down","message":"no luck"}}}}"#)
}

/// The value of a request to place an order, as a peer would write it.
pub fn place(account: &str, number: u64) -> String {
    format!(
        r#"{{"id":"1","type":"PLACE","payload":{{"account":"{account}","number":{number}}},"timestamp":1}}"#
    )
}

/// An order.
pub fn order(account: &str, number: u64) -> Order {
    Order { account: account.to_owned(), number }
}
