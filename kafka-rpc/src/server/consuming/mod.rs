//! From a topic into the lanes, and offsets back to Kafka.
//!
//! - [`consumer`]: polls a topic, on a separate thread
//! - [`consumer_errors`]: reports the errors of a consumer
//! - [`rebalance`]: what the consumer thread does when partitions come and go
//! - [`reassign`]: fetches committed offsets again that could not be fetched
//! - [`flow`]: how much is taken: pauses, resumes and seeks
//! - [`pauses`]: what the log says of pauses
//! - [`packing`]: copies records into packs
//! - [`pack`]: records that share their memory
//! - [`intake`]: the records that were received and are not in their lanes yet
//! - [`commits`]: commits, on a second thread

mod commits;
pub(crate) mod consumer;
mod consumer_errors;
mod flow;
pub(super) mod intake;
pub(super) mod pack;
pub(super) mod packing;
mod pauses;
mod reassign;
mod rebalance;
