//! The transport over a cluster.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    task::Poll,
    time::{Instant, SystemTime},
};

use futures_util::{
    future::{Either, select},
    poll,
};
use tokio::time;
use uuid::Uuid;

use super::{
    Outgoing, Transport,
    pending::{Journey, Pending, PendingCall},
    replies::{Replies, Route},
    transport::BoxFuture,
    turnstile::{Turn, Turnstile},
};
use crate::{
    CallError, Progress, WhenFull, moment,
    producer::{Delivery, DeliveryError, OnDelivery, Producer, QueueError},
    rename::{Rename, renamed},
    telemetry::{self, CallMetrics},
    wire::{Encoded, OutgoingRecord, Placement, clock},
};

/// Carries calls over Kafka.
pub(crate) struct KafkaTransport {
    pub(crate) producer: Arc<Producer>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) replies: Arc<Replies>,
    pub(crate) topics: TopicNames,
    pub(crate) when_full: WhenFull,
}

impl Transport for KafkaTransport {
    fn call(self: Arc<Self>, outgoing: Outgoing, deadline: Instant) -> BoxFuture<Result<Encoded, CallError>> {
        Box::pin(async move {
            let topic = self.topics.called(&outgoing.topic);
            let counted = Counted::new(&topic);
            counted.ended(self.ask(&topic, &outgoing, deadline).await)
        })
    }

    fn notify(self: Arc<Self>, outgoing: Outgoing, deadline: Instant) -> BoxFuture<Result<(), CallError>> {
        Box::pin(async move {
            let topic = self.topics.called(&outgoing.topic);
            let counted = Counted::new(&topic);
            counted.ended(self.tell(&topic, &outgoing, deadline).await)
        })
    }

    fn unreadable(&self, topic: &str) {
        telemetry::reply_unreadable(&self.topics.called(topic).name);
    }
}

/// What a request needs before it can be sent. It waits for its reply before it is sent: that can be faster than the way
/// back from sending.
struct Prepared<'a> {
    /// Where others wait: nobody sends before this one has.
    turn: Option<Turn<'a>>,
    route: Route,
    call: PendingCall,
}

impl KafkaTransport {
    /// Sends a request and waits for its reply.
    async fn ask(
        &self,
        topic: &CalledTopic,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<Encoded, CallError> {
        let reply_topic = &self.topics.called(outgoing.reply_topic()?).name;
        let started = outgoing.unless_late(deadline)?;
        let late = |progress| CallError::late(&outgoing.topic, started, progress);
        let id = Uuid::new_v4();
        let at_once = self.prepared_at_once(topic, reply_topic, id, outgoing);
        let Prepared { turn, route, mut call } = if let Some(prepared) = at_once {
            prepared?
        } else {
            let prepared = Box::pin(self.prepared(topic, reply_topic, id, outgoing));
            time::timeout_at(deadline.into(), prepared)
                .await
                .map_err(|_elapsed| late(Progress::NotSent))??
        };
        self.send(id, call.journey(), &topic.name, &route, outgoing, deadline)?;
        drop(turn);
        let Ok(answer) = time::timeout_at(deadline.into(), &mut call).await else {
            self.replies.look_for_partitions();
            return Err(late(call.journey().progress()));
        };
        let answer = answer.map_err(|error| of_topic(&topic.name, error))?;
        outgoing.read_reply(answer)
    }

    /// What a request needs, if nothing of it has to be waited for.
    fn prepared_at_once<'a>(
        &self,
        topic: &'a CalledTopic,
        reply_topic: &Arc<str>,
        id: Uuid,
        outgoing: &Outgoing,
    ) -> Option<Result<Prepared<'a>, CallError>> {
        if !topic.turnstile.is_open() {
            return None;
        }
        let route = self.replies.known_route(reply_topic)?;
        match self.pending.register(id, outgoing.of_handler) {
            Err(CallError::Overloaded { .. }) if self.when_full == WhenFull::Wait => None,
            registered => Some(registered.map(|call| Prepared { turn: None, route, call })),
        }
    }

    /// What a request needs, in the order in which calls are made.
    async fn prepared<'a>(
        &self,
        topic: &'a CalledTopic,
        reply_topic: &Arc<str>,
        id: Uuid,
        outgoing: &Outgoing,
    ) -> Result<Prepared<'a>, CallError> {
        let (turn, mut call) = match self.when_full {
            // Before it stands in line: that is bounded too.
            WhenFull::Refuse => {
                let mut call = self.pending.register(id, outgoing.of_handler)?;
                (unless_ended(&mut call, &topic.name, topic.turnstile.turn()).await?, call)
            }
            // Behind whoever came before it: the place that is freed is not for the one who comes just then.
            WhenFull::Wait => {
                let turn = topic.turnstile.turn().await;
                (turn, self.pending.register_when_free(id, outgoing.of_handler).await?)
            }
        };
        let route = unless_ended(&mut call, &topic.name, self.replies.route(reply_topic)).await??;
        Ok(Prepared { turn: Some(turn), route, call })
    }

    /// Sends an event.
    async fn tell(
        &self,
        topic: &CalledTopic,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let started = outgoing.unless_late(deadline)?;
        let late = |progress| CallError::late(&outgoing.topic, started, progress);
        // Whoever goes on to send would keep the shutdown from ever having sent all.
        self.pending.unless_closed(outgoing.of_handler)?;
        let id = Uuid::new_v4().to_string();
        let now = clock::now_millis();
        let headers = outgoing.callee.event(&id, outgoing.headers.clone(), now);
        let record = record(&topic.name, outgoing, headers, &id, now);
        let refused = |error: DeliveryError| CallError::undeliverable(&outgoing.topic, error.reason);
        let queued = time::timeout_at(deadline.into(), self.queue_event(topic, &record));
        let delivery = queued.await.map_err(|_elapsed| late(Progress::NotSent))?.map_err(refused)?;
        let delivered = time::timeout_at(deadline.into(), delivery.ended());
        delivered.await.map_err(|_elapsed| late(Progress::Unknown))?.map_err(refused)
    }

    /// Queues an event. It needs no reply topic, but must not overtake what waits, and is not overtaken while it does.
    async fn queue_event(
        &self,
        topic: &CalledTopic,
        record: &Arc<OutgoingRecord>,
    ) -> Result<Delivery, DeliveryError> {
        if topic.turnstile.is_open()
            && let Poll::Ready(queued) = poll!(pin!(self.producer.queue_when_free(record)))
        {
            return queued;
        }
        let _turn = topic.turnstile.turn().await;
        self.producer.queue_when_free(record).await
    }

    /// Sends a request whose reply will be read: the route says so.
    fn send(
        &self,
        id: Uuid,
        journey: &Journey,
        topic: &Arc<str>,
        route: &Route,
        outgoing: &Outgoing,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let now = SystemTime::now();
        let expires = moment::wall_after(now, deadline.saturating_duration_since(Instant::now()));
        let text = id.to_string();
        let millis = clock::millis(now);
        let headers =
            outgoing.callee.request(&text, route.reply_to(), expires, outgoing.headers.clone(), millis);
        let record = record(topic, outgoing, headers, &text, millis);

        let pending = Arc::clone(&self.pending);
        let (name, acknowledged) = (outgoing.topic.clone(), journey.clone());
        let told: OnDelivery = Box::new(move |delivered| match delivered {
            Ok(()) => acknowledged.note(Progress::Acknowledged),
            Err(error) => {
                if let Some(waiting) = pending.take(id) {
                    waiting.answer(Err(CallError::undeliverable(&name, error.reason)));
                }
            }
        });
        // Before it is queued: its delivery may be told at once.
        journey.note(Progress::Unknown);
        match self.producer.queue(&record, told) {
            Ok(()) => Ok(()),
            Err(QueueError::Full) => {
                Err(CallError::Overloaded { reason: "the producer's queue is full".to_owned() })
            }
            Err(QueueError::Refused(error)) => Err(CallError::undeliverable(&outgoing.topic, error.reason)),
        }
    }
}

fn record(
    topic: &Arc<str>,
    outgoing: &Outgoing,
    headers: crate::Headers,
    id: &str,
    now: u64,
) -> Arc<OutgoingRecord> {
    let (key, placement) = match &outgoing.key {
        Some(key) => (Some(key.clone()), Placement::ByKey),
        None => (outgoing.callee.key(id), Placement::Any),
    };
    Arc::new(OutgoingRecord {
        topic: Arc::clone(topic),
        placement,
        key,
        value: outgoing.value(id, now),
        headers,
    })
}

/// Waits for this, unless the call to a topic is ended meanwhile: by a shutdown, or since no broker can be reached.
async fn unless_ended<T>(
    call: &mut PendingCall,
    topic: &str,
    waits: impl Future<Output = T>,
) -> Result<T, CallError> {
    match select(call, pin!(waits)).await {
        // Nothing was sent that could have a reply.
        Either::Left((ended, _)) => Err(of_topic(topic, ended.err().unwrap_or(CallError::ShuttingDown))),
        Either::Right((done, _)) => Ok(done),
    }
}

/// What ends every call says no topic.
fn of_topic(topic: &str, error: CallError) -> CallError {
    match error {
        CallError::Undeliverable { reason, .. } => CallError::undeliverable(topic, reason),
        error => error,
    }
}

/// A call that is counted however it ends, even when its caller drops it.
struct Counted<'a> {
    topic: &'a CalledTopic,
    has_ended: bool,
}

impl<'a> Counted<'a> {
    fn new(topic: &'a CalledTopic) -> Self {
        Self { topic, has_ended: false }
    }

    fn ended<T>(mut self, result: Result<T, CallError>) -> Result<T, CallError> {
        self.has_ended = true;
        self.topic.metrics().ended(&result);
        result
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.topic.metrics().dropped();
        }
    }
}

/// A topic that is called, or that is answered on.
struct CalledTopic {
    /// As the cluster has it.
    name: Arc<str>,
    /// Found with the first call: of a topic that only brings answers there is nothing to count.
    metrics: OnceLock<CallMetrics>,
    turnstile: Turnstile,
}

impl CalledTopic {
    fn metrics(&self) -> &CallMetrics {
        self.metrics.get_or_init(|| CallMetrics::new(&self.name))
    }
}

/// The topics that are called, each looked up once.
pub(crate) struct TopicNames {
    rename: Option<Rename>,
    known: RwLock<HashMap<String, Arc<CalledTopic>>>,
}

impl TopicNames {
    pub(crate) fn new(rename: Option<Rename>) -> Self {
        Self { rename, known: RwLock::default() }
    }

    fn called(&self, contract: &str) -> Arc<CalledTopic> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(contract) {
            return Arc::clone(known);
        }
        let name = renamed(self.rename.as_ref(), contract);
        let topic = Arc::new(CalledTopic { name, metrics: OnceLock::new(), turnstile: Turnstile::new() });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(contract.to_owned()).or_insert(topic))
    }
}
