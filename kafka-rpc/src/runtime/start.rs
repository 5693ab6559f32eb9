//! From a built runtime to a running one: connect, position, make what needs a client, serve.

use std::{iter, sync::Arc};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::task::TaskTracker;

use super::{Runtime, running::Running, signals::Signals};
use crate::{
    Client, Error,
    client::{called::CalledTopics, kafka::KafkaTransport, pending::Pending, replies::Replies},
    handler::state::Provided,
    producer::Producer,
    server::{
        Served, consumer::ConsumerThread, dedupe::Dedupe, handle::Handling, limits::Limits, watch::Watch,
        worker::Worker,
    },
    topics,
};

impl Runtime {
    /// Starts to serve and to call. Returns once a broker has answered, the topics were looked for, and every consumer was started:
    /// groups are joined after that (`assigned` in the log), and a reply topic is found at the first call.
    ///
    /// Ends with an error that names it where a setting cannot work, no broker answers within
    /// `connection_timeout`, or a topic of commands is missing. What ends serving later, [`Running::until`] and
    /// [`Running::until_signal`] tell.
    pub async fn start(self) -> Result<Running, Error> {
        let config = self.config.ok_or_else(|| {
            Error::missing(
                "config",
                "a runtime that starts on a cluster needs one: `.config(Config::from_env()?)`",
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
        // From here on, what has started is stopped with the dropped handle: what is made now may panic.
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
            limits: Limits {
                headers: config.max_headers,
                header_bytes: config.max_header_bytes,
                value_bytes: config.max_value_bytes,
            },
            reply_topics: self.reply_topics,
            dedupe: Dedupe::default(),
            watch: Watch::default(),
        });

        log_what_is_served(&self.served);
        for served in self.served {
            // The retry topic is a source of the same records, which wait there for their time.
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

    /// Starts, waits for SIGINT or SIGTERM, and shuts down. The whole of a service's `main`.
    ///
    /// Ends with `Ok` too where the signal comes before it has started. After it has returned, SIGINT and SIGTERM do not end the process
    /// by themselves any more.
    ///
    /// Ends with an error where it cannot start, where serving cannot go on, or where a second signal comes before everything
    /// has ended.
    pub async fn run(self) -> Result<(), Error> {
        // Before it starts: that may wait for brokers, and the first process of a container has no other end.
        let mut signals = Signals::listen()?;
        let running = tokio::select! {
            running = self.start() => running?,
            signal = signals.next() => {
                tracing::info!(signal, "not starting");
                return Ok(());
            }
        };
        running.until_signalled(signals).await
    }
}

/// Handlers of a crate that nothing references are not linked and vanish: this is where one sees it.
fn log_what_is_served(served: &[Served]) {
    if served.is_empty() {
        tracing::info!("serving no handlers: this process only calls");
    }
    for served in served {
        let places: Vec<String> = served.locations.iter().map(ToString::to_string).collect();
        tracing::info!(
            topic = %served.topic, group = %served.group,
            replies = served.reply_topic.as_deref().unwrap_or("none"),
            dead_letter = served.dead_letter_topic.as_deref().unwrap_or("none"),
            retry_topic = served.retry_topic.as_deref().unwrap_or("none"),
            dialect = %served.dialect, ordering = %served.ordering, concurrency = served.concurrency,
            handlers = ?served.dispatch, places = places.join(", "),
            "serving"
        );
    }
}
