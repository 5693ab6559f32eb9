//! Takes the received records into their lanes.

use std::sync::MutexGuard;

use super::{intake::Intake, packing::Packing};
use crate::{
    server::{job::Taken, worker::Worker},
    unpoisoned::Unpoisoned as _,
};

impl Worker {
    /// Packs a received record, which is later [taken](Self::take_received) with others. Returns its weight.
    pub(super) fn receive(&self, pack: impl FnOnce(&mut Packing) -> usize) -> usize {
        self.intake().receive(pack)
    }

    /// Takes the received records into their lanes.
    /// [`start_a_runner_if_wanted`](Self::start_a_runner_if_wanted) gets them to run, and
    /// [`flow`](Self::flow) pauses partitions that are now full.
    pub(super) fn take_received(&self) {
        let mut intake = self.intake();
        let received = intake.received();
        let mut state = self.state();
        for (lane, record) in received {
            let partition = record.partition();
            let Some(generation) = state.partitions.take(partition, record.offset(), record.weight()) else {
                // The consumer may have to seek back.
                self.flow_has_changed();
                continue;
            };
            state.lanes.push(lane, Taken { record, generation, retries: 0 });
            if state.partitions.is_full(partition) {
                self.flow_has_changed();
            }
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unpoisoned()
    }
}
