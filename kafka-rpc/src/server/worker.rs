//! Runs the records of a subscription and sends what they lead to.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time};
use tokio_util::task::TaskTracker;

use super::{
    Served,
    handle::Handling,
    lanes::{Job, Lanes},
    outcome::Outcome,
    partitions::{Bounds, Generation, Partitions},
    received::Received,
};
use crate::{
    Config, RpcError,
    producer::{DeliveryError, Producer, Refusal},
    wire::{Dialect, OutgoingRecord, clock, reply},
};

/// How long a reply that cannot be delivered for now is left alone before it is sent again.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A subscription at work: what the consumer thread and the handlers share.
pub(crate) struct Worker {
    pub(crate) served: Served,
    handling: Arc<Handling>,
    producer: Arc<Producer>,
    runtime: Handle,
    tasks: TaskTracker,
    state: Mutex<State>,
    /// Told whenever a handler ends, for whoever drains.
    ended: Condvar,
    /// How many records were finished since the last commit.
    finished: AtomicUsize,
}

struct State {
    partitions: Partitions,
    lanes: Lanes<Task>,
}

/// A record that was taken, in the assignment it was taken in.
struct Task {
    record: Received,
    generation: Generation,
}

impl Worker {
    pub(crate) fn new(
        served: Served,
        handling: Arc<Handling>,
        producer: Arc<Producer>,
        config: &Config,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let bounds = Bounds { uncommitted: config.max_uncommitted, bytes: config.max_buffered_bytes };
        let lanes = Lanes::new(served.ordering, served.concurrency);
        Arc::new(Self {
            served,
            handling,
            producer,
            runtime: Handle::current(),
            tasks,
            state: Mutex::new(State { partitions: Partitions::new(bounds), lanes }),
            ended: Condvar::new(),
            finished: AtomicUsize::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
        let job = state.lanes.push(partition, key.as_ref(), Task { record, generation });
        let pause = state.partitions.must_pause(partition);
        drop(state);
        if let Some(job) = job {
            self.tasks.spawn_on(Arc::clone(self).work(job), &self.runtime);
        }
        pause
    }

    /// Runs a job, and then whichever takes its place, until none does.
    async fn work(self: Arc<Self>, mut job: Job<Task>) {
        loop {
            let Job { lane, item: Task { record, generation } } = job;
            let partition = record.partition;
            let held = {
                let mut state = self.state();
                state.partitions.start(partition, generation);
                state.partitions.holds(partition, generation)
            };
            // What was revoked while it waited is somebody else's now.
            let is_final = held && self.run(&record, generation).await;
            let next = {
                let mut state = self.state();
                state.partitions.end(partition, generation, record.offset, record.weight(), is_final);
                state.lanes.finish(lane)
            };
            if is_final {
                self.finished.fetch_add(1, Ordering::Relaxed);
            }
            self.ended.notify_all();
            match next {
                Some(next) => job = next,
                None => return,
            }
        }
    }

    /// Takes a record to its end; true once its outcome is final, which is what lets its offset be committed.
    async fn run(self: &Arc<Self>, record: &Received, generation: Generation) -> bool {
        match self.handling.handle(&self.served, record).await {
            Outcome::Handled => true,
            Outcome::Expired => {
                tracing::debug!(
                    topic = %record.topic, partition = record.partition, offset = record.offset,
                    "a request expired before its handler started"
                );
                true
            }
            Outcome::Reply(reply) => self.reply(record, generation, reply).await,
            // The dead-letter topic takes its place here: acknowledged there, the record is final.
            Outcome::Failed(error) => {
                tracing::error!(
                    topic = %record.topic, partition = record.partition, offset = record.offset,
                    status = error.status().as_u16(), name = error.name(),
                    "a record cannot be handled, and nobody waits for a reply: it is dropped"
                );
                true
            }
        }
    }

    /// Sends a reply until it is acknowledged, or refused for good, or the partition has gone.
    async fn reply(
        self: &Arc<Self>,
        record: &Received,
        generation: Generation,
        mut reply: OutgoingRecord,
    ) -> bool {
        loop {
            match self.producer.deliver(&reply).await {
                Ok(()) => return true,
                Err(DeliveryError { kind: Refusal::ForNow, reason }) => {
                    tracing::warn!(
                        topic = %reply.topic, partition = record.partition, offset = record.offset, %reason,
                        "a reply could not be delivered; its record stays uncommitted, and it is sent again"
                    );
                    time::sleep(SEND_AGAIN_AFTER).await;
                    if !self.state().partitions.holds(record.partition, generation) {
                        return false;
                    }
                }
                Err(DeliveryError { kind: Refusal::TooLarge, reason }) if !is_error(&reply) => {
                    tracing::error!(
                        topic = %reply.topic, partition = record.partition, offset = record.offset, %reason,
                        "a reply is larger than the broker takes; the caller gets an error instead"
                    );
                    let error = RpcError::internal("the reply is larger than the broker takes")
                        .with_name("ReplyTooLarge");
                    reply = replaced(reply, &error);
                }
                Err(DeliveryError { reason, .. }) => {
                    tracing::error!(
                        topic = %reply.topic, partition = record.partition, offset = record.offset, %reason,
                        "a reply was refused for good"
                    );
                    return true;
                }
            }
        }
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
        for partition in partitions {
            state.partitions.revoke(*partition);
        }
        state.lanes.retain(|task| !partitions.contains(&task.record.partition));
    }

    pub(crate) fn assigned(&self) -> Vec<i32> {
        self.state().partitions.assigned()
    }

    pub(crate) fn may_resume(&self) -> Vec<i32> {
        self.state().partitions.may_resume()
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
}

fn is_error(reply: &OutgoingRecord) -> bool {
    reply.value.as_ref().is_some_and(|value| value.starts_with(br#"{"success":false"#))
}

fn replaced(reply: OutgoingRecord, error: &RpcError) -> OutgoingRecord {
    let Dialect::Reference = Dialect::default();
    OutgoingRecord { value: Some(reply::encode_failure(error, clock::now_millis())), ..reply }
}
