//! Sends requests, and reads replies on a dedicated thread.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use tests::{Cluster, eventually};
use tokio::{sync::oneshot, task, time};
use uuid::Uuid;

use super::{
    properties,
    sticky::Sticky,
    wire::{self, Reply, Request},
};
use crate::contract::{COMMANDS, EVENTS, Order, PLACE, PLACED, REPLIES};

const TIMEOUT: Duration = Duration::from_secs(30);

type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Vec<u8>>>>>;

pub(super) struct Caller {
    producer: Arc<FutureProducer>,
    pending: Pending,
    commands: String,
    replies: String,
    events: String,
    sticky: Option<Sticky>,
    stop: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("commands", &self.commands).finish_non_exhaustive()
    }
}

impl Caller {
    pub(super) async fn start(
        cluster: &Cluster,
        partitions: u16,
        producer: Arc<FutureProducer>,
        sticky: Option<Sticky>,
    ) -> anyhow::Result<Self> {
        let [commands, replies, events] = [COMMANDS, REPLIES, EVENTS].map(|topic| cluster.name(topic));
        let group = format!("bench-raw-replies-{}", Uuid::new_v4());
        let consumer: BaseConsumer = properties::reply_consumer(cluster, &group).create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::from(partitions) {
            // Not every broker knows the leaders of a new topic at once.
            let (_, end) = eventually("the reply topic has leaders", || {
                consumer.fetch_watermarks(&replies, partition, Duration::from_secs(10)).ok()
            })
            .await;
            list.add_partition_offset(&replies, partition, Offset::Offset(end))?;
        }
        consumer.assign(&list)?;
        let pending = Pending::default();
        let stop = Arc::<AtomicBool>::default();
        let reader = {
            let (pending, stop) = (Arc::clone(&pending), Arc::clone(&stop));
            thread::spawn(move || read(&consumer, &pending, &stop))
        };
        Ok(Self { producer, pending, commands, replies, events, sticky, stop, reader })
    }

    pub(super) async fn place(&self, order: &Order) -> anyhow::Result<Order> {
        let id = Uuid::new_v4().to_string();
        let request = Request { id: &id, command: PLACE, payload: order, timestamp: wire::now_millis() };
        let value = serde_json::to_vec(&request)?;
        let headers = wire::request_headers(&id, &self.replies, TIMEOUT);
        let mut record = FutureRecord::to(&self.commands).key(&id).payload(&value).headers(headers);
        record.partition = self.sticky.and_then(Sticky::partition);

        let (caller, mut reply) = oneshot::channel();
        self.pending().insert(id.clone(), caller);
        let answer = time::timeout(TIMEOUT, async {
            let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
            tokio::select! {
                biased;
                reply = &mut reply => Ok(reply?),
                delivered = delivery => {
                    delivered?.map_err(|(error, _)| error)?;
                    Ok(reply.await?)
                }
            }
        });
        let answer: anyhow::Result<Vec<u8>> = answer.await.context("no reply in time").flatten();
        if answer.is_err() {
            self.pending().remove(&id);
        }
        let reply: Reply<Order> = serde_json::from_slice(&answer?)?;
        if !reply.success {
            bail!("the service has refused it");
        }
        reply.data.context("a reply without data")
    }

    pub(super) async fn placed(&self, order: &Order) -> anyhow::Result<()> {
        let id = Uuid::new_v4().to_string();
        let request = Request { id: &id, command: PLACED, payload: order, timestamp: wire::now_millis() };
        let value = serde_json::to_vec(&request)?;
        let headers = wire::event_headers(&id);
        let mut record = FutureRecord::to(&self.events).key(&id).payload(&value).headers(headers);
        record.partition = self.sticky.and_then(Sticky::partition);
        let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
        time::timeout(TIMEOUT, delivery)
            .await
            .context("not acknowledged in time")??
            .map_err(|(error, _)| error)?;
        Ok(())
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Vec<u8>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Release);
        task::spawn_blocking(move || self.reader.join())
            .await?
            .map_err(|_panic| anyhow!("the reader panicked"))
    }
}

fn read(consumer: &BaseConsumer, pending: &Pending, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let message = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                tracing::warn!(%error, "reading replies goes on after an error");
                continue;
            }
        };
        let id = wire::get(&message, "correlation-id").and_then(|id| std::str::from_utf8(id).ok());
        let caller = id.and_then(|id| pending.lock().unwrap_or_else(PoisonError::into_inner).remove(id));
        if let (Some(caller), Some(value)) = (caller, message.payload()) {
            // The caller may have gone.
            let _gone = caller.send(value.to_vec());
        }
    }
}
