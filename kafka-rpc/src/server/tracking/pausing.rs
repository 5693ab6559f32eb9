//! When a partition pauses and resumes, and why; and which are held by records whose deliveries do not work.

use super::{
    assigned::{Assigned, Generation},
    bounds::Because,
    partitions::Partitions,
};

/// A partition that takes no more records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Paused {
    pub(crate) partition: i32,
    pub(crate) because: Because,
    /// The first unfinished offset: nothing behind it can be committed before it is finished.
    pub(crate) unfinished: Option<i64>,
}

impl Partitions {
    /// How many records may be taken before a partition must pause, whichever partition they belong to; at
    /// least one.
    pub(crate) fn room(&self) -> usize {
        let taken = self.flowing().map(|own| own.offsets.uncommitted()).max().unwrap_or(0);
        self.bounds.uncommitted.saturating_sub(taken).max(1)
    }

    /// How many bytes may be taken before a partition must pause, whichever partition they belong to.
    pub(crate) fn room_in_bytes(&self) -> usize {
        let taken = self.flowing().map(|own| own.bytes).max().unwrap_or(0);
        self.bounds.bytes.saturating_sub(taken)
    }

    /// The partitions that are not paused.
    fn flowing(&self) -> impl Iterator<Item = &Assigned> {
        self.assigned.values().filter(|own| !own.paused)
    }

    /// Whether a partition has reached a bound or is held.
    pub(crate) fn is_full(&self, partition: i32) -> bool {
        self.assigned.get(&partition).is_some_and(|own| own.why_full(self.bounds).is_some())
    }

    /// Marks a partition as paused if it is full and not paused yet, and returns why.
    pub(crate) fn must_pause(&mut self, partition: i32) -> Option<Paused> {
        let own = self.assigned.get_mut(&partition).filter(|own| !own.paused)?;
        let because = own.why_full(self.bounds)?;
        own.paused = true;
        Some(Paused { partition, because, unfinished: own.offsets.watermark() })
    }

    /// Whether a partition is ours and not paused.
    pub(crate) fn is_flowing(&self, partition: i32) -> bool {
        self.assigned.get(&partition).is_some_and(|own| !own.paused)
    }

    /// How many partitions are paused.
    pub(crate) fn paused(&self) -> usize {
        self.assigned.values().filter(|own| own.paused).count()
    }

    /// The partitions that are paused, each with how many of its records are uncommitted.
    pub(crate) fn all_paused(&self) -> Vec<(i32, usize)> {
        let paused = self.assigned.iter().filter(|(_, own)| own.paused);
        paused.map(|(partition, own)| (*partition, own.offsets.uncommitted())).collect()
    }

    /// Marks the paused partitions that have room again as resumed, and returns them.
    pub(crate) fn may_resume(&mut self) -> Vec<i32> {
        let bounds = self.bounds;
        let mut resumed = Vec::new();
        for (partition, own) in &mut self.assigned {
            let light = own.held == 0 && bounds.leave_room(own.offsets.uncommitted(), own.bytes);
            if own.paused && light {
                own.paused = false;
                own.was_resumed = true;
                resumed.push(*partition);
            }
        }
        resumed
    }

    /// Holds a partition for a record that waits for a delivery to work again, and does not count as running
    /// meanwhile.
    pub(crate) fn hold(&mut self, partition: i32, generation: Generation) {
        if let Some(own) = self.same_assignment_mut(partition, generation) {
            own.held += usize::from(own.generation == generation);
            own.running = own.running.saturating_sub(1);
        }
    }

    /// Releases a partition that was held: the record counts as running again.
    pub(crate) fn release(&mut self, partition: i32, generation: Generation) {
        if let Some(own) = self.same_assignment_mut(partition, generation) {
            own.held = own.held.saturating_sub(usize::from(own.generation == generation));
            own.running += 1;
        }
    }

    /// How many partitions are held.
    pub(crate) fn held(&self) -> usize {
        self.assigned.values().filter(|own| own.held > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::partitions::tests::{assigned, finish},
        *,
    };

    #[test]
    fn a_partition_pauses_at_its_bound_and_goes_on_at_half() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 0, 1).expect("ours");
        for offset in 1..4 {
            assert_eq!(partitions.must_pause(0), None);
            partitions.take(0, offset, 1);
        }
        let paused = Paused { partition: 0, because: Because::Uncommitted, unfinished: Some(0) };
        assert_eq!(partitions.must_pause(0), Some(paused), "four lie behind the watermark");
        assert_eq!((partitions.must_pause(0), partitions.paused()), (None, 1), "said once");
        assert_eq!(partitions.all_paused(), [(0, 4)]);
        finish(&mut partitions, generation, 0, 1);
        assert!(partitions.may_resume().is_empty());
        finish(&mut partitions, generation, 1, 1);
        assert_eq!(partitions.may_resume(), [0]);
        assert!(partitions.may_resume().is_empty(), "said once");
    }

    #[test]
    fn a_partition_that_went_while_it_was_paused_goes_on_when_it_comes_again() {
        let mut partitions = assigned();
        partitions.take(0, 0, 100).expect("ours");
        assert!(partitions.must_pause(0).is_some());
        for _ in 0..2 {
            partitions.revoke(0);
            partitions.assign(0);
            assert_eq!(partitions.paused(), 1, "librdkafka has not forgotten it");
        }
        assert!(!partitions.is_flowing(0));
        assert_eq!(partitions.may_resume(), [0]);
        assert!(partitions.is_flowing(0));
        partitions.revoke(0);
        partitions.assign(0);
        assert_eq!(partitions.may_resume(), [0], "librdkafka may have missed it");
        assert!(partitions.may_resume().is_empty(), "said once");
    }

    #[test]
    fn no_more_is_taken_at_a_time_than_the_fullest_partition_has_room_for() {
        let mut partitions = assigned();
        partitions.assign(1);
        assert_eq!((partitions.room(), partitions.room_in_bytes()), (4, 100));
        for offset in 0..3 {
            partitions.take(1, offset, 20);
        }
        assert_eq!((partitions.room(), partitions.room_in_bytes()), (1, 40));
        partitions.take(1, 3, 20);
        assert!(partitions.must_pause(1).is_some());
        assert_eq!(partitions.room(), 4, "it has paused, and no record of it comes");
    }

    #[test]
    fn a_partition_pauses_for_the_bytes_that_wait() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 0, 100).expect("ours");
        assert_eq!(partitions.must_pause(0).map(|paused| paused.because), Some(Because::Bytes));
        finish(&mut partitions, generation, 0, 100);
        assert_eq!(partitions.may_resume(), [0]);
    }

    #[test]
    fn a_held_partition_pauses_whatever_its_bounds_and_goes_on_when_it_is_released() {
        let mut partitions = assigned();
        let generation = partitions.take(0, 0, 1).expect("ours");
        partitions.hold(0, generation);
        assert_eq!(partitions.must_pause(0).map(|paused| paused.because), Some(Because::Held));
        assert!(partitions.may_resume().is_empty());
        partitions.release(0, generation);
        assert_eq!(partitions.may_resume(), [0]);
        assert_eq!(partitions.uncommitted(&[0]), 1);
    }
}
