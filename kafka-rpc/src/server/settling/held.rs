//! Records that wait for a delivery to work again, and the records that wait for them.
//!
//! Such a record holds its partition, which takes no more, and nothing else: it gives up its place, so that
//! records of other partitions can run there, and no drain waits for it.

use std::sync::Arc;

use crate::server::{
    job::{Job, Taken},
    worker::{State, Worker},
};

/// A record that waits for a delivery to work again, until this is dropped.
pub(super) struct Held<'a> {
    worker: &'a Arc<Worker>,
    taken: &'a Taken,
}

impl<'a> Held<'a> {
    pub(super) fn new(worker: &'a Arc<Worker>, taken: &'a Taken) -> Self {
        worker.hold(taken);
        Self { worker, taken }
    }

    /// For a record that already holds its partition.
    pub(super) fn still(worker: &'a Arc<Worker>, taken: &'a Taken) -> Self {
        Self { worker, taken }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.worker.release(self.taken);
    }
}

impl Worker {
    /// Makes a record give up its place and hold its partition. The consumer thread starts what may run in
    /// that place.
    pub(super) fn hold(&self, taken: &Taken) {
        let mut state = self.state();
        state.partitions.hold(taken.record.partition(), taken.generation);
        state.lanes.free_place();
        self.notify_drain(&state);
        drop(state);
        self.flow_has_changed();
    }

    /// Gives the record a place again, whether one is free or not, and releases its partition.
    pub(super) fn release(&self, taken: &Taken) {
        let mut state = self.state();
        state.partitions.release(taken.record.partition(), taken.generation);
        state.lanes.take_place();
        state.bring_back(taken.record.partition());
        drop(state);
        self.flow_has_changed();
    }
}

impl State {
    /// Puts aside a job that must not start while this many records hold its partition.
    pub(in crate::server) fn put_aside(&mut self, job: Job) {
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
}
