//! Which record may run now: records of one lane one at a time and in order, up to so many lanes at once.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use bytes::Bytes;

use crate::handler::Ordering;

/// What is handled in order among itself. A null key is a lane of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    partition: i32,
    key: Option<Bytes>,
}

/// An item that may run now. Its lane is busy until it is handed back to [`Lanes::finish`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Job<T> {
    /// `None` where nothing is ordered.
    pub(crate) lane: Option<Lane>,
    pub(crate) item: T,
}

/// The lanes of one subscription.
///
/// A lane is in the map while an item of it runs or is ready to; what came after waits in its queue.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    ordering: Ordering,
    concurrency: usize,
    running: usize,
    waiting: HashMap<Lane, VecDeque<T>>,
    /// Whose turn it is once a place is free: first come, first served among lanes.
    ready: VecDeque<Job<T>>,
}

impl<T> Lanes<T> {
    pub(crate) fn new(ordering: Ordering, concurrency: usize) -> Self {
        Self { ordering, concurrency, running: 0, waiting: HashMap::new(), ready: VecDeque::new() }
    }

    /// Adds an item; returns it as a job if it may run at once.
    pub(crate) fn push(&mut self, partition: i32, key: Option<&Bytes>, item: T) -> Option<Job<T>> {
        let lane = match self.ordering {
            Ordering::Key => Some(Lane { partition, key: key.cloned() }),
            Ordering::Partition => Some(Lane { partition, key: None }),
            Ordering::None => None,
        };
        let job = match lane {
            None => Job { lane, item },
            Some(lane) => match self.waiting.entry(lane) {
                Entry::Occupied(mut queue) => {
                    queue.get_mut().push_back(item);
                    return None;
                }
                Entry::Vacant(entry) => {
                    let lane = Some(entry.key().clone());
                    entry.insert(VecDeque::new());
                    Job { lane, item }
                }
            },
        };
        if self.running < self.concurrency {
            self.running += 1;
            return Some(job);
        }
        self.ready.push_back(job);
        None
    }

    /// Frees the place and the lane of a job that has ended; returns the job that takes the place.
    pub(crate) fn finish(&mut self, lane: Option<Lane>) -> Option<Job<T>> {
        if let Some(lane) = lane
            && let Entry::Occupied(mut queue) = self.waiting.entry(lane)
        {
            match queue.get_mut().pop_front() {
                Some(item) => self.ready.push_back(Job { lane: Some(queue.key().clone()), item }),
                None => drop(queue.remove()),
            }
        }
        let next = self.ready.pop_front();
        if next.is_none() {
            self.running -= 1;
        }
        next
    }

    /// Frees the place of a job that is to run once more later, and keeps its lane busy until then; returns the job
    /// that takes the place.
    pub(crate) fn park(&mut self) -> Option<Job<T>> {
        let next = self.ready.pop_front();
        if next.is_none() {
            self.running -= 1;
        }
        next
    }

    /// Brings a parked job back; returns it if it may run at once.
    pub(crate) fn unpark(&mut self, job: Job<T>) -> Option<Job<T>> {
        if self.running < self.concurrency {
            self.running += 1;
            return Some(job);
        }
        self.ready.push_back(job);
        None
    }

    /// Frees the lane of a parked job that will not come back; returns a job that may run at once.
    pub(crate) fn abandon(&mut self, lane: Option<Lane>) -> Option<Job<T>> {
        // As if it had come back, run, and ended.
        self.running += 1;
        self.finish(lane)
    }

    /// Drops what waits and is not to be kept, such as the records of a partition that has gone.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in self.waiting.values_mut() {
            queue.retain(&keep);
        }
        // A ready job that goes passes its turn on to the next of its lane.
        for _ in 0..self.ready.len() {
            let Some(job) = self.ready.pop_front() else { break };
            if keep(&job.item) {
                self.ready.push_back(job);
            } else if let Some(lane) = job.lane
                && let Entry::Occupied(mut queue) = self.waiting.entry(lane)
            {
                match queue.get_mut().pop_front() {
                    Some(item) => self.ready.push_back(Job { lane: Some(queue.key().clone()), item }),
                    None => drop(queue.remove()),
                }
            }
        }
    }

    /// How many jobs run.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.running
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &'static str) -> Bytes {
        Bytes::from_static(key.as_bytes())
    }

    fn push(lanes: &mut Lanes<u32>, key: Option<&Bytes>, item: u32) -> Option<Job<u32>> {
        lanes.push(0, key, item)
    }

    #[test]
    fn records_of_one_key_run_one_at_a_time_and_in_order() {
        let mut lanes = Lanes::new(Ordering::Key, 8);
        let mut job = push(&mut lanes, Some(&key("a")), 0).expect("the first runs at once");
        for item in 1..4 {
            assert_eq!(push(&mut lanes, Some(&key("a")), item), None);
        }
        for item in 1..4 {
            job = lanes.finish(job.lane).expect("the next of the lane");
            assert_eq!(job.item, item);
        }
        assert_eq!(lanes.finish(job.lane), None);
        assert_eq!((lanes.running(), lanes.waiting.len()), (0, 0));
    }

    #[test]
    fn different_keys_run_at_once_up_to_the_concurrency() {
        let mut lanes = Lanes::new(Ordering::Key, 2);
        let a = push(&mut lanes, Some(&key("a")), 1).expect("a place is free");
        assert!(push(&mut lanes, Some(&key("b")), 2).is_some());
        assert!(push(&mut lanes, Some(&key("c")), 3).is_none());
        assert_eq!(lanes.finish(a.lane).expect("c takes the place").item, 3);
        assert_eq!(lanes.running(), 2);
    }

    #[test]
    fn a_busy_key_does_not_starve_the_others() {
        let mut lanes = Lanes::new(Ordering::Key, 1);
        let a = push(&mut lanes, Some(&key("a")), 1).expect("a place is free");
        push(&mut lanes, Some(&key("a")), 2);
        push(&mut lanes, Some(&key("b")), 3);
        assert_eq!(lanes.finish(a.lane).expect("b was ready first").item, 3);
    }

    #[test]
    fn one_key_in_two_partitions_is_two_lanes_and_a_null_key_is_one_of_its_own() {
        let mut lanes = Lanes::new(Ordering::Key, 8);
        assert!(lanes.push(0, Some(&key("a")), 1).is_some());
        assert!(lanes.push(1, Some(&key("a")), 2).is_some());
        assert!(lanes.push(0, None, 3).is_some());
        assert!(lanes.push(0, None, 4).is_none());
        assert!(lanes.push(0, Some(&key("")), 5).is_some());
    }

    #[test]
    fn by_partition_a_key_orders_nothing_and_without_order_nothing_does() {
        let mut lanes = Lanes::new(Ordering::Partition, 8);
        assert!(lanes.push(0, Some(&key("a")), 1).is_some());
        assert!(lanes.push(0, Some(&key("b")), 2).is_none());
        let mut lanes = Lanes::new(Ordering::None, 8);
        assert!(lanes.push(0, Some(&key("a")), 1).is_some());
        assert!(lanes.push(0, Some(&key("a")), 2).is_some());
    }

    #[test]
    fn a_parked_job_keeps_its_lane_and_gives_up_its_place() {
        let mut lanes = Lanes::new(Ordering::Key, 1);
        let a = push(&mut lanes, Some(&key("a")), 1).expect("a place is free");
        push(&mut lanes, Some(&key("a")), 2);
        push(&mut lanes, Some(&key("b")), 3);
        let b = lanes.park().expect("b takes the place");
        assert_eq!(b.item, 3);
        assert_eq!(lanes.unpark(a), None, "b has the place");
        let a = lanes.finish(b.lane).expect("a comes back");
        assert_eq!(a.item, 1);
        assert_eq!(lanes.park(), None);
        let next = lanes.abandon(a.lane).expect("the next of the lane");
        assert_eq!((next.item, lanes.running()), (2, 1));
        assert_eq!(lanes.finish(next.lane), None);
        assert_eq!((lanes.running(), lanes.waiting.len()), (0, 0));
    }

    #[test]
    fn what_is_not_kept_never_runs_and_lanes_go_on_without_it() {
        let mut lanes = Lanes::new(Ordering::Key, 1);
        let running = push(&mut lanes, Some(&key("a")), 1).expect("a place is free");
        for (name, item) in [("a", 10), ("b", 11), ("b", 2), ("c", 12)] {
            push(&mut lanes, Some(&key(name)), item);
        }
        lanes.retain(|item| *item < 10);
        let next = lanes.finish(running.lane).expect("the kept one of b");
        assert_eq!(next.item, 2);
        assert_eq!(lanes.finish(next.lane), None);
        assert_eq!((lanes.running(), lanes.waiting.len(), lanes.ready.len()), (0, 0, 0));
    }
}
