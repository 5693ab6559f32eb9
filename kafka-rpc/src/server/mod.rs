//! From a record to its outcome.
//!
//! Consume:
//! - [`consumer`]: polls a topic, on a separate thread
//! - [`consumer_errors`]: reports the errors of a consumer
//! - [`rebalance`]: what the consumer thread does when partitions come and go
//! - [`reassign`]: fetches committed offsets again that could not be fetched
//! - [`commits`]: commits, on a second thread
//! - [`flow`]: how much is taken: pauses, resumes and seeks
//! - [`intake`]: the records that were received and are not in their lanes yet
//! - [`packing`]: copies records into packs
//! - [`pack`]: records that share their memory
//!
//! Keep the offsets of partitions:
//! - [`assignment`]: begins, drains and ends the assignment of partitions
//! - [`partitions`]: all assigned partitions
//! - [`assigned`]: one assigned partition
//! - [`offsets`]: which offsets of a partition are finished
//! - [`watermarks`]: which offsets may be committed
//! - [`pausing`]: when a partition pauses
//! - [`bounds`]: at how many records and bytes a partition pauses
//!
//! Run:
//! - [`lanes`]: which record may run now
//! - [`hand`]: the records that a runner has taken from the lanes
//! - [`runners`]: the tasks that run records, one after another
//! - [`run`]: runs one record
//! - [`handle`]: runs a record's handler, with deadline and timeout, and catches panics
//! - [`dispatch`]: finds the handler of a command
//! - [`reply_topics`]: which topics may be replied to
//! - [`limits`]: how large a record may be
//! - [`dedupe`]: the answers that are kept for repeated requests
//! - [`scope`]: what a running handler lends to the calls that it makes
//! - [`watch`]: the running handlers, and for how long they have run
//!
//! Settle:
//! - [`outcome`]: decides what becomes of the record
//! - [`settle`]: carries out that decision, until the record's end is final
//! - [`replies`]: sends replies
//! - [`in_flight`]: the replies that are not acknowledged yet
//! - [`stuck`]: the destinations that do not acknowledge
//! - [`delivery`]: sends what a record leads to, as often as it takes
//! - [`held`]: the records that hold their partition until a delivery works again
//! - [`error_records`]: error replies and dead letters that are made outside a run
//! - [`report`]: logs and counts failures
//!
//! Shared by all:
//! - [`served`]: a subscription as it is served
//! - [`worker`]: a subscription at work
//! - [`job`]: a record that was taken, and how its turn ends
//! - [`slabs`]: lists that many threads add to

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
mod error_records;
#[cfg(feature = "kafka")]
mod flow;
#[cfg(feature = "kafka")]
mod hand;
pub(crate) mod handle;
#[cfg(feature = "kafka")]
mod held;
#[cfg(feature = "kafka")]
mod in_flight;
#[cfg(feature = "kafka")]
mod intake;
#[cfg(feature = "kafka")]
mod job;
#[cfg(feature = "kafka")]
pub(crate) mod lanes;
pub(crate) mod limits;
#[cfg(feature = "kafka")]
pub(crate) mod offsets;
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
mod reassign;
#[cfg(feature = "kafka")]
mod rebalance;
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
mod served;
#[cfg(feature = "kafka")]
mod settle;
pub(crate) mod slabs;
#[cfg(feature = "kafka")]
mod stuck;
pub(crate) mod watch;
#[cfg(feature = "kafka")]
mod watermarks;
#[cfg(feature = "kafka")]
pub(crate) mod worker;

pub(crate) use self::served::Served;
