//! What becomes of what was taken of a partition: it is committed, or drained or left when the partition goes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    watermarks::Watermark,
    worker::{State, Worker},
};
use crate::{caught::caught, moment, unpoisoned::Unpoisoned as _};

/// How often it is looked, while partitions are drained, whether handlers hold up what was taken with them.
const DRAIN_LOOKS_EVERY: Duration = Duration::from_millis(50);

impl Worker {
    /// Begins to take records of these partitions.
    pub(crate) fn assign(&self, partitions: impl Iterator<Item = i32>) {
        let mut state = self.state();
        for partition in partitions {
            state.partitions.assign(partition);
        }
        drop(state);
        // One that went while it was paused is to go on.
        self.flow_has_changed();
    }

    /// Forgets what waits of these partitions, which are to be revoked after this, and lets what runs end, for so long at
    /// most. Blocks.
    ///
    /// Returns the watermarks to commit, and how many handlers still ran when the time was up.
    pub(crate) fn drain(self: &Arc<Self>, partitions: &[i32], within: Duration) -> (Vec<Watermark>, usize) {
        let until = moment::after(Instant::now(), within);
        let mut looked_at = None;
        let mut state = self.state();
        state.partitions.stop_starting(partitions);
        loop {
            let now = Instant::now();
            if looked_at.is_none_or(|looked_at| now.saturating_duration_since(looked_at) >= DRAIN_LOOKS_EVERY)
            {
                looked_at = Some(now);
                drop(state);
                // Nobody else looks while this waits, and it is for such a handler, or such a reply, that it does.
                caught("reporting slow handlers", || self.report_slow());
                caught("handling slow replies", || self.see_to_slow_replies());
                state = self.state();
                self.look_while_draining(&mut state, partitions);
            }
            let running = state.partitions.running(partitions);
            let left = until.saturating_duration_since(now);
            state.is_draining = running > 0 && !left.is_zero();
            if !state.is_draining {
                return (state.partitions.due_commits_of(partitions), running);
            }
            let waited = self.ended.wait_timeout(state, left.min(DRAIN_LOOKS_EVERY));
            state = waited.unpoisoned().0;
        }
    }

    /// Does what the consumer thread cannot do while it drains, and what tasks may be kept from doing.
    fn look_while_draining(self: &Arc<Self>, state: &mut State, partitions: &[i32]) {
        self.take_back_all(state);
        state.forget(partitions);
        self.end(state, self.take_delivered());
        self.start_one_more(state);
    }

    /// Ends the assignment of these partitions: what still runs counts for nothing any more.
    pub(crate) fn revoke(&self, partitions: &[i32]) {
        let mut state = self.state();
        self.take_back_all(&mut state);
        let uncommitted = state.partitions.uncommitted(partitions);
        for partition in partitions {
            state.partitions.revoke(*partition);
        }
        state.forget(partitions);
        self.metrics.held.set(state.partitions.held());
        self.metrics.paused.set(state.partitions.paused());
        drop(state);
        self.metrics.redelivered.increment(uncommitted as u64);
    }

    /// The same, where nothing more can be committed of them.
    pub(crate) fn lose(&self, partitions: &[i32]) {
        self.count_redelivered(partitions);
        self.revoke(partitions);
    }

    /// Counts what may be committed of these partitions, and will be delivered again: there is no commit of it that worked.
    pub(crate) fn count_redelivered(&self, partitions: &[i32]) -> usize {
        let finished = self.state().partitions.finished_since_commit(partitions);
        self.metrics.redelivered.increment(finished as u64);
        finished
    }

    /// How far each partition has been read, as far as anything was taken.
    pub(super) fn positions(&self) -> Vec<(i32, Option<i64>)> {
        self.state().partitions.positions()
    }

    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.state().partitions.assigned()
    }

    /// How many records were finished since the last commit.
    pub(crate) fn finished(&self) -> usize {
        self.finished.load(Ordering::Relaxed)
    }

    /// What is to be committed now.
    pub(crate) fn due_commits(&self) -> Vec<Watermark> {
        self.finished.store(0, Ordering::Relaxed);
        self.state().partitions.due_commits()
    }

    /// Notes that a commit has worked.
    pub(crate) fn committed(&self, watermarks: &[Watermark]) {
        self.state().partitions.committed(watermarks);
    }
}
