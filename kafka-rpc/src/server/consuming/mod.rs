//! From a topic into the lanes, and offsets back to Kafka.
//!
//! - [`consumer`]: polls a topic, on a separate thread
//! - [`packing`]: copies records into packs
//! - [`pack`]: records that share their memory
//! - [`intake`]: the records that were received since records were last taken
//! - [`taking`]: takes them into their lanes
//! - [`flow`]: how much is taken: pauses, resumes and seeks
//! - [`pauses`]: what the log says of pauses
//! - [`commits`]: commits, on a second thread
//! - [`rebalance`]: what the consumer thread does when partitions come and go
//! - [`assignment`]: begins, drains and ends the assignment of partitions
//! - [`reassign`]: fetches committed offsets again that could not be fetched
//! - [`consumer_errors`]: reports the errors of a consumer

mod assignment;
mod commits;
pub(crate) mod consumer;
mod consumer_errors;
mod flow;
pub(super) mod intake;
pub(super) mod pack;
mod packing;
mod pauses;
mod reassign;
mod rebalance;
mod taking;
