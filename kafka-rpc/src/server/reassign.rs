//! Fetches committed offsets again that could not be fetched.
//!
//! librdkafka asks once for the committed offset of a partition. Where the answer is an error, such as of a coordinator that has just
//! moved, it does not ask again, and nothing of the partition would be read until the next rebalance.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, RebalanceProtocol},
    error::KafkaResult,
};

use super::{rebalance::Rebalances, worker::Worker};

/// How long no partition may have come or gone before that.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// Has librdkafka fetch what it could not, if there is something. Only after a poll that found nothing: librdkafka would take this
/// for the answer to a rebalance that it has begun and that was not polled yet. Whether there is one it does not show, so the moment
/// in which there can be is made short, and remains.
pub(super) fn fetch_offsets_that_lack(consumer: &BaseConsumer<Rebalances>, worker: &Worker) {
    let context = consumer.context();
    if consumer.assignment_lost() || !context.has_lacked_offsets_for(QUIET_FOR) {
        return;
    }
    if let Err(error) = assign_once_more(consumer, worker) {
        let (topic, group) = (&*worker.source, &*worker.served.group);
        tracing::warn!(topic, group, %error, "partitions that are not read could not be assigned once more");
        context.lack_offsets();
    }
}

/// Assigns the partitions of which nothing was taken once more. Those that are read go on where they are.
fn assign_once_more(consumer: &BaseConsumer<Rebalances>, worker: &Worker) -> KafkaResult<()> {
    let (mut unread, mut all) = (TopicPartitionList::new(), TopicPartitionList::new());
    for (partition, next) in worker.positions() {
        if let Some(next) = next {
            all.add_partition_offset(&worker.source, partition, Offset::Offset(next))?;
        } else {
            all.add_partition(&worker.source, partition);
            unread.add_partition(&worker.source, partition);
        }
    }
    if unread.count() == 0 {
        return Ok(());
    }
    if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
        // Where the last time ended between the two, they are not assigned now.
        let _unassigned_before = consumer.incremental_unassign(&unread);
        consumer.incremental_assign(&unread)
    } else {
        consumer.assign(&all)
    }
}
