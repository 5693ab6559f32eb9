//! Where reading starts in each partition of a reply topic.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::gone::Gone;
use crate::{ReplyReading, kafka, producer::Producer, unpoisoned::Unpoisoned as _};

/// Timeout of one request to the cluster, after which it is repeated.
const ASK_FOR: Duration = Duration::from_secs(5);

/// The partitions that the reply consumer reads.
pub(super) struct Positions {
    reading: ReplyReading,
    producer: Arc<Producer>,
    /// `None` once the reading has ended.
    consumer: Mutex<Option<Arc<BaseConsumer<Gone>>>>,
    read: Mutex<HashMap<(Arc<str>, i32), Reading>>,
}

impl Positions {
    pub(super) fn new(
        reading: ReplyReading,
        producer: Arc<Producer>,
        consumer: Arc<BaseConsumer<Gone>>,
    ) -> Self {
        Self { reading, producer, consumer: Mutex::new(Some(consumer)), read: Mutex::default() }
    }

    /// Stops reading, and drops this reference to the consumer.
    pub(super) fn end(&self) {
        self.lock_consumer().take();
    }

    /// Assigns the partitions of a topic that are to be read, at their end, and returns the partition if only
    /// one is read. Blocks.
    pub(super) fn assign_at_end(&self, topic: &Arc<str>) -> Result<Option<i32>, Unpositioned> {
        let found = self.ask_partitions(topic)?;
        match self.reading {
            ReplyReading::AllPartitions => self.assign(topic, &found, Start::AtEnd).map(|()| None),
            ReplyReading::OwnPartition => {
                let led = found.into_iter().filter(|partition| partition.is_led);
                let own = fastrand::choice(led.collect::<Vec<_>>()).ok_or_else(nobody_leads)?;
                self.assign(topic, &[own], Start::AtEnd).map(|()| Some(own.id))
            }
        }
    }

    /// Checks a topic that is read: reads partitions that were added, from their beginning, and those that
    /// were [let go](Self::let_go). Returns whether `own`, the only partition that is read, is gone, or had
    /// no leader at two checks in a row. Blocks.
    pub(super) fn look_at(&self, topic: &Arc<str>, own: Option<i32>) -> Result<bool, Unpositioned> {
        let mut found = self.ask_partitions(topic)?;
        if let Some(own) = own {
            found.retain(|partition| partition.id == own);
        }
        self.assign(topic, &found, Start::AtBeginning)?;
        Ok(own.is_some_and(|own| self.is_lost(topic, own, found.first())))
    }

    /// Has a missing topic read from its beginning once it exists again: none of its records were read.
    fn read_anew(&self, topic: &Arc<str>) {
        for ((own, _), reading) in self.lock_read().iter_mut() {
            if own == topic && !reading.is_assigned {
                reading.from = Offset::Beginning;
            }
        }
    }

    /// Whether a partition is gone, or has no leader now and had none at the last check: an election takes
    /// less time than that.
    fn is_lost(&self, topic: &Arc<str>, own: i32, found: Option<&Partition>) -> bool {
        let Some(found) = found else { return true };
        let mut read = self.lock_read();
        let Some(reading) = read.get_mut(&(Arc::clone(topic), own)) else { return true };
        let had_no_leader = std::mem::replace(&mut reading.has_no_leader, !found.is_led);
        had_no_leader && !found.is_led
    }

    /// Stops reading a topic that is gone, until it is checked again. librdkafka would otherwise keep what it
    /// knows of the topic's leaders, and take those of a recreated topic for older, outdated ones
    /// (`rd_kafka_toppar_leader_update`).
    ///
    /// Returns whether any of the topic was being read. Once the topic is back, reading continues where it
    /// stopped, unless the topic was seen to be missing. A topic that ends before that position is another
    /// one, and is read from its beginning.
    pub(super) fn let_go(&self, topic: &str) -> Result<bool, KafkaError> {
        let mut read = self.lock_read();
        let Some(consumer) = self.lock_consumer().clone() else { return Ok(false) };
        let mut own: Vec<(i32, &mut Reading)> = read
            .iter_mut()
            .filter(|((own, _), reading)| &**own == topic && reading.is_assigned)
            .map(|((_, partition), reading)| (*partition, reading))
            .collect();
        let mut list = TopicPartitionList::new();
        for (partition, _) in &own {
            list.add_partition(topic, *partition);
        }
        if own.is_empty() {
            return Ok(false);
        }
        let positions = consumer.position()?;
        consumer.incremental_unassign(&list)?;
        for (partition, reading) in &mut own {
            reading.is_assigned = false;
            let position = positions.find_partition(topic, *partition).map(|found| found.offset());
            if let Some(position @ Offset::Offset(_)) = position {
                reading.from = position;
            }
        }
        Ok(true)
    }

    fn ask_partitions(&self, topic: &Arc<str>) -> Result<Vec<Partition>, Unpositioned> {
        // Asks through the producer: its request creates the topic on clusters that create topics when asked.
        let asked = self.producer.ask_until_made(topic, ASK_FOR, || self.read_anew(topic));
        let found = asked.map_err(unpositioned)?;
        if found.is_empty() {
            return Err(Unpositioned::Missing);
        }
        Ok(found.into_iter().map(|(id, leader)| Partition { id, is_led: leader >= 0 }).collect())
    }

    fn assign(&self, topic: &Arc<str>, partitions: &[Partition], start: Start) -> Result<(), Unpositioned> {
        let known = |read: &HashMap<_, Reading>, id| read.get(&(Arc::clone(topic), id)).copied();
        let is_new = |read: &HashMap<_, Reading>, id| known(read, id).is_none_or(|own| !own.is_assigned);
        let new: Vec<Partition> = {
            let read = self.lock_read();
            partitions.iter().copied().filter(|partition| is_new(&read, partition.id)).collect()
        };
        // Outside the lock: a broker that does not answer must not keep other topics from being read.
        let mut starts = Vec::with_capacity(new.len());
        for Partition { id, is_led } in new {
            let offset = match start {
                // An absolute offset, requested now: `Offset::End` is resolved later than the first reply can
                // come.
                Start::AtEnd if is_led => {
                    Offset::Offset(self.producer.ask_end(topic, id, ASK_FOR).map_err(unpositioned)?)
                }
                // The end of a partition without a leader is unknown, and the other partitions need not wait
                // for it. The older records that are then read from it answer no call.
                Start::AtEnd | Start::AtBeginning => Offset::Beginning,
            };
            starts.push((id, offset));
        }
        let mut read = self.lock_read();
        let mut list = TopicPartitionList::new();
        for (id, offset) in starts.into_iter().filter(|(id, _)| is_new(&read, *id)) {
            let offset = known(&read, id).map_or(offset, |own| own.from);
            list.add_partition_offset(topic, id, offset).map_err(unpositioned)?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let Some(consumer) = self.lock_consumer().clone() else {
            return Err(Unpositioned::Unreachable("reading replies has ended".to_owned()));
        };
        consumer.incremental_assign(&list).map_err(unpositioned)?;
        // Recorded before anything else can fail: a partition that is assigned cannot be assigned again.
        for element in list.elements() {
            let reading = Reading { is_assigned: true, from: element.offset(), has_no_leader: false };
            read.insert((Arc::clone(topic), element.partition()), reading);
        }
        drop(read);
        // Has the consumer learn who leads the new partitions. Otherwise it asks only once a second, and the
        // first call to every service would wait for that.
        if let Err(error) = consumer.fetch_metadata(Some(topic), ASK_FOR) {
            // Only logged, because the partitions are read all the same: another try would draw another
            // partition, and leave this one assigned.
            tracing::debug!(
                %topic, %error,
                "the leaders of a reply topic could not be asked for; the reply consumer finds them by itself"
            );
        }
        Ok(())
    }

    fn lock_read(&self) -> MutexGuard<'_, HashMap<(Arc<str>, i32), Reading>> {
        self.read.lock().unpoisoned()
    }

    fn lock_consumer(&self) -> MutexGuard<'_, Option<Arc<BaseConsumer<Gone>>>> {
        self.consumer.lock().unpoisoned()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn unpositioned(error: KafkaError) -> Unpositioned {
    if kafka::is_unauthorized(&error) {
        return Unpositioned::Unauthorized;
    }
    Unpositioned::Unreachable(error.to_string())
}

fn nobody_leads() -> Unpositioned {
    Unpositioned::Unreachable("none of its partitions has a leader".to_owned())
}

/// A partition that is read, or was let go.
#[derive(Debug, Clone, Copy)]
struct Reading {
    is_assigned: bool,
    /// The offset at which reading began, or continues.
    from: Offset,
    /// As of the last check.
    has_no_leader: bool,
}

/// A partition of a reply topic.
#[derive(Debug, Clone, Copy)]
struct Partition {
    id: i32,
    /// Whether a broker leads it now.
    is_led: bool,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    AtEnd,
    AtBeginning,
}

/// Why a topic is not read.
#[derive(Debug)]
pub(super) enum Unpositioned {
    Missing,
    Unauthorized,
    Unreachable(String),
}
