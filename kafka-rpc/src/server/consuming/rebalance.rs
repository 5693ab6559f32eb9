//! What the consumer thread does when partitions come and go: it commits the finished records of a partition
//! that goes, before another instance gets the partition.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::KafkaError,
};

use super::commits::{Commits, Failed};
use crate::{
    config::LAST_COMMIT_WITHIN, kafka::LastReason, moment, server::worker::Worker, telemetry,
    unpoisoned::Unpoisoned as _,
};

/// What librdkafka reports (`rdkafka_assignment.c`) when it cannot fetch the committed offset of a partition.
const NO_OFFSETS: &str = "Failed to fetch committed offset";

/// Handles partitions that come and go. librdkafka calls this on the consumer thread, or on the thread that
/// closes the consumer.
pub(super) struct Rebalances {
    worker: Arc<Worker>,
    commits: Arc<Commits>,
    drain_timeout: Duration,
    started: Instant,
    /// When the consumer was asked to stop: everything given up from then on shares one drain.
    stopped_at: Arc<OnceLock<Instant>>,
    /// Whether the committed offsets of some assigned partitions could not be fetched.
    lacks_offsets: AtomicBool,
    /// When partitions last came or went, or were assigned once more.
    rebalanced_at: Mutex<Instant>,
    pub(super) last_reason: LastReason,
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        if reason.contains(NO_OFFSETS) {
            self.lack_offsets();
        }
        self.last_reason.set(reason);
        tracing::debug!(%error, reason, "a consumer reported an error");
    }
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        *self.rebalanced_at() = Instant::now();
        // Records received before the rebalance belong to the assignment as it is now.
        self.worker.take_received();
        let Rebalance::Revoke(list) = rebalance else {
            return;
        };
        let partitions = self.current(list);
        let is_lost = consumer.assignment_lost();
        tracing::info!(
            topic = %self.worker.source, group = %self.worker.served.group, ?partitions, lost = is_lost, "revoked"
        );
        if is_lost {
            self.worker.metrics.losses.increment(1);
            // Other instances have the partitions already: a commit would be refused, and waiting would only
            // add duplicates.
            tracing::warn!(
                topic = %self.worker.source, group = %self.worker.served.group, ?partitions,
                "the assignment was lost; unfinished records will be delivered again"
            );
            self.worker.revoke(&partitions);
        } else {
            self.worker.metrics.revokes.increment(1);
            self.give_up(&partitions);
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        *self.rebalanced_at() = Instant::now();
        match rebalance {
            // An incremental protocol assigns only new partitions, or even none: the partitions that we keep
            // continue as they were.
            Rebalance::Assign(list) => {
                let partitions = self.current(list);
                tracing::info!(
                    topic = %self.worker.source, group = %self.worker.served.group, ?partitions,
                    since_start = ?self.started.elapsed(), "assigned"
                );
                self.worker.metrics.assigns.increment(1);
                self.worker.assign(partitions.into_iter());
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                tracing::warn!(
                    topic = %self.worker.source, group = %self.worker.served.group, %error, "a rebalance failed"
                );
            }
        }
    }
}

impl Rebalances {
    pub(super) fn new(
        worker: Arc<Worker>,
        commits: Arc<Commits>,
        drain_timeout: Duration,
        stopped_at: Arc<OnceLock<Instant>>,
    ) -> Self {
        Self {
            worker,
            commits,
            drain_timeout,
            started: Instant::now(),
            stopped_at,
            lacks_offsets: AtomicBool::new(false),
            rebalanced_at: Mutex::new(Instant::now()),
            last_reason: LastReason::default(),
        }
    }

    /// Notes that committed offsets could not be fetched: their partitions are not read.
    pub(super) fn lack_offsets(&self) {
        self.lacks_offsets.store(true, Ordering::Release);
    }

    /// Whether committed offsets could not be fetched, and no partition has come or gone for `quiet`. Returns
    /// true once, and not again before `quiet` has passed once more.
    pub(super) fn has_lacked_offsets_for(&self, quiet: Duration) -> bool {
        let mut rebalanced_at = self.rebalanced_at();
        let is_so = rebalanced_at.elapsed() >= quiet && self.lacks_offsets.swap(false, Ordering::AcqRel);
        if is_so {
            *rebalanced_at = Instant::now();
        }
        is_so
    }

    fn rebalanced_at(&self) -> MutexGuard<'_, Instant> {
        self.rebalanced_at.lock().unpoisoned()
    }

    /// How long a drain that begins now may take.
    fn drains_for(&self) -> Duration {
        let until = moment::after(*self.stopped_at.get().unwrap_or(&Instant::now()), self.drain_timeout);
        until.saturating_duration_since(Instant::now())
    }

    fn current(&self, list: &TopicPartitionList) -> Vec<i32> {
        let own = list.elements().into_iter().filter(|element| element.topic() == &*self.worker.source);
        own.map(|element| element.partition()).collect()
    }

    /// Lets the running handlers of these partitions end, commits what is finished, and ends their
    /// assignment. Blocks.
    pub(super) fn give_up(&self, partitions: &[i32]) {
        if partitions.is_empty() {
            return;
        }
        let (topic, group) = (&self.worker.source, &self.worker.served.group);
        let (watermarks, still_running) = self.worker.drain(partitions, self.drains_for());
        if still_running > 0 {
            tracing::warn!(
                %topic, %group, ?partitions, still_running,
                "handlers still run at the end of the drain (`drain_timeout` is {:?}); their records will be delivered again", self.drain_timeout
            );
            self.worker.report_still_running(partitions);
        }
        let committed = if watermarks.is_empty() {
            Ok(())
        } else {
            self.commits.commit_now(&watermarks, LAST_COMMIT_WITHIN)
        };
        let finished = self.worker.revoke(partitions);
        if let Err(Failed { code, reason: error, .. }) = committed {
            telemetry::consuming_failed(topic, group, &code);
            tracing::warn!(
                %topic, %group, ?partitions, finished, %error,
                "the last commit failed; finished records may be delivered again"
            );
        }
    }
}
