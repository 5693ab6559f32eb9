//! The jobs that a runner has taken from the lanes: several at a time while handlers are quick, so that the
//! lanes are locked once for all of them.
//!
//! Other threads can take jobs back out: a handler that never yields must not keep the jobs that were taken
//! with it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::lanes::Job;
use crate::unpoisoned::Unpoisoned as _;

/// How long the jobs of a hand may take together. Each job waits for those before it, so this is less than
/// anybody notices.
const HANDFUL: Duration = Duration::from_micros(200);

/// How many jobs a hand takes at most.
const MOST: usize = 128;

/// The jobs that a runner has taken, shared with the threads that may have to take them back.
#[derive(Debug)]
pub(super) struct Hand<J, E> {
    id: usize,
    contents: Mutex<Contents<J, E>>,
}

#[derive(Debug)]
pub(super) struct Contents<J, E> {
    /// Jobs that have not been started.
    pub(super) jobs: VecDeque<Job<J>>,
    /// Jobs that have ended and that the lanes do not know of yet.
    pub(super) ended: Vec<E>,
    /// How many jobs were started.
    started: u64,
    /// How many jobs to take next time.
    size: usize,
    /// When jobs were last taken.
    filled_at: Instant,
    /// What `filled_at` was at the last look.
    seen: Option<Instant>,
}

impl<J, E> Hand<J, E> {
    pub(super) fn contents(&self) -> MutexGuard<'_, Contents<J, E>> {
        self.contents.lock().unpoisoned()
    }
}

impl<J, E> Contents<J, E> {
    /// Takes out the next job, and counts it as started.
    pub(super) fn start(&mut self) -> Option<Job<J>> {
        let job = self.jobs.pop_front()?;
        self.started += 1;
        Some(job)
    }

    /// How many jobs to take now that the last ones have ended.
    pub(super) fn next_size(&mut self, now: Instant) -> usize {
        let took = now.saturating_duration_since(self.filled_at);
        self.filled_at = now;
        self.size = if took <= HANDFUL / 2 { (self.size * 2).min(MOST) } else { (self.size / 2).max(1) };
        self.size
    }

    /// Whether jobs are slow enough to be taken one at a time.
    pub(super) fn takes_one(&self) -> bool {
        self.size == 1
    }

    /// Notes a job that has ended. Returns whether jobs are slow enough to be worth a look at the clock.
    pub(super) fn note_ended(&mut self, ended: Option<E>) -> bool {
        self.ended.extend(ended);
        self.takes_one()
    }

    fn is_new(&self) -> bool {
        self.started == 0 && self.jobs.is_empty()
    }

    /// Whether the hand was not refilled since the last look, although it has jobs to start or ended jobs to
    /// report. Its jobs take longer than was estimated when it was filled, be it one of them or each.
    fn is_stuck(&mut self) -> bool {
        let seen = self.seen.replace(self.filled_at);
        seen == Some(self.filled_at) && !(self.jobs.is_empty() && self.ended.is_empty())
    }
}

/// The hands of the runners that look for jobs.
#[derive(Debug)]
pub(in crate::server) struct Hands<J, E> {
    taken: slab::Slab<Arc<Hand<J, E>>>,
    /// How many runners look for jobs at once.
    most: usize,
}

impl<J, E> Hands<J, E> {
    pub(in crate::server) fn new(most: usize) -> Self {
        Self { taken: slab::Slab::new(), most }
    }

    /// Whether one more runner may look for jobs.
    pub(super) fn has_room(&self) -> bool {
        self.taken.len() < self.most
    }

    /// How many runners share what is ready.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Adds a hand for one more runner.
    pub(super) fn add(&mut self, now: Instant) -> Arc<Hand<J, E>> {
        let entry = self.taken.vacant_entry();
        let contents = Contents {
            jobs: VecDeque::new(),
            ended: Vec::new(),
            started: 0,
            size: 1,
            filled_at: now,
            seen: None,
        };
        let hand = Hand { id: entry.key(), contents: Mutex::new(contents) };
        Arc::clone(entry.insert(Arc::new(hand)))
    }

    /// Removes the hand of a runner that no longer looks for jobs.
    pub(super) fn remove(&mut self, hand: &Hand<J, E>) {
        let _removed = self.taken.try_remove(hand.id);
    }

    /// All hands.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Hand<J, E>>> {
        self.taken.iter().map(|(_, hand)| hand)
    }

    /// The hands that were not refilled since the last look and have jobs to start or ended jobs to report.
    pub(super) fn stuck(&self) -> Vec<Arc<Hand<J, E>>> {
        self.iter().filter(|hand| hand.contents().is_stuck()).map(Arc::clone).collect()
    }

    /// How many hands have never been filled: their runners wait for a thread.
    pub(super) fn new_ones(&self) -> usize {
        self.iter().filter(|hand| hand.contents().is_new()).count()
    }

    /// How many jobs were started by the runners that look for jobs now.
    pub(super) fn started(&self) -> u64 {
        self.iter().map(|hand| hand.contents().started).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::lanes::Lanes, *};

    fn job() -> Job<u32> {
        let mut lanes = Lanes::new(1);
        lanes.push(None, 0);
        lanes.next().expect("one may run")
    }

    #[test]
    fn more_is_taken_at_a_time_only_while_jobs_are_quick() {
        let now = Instant::now();
        let mut hands = Hands::<u32, ()>::new(1);
        let hand = hands.add(now);
        let mut contents = hand.contents();
        let quick = now + Duration::from_micros(1);
        let sizes: Vec<usize> = (0..8).map(|_| contents.next_size(quick)).collect();
        assert_eq!(sizes, [2, 4, 8, 16, 32, 64, MOST, MOST]);
        let slow: Vec<usize> = (1..9).map(|turn| contents.next_size(quick + turn * HANDFUL)).collect();
        assert_eq!(slow, [64, 32, 16, 8, 4, 2, 1, 1]);
    }

    #[test]
    fn a_hand_is_stuck_where_its_runner_has_not_come_to_its_end_and_something_is_left_in_it() {
        let now = Instant::now();
        let mut hands = Hands::<u32, ()>::new(2);
        let hand = hands.add(now);
        assert!(hands.stuck().is_empty() && hands.new_ones() == 1, "nothing is in it");
        hand.contents().next_size(now + HANDFUL);
        hand.contents().jobs.extend([job(), job(), job()]);
        assert!(hands.stuck().is_empty(), "it was filled just now");
        assert_eq!(hands.stuck().len(), 1);
        assert!(hand.contents().start().is_some() && hands.new_ones() == 0);
        assert_eq!(hands.stuck().len(), 1, "those after the one that was started wait too long already");
        hand.contents().jobs.clear();
        hand.contents().ended.push(());
        assert_eq!(hands.stuck().len(), 1, "what has ended must be told too");
        hand.contents().next_size(now + 2 * HANDFUL);
        assert!(hands.stuck().is_empty());
        hands.remove(&hand);
        assert!(hands.stuck().is_empty() && hands.has_room());
    }
}
