//! One producer for everything a process sends.
//!
//! - [`sending`]: that producer, as the rest of the crate has it
//! - [`asking`]: what it asks of the cluster
//! - [`gather`]: which records are sent together, and to which partition
//! - [`topic`]: the records of a topic that wait for that
//! - [`distance`]: through which producer, as acknowledgements say
//! - [`batches`]: the producers of batches, each made when there is one for it
//! - [`alone`]: the producer of records that may have been refused for the size of their batch
//! - [`renewed`]: a producer of librdkafka's that is made anew when it must be
//! - [`polled`]: such a producer, with a thread that polls it
//! - [`events`]: what it tells, deliveries above all
//! - [`lost`]: whether any broker can be reached
//! - [`delivery`]: the delivery of a record that is queued
//! - [`refusal`]: why a record was not delivered
//! - [`properties`]: what librdkafka is told
//!
//! Underneath is one of librdkafka's for single records, which sends what it is given at once, and others for batches,
//! unless a preset says otherwise. librdkafka wakes up at the first record of a batch, and sends what it finds then; once five
//! records are on their way to a partition, its idempotent producer sends no more there until they are acknowledged, and
//! spins meanwhile. So the one for batches to brokers that are near has one request on the way, and the other waits a
//! millisecond for the whole of a batch.

mod alone;
mod asking;
mod batches;
mod delivery;
mod distance;
mod events;
mod gather;
mod lost;
mod polled;
mod properties;
mod refusal;
mod renewed;
mod sending;
mod topic;

pub(crate) use self::{
    delivery::Delivery,
    refusal::{DeliveryError, OnDelivery, QueueError, Refusal},
    sending::Producer,
};
