//! The runtime: built from handlers and state, started on a cluster, run until a signal.
//!
//! - [`builder`]: describes a runtime
//! - [`assembly`]: merges registrations into subscriptions, and finds everything that is wrong with them
//! - [`names`]: the names that the cluster has for topics and groups
//! - [`sources`]: which topics are read, and which readings would take each other's records
//! - [`start`]: connects, positions, serves
//! - [`running`]: the handle of a started runtime, and its shutdown
//! - [`signals`]: the signals that end a process
//! - `without_kafka`: what a build without Kafka says of the methods that need one

mod assembly;
mod builder;
mod names;
#[cfg(feature = "kafka")]
mod running;
#[cfg(feature = "kafka")]
mod signals;
mod sources;
#[cfg(feature = "kafka")]
mod start;
#[cfg(not(feature = "kafka"))]
mod without_kafka;

use std::fmt;

pub use builder::RuntimeBuilder;
#[cfg(feature = "kafka")]
pub use running::Running;

use crate::{
    Config, ReplyReading,
    client::loopback::Loopback,
    handler::state::{Deferred, States},
    rename::Rename,
    server::{Served, handling::reply_topics::ReplyTopics},
};

/// Handlers, state and settings that fit together: [`start`](Self::start) it on a cluster, or take its
/// [`loopback`](Self::loopback) in a test.
pub struct Runtime {
    config: Option<Config>,
    served: Vec<Served>,
    states: States,
    deferred: Vec<Deferred>,
    reply_topics: ReplyTopics,
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only a cluster has partitions"))]
    reply_reading: ReplyReading,
    map_topics: Option<Rename>,
}

impl Runtime {
    /// Returns a builder that describes a runtime.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Runs the handlers in this process, without a broker, behind the same generated clients.
    ///
    /// Requests and replies go through the same bytes as on Kafka. Keys have no order, and nothing is stored.
    ///
    /// Of the [`Config`], the `call_timeout`, the `clock_skew` and the bounds of a record apply. Without a
    /// config, calls have the default timeout, and records no bounds.
    pub fn loopback(self) -> Loopback {
        let Self { config, served, states, deferred, reply_topics, map_topics, .. } = self;
        Loopback::new(config.as_ref(), served, states, deferred, reply_topics, map_topics)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("served", &self.served)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}
