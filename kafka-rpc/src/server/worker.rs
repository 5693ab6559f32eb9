//! Runs the records of a subscription and does what they lead to.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Served,
    assigned::Generation,
    delivery::Sent,
    handle::Handling,
    held::Held,
    intake::Intake,
    lanes::{Job, Keys, Lanes},
    on_the_way::OnTheWay,
    outcome::Outcome,
    pack::Packed,
    partitions::Partitions,
    pausing::Bounds,
    refused,
    runners::{EndedJob, Runners},
};
use crate::{
    Config, RpcError,
    caught::caught,
    handler::context::Input,
    producer::Producer,
    telemetry::{self, Count, SubscriptionMetrics},
    wire::{OutgoingRecord, Received, retry},
};

/// How long a record of the retry topic may wait where a handler's policy does not say.
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24);

/// How far the clocks of hosts may differ before what they say is nonsense.
const CLOCKS: Duration = Duration::from_mins(1);

/// Up to which age a record that has expired is a riddle.
const FRESH: Duration = Duration::from_secs(1);

/// A subscription at work: what the consumer thread and the handlers share.
pub(crate) struct Worker {
    pub(crate) served: Served,
    /// The topic that is read: the subscription's own, or its retry topic.
    pub(crate) source: Arc<str>,
    /// How long a record of the retry topic waits at most, whatever it says.
    longest_delay: Duration,
    /// After how long a handler is reported.
    slow_handler: Duration,
    pub(super) handling: Arc<Handling>,
    pub(super) producer: Arc<Producer>,
    pub(super) metrics: SubscriptionMetrics,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
    /// Ends what only waits, such as for a retry.
    pub(super) stopping: CancellationToken,
    pub(super) keys: Keys,
    /// What the consumer thread has received since it last took records: it alone locks it, and whoever closes the consumer.
    pub(super) intake: Mutex<Intake>,
    state: Mutex<State>,
    /// Told whenever a handler ends, for whoever drains.
    pub(super) ended: Condvar,
    /// Told when few jobs are ready, for the consumer thread.
    pub(super) few_ready: Condvar,
    /// The replies that were sent, and are not delivered yet.
    pub(super) on_the_way: OnTheWay,
    /// The jobs whose replies were delivered, and that are not ended yet.
    pub(super) delivered: Mutex<Vec<EndedJob>>,
    /// How many records were finished since the last commit.
    pub(super) finished: AtomicUsize,
    /// Whether a partition was held or may go on: the consumer thread looks only then.
    pub(super) flow_changed: AtomicBool,
}

pub(super) struct State {
    pub(super) partitions: Partitions,
    pub(super) lanes: Lanes<Task>,
    pub(super) runners: Runners,
    /// What is not to start while its partition is held.
    pub(super) aside: Vec<Job<Task>>,
    /// Whether somebody waits for handlers to end.
    pub(super) is_draining: bool,
    /// Whether the consumer thread waits until few jobs are ready.
    pub(super) awaits_few_ready: bool,
}

/// A record that was taken, in the assignment it was taken in.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) record: Packed,
    pub(super) generation: Generation,
    /// How often this process has tried it again.
    pub(super) retries: u32,
}

/// What a run of a record leads to.
pub(super) enum Step {
    /// Its outcome is final: its offset may be committed.
    Final,
    /// Somebody waits for this: its outcome is final once it is delivered.
    Reply(Arc<OutgoingRecord>),
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
        let runtime = Handle::current();
        let state = State {
            partitions: Partitions::new(Arc::clone(&source), Arc::clone(&served.group), bounds),
            lanes: Lanes::new(served.concurrency),
            runners: Runners::new(runtime.metrics().num_workers()),
            aside: Vec::new(),
            is_draining: false,
            awaits_few_ready: false,
        };
        Arc::new(Self {
            metrics: SubscriptionMetrics::new(&served.topic, &served.group),
            keys: Keys::new(served.ordering),
            longest_delay: served.dispatch.longest_delay().unwrap_or(LONGEST_DELAY),
            slow_handler: config.slow_handler,
            served,
            source,
            handling,
            producer,
            runtime,
            tasks,
            stopping,
            intake: Mutex::default(),
            state: Mutex::new(state),
            ended: Condvar::new(),
            few_ready: Condvar::new(),
            on_the_way: OnTheWay::default(),
            delivered: Mutex::default(),
            finished: AtomicUsize::new(0),
            flow_changed: AtomicBool::new(false),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a record, whatever panics on its way: what is not caught would keep its lane and its place for ever.
    ///
    /// `input` is where it is unpacked, in the place of the one before.
    pub(super) async fn run_caught(self: &Arc<Self>, task: &Task, input: &mut Arc<Input>) -> Step {
        match AssertUnwindSafe(self.run(task, input)).catch_unwind().await {
            Ok(step) => step,
            Err(_panic) => {
                // It may be the log that panics.
                caught("what hears of a panic", || {
                    tracing::error!(
                        topic = %self.source, partition = task.record.partition(),
                        offset = task.record.offset(), group = %self.served.group,
                        "a panic beside a handler; its record goes to the dead-letter topic"
                    );
                });
                let error = RpcError::internal("a panic beside the handler");
                let failed = async { self.fail(task, &task.record.unpack(), error).await };
                Box::pin(self.caught_or_left(task, failed)).await
            }
        }
    }

    /// What is left to do for a record; where that panics too, it is read again, with all that is not finished.
    pub(super) async fn caught_or_left(&self, task: &Task, rest: impl Future<Output = Step>) -> Step {
        AssertUnwindSafe(rest).catch_unwind().await.unwrap_or_else(|_panic| {
            self.state().partitions.go_back(task.record.partition(), task.generation);
            self.flow_has_changed();
            Step::Left
        })
    }

    /// Runs a record, and does what it leads to.
    ///
    /// What it seldom leads to is in boxes: every handler that waits would keep room for all of that.
    async fn run(self: &Arc<Self>, task: &Task, input: &mut Arc<Input>) -> Step {
        match Arc::get_mut(input) {
            Some(before) => task.record.unpack_into(&mut before.record),
            // Whoever reports a handler that runs for long reads of it.
            None => *input = Arc::new(self.handling.input(&self.served, task.record.unpack())),
        }
        let record = &input.record;
        if let Some(wait) = self.not_yet_due(record) {
            return Step::Again(wait);
        }
        match self.handling.handle(&self.served, input, task.retries).await {
            Outcome::Handled => done(&self.metrics.handled),
            Outcome::Expired => {
                tracing::debug!(
                    topic = %record.topic, partition = record.partition, offset = record.offset,
                    group = %self.served.group, "expired"
                );
                warn_of_clocks(record, &self.served.group);
                done(&self.metrics.expired)
            }
            Outcome::Reply(reply) => Step::Reply(reply),
            Outcome::ErrorReply { reply, failed } => {
                self.report_answered(task, record, &failed);
                Step::Reply(reply)
            }
            Outcome::Retry { after, failed } => {
                self.metrics.retried.increment(1);
                let what = "a record failed, and is tried again in the process";
                self.report(task, record, &failed, what);
                Step::Again(after)
            }
            Outcome::RetryLater { record: again, failed } => {
                let what = "a record failed, and is tried again through the retry topic";
                self.report(task, record, &failed, what);
                match Box::pin(self.send_retry(task, again)).await {
                    Sent::Refused(_told) => Box::pin(self.fail(task, record, failed.error)).await,
                    Sent::Done => done(&self.metrics.retried_later),
                    // Only a reply expires on its way.
                    Sent::Left | Sent::Expired => Step::Left,
                }
            }
            Outcome::DeadLetter { letter, reply, failed } => {
                let what = "a record failed for good, and goes to the dead-letter topic";
                self.report(task, record, &failed, what);
                Box::pin(self.tell_of_failure(task, Some(letter), reply)).await
            }
            Outcome::Discarded(failed) => {
                let what = "a record failed for good, and is discarded: there is no dead-letter topic for it";
                self.report(task, record, &failed, what);
                done(&self.metrics.discarded)
            }
        }
    }

    /// Sends a reply, as often as it takes.
    pub(super) async fn reply<'a>(
        self: &'a Arc<Self>,
        task: &'a Task,
        reply: &Arc<OutgoingRecord>,
        held: Option<Held<'a>>,
    ) -> Step {
        match self.send_reply(task, reply, held).await {
            Sent::Done => done(&self.metrics.replied),
            Sent::Left => Step::Left,
            Sent::Expired => done(&self.metrics.expired),
            Sent::Refused(refusal) => self.dead_letter_refused(task, reply, refusal).await,
        }
    }

    /// Gives up a record outside its run: its retry was refused for good, such as for its size, or something panicked.
    async fn fail(self: &Arc<Self>, task: &Task, record: &Received, error: RpcError) -> Step {
        let reply = refused::error_reply(&self.served, record, &error).filter(|reply| self.may_reply(reply));
        self.tell_of_failure(task, refused::letter(&self.served, record, task.retries, error), reply).await
    }

    /// Whether this may be answered: what has panicked may be before that was asked.
    fn may_reply(&self, reply: &OutgoingRecord) -> bool {
        self.served.reply_topic.is_some() && self.handling.reply_topics.allows(&self.served, &reply.topic)
    }

    /// Tells of a record that has failed for good, by a letter and a reply where there is one.
    async fn tell_of_failure(
        self: &Arc<Self>,
        task: &Task,
        letter: Option<Arc<OutgoingRecord>>,
        reply: Option<Arc<OutgoingRecord>>,
    ) -> Step {
        let mut counter = None;
        // The letter first: once the caller has its answer, it may look for it.
        if let Some(letter) = letter {
            counter = self.deliver_letter(task, letter).await;
            if counter.is_none() {
                return Step::Left;
            }
        }
        if let Some(reply) = reply {
            match self.send_reply(task, &reply, None).await {
                Sent::Left => return Step::Left,
                Sent::Done => counter = counter.or(Some(&self.metrics.replied)),
                Sent::Refused(_) | Sent::Expired => {}
            }
        }
        done(counter.unwrap_or(&self.metrics.discarded))
    }

    /// A reply that was refused for good is not silence: it is a dead letter.
    async fn dead_letter_refused(
        self: &Arc<Self>,
        task: &Task,
        reply: &OutgoingRecord,
        refusal: RpcError,
    ) -> Step {
        let record = task.record.unpack();
        let error = refused::undelivered(&self.served, &record, reply, refusal);
        match refused::letter(&self.served, &record, task.retries, error) {
            Some(letter) => self.deliver_letter(task, letter).await.map_or(Step::Left, done),
            None => done(&self.metrics.discarded),
        }
    }

    /// Sends a dead letter; gives what counts its record, or `None` where its partition went.
    ///
    /// A letter that is refused for good, such as for the rules of its topic, stops no partition: whoever writes such records
    /// could stop any.
    async fn deliver_letter(self: &Arc<Self>, task: &Task, letter: Arc<OutgoingRecord>) -> Option<&Count> {
        match self.send_letter(task, letter).await {
            Sent::Done => Some(&self.metrics.dead_lettered),
            Sent::Left | Sent::Expired => None,
            Sent::Refused(_told) => {
                tracing::error!(
                    topic = %self.source, partition = task.record.partition(), offset = task.record.offset(),
                    group = %self.served.group,
                    "the dead letter of a record was refused for good: it is nowhere but in its topic"
                );
                Some(&self.metrics.lost)
            }
        }
    }

    /// Whether it is the retry topic that is read.
    pub(super) fn reads_retries(&self) -> bool {
        self.source != self.served.topic
    }

    /// How long a record of the retry topic has still to wait.
    fn not_yet_due(&self, record: &Received) -> Option<Duration> {
        if !self.reads_retries() {
            return None;
        }
        let due = retry::due(record.headers.as_ref().ok()?)?;
        let wait = due.duration_since(SystemTime::now()).ok()?;
        // One that is due later was not written by us, or by another clock: what is behind it must not wait for that.
        (!wait.is_zero() && wait <= self.longest_delay.saturating_add(CLOCKS)).then_some(wait)
    }

    /// Reports the handlers that have run for longer than they should, by name.
    pub(crate) fn report_slow(&self) {
        for slow in self.handling.watch.longer_than(self.slow_handler) {
            let record = &slow.input.record;
            telemetry::slow(&record.topic, &slow.input.group);
            tracing::warn!(
                handler = %slow.handler, topic = %record.topic, partition = record.partition,
                offset = record.offset, group = %slow.input.group,
                running_for_at_least = ?slow.seen_for,
                "a handler runs for long; its key waits for it"
            );
        }
    }
}

fn done(counter: &Count) -> Step {
    counter.increment(1);
    Step::Final
}

/// A record that was made just now and has expired already was made by another clock than ours, or for a caller who
/// could not wait at all.
fn warn_of_clocks(record: &Received, group: &str) {
    let age = record.timestamp.and_then(|made| SystemTime::now().duration_since(made).ok());
    if age.is_none_or(|age| age < FRESH) {
        tracing::warn!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group, ?age,
            "a fresh request had expired when it came; do the clocks of this host and its caller agree?"
        );
    }
}
