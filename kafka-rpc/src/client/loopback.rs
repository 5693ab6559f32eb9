//! The transport to the handlers of this process.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::watch, task::JoinHandle, time};
use uuid::Uuid;

use super::{
    Client, OutgoingCall, Transport,
    transport::{self, BoxFuture},
};
use crate::{
    CallError, Config, Headers, Progress,
    config::CALL_TIMEOUT,
    handler::state::{Deferred, Provided, States},
    moment,
    rename::{Rename, renamed},
    server::{
        Served,
        handling::{
            dedupe::Dedupe,
            handle::Handling,
            limits::Limits,
            outcome::{Failed, Outcome},
            reply_topics::ReplyTopics,
            watch::Watch,
        },
    },
    wire::{Encoded, OutgoingRecord, ReceivedRecord, ReceivedReply, ReplyTo, clock},
};

/// The handlers of a runtime, called in the process: without a broker, but with the same bytes.
///
/// ```standalone_crate
/// use kafka_rpc::{RpcError, Runtime, kafka_handler};
///
/// #[kafka_handler(topic = "greetings-commands", group = "greetings")]
/// mod greetings {
///     use super::RpcError;
///
///     #[command("HELLO")]
///     pub async fn hello(name: String) -> Result<String, RpcError> {
///         Ok(format!("Hello, {name}"))
///     }
/// }
/// use greetings::GreetingsClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let loopback = Runtime::builder().build()?.loopback();
/// assert_eq!(loopback.client().hello("Ada".to_owned()).await?, "Hello, Ada");
/// # Ok(())
/// # }
/// ```
///
/// Bind the loopback to a variable: calls of its clients end once it is dropped.
#[derive(Debug)]
#[must_use = "calls end once this is dropped"]
pub struct Loopback {
    handlers: Arc<Handlers>,
    /// Tells the calls that wait when this is dropped.
    _alive: watch::Sender<Option<Weak<Handlers>>>,
}

struct Handlers {
    served: Vec<Served>,
    handling: Handling,
    /// The offset of the next record, so that handlers that log offsets can tell records apart, as on a real
    /// topic.
    next_offset: AtomicI64,
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("served", &self.served).finish_non_exhaustive()
    }
}

struct Carrier {
    /// Empty until there are handlers: the values that they share are made with a client, and may call.
    ///
    /// Weak, because the handlers' state may hold clients: once the `Loopback` is gone, calls end.
    handlers: watch::Receiver<Option<Weak<Handlers>>>,
    map_topics: Option<Rename>,
}

impl Loopback {
    pub(crate) fn new(
        config: Option<&Config>,
        mut served: Vec<Served>,
        mut states: States,
        deferred: Vec<Deferred>,
        reply_topics: ReplyTopics,
        map_topics: Option<Rename>,
    ) -> Self {
        for served in &mut served {
            served.retry_topic = None;
        }
        let (made, handlers) = watch::channel(None);
        let call_timeout = config.map_or(CALL_TIMEOUT, |config| config.call_timeout);
        let client = Client::new(Arc::new(Carrier { handlers, map_topics }), call_timeout);
        for make in deferred {
            make(&client, &mut states);
        }
        let handlers = Arc::new(Handlers {
            served,
            handling: Handling {
                provided: Arc::new(Provided { states, client }),
                clock_skew: config.map_or(Duration::ZERO, |config| config.clock_skew),
                limits: config.map_or(Limits::NONE, Limits::of),
                reply_topics,
                dedupe: Dedupe::default(),
                watch: Watch::default(),
            },
            next_offset: AtomicI64::new(0),
        });
        made.send_replace(Some(Arc::downgrade(&handlers)));
        Self { handlers, _alive: made }
    }

    /// Returns a client of these handlers. Its calls end with [`CallError::ShuttingDown`] once the `Loopback`
    /// is dropped.
    pub fn client(&self) -> Client {
        self.handlers.handling.provided.client.clone()
    }
}

impl Handlers {
    /// The indices of the subscriptions to a topic, by the cluster's name: one for each group.
    fn serving(&self, topic: &str) -> Vec<usize> {
        let reading = self.served.iter().enumerate().filter(|(_, served)| *served.topic == *topic);
        reading.map(|(index, _)| index).collect()
    }

    /// Takes a record to its outcome, and returns the reply, if there is one to send. A loopback has no other
    /// topic, so a retry is always in the process, and a dead letter is only logged.
    ///
    /// `clocks` is the time at which the record was sent: a test may pause the one clock and not the other, and
    /// the record's deadline must not move with that.
    async fn handle(
        &self,
        index: usize,
        record: ReceivedRecord,
        clocks: (Instant, SystemTime),
    ) -> Option<Arc<OutgoingRecord>> {
        let served = &self.served[index];
        let input = Arc::new(self.handling.input(served, record));
        let record = &input.record;
        let mut retries = 0;
        loop {
            match self.handling.handle(served, &input, retries, || clocks).await {
                Outcome::Handled | Outcome::Expired => return None,
                Outcome::Reply(reply) | Outcome::ErrorReply { reply, .. } => return Some(reply),
                Outcome::Retry { after, failed } => {
                    log(record, &failed, &format!("a record failed; it is retried in {after:?}"));
                    retries += 1;
                    time::sleep(after).await;
                }
                Outcome::DeadLetter { failed, reply, .. } => {
                    log(record, &failed, "a record failed for good; a loopback drops its dead letter");
                    return reply;
                }
                Outcome::RetryLater { failed, .. } | Outcome::Discarded(failed) => {
                    log(record, &failed, "a record failed for good");
                    return None;
                }
            }
        }
    }

    /// Runs [`handle`](Self::handle) in a task: as on Kafka, dropping the call does not stop the handler.
    fn run(
        self: &Arc<Self>,
        index: usize,
        record: ReceivedRecord,
        clocks: (Instant, SystemTime),
    ) -> JoinHandle<Option<Arc<OutgoingRecord>>> {
        let handlers = Arc::clone(self);
        tokio::spawn(async move { handlers.handle(index, record, clocks).await })
    }

    fn record(
        &self,
        index: usize,
        outgoing: &OutgoingCall,
        headers: &Headers,
        id: &str,
        now: u64,
    ) -> ReceivedRecord {
        ReceivedRecord {
            topic: Arc::clone(&self.served[index].topic),
            partition: 0,
            offset: self.next_offset.fetch_add(1, Ordering::Relaxed),
            timestamp: Some(SystemTime::now()),
            is_append_time: false,
            key: outgoing.key.clone().or_else(|| outgoing.callee.key(id)),
            value: outgoing.value(id, now),
            headers: Ok(headers.clone()),
        }
    }
}

/// Logs a failure, by its place, its handler and its status.
fn log(record: &ReceivedRecord, Failed { error, handler }: &Failed, what: &str) {
    tracing::warn!(
        topic = %record.topic, offset = record.offset, handler = handler.map(tracing::field::display),
        status = error.status().as_u16(), name = error.name_to_log(), "{what}"
    );
}

impl Carrier {
    /// The handlers, once there are any.
    async fn handlers(&self) -> Result<Arc<Handlers>, CallError> {
        let mut handlers = self.handlers.clone();
        // Nobody sends any more if making a value has panicked: then there never are handlers.
        let made = handlers.wait_for(Option::is_some).await.ok().and_then(|made| made.as_ref()?.upgrade());
        // A handler that still runs keeps the handlers longer than the `Loopback`.
        made.filter(|_| handlers.has_changed().is_ok())
            .ok_or(CallError::ShuttingDown { progress: Progress::NotSent })
    }

    /// Waits until the `Loopback` is dropped.
    async fn dropped(&self) {
        let mut handlers = self.handlers.clone();
        while handlers.changed().await.is_ok() {}
    }

    /// The cluster's name for a topic of a contract.
    fn renamed(&self, topic: &str) -> Arc<str> {
        renamed(self.map_topics.as_ref(), topic)
    }

    /// The handlers of a topic of the cluster, by their indices, for a call that started at `started`.
    async fn serving(
        &self,
        topic: &str,
        started: Instant,
        deadline: Instant,
    ) -> Result<(Arc<Handlers>, Vec<usize>), CallError> {
        let handlers = time::timeout_at(deadline.into(), self.handlers()).await;
        let handlers = handlers.map_err(|_elapsed| CallError::late(topic, started, Progress::NotSent))??;
        let serving = handlers.serving(topic);
        if serving.is_empty() {
            let reason =
                "no handler of this process serves this topic; is its crate linked (`use handlers as _;`)?";
            return Err(CallError::undeliverable(topic, Progress::NotSent, reason.to_owned()));
        }
        Ok((handlers, serving))
    }
}

impl Transport for Carrier {
    fn call(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> BoxFuture<Result<Encoded, CallError>> {
        Box::pin(async move {
            let topic = self.renamed(&outgoing.topic);
            let reply_topic = self.renamed(outgoing.reply_topic()?);
            let started = transport::check_deadline(&topic, deadline)?;
            let (handlers, serving) = self.serving(&topic, started, deadline).await?;
            let clocks = moment::both_clocks();
            let wall = moment::wall_after(clocks.1, deadline.saturating_duration_since(clocks.0));
            let (id, now) = (Uuid::new_v4().to_string(), clock::now_millis());
            let reply_to = ReplyTo { topic: &reply_topic, partition: None };
            let headers = outgoing.callee.request(&id, reply_to, wall, outgoing.headers.clone(), now);
            // As on Kafka, every group gets the request, and the first reply counts.
            let mut running: FuturesUnordered<_> = serving
                .into_iter()
                .map(|index| {
                    let record = handlers.record(index, &outgoing, &headers, &id, now);
                    handlers.run(index, record, clocks)
                })
                .collect();
            let answered = time::timeout_at(deadline.into(), async {
                while let Some(ended) = running.next().await {
                    if let Ok(Some(reply)) = ended {
                        return Arc::unwrap_or_clone(reply);
                    }
                }
                // As on Kafka, a call that gets no reply waits until its deadline.
                std::future::pending().await
            });
            let answered = tokio::select! {
                answered = answered => answered,
                () = self.dropped() => {
                    return Err(CallError::ShuttingDown { progress: Progress::Acknowledged });
                }
            };
            let Ok(reply) = answered else {
                return Err(CallError::late(&topic, started, Progress::Acknowledged));
            };
            let reply = ReceivedReply { value: reply.value, headers: reply.headers };
            transport::read_reply(outgoing.callee, &topic, reply)
        })
    }

    fn notify(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> BoxFuture<Result<(), CallError>> {
        Box::pin(async move {
            let topic = self.renamed(&outgoing.topic);
            let started = transport::check_deadline(&topic, deadline)?;
            let (handlers, serving) = self.serving(&topic, started, deadline).await?;
            let (id, now) = (Uuid::new_v4().to_string(), clock::now_millis());
            let headers = outgoing.callee.event(&id, outgoing.headers.clone(), now);
            let clocks = moment::both_clocks();
            for index in serving {
                handlers.run(index, handlers.record(index, &outgoing, &headers, &id, now), clocks);
            }
            Ok(())
        })
    }

    fn cluster_name(&self, topic: &str) -> String {
        self.renamed(topic).to_string()
    }
}
