//! Starts a built runtime: connects, positions, makes the values that need a client, serves.

use std::{collections::BTreeMap, error::Error as _, iter, sync::Arc};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::task::TaskTracker;

use super::{Runtime, running::Running, signals::Signals};
use crate::{
    Client, Error,
    client::{called::CalledTopics, kafka::KafkaTransport, pending::Pending, replies::Replies},
    handler::state::Provided,
    producer::Producer,
    server::{
        Served,
        consuming::consumer::ConsumerThread,
        handling::{dedupe::Dedupe, handle::Handling, limits::Limits, watch::Watch},
        worker::Worker,
    },
    topics,
};

impl Runtime {
    /// Starts to serve and to call. Returns once a broker has answered, the topics were looked for, and every
    /// consumer was started. The consumers join their groups after that (`assigned` in the log), and a reply
    /// topic is looked up at the first call.
    ///
    /// Returns an error that names the cause if a setting cannot work, if no broker answers within
    /// `connection_timeout`, or if a command topic is missing. [`Running::until`] and
    /// [`Running::until_signal`] return the errors that end serving later.
    pub async fn start(self) -> Result<Running, Error> {
        let started = self.start_all().await;
        if let Err(error) = &started {
            // Also logged here, because a `main` that drops the error would end without a word.
            tracing::error!(%error, cause = error.source().map(display), "the start failed");
        }
        started
    }

    async fn start_all(self) -> Result<Running, Error> {
        let config = self.config.ok_or_else(|| {
            Error::missing(
                "config",
                "a runtime needs it to start on a cluster: `.config(Config::from_env()?)`",
            )
        })?;
        let producer = Producer::new(&config)?;
        topics::ensure(&config, &producer, &self.served).await?;

        let pending = Pending::new(config.max_calls_in_flight);
        let tasks = TaskTracker::new();
        let lost = Arc::clone(&pending);
        producer.on_brokers_lost(move |reason| lost.brokers_lost(reason));
        let (replies, replies_ended) =
            Replies::start(&config, self.reply_reading, Arc::clone(&producer), Arc::clone(&pending), &tasks)?;
        let transport = KafkaTransport {
            producer: Arc::clone(&producer),
            pending: Arc::clone(&pending),
            replies: Arc::clone(&replies),
            topics: CalledTopics::new(self.map_topics),
            when_full: config.when_full,
            runtime: Handle::current(),
        };
        let client = Client::new(Arc::new(transport), config.call_timeout);

        let (failed, failures) = mpsc::unbounded_channel();
        // From this line on, dropping `running` stops what has started: making the values below may panic.
        let mut running =
            Running::new(config, client, producer, pending, replies, replies_ended, tasks.clone(), failures);
        let (config, client) = (running.config(), running.client());
        let mut states = self.states;
        for make in self.deferred {
            make(&client, &mut states);
        }
        let handling = Arc::new(Handling {
            provided: Arc::new(Provided { states, client }),
            clock_skew: config.clock_skew,
            limits: Limits::of(config),
            reply_topics: self.reply_topics,
            dedupe: Dedupe::default(),
            watch: Watch::default(),
        });

        log_what_is_served(&self.served);
        for served in self.served {
            // The retry topic is a second source of the same records, which wait in it until they are due.
            for source in iter::once(Arc::clone(&served.topic)).chain(served.retry_topic.clone()) {
                let worker = Worker::new(
                    served.clone(),
                    source,
                    Arc::clone(&handling),
                    running.producer(),
                    running.config(),
                    tasks.clone(),
                    running.stopping(),
                );
                running.add(ConsumerThread::start(running.config(), worker, failed.clone())?);
            }
        }
        Ok(running)
    }

    /// Starts, waits for SIGINT or SIGTERM, and shuts down: the whole of a service's `main`.
    ///
    /// Also returns `Ok` if the signal comes before the runtime has started. After this has returned, SIGINT
    /// and SIGTERM no longer end the process by default.
    ///
    /// Returns an error if the runtime cannot start, if serving cannot continue, or if a second signal comes
    /// before everything has ended.
    pub async fn run(self) -> Result<(), Error> {
        // Before the start, which may wait for brokers: without a listener, no signal ends the first process
        // of a container.
        let mut signals = Signals::listen()?;
        let running = tokio::select! {
            running = self.start() => running?,
            signal = signals.next() => {
                tracing::info!(signal, "a signal came during the start; not starting");
                return Ok(());
            }
        };
        running.until_signalled(signals).await
    }
}

/// Logs what is served. The handlers of a crate that nothing references are not linked and vanish, and this
/// log shows it.
fn log_what_is_served(served: &[Served]) {
    if served.is_empty() {
        tracing::info!("serving no handlers: this process only makes calls");
    }
    for served in served {
        let places: Vec<String> = served.locations.iter().map(ToString::to_string).collect();
        tracing::info!(
            topic = %served.topic, group = %served.group,
            replies = served.reply_topic.as_deref().unwrap_or("none"),
            dead_letter = served.dead_letter_topic.as_deref().unwrap_or("none"),
            retry_topic = served.retry_topic.as_deref().unwrap_or("none"),
            dialect = %served.dialect, ordering = %served.ordering, concurrency = served.concurrency,
            handlers = %served.dispatch, places = places.join(", "),
            "serving"
        );
    }
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for served in served {
        groups.entry(&served.group).or_default().push(&served.topic);
    }
    for (group, topics) in groups.into_iter().filter(|(_, topics)| topics.len() > 1) {
        // Nothing to warn of: who replaces a service that has one group for all must keep it for its offsets.
        tracing::info!(
            group,
            topics = topics.join(", "),
            "one group reads several topics: all of them may pause whenever a consumer of any of them joins or leaves"
        );
    }
}
