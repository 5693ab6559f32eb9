//! The transport over a cluster.

use std::{
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Instant, SystemTime},
};

use futures_util::{
    future::{Either, select},
    poll,
};
use tokio::{runtime::Handle, time};
use uuid::Uuid;

use super::{
    OutgoingCall, Transport,
    called::{CalledTopic, CalledTopics, Counted, log_unanswered},
    in_a_task::{Undone, in_a_task},
    pending::{Ended, Pending, PendingCall, SharedProgress},
    replies::{Replies, Route},
    sent::SentRequest,
    transport::{self, BoxFuture},
};
use crate::{
    CallError, Progress, WhenFull, moment,
    producer::{Delivery, DeliveryError, Producer, QueueError},
    telemetry,
    wire::{Encoded, OutgoingRecord, Placement, ReceivedReply, clock},
};

/// Carries calls over Kafka.
pub(crate) struct KafkaTransport {
    pub(crate) producer: Arc<Producer>,
    pub(crate) pending: Arc<Pending>,
    pub(crate) replies: Arc<Replies>,
    pub(crate) topics: CalledTopics,
    pub(crate) when_full: WhenFull,
    pub(crate) runtime: Handle,
}

impl Transport for KafkaTransport {
    fn call(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> BoxFuture<Result<Encoded, CallError>> {
        Box::pin(async move {
            let topic = self.topics.called(&outgoing.topic);
            let counted = Counted::new(&topic);
            let id = Uuid::new_v4();
            let ended = counted.ended(self.ask(&topic, id, outgoing, deadline).await);
            if let Err(error) = &ended {
                log_unanswered(&topic.name, id, error);
            }
            ended
        })
    }

    fn notify(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> BoxFuture<Result<(), CallError>> {
        Box::pin(async move {
            let topic = self.topics.called(&outgoing.topic);
            let counted = Counted::new(&topic);
            counted.ended(self.tell(&topic, &outgoing, deadline).await)
        })
    }

    fn cluster_name(&self, topic: &str) -> String {
        self.topics.renamed(topic).to_string()
    }

    fn count_unreadable(&self, topic: &str) {
        telemetry::reply_unreadable(&self.topics.renamed(topic));
    }
}

impl KafkaTransport {
    /// Sends a request and waits for its reply.
    async fn ask(
        self: &Arc<Self>,
        topic: &Arc<CalledTopic>,
        id: Uuid,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> Result<Encoded, CallError> {
        let reply_topic = self.topics.renamed(outgoing.reply_topic()?);
        let started = transport::check_deadline(&topic.name, deadline)?;
        let (callee, reply_topic) = (outgoing.callee, &reply_topic);
        let request = Request { id, topic, reply_topic, outgoing: &outgoing, started, deadline };
        let at_once = self.try_send_now(request);
        let mut call = if let Some(sent) = at_once {
            sent?
        } else {
            let request = OwnedRequest {
                id,
                topic: Arc::clone(topic),
                reply_topic: Arc::clone(reply_topic),
                outgoing,
                started,
                deadline,
            };
            match Box::pin(Arc::clone(self).line_up_and_send(request)).await? {
                SentInTurn::Waits(call) => call,
                SentInTurn::Answered(answer) => return transport::read_reply(callee, &topic.name, answer),
            }
        };
        let Ok(answer) = time::timeout_at(deadline.into(), &mut call).await else {
            self.replies.look_for_partitions();
            return Err(CallError::late(&topic.name, started, call.forget()));
        };
        let answer = answer.map_err(|ended| ended.of_call_to(&topic.name, call.progress().get()))?;
        transport::read_reply(callee, &topic.name, answer)
    }

    /// Sends a request if it need not wait for anything first, else returns `None`. The call is registered
    /// before the request is sent, because its reply may arrive before sending returns.
    fn try_send_now(&self, request: Request<'_>) -> Option<Result<PendingCall, CallError>> {
        if !request.topic.turnstile.is_open() {
            return None;
        }
        let route = self.replies.known_route(request.reply_topic)?;
        match self.pending.register(request.id, request.outgoing.of_handler) {
            Err(CallError::Overloaded { .. }) if self.when_full == WhenFull::Wait => None,
            registered => Some(registered.and_then(|call| {
                self.send(request, &route, call.progress())?;
                Ok(call)
            })),
        }
    }

    /// Sends a request when its turn comes, in the order in which calls are made.
    async fn line_up_and_send(self: Arc<Self>, request: OwnedRequest) -> Result<SentInTurn, CallError> {
        match self.when_full {
            // Registered before it lines up, because the line is bounded too.
            WhenFull::Refuse => {
                let call = self.pending.register(request.id, request.outgoing.of_handler)?;
                self.send_in_turn(call, request).await
            }
            // Registered behind the calls that came before: a freed place is not for a call that comes just
            // then.
            WhenFull::Wait => self.register_and_send_in_turn(request).await.map(SentInTurn::Waits),
        }
    }

    /// Sends the request of a registered call. The reply may arrive before the task has reported that the
    /// request is sent.
    async fn send_in_turn(
        self: &Arc<Self>,
        mut call: PendingCall,
        request: OwnedRequest,
    ) -> Result<SentInTurn, CallError> {
        let (name, progress) = (Arc::clone(&request.topic.name), call.progress().clone());
        let sent = self.in_turn(request, progress.clone(), |own, request, progress| async move {
            let route = own.replies.route(&request.reply_topic).await?;
            // Noted before the check: a call that ends just then must not report that nothing was sent.
            progress.note(Progress::Unknown);
            // The call may have ended meanwhile, while its caller was not polling it: no handler should work
            // for it.
            if own.pending.waits(request.id) {
                own.send(request.as_request(), &route, &progress)?;
            } else {
                progress.note(Progress::NotSent);
            }
            Ok(())
        });
        match select(&mut call, pin!(sent)).await {
            Either::Left((Ok(answer), _)) => Ok(SentInTurn::Answered(answer)),
            Either::Left((Err(ended), _)) => Err(ended.of_call_to(&name, progress.get())),
            Either::Right((sent, _)) => sent.map(|()| SentInTurn::Waits(call)),
        }
    }

    /// Registers a call once there is a place for it, and sends its request.
    async fn register_and_send_in_turn(
        self: &Arc<Self>,
        request: OwnedRequest,
    ) -> Result<PendingCall, CallError> {
        let sent = self.in_turn(request, SharedProgress::default(), |own, request, progress| async move {
            let call = own.pending.register_when_free(request.id, request.outgoing.of_handler).await?;
            let mut call = call.on(progress);
            let route = own.replies.route(&request.reply_topic);
            let route = unless_ended(&mut call, &request.topic.name, route).await??;
            // Noted already: its caller may stop waiting for this task at any moment.
            call.progress().note(Progress::Unknown);
            own.send(request.as_request(), &route, call.progress())?;
            Ok(call)
        });
        sent.await
    }

    /// Does `work` for a request in a task, when its turn comes. No later call to the topic is sent before
    /// `work` is done.
    async fn in_turn<T: Send + 'static, F: Future<Output = Result<T, CallError>> + Send>(
        self: &Arc<Self>,
        request: OwnedRequest,
        progress: SharedProgress,
        work: impl FnOnce(Arc<Self>, OwnedRequest, SharedProgress) -> F + Send + 'static,
    ) -> Result<T, CallError> {
        let (name, started, deadline) = (Arc::clone(&request.topic.name), request.started, request.deadline);
        let turn = request.topic.turnstile.lined_up().await;
        let (own, shared) = (Arc::clone(self), progress.clone());
        let done = in_a_task(&self.runtime, deadline, async move {
            let _turn = turn.await;
            work(own, request, shared).await
        });
        done.await.unwrap_or_else(|undone| {
            Err(match undone {
                Undone::Late => CallError::late(&name, started, Progress::NotSent),
                Undone::StandsStill => CallError::late(&name, started, progress.get()),
                Undone::Ended => CallError::ShuttingDown { progress: progress.get() },
                Undone::Panicked => CallError::undeliverable(&name, progress.get(), undone.to_string()),
            })
        })
    }

    /// Sends an event.
    async fn tell(
        self: &Arc<Self>,
        topic: &CalledTopic,
        outgoing: &OutgoingCall,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let started = transport::check_deadline(&topic.name, deadline)?;
        let late = |progress| CallError::late(&topic.name, started, progress);
        // Checked first: events that are still sent during a shutdown would keep it from ever having sent
        // all.
        self.pending.check_open(outgoing.of_handler)?;
        let id = Uuid::new_v4().to_string();
        let now = clock::now_millis();
        let headers = outgoing.callee.event(&id, outgoing.headers.clone(), now);
        let record = record(&topic.name, outgoing, headers, &id, now);
        let refused =
            |error: DeliveryError| CallError::undeliverable(&topic.name, error.progress(), error.reason);
        let queued = self.queue_event(topic, &record, deadline).await;
        let delivery = queued.map_err(late)?.map_err(refused)?;
        let delivered = time::timeout_at(deadline.into(), delivery.ended());
        delivered.await.map_err(|_elapsed| late(Progress::Unknown))?.map_err(refused)
    }

    /// Queues an event. An event needs no reply topic, but must neither overtake calls that wait nor be
    /// overtaken while it waits. If the deadline passes meanwhile, the error is how far the event has got.
    async fn queue_event(
        &self,
        topic: &CalledTopic,
        record: &Arc<OutgoingRecord>,
        deadline: Instant,
    ) -> Result<Result<Delivery, DeliveryError>, Progress> {
        if topic.turnstile.is_open()
            && let Poll::Ready(queued) = poll!(pin!(self.producer.queue_when_free(record)))
        {
            return Ok(queued);
        }
        let turn = topic.turnstile.lined_up().await;
        let (producer, record) = (Arc::clone(&self.producer), Arc::clone(record));
        let queued = in_a_task(&self.runtime, deadline, async move {
            let _turn = turn.await;
            producer.queue_when_free(&record).await
        })
        .await;
        queued.or_else(|undone| match undone {
            Undone::Late => Err(Progress::NotSent),
            Undone::StandsStill => Err(Progress::Unknown),
            Undone::Ended | Undone::Panicked => Ok(Err(DeliveryError::in_doubt(undone.to_string()))),
        })
    }

    /// Sends a request. The route proves that its reply will be read.
    fn send(&self, request: Request<'_>, route: &Route, progress: &SharedProgress) -> Result<(), CallError> {
        let Request { id, topic, outgoing, started, deadline, .. } = request;
        let topic = &topic.name;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // The deadline passed while the request waited, and no timer has fired for it yet.
            return Err(CallError::late(topic, started, Progress::NotSent));
        }
        let now = SystemTime::now();
        let expires = moment::wall_after(now, left);
        let text = id.to_string();
        let millis = clock::millis(now);
        let headers =
            outgoing.callee.request(&text, route.reply_to(), expires, outgoing.headers.clone(), millis);
        let record = record(topic, outgoing, headers, &text, millis);

        let sent =
            SentRequest { id, deadline, pending: Arc::clone(&self.pending), progress: progress.clone() };
        match self.producer.queue(&record, Box::new(sent)) {
            Ok(()) => Ok(()),
            Err(QueueError::Full) => {
                Err(CallError::Overloaded { reason: "the producer's queue is full".to_owned() })
            }
            Err(QueueError::Refused(error)) => {
                Err(CallError::undeliverable(topic, Progress::NotSent, error.reason))
            }
        }
    }
}

/// How sending a request in its turn ended.
enum SentInTurn {
    Waits(PendingCall),
    /// The reply came before the task reported that the request was sent.
    Answered(ReceivedReply),
}

/// A request to be sent.
#[derive(Clone, Copy)]
struct Request<'a> {
    id: Uuid,
    topic: &'a CalledTopic,
    /// The cluster's name for the topic.
    reply_topic: &'a Arc<str>,
    outgoing: &'a OutgoingCall,
    started: Instant,
    deadline: Instant,
}

/// An owned [`Request`], for a task. Most requests are sent without one: cloning what all calls share makes
/// threads contend for its reference counts.
struct OwnedRequest {
    id: Uuid,
    topic: Arc<CalledTopic>,
    reply_topic: Arc<str>,
    outgoing: OutgoingCall,
    started: Instant,
    deadline: Instant,
}

impl OwnedRequest {
    fn as_request(&self) -> Request<'_> {
        let Self { id, topic, reply_topic, outgoing, started, deadline } = self;
        Request { id: *id, topic, reply_topic, outgoing, started: *started, deadline: *deadline }
    }
}

fn record(
    topic: &Arc<str>,
    outgoing: &OutgoingCall,
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

/// Waits for `waits`, unless the call to a topic ends meanwhile, because of a shutdown or because no broker
/// can be reached.
async fn unless_ended<T>(
    call: &mut PendingCall,
    topic: &str,
    waits: impl Future<Output = T>,
) -> Result<T, CallError> {
    match select(call, pin!(waits)).await {
        // No request was sent yet, so this is not a reply.
        Either::Left((ended, _)) => {
            Err(ended.err().unwrap_or(Ended::ShuttingDown).of_call_to(topic, Progress::NotSent))
        }
        Either::Right((done, _)) => Ok(done),
    }
}
