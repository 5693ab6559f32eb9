//! Who runs the jobs: a few tasks, each of which runs one job after another.
//!
//! A handler that does not have to wait costs no task and no wake-up of its own. One that has to wait keeps the task
//! it is in, and the jobs behind it are handed on to another, so that it holds none of them. A handler that never
//! yields holds one runner: there are as many as the runtime has threads, and one more comes whenever nothing has
//! moved for a while.

use std::{future::poll_fn, pin::pin, sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::{task::coop, time};

use super::{
    lanes::Job,
    worker::{State, Step, Task, Worker},
};

/// The runners of a subscription.
#[derive(Debug)]
pub(super) struct Runners {
    /// How many look for jobs at once.
    most: usize,
    /// How many do: those that run a handler which has not had to wait so far.
    active: usize,
    /// How many jobs were started, and as of the last look.
    started: u64,
    seen: u64,
}

impl Runners {
    pub(super) fn new(most: usize) -> Self {
        Self { most, active: 0, started: 0, seen: 0 }
    }
}

impl State {
    /// The next job that may run, as one that runs. Those whose partition has gone are let go.
    fn next(&mut self) -> Option<Job<Task>> {
        while let Some(job) = self.lanes.next() {
            let Task { record, generation, .. } = &job.item;
            if self.partitions.holds(record.partition, *generation) {
                self.partitions.start(record.partition, *generation);
                self.runners.started += 1;
                return Some(job);
            }
            self.lanes.finish(job.lane);
        }
        None
    }
}

impl Worker {
    /// Runs what may run: for whoever has made a job ready.
    pub(crate) fn go(self: &Arc<Self>) {
        let mut state = self.state();
        if state.lanes.has_next() && state.runners.active < state.runners.most {
            state.runners.active += 1;
            drop(state);
            self.spawn_runner();
        }
    }

    /// Starts one more runner where jobs are ready and none was started since the last look: those that run do not
    /// yield, and may wait for each other.
    pub(crate) fn unblock(self: &Arc<Self>) {
        let mut state = self.state();
        let stuck = state.lanes.has_next() && state.runners.started == state.runners.seen;
        state.runners.seen = state.runners.started;
        if stuck {
            state.runners.active += 1;
            drop(state);
            self.spawn_runner();
        }
    }

    /// A runner that is counted as active already.
    fn spawn_runner(self: &Arc<Self>) {
        self.tasks.spawn_on(Arc::clone(self).run_jobs(), &self.runtime);
    }

    async fn run_jobs(self: Arc<Self>) {
        let mut next = self.next(true, |_| {});
        while let Some(job) = next {
            let (step, has_waited) = self.run_or_hand_on(&job.item).await;
            next = match step {
                Step::Again(after) => self.park(job, after, !has_waited),
                step => self.finish(job, matches!(step, Step::Final), !has_waited),
            };
            // Handlers that never wait must not keep the thread from everybody else.
            coop::consume_budget().await;
        }
    }

    /// Runs a job, and hands the others on when it first has to wait; says whether it had to.
    async fn run_or_hand_on(self: &Arc<Self>, task: &Task) -> (Step, bool) {
        let mut run = pin!(self.run(task));
        let mut has_waited = false;
        let step = poll_fn(|cx| {
            let polled = run.as_mut().poll(cx);
            if polled.is_pending() && !has_waited {
                has_waited = true;
                self.hand_on();
            }
            polled
        });
        (step.await, has_waited)
    }

    /// Lets another runner look for jobs in this one's place, if there are any.
    fn hand_on(self: &Arc<Self>) {
        let mut state = self.state();
        if state.lanes.has_next() {
            drop(state);
            self.spawn_runner();
        } else {
            state.runners.active -= 1;
        }
    }

    /// Ends a job with `end`, and takes the next; `None` where there is none, or others see to it.
    fn next(&self, is_active: bool, end: impl FnOnce(&mut State)) -> Option<Job<Task>> {
        let mut state = self.state();
        end(&mut state);
        if !is_active {
            if state.runners.active >= state.runners.most {
                return None;
            }
            state.runners.active += 1;
        }
        let next = state.next();
        if next.is_none() {
            state.runners.active -= 1;
        }
        next
    }

    /// Ends a job; returns the one that this runner is to run next.
    fn finish(&self, job: Job<Task>, is_final: bool, is_active: bool) -> Option<Job<Task>> {
        let Job { lane, item: Task { record, generation, .. }, .. } = job;
        if is_final {
            self.finished.fetch_add(1, Ordering::Relaxed);
            self.flow_changed.store(true, Ordering::Relaxed);
        }
        self.next(is_active, |state| {
            state.partitions.end(record.partition, generation, record.offset, record.weight(), is_final);
            state.lanes.finish(lane);
            self.tell_ended(state);
        })
    }

    /// Puts a job aside for a while: its lane waits for it, and nothing else does. Returns the one that this runner
    /// is to run next.
    fn park(self: &Arc<Self>, mut job: Job<Task>, after: Duration, is_active: bool) -> Option<Job<Task>> {
        let Task { record, generation, retries } = &mut job.item;
        // What waits for its time on the retry topic is not tried again by that.
        *retries += u32::from(record.topic == self.served.topic);
        let next = self.next(is_active, |state| {
            state.partitions.end(record.partition, *generation, record.offset, record.weight(), false);
            state.lanes.park();
            self.tell_ended(state);
        });
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let waited = worker.stopping.run_until_cancelled(time::sleep(after)).await;
                worker.unpark(job, waited.is_some());
                worker.go();
            },
            &self.runtime,
        );
        next
    }

    /// Brings a parked job back, or lets it go where its partition has gone.
    fn unpark(&self, job: Job<Task>, has_waited: bool) {
        let mut state = self.state();
        if has_waited && state.partitions.holds(job.item.record.partition, job.item.generation) {
            state.lanes.unpark(job);
        } else {
            state.lanes.abandon(job.lane);
        }
    }

    /// Tells whoever drains. Nobody does in most cases, and telling nobody costs a system call too.
    fn tell_ended(&self, state: &State) {
        if state.is_draining {
            self.ended.notify_all();
        }
    }
}
