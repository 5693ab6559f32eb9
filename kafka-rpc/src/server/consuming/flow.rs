//! How much the consumer thread takes, and when it waits, or pauses a partition.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{
    server::{
        tracking::pausing::Paused,
        worker::{State, Worker},
    },
    unpoisoned::Unpoisoned as _,
};

/// How many jobs may be ready before the consumer thread takes no more records for a moment. At a quarter of
/// this, the thread sleeps and wakes so often that it consumes a tenth less.
const ENOUGH_READY: usize = 8_192;

/// The longest such moment: the thread's other work must not wait.
const MOMENT: Duration = Duration::from_millis(5);

/// How much may be received at once so that no partition exceeds its bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// What the consumer thread must do with partitions.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The partitions to seek back in, and the offsets to seek to.
    pub(super) back: Vec<(i32, i64)>,
    pub(super) pause: Vec<Paused>,
    pub(super) resume: Vec<i32>,
}

impl Worker {
    /// How much may be received before it must be taken.
    pub(super) fn room(&self) -> Room {
        let state = self.state();
        Room { records: state.partitions.room(), bytes: state.partitions.room_in_bytes() }
    }

    /// Waits while more jobs are ready than runners can soon start, for at most [`MOMENT`].
    pub(super) fn wait_for_runners(&self) {
        let mut state = self.state();
        state.awaits_few_ready = state.lanes.ready() >= ENOUGH_READY;
        if state.awaits_few_ready {
            let waited = self.few_ready.wait_timeout_while(state, MOMENT, |state| state.awaits_few_ready);
            waited.unpoisoned().0.awaits_few_ready = false;
        }
    }

    /// Wakes the consumer thread if it waits until few jobs are ready, and few are.
    pub(in crate::server) fn ask_for_more_if_few(&self, state: &mut State) {
        if state.awaits_few_ready && state.lanes.ready() <= ENOUGH_READY / 2 {
            state.awaits_few_ready = false;
            self.few_ready.notify_one();
        }
    }

    /// Those of `partitions` that are not paused.
    pub(super) fn flowing(&self, mut partitions: Vec<i32>) -> Vec<i32> {
        let state = self.state();
        partitions.retain(|partition| state.partitions.is_flowing(*partition));
        partitions
    }

    /// What the consumer thread must do, if anything has changed.
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

    /// The partitions that are paused, each with how many of its records are uncommitted.
    pub(super) fn paused(&self) -> Vec<(i32, usize)> {
        self.state().partitions.all_paused()
    }

    /// Notes that the consumer has sought back in a partition.
    pub(super) fn has_gone_back(&self, partition: i32) {
        self.state().partitions.has_gone_back(partition);
    }
}
