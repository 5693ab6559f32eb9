//! The consumer of reply topics: without a group, and positioned before the first call.
//!
//! By default every instance reads every partition of the topics it waits on, because a peer of the reference answers
//! to any of them. It joins no group (a group shared by two instances would split their replies) and commits nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task, time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{copier::Copier, pending::Pending};
use crate::{
    CallError, Config, Error, ReplyReading, kafka,
    producer::Producer,
    telemetry,
    wire::{Incoming, ReplyTo, dialect},
};

/// How often a reply topic's partitions are counted again. A partition that is added is read from its beginning,
/// so nothing on it is missed; it is only late.
const LOOK_FOR_PARTITIONS_EVERY: Duration = Duration::from_secs(5);

/// How long one question to the cluster may take before it is asked again.
const ASK_FOR: Duration = Duration::from_secs(5);

/// How long a fetch waits for replies at the broker. A topic that is added waits behind the fetch that is under way:
/// with the default of 500 ms twice, for its leader and its first fetch. It costs ten small requests a second.
const FETCH_WAIT: &str = "fetch.wait.max.ms";
const FETCH_WAIT_MILLIS: &str = "100";

/// How long the poll waits for a reply before it looks whether to stop.
const POLL_FOR: Duration = Duration::from_millis(100);

/// The proof that a reply topic is being read. A request can only be addressed with one, so no reply can come
/// before the reading starts.
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

/// What is known of the way to a reply topic.
enum Routing {
    Known(Route),
    /// It is asked for: once for all who wait.
    Asked(Asked),
}

type Asked = Shared<BoxFuture<'static, Result<Route, CallError>>>;

/// The reply topics of a process.
pub(crate) struct Replies {
    reading: ReplyReading,
    /// `None` once the reading has ended.
    consumer: Mutex<Option<Arc<BaseConsumer>>>,
    producer: Arc<Producer>,
    routes: Mutex<HashMap<Arc<str>, Routing>>,
    read: Mutex<HashSet<(Arc<str>, i32)>>,
    look: Notify,
    stop: CancellationToken,
    /// Where it was started, and not where somebody calls from: that may end sooner.
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
        // librdkafka wires the consumer's queue only where there is a group; nobody ever joins this one.
        let group = format!("{}-replies-{}", config.client_id, Uuid::new_v4());
        let mut properties = kafka::consumer_config(config, &group);
        if !config.properties.contains_key(FETCH_WAIT) {
            properties.set(FETCH_WAIT, FETCH_WAIT_MILLIS);
        }
        let consumer: BaseConsumer =
            properties.create().map_err(|error| kafka::creation_error("the reply consumer", &error))?;
        let consumer = Arc::new(consumer);
        let replies = Arc::new(Self {
            reading,
            consumer: Mutex::new(Some(Arc::clone(&consumer))),
            producer,
            routes: Mutex::default(),
            read: Mutex::default(),
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
                // Closing it can take long, so it is closed here, or on a thread that waits for brokers just now.
                reader.lock_consumer().take();
                drop(consumer);
                let _nobody_waits = ended.send(());
            })
            .map_err(|source| Error::System {
                action: "the reply thread could not be started".to_owned(),
                source,
            })?;
        // Whoever reads one partition of its own has no use for new ones.
        if reading == ReplyReading::AllPartitions {
            tasks.spawn(Arc::clone(&replies).keep_looking());
        }
        Ok((replies, end))
    }

    /// Ends the reading.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// The route to a reply topic, if it is read already.
    pub(crate) fn known_route(&self, topic: &Arc<str>) -> Option<Route> {
        match self.lock_routes().get(topic)? {
            Routing::Known(route) => Some(route.clone()),
            Routing::Asked(_) => None,
        }
    }

    /// The route to a reply topic, which is read from now on at the latest.
    pub(crate) async fn route(self: &Arc<Self>, topic: &Arc<str>) -> Result<Route, CallError> {
        let asked = {
            let mut routes = self.lock_routes();
            let asked = || Routing::Asked(self.ask(Arc::clone(topic)));
            match routes.entry(Arc::clone(topic)).or_insert_with(asked) {
                Routing::Known(route) => return Ok(route.clone()),
                Routing::Asked(asked) => asked.clone(),
            }
        };
        asked.await
    }

    /// Asks for a route in a task of its own: whoever waits for it and goes neither ends that nor lets the next one begin
    /// again, each with a thread that waits for brokers.
    fn ask(self: &Arc<Self>, topic: Arc<str>) -> Asked {
        let replies = Arc::clone(self);
        let asking = self.runtime.spawn(async move {
            let found = replies.position(&topic).await;
            let mut routes = replies.lock_routes();
            match &found {
                Ok(route) => drop(routes.insert(topic, Routing::Known(route.clone()))),
                Err(_) => drop(routes.remove(&topic)),
            }
            found
        });
        // The task ends before it has an answer only with the runtime it is on.
        asking.map(|found| found.unwrap_or(Err(CallError::ShuttingDown))).boxed().shared()
    }

    fn lock_routes(&self) -> MutexGuard<'_, HashMap<Arc<str>, Routing>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_consumer(&self) -> MutexGuard<'_, Option<Arc<BaseConsumer>>> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read a topic at its end. Waits for brokers that do not answer, until the reading ends.
    async fn position(self: &Arc<Self>, topic: &Arc<str>) -> Result<Route, CallError> {
        let began = Instant::now();
        loop {
            let (replies, asked) = (Arc::clone(self), Arc::clone(topic));
            let positioned = task::spawn_blocking(move || replies.assign_at_end(&asked)).await;
            match positioned.unwrap_or_else(|ended| Err(Unpositioned::Unreachable(ended.to_string()))) {
                Ok(partition) => {
                    tracing::info!(
                        %topic, ?partition, elapsed = ?began.elapsed(), "replies are read from now on"
                    );
                    return Ok(Route { topic: Arc::clone(topic), partition });
                }
                Err(Unpositioned::Missing) => {
                    return Err(CallError::Undeliverable {
                        topic: topic.to_string(),
                        reason: "the reply topic does not exist, so no reply could come; create it, or start its service with `create_topics`".to_owned(),
                    });
                }
                Err(Unpositioned::Unreachable(reason)) => {
                    if self.stop.is_cancelled() {
                        return Err(CallError::ShuttingDown);
                    }
                    tracing::warn!(%topic, %reason, "the reply topic cannot be positioned; trying again");
                    time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Assigns what is to be read of a topic, at its end; gives the partition if it is one. Blocks.
    fn assign_at_end(&self, topic: &Arc<str>) -> Result<Option<i32>, Unpositioned> {
        let found = self.ask_partitions(topic)?;
        match self.reading {
            ReplyReading::AllPartitions => self.assign(topic, &found, Start::AtEnd).map(|()| None),
            ReplyReading::OwnPartition => {
                let own = fastrand::choice(found).ok_or(Unpositioned::Missing)?;
                self.assign(topic, &[own], Start::AtEnd).map(|()| Some(own))
            }
        }
    }

    /// Assigns the partitions of a topic that were added, from their beginning. Blocks.
    fn assign_new_partitions(&self, topic: &Arc<str>) -> Result<(), Unpositioned> {
        let found = self.ask_partitions(topic)?;
        self.assign(topic, &found, Start::AtBeginning)
    }

    fn ask_partitions(&self, topic: &Arc<str>) -> Result<Vec<i32>, Unpositioned> {
        // Through the producer, whose question creates the topic on clusters that create topics when asked.
        let found = self.producer.ask_partitions(topic, ASK_FOR).map_err(unreachable)?;
        if found.is_empty() {
            return Err(Unpositioned::Missing);
        }
        Ok(found.into_iter().map(|(partition, _leader)| partition).collect())
    }

    fn assign(&self, topic: &Arc<str>, partitions: &[i32], start: Start) -> Result<(), Unpositioned> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = TopicPartitionList::new();
        for &partition in partitions {
            if read.contains(&(Arc::clone(topic), partition)) {
                continue;
            }
            // An absolute offset, asked for now: `Offset::End` is resolved later than the first reply can come.
            let offset = match start {
                Start::AtEnd => {
                    Offset::Offset(self.producer.ask_end(topic, partition, ASK_FOR).map_err(unreachable)?)
                }
                Start::AtBeginning => Offset::Beginning,
            };
            new.add_partition_offset(topic, partition, offset).map_err(unreachable)?;
        }
        if new.count() == 0 {
            return Ok(());
        }
        let Some(consumer) = self.lock_consumer().clone() else {
            return Err(Unpositioned::Unreachable("the reading has ended".to_owned()));
        };
        consumer.incremental_assign(&new).map_err(unreachable)?;
        // Before anything else can fail: what is assigned cannot be assigned again.
        read.extend(new.elements().iter().map(|element| (Arc::clone(topic), element.partition())));
        // Tells the consumer who leads the new partitions: by itself it looks once a second, and the first call to
        // every service would wait for that.
        consumer.fetch_metadata(Some(topic), ASK_FOR).map_err(unreachable)?;
        tracing::debug!(%topic, partitions = new.count(), "reading replies");
        Ok(())
    }

    /// Counts the partitions of the reply topics soon: a call has timed out, and its reply may lie on a new one.
    pub(crate) fn look_for_partitions(&self) {
        self.look.notify_one();
    }

    async fn keep_looking(self: Arc<Self>) {
        loop {
            // Whether it was the time or a call's timeout does not matter.
            let look = time::timeout(LOOK_FOR_PARTITIONS_EVERY, self.look.notified());
            if self.stop.run_until_cancelled(look).await.is_none() {
                return;
            }
            let topics: Vec<Arc<str>> = {
                let routes = self.lock_routes();
                let known = routes.iter().filter(|(_, routing)| matches!(routing, Routing::Known(_)));
                known.map(|(topic, _)| Arc::clone(topic)).collect()
            };
            for topic in topics {
                let (replies, asked) = (Arc::clone(&self), Arc::clone(&topic));
                let looked = task::spawn_blocking(move || replies.assign_new_partitions(&asked));
                if let Ok(Err(error)) = looked.await {
                    tracing::debug!(%topic, ?error, "the partitions of a reply topic could not be counted");
                }
            }
            // Many calls can time out at once: once a second is often enough.
            if self.stop.run_until_cancelled(time::sleep(Duration::from_secs(1))).await.is_none() {
                return;
            }
        }
    }

    fn read_until_stopped(&self, consumer: &BaseConsumer, pending: &Pending) {
        let mut copier = Copier::default();
        while !self.stop.is_cancelled() {
            match consumer.poll(POLL_FOR) {
                None => {}
                Some(Ok(message)) => {
                    let headers = copier.copy_headers(&message).unwrap_or_default();
                    // Most replies of a shared topic are somebody else's: their values are not even copied.
                    let mut is_reply = false;
                    let own = dialect::reply_ids(&headers).find_map(|id| {
                        is_reply = true;
                        pending.take(Uuid::try_parse_ascii(id).ok()?)
                    });
                    let Some(waiting) = own else {
                        telemetry::reply_dropped(if is_reply { "not_waited_for" } else { "not_a_reply" });
                        continue;
                    };
                    let value = message.payload().map(Bytes::copy_from_slice);
                    waiting.answer(Ok(Incoming { value, headers }));
                }
                Some(Err(error)) => tracing::warn!(%error, "reading replies goes on after an error"),
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn unreachable(error: KafkaError) -> Unpositioned {
    Unpositioned::Unreachable(error.to_string())
}

#[derive(Debug, Clone, Copy)]
enum Start {
    AtEnd,
    AtBeginning,
}

#[derive(Debug)]
enum Unpositioned {
    Missing,
    Unreachable(String),
}
