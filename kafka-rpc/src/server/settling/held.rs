//! Records that wait for a delivery to work again, and the records that wait for them.
//!
//! Such a record holds its partition, which takes no more, and nothing else: it gives up its place, so that
//! records of other partitions can run there, and no drain waits for it.

use std::sync::Arc;

use crate::server::{
    job::Taken,
    running::lanes::Job,
    tracking::assigned::Generation,
    worker::{State, Worker},
};

/// A record that waits for a delivery to work again, until this is dropped.
pub(super) struct Held<'a> {
    worker: &'a Arc<Worker>,
    taken: &'a Taken,
}

impl<'a> Held<'a> {
    pub(super) fn new(worker: &'a Arc<Worker>, taken: &'a Taken) -> Self {
        worker.hold(taken.record.partition(), taken.generation);
        Self { worker, taken }
    }

    /// For a record that already holds its partition.
    pub(super) fn still(worker: &'a Arc<Worker>, taken: &'a Taken) -> Self {
        Self { worker, taken }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.worker.release(self.taken.record.partition(), self.taken.generation);
    }
}

impl Worker {
    /// Makes a record give up its place and hold its partition. The consumer thread starts what may run in
    /// that place.
    pub(super) fn hold(&self, partition: i32, generation: Generation) {
        let mut state = self.state();
        state.partitions.hold(partition, generation);
        state.lanes.free_place();
        self.notify_drain(&state);
        drop(state);
        self.flow_has_changed();
    }

    /// Gives the record a place again, whether one is free or not, and releases its partition.
    pub(super) fn release(&self, partition: i32, generation: Generation) {
        let mut state = self.state();
        state.partitions.release(partition, generation);
        state.lanes.take_place();
        state.bring_back(partition);
        drop(state);
        self.flow_has_changed();
    }
}

impl State {
    /// Puts aside a job that must not start while this many records hold its partition.
    pub(in crate::server) fn put_aside(&mut self, job: Job<Taken>) {
        self.lanes.free_place();
        self.aside.push(job);
    }

    /// Makes the jobs of a partition that were put aside ready, unless it is still held by too many records.
    fn bring_back(&mut self, partition: i32) {
        if self.partitions.may_start(partition) {
            for job in self.aside.extract_if(.., |job| job.item.record.partition() == partition) {
                self.lanes.make_ready(job);
            }
        }
    }

    /// Drops the waiting records of these partitions.
    pub(in crate::server) fn forget(&mut self, partitions: &[i32]) {
        let goes = |taken: &Taken| partitions.contains(&taken.record.partition());
        self.lanes.retain(|taken| !goes(taken));
        for job in self.aside.extract_if(.., |job| goes(&job.item)) {
            self.lanes.free_lane(job.lane);
        }
    }
}
