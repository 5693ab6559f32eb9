//! Which record may run now: the records of a lane run one at a time and in order, and many lanes run at
//! once, up to the concurrency.

use std::{
    cmp,
    collections::{BinaryHeap, VecDeque, hash_map::Entry},
    hash::BuildHasher as _,
};

use foldhash::quality::RandomState;
use nohash_hasher::{IntMap, IsEnabled};

use crate::handler::Ordering;

/// A sequence of records that are handled in order. The null key has a lane like any other key.
///
/// A partition and key are known by their hash, so that no key is kept or compared. Two that share a hash are
/// also in order with each other, which harms nobody. Every process seeds the hash differently, so nobody can
/// choose keys that share a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lane(u64);

/// A lane already is a hash, and is not hashed again.
impl IsEnabled for Lane {}

/// Finds the lane of a record.
#[derive(Debug)]
pub(crate) struct Keys {
    ordering: Ordering,
    hashes: RandomState,
}

impl Keys {
    pub(crate) fn new(ordering: Ordering) -> Self {
        Self { ordering, hashes: RandomState::default() }
    }

    /// The lane of a record; `None` if nothing is ordered.
    pub(crate) fn lane(&self, partition: i32, key: Option<&[u8]>) -> Option<Lane> {
        match self.ordering {
            Ordering::Key => Some(Lane(self.hashes.hash_one((partition, key)))),
            Ordering::Partition => Some(Lane(self.hashes.hash_one(partition))),
            Ordering::None => None,
        }
    }
}

/// An item that may run now. Its lane is busy until [`Lanes::finish`] frees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Job<T> {
    /// `None` if nothing is ordered.
    pub(crate) lane: Option<Lane>,
    pub(crate) item: T,
    /// The item's number among all items, in order of arrival.
    arrived: u64,
}

/// The lanes of one subscription.
///
/// | after | the lane of the running item | its place |
/// | --- | --- | --- |
/// | [`finish`](Self::finish) | free | free |
/// | [`free_place`](Self::free_place), until [`make_ready`](Self::make_ready) or [`free_lane`](Self::free_lane) | waits for it | free |
/// | [`put_back`](Self::put_back), if it had not begun | waits for it | free; the item is ready again |
///
/// A lane is in the map until its last item has freed it; items that came after the running or ready one wait
/// in the lane's queue.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    concurrency: usize,
    running: usize,
    arrived: u64,
    waiting: IntMap<Lane, LaneQueue<T>>,
    ready: Queue<T>,
}

/// The items that wait in a lane: none in most. The box keeps the map small, which two threads write to for
/// every record.
type LaneQueue<T> = Option<Box<VecDeque<(u64, T)>>>;

impl<T> Lanes<T> {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self { concurrency, running: 0, arrived: 0, waiting: IntMap::default(), ready: Queue::default() }
    }

    /// Adds an item to its lane.
    pub(crate) fn push(&mut self, lane: Option<Lane>, item: T) {
        let arrived = self.arrived;
        self.arrived += 1;
        if let Some(lane) = lane {
            match self.waiting.entry(lane) {
                Entry::Occupied(mut waiting) => {
                    return waiting.get_mut().get_or_insert_default().push_back((arrived, item));
                }
                Entry::Vacant(entry) => drop(entry.insert(None)),
            }
        }
        self.ready.push_newest(Job { lane, item, arrived });
    }

    /// How many jobs may run as soon as there are places for them.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many jobs may run now.
    pub(crate) fn runnable(&self) -> usize {
        self.ready.len().min(self.concurrency.saturating_sub(self.running))
    }

    /// Whether a job may run now.
    pub(crate) fn has_next(&self) -> bool {
        self.runnable() > 0
    }

    /// Takes the job whose turn it is, and a place for it, if one is free.
    pub(crate) fn next(&mut self) -> Option<Job<T>> {
        if !self.has_next() {
            return None;
        }
        self.running += 1;
        self.ready.pop_oldest()
    }

    /// Frees the place and the lane of a job that has ended.
    pub(crate) fn finish(&mut self, lane: Option<Lane>) {
        self.free_place();
        self.free_lane(lane);
    }

    /// Takes back a job that has not run yet, and frees its place.
    pub(crate) fn put_back(&mut self, job: Job<T>) {
        self.free_place();
        self.make_ready(job);
    }

    /// Frees the place of a job and keeps its lane busy.
    pub(crate) fn free_place(&mut self) {
        self.running -= 1;
    }

    /// Takes a place for a job that had freed its place and runs on, whether one is free or not.
    pub(crate) fn take_place(&mut self) {
        self.running += 1;
    }

    /// Makes a job ready again that had freed its place and kept its lane.
    pub(crate) fn make_ready(&mut self, job: Job<T>) {
        self.ready.push(job);
    }

    /// Frees the lane of a job that has freed its place, or never had one: the lane's next item becomes
    /// ready.
    pub(crate) fn free_lane(&mut self, lane: Option<Lane>) {
        if let Some(lane) = lane
            && let Entry::Occupied(mut waiting) = self.waiting.entry(lane)
        {
            match waiting.get_mut().as_mut().and_then(|queue| queue.pop_front()) {
                Some((arrived, item)) => self.ready.push(Job { lane: Some(lane), item, arrived }),
                None => drop(waiting.remove()),
            }
        }
    }

    /// Drops the waiting items that `keep` rejects, such as the records of a partition that has gone.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in self.waiting.values_mut().flatten() {
            queue.retain(|(_, item)| keep(item));
        }
        let mut ready = std::mem::take(&mut self.ready);
        while let Some(job) = ready.pop_oldest() {
            if keep(&job.item) {
                self.ready.push(job);
            } else {
                // The dropped job passes its turn on to the next item of its lane.
                self.free_lane(job.lane);
            }
        }
    }

    /// How many jobs run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.running
    }
}

/// The jobs that are first in their lanes. The oldest runs first once a place is free: commits end at the
/// oldest unfinished record, and records finished behind it are handled again if the partition moves.
#[derive(Debug)]
struct Queue<T> {
    /// The jobs that were ready on arrival, as most are: already in order.
    at_once: VecDeque<Job<T>>,
    /// The jobs that became ready later, and may be older.
    late: BinaryHeap<Late<T>>,
}

impl<T> Queue<T> {
    fn len(&self) -> usize {
        self.at_once.len() + self.late.len()
    }

    /// Adds a job that is newer than all others.
    fn push_newest(&mut self, job: Job<T>) {
        self.at_once.push_back(job);
    }

    fn push(&mut self, job: Job<T>) {
        self.late.push(Late(job));
    }

    fn pop_oldest(&mut self) -> Option<Job<T>> {
        match (self.at_once.front(), self.late.peek()) {
            (Some(at_once), Some(Late(late))) if late.arrived < at_once.arrived => {}
            (Some(_), _) => return self.at_once.pop_front(),
            (None, _) => {}
        }
        self.late.pop().map(|Late(job)| job)
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { at_once: VecDeque::new(), late: BinaryHeap::new() }
    }
}

/// A job in a heap; the greatest is the oldest.
#[derive(Debug)]
struct Late<T>(Job<T>);

impl<T> Ord for Late<T> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        other.0.arrived.cmp(&self.0.arrived)
    }
}

impl<T> PartialOrd for Late<T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Late<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.arrived == other.0.arrived
    }
}

impl<T> Eq for Late<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds items of partition 0, each with its key.
    fn pushed(ordering: Ordering, concurrency: usize, items: &[(&'static str, u32)]) -> Lanes<u32> {
        let (keys, mut lanes) = (Keys::new(ordering), Lanes::new(concurrency));
        for (name, item) in items {
            lanes.push(keys.lane(0, Some(name.as_bytes())), *item);
        }
        lanes
    }

    fn next(lanes: &mut Lanes<u32>) -> Job<u32> {
        lanes.next().expect("one may run")
    }

    #[test]
    fn records_of_one_key_run_one_at_a_time_and_in_order() {
        let mut lanes = pushed(Ordering::Key, 8, &[("a", 0), ("a", 1), ("a", 2), ("a", 3)]);
        for item in 0..4 {
            let job = next(&mut lanes);
            assert_eq!((job.item, lanes.next()), (item, None));
            lanes.finish(job.lane);
        }
        assert_eq!((lanes.next(), lanes.running(), lanes.waiting.len()), (None, 0, 0));
    }

    #[test]
    fn different_keys_run_at_once_up_to_the_concurrency() {
        let mut lanes = pushed(Ordering::Key, 2, &[("a", 1), ("b", 2), ("c", 3)]);
        let (a, b) = (next(&mut lanes), next(&mut lanes));
        assert_eq!((a.item, b.item, lanes.has_next()), (1, 2, false));
        lanes.finish(a.lane);
        assert_eq!((next(&mut lanes).item, lanes.running()), (3, 2));
    }

    #[test]
    fn a_busy_key_does_not_starve_the_others() {
        let mut lanes = pushed(Ordering::Key, 2, &[("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5)]);
        let a = next(&mut lanes);
        let b = next(&mut lanes);
        assert_eq!(b.item, 4, "a has one place at most");
        lanes.finish(b.lane);
        assert_eq!(next(&mut lanes).item, 5);
        lanes.finish(a.lane);
        assert_eq!(next(&mut lanes).item, 2);
    }

    #[test]
    fn the_oldest_that_may_run_does_so_that_little_is_finished_behind_what_is_not() {
        let mut lanes = pushed(Ordering::Key, 1, &[("a", 1), ("a", 2), ("b", 3), ("a", 4)]);
        for item in 1..=4 {
            let job = next(&mut lanes);
            assert_eq!(job.item, item);
            lanes.finish(job.lane);
        }
    }

    #[test]
    fn a_job_that_is_put_back_runs_before_what_came_after_it() {
        let mut lanes = pushed(Ordering::Key, 8, &[("a", 1), ("b", 2), ("a", 3), ("c", 4)]);
        let (a, b) = (next(&mut lanes), next(&mut lanes));
        lanes.put_back(b);
        lanes.put_back(a);
        assert_eq!((lanes.running(), lanes.ready()), (0, 3));
        let order: Vec<u32> = std::iter::from_fn(|| lanes.next()).map(|job| job.item).collect();
        assert_eq!(order, [1, 2, 4], "and 3 waits for 1");
    }

    #[test]
    fn one_key_in_two_partitions_is_two_lanes_and_a_null_key_is_one_of_its_own() {
        let (keys, mut lanes) = (Keys::new(Ordering::Key), Lanes::new(8));
        for (item, (partition, key)) in
            [(0, Some("a")), (1, Some("a")), (0, None), (0, None), (0, Some(""))].into_iter().enumerate()
        {
            lanes.push(keys.lane(partition, key.map(str::as_bytes)), item);
        }
        let mut at_once = Vec::new();
        while let Some(job) = lanes.next() {
            at_once.push(job.item);
        }
        assert_eq!(at_once, [0, 1, 2, 4]);
    }

    #[test]
    fn by_partition_a_key_orders_nothing_and_without_order_nothing_does() {
        let mut lanes = pushed(Ordering::Partition, 8, &[("a", 1), ("b", 2)]);
        assert_eq!((next(&mut lanes).item, lanes.next()), (1, None));
        let mut lanes = pushed(Ordering::None, 8, &[("a", 1), ("a", 2)]);
        assert_eq!((next(&mut lanes).item, next(&mut lanes).item), (1, 2));
    }

    #[test]
    fn a_job_that_frees_its_place_keeps_its_lane() {
        let mut lanes = pushed(Ordering::Key, 1, &[("a", 1), ("a", 2), ("b", 3)]);
        let a = next(&mut lanes);
        lanes.free_place();
        let b = next(&mut lanes);
        assert_eq!(b.item, 3);
        lanes.make_ready(a);
        assert_eq!(lanes.next(), None, "b has the place");
        lanes.finish(b.lane);
        let a = next(&mut lanes);
        assert_eq!(a.item, 1);
        lanes.free_place();
        lanes.free_lane(a.lane);
        let after = next(&mut lanes);
        assert_eq!((after.item, lanes.running()), (2, 1));
        lanes.finish(after.lane);
        assert_eq!((lanes.next(), lanes.running(), lanes.waiting.len()), (None, 0, 0));
    }

    #[test]
    fn what_is_not_kept_never_runs_and_lanes_go_on_without_it() {
        let items = [("a", 1), ("a", 10), ("b", 11), ("b", 2), ("c", 12)];
        let mut lanes = pushed(Ordering::Key, 1, &items);
        let running = next(&mut lanes);
        lanes.retain(|item| *item < 10);
        lanes.finish(running.lane);
        let kept = next(&mut lanes);
        assert_eq!(kept.item, 2);
        lanes.finish(kept.lane);
        assert_eq!((lanes.next(), lanes.running(), lanes.waiting.len()), (None, 0, 0));
    }
}
