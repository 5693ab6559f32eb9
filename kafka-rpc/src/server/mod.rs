//! From a record to its outcome.
//!
//! A record's way:
//! - [`consuming`]: from a topic into the lanes, and offsets back to Kafka
//! - [`tracking`]: which offsets of each assigned partition are finished
//! - [`running`]: which record runs when, and in which task
//! - [`handling`]: from a record to what becomes of it; needs no Kafka
//! - [`settling`]: carries out what becomes of it: replies, retries, dead letters
//!
//! Shared by all:
//! - [`served`]: a subscription as it is served
//! - [`worker`]: a subscription at work
//! - [`job`]: a record that was taken, and how its turn ends
//! - [`report`]: what is logged and counted of records and handlers
//! - [`slabs`]: lists that many threads add to

#[cfg(feature = "kafka")]
pub(crate) mod consuming;
pub(crate) mod handling;
#[cfg(feature = "kafka")]
mod job;
#[cfg(feature = "kafka")]
mod report;
#[cfg(feature = "kafka")]
pub(crate) mod running;
mod served;
#[cfg(feature = "kafka")]
mod settling;
mod slabs;
#[cfg(feature = "kafka")]
pub(crate) mod tracking;
#[cfg(feature = "kafka")]
pub(crate) mod worker;

pub(crate) use self::served::Served;
