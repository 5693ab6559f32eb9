//! When and to which partition records are sent whose key is only an id: at once if nothing is in flight, and
//! gathered into batches otherwise.
//!
//! librdkafka sends a request for each partition, and its idempotent producer seldom has more than one of
//! them in flight at a time. So a partition with nothing in flight takes everything that has come since as
//! one batch, and few partitions are used while acknowledgements are quick. If they are slow (a broker is far
//! away, busy or gone), the next partition is used, and then the next.
//!
//! Acknowledgement times also show [how far away the brokers are](super::distance), and so how a batch is
//! sent: to near ones at once, in as many parts as librdkafka makes of it; to far ones as a whole, which
//! takes some waiting.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{distance::Distance, purpose::Purpose};

/// How long after a send another partition is used if nothing has been acknowledged. Near a broker
/// acknowledgements are faster, and a batch is worth more than this wait.
const APART: Duration = Duration::from_millis(1);

/// The size in bytes at which a batch is full, and goes to any free partition: a librdkafka request holds
/// little more (`batch.size` is 1,000,000), and the rest would wait for that request.
const FULL: usize = 960_000;

/// The records of one topic whose partition is not decided by their key.
#[derive(Debug)]
pub(super) struct Gather<T> {
    partitions: Vec<Partition>,
    /// The index of the partition that is used next, if it is free.
    next: usize,
    sent_at: Option<Instant>,
    waiting: VecDeque<(T, usize)>,
    bytes: usize,
    distance: Distance,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    id: i32,
    /// The number of records in flight to the partition.
    in_flight: usize,
    /// The last send to the partition: the number of records, the purpose of their producer, and the time.
    sent: Option<(usize, Purpose, Instant)>,
}

/// Records to be sent now, to one partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<T> {
    pub(super) partition: i32,
    /// The purpose of the producer that the batch goes through.
    pub(super) purpose: Purpose,
    /// Each record with its size in bytes.
    pub(super) records: VecDeque<(T, usize)>,
}

impl<T> Default for Gather<T> {
    fn default() -> Self {
        Self {
            partitions: Vec::new(),
            next: 0,
            sent_at: None,
            waiting: VecDeque::new(),
            bytes: 0,
            distance: Distance::default(),
        }
    }
}

impl<T> Gather<T> {
    /// Sets the partitions to choose from.
    pub(super) fn set_partitions(&mut self, ids: impl IntoIterator<Item = i32>) {
        let known = |id| self.partitions.iter().find(|known| known.id == id).copied();
        let unused = |id| Partition { id, in_flight: 0, sent: None };
        self.partitions = ids.into_iter().map(|id| known(id).unwrap_or_else(|| unused(id))).collect();
    }

    /// Whether no partition is known.
    pub(super) fn knows_none(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The number of waiting records.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The size of the waiting records in bytes.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// Drops a partition that turned out not to exist.
    pub(super) fn forget(&mut self, partition: i32) {
        self.partitions.retain(|own| own.id != partition);
        self.next = 0;
    }

    /// Returns the partition that a record may go to without waiting. The record then counts as in flight.
    pub(super) fn send_at_once(&mut self, now: Instant) -> Option<i32> {
        if !self.waiting.is_empty() || !self.may_send(now) {
            return None;
        }
        self.free_partition(1, Purpose::Single, now)
    }

    /// Adds a waiting record.
    pub(super) fn wait(&mut self, record: T, bytes: usize) {
        self.bytes += bytes;
        self.waiting.push_back((record, bytes));
    }

    /// Returns the batch to be sent now, if any. Its records then count as in flight.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch<T>> {
        if self.waiting.is_empty() || !self.may_send(now) || !self.has_free_partition() {
            return None;
        }
        let mut bytes = 0;
        let fitting = self.waiting.iter().take_while(|(_, own)| {
            bytes += own;
            bytes <= FULL
        });
        let count = fitting.count().max(1);
        let purpose = self.distance.purpose_of(count);
        let partition = self.free_partition(count, purpose, now)?;
        let records: VecDeque<(T, usize)> = self.waiting.drain(..count).collect();
        self.bytes -= records.iter().map(|(_, own)| own).sum::<usize>();
        Some(Batch { partition, purpose, records })
    }

    /// Takes back the unsent records of a batch. They go before all waiting ones, and no longer count as in
    /// flight.
    pub(super) fn put_back(&mut self, batch: Batch<T>) {
        let Batch { partition, records, .. } = batch;
        if let Some(own) = self.partitions.iter_mut().find(|own| own.id == partition) {
            own.in_flight = own.in_flight.saturating_sub(records.len());
        }
        self.bytes += records.iter().map(|(_, own)| own).sum::<usize>();
        for record in records.into_iter().rev() {
            self.waiting.push_front(record);
        }
    }

    /// Drops the waiting records that are not to be kept.
    pub(super) fn keep(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.waiting.retain(|(record, bytes)| {
            let is_kept = is_kept(record);
            if !is_kept {
                self.bytes -= bytes;
            }
            is_kept
        });
    }

    /// Takes all waiting records, whatever is in flight.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.waiting.drain(..).map(|(record, _)| record).collect()
    }

    /// Removes a record from those in flight to a partition; true if none is left.
    pub(super) fn arrived(&mut self, partition: i32) -> bool {
        let own = self.partitions.iter_mut().find(|own| own.id == partition);
        own.is_some_and(|own| {
            own.in_flight = own.in_flight.saturating_sub(1);
            own.in_flight == 0
        })
    }

    /// Notes that everything in flight to a partition has been acknowledged now.
    pub(super) fn acknowledged(&mut self, partition: i32, now: Instant) {
        let own = self.partitions.iter().find(|own| own.id == partition);
        if let Some((records, purpose, sent_at)) = own.and_then(|own| own.sent) {
            self.distance.acknowledged(records, purpose, now.saturating_duration_since(sent_at));
        }
    }

    /// Returns when to try [`take`](Self::take) again if nothing arrives before.
    pub(super) fn due(&self) -> Option<Instant> {
        let could_be_sent = !self.waiting.is_empty() && self.has_free_partition();
        self.sent_at.filter(|_| could_be_sent).map(|sent_at| sent_at + APART)
    }

    /// Whether nothing waits and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.partitions.iter().all(|own| own.in_flight == 0)
    }

    fn may_send(&self, now: Instant) -> bool {
        let waited = || self.sent_at.is_none_or(|sent_at| now.saturating_duration_since(sent_at) >= APART);
        self.bytes >= FULL || waited() || self.is_quiet()
    }

    fn has_free_partition(&self) -> bool {
        self.partitions.iter().any(|own| own.in_flight == 0)
    }

    /// Claims a partition with nothing in flight, for `records` records that are sent for `purpose`.
    fn free_partition(&mut self, records: usize, purpose: Purpose, now: Instant) -> Option<i32> {
        let count = self.partitions.len();
        let mut turns = (0..count).map(|turn| (self.next + turn) % count);
        let index = turns.find(|index| self.partitions[*index].in_flight == 0)?;
        self.next = (index + 1) % count;
        self.sent_at = Some(now);
        let chosen = &mut self.partitions[index];
        chosen.in_flight += records;
        chosen.sent = Some((records, purpose, now));
        Some(chosen.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather() -> (Gather<u32>, Instant) {
        let mut gather = Gather::default();
        gather.set_partitions([3, 5, 8]);
        (gather, Instant::now())
    }

    /// A batch of records of 100 bytes each.
    fn batch(partition: i32, records: impl IntoIterator<Item = u32>) -> Batch<u32> {
        let records: VecDeque<_> = records.into_iter().map(|record| (record, 100)).collect();
        Batch { partition, purpose: Purpose::Single, records }
    }

    #[test]
    fn a_record_is_sent_at_once_where_nothing_is_on_its_way() {
        let (mut gather, now) = gather();
        for partition in [3, 5, 8, 3] {
            assert_eq!(gather.send_at_once(now), Some(partition), "each in turn");
            gather.arrived(partition);
        }
        assert_eq!(gather.due(), None);
    }

    #[test]
    fn what_comes_while_something_is_on_its_way_is_sent_together_when_it_has_arrived() {
        let (mut gather, now) = gather();
        assert_eq!(gather.send_at_once(now), Some(3));
        for record in 0..4 {
            assert_eq!(gather.send_at_once(now), None);
            gather.wait(record, 100);
            assert_eq!(gather.take(now), None);
        }
        gather.arrived(3);
        assert_eq!(gather.take(now), Some(batch(5, [0, 1, 2, 3])));
        assert_eq!((gather.waiting(), gather.take(now)), (0, None));
        for _ in 0..3 {
            gather.arrived(5);
        }
        gather.wait(4, 100);
        assert_eq!(gather.take(now), None, "one of four is still on its way");
        gather.arrived(5);
        assert_eq!(gather.take(now), Some(batch(8, [4])));
    }

    #[test]
    fn where_it_takes_long_the_next_partition_is_used_and_one_that_nothing_comes_back_from_is_left_alone() {
        let (mut gather, now) = gather();
        assert_eq!(gather.send_at_once(now), Some(3));
        gather.wait(1, 100);
        assert_eq!(gather.due(), Some(now + APART));
        assert_eq!(gather.take(now + APART), Some(batch(5, [1])));
        gather.arrived(5);
        for turn in 2..10 {
            let later = now + turn * APART;
            let partition = gather.send_at_once(later).expect("one is free");
            assert_ne!(partition, 3);
            gather.arrived(partition);
        }
    }

    #[test]
    fn a_batch_goes_as_the_last_one_has_told_once_the_whole_of_it_is_acknowledged() {
        let (mut gather, now) = gather();
        let mut sent = |records: u32| {
            for record in 0..records {
                gather.wait(record, 100);
            }
            let batch = gather.take(now).expect("nothing is on its way");
            let free = (0..records).filter(|_| gather.arrived(batch.partition)).count();
            assert_eq!(free, 1, "once the last has arrived");
            gather.acknowledged(batch.partition, now);
            batch.purpose
        };
        assert_eq!([sent(1), sent(6)], [Purpose::Single, Purpose::NearBatches]);
    }

    #[test]
    fn where_every_partition_is_busy_records_wait_for_the_first_that_is_not() {
        let (mut gather, now) = gather();
        for turn in 0..3 {
            assert!(gather.send_at_once(now + turn * APART).is_some());
        }
        gather.wait(7, 100);
        let later = now + 100 * APART;
        assert_eq!((gather.due(), gather.take(later)), (None, None));
        gather.arrived(5);
        assert!(gather.due().is_some_and(|due| due <= later));
        assert_eq!(gather.take(later), Some(batch(5, [7])));
    }

    #[test]
    fn a_batch_that_is_full_waits_for_nobody() {
        let (mut gather, now) = gather();
        assert_eq!(gather.send_at_once(now), Some(3));
        for record in 0..5 {
            gather.wait(record, FULL / 2);
        }
        let taken = |gather: &mut Gather<u32>| {
            gather
                .take(now)
                .map(|batch| batch.records.into_iter().map(|(record, _)| record).collect::<Vec<_>>())
        };
        assert_eq!(taken(&mut gather), Some(vec![0, 1]));
        assert_eq!(taken(&mut gather), Some(vec![2, 3]));
        assert_eq!(taken(&mut gather), None, "what is left is not full");
        gather.wait(5, FULL + 1);
        gather.arrived(3);
        assert_eq!(taken(&mut gather), Some(vec![4]), "no request holds both");
        gather.arrived(3);
        assert_eq!(taken(&mut gather), Some(vec![5]));
        gather.wait(6, 100);
        assert_eq!((gather.take_all(), gather.waiting_bytes()), (vec![6], 0));
    }

    #[test]
    fn what_could_not_be_sent_goes_before_what_waits() {
        let (mut gather, now) = gather();
        for record in 0..4 {
            gather.wait(record, 100);
        }
        let mut taken = gather.take(now).expect("nothing is on its way");
        gather.wait(4, 100);
        taken.records.pop_front();
        gather.put_back(taken);
        assert_eq!(gather.waiting_bytes(), 400);
        assert_eq!(gather.take(now), None, "the first is on its way");
        assert!(gather.arrived(3), "and only the first");
        assert_eq!(gather.take(now), Some(batch(5, [1, 2, 3, 4])));
    }

    #[test]
    fn what_is_not_kept_neither_counts_nor_is_sent() {
        let (mut gather, now) = gather();
        for record in 0..4 {
            gather.wait(record, 100);
        }
        gather.keep(|record| record % 2 == 1);
        assert_eq!((gather.waiting(), gather.waiting_bytes()), (2, 200));
        assert_eq!(gather.take(now), Some(batch(3, [1, 3])));
    }

    #[test]
    fn a_partition_that_is_not_there_is_not_used_again() {
        let (mut gather, now) = gather();
        assert_eq!(gather.send_at_once(now), Some(3));
        gather.forget(3);
        for turn in 1..4 {
            let partition = gather.send_at_once(now + turn * APART);
            assert!(partition.is_some_and(|partition| partition != 3));
            gather.arrived(partition.unwrap_or_default());
        }
    }

    #[test]
    fn what_is_on_its_way_stays_so_when_partitions_come_and_go() {
        let (mut gather, now) = gather();
        assert_eq!(gather.send_at_once(now), Some(3));
        gather.set_partitions([3, 5, 8, 9]);
        assert_eq!(gather.send_at_once(now), None);
        gather.set_partitions([5]);
        assert_eq!(gather.send_at_once(now), Some(5), "of one that has gone nothing is awaited");
        gather.arrived(3);
        assert!(!gather.knows_none());
    }
}
