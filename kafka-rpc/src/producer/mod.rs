//! One producer for everything a process sends.
//!
//! - [`sending`]: the producer, as the rest of the crate uses it
//! - [`topic`]: the records of a topic that wait for a partition
//! - [`gather`]: which records are sent together, and to which partition
//! - [`distance`]: which producer they go through, judged by acknowledgement times
//! - [`purpose`]: what each librdkafka producer is for
//! - [`batches`]: the batch producers, each created with its first batch
//! - [`handover`]: hands a record to librdkafka
//! - [`renewed`]: a librdkafka producer that is replaced after a fatal error
//! - [`polled`]: a librdkafka producer with a thread that polls it
//! - [`events`]: the events of a librdkafka producer, deliveries above all
//! - [`delivery`]: the delivery of a queued record
//! - [`refusal`]: why a record was not delivered
//! - [`alone`]: the producer of records that may have been refused for their batch
//! - [`asking`]: queries to the cluster
//! - [`lost`]: whether any broker can be reached
//! - [`properties`]: the librdkafka properties of each producer
//!
//! Underneath, one librdkafka producer sends single records at once, and others send batches, unless a preset
//! says otherwise. librdkafka wakes up at the first record of a batch, and sends what it finds then. Once
//! five records are in flight to a partition, its idempotent producer sends no more there until they are
//! acknowledged, and spins meanwhile. So the producer of batches to near brokers has one request in flight,
//! and the producer of batches to far ones waits a millisecond for the whole of a batch.

mod alone;
mod asking;
mod batches;
mod delivery;
mod distance;
mod events;
mod gather;
mod handover;
mod lost;
mod polled;
mod properties;
mod purpose;
mod refusal;
mod renewed;
mod sending;
mod topic;

pub(crate) use self::{
    delivery::{Delivery, OnDelivery},
    refusal::{DeliveryError, QueueError, Refusal},
    sending::Producer,
};
