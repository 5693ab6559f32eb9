//! The consumer of reply topics: without a group, and positioned before the first call.
//!
//! By default every instance reads every partition of its reply topics, because a peer of the reference
//! answers to any of them. The consumer joins no group (a group shared by two instances would split their
//! replies) and commits nothing.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _},
    message::BorrowedMessage,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task, time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    copier::Copier,
    gone::Gone,
    pending::Pending,
    positions::{Positions, Unpositioned},
    reply_errors,
};
use crate::{
    CallError, Config, Error, Progress, ReplyReading,
    caught::caught,
    kafka,
    producer::Producer,
    repeats::Repeats,
    telemetry,
    unpoisoned::Unpoisoned as _,
    wire::{ReceivedReply, ReplyTo, dialect},
};

/// How often the partitions of reply topics are counted. A partition that is added is read from its
/// beginning, so its replies are only late and none is missed.
const LOOK_FOR_PARTITIONS_EVERY: Duration = Duration::from_secs(5);

/// How long after a failure a reply topic is asked for again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long a fetch waits for replies at the broker. A topic that is added waits for the fetch that is under
/// way: with the default of 500 ms it would wait twice, for its leader and for its first fetch. 100 ms cost
/// ten small requests a second.
const FETCH_WAIT: &str = "fetch.wait.max.ms";
const FETCH_WAIT_MILLIS: &str = "100";

/// How long a poll waits for a reply before the thread checks whether to stop.
const POLL_FOR: Duration = Duration::from_millis(100);

/// Proves that a reply topic is being read. Only with a route can a request be addressed, so no reply can
/// come before reading starts.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    topic: Arc<str>,
    /// The only partition that is read, if not all are.
    partition: Option<i32>,
}

impl Route {
    pub(crate) fn reply_to(&self) -> ReplyTo<'_> {
        ReplyTo { topic: &self.topic, partition: self.partition }
    }
}

/// What is known of the route to a reply topic.
enum Routing {
    Known(Route),
    /// Being looked up, once for all calls that wait.
    Asked(Asked),
    /// Not found. Until this instant the topic is not looked up again: the calls in line get this error and
    /// do not ask one after the other.
    Failed(CallError, Instant),
}

impl Routing {
    fn known(&self) -> Option<&Route> {
        match self {
            Self::Known(route) => Some(route),
            Self::Asked(_) | Self::Failed(..) => None,
        }
    }
}

type Asked = Shared<BoxFuture<'static, Result<Route, CallError>>>;

/// The reply topics of a process.
pub(crate) struct Replies {
    positions: Arc<Positions>,
    routes: Mutex<HashMap<Arc<str>, Routing>>,
    look: Notify,
    stop: CancellationToken,
    /// The tokio runtime on which this was started. The one that a call comes from may end sooner.
    runtime: Handle,
}

impl Replies {
    /// Starts the reading thread, and the task that looks for new partitions.
    pub(crate) fn start(
        config: &Config,
        reading: ReplyReading,
        producer: Arc<Producer>,
        pending: Arc<Pending>,
        tasks: &TaskTracker,
    ) -> Result<(Arc<Self>, oneshot::Receiver<()>), Error> {
        // librdkafka wires the consumer's queue only if there is a group; nobody ever joins this one.
        let group = format!("{}-replies-{}", config.client_id, Uuid::new_v4());
        let mut properties = kafka::consumer_config(config, &group);
        if !config.properties.contains_key(FETCH_WAIT) {
            properties.set(FETCH_WAIT, FETCH_WAIT_MILLIS);
        }
        // A user who sets this property means consumer groups. Calls still wait for the replies that lie past
        // a truncation.
        properties.set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Gone> = properties
            .create_with_context(Gone::default())
            .map_err(|error| kafka::creation_error("the reply consumer", &error))?;
        telemetry::reading_replies_starts();
        let consumer = Arc::new(consumer);
        let replies = Arc::new(Self {
            positions: Arc::new(Positions::new(reading, producer, Arc::clone(&consumer))),
            routes: Mutex::default(),
            look: Notify::new(),
            stop: CancellationToken::new(),
            runtime: Handle::current(),
        });
        let (ended, end) = oneshot::channel();
        let reader = Arc::clone(&replies);
        thread::Builder::new()
            .name("kafka-rpc-replies".to_owned())
            .spawn(move || {
                reader.read_until_stopped(&consumer, &pending);
                // Closing the consumer can take long, so it is closed on this thread, or on one that is
                // waiting for brokers anyway.
                reader.positions.end();
                drop(consumer);
                let _nobody_waits = ended.send(());
            })
            .map_err(|source| Error::System {
                action: "the reply thread could not be started".to_owned(),
                source,
            })?;
        tasks.spawn(Arc::clone(&replies).keep_looking());
        Ok((replies, end))
    }

    /// Stops reading.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// The route to a reply topic, if the topic is read already.
    pub(crate) fn known_route(&self, topic: &Arc<str>) -> Option<Route> {
        self.lock_routes().get(topic)?.known().cloned()
    }

    /// The route to a reply topic. Starts to read the topic if it is not read yet.
    pub(crate) async fn route(self: &Arc<Self>, topic: &Arc<str>) -> Result<Route, CallError> {
        let asked = {
            let mut routes = self.lock_routes();
            match routes.get(topic) {
                Some(Routing::Known(route)) => return Ok(route.clone()),
                Some(Routing::Failed(error, until)) if Instant::now() < *until => return Err(error.clone()),
                Some(Routing::Asked(asked)) => asked.clone(),
                Some(Routing::Failed(..)) | None => {
                    let asked = self.ask(Arc::clone(topic));
                    routes.insert(Arc::clone(topic), Routing::Asked(asked.clone()));
                    asked
                }
            }
        };
        asked.await
    }

    /// Looks up a route in a task. A call that is dropped while it waits does not end the lookup; otherwise
    /// each next call would start another one, with another thread that waits for brokers.
    fn ask(self: &Arc<Self>, topic: Arc<str>) -> Asked {
        let replies = Arc::clone(self);
        let asking = self.runtime.spawn(async move {
            let found = AssertUnwindSafe(replies.position(&topic)).catch_unwind().await;
            let found = found.unwrap_or_else(|_panic| {
                let reason = "looking up the reply topic panicked; the panic message says where";
                Err(CallError::undeliverable(&topic, Progress::NotSent, reason.to_owned()))
            });
            let routing = match found.clone() {
                Ok(route) => Routing::Known(route),
                Err(error) => Routing::Failed(error, Instant::now() + ASK_AGAIN_AFTER),
            };
            replies.lock_routes().insert(topic, routing);
            found
        });
        // The task ends without an answer only if the tokio runtime that it runs on ends.
        asking
            .map(|found| found.unwrap_or(Err(CallError::ShuttingDown { progress: Progress::NotSent })))
            .boxed()
            .shared()
    }

    fn lock_routes(&self) -> MutexGuard<'_, HashMap<Arc<str>, Routing>> {
        self.routes.lock().unpoisoned()
    }

    /// Starts to read a topic at its end. Retries while brokers do not answer, until reading is stopped.
    async fn position(self: &Arc<Self>, topic: &Arc<str>) -> Result<Route, CallError> {
        let (began, repeats) = (Instant::now(), Repeats::default());
        loop {
            let (positions, asked) = (Arc::clone(&self.positions), Arc::clone(topic));
            let positioned = task::spawn_blocking(move || positions.assign_at_end(&asked)).await;
            match positioned.unwrap_or_else(|ended| Err(Unpositioned::Unreachable(ended.to_string()))) {
                Ok(partition) => {
                    caught("logging that a reply topic is read", || {
                        tracing::info!(
                            %topic, ?partition, elapsed = ?began.elapsed(), "reading replies from now on"
                        );
                    });
                    return Ok(Route { topic: Arc::clone(topic), partition });
                }
                Err(Unpositioned::Missing) => {
                    let reason = "the reply topic does not exist, so no reply could arrive; create it, or start its \
                                  service with `create_topics`";
                    return Err(CallError::undeliverable(topic, Progress::NotSent, reason.to_owned()));
                }
                Err(Unpositioned::Unauthorized) => {
                    let reason = "this client lacks the right to describe and read the reply topic; grant it";
                    return Err(CallError::undeliverable(topic, Progress::NotSent, reason.to_owned()));
                }
                Err(Unpositioned::Unreachable(reason)) => {
                    if self.stop.is_cancelled() {
                        return Err(CallError::ShuttingDown { progress: Progress::NotSent });
                    }
                    if repeats.is_news(&reason) {
                        tracing::warn!(
                            %topic, %reason,
                            "reading the reply topic cannot start yet; it is tried again until it can"
                        );
                    }
                    time::sleep(ASK_AGAIN_AFTER).await;
                }
            }
        }
    }

    /// The topics that are read.
    fn topics(&self) -> Vec<Arc<str>> {
        let routes = self.lock_routes();
        let mut topics: Vec<_> =
            routes.values().filter_map(Routing::known).map(|route| &route.topic).cloned().collect();
        topics.sort_unstable();
        topics
    }

    /// Has the partitions of the reply topics counted soon: a call has timed out, and its reply may lie on a
    /// new partition.
    pub(crate) fn look_for_partitions(&self) {
        self.look.notify_one();
    }

    async fn keep_looking(self: Arc<Self>) {
        loop {
            // Whether the interval or a call's timeout ended the wait does not matter.
            let look = time::timeout(LOOK_FOR_PARTITIONS_EVERY, self.look.notified());
            if self.stop.run_until_cancelled(look).await.is_none() {
                return;
            }
            let known: Vec<Route> = self.lock_routes().values().filter_map(Routing::known).cloned().collect();
            // All at once: a broker that does not answer for one topic must not delay the others.
            let looks = join_all(known.into_iter().map(|Route { topic, partition }| {
                let replies = Arc::clone(&self);
                task::spawn_blocking(move || match replies.positions.look_at(&topic, partition) {
                    Ok(false) => {}
                    Ok(true) => {
                        replies.lock_routes().remove(&topic);
                        tracing::warn!(
                            %topic, ?partition,
                            "the partition that replies are read from is gone, or has no leader; the next call picks \
                             another"
                        );
                    }
                    Err(error) => {
                        tracing::debug!(%topic, ?error, "the partitions of a reply topic could not be counted");
                    }
                })
            }));
            // A shutdown does not wait for brokers.
            if self.stop.run_until_cancelled(looks).await.is_none() {
                return;
            }
            // Many calls can time out at once: counting once a second is often enough.
            if self.stop.run_until_cancelled(time::sleep(Duration::from_secs(1))).await.is_none() {
                return;
            }
        }
    }

    /// Stops reading the topics that are gone until they are checked again, which is soon.
    fn let_go_of(&self, gone: &Gone) {
        for topic in gone.take() {
            let let_go = self.positions.let_go(&topic);
            if let_go.is_err() {
                gone.add(topic.clone());
            }
            self.look_for_partitions();
            match let_go {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(%topic, "the reply topic is gone; replies are read again once it is back");
                }
                Err(error) => {
                    tracing::error!(
                        %topic, %error,
                        "the reply topic is gone, and reading it could not be stopped; this is tried again"
                    );
                }
            }
        }
    }

    fn read_until_stopped(&self, consumer: &BaseConsumer<Gone>, pending: &Pending) {
        let (mut copier, repeats) = (Copier::default(), Repeats::default());
        while !self.stop.is_cancelled() {
            caught("the reply thread", || match consumer.poll(POLL_FOR) {
                None => self.let_go_of(consumer.context()),
                Some(Ok(message)) => take_reply(&message, &mut copier, pending),
                Some(Err(error)) => {
                    // Comes before logging, which may panic.
                    self.let_go_of(consumer.context());
                    let reason = consumer.context().last_reason.get();
                    reply_errors::report(&error, &repeats, &reason, &self.topics());
                }
            });
        }
    }
}

/// Ends the call that a record of a reply topic answers.
fn take_reply(message: &BorrowedMessage<'_>, copier: &mut Copier, pending: &Pending) {
    let headers = copier.copy_headers(message).unwrap_or_default();
    // Most replies on a shared topic are for other instances: their values are not even copied.
    let mut is_reply = false;
    let own = dialect::reply_ids(&headers).find_map(|id| {
        is_reply = true;
        pending.take(Uuid::try_parse_ascii(id).ok()?)
    });
    let Some(waiting) = own else {
        return telemetry::reply_dropped(if is_reply { "not_waited_for" } else { "not_a_reply" });
    };
    let value = message.payload().map(Bytes::copy_from_slice);
    waiting.answer(Ok(ReceivedReply { value, headers }));
}
