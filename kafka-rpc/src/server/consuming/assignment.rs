//! Begins, drains and ends the assignment of partitions.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::{
    caught::caught,
    moment,
    server::{
        job::Taken,
        tracking::watermarks::Watermark,
        worker::{State, Worker},
    },
    unpoisoned::Unpoisoned as _,
};

/// How often a drain checks whether handlers hold up the jobs that were taken with them.
const DRAIN_LOOKS_EVERY: Duration = Duration::from_millis(50);

impl Worker {
    /// Begins to take records of these partitions.
    pub(super) fn assign(&self, partitions: impl Iterator<Item = i32>) {
        let mut state = self.state();
        for partition in partitions {
            state.partitions.assign(partition);
        }
        self.metrics.assigned.set(state.partitions.assigned().len());
        drop(state);
        // A partition that was revoked while it was paused must be resumed.
        self.flow_has_changed();
    }

    /// Drops the waiting records of these partitions, which are about to be revoked, and lets running
    /// handlers end, for at most `within`. Blocks.
    ///
    /// Returns the watermarks to commit, and how many handlers still ran when the time was up.
    pub(super) fn drain(self: &Arc<Self>, partitions: &[i32], within: Duration) -> (Vec<Watermark>, usize) {
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
                // The consumer thread, which otherwise looks for slow handlers and replies, is blocked in
                // this drain, and one of them may be what the drain waits for.
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

    /// Ends the jobs that have ended and are not noted as such yet.
    fn end_what_has_ended(&self, state: &mut State) {
        self.take_back_all(state);
        self.end(state, self.take_delivered());
    }

    /// Does what the consumer thread cannot do while it drains, and what blocked tasks may not get to.
    fn look_while_draining(self: &Arc<Self>, state: &mut State, partitions: &[i32]) {
        self.end_what_has_ended(state);
        state.forget(partitions);
        self.start_one_more(state);
    }

    /// Ends the assignment of these partitions: handlers that still run no longer count. Counts the records
    /// that will be delivered again, and returns how many of them are finished: no commit of them has worked.
    pub(super) fn revoke(&self, partitions: &[i32]) -> usize {
        let mut state = self.state();
        // What has ended is counted as such before the rest is.
        self.end_what_has_ended(&mut state);
        let finished = state.partitions.finished_since_commit(partitions);
        let uncommitted = state.partitions.uncommitted(partitions);
        for partition in partitions {
            state.partitions.revoke(*partition);
        }
        state.forget(partitions);
        self.metrics.assigned.set(state.partitions.assigned().len());
        self.metrics.held.set(state.partitions.held());
        self.metrics.paused.set(state.partitions.paused());
        drop(state);
        self.metrics.redelivered.increment((finished + uncommitted) as u64);
        finished
    }

    /// How far each partition has been read: its next offset, if any record of it was taken.
    pub(super) fn positions(&self) -> Vec<(i32, Option<i64>)> {
        self.state().partitions.positions()
    }

    pub(super) fn assigned(&self) -> Vec<i32> {
        self.state().partitions.assigned()
    }

    /// How many records were finished since the last commit.
    pub(super) fn finished(&self) -> usize {
        self.finished.load(Ordering::Relaxed)
    }

    /// The watermarks to commit now.
    pub(super) fn due_commits(&self) -> Vec<Watermark> {
        self.finished.store(0, Ordering::Relaxed);
        self.state().partitions.due_commits()
    }

    /// Notes that these watermarks have been committed.
    pub(super) fn committed(&self, watermarks: &[Watermark]) {
        self.state().partitions.committed(watermarks);
    }
}

impl State {
    /// Drops the waiting records of these partitions.
    fn forget(&mut self, partitions: &[i32]) {
        let goes = |taken: &Taken| partitions.contains(&taken.record.partition());
        self.lanes.retain(|taken| !goes(taken));
        for job in self.aside.extract_if(.., |job| goes(&job.item)) {
            self.lanes.free_lane(job.lane);
        }
    }
}
