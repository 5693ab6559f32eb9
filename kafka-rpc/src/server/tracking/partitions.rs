//! The partitions that are assigned to this instance, and the progress of each.

use std::sync::Arc;

use nohash_hasher::{IntMap, IntSet};
use tokio_util::sync::CancellationToken;

use super::{
    assigned::{Assigned, Generation, Start},
    bounds::Bounds,
};

/// The assigned partitions of one subscription.
#[derive(Debug)]
pub(crate) struct Partitions {
    /// The topic and group of the partitions, for logs.
    topic: Arc<str>,
    group: Arc<str>,
    pub(super) bounds: Bounds,
    pub(super) assigned: IntMap<i32, Assigned>,
    /// Partitions that are given up and not revoked yet: their running handlers may end, and nothing starts
    /// any more.
    given_up: IntSet<i32>,
    /// Partitions that were revoked while paused. librdkafka keeps them paused, even after they are assigned
    /// again.
    gone_paused: IntSet<i32>,
    next_generation: u64,
}

impl Partitions {
    pub(crate) fn new(topic: Arc<str>, group: Arc<str>, bounds: Bounds) -> Self {
        Self {
            topic,
            group,
            bounds,
            assigned: IntMap::default(),
            given_up: IntSet::default(),
            gone_paused: IntSet::default(),
            next_generation: 0,
        }
    }

    /// Begins a generation. librdkafka does not report a partition again to the member that keeps it, so a
    /// partition that is assigned already keeps its generation.
    pub(crate) fn assign(&mut self, partition: i32) {
        let Self { gone_paused, next_generation, .. } = self;
        self.assigned.entry(partition).or_insert_with(|| Assigned {
            paused: gone_paused.remove(&partition),
            ..Assigned::new(Generation::next(next_generation))
        });
    }

    /// Ends the generation of a partition.
    pub(crate) fn revoke(&mut self, partition: i32) {
        self.given_up.remove(&partition);
        // Resumed partitions too: librdkafka may have dropped the resume, and resuming a partition that flows
        // does nothing.
        if self.assigned.remove(&partition).is_some_and(|own| own.paused || own.was_resumed) {
            self.gone_paused.insert(partition);
        }
    }

    /// Whether a generation is still ours.
    pub(crate) fn is_ours(&self, partition: i32, generation: Generation) -> bool {
        self.current(partition, generation).is_some()
    }

    /// Takes a record; `None` if the partition is not ours, or [goes back](Self::going_back).
    ///
    /// Offsets that go back begin a new generation, and records taken before no longer count: the topic was
    /// truncated, or deleted and recreated, or librdkafka repeats records, as it may when a cooperative
    /// rebalance overtakes a poll. Unfinished records below such an offset may still be in the log, so the
    /// consumer goes back to the first of them.
    pub(crate) fn take(&mut self, partition: i32, offset: i64, weight: usize) -> Option<Generation> {
        let own = self.assigned.get_mut(&partition)?;
        // If it was paused, librdkafka has missed or forgotten the pause, which is repeated.
        own.paused = false;
        if own.goes_back.is_some() {
            // The record comes again once the consumer has gone back.
            return None;
        }
        if !own.offsets.take(offset) {
            tracing::warn!(
                topic = %self.topic, partition, offset, group = %self.group,
                "offsets went back: the topic was truncated or recreated, or a record was delivered twice"
            );
            own.begin_anew(Generation::next(&mut self.next_generation), offset);
            if own.goes_back.is_some() {
                return None;
            }
            own.offsets.take(offset);
        }
        own.bytes += weight;
        Some(own.generation)
    }

    /// Has all unfinished records of a partition read again. If the partition is given up, its next owner
    /// reads them.
    pub(crate) fn go_back(&mut self, partition: i32, generation: Generation) {
        let next = Generation::next(&mut self.next_generation);
        if let Some(own) = self.startable_mut(partition, generation) {
            own.begin_anew(next, i64::MAX);
        }
    }

    /// The partitions that take nothing until the consumer has gone back, each with the offset to go back to.
    pub(crate) fn going_back(&self) -> Vec<(i32, i64)> {
        let back = |(partition, own): (&i32, &Assigned)| Some((*partition, own.goes_back?));
        self.assigned.iter().filter_map(back).collect()
    }

    /// Notes that the consumer has gone back: the records that come from now on are taken.
    pub(crate) fn has_gone_back(&mut self, partition: i32) {
        if let Some(own) = self.assigned.get_mut(&partition) {
            own.goes_back = None;
        }
    }

    /// Begins to give these partitions up, before they are revoked. Parked records must not start when their
    /// time comes, or the running handlers would never all have ended.
    pub(crate) fn stop_starting(&mut self, partitions: &[i32]) {
        self.given_up.extend(partitions);
    }

    /// Whether a record's handler may start. If so, counts the handler as running.
    pub(crate) fn start(&mut self, partition: i32, generation: Generation) -> Start {
        match self.startable_mut(partition, generation) {
            None => Start::Gone,
            Some(own) if own.may_start() => {
                own.running += 1;
                Start::Runs
            }
            Some(_) => Start::Waits,
        }
    }

    /// Whether records of a partition may start; true if the partition is not ours.
    pub(crate) fn may_start(&self, partition: i32) -> bool {
        self.assigned.get(&partition).is_none_or(Assigned::may_start)
    }

    /// Notes that a record's handler has ended, with its outcome final or not. Returns true if the partition
    /// is paused and may now be light enough to resume.
    pub(crate) fn end(
        &mut self,
        partition: i32,
        generation: Generation,
        offset: i64,
        weight: usize,
        is_final: bool,
    ) -> bool {
        let Some(own) = self.same_assignment_mut(partition, generation) else { return false };
        own.running = own.running.saturating_sub(1);
        let is_final = is_final && own.generation == generation;
        if is_final {
            own.bytes = own.bytes.saturating_sub(weight);
            own.offsets.finish(offset);
        }
        is_final && own.paused
    }

    /// A partition whose current assignment includes this generation, which may be an earlier one.
    pub(super) fn same_assignment_mut(
        &mut self,
        partition: i32,
        generation: Generation,
    ) -> Option<&mut Assigned> {
        self.assigned.get_mut(&partition).filter(|own| (own.began..=own.generation).contains(&generation))
    }

    /// A partition in this generation, unless it is given up.
    fn startable_mut(&mut self, partition: i32, generation: Generation) -> Option<&mut Assigned> {
        if self.given_up.contains(&partition) { None } else { self.current_mut(partition, generation) }
    }

    /// How many handlers run for these partitions.
    pub(crate) fn running(&self, partitions: &[i32]) -> usize {
        partitions.iter().filter_map(|partition| self.assigned.get(partition)).map(|own| own.running).sum()
    }

    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.assigned.keys().copied().collect()
    }

    /// The next offset to read of each partition; `None` if nothing of it was taken.
    pub(crate) fn positions(&self) -> Vec<(i32, Option<i64>)> {
        self.assigned.iter().map(|(partition, own)| (*partition, own.offsets.position())).collect()
    }

    /// How many records of these partitions were taken and may not be committed.
    pub(crate) fn uncommitted(&self, partitions: &[i32]) -> usize {
        let of = |partition| self.assigned.get(partition).map_or(0, |own| own.offsets.uncommitted());
        partitions.iter().map(of).sum()
    }

    /// A token that is cancelled when this generation of a partition ends; `None` if it has ended.
    pub(crate) fn ended(&self, partition: i32, generation: Generation) -> Option<CancellationToken> {
        Some(self.current(partition, generation)?.ended.token().clone())
    }

    /// A partition in this generation.
    fn current(&self, partition: i32, generation: Generation) -> Option<&Assigned> {
        self.assigned.get(&partition).filter(|own| own.generation == generation)
    }

    /// Like [`current`](Self::current), but mutable.
    pub(super) fn current_mut(&mut self, partition: i32, generation: Generation) -> Option<&mut Assigned> {
        self.assigned.get_mut(&partition).filter(|own| own.generation == generation)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{
        super::{assigned::MOST_HELD, watermarks::tests::due},
        *,
    };

    const BOUNDS: Bounds = Bounds { uncommitted: 4, bytes: 100 };

    /// Partition 0, bound to four offsets and a hundred bytes.
    pub(in super::super) fn assigned() -> Partitions {
        let mut partitions = Partitions::new("orders".into(), "group".into(), BOUNDS);
        partitions.assign(0);
        partitions
    }

    pub(in super::super) fn finish(
        partitions: &mut Partitions,
        generation: Generation,
        offset: i64,
        weight: usize,
    ) {
        partitions.end(0, generation, offset, weight, true);
    }

    #[test]
    fn what_waits_for_its_time_hears_of_the_end_of_its_assignment() {
        let mut partitions = assigned();
        let old = partitions.take(0, 5, 1).expect("ours");
        let of_old = partitions.ended(0, old).expect("ours");
        partitions.assign(0);
        assert!(!of_old.is_cancelled());
        let new = partitions.take(0, 0, 1).expect("a record of the new log");
        assert!(of_old.is_cancelled() && partitions.ended(0, old).is_none());
        let of_new = partitions.ended(0, new).expect("ours");
        partitions.revoke(0);
        assert!(of_new.is_cancelled());
    }

    #[test]
    fn a_record_of_an_ended_generation_counts_for_nothing() {
        let mut partitions = assigned();
        let old = partitions.take(0, 5, 1).expect("ours");
        partitions.revoke(0);
        partitions.assign(0);
        let new = partitions.take(0, 5, 1).expect("ours again");
        finish(&mut partitions, old, 5, 1);
        assert_eq!(due(&partitions), [(0, 5)]);
        finish(&mut partitions, new, 5, 1);
        assert_eq!(due(&partitions), [(0, 6)]);
    }

    #[test]
    fn an_assignment_that_changes_nothing_keeps_the_generation() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 5, 1).expect("ours");
        partitions.assign(0);
        assert!(partitions.is_ours(0, generation));
    }

    #[test]
    fn offsets_that_go_back_begin_a_new_generation() {
        let mut partitions = assigned();
        let old = partitions.take(0, 1_000, 1).expect("ours");
        finish(&mut partitions, old, 1_000, 1);
        assert_eq!(due(&partitions), [(0, 1_001)]);
        let new = partitions.take(0, 0, 1).expect("a record of the new log");
        assert!(!partitions.is_ours(0, old));
        finish(&mut partitions, new, 0, 1);
        assert_eq!(due(&partitions), [(0, 1)], "though the old log was further");
    }

    #[test]
    fn nothing_below_a_record_that_comes_twice_is_committed_before_it_has_come_again() {
        let mut partitions = assigned();
        let old = partitions.take(0, 5, 1).expect("ours");
        for offset in [6, 7] {
            partitions.take(0, offset, 1).expect("ours");
        }
        assert_eq!(partitions.take(0, 7, 1), None, "5 and 6 are not finished");
        assert_eq!(partitions.going_back(), [(0, 5)]);
        assert_eq!(partitions.take(0, 8, 1), None, "it comes again");
        assert_eq!(partitions.start(0, old), Start::Gone);
        finish(&mut partitions, old, 5, 1);
        assert!(due(&partitions).is_empty());
        partitions.has_gone_back(0);
        assert!(partitions.going_back().is_empty());
        let new = partitions.take(0, 5, 1).expect("ours");
        assert!(partitions.take(0, 6, 1).is_some());
        finish(&mut partitions, new, 5, 1);
        assert_eq!(due(&partitions), [(0, 6)]);
    }

    #[test]
    fn what_is_not_finished_is_read_again_where_one_of_it_was_left() {
        let mut partitions = assigned();
        let old = partitions.take(0, 5, 1).expect("ours");
        for offset in [6, 7] {
            partitions.take(0, offset, 1).expect("ours");
        }
        finish(&mut partitions, old, 5, 1);
        partitions.go_back(0, old);
        assert_eq!((partitions.going_back(), partitions.is_ours(0, old)), (vec![(0, 6)], false));
        partitions.go_back(0, old);
        partitions.has_gone_back(0);
        assert!(partitions.take(0, 6, 1).is_some(), "and only once");
    }

    #[test]
    fn nothing_starts_of_a_partition_that_is_given_up_and_what_is_left_of_it_is_not_ours_to_read_again() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 5, 1).expect("ours");
        assert_eq!(partitions.start(0, generation), Start::Runs);
        partitions.stop_starting(&[0, 7]);
        assert_eq!(partitions.start(0, generation), Start::Gone);
        partitions.go_back(0, generation);
        assert!(partitions.going_back().is_empty());
        finish(&mut partitions, generation, 5, 1);
        assert_eq!(due(&partitions), [(0, 6)], "what has ended counts");
        partitions.revoke(0);
        partitions.assign(0);
        let generation = partitions.take(0, 6, 1).expect("ours again");
        assert_eq!(partitions.start(0, generation), Start::Runs);
    }

    #[test]
    fn what_runs_is_waited_for_also_where_it_counts_for_nothing_any_more() {
        let mut partitions = assigned();
        let before = partitions.take(0, 0, 1).expect("ours");
        assert_eq!(partitions.start(0, before), Start::Runs);
        partitions.revoke(0);
        partitions.assign(0);
        let old = partitions.take(0, 5, 1).expect("ours");
        for _ in 0..2 {
            assert_eq!(partitions.start(0, old), Start::Runs);
        }
        partitions.hold(0, old);
        partitions.go_back(0, old);
        assert_eq!((partitions.running(&[0]), partitions.held()), (1, 0));
        partitions.release(0, old);
        assert_eq!(partitions.running(&[0]), 2);
        partitions.end(0, before, 0, 1, true);
        assert_eq!(partitions.running(&[0]), 2, "of another assignment");
        for running in [1, 0] {
            partitions.end(0, old, 5, 1, true);
            assert_eq!(partitions.running(&[0]), running);
        }
        assert_eq!(partitions.going_back(), [(0, 5)], "and nothing of it is finished");
    }

    #[test]
    fn a_record_that_comes_twice_when_all_before_it_is_finished_runs_twice() {
        let mut partitions = assigned();
        let old = partitions.take(0, 5, 1).expect("ours");
        finish(&mut partitions, old, 5, 1);
        let new = partitions.take(0, 5, 1).expect("ours");
        assert!(new != old && partitions.going_back().is_empty());
    }

    #[test]
    fn no_more_of_a_partition_starts_while_as_many_of_it_wait_for_deliveries_as_may() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 0, 1).expect("ours");
        for _ in 0..MOST_HELD {
            assert_eq!(partitions.start(0, generation), Start::Runs);
            partitions.hold(0, generation);
        }
        assert_eq!((partitions.running(&[0]), partitions.start(0, generation)), (0, Start::Waits));
        assert!(!partitions.may_start(0) && partitions.may_start(1));
        partitions.release(0, generation);
        assert_eq!((partitions.running(&[0]), partitions.start(0, generation)), (1, Start::Runs));
    }

    #[test]
    fn a_record_of_a_partition_that_is_not_ours_is_not_taken() {
        assert_eq!(assigned().take(7, 0, 1), None);
    }

    #[test]
    fn a_handler_that_did_not_end_well_moves_nothing() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 5, 1).expect("ours");
        assert_eq!(partitions.start(0, generation), Start::Runs);
        assert_eq!(partitions.running(&[0]), 1);
        partitions.end(0, generation, 5, 1, false);
        assert_eq!(partitions.running(&[0]), 0);
        assert_eq!(due(&partitions), [(0, 5)]);
    }
}
