//! The jobs that wait until they are retried or due.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tokio_util::sync::CancellationToken;

use crate::server::{
    job::Job,
    worker::{State, Worker},
};

impl State {
    /// A token that is cancelled when the assignment ends that a job was taken in; `None` if it has ended.
    fn ended_with(&self, job: &Job) -> Option<CancellationToken> {
        self.partitions.ended(job.item.record.partition(), job.item.generation)
    }
}

impl Worker {
    /// Puts a job aside until it is retried: its lane waits for it, and nothing else does.
    pub(super) fn retry_after(self: &Arc<Self>, mut job: Job, after: Duration) {
        job.item.retries += 1;
        let mut state = self.state();
        state.stop(&job);
        state.lanes.free_place();
        self.notify_drain(&state);
        let Some(ended) = state.ended_with(&job) else { return state.lanes.free_lane(job.lane) };
        drop(state);
        self.after(after, ended, move |worker, has_waited| {
            let mut state = worker.state();
            let is_ours = state.is_ours(&job.item);
            if is_ours && has_waited {
                state.lanes.make_ready(job);
            } else if !is_ours {
                state.lanes.free_lane(job.lane);
            }
            // Otherwise the lane stays busy: the records behind the job must not run before it, in this
            // process or where they are delivered next.
        });
    }

    /// Puts a job off that is not due yet. Not even its lane waits for it: the records behind it may be due
    /// sooner.
    pub(super) fn run_when_due(self: &Arc<Self>, job: Job, after: Duration) {
        let mut state = self.state();
        state.stop(&job);
        state.lanes.finish(job.lane);
        self.notify_drain(&state);
        let Some(ended) = state.ended_with(&job) else { return };
        drop(state);
        self.after(after, ended, move |worker, has_waited| {
            let mut state = worker.state();
            if has_waited && state.is_ours(&job.item) {
                state.lanes.push(job.lane, job.item);
            }
        });
    }

    /// Calls `then` after `wait`, or as soon as the assignment ends or the runtime stops. `then` learns
    /// whether the wait ran to its end.
    fn after(
        self: &Arc<Self>,
        wait: Duration,
        ended: CancellationToken,
        then: impl FnOnce(&Self, bool) + Send + 'static,
    ) {
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                // A retry may be hours away, while its partition comes and goes with every rebalance.
                let waits = ended.run_until_cancelled(time::sleep(wait));
                let waited = worker.stopping.run_until_cancelled(waits).await;
                then(&worker, waited.flatten().is_some());
                worker.start_a_runner_if_wanted();
            },
            &self.runtime,
        );
    }
}
