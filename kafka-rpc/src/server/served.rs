//! A subscription as it is served.

use std::sync::Arc;

use super::handling::dispatch::Dispatch;
use crate::{
    Dialect, Location,
    handler::Ordering,
    wire::{ReceivedRecord, retry},
};

/// A subscription as it is served: the agreement of all registrations for its topic and group.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// The name of the topic on the cluster.
    pub(crate) topic: Arc<str>,
    pub(crate) group: Arc<str>,
    /// The name of the topic in the contract, before `map_topics`.
    pub(crate) contract_topic: &'static str,
    pub(crate) reply_topic: Option<Arc<str>>,
    pub(crate) dead_letter_topic: Option<Arc<str>>,
    /// The topic of the retries that do not wait in the process.
    pub(crate) retry_topic: Option<Arc<str>>,
    pub(crate) dialect: Dialect,
    /// Whether its records are dead letters, whose callers have had their answers.
    pub(crate) of_dead_letters: bool,
    pub(crate) ordering: Ordering,
    pub(crate) concurrency: usize,
    pub(crate) dispatch: Arc<Dispatch>,
    /// Where its handlers are declared.
    pub(crate) locations: Vec<Location>,
}

impl Served {
    /// How often a record has been retried: in this process, which is `here`, and before it was received. Not
    /// before for a dead letter: the retries of its record say nothing about the handler of the letter.
    pub(crate) fn retries(&self, record: &ReceivedRecord, here: u32) -> u32 {
        let before = if self.of_dead_letters { 0 } else { retry::count(record.headers()) };
        before.saturating_add(here)
    }
}

#[cfg(any(test, fuzzing))]
impl Served {
    /// A subscription to `orders`, without handlers, for tests.
    pub(crate) fn of_orders(dead_letter: bool, retry_topic: bool) -> Self {
        Self {
            topic: "orders".into(),
            group: "group".into(),
            contract_topic: "orders",
            reply_topic: Some("orders-responses".into()),
            dead_letter_topic: dead_letter.then(|| "orders.dlq".into()),
            retry_topic: retry_topic.then(|| "orders-retry".into()),
            dialect: Dialect::Reference,
            of_dead_letters: false,
            ordering: Ordering::Key,
            concurrency: 1,
            dispatch: Arc::default(),
            locations: Vec::new(),
        }
    }
}
