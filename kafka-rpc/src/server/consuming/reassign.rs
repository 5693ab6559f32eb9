//! Fetches committed offsets again that librdkafka could not fetch.
//!
//! librdkafka asks for the committed offset of a partition once. If the answer is an error, such as from a
//! coordinator that has just moved, librdkafka does not ask again, and the partition would not be read until
//! the next rebalance.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, RebalanceProtocol},
    error::KafkaResult,
};

use super::rebalance::Rebalances;
use crate::server::worker::Worker;

/// How long no partition may have come or gone before offsets are fetched again.
const QUIET_FOR: Duration = Duration::from_secs(1);

/// Has librdkafka fetch the committed offsets that it could not fetch, if there are any. Call this only after
/// a poll that found nothing: librdkafka would take the assignment for the answer to a rebalance that it has
/// begun and that was not polled yet. It does not show whether there is such a rebalance, so this makes the
/// window for the mistake short, and cannot close it.
pub(super) fn fetch_offsets_that_lack(consumer: &BaseConsumer<Rebalances>, worker: &Worker) {
    let context = consumer.context();
    if consumer.assignment_lost() || !context.has_lacked_offsets_for(QUIET_FOR) {
        return;
    }
    if let Err(error) = assign_once_more(consumer, worker) {
        let (topic, group) = (&*worker.source, &*worker.served.group);
        tracing::warn!(
            topic, group, %error,
            "partitions that are not read could not be assigned again; this is tried again"
        );
        context.lack_offsets();
    }
}

/// Assigns once more the partitions that nothing was taken from. The others continue at their positions.
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
        // Fails if the last attempt ended between the two calls, because the partitions are not assigned
        // then.
        let _unassigned_before = consumer.incremental_unassign(&unread);
        consumer.incremental_assign(&unread)
    } else {
        consumer.assign(&all)
    }
}
