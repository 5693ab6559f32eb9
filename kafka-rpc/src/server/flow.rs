//! How much the consumer thread takes, and when it waits or lets a partition pause.

use std::{
    sync::{MutexGuard, atomic::Ordering},
    time::Duration,
};

use super::{
    intake::Intake,
    job::Taken,
    packing::Packing,
    pausing::Paused,
    worker::{State, Worker},
};
use crate::unpoisoned::Unpoisoned as _;

/// How many jobs may wait for their turn before no more records are taken for a moment. With a quarter of it the consumer
/// thread sleeps and wakes up so often that a tenth less is consumed.
const ENOUGH_READY: usize = 8_192;

/// How long that moment is at most: what else the consumer thread has to do must not wait.
const MOMENT: Duration = Duration::from_millis(5);

/// How much may be received at once, so that no partition takes more than its bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// What the consumer thread is to do with partitions.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Those in which it is to go back, and where to.
    pub(super) back: Vec<(i32, i64)>,
    pub(super) pause: Vec<Paused>,
    pub(super) resume: Vec<i32>,
}

impl Worker {
    /// Packs a record that was received until it is [taken](Self::take_received) with others; gives its weight.
    pub(super) fn receive(&self, pack: impl FnOnce(&mut Packing) -> usize) -> usize {
        self.intake().receive(pack)
    }

    /// Takes what was received. It waits for [`go`](Self::go), and partitions that are full now for [`flow`](Self::flow).
    pub(super) fn take_received(&self) {
        let mut intake = self.intake();
        let received = intake.received();
        let mut state = self.state();
        for (lane, record) in received {
            let partition = record.partition();
            let Some(generation) = state.partitions.take(partition, record.offset(), record.weight()) else {
                // The consumer may have to go back.
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

    /// How much may be received before it is to be taken.
    pub(super) fn room(&self) -> Room {
        let state = self.state();
        Room { records: state.partitions.room(), bytes: state.partitions.room_in_bytes() }
    }

    /// Waits while more jobs are ready than can be seen to soon, for a moment at most.
    pub(super) fn wait_for_runners(&self) {
        let mut state = self.state();
        state.awaits_few_ready = state.lanes.ready() >= ENOUGH_READY;
        if state.awaits_few_ready {
            let waited = self.few_ready.wait_timeout_while(state, MOMENT, |state| state.awaits_few_ready);
            waited.unpoisoned().0.awaits_few_ready = false;
        }
    }

    /// Tells the consumer thread that few jobs are ready, if it waits for that.
    pub(super) fn ask_for_more_if_few(&self, state: &mut State) {
        if state.awaits_few_ready && state.lanes.ready() <= ENOUGH_READY / 2 {
            state.awaits_few_ready = false;
            self.few_ready.notify_one();
        }
    }

    /// Those of these partitions that are not paused.
    pub(super) fn flowing(&self, mut partitions: Vec<i32>) -> Vec<i32> {
        let state = self.state();
        partitions.retain(|partition| state.partitions.is_flowing(*partition));
        partitions
    }

    /// What the consumer thread is to do, if anything has changed.
    pub(super) fn flow(&self) -> Flow {
        if !self.flow_changed.swap(false, Ordering::AcqRel) {
            return Flow::default();
        }
        let mut state = self.state();
        let assigned = state.partitions.assigned();
        let back = state.partitions.going_back();
        let pause =
            assigned.into_iter().filter_map(|partition| state.partitions.must_pause(partition)).collect();
        let resume = state.partitions.may_resume();
        self.metrics.held.set(state.partitions.held());
        self.metrics.paused.set(state.partitions.paused());
        Flow { back, pause, resume }
    }

    /// Notes that the consumer has gone back in a partition.
    pub(super) fn has_gone_back(&self, partition: i32) {
        self.state().partitions.has_gone_back(partition);
    }
}
