//! The offsets that may be committed: none past an unfinished record.

use std::collections::{BTreeSet, HashMap};

use rdkafka::{Offset, TopicPartitionList, error::KafkaResult};

#[derive(Debug, Default)]
pub(super) struct Offsets {
    partitions: HashMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    next: i64,
    unfinished: BTreeSet<i64>,
    committed: i64,
}

impl Offsets {
    pub(super) fn take(&mut self, partition: i32, offset: i64) {
        let partition = self.partitions.entry(partition).or_default();
        partition.unfinished.insert(offset);
        partition.next = offset + 1;
    }

    pub(super) fn finish(&mut self, partition: i32, offset: i64) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.unfinished.remove(&offset);
        }
    }

    /// Returns the offsets that have moved since the last call.
    pub(super) fn due_commits(&mut self, topic: &str) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (id, partition) in &mut self.partitions {
            let offset = partition.unfinished.first().copied().unwrap_or(partition.next);
            if offset > partition.committed {
                partition.committed = offset;
                list.add_partition_offset(topic, *id, Offset::Offset(offset))?;
            }
        }
        Ok(list)
    }

    pub(super) fn forget(&mut self) {
        self.partitions.clear();
    }
}
