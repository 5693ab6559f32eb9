//! A subscription at work: what its consumer thread, its runners and its deliveries share.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Served,
    consuming::intake::Intake,
    handling::handle::Handling,
    job::{EndedJob, Job, Taken},
    running::{hand::Hands, lanes::Lanes},
    settling::in_flight::InFlightReplies,
    tracking::{bounds::Bounds, partitions::Partitions},
};
use crate::{
    Config, producer::Producer, repeats::Repeats, telemetry::SubscriptionMetrics, unpoisoned::Unpoisoned as _,
};

/// How long a record of the retry topic may wait if its handler's policy does not say.
const LONGEST_DELAY: Duration = Duration::from_hours(7 * 24);

/// A subscription at work.
///
/// Locks are taken in this order: `intake`, `state`, then the contents of a hand or the delivered replies. A
/// list of replies in flight may be locked before `state`, and never after it; the stuck destinations last.
pub(crate) struct Worker {
    pub(crate) served: Served,
    /// The topic that is read: the subscription's topic, or its retry topic.
    pub(crate) source: Arc<str>,
    /// How long a record of the retry topic waits at most, whatever its headers say.
    pub(super) longest_delay: Duration,
    /// How long a handler may run before it is reported.
    pub(super) slow_handler: Duration,
    pub(super) handling: Arc<Handling>,
    pub(super) producer: Arc<Producer>,
    pub(super) metrics: SubscriptionMetrics,
    /// The failures of records that are logged.
    pub(super) failures: Repeats,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
    /// Cancels what only waits, such as for a retry.
    pub(super) stopping: CancellationToken,
    /// What the consumer thread has received since it last took records. Only that thread locks it, and the
    /// one that closes the consumer.
    pub(super) intake: Mutex<Intake>,
    state: Mutex<State>,
    /// Notified when a handler ends, for a drain.
    pub(super) ended: Condvar,
    /// Notified when few jobs are ready, for the consumer thread.
    pub(super) few_ready: Condvar,
    pub(super) in_flight: InFlightReplies,
    /// How many records were finished since the last commit.
    pub(super) finished: AtomicUsize,
    /// Whether partitions may have to pause, resume or go back: the consumer thread looks only then.
    pub(super) flow_changed: AtomicBool,
}

pub(super) struct State {
    pub(super) partitions: Partitions,
    pub(super) lanes: Lanes<Taken>,
    /// The jobs that the runners have taken.
    pub(super) hands: Hands<Taken, EndedJob>,
    /// How many jobs the runners that look for jobs had started, as of the last look.
    pub(super) started_before: u64,
    /// The jobs that must not start while their partition is held.
    pub(super) aside: Vec<Job>,
    /// Whether a drain waits for handlers to end.
    pub(super) is_draining: bool,
    /// Whether the consumer thread waits until few jobs are ready.
    pub(super) awaits_few_ready: bool,
}

impl State {
    /// Whether the assignment that a record was taken in still lasts.
    pub(super) fn is_ours(&self, taken: &Taken) -> bool {
        self.partitions.is_ours(taken.record.partition(), taken.generation)
    }
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
        let intake = Intake::new(Arc::clone(&source), served.ordering);
        let state = State {
            partitions: Partitions::new(Arc::clone(&source), Arc::clone(&served.group), bounds),
            lanes: Lanes::new(served.concurrency),
            hands: Hands::new(runtime.metrics().num_workers()),
            started_before: 0,
            aside: Vec::new(),
            is_draining: false,
            awaits_few_ready: false,
        };
        Arc::new(Self {
            metrics: SubscriptionMetrics::new(&served.topic, &source, &served.group),
            longest_delay: served.dispatch.longest_delay(LONGEST_DELAY),
            slow_handler: config.slow_handler,
            failures: Repeats::default(),
            served,
            source,
            handling,
            producer,
            runtime,
            tasks,
            stopping,
            intake: Mutex::new(intake),
            state: Mutex::new(state),
            ended: Condvar::new(),
            few_ready: Condvar::new(),
            in_flight: InFlightReplies::default(),
            finished: AtomicUsize::new(0),
            flow_changed: AtomicBool::new(false),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    /// Whether this worker reads the retry topic.
    pub(super) fn reads_retries(&self) -> bool {
        self.source != self.served.topic
    }

    /// Has the consumer thread look at the flow.
    pub(super) fn flow_has_changed(&self) {
        self.flow_changed.store(true, Ordering::Release);
    }

    /// Wakes a drain. Mostly none waits, and notifying nobody costs a system call too.
    pub(super) fn notify_drain(&self, state: &State) {
        if state.is_draining {
            self.ended.notify_all();
        }
    }
}
