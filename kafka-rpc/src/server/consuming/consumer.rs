//! The consumer thread of a subscription: it never stops polling, and asks for commits.
//!
//! librdkafka reports assignment changes inside `poll()`, on this thread, and while the consumer is dropped,
//! on whichever thread drops it last. The last commit of revoked partitions waits for the commit in flight,
//! so the two never race.

use std::{
    mem,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, Timestamp, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    commits::Commits,
    consumer_errors,
    flow::{Flow, Room},
    pack::Place,
    packing::Packing,
    pauses::Pauses,
    reassign,
    rebalance::Rebalances,
};
use crate::{
    Config, Error,
    caught::caught,
    kafka,
    repeats::Repeats,
    server::{tracking::pausing::Paused, worker::Worker},
};

/// How often watermarks are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How many finished records make a commit due sooner.
const COMMIT_AFTER: usize = 1_000;

/// The least time between two commits. A thousand a second would load client and broker for nothing: a crash
/// redelivers some records anyway.
const COMMIT_NOT_BEFORE: Duration = Duration::from_millis(10);

/// How long a closing consumer waits for the answer to the commit in flight.
const LAST_COMMIT_ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// How long a poll waits for a record: the grain of commits, resumption and shutdown.
const POLL_FOR: Duration = Duration::from_millis(50);

/// How many records are taken at most before the thread turns to its other work.
const BATCH: usize = 256;

/// librdkafka silently drops a resume that another operation on the partition overtakes. So each resume is
/// repeated after this; repeating one that worked does nothing.
const RESUME_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Timeout of a seek.
const SEEK_FOR: Duration = Duration::from_secs(1);

/// Delay before a failed seek is tried again.
const GO_BACK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Makes a consumer a static member of its group, which may be away for a while without a rebalance.
const INSTANCE_ID: &str = "group.instance.id";

/// How often the thread checks whether handlers that do not yield keep others from starting.
const UNBLOCK_EVERY: Duration = Duration::from_millis(50);

/// How often the thread looks for slow handlers and slow replies.
const REPORT_SLOW_EVERY: Duration = Duration::from_millis(250);

/// The runtime's handle to a consumer thread.
pub(crate) struct ConsumerThread {
    stopped_at: Arc<OnceLock<Instant>>,
    ended: oneshot::Receiver<()>,
    name: String,
}

impl ConsumerThread {
    /// Creates the consumer and starts its thread. An error that ends the thread is sent to `failed`.
    pub(crate) fn start(
        config: &Config,
        worker: Arc<Worker>,
        failed: mpsc::UnboundedSender<Error>,
    ) -> Result<Self, Error> {
        let name = format!("{} ({})", worker.source, worker.served.group);
        let (commits, stopped_at) = (Arc::<Commits>::default(), Arc::<OnceLock<Instant>>::default());
        let context = Rebalances::new(
            Arc::clone(&worker),
            Arc::clone(&commits),
            config.drain_timeout,
            Arc::clone(&stopped_at),
        );
        let mut properties = kafka::consumer_config(config, &worker.served.group);
        if let Some(instance) = config.properties.get(INSTANCE_ID) {
            // Each topic has a separate consumer; two with one id in one group would fence each other.
            properties.set(INSTANCE_ID, format!("{instance}-{}", worker.source));
        }
        let consumer: BaseConsumer<Rebalances> = properties
            .create_with_context(context)
            .map_err(|error| kafka::creation_error("a consumer", &error))?;
        consumer.subscribe(&[&worker.source]).map_err(|error| Error::Kafka {
            action: format!("subscribing to {name}"),
            reason: error.to_string(),
        })?;
        let (tell, ended) = oneshot::channel();
        let polling = Polling {
            consumer: Arc::new(consumer),
            commits,
            worker: Arc::clone(&worker),
            stopped_at: Arc::clone(&stopped_at),
            committed_at: Instant::now(),
            unblocked_at: Instant::now(),
            reported_at: Instant::now(),
            resumed: Vec::new(),
            resumed_at: Instant::now(),
            go_back_from: Instant::now(),
            pauses: Pauses::new(),
            repeats: Repeats::default(),
        };
        thread::Builder::new()
            .name("kafka-rpc-consumer".to_owned())
            .spawn(move || {
                polling.run_to_its_end(|error| {
                    consumer_errors::lose_and_report(&worker, &error);
                    let _nobody_listens = failed.send(error);
                });
                let _nobody_waits = tell.send(());
            })
            .map_err(consumer_errors::no_thread)?;
        Ok(Self { stopped_at, ended, name })
    }

    /// Asks the thread to drain, commit and leave.
    pub(crate) fn stop(&self) {
        let _told_before = self.stopped_at.set(Instant::now());
    }

    /// Waits until the thread has ended, for at most `within`: closing a consumer can hang in librdkafka.
    pub(crate) async fn ended(self, within: Duration) {
        if tokio::time::timeout(within, self.ended).await.is_err() {
            tracing::error!(
                subscription = %self.name,
                "the consumer did not close within {within:?}; its group waits until its session times out"
            );
        }
    }
}

struct Polling {
    consumer: Arc<BaseConsumer<Rebalances>>,
    commits: Arc<Commits>,
    worker: Arc<Worker>,
    stopped_at: Arc<OnceLock<Instant>>,
    committed_at: Instant,
    unblocked_at: Instant,
    reported_at: Instant,
    /// The partitions whose resume is to be repeated.
    resumed: Vec<i32>,
    /// When the first of them was resumed.
    resumed_at: Instant,
    /// The earliest time of the next seek.
    go_back_from: Instant,
    pauses: Pauses,
    repeats: Repeats,
}

impl Polling {
    /// Polls until the thread is stopped or cannot continue, which `tell` reports; then closes the consumer.
    fn run_to_its_end(mut self, tell: impl FnOnce(Error)) {
        // Not in `start`: the commit thread also holds the consumer, which nobody would close if this thread
        // could not be started.
        if let Err(error) = self.commits.start(Arc::clone(&self.consumer), Arc::clone(&self.worker)) {
            return tell(consumer_errors::no_thread(error));
        }
        let worker = Arc::clone(&self.worker);
        let ended = caught("a consumer thread", || self.run());
        // A consumer whose thread has panicked is still in its group.
        if !matches!(ended, Some(Err(_))) {
            caught("giving up the partitions of a consumer", || self.drain());
        }
        let ended = ended.unwrap_or_else(|| {
            let Worker { source, served, .. } = &*worker;
            Err(Error::Panicked {
                what: format!("the thread that consumes `{source}` in group `{}`", served.group),
            })
        });
        // Before the consumer is closed: closing can hang.
        if let Err(error) = ended {
            tell(error);
        }
        if !self.commits.close(LAST_COMMIT_ANSWERED_WITHIN) {
            caught("logging an unanswered commit", || {
                tracing::error!(
                    topic = %worker.source, group = %worker.served.group,
                    "the group's coordinator does not answer a commit; the consumer stays in the group until it does"
                );
            });
        }
        caught("closing a consumer", || drop(self));
    }

    fn run(&mut self) -> Result<(), Error> {
        while self.stopped_at.get().is_none() {
            let queue_is_empty = self.take_what_is_there()?;
            if queue_is_empty {
                reassign::fetch_offsets_that_lack(&self.consumer, &self.worker);
            }
            self.worker.start_a_runner_if_wanted();
            self.flow();
            self.commit_if_due();
            self.look_after_handlers();
            self.worker.wait_for_runners();
        }
        Ok(())
    }

    /// Waits for a record, and takes it with those that have already arrived. Returns whether a poll found no
    /// more.
    fn take_what_is_there(&mut self) -> Result<bool, Error> {
        let mut queue_is_empty = false;
        let mut wait = POLL_FOR;
        let Room { records, bytes: most_bytes } = self.worker.room();
        let mut bytes = 0;
        for _ in 0..BATCH.min(records) {
            match self.consumer.poll(wait) {
                None => {
                    queue_is_empty = true;
                    break;
                }
                Some(Ok(message)) => {
                    // Packing copies the message: a message that is kept keeps the consumer from closing.
                    bytes += self.worker.receive(|packing| pack(packing, &message));
                    if bytes >= most_bytes {
                        break;
                    }
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => return Err(self.fatal(code)),
                Some(Err(error)) => {
                    let reason = self.consumer.context().last_reason.get();
                    consumer_errors::report(&self.worker, &self.repeats, &error, &reason);
                }
            }
            wait = Duration::ZERO;
        }
        self.worker.take_received();
        Ok(queue_is_empty)
    }

    fn fatal(&self, code: RDKafkaErrorCode) -> Error {
        let reason = self.consumer.client().fatal_error().map_or_else(|| code.to_string(), |(_, text)| text);
        consumer_errors::cannot_go_on(&self.worker, reason)
    }

    fn pause(&mut self, paused: &Paused) {
        self.pauses.begin(&self.worker, &self.repeats, paused);
        self.of_assigned("pausing", &[paused.partition], |list| self.consumer.pause(list));
    }

    /// Has unfinished records delivered again. librdkafka drops what it fetched before the seek, and the
    /// worker what was taken.
    fn go_back(&mut self, partition: i32, offset: i64) {
        let (topic, group) = (&self.worker.source, &self.worker.served.group);
        match self.consumer.seek(topic, partition, Offset::Offset(offset), SEEK_FOR) {
            Ok(()) => {
                self.worker.has_gone_back(partition);
                tracing::warn!(
                    %topic, partition, offset, %group,
                    "sought back: records from this offset on are read again"
                );
            }
            Err(error) => {
                self.go_back_from = Instant::now() + GO_BACK_AGAIN_AFTER;
                self.worker.flow_has_changed();
                tracing::warn!(%topic, partition, offset, %group, %error, "seeking back failed; it is tried again");
            }
        }
    }

    fn flow(&mut self) {
        if !self.resumed.is_empty() && self.resumed_at.elapsed() >= RESUME_AGAIN_AFTER {
            let again = self.worker.flowing(mem::take(&mut self.resumed));
            self.of_assigned("resuming again", &again, |list| self.consumer.resume(list));
        }
        let Flow { back, pause, resume } = self.worker.flow();
        for (partition, offset) in back {
            if Instant::now() >= self.go_back_from {
                self.go_back(partition, offset);
            } else {
                self.worker.flow_has_changed();
            }
        }
        for partition in pause {
            self.pause(&partition);
        }
        if !resume.is_empty() {
            self.pauses.end(&self.worker, &resume);
            self.of_assigned("resuming", &resume, |list| self.consumer.resume(list));
            if self.resumed.is_empty() {
                self.resumed_at = Instant::now();
            }
            self.resumed.extend(resume);
            self.resumed.sort_unstable();
            self.resumed.dedup();
        }
    }

    /// Runs on this thread and not in a task: a handler that never yields would keep the task from running.
    fn look_after_handlers(&mut self) {
        if self.unblocked_at.elapsed() >= UNBLOCK_EVERY {
            self.unblocked_at = Instant::now();
            self.worker.unblock();
        }
        if self.reported_at.elapsed() >= REPORT_SLOW_EVERY {
            self.reported_at = Instant::now();
            self.worker.report_slow();
            self.worker.see_to_slow_replies();
            self.pauses.tell_of_lasting(&self.worker);
        }
    }

    fn of_assigned(
        &self,
        what: &str,
        partitions: &[i32],
        act: impl FnOnce(&TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        if partitions.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.worker.source, *partition);
        }
        if let Err(error) = act(&list) {
            // The partition was revoked meanwhile. Its next assignment pauses or resumes it.
            tracing::warn!(
                topic = %self.worker.source, group = %self.worker.served.group, ?partitions, %error, "{what} failed"
            );
        }
    }

    fn commit_if_due(&mut self) {
        let since = self.committed_at.elapsed();
        let is_due = since >= COMMIT_EVERY || self.worker.finished() >= COMMIT_AFTER;
        if !is_due || since < COMMIT_NOT_BEFORE || !self.commits.may_ask() {
            return;
        }
        if let Some(failed) = self.commits.failed() {
            consumer_errors::report_commit(&self.worker, &self.repeats, &failed);
        }
        self.committed_at = Instant::now();
        let watermarks = self.worker.due_commits();
        if !watermarks.is_empty() {
            self.commits.ask(watermarks);
        }
    }

    /// Drains and commits before the consumer is dropped and so leaves its group: finished records can be
    /// committed only while their partitions are ours.
    fn drain(&self) {
        self.consumer.context().give_up(&self.worker.assigned());
    }
}

/// Packs a record and returns its weight.
fn pack(packing: &mut Packing, message: &BorrowedMessage<'_>) -> usize {
    let timestamp = message.timestamp();
    let place = Place {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: timestamp.to_millis().unwrap_or(-1),
        is_append_time: matches!(timestamp, Timestamp::LogAppendTime(_)),
    };
    packing.add(place, message.key(), message.payload(), |each| kafka::read_headers(message, each))
}
