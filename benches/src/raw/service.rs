//! Reads requests on a dedicated thread, handles each in a task, and commits those that are answered.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use rdkafka::{
    ClientContext, Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord},
};
use tests::Cluster;
use tokio::{runtime::Handle, sync::Semaphore, task};
use uuid::Uuid;

use super::{
    offsets::Offsets,
    properties,
    sticky::Sticky,
    wire::{self, Received, Reply},
};
use crate::contract::{Order, PLACE};

/// As many concurrent handlers as the framework runs.
const CONCURRENCY: usize = 256;

const COMMIT_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Service {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

struct Shared {
    topic: String,
    producer: Arc<FutureProducer>,
    sticky: Option<Sticky>,
    offsets: Mutex<Offsets>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Service {
    pub(super) fn start(
        cluster: &Cluster,
        topic: &str,
        group: &str,
        producer: Arc<FutureProducer>,
        sticky: Option<Sticky>,
    ) -> anyhow::Result<Self> {
        let shared =
            Arc::new(Shared { topic: topic.to_owned(), producer, sticky, offsets: Mutex::default() });
        let consumer: BaseConsumer<Rebalances> = properties::consumer(cluster, group)
            .create_with_context(Rebalances { shared: Arc::clone(&shared) })?;
        consumer.subscribe(&[topic])?;
        let stop = Arc::<AtomicBool>::default();
        let (stopping, runtime) = (Arc::clone(&stop), Handle::current());
        let reader = thread::spawn(move || read(&consumer, &shared, &stopping, &runtime));
        Ok(Self { stop, reader })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Release);
        task::spawn_blocking(move || self.reader.join())
            .await?
            .map_err(|_panic| anyhow!("the reader panicked"))
    }
}

fn read(consumer: &BaseConsumer<Rebalances>, shared: &Arc<Shared>, stop: &AtomicBool, runtime: &Handle) {
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut committed_at = Instant::now();
    while !stop.load(Ordering::Acquire) {
        match consumer.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => {
                shared.offsets().take(message.partition(), message.offset());
                let message = message.detach();
                let Ok(place) = runtime.block_on(Arc::clone(&places).acquire_owned()) else { return };
                let shared = Arc::clone(shared);
                runtime.spawn(async move {
                    shared.handle(&message).await;
                    drop(place);
                });
            }
            Some(Err(error)) => tracing::warn!(%error, "consuming goes on after an error"),
        }
        if committed_at.elapsed() >= COMMIT_EVERY {
            committed_at = Instant::now();
            shared.commit(consumer, CommitMode::Async);
        }
    }
    // Running handlers may finish, and their records are committed.
    let all = u32::try_from(CONCURRENCY).unwrap_or(u32::MAX);
    let _ended = runtime.block_on(places.acquire_many(all));
    shared.commit(consumer, CommitMode::Sync);
}

impl Shared {
    async fn handle(&self, message: &OwnedMessage) {
        match self.answer(message).await {
            Ok(()) => self.offsets().finish(message.partition(), message.offset()),
            // Its offset stays uncommitted, so the record is redelivered.
            Err(error) => tracing::warn!(%error, "a record was not handled"),
        }
    }

    async fn answer(&self, message: &OwnedMessage) -> anyhow::Result<()> {
        if wire::has_expired(message) {
            return Ok(());
        }
        let request: Received<'_> =
            serde_json::from_slice(message.payload().context("a record without a value")?)?;
        ensure!(request.command == PLACE, "no such command");
        let order = serde_json::from_str(request.payload.get())?;
        let data = place(order).await;
        let reply = Reply { success: true, data: Some(data), timestamp: wire::now_millis() };
        let value = serde_json::to_vec(&reply)?;

        let reply_to = std::str::from_utf8(wire::get(message, "reply-to").context("nobody waits")?)?;
        let correlation_id = wire::get(message, "correlation-id").context("nobody waits")?;
        let id = Uuid::new_v4().to_string();
        let headers = wire::reply_headers(&id, correlation_id);
        let mut record = FutureRecord::to(reply_to).key(&id).payload(&value).headers(headers);
        record.partition = self.sticky.and_then(Sticky::partition);
        let delivery = self.producer.send_result(record).map_err(|(error, _)| error)?;
        delivery.await?.map_err(|(error, _)| error)?;
        Ok(())
    }

    fn commit(&self, consumer: &BaseConsumer<Rebalances>, mode: CommitMode) {
        let committed = self
            .offsets()
            .due_commits(&self.topic)
            .and_then(|list| if list.count() == 0 { Ok(()) } else { consumer.commit(&list, mode) });
        if let Err(error) = committed {
            tracing::warn!(%error, "a commit failed");
        }
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handler.
#[expect(clippy::unused_async, reason = "handlers are async")]
async fn place(order: Order) -> Order {
    order
}

struct Rebalances {
    shared: Arc<Shared>,
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.shared.commit(consumer, CommitMode::Sync);
            self.shared.offsets().forget();
        }
    }
}
