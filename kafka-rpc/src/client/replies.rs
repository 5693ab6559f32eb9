//! The consumer of reply topics: without a group, and positioned before the first call.
//!
//! By default every instance reads every partition of the topics it waits on, because a peer of the reference answers
//! to any of them. It joins no group (a group shared by two instances would split their replies) and commits nothing.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
};
use tokio::{
    sync::{Notify, OnceCell, oneshot},
    task, time,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::pending::Pending;
use crate::{
    CallError, Config, Error, Headers, ReplyReading, kafka,
    producer::Producer,
    server::received::UnreadableHeaders,
    telemetry,
    wire::{Incoming, ReplyTo, dialect, names},
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

/// The reply topics of a process.
pub(crate) struct Replies {
    reading: ReplyReading,
    consumer: Arc<BaseConsumer>,
    producer: Arc<Producer>,
    routes: Mutex<HashMap<Arc<str>, Arc<OnceCell<Route>>>>,
    read: Mutex<HashSet<(Arc<str>, i32)>>,
    look: Notify,
    stop: AtomicBool,
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
        let replies = Arc::new(Self {
            reading,
            consumer: Arc::new(consumer),
            producer,
            routes: Mutex::default(),
            read: Mutex::default(),
            look: Notify::new(),
            stop: AtomicBool::new(false),
        });
        let (ended, end) = oneshot::channel();
        let reader = Arc::clone(&replies);
        thread::Builder::new()
            .name("kafka-rpc-replies".to_owned())
            .spawn(move || {
                reader.read_until_stopped(&pending);
                // Closes the consumer here where nobody waits, if this is the last to have it.
                drop(reader);
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
        self.stop.store(true, Ordering::Release);
        self.look.notify_one();
    }

    /// The route to a reply topic, if it is read already.
    pub(crate) fn known_route(&self, topic: &Arc<str>) -> Option<Route> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).get(topic)?.get().cloned()
    }

    /// The route to a reply topic, which is read from now on at the latest.
    pub(crate) async fn route(self: &Arc<Self>, topic: &Arc<str>) -> Result<Route, CallError> {
        let cell = {
            let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
            match routes.get(topic) {
                Some(cell) => Arc::clone(cell),
                None => Arc::clone(routes.entry(Arc::clone(topic)).or_default()),
            }
        };
        cell.get_or_try_init(|| self.position(topic)).await.cloned()
    }

    /// Begins to read a topic at its end. Waits for brokers that do not answer: the call's deadline bounds it.
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
                    if self.stop.load(Ordering::Acquire) {
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
        self.consumer.incremental_assign(&new).map_err(unreachable)?;
        // Before anything else can fail: what is assigned cannot be assigned again.
        read.extend(new.elements().iter().map(|element| (Arc::clone(topic), element.partition())));
        // Tells the consumer who leads the new partitions: by itself it looks once a second, and the first call to
        // every service would wait for that.
        self.consumer.fetch_metadata(Some(topic), ASK_FOR).map_err(unreachable)?;
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
            let _elapsed = time::timeout(LOOK_FOR_PARTITIONS_EVERY, self.look.notified()).await;
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let topics: Vec<Arc<str>> = {
                let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
                routes
                    .iter()
                    .filter(|(_, cell)| cell.initialized())
                    .map(|(topic, _)| Arc::clone(topic))
                    .collect()
            };
            for topic in topics {
                let (replies, asked) = (Arc::clone(&self), Arc::clone(&topic));
                let looked = task::spawn_blocking(move || replies.assign_new_partitions(&asked));
                if let Ok(Err(error)) = looked.await {
                    tracing::debug!(%topic, ?error, "the partitions of a reply topic could not be counted");
                }
            }
            // Many calls can time out at once: once a second is often enough.
            time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn read_until_stopped(&self, pending: &Pending) {
        let mut copier = Copier::default();
        while !self.stop.load(Ordering::Acquire) {
            match self.consumer.poll(POLL_FOR) {
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

/// How much is set aside for the headers of replies at a time. Whoever keeps those of one keeps what was set aside with
/// them.
const CHUNK: usize = 16 << 10;

/// What the headers of one reply may take of it: those that take more have memory of their own.
const LARGE: usize = CHUNK / 4;

/// How many headers there stays room for: a stranger's record may have had any number.
const USUAL_HEADERS: usize = 64;

/// Copies the headers of records, those of many into one allocation: no record may be held, since a consumer does not
/// close while one is.
#[derive(Debug, Default)]
struct Copier {
    chunk: BytesMut,
    values: Vec<u8>,
    headers: Vec<(Cow<'static, str>, Option<Range<usize>>)>,
}

impl Copier {
    /// Copies the headers of a record.
    fn copy_headers(&mut self, message: &BorrowedMessage<'_>) -> Result<Headers, UnreadableHeaders> {
        let Self { chunk, values, headers } = self;
        let read = kafka::read_headers(message, |name, value| {
            let name = names::usual(name).map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed);
            let value = value.map(|value| {
                let start = values.len();
                values.extend_from_slice(value);
                start..values.len()
            });
            headers.push((name, value));
        });
        let copied = if values.len() > LARGE {
            Bytes::copy_from_slice(values)
        } else {
            if chunk.capacity() - chunk.len() < values.len() {
                *chunk = BytesMut::with_capacity(CHUNK);
            }
            chunk.extend_from_slice(values);
            chunk.split().freeze()
        };
        let read = read.map(|()| Headers::received(copied, headers.drain(..)));
        values.clear();
        values.shrink_to(CHUNK);
        headers.clear();
        headers.shrink_to(USUAL_HEADERS);
        read
    }
}
