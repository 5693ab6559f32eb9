//! Runs the records of a subscription and does what they lead to.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{runtime::Handle, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Served,
    delivery::Sent,
    handle::Handling,
    lanes::{Job, Lanes},
    outcome::{self, Outcome},
    partitions::{Bounds, Generation, Partitions},
    received::Received,
};
use crate::{Config, RpcError, producer::Producer, telemetry, telemetry::SubscriptionMetrics, wire::retry};

/// Up to which age a record that has expired is a riddle.
const FRESH: Duration = Duration::from_secs(1);

/// A subscription at work: what the consumer thread and the handlers share.
pub(crate) struct Worker {
    pub(crate) served: Served,
    /// The topic that is read: the subscription's own, or its retry topic.
    pub(crate) source: Arc<str>,
    pub(super) handling: Arc<Handling>,
    pub(super) producer: Arc<Producer>,
    pub(super) metrics: SubscriptionMetrics,
    runtime: Handle,
    tasks: TaskTracker,
    /// Ends what only waits, such as for a retry.
    stopping: CancellationToken,
    state: Mutex<State>,
    /// Told whenever a handler ends, for whoever drains.
    ended: Condvar,
    /// How many records were finished since the last commit.
    finished: AtomicUsize,
    /// Whether a partition was held or may go on: the consumer thread looks only then.
    flow_changed: AtomicBool,
}

pub(super) struct State {
    pub(super) partitions: Partitions,
    lanes: Lanes<Task>,
}

/// A record that was taken, in the assignment it was taken in.
pub(super) struct Task {
    pub(super) record: Received,
    pub(super) generation: Generation,
    /// How often this process has tried it again.
    retries: u32,
}

/// What a run of a record leads to.
enum Step {
    /// Its outcome is final: its offset may be committed.
    Final,
    /// It runs once more after this.
    Again(Duration),
    /// It was given up without an outcome: somebody else gets it.
    Left,
}

impl Worker {
    pub(crate) fn new(
        served: Served,
        source: Arc<str>,
        handling: Arc<Handling>,
        producer: Arc<Producer>,
        config: &Config,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        let bounds = Bounds { uncommitted: config.max_uncommitted, bytes: config.max_buffered_bytes };
        let lanes = Lanes::new(served.ordering, served.concurrency);
        Arc::new(Self {
            metrics: SubscriptionMetrics::new(&served.topic, &served.group),
            served,
            source,
            handling,
            producer,
            runtime: Handle::current(),
            tasks,
            stopping,
            state: Mutex::new(State { partitions: Partitions::new(bounds), lanes }),
            ended: Condvar::new(),
            finished: AtomicUsize::new(0),
            flow_changed: AtomicBool::new(false),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record from the consumer; true if its partition must pause now.
    pub(crate) fn take(self: &Arc<Self>, record: Received) -> bool {
        let partition = record.partition;
        let mut state = self.state();
        let Some(generation) = state.partitions.take(partition, record.offset, record.weight()) else {
            return false;
        };
        let key = record.key.clone();
        let job = state.lanes.push(partition, key.as_ref(), Task { record, generation, retries: 0 });
        let pause = state.partitions.must_pause(partition);
        drop(state);
        self.spawn(job);
        pause
    }

    fn spawn(self: &Arc<Self>, job: Option<Job<Task>>) {
        if let Some(job) = job {
            self.tasks.spawn_on(Arc::clone(self).work(job), &self.runtime);
        }
    }

    /// Runs a job, and then whichever takes its place, until none does.
    async fn work(self: Arc<Self>, mut job: Job<Task>) {
        loop {
            let next = match self.run(&job.item).await {
                Step::Again(after) => self.park(job, after),
                step => self.finish(job, matches!(step, Step::Final)),
            };
            match next {
                Some(next) => job = next,
                None => return,
            }
        }
    }

    /// Runs a record, and does what it leads to.
    async fn run(self: &Arc<Self>, task: &Task) -> Step {
        let Task { record, generation, retries } = task;
        {
            let mut state = self.state();
            if !state.partitions.holds(record.partition, *generation) {
                return Step::Left;
            }
            state.partitions.start(record.partition, *generation);
        }
        if let Some(wait) = self.not_yet_due(record) {
            return Step::Again(wait);
        }
        match self.handling.handle(&self.served, record, *retries).await {
            Outcome::Handled => done(&self.metrics.handled),
            Outcome::Expired => {
                warn_of_clocks(record);
                done(&self.metrics.expired)
            }
            Outcome::Reply(reply) => match self.send_reply(task, reply).await {
                Sent::Done => done(&self.metrics.replied),
                Sent::Left => Step::Left,
                Sent::Refused(error) => self.dead_letter_refused(task, error).await,
            },
            Outcome::Retry { after, error } => {
                self.metrics.retried.increment(1);
                self.log_failure(record, &error, "a record failed, and is tried again in the process");
                Step::Again(after)
            }
            Outcome::RetryLater { record: again, error } => {
                self.log_failure(
                    record,
                    &error,
                    "a record failed, and is tried again through the retry topic",
                );
                match self.send_retry(task, again).await {
                    Sent::Refused(error) => self.dead_letter_refused(task, error).await,
                    sent => sent_or_left(&sent, &self.metrics.retried_later),
                }
            }
            Outcome::DeadLetter { letter, reply, error } => {
                self.log_failure(
                    record,
                    &error,
                    "a record failed for good, and goes to the dead-letter topic",
                );
                // The letter first: once the caller has its answer, it may look for it.
                if let Sent::Left = self.send_letter(task, letter).await {
                    return Step::Left;
                }
                if let Some(reply) = reply
                    && let Sent::Left = self.send_reply(task, reply).await
                {
                    return Step::Left;
                }
                done(&self.metrics.dead_lettered)
            }
            Outcome::Discarded(error) => {
                self.log_failure(
                    record,
                    &error,
                    "a record failed for good, and is discarded (`dead_letter = none`)",
                );
                done(&self.metrics.discarded)
            }
        }
    }

    /// A reply that was refused for good is not silence: it is a dead letter.
    async fn dead_letter_refused(self: &Arc<Self>, task: &Task, error: RpcError) -> Step {
        match outcome::letter(&self.served, &task.record, error) {
            Some(letter) => sent_or_left(&self.send_letter(task, letter).await, &self.metrics.dead_lettered),
            None => done(&self.metrics.discarded),
        }
    }

    /// How long a record of the retry topic has still to wait.
    fn not_yet_due(&self, record: &Received) -> Option<Duration> {
        if record.topic == self.served.topic {
            return None;
        }
        let due = retry::due(record.headers.as_ref().ok()?)?;
        due.duration_since(SystemTime::now()).ok().filter(|wait| !wait.is_zero())
    }

    fn log_failure(&self, record: &Received, error: &RpcError, what: &str) {
        tracing::warn!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
            status = error.status().as_u16(), name = error.name(),
            "{what}"
        );
    }

    /// Ends a job; returns the one that takes its place.
    fn finish(&self, job: Job<Task>, is_final: bool) -> Option<Job<Task>> {
        let Job { lane, item: Task { record, generation, .. } } = job;
        let mut state = self.state();
        state.partitions.end(record.partition, generation, record.offset, record.weight(), is_final);
        let next = state.lanes.finish(lane);
        drop(state);
        self.has_ended(is_final);
        next
    }

    fn has_ended(&self, is_final: bool) {
        if is_final {
            self.finished.fetch_add(1, Ordering::Relaxed);
            self.flow_changed.store(true, Ordering::Relaxed);
        }
        self.ended.notify_all();
    }

    /// Puts a job aside for a while: its lane waits for it, and nothing else does. Returns the one that takes its
    /// place.
    fn park(self: &Arc<Self>, mut job: Job<Task>, after: Duration) -> Option<Job<Task>> {
        let mut state = self.state();
        let Task { record, generation, retries } = &mut job.item;
        // What waits for its time on the retry topic is not tried again by that.
        *retries += u32::from(record.topic == self.served.topic);
        state.partitions.end(record.partition, *generation, record.offset, record.weight(), false);
        let next = state.lanes.park();
        drop(state);
        self.has_ended(false);
        let worker = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let waited = worker.stopping.run_until_cancelled(time::sleep(after)).await;
                let job = worker.unpark(job, waited.is_some());
                worker.spawn(job);
            },
            &self.runtime,
        );
        next
    }

    /// Brings a parked job back, or lets it go where its partition has gone; returns one that may run at once.
    fn unpark(&self, job: Job<Task>, has_waited: bool) -> Option<Job<Task>> {
        let mut state = self.state();
        if has_waited && state.partitions.holds(job.item.record.partition, job.item.generation) {
            return state.lanes.unpark(job);
        }
        state.lanes.abandon(job.lane)
    }

    /// Begins to take records of these partitions.
    pub(crate) fn assign(&self, partitions: impl Iterator<Item = i32>) {
        let now = Instant::now();
        let mut state = self.state();
        for partition in partitions {
            state.partitions.assign(partition, now);
        }
    }

    /// Forgets what waits of these partitions, and lets what runs end, for so long at most. Blocks.
    ///
    /// Returns the watermarks to commit, and how many handlers still ran when the time was up.
    pub(crate) fn drain(&self, partitions: &[i32], within: Duration) -> (Vec<(i32, i64)>, usize) {
        let until = Instant::now() + within;
        let mut state = self.state();
        state.lanes.retain(|task| !partitions.contains(&task.record.partition));
        loop {
            let running = state.partitions.running(partitions);
            let left = until.saturating_duration_since(Instant::now());
            if running == 0 || left.is_zero() {
                return (state.partitions.watermarks(partitions), running);
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the assignment of these partitions: what still runs counts for nothing any more.
    pub(crate) fn revoke(&self, partitions: &[i32]) {
        let mut state = self.state();
        let unfinished = state.partitions.unfinished(partitions);
        for partition in partitions {
            state.partitions.revoke(*partition);
        }
        state.lanes.retain(|task| !partitions.contains(&task.record.partition));
        drop(state);
        self.metrics.redelivered.increment(unfinished as u64);
    }

    /// Counts what is finished and will be delivered again: the last commit of these partitions has failed.
    pub(crate) fn commit_failed(&self, partitions: &[i32]) -> usize {
        let finished = self.state().partitions.finished_since_commit(partitions);
        self.metrics.redelivered.increment(finished as u64);
        finished
    }

    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.state().partitions.assigned()
    }

    /// Notes that the consumer thread should look at the flow.
    pub(super) fn flow_has_changed(&self) {
        self.flow_changed.store(true, Ordering::Release);
    }

    /// The partitions to pause and those to resume, if anything has changed.
    pub(crate) fn flow(&self) -> (Vec<i32>, Vec<i32>) {
        if !self.flow_changed.swap(false, Ordering::AcqRel) {
            return (Vec::new(), Vec::new());
        }
        let mut state = self.state();
        let assigned = state.partitions.assigned();
        let pause =
            assigned.into_iter().filter(|partition| state.partitions.must_pause(*partition)).collect();
        (pause, state.partitions.may_resume())
    }

    /// How many records were finished since the last commit.
    pub(crate) fn finished(&self) -> usize {
        self.finished.load(Ordering::Relaxed)
    }

    /// What is to be committed now.
    pub(crate) fn due_commits(&self) -> Vec<(i32, i64)> {
        self.finished.store(0, Ordering::Relaxed);
        self.state().partitions.due_commits(Instant::now())
    }

    /// Reports the handlers that have run for longer than this, by name.
    pub(crate) fn report_slow(&self, bound: Duration) {
        for slow in self.handling.watch.longer_than(bound) {
            telemetry::slow(&slow.topic);
            tracing::warn!(
                handler = %slow.handler, topic = %slow.topic, partition = slow.partition, offset = slow.offset,
                running_for = ?slow.since.elapsed(),
                "a handler runs for long; its key waits for it"
            );
        }
    }
}

fn done(counter: &metrics::Counter) -> Step {
    counter.increment(1);
    Step::Final
}

fn sent_or_left(sent: &Sent, counter: &metrics::Counter) -> Step {
    match sent {
        Sent::Left => Step::Left,
        Sent::Done | Sent::Refused(_) => done(counter),
    }
}

/// A record that was made just now and has expired already was made by another clock than ours, or for a caller who
/// could not wait at all.
fn warn_of_clocks(record: &Received) {
    let age = record.timestamp.and_then(|made| SystemTime::now().duration_since(made).ok());
    if age.is_none_or(|age| age < FRESH) {
        tracing::warn!(
            topic = %record.topic, partition = record.partition, offset = record.offset, ?age,
            "a fresh request had expired when it came; do the clocks of this host and its caller agree?"
        );
    }
}
