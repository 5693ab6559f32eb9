//! From a record to its outcome.
//!
//! In the order in which a record meets them:
//! - [`consumer`]: polls a subscription, on a thread of its own
//! - [`consumer_errors`]: what is told where it cannot
//! - [`rebalance`]: what that thread does when partitions come and go
//! - [`commits`]: commits what is finished, beside it
//! - [`flow`]: how much it takes, and when it waits
//! - [`intake`]: what it has received, and not taken yet
//! - [`packing`]: copies what it receives
//! - [`pack`]: what was received together, in memory that it shares
//! - [`assignment`]: what becomes of what was taken: commits, and partitions that go
//! - [`runners`]: runs one record after another, and hands on what would have to wait
//! - [`run`]: runs one, and sees what that leads to
//! - [`handle`]: runs its handler, bounded and caught
//! - [`dispatch`]: which handler that is
//! - [`reply_topics`]: where a reply to it may go
//! - [`limits`]: what a record may be at most
//! - [`dedupe`]: the answers that are kept for repeated requests
//! - [`watch`]: the handlers that run, and for how long
//! - [`scope`]: what a running handler lends to the calls it makes
//! - [`outcome`]: what became of the record
//! - [`report`]: what is said of that to whoever looks after the service
//! - [`replies`]: sends replies off
//! - [`on_the_way`]: those that are neither delivered yet nor let go
//! - [`stuck`]: where they do not arrive
//! - [`telling`]: tells of failures, and of what went wrong with replies
//! - [`refused`]: what is told where the broker has refused it
//! - [`delivery`]: sends what is told
//! - [`held`]: what waits for that to work again
//!
//! What they share:
//! - [`worker`]: a subscription at work
//! - [`job`]: a record that was taken
//! - [`lanes`]: which of them may run now
//! - [`hand`]: what a runner takes from there at a time
//! - [`partitions`]: the partitions that are assigned
//! - [`assigned`]: one of them, and how far it has come
//! - [`offsets`]: which of its offsets are finished
//! - [`watermarks`]: what may be committed
//! - [`pausing`]: when a partition takes no more
//! - [`bounds`]: how much that is
//! - [`slabs`]: lists of what runs, or is on its way

#[cfg(feature = "kafka")]
mod assigned;
#[cfg(feature = "kafka")]
mod assignment;
#[cfg(feature = "kafka")]
mod bounds;
#[cfg(feature = "kafka")]
mod commits;
#[cfg(feature = "kafka")]
pub(crate) mod consumer;
#[cfg(feature = "kafka")]
mod consumer_errors;
pub(crate) mod dedupe;
#[cfg(feature = "kafka")]
mod delivery;
pub(crate) mod dispatch;
#[cfg(feature = "kafka")]
mod flow;
#[cfg(feature = "kafka")]
mod hand;
pub(crate) mod handle;
#[cfg(feature = "kafka")]
mod held;
#[cfg(feature = "kafka")]
mod intake;
#[cfg(feature = "kafka")]
mod job;
#[cfg(feature = "kafka")]
pub(crate) mod lanes;
pub(crate) mod limits;
#[cfg(feature = "kafka")]
pub(crate) mod offsets;
#[cfg(feature = "kafka")]
mod on_the_way;
pub(crate) mod outcome;
#[cfg(feature = "kafka")]
mod pack;
#[cfg(feature = "kafka")]
mod packing;
#[cfg(feature = "kafka")]
mod partitions;
#[cfg(feature = "kafka")]
mod pausing;
#[cfg(feature = "kafka")]
mod rebalance;
#[cfg(feature = "kafka")]
mod refused;
#[cfg(feature = "kafka")]
mod replies;
pub(crate) mod reply_topics;
#[cfg(feature = "kafka")]
mod report;
#[cfg(feature = "kafka")]
mod run;
#[cfg(feature = "kafka")]
mod runners;
pub(crate) mod scope;
pub(crate) mod slabs;
#[cfg(feature = "kafka")]
mod stuck;
#[cfg(feature = "kafka")]
mod telling;
pub(crate) mod watch;
#[cfg(feature = "kafka")]
mod watermarks;
#[cfg(feature = "kafka")]
pub(crate) mod worker;

use std::sync::Arc;

use crate::{
    Dialect, Headers,
    handler::{Location, Ordering},
    wire::retry,
};

/// A subscription as it is served: the agreement of everything that was registered for its topic and group.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    /// As the cluster has it.
    pub(crate) topic: Arc<str>,
    pub(crate) group: Arc<str>,
    /// As the contract has it, before `map_topics`.
    pub(crate) contract_topic: &'static str,
    pub(crate) reply_topic: Option<Arc<str>>,
    pub(crate) dead_letter_topic: Option<Arc<str>>,
    /// Where retries go that do not wait in the process.
    pub(crate) retry_topic: Option<Arc<str>>,
    pub(crate) dialect: Dialect,
    /// Whether its records are dead letters: their callers have had their answers.
    pub(crate) of_dead_letters: bool,
    pub(crate) ordering: Ordering,
    pub(crate) concurrency: usize,
    pub(crate) dispatch: Arc<dispatch::Dispatch>,
    /// Where it was written.
    pub(crate) locations: Vec<Location>,
}

impl Served {
    /// How often a record had been tried again before it came here. Of a dead letter that says nothing of its own handler.
    pub(crate) fn retries_before(&self, headers: &Headers) -> u32 {
        if self.of_dead_letters { 0 } else { retry::count(headers) }
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
