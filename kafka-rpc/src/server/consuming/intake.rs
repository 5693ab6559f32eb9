//! The records that were received, and their way into the lanes.

use std::sync::{Arc, MutexGuard};

use super::{pack::Packed, packing::Packing};
use crate::{
    handler::Ordering,
    server::{
        job::Taken,
        running::lanes::{Keys, Lane},
        worker::Worker,
    },
    unpoisoned::Unpoisoned as _,
};

/// Records that were received and are not taken yet. Each has its lane, which is found without locking the
/// lanes.
#[derive(Debug)]
pub(in crate::server) struct Intake {
    topic: Arc<str>,
    keys: Keys,
    packing: Packing,
    sealed: Vec<(Option<Lane>, Packed)>,
}

impl Intake {
    pub(in crate::server) fn new(topic: Arc<str>, ordering: Ordering) -> Self {
        Self { topic, keys: Keys::new(ordering), packing: Packing::default(), sealed: Vec::new() }
    }

    /// Packs a record with others. Returns its weight.
    fn receive(&mut self, pack: impl FnOnce(&mut Packing) -> usize) -> usize {
        let weight = pack(&mut self.packing);
        if self.packing.is_full() {
            self.seal();
        }
        weight
    }

    /// Takes out the received records.
    fn received(&mut self) -> impl Iterator<Item = (Option<Lane>, Packed)> {
        self.seal();
        self.sealed.drain(..)
    }

    fn seal(&mut self) {
        let Self { topic, keys, packing, sealed } = self;
        packing.seal(topic, |record| sealed.push((keys.lane(record.partition(), record.key()), record)));
    }
}

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
